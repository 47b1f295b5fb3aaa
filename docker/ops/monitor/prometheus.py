"""The report as a Prometheus text file, for node_exporter's textfile collector: published by rename, always whole."""

from collections.abc import Iterator
from pathlib import Path

from ops import files
from ops.errors import StackError
from ops.monitor.checks import CODES
from ops.monitor.facts import Answer, Backups, Database, Folders, Resources, Unseen
from ops.monitor.report import Report

_MODE = 0o644  # whoever scrapes it runs as somebody else

_STEP = "give --prometheus a file in a folder that you may write to"

Labels = dict[str, str]
Sample = tuple[Labels, float]


def write(report: Report, path: Path) -> None:
    """Publish the file. Raises StackError naming it when it cannot be written."""
    if not path.name:
        raise StackError(f"--prometheus {str(path)!r} names no file", _STEP)
    try:
        files.write(path, text(report), mode=_MODE)
    except OSError as error:
        raise StackError(f"{path} cannot be written: {error.strerror}", _STEP) from error


def text(report: Report) -> str:
    """Give the file's text."""
    lines: list[str] = []
    for name, kind, told, samples in _families(report):
        if not samples:
            continue
        lines += [f"# HELP {name} {told}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{_labels(labels)} {_number(value)}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _families(report: Report) -> Iterator[tuple[str, str, str, list[Sample]]]:
    facts = report.facts
    yield _gauge("monsite_monitor_timestamp_seconds", "When the look was taken.", [({}, facts.at.timestamp())])
    yield _gauge(
        "monsite_monitor_status",
        "What all checks come to: 0 well, 1 warning, 2 critical, 3 not all was seen.",
        [({}, report.code)],
    )
    yield _gauge("monsite_monitor_duration_seconds", "How long the look took.", [({}, facts.total_ms / 1000)])
    yield _gauge(
        "monsite_check_status",
        "Each check: 0 ok, 1 warning, 2 critical, 3 unknown.",
        [({"check": one.id, "subject": one.subject}, CODES[one.status]) for one in report.checks],
    )
    yield _gauge(
        "monsite_check_value",
        "What each check measured, where that is a number.",
        [
            ({"check": one.id, "subject": one.subject, "unit": one.limit.unit}, float(one.value))
            for one in report.checks
            if isinstance(one.value, int | float)
        ],
    )
    yield from _services(report)
    yield from _site(report)
    yield from _data(report)


def _services(report: Report) -> Iterator[tuple[str, str, str, list[Sample]]]:
    seen = report.facts.containers
    if isinstance(seen, Unseen):
        return
    every = [({"service": one.service}, one) for one in seen.values()]
    used = [(labels, one.resources) for labels, one in every if isinstance(one.resources, Resources)]
    yield _gauge(
        "monsite_service_running",
        "1 where the service runs.",
        [(of, float(one.status == "running")) for of, one in every],
    )
    yield _gauge(
        "monsite_service_restarts", "Restarts by the restart policy.", [(of, float(one.restarts)) for of, one in every]
    )
    yield _gauge("monsite_service_memory_bytes", "Memory without page cache.", [(of, one.memory) for of, one in used])
    yield _gauge("monsite_service_pids", "Processes and threads.", [(of, one.pids) for of, one in used])
    cpu: list[Sample] = [(of, one.cpu_ns / 1e9) for of, one in used]
    yield "monsite_service_cpu_seconds_total", "counter", "Processor time since the service started.", cpu
    kills: list[Sample] = [(of, float(one.oom_kills)) for of, one in used]
    yield "monsite_service_oom_kills_total", "counter", "Processes ended for want of memory since it started.", kills


def _site(report: Report) -> Iterator[tuple[str, str, str, list[Sample]]]:
    site = report.facts.site
    if site is not None and isinstance(site.health, Answer):
        told = "How long the site's health took to answer."
        yield _gauge("monsite_site_answer_seconds", told, [({}, site.health.ms / 1000)])


def _data(report: Report) -> Iterator[tuple[str, str, str, list[Sample]]]:
    seen = report.facts.folders
    if isinstance(seen, Folders):
        if isinstance(seen.database, Database):
            yield _gauge("monsite_database_bytes", "Size of the database.", [({}, seen.database.bytes)])
            yield _gauge("monsite_database_wal_bytes", "Size of its WAL.", [({}, seen.database.wal_bytes)])
        free: list[Sample] = [({"folder": name}, disk.free) for disk in seen.disks for name in disk.folders]
        yield _gauge("monsite_disk_free_bytes", "Free bytes of each folder's file system.", free)
    backups = report.facts.backups
    if isinstance(backups, Backups) and backups.newest_of_tier:
        made: list[Sample] = [({"tier": tier}, at.timestamp()) for tier, at in sorted(backups.newest_of_tier.items())]
        yield _gauge("monsite_backup_newest_timestamp_seconds", "When the newest snapshot of a tier was made.", made)


def _gauge(name: str, told: str, samples: list[Sample]) -> tuple[str, str, str, list[Sample]]:
    return name, "gauge", told, samples


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
