"""The report as one JSON document, whose form `monitor.schema.json` gives; times in UTC with offset."""

from datetime import datetime
from typing import Any

from ops.monitor.checks import Check
from ops.monitor.facts import Answer, Backups, Container, Database, Deploys, Facts, Resources, Silent, Unseen
from ops.monitor.refused import SCHEMA
from ops.monitor.report import Report


def document(report: Report) -> dict[str, Any]:
    """Give everything that was seen and judged."""
    facts = report.facts
    return {
        "schema": SCHEMA,
        "at": stamp(facts.at),
        "project": facts.project,
        "url": facts.site.url if facts.site is not None else None,
        "status": report.status,
        "code": report.code,
        "checks": [check(one) for one in report.checks],
        "services": _services(facts),
        "site": _site(facts),
        "folders": _folders(facts),
        "backups": _backups(facts),
        "deploys": _deploys(facts.deploys),
        "took_ms": {"own": facts.own_ms, "total": facts.total_ms},
    }


def check(one: Check) -> dict[str, Any]:
    """Give one check."""
    return {
        "id": one.id,
        "subject": one.subject,
        "value": one.value,
        "unit": one.limit.unit,
        "threshold": one.threshold,
        "status": one.status,
        "text": one.text,
        "hint": one.hint or None,
        "during": one.during or None,
    }


def stamp(at: datetime) -> str:
    """Give a time as all documents have it."""
    return at.isoformat(timespec="milliseconds")


def _when(at: datetime | None) -> str | None:
    return stamp(at) if at is not None else None


def _services(facts: Facts) -> list[dict[str, Any]]:
    return [] if isinstance(facts.containers, Unseen) else [_service(one) for one in facts.containers.values()]


def _service(container: Container) -> dict[str, Any]:
    used = container.resources if isinstance(container.resources, Resources) else None
    return {
        "service": container.service,
        "status": container.status,
        "health": container.health or None,
        "restarts": container.restarts,
        "exit_code": container.exit_code,
        "created": _when(container.created),
        "started": _when(container.started),
        "oom_kills": used.oom_kills if used else None,
        "memory_bytes": used.memory if used else None,
        "memory_limit_bytes": used.memory_limit if used else None,
        "pids": used.pids if used else None,
        "pids_limit": used.pids_limit if used else None,
        "cpu_s": round(used.cpu_ns / 1e9, 3) if used else None,
        "cpu_share": round(container.cpu_share, 3) if container.cpu_share is not None else None,
        "cpus": container.cpus or None,
    }


def _site(facts: Facts) -> dict[str, Any] | None:
    site = facts.site
    if site is None:
        return None
    return {name: _answer(getattr(site, name)) for name in ("gate", "health", "ready")}


def _answer(answer: Answer | Silent | Unseen) -> dict[str, Any]:
    if isinstance(answer, Answer):
        return {"status": answer.status, "said": answer.said or None, "ms": answer.ms, "reason": None}
    return {"status": None, "said": None, "ms": None, "reason": answer.reason}


def _folders(facts: Facts) -> dict[str, Any] | None:
    seen = facts.folders
    if isinstance(seen, Unseen):
        return None
    database = seen.database if isinstance(seen.database, Database) else None
    heals = None if isinstance(seen.heals, Unseen) else [stamp(at) for at in seen.heals]
    return {
        "database_bytes": database.bytes if database else None,
        "wal_bytes": database.wal_bytes if database else None,
        "sizes": {name: {"bytes": size.bytes, "whole": size.whole} for name, size in seen.sizes.items()},
        "disks": [
            {"folders": list(disk.folders), "free_bytes": disk.free, "total_bytes": disk.total} for disk in seen.disks
        ],
        "heals": heals,
        "draining": isinstance(seen.draining, dict),
    }


def _backups(facts: Facts) -> dict[str, Any] | None:
    seen = facts.backups
    if not isinstance(seen, Backups):
        return None
    known = seen.known
    return {
        "updated": known.get("updated"),
        "healthy": known.get("healthy"),
        "newest": (known.get("newest") or {}).get("name"),
        "newest_of_tier": {tier: stamp(at) for tier, at in seen.newest_of_tier.items()},
        "drill": known.get("drill"),
        "incidents": known.get("incidents") or [],
    }


def _deploys(seen: Deploys) -> dict[str, Any]:
    work = seen.work
    return {
        "journal": dict(seen.journal) if isinstance(seen.journal, dict) else None,
        "last": dict(seen.last) if isinstance(seen.last, dict) else None,
        "work": {"verb": work.verb, "pid": work.pid, "since": stamp(work.since)} if work is not None else None,
    }
