"""Rules for deploys: a journal that nobody works on, and how the last one ended."""

import http.client
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from ops.monitor.checks import Check, unknown
from ops.monitor.facts import Answer, Facts, Unseen, Work
from ops.monitor.thresholds import Limit, Limits, Status

_COMMITTED = "committed"  # nothing is left to decide: only the history lacks its line
_DOWN = "down"  # nothing served when it ended
_TOLD_FOR_A_WHILE = ("failed", "rolled-back", "settled-back")
_SETTLE = "./stack up settles it"


def judge(facts: Facts, limits: Limits) -> Iterator[Check]:
    """Judge the journal and the history's newest line."""
    deploys = facts.deploys
    yield _journal(deploys.journal, deploys.work, limits["deploy.journal"])
    yield _last(deploys.last, facts, limits["deploy.last"])


def _journal(journal: Mapping[str, Any] | Unseen | None, work: Work | None, limit: Limit) -> Check:
    if isinstance(journal, Unseen):
        return unknown("deploy.journal", "deploys", limit, journal, _SETTLE)
    if journal is None:
        return Check("deploy.journal", "deploys", "closed", limit, "ok", "no deploy is open")
    phase, name = str(journal.get("phase")), str(journal.get("id"))
    what = f"{journal.get('verb', 'deploy')} {name}, {phase}"
    if work is not None:
        return Check("deploy.journal", "deploys", phase, limit, "ok", f"{what}, is under way", during=work.verb)
    status: Status = "warning" if phase == _COMMITTED else "critical"
    return Check("deploy.journal", "deploys", phase, limit, status, f"{what}, was cut short", _SETTLE)


def _last(last: Mapping[str, Any] | Unseen | None, facts: Facts, limit: Limit) -> Check:
    if isinstance(last, Unseen):
        return unknown("deploy.last", "deploys", limit, last, "./stack history says which line is damaged")
    if last is None:
        return Check("deploy.last", "deploys", "none yet", limit, "ok", "nothing was deployed yet")
    outcome = str(last.get("outcome"))
    text = f"the last {last.get('verb')} ended {outcome} at {last.get('ended')}"
    status: Status = "ok"
    if outcome == _DOWN and not _serves(facts):
        status = "critical"
    elif outcome in _TOLD_FOR_A_WHILE and _is_recent(last.get("ended"), facts.at, limit):
        status = "warning"
    hint = "" if status == "ok" else "./stack history tells what happened"
    return Check("deploy.last", "deploys", outcome, limit, status, text, hint)


def _serves(facts: Facts) -> bool:
    health = facts.site.health if facts.site is not None else None
    return isinstance(health, Answer) and health.status == http.client.OK


def _is_recent(ended: Any, now: datetime, limit: Limit) -> bool:
    try:
        return now - datetime.fromisoformat(str(ended)) < timedelta(seconds=limit.factors["recent_s"])
    except (ValueError, TypeError):
        return True
