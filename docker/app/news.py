"""What the backup service last published, as types. None of its words is passed on: they name folders and files."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

FILE = "backup.json"
FILE_BYTES = 256 * 1024
TIERS = {"daily": timedelta(days=1), "weekly": timedelta(days=7), "monthly": timedelta(days=31)}


class Unreadable(Exception):  # noqa: N818 - read where it is raised, the name says enough
    """Nothing was published, or it cannot be read or believed."""


@dataclass(frozen=True)
class Tier:
    """The snapshots of one tier."""

    name: str
    count: int
    newest: datetime | None  # when the newest that counts was made; None where none does
    read: datetime | None  # when every byte of that one was last read
    due: timedelta  # the newest should not be older than this


@dataclass(frozen=True)
class Drill:
    """One restore that was tried beside the site."""

    at: datetime
    passed: bool
    took_s: float


@dataclass(frozen=True)
class News:
    """The state of the backups as it was published."""

    updated: datetime
    healthy: bool
    newest: tuple[str, datetime] | None
    tiers: tuple[Tier, ...]
    drills: tuple[Drill, ...]  # newest first
    free_bytes: int | None


def read(folder: Path) -> News:
    """Read what was published; raises Unreadable."""
    try:
        with (folder / FILE).open("rb") as file:
            return _news(json.loads(file.read(FILE_BYTES)))
    except FileNotFoundError:
        raise Unreadable("nothing was published yet") from None
    except OSError as error:
        raise Unreadable(str(error)) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from None


def age(of: datetime) -> float:
    """Return seconds since then; what is of the future is new."""
    return max(0.0, (datetime.now(UTC) - of).total_seconds())


def _news(published: Mapping[str, Any]) -> News:
    newest = published["newest"]
    drills = [_drill(one) for one in published.get("drills") or []]
    free = published.get("free_bytes")
    return News(
        updated=_time(published["updated"]),
        healthy=published["healthy"] is True,
        newest=None if newest is None else (str(newest["name"]), _time(newest["created"])),
        tiers=tuple(_tier(name, published) for name in TIERS),
        drills=tuple(sorted(drills, key=lambda one: one.at, reverse=True)),
        free_bytes=None if free is None else int(free),
    )


def _tier(name: str, published: Mapping[str, Any]) -> Tier:
    newest = (published.get("newest_of") or {}).get(name)
    read_at = None if newest is None else (published.get("checked") or {}).get(newest["name"])
    return Tier(
        name=name,
        count=int((published.get("tiers") or {}).get(name, 0)),
        newest=None if newest is None else _time(newest["created"]),
        read=None if read_at is None else _time(read_at),
        # a tier's newest may be as old as its period is long, and then as late as any snapshot may be
        due=TIERS[name] - TIERS["daily"] + timedelta(hours=float(published.get("max_age_hours") or 24)),
    )


def _drill(record: Mapping[str, Any]) -> Drill:
    return Drill(_time(record["at"]), record["outcome"] == "success", float(record.get("duration_s") or 0))


def _time(text: str) -> datetime:
    """Read a time; one without an offset cannot be told from another."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text} has no offset")
    return found
