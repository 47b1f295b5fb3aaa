"""The report as the one line that Nagios and its kin read: status, what is wrong, figures."""

from collections.abc import Iterator

from ops.monitor.checks import ill
from ops.monitor.facts import Answer, Database, Folders
from ops.monitor.report import Report

_SHOWN = 3


def line(report: Report) -> str:
    """Give one line, whatever the texts hold."""
    return _one(report.facts.project, report.status, list(_wrong(report)), list(_figures(report)))


def refused(message: str) -> str:
    """Give the line where nothing could be looked at."""
    return _one("monsite", "unknown", [message], [])


def _one(project: str, status: str, wrong: list[str], figures: list[str]) -> str:
    told = "; ".join(wrong) or "all checks are well"
    whole = f"{project.upper()} {status.upper()} - {told}".replace("|", "/")
    return " ".join(f"{whole} | {' '.join(figures)}".split()) if figures else " ".join(whole.split())


def _wrong(report: Report) -> Iterator[str]:
    wrong = ill(report.checks)
    for check in wrong[:_SHOWN]:
        yield f"{check.id} {check.text}"
    if len(wrong) > _SHOWN:
        yield f"and {len(wrong) - _SHOWN} more"


def _figures(report: Report) -> Iterator[str]:
    facts = report.facts
    if facts.site is not None and isinstance(facts.site.health, Answer):
        yield f"answer={facts.site.health.ms / 1000:.4f}s"
    if isinstance(facts.folders, Folders):
        if isinstance(facts.folders.database, Database):
            yield f"database={facts.folders.database.bytes}B wal={facts.folders.database.wal_bytes}B"
        for disk in facts.folders.disks:
            yield f"free_{disk.folders[0]}={disk.free}B"
