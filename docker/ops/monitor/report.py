"""A look and what it came to: what every form of telling begins with."""

from dataclasses import dataclass

from ops.monitor import thresholds
from ops.monitor.checks import CODES, Check, worst
from ops.monitor.facts import Facts
from ops.monitor.judge import judge
from ops.monitor.look import look
from ops.monitor.thresholds import Status
from ops.settings import Settings


@dataclass(frozen=True)
class Report:
    """What was seen, judged."""

    facts: Facts
    checks: tuple[Check, ...]

    @property
    def status(self) -> Status:
        """What all checks come to."""
        return worst(self.checks)

    @property
    def code(self) -> int:
        """The exit code that says so."""
        return CODES[self.status]


def take(settings: Settings, before: Facts | None = None) -> Report:
    """Look once, and judge.

    Raises StackError where the thresholds are not whole, or the containers are of a stack under another root.
    """
    limits = thresholds.load()
    facts = look(settings, before)
    return Report(facts, tuple(judge(facts, limits)))
