"""Which alerts a look gives rise to: a pure function of what was known, what was seen, and the time.

An incident is one check of one subject that is not ok. It is raised at the first look that sees it, told once more if
it gets critical, and cleared by two looks in a row that see it well: something that comes and goes stays one incident.
What could not be looked at, or is explained by a verb at work, neither raises nor clears anything. A check that is gone
from the report clears its incident too, but only in a look that saw everything.
"""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from ops.monitor.checks import Check
from ops.monitor.thresholds import Status

CLEARS = 2  # looks in a row

Kind = Literal["raise", "worsen", "clear"]


@dataclass(frozen=True)
class Incident:
    """Something that was raised and not yet cleared."""

    id: str
    check: str
    subject: str
    status: Status  # the worst that was told
    raised: str  # ISO, UTC
    well: int = 0  # looks in a row that saw it well


@dataclass(frozen=True)
class Message:
    """Something that is to be told, once."""

    id: str  # of this message: a receiver that gets it twice can tell
    kind: Kind
    incident: Incident
    at: str
    text: str
    hint: str


@dataclass(frozen=True)
class State:
    """What is remembered between two looks."""

    incidents: tuple[Incident, ...] = ()
    outbox: tuple[Message, ...] = ()  # in the order in which they are to be told


def plan(before: State, checks: Iterable[Check], at: datetime) -> State:
    """Return what is to be remembered, and told, after a look."""
    seen = {(check.id, check.subject): check for check in checks}
    saw_all = all(check.status != "unknown" and not check.during for check in seen.values())
    known = {(one.check, one.subject): one for one in before.incidents}
    told, kept = list(before.outbox), []
    for key, incident in known.items():
        after, message = _next(incident, seen.get(key), saw_all=saw_all, at=at)
        kept += [after] if after is not None else []
        told += [message] if message is not None else []
    for key, check in seen.items():
        if key not in known and _raises(check, seen):
            incident = Incident(_new_id(at), check.id, check.subject, check.status, _stamp(at))
            kept.append(incident)
            told.append(_message("raise", incident, at, check.text, check.hint))
    return State(tuple(kept), tuple(told))


def _raises(check: Check, seen: Mapping[tuple[str, str], Check]) -> bool:
    """Tell whether a check opens an incident: an unknown one only when nothing else is wrong that would explain it."""
    if check.status == "ok" or check.during:
        return False
    return check.status != "unknown" or not any(one.status == "critical" or one.during for one in seen.values())


def _next(
    incident: Incident, check: Check | None, *, saw_all: bool, at: datetime
) -> tuple[Incident | None, Message | None]:
    if check is None:
        if not saw_all:
            return incident, None
        return _well(incident, at, f"{incident.check} is no longer looked at")
    if check.during:
        return incident, None
    if check.status == "ok":
        return _well(incident, at, check.text)
    if check.status == "critical" and incident.status != "critical":
        worse = replace(incident, status="critical", well=0)
        return worse, _message("worsen", worse, at, check.text, check.hint)
    if check.status == "unknown":
        return incident, None
    seen: Status = check.status if incident.status == "unknown" else incident.status
    return replace(incident, status=seen, well=0), None


def _well(incident: Incident, at: datetime, text: str) -> tuple[Incident | None, Message | None]:
    better = replace(incident, well=incident.well + 1)
    return (None, _message("clear", better, at, text, "")) if better.well >= CLEARS else (better, None)


def _message(kind: Kind, incident: Incident, at: datetime, text: str, hint: str) -> Message:
    return Message(f"{incident.id}-{kind}", kind, incident, _stamp(at), text, hint)


def _new_id(at: datetime) -> str:
    return f"i-{at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
