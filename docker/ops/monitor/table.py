"""The report for a person: a row a service, a line a subject, then what is wrong and the next step; 80 columns."""

import sys
from collections.abc import Iterable, Iterator
from datetime import datetime

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ops import words
from ops.monitor.checks import Check, ill, worst
from ops.monitor.facts import Answer, Backups, Container, Database, Facts, Folders, Resources, Unseen
from ops.monitor.report import Report
from ops.monitor.thresholds import Status

COLUMNS = 80
# The sign says it too: colours alone are lost on paper, in logs and to many eyes.
SIGNS: dict[Status, str] = {"ok": "✓", "warning": "!", "critical": "✗", "unknown": "?"}
_PLAIN: dict[Status, str] = {"ok": "+", "warning": "!", "critical": "x", "unknown": "?"}  # where ✓ would become a ?
COLOURS: dict[Status, str] = {"ok": "green", "warning": "yellow", "critical": "red", "unknown": "magenta"}
WORDS: dict[Status, str] = {"ok": "well", "warning": "warning", "critical": "critical", "unknown": "not all was seen"}
_NAME = 9  # columns of the first word of a line


def view(report: Report) -> RenderableType:
    """Draw the whole report."""
    seen = [] if _nothing_seen(report) else ["", services(report), "", _lines(report)]
    return Group(_head(report), *seen, *troubles(report.checks))


def _nothing_seen(report: Report) -> bool:
    return all(check.id == "stack.there" for check in report.checks)


def services(report: Report) -> RenderableType:
    """Draw the services."""
    facts = report.facts
    if isinstance(facts.containers, Unseen):
        return Text(f"services  ? {words.visible(facts.containers.reason)}", style=COLOURS["unknown"])
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("", "service", "state", "health"):
        table.add_column(title, no_wrap=True)
    for title in ("restarts", "cpu", "memory", "pids", "up"):
        table.add_column(title, justify="right", no_wrap=True)
    for one in facts.containers.values():
        judged = (check for check in report.checks if check.id.startswith("service.") and check.subject == one.service)
        table.add_row(_mark(judged), one.service, one.status, one.health or "–", *_figures(one, facts.at))
    return table


def troubles(checks: tuple[Check, ...]) -> Iterator[RenderableType]:
    """Tell each thing that is not well, and what to do."""
    rows = Table.grid(padding=(0, 1))
    for check in ill(checks):
        rows.add_row(sign(check.status), f"{escape(check.id)}  {escape(check.text)}")
        if check.hint:
            rows.add_row("", f"[dim]do[/]  {escape(check.hint)}")
    if rows.row_count:
        yield ""
        yield rows


def sign(status: Status) -> str:
    """Give a status as a sign of its own, in its colour."""
    return f"[{COLOURS[status]}]{_signs()[status]}[/]"


def _signs() -> dict[Status, str]:
    """Give the signs that stdout can show."""
    try:
        "".join(SIGNS.values()).encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return _PLAIN
    return SIGNS


def _head(report: Report) -> str:
    facts, status = report.facts, report.status
    colour = COLOURS[status]
    word = f"[{colour}]{_signs()[status]} {WORDS[status]}[/]"
    return f"{escape(facts.project)}  {word}  {facts.at:%Y-%m-%d %H:%M:%S} UTC, looked for {facts.total_ms:.0f} ms"


def _mark(checks: Iterable[Check]) -> str:
    """Give the sign of the worst of them; where nothing was judged there is none."""
    judged = list(checks)
    return sign(worst(judged)) if judged else " "


def _figures(container: Container, now: datetime) -> tuple[str, ...]:
    used = container.resources
    up = words.span(now - container.started) if container.started and container.status == "running" else "–"
    if not isinstance(used, Resources):
        return str(container.restarts), "–", "–", "–", up
    cpu = "–" if container.cpu_share is None else f"{container.cpu_share:.0%}"
    memory = f"{used.memory >> 20}/{used.memory_limit >> 20} MiB" if used.memory_limit else f"{used.memory >> 20} MiB"
    pids = f"{used.pids}/{used.pids_limit}" if used.pids_limit else str(used.pids)
    return str(container.restarts), cpu, memory, pids, up


def _lines(report: Report) -> RenderableType:
    facts, rows = report.facts, Table.grid(padding=(0, 1))
    for name, prefixes, told in (
        ("site", ("site.",), _site(facts)),
        ("database", ("database.",), _database(facts)),
        ("disk", ("disk.",), _disks(facts)),
        ("folders", (), _sizes(facts)),
        ("backups", ("backup.",), _newest(facts)),
        ("drill", ("drill.",), _drill(facts)),
        ("deploys", ("deploy.",), _deploys(report)),
        ("errors", ("errors.", "heals."), _texts(report, "errors.recent", "heals.recent")),
    ):
        if told:
            mark = _mark(one for one in report.checks if one.id.startswith(prefixes))
            rows.add_row(mark, f"{name:<{_NAME}}", escape(words.visible(told)))
    return rows


def _site(facts: Facts) -> str:
    if facts.site is None:
        return ""
    health = facts.site.health
    said = f"{health.said or health.status}, {health.ms:.0f} ms" if isinstance(health, Answer) else health.reason
    return f"{facts.site.url}  {said}"


def _database(facts: Facts) -> str:
    seen = facts.folders.database if isinstance(facts.folders, Folders) else None
    return f"{words.size(seen.bytes)}, WAL {words.size(seen.wal_bytes)}" if isinstance(seen, Database) else "–"


def _disks(facts: Facts) -> str:
    if isinstance(facts.folders, Unseen):
        return "–"
    told = [f"{words.size(one.free)} of {words.size(one.total)} free" for one in facts.folders.disks]
    many = len(told) > 1
    return "; ".join(
        f"{text} ({'+'.join(disk.folders)})" if many else text
        for text, disk in zip(told, facts.folders.disks, strict=True)
    )


def _sizes(facts: Facts) -> str:
    if isinstance(facts.folders, Unseen):
        return ""
    return ", ".join(
        f"{name} {'' if size.whole else 'over '}{words.size(size.bytes)}" for name, size in facts.folders.sizes.items()
    )


def _newest(facts: Facts) -> str:
    if not isinstance(facts.backups, Backups):
        return "–"
    known, tiers = facts.backups.known, facts.backups.newest_of_tier
    told = [f"{tier} {words.span(facts.at - tiers[tier])}" for tier in ("daily", "weekly", "monthly") if tier in tiers]
    incidents = len(known.get("incidents") or [])
    return (
        ", ".join(told or ["none"]) + " old" * bool(told) + (f"; {incidents} incidents on record" if incidents else "")
    )


def _drill(facts: Facts) -> str:
    drill = facts.backups.known.get("drill") if isinstance(facts.backups, Backups) else None
    if not drill:
        return "none yet" if isinstance(facts.backups, Backups) else "–"
    passed = "passed" if drill.get("outcome") == "success" else "failed"
    return f"{passed} {words.since(drill['at'], facts.at)} ago"


def _deploys(report: Report) -> str:
    work = report.facts.deploys.work
    told = _texts(report, "deploy.journal", "deploy.last")
    return f"`./stack {work.verb}` at work since {work.since:%H:%M:%S} UTC; {told}" if work else told


def _texts(report: Report, *names: str) -> str:
    """Repeat what checks say, in their order; of those that have nothing to say the last alone."""
    return "; ".join(check.text for name in names for check in report.checks if check.id == name)
