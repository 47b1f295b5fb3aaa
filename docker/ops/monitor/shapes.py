"""The shapes of what the keeper and the deploys write down: what does not fit is named, and goes no further."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from ops.monitor.inside import TIERS

_LONGEST_H = 1e6
_SHOWN_CHARS = 60


@dataclass(frozen=True)
class Kind:
    """A value of one kind."""

    expected: str  # in words
    fits: Callable[[Any], bool]


@dataclass(frozen=True)
class Maybe:
    """Something that may be null or missing."""

    shape: "Shape"


@dataclass(frozen=True)
class Each:
    """A list of things of one shape."""

    shape: "Shape"


Shape: TypeAlias = "Kind | Maybe | Each | Mapping[str, Shape]"


def _is_time(told: Any) -> bool:
    try:
        at = datetime.fromisoformat(told)
        return at.utcoffset() is not None and at.astimezone(UTC) == at
    except (TypeError, ValueError, OverflowError):
        return False


def _is_age(told: Any) -> bool:
    return isinstance(told, int | float) and not isinstance(told, bool) and 0 < told <= _LONGEST_H


TEXT = Kind("a text", lambda told: isinstance(told, str))
FLAG = Kind("true or false", lambda told: isinstance(told, bool))
HOURS = Kind("hours", _is_age)
TIME = Kind("a time with its offset", _is_time)

_SNAPSHOT: Shape = {"name": TEXT, "created": TIME}
_RUN: Shape = {"outcome": TEXT, "error": Maybe(TEXT)}
_DRILL: Shape = {"at": TIME, "outcome": TEXT, "name": Maybe(TEXT), "error": Maybe(TEXT)}
PUBLISHED: Shape = {
    "updated": TIME,
    "healthy": FLAG,
    "reasons": Maybe(Each(TEXT)),
    "max_age_hours": HOURS,
    "newest": Maybe(_SNAPSHOT),
    "newest_of": Maybe({tier: Maybe(_SNAPSHOT) for tier in TIERS}),
    "last_run": Maybe(_RUN),
    "lost_history": Maybe({"newest": TEXT, "at": TIME}),
    "uploads": Maybe({"warnings": Maybe(Each(TEXT))}),
    "warnings": Maybe(Each(TEXT)),
    "incidents": Maybe(Each({"at": TIME, "kind": TEXT, "message": TEXT})),
    "drill": Maybe(_DRILL),
    "drills": Maybe(Each(_DRILL)),
}
DEED: Shape = {"verb": TEXT, "outcome": TEXT, "ended": TEXT}  # a line of the history
JOURNAL: Shape = {"id": TEXT, "verb": Maybe(TEXT), "phase": TEXT}


def fault(told: Any, shape: Shape, name: str = "it") -> str | None:
    """Return what does not fit first: what it is called, what was seen and what is expected; None where all fits."""
    if isinstance(shape, Maybe):
        return None if told is None else fault(told, shape.shape, name)
    if isinstance(shape, Kind):
        return None if shape.fits(told) else _unfit(name, told, shape.expected)
    if isinstance(shape, Each):
        if not isinstance(told, list):
            return _unfit(name, told, "a list")
        parts = [(one, shape.shape, f"{name}[{number}]") for number, one in enumerate(told)]
    else:
        if not isinstance(told, dict):
            return _unfit(name, told, "an object")
        above = "" if name == "it" else f"{name}."
        parts = [(told.get(key), inner, f"{above}{key}") for key, inner in shape.items()]
    return next((found for part in parts if (found := fault(*part)) is not None), None)


def _unfit(name: str, told: Any, expected: str) -> str:
    return f"{name} is {told!r:.{_SHOWN_CHARS}}, expected {expected}"
