"""Times, spans, sizes and counts as people read them; pure functions."""

import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

_NOT_THE_USERS = {"heartbeat"}  # a table of the site's own, which says nothing about what people wrote
_ACTS = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # moves the cursor, turns the reading direction, hides, or breaks the line
_PICTURES = 0x2400  # U+2400 to U+241F show the control characters


def moment(told: str) -> str:
    """Return an ISO time in UTC, with its offset."""
    return datetime.fromisoformat(told).astimezone(UTC).isoformat(sep=" ", timespec="seconds")


def since(told: str, now: datetime) -> str:
    """Return how long before `now` an ISO time was."""
    return span(now - datetime.fromisoformat(told))


def age(told: str) -> str:
    """Return how long ago an ISO time was."""
    return since(told, datetime.now(UTC))


def span(length: timedelta) -> str:
    """Return a length of time in the largest unit of which there are two."""
    seconds = max(0, int(length.total_seconds()))
    for unit, unit_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * unit_s:
            return f"{seconds // unit_s} {unit}"
    return f"{seconds} s"


def visible(text: str) -> str:
    """Return a text as one line in which nothing acts on a terminal: what would becomes a mark that shows it."""
    return "".join(_mark(char) if unicodedata.category(char) in _ACTS else char for char in text)


def _mark(char: str) -> str:
    return chr(_PICTURES + ord(char)) if char < " " else f"⟨U+{ord(char):04X}⟩"


def size(count: int) -> str:
    """Return bytes in the unit that fits."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def rows(counts: Mapping[str, int]) -> str:
    """Return row counts per table."""
    return ", ".join(f"{count} {table}" for table, count in sorted(counts.items()) if table not in _NOT_THE_USERS)


def changes(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """Return row counts per table, then and now."""
    tables = sorted((before.keys() | after.keys()) - _NOT_THE_USERS)
    return ", ".join(f"{table} {before.get(table, 0)} → {after.get(table, 0)}" for table in tables)
