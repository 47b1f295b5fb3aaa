"""What the host and the site may know of the backups: one JSON file, always whole.

The container has no network; whoever wants to be told reads `status/backup.json`.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from . import errors, health, notices
from .disk import free_name, sync_folder, write_synced
from .errors import BackupError, writing
from .logs import Log
from .repository import Repository
from .rotation import TIERS
from .settings import Settings

SCHEMA = 1
_INCIDENTS_KEPT = 20
_DRILLS_KEPT = 20
_ASIDE_FORMAT = ".damaged_%Y%m%d_%H%M%S"
_FILE_MODE = 0o644  # the site and the host read it, none of it is secret

Incident = tuple[str, str]  # its kind, and what happened


@dataclass(frozen=True)
class News:
    """What one command adds to what is known; None where it has nothing to say of it."""

    last_run: Mapping[str, Any] | None = None
    incidents: tuple[Incident, ...] = ()
    drill: Mapping[str, Any] | None = None
    verified: Mapping[str, Any] | None = None  # of a verification of everything
    last_restore: Mapping[str, Any] | None = None
    checked: Iterable[str] = ()  # the snapshots of which every byte was read
    uploads: Mapping[str, Any] | None = None  # which of them are not there as they were sent
    loss_told: bool = False  # whoever asked for a snapshot learns that all before it are gone


NOTHING = News()


def publish(settings: Settings, now: datetime, news: News = NOTHING) -> list[str]:
    """Write the present state; keep what was known, and add what is new.

    Returns what is wrong with what was known: a file that cannot be read is set aside, and a new one begun.
    """
    told = []
    repository = Repository(settings.backups)
    path = settings.status / health.STATUS_FILE
    with writing(f"status folder {settings.status}"), _alone(settings.status):
        before, problem = health.look_at_status(settings.status)
        incidents = list(before.get("incidents") or [])
        if problem is not None:
            told.append(_set_aside(path, problem, now))
            incidents = _with(incidents, now, "status-lost", told[0])
        lost = None if news.loss_told else before.get("lost_history")
        if (newest := health.history_lost(before, repository, settings, now)) is not None:
            lost = {"at": now.isoformat(timespec="seconds"), "newest": newest}
            incidents = _with(incidents, now, "history-lost", health.told_of_loss(newest))
        for kind, message in news.incidents:
            incidents = _with(incidents, now, kind, message)
        drills = list(before.get("drills") or [])
        if news.drill is not None:
            drills = [*drills, news.drill][-_DRILLS_KEPT:]
        run, drill = news.last_run or before.get("last_run"), news.drill or before.get("drill")
        reasons = health.reasons(settings, now, last_run=run, drill=drill, lost=health.lost_before(lost))
        uploads = news.uploads or before.get("uploads")
        content = {
            "schema": SCHEMA,
            "updated": now.isoformat(timespec="seconds"),
            "healthy": not reasons,
            "reasons": reasons,
            "max_age_hours": round(settings.max_age.total_seconds() / 3600, 3),
            **_stored(before, repository, news, now),
            "last_run": run,
            "last_restore": news.last_restore or before.get("last_restore"),
            "lost_history": lost,
            "uploads": uploads,
            "warnings": [*([notices.of_loss(lost)] if lost else []), *((uploads or {}).get("warnings") or [])],
            "incidents": incidents,
            "drill": drill,
            "drills": drills,
            "verified": news.verified or before.get("verified"),
            "free_bytes": shutil.disk_usage(repository.root).free,
        }
        staged = path.with_name(f".{path.name}.part")
        write_synced(staged, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode(), _FILE_MODE)
        staged.rename(path)
        sync_folder(settings.status)
    return told


def _set_aside(path: Path, problem: str, now: datetime) -> str:
    aside = path.rename(free_name(path, _ASIDE_FORMAT, now))
    return f"what was known of the backups could not be read ({path}: {problem}) and begins anew; it is now {aside}"


def try_to_publish(settings: Settings, now: datetime, log: Log, news: News = NOTHING) -> list[str]:
    """Publish; where that fails, what was done stays done. Returns what whoever asked is to be warned of."""
    try:
        told = publish(settings, now, news)
    except (BackupError, OSError) as refused:
        failed = errors.as_told(refused)
        log.event("status-failed", level="error", error=failed.message)
        return [f"the state could not be published: {failed}; {failed.hint}"]
    for warning in told:
        log.event("status-lost", level="error", error=warning)
    return told


def publish_failure(settings: Settings, now: datetime, log: Log, news: News, failed: Exception) -> None:
    """Publish a failure; what is to be warned of goes with the error."""
    warned = try_to_publish(settings, now, log, news)
    if isinstance(failed, BackupError):
        failed.known["warnings"] = warned


def notice_loss(settings: Settings, now: datetime, log: Log) -> None:
    """Publish that every snapshot is gone, before a new one stands there and hides it."""
    before, repository = health.read_status(settings.status), Repository(settings.backups)
    if health.history_lost(before, repository, settings, now) is not None:
        try_to_publish(settings, now, log)


def _stored(before: Mapping[str, Any], repository: Repository, news: News, now: datetime) -> dict[str, Any]:
    """Say what is stored; where the folder cannot be looked into, what was known of it stays."""
    try:
        return {
            "newest": _newest(repository, now),
            "newest_of": {
                tier: {"name": made.name, "created": made.created.isoformat()}
                for tier, made in repository.newest_of(now).items()
            },
            "tiers": {tier: len(list((repository.root / tier).glob("*.json"))) for tier in TIERS},
            "checked": _checked(before, repository, news, now),
        }
    except errors.Unwritable:
        return {key: before.get(key) for key in ("newest", "newest_of", "tiers", "checked")}


def _checked(before: Mapping[str, Any], repository: Repository, news: News, now: datetime) -> dict[str, str]:
    """When every byte of each snapshot was last read; of those that are gone nothing is kept."""
    known = before.get("checked")
    fresh = dict.fromkeys(news.checked, now.isoformat(timespec="seconds"))
    there = set(repository.names())
    return {name: at for name, at in {**(known if isinstance(known, dict) else {}), **fresh}.items() if name in there}


def at_of(record: object) -> datetime | None:
    """Return when a published record was made; None for what is no such record."""
    try:
        return datetime.fromisoformat(record["at"]) if isinstance(record, Mapping) else None
    except (KeyError, TypeError, ValueError):
        return None


def last_restore(settings: Settings) -> tuple[datetime, int] | None:
    """Return when the newest restore ended and how many rows it put back."""
    record = health.read_status(settings.status).get("last_restore")
    at = at_of(record)
    rows = record.get("rows") if isinstance(record, Mapping) else None
    if at is None or not isinstance(rows, Mapping):
        return None
    return at, sum(count for count in rows.values() if isinstance(count, int))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let two commands that end at once not forget each other's incidents."""
    descriptor = os.open(folder / ".backup.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _with(incidents: list[Any], now: datetime, kind: str, message: str) -> list[Any]:
    """Add an incident, newest last; one that is known counts up, so that it cannot push the others out."""
    at = now.isoformat(timespec="seconds")
    told: dict[str, Any] = {"at": at, "kind": kind, "message": message}
    others = []
    for one in incidents:
        if isinstance(one, dict) and (one.get("kind"), one.get("message")) == (kind, message):
            told = {**one, "times": int(one.get("times", 1)) + 1, "last": at}
        else:
            others.append(one)
    return [*others, told][-_INCIDENTS_KEPT:]


def _newest(repository: Repository, now: datetime) -> dict[str, Any] | None:
    stored = repository.newest(now)
    if stored is None or stored.manifest is None:
        return None
    return {
        "name": stored.name,
        "created": stored.manifest.created.isoformat(),
        "tier": stored.tiers[0],
        "bytes": stored.manifest.bytes,
        "rows": sum(stored.manifest.rows.values()),
    }
