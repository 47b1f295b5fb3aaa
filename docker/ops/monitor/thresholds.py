"""The thresholds, read once and refused whole when a word of them is unknown or missing."""

import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from ops.errors import StackError

FILE = Path(__file__).with_name("thresholds.toml")
_SHOWN = 8

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


@dataclass(frozen=True)
class Form:
    """What stands in the file under the name of a check, because the rules ask for it."""

    kind: Literal["word", "number", "reckoned", "span"]  # reckoned: its numbers come of the factors alone
    factors: tuple[str, ...] = ()

    @property
    def needed(self) -> set[str]:
        """The keys that it cannot do without."""
        held = {"word": {"expected"}, "number": {"sense"}, "reckoned": {"sense"}, "span": set[str]()}[self.kind]
        return {"unit", "reason"} | held | ({"factors"} if self.factors else set())

    @property
    def levels(self) -> set[str]:
        """The keys of which it has one at least."""
        return {"warning", "critical"} if self.kind == "number" else set()


FORMS: Mapping[str, Form] = {
    "stack.there": Form("word"),
    "monitor.file": Form("word"),
    "engine.answers": Form("word"),
    "service.state": Form("word"),
    "service.health": Form("word", ("starting_s",)),
    "service.restarts": Form("number", ("window_s",)),
    "service.oom_kills": Form("number"),
    "service.memory": Form("number"),
    "service.pids": Form("number"),
    "site.gate": Form("word"),
    "site.health": Form("word"),
    "site.time": Form("number"),
    "site.ready": Form("word"),
    "database.file": Form("word"),
    "folders.owner": Form("word"),
    "database.wal": Form("number"),
    "disk.free": Form("reckoned", ("critical_floors", "warning_floors", "warning_databases", "warning_share")),
    "disk.names": Form("number"),
    "errors.recent": Form("number"),
    "heals.recent": Form("number", ("window_s",)),
    "backup.published": Form("number"),
    "backup.newest": Form("reckoned", ("warning_ages", "critical_ages")),
    "backup.weekly": Form("number", ("warning_ages",)),
    "backup.monthly": Form("number", ("warning_ages",)),
    "backup.run": Form("word"),
    "backup.well": Form("word"),
    "backup.history": Form("word"),
    "backup.uploads": Form("word"),
    "drill.run": Form("word"),
    "drill.age": Form("reckoned", ("warning_intervals",)),
    "deploy.journal": Form("word"),
    "deploy.last": Form("word", ("recent_s",)),
    "work": Form("span", ("excused_s",)),
}


@cache
def load() -> Limits:
    """Read the file that is shipped. Raises StackError where it was edited into something else."""
    step = f"git diff {FILE} shows what was changed in it, git restore {FILE} undoes that"
    try:
        return parse(FILE.read_text(encoding="utf-8"))
    except OSError as error:
        raise StackError(f"{FILE} cannot be read: {error.strerror}", step) from error
    except ValueError as error:
        raise StackError(f"{FILE}: {error}", step) from error


def parse(text: str) -> Limits:
    """Turn the text into types. Raises ValueError naming the check, what is wrong with it and what was seen."""
    raw = tomllib.loads(text)
    if (schema := raw.pop("schema", None)) != 1:
        raise ValueError(f"schema is {schema!r}, this monitor reads schema 1")
    _compare("the file", "check", raw, FORMS)
    return {name: _limit(name, raw[name], form) for name, form in FORMS.items()}


def _limit(name: str, entry: Any, form: Form) -> Limit:
    _compare(name, "key", _table(name, entry), form.needed, form.levels)
    factors = _table(f"{name}.factors", entry.get("factors", {}))
    _compare(name, "factor", factors, form.factors)
    levels = {key: entry[key] for key in sorted(form.levels & entry.keys())}
    if form.levels and not levels:
        raise ValueError(f"{name} has neither warning nor critical, and would never be ill")
    for key, number in {**levels, **factors}.items():
        if not isinstance(number, int | float) or isinstance(number, bool) or not math.isfinite(number):
            raise ValueError(f"{name} has {key} = {number!r:.60}, expected a number")
    for key in sorted(entry.keys() - levels.keys() - {"factors"}):
        if not isinstance(entry[key], str):
            raise ValueError(f"{name} has {key} = {entry[key]!r:.60}, expected a text")
    if entry.get("sense", "above") not in ("above", "below"):
        raise ValueError(f"{name} has sense = {entry['sense']!r:.60}, expected above or below")
    if not entry["reason"].strip():
        raise ValueError(f"{name} gives no reason")
    return Limit(**entry)


def _table(name: str, seen: Any) -> dict[str, Any]:
    if not isinstance(seen, dict):
        raise ValueError(f"{name} is {seen!r:.60}, expected a table")
    return seen


def _compare(where: str, what: str, seen: Iterable[str], needed: Iterable[str], allowed: Iterable[str] = ()) -> None:
    """Raise ValueError for what is there and means nothing, or is missing: nothing else would be judged by it."""
    unknown, missing = sorted({*seen} - {*needed, *allowed}), sorted({*needed} - {*seen})
    if unknown:
        raise ValueError(f"{where} has an unknown {what} {unknown[0]}, lacks: {_told({*needed, *allowed} - {*seen})}")
    if missing:
        raise ValueError(f"{where} has no {what} {missing[0]}, seen: {_told(seen)}")


def _told(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered) or "none" if len(ordered) <= _SHOWN else f"{len(ordered)} others"
