"""`./stack status`: the monitor's report, short."""

import http.client
from typing import Any

from rich.markup import escape

from ops import engine, published
from ops.errors import Exit
from ops.monitor import as_json, table
from ops.monitor.checks import ill
from ops.monitor.facts import Answer, Container, Facts, Unseen
from ops.monitor.report import take
from ops.settings import Settings
from ops.ui import Ui

_FAILS = ("critical", "unknown")
_TOLD_BY_THE_KEEPER = ("backup.", "drill.")  # in words of its own
_OF_SERVICES = ("service.state", "service.health")


def show(settings: Settings, ui: Ui) -> int:
    """Show what is there and what is wrong. Return 0 when all is well or can wait, else 1.

    Raises StackError when the engine does not answer.
    """
    report = take(settings)
    facts = report.facts
    if isinstance(facts.containers, Unseen):
        raise engine.unreachable(facts.containers.reason.rpartition(": ")[2])
    wrong = ill(report.checks)
    fails = [check for check in wrong if check.status in _FAILS or check.id in _OF_SERVICES]
    known = {} if isinstance(facts.backups, Unseen) else dict(facts.backups.known)
    closed = facts.backups.reason if isinstance(facts.backups, Unseen) else None
    answer = _answer(facts)
    ui.say(
        table.services(report),
        f"site      {settings.url}  [{published.GOOD if answer == 'healthy' else published.BAD}]{escape(answer)}[/]",
        *(published.tell(known) if closed is None else [published.tell_of_closed(closed)]),
    )
    told = [check for check in wrong if not check.id.startswith(_TOLD_BY_THE_KEEPER)]
    ui.say(*(f"{table.sign(check.status)} {escape(check.text)}" for check in told))
    steps = list(dict.fromkeys(check.hint for check in told if check in fails and check.hint))
    ui.say(*(f"do        {escape(step)}" for step in steps))
    ui.emit(
        {
            "project": settings.project,
            "url": settings.url,
            "well": not fails,
            "site": answer,
            "next_step": steps[0] if steps else None,
            "services": [_service(one) for one in facts.containers.values()],
            "backup": known,
            "backup_unknown": closed,
            "checks": [as_json.check(check) for check in wrong],
        }
    )
    return Exit.FAILED if fails else Exit.OK


def _answer(facts: Facts) -> str:
    """Return what the site says of itself, or why it says nothing."""
    if facts.site is None:
        return "not asked"
    health = facts.site.health
    if not isinstance(health, Answer):
        return health.reason
    return "healthy" if health.status == http.client.OK else health.said or f"status {health.status}"


def _service(container: Container) -> dict[str, Any]:
    return {
        "service": container.service,
        "status": container.status,
        "health": container.health,
        "restarts": container.restarts,
        "exit_code": container.exit_code,
        "started": as_json.stamp(container.started) if container.started is not None else "",
    }
