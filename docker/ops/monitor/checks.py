"""One judgement of one thing, and what all of them come to."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from ops import words
from ops.monitor.facts import Unseen
from ops.monitor.thresholds import Limit, Status

CODES: dict[Status, int] = {"ok": 0, "warning": 1, "critical": 2, "unknown": 3}
# What is certain comes before what nobody could look at, and that before what can wait.
_WORST_FIRST: tuple[Status, ...] = ("critical", "unknown", "warning", "ok")

Value = str | int | float | None


@dataclass(frozen=True)
class Check:
    """What was found of one subject."""

    id: str
    subject: str
    value: Value  # None: it could not be looked at
    limit: Limit  # with the numbers that held this time
    status: Status
    text: str
    hint: str = ""
    during: str = ""  # the verb of ./stack under way that explains it

    def __post_init__(self) -> None:
        """Make visible what would act on a terminal: texts come from files, containers and answers too."""
        for name in ("subject", "value", "text", "hint", "during"):
            if isinstance(told := getattr(self, name), str):
                object.__setattr__(self, name, words.visible(told))

    @property
    def threshold(self) -> dict[str, Any]:
        """What it was held against."""
        limit = self.limit
        return {
            "expected": limit.expected,
            "sense": limit.sense,
            "warning": limit.warning,
            "critical": limit.critical,
        }

    def excused(self, verb: str) -> "Check":
        """The same, explained by a verb under way: no alarm, and not well either."""
        text = f"{self.text}; `./stack {verb}` is at work"
        return replace(self, status="warning", text=text, hint="", during=verb)


def unknown(name: str, subject: str, limit: Limit, seen: Unseen, hint: str = "") -> Check:
    """Say that something could not be looked at, and why."""
    return Check(name, subject, None, limit, "unknown", seen.reason, hint)


def worst(checks: Iterable[Check]) -> Status:
    """Return what all of them come to; no check at all is no proof of anything."""
    seen = {check.status for check in checks}
    return next((status for status in _WORST_FIRST if status in seen), "unknown")


def ill(checks: Iterable[Check]) -> list[Check]:
    """Return those that are not ok, the worst first."""
    return sorted(
        (check for check in checks if check.status != "ok"), key=lambda check: _WORST_FIRST.index(check.status)
    )
