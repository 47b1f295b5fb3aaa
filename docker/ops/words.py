"""Times, spans, sizes and counts as people read them; pure functions."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

_NOT_THE_USERS = {"heartbeat"}  # a table of the site's own, which says nothing about what people wrote


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
