"""The thresholds, read once and refused whole when a word of them is unknown or missing."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from ops.errors import StackError

FILE = Path(__file__).with_name("thresholds.toml")
_KEYS = {"unit", "expected", "sense", "warning", "critical", "factors", "reason"}

Status = Literal["ok", "warning", "critical", "unknown"]


@dataclass(frozen=True)
class Limit:
    """What one check is held against."""

    unit: str
    reason: str
    expected: str | None = None
    sense: Literal["above", "below"] | None = None
    warning: float | None = None
    critical: float | None = None
    factors: Mapping[str, float] = field(default_factory=dict)

    def grade(self, value: float) -> Status:
        """Judge a number."""
        if self._reached(value, self.critical):
            return "critical"
        return "warning" if self._reached(value, self.warning) else "ok"

    def _reached(self, value: float, level: float | None) -> bool:
        if level is None:
            return False
        return value < level if self.sense == "below" else value >= level


Limits = Mapping[str, Limit]


@cache
def load() -> Limits:
    """Read the file that is shipped. Raises StackError where it was edited into something else."""
    try:
        return parse(FILE.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StackError(f"{FILE}: {error}", "git diff shows what was changed in it") from error


def parse(text: str) -> Limits:
    """Turn the text into types. Raises ValueError naming the check and what is wrong with it."""
    raw = tomllib.loads(text)
    if raw.pop("schema", None) != 1:
        raise ValueError("thresholds: this monitor reads schema 1")
    return {name: _limit(name, entry) for name, entry in raw.items()}


def _limit(name: str, entry: dict[str, Any]) -> Limit:
    if unknown := set(entry) - _KEYS:
        raise ValueError(f"thresholds: {name} has an unknown key {min(unknown)}")
    numbers = {key: entry[key] for key in ("warning", "critical") if key in entry}
    if numbers and entry.get("sense") not in ("above", "below"):
        raise ValueError(f"thresholds: {name} has numbers and no sense, expected above or below")
    if not isinstance(entry.get("unit"), str):
        raise ValueError(f"thresholds: {name} has no unit")
    for key, number in {**{key: entry[key] for key in numbers}, **entry.get("factors", {})}.items():
        if not isinstance(number, int | float) or isinstance(number, bool) or not math.isfinite(number):
            raise ValueError(f"thresholds: {name} has {key} = {number!r}, expected a number")
    if not str(entry.get("reason", "")).strip():
        raise ValueError(f"thresholds: {name} gives no reason")
    return Limit(**entry)
