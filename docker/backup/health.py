"""Is there a fresh, verified snapshot? Never: does a process exist.

Docker asks every ten seconds, so this imports little and reads one manifest in the usual case. Unhealthy is a
message to people; nothing is ever restarted for it.
"""

import json
import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from .errors import NoSuchSnapshot, Unwritable
from .manifest import SAFETY
from .repository import Repository
from .rotation import TOLERANCE, Snapshot, plan
from .settings import Settings

STATUS_FILE = "backup.json"
_PUBLISHED_WITHIN = timedelta(seconds=60)  # after a snapshot: rotation comes between, and the schedule looks each 30 s
_KINDS: dict[str, type] = {
    **dict.fromkeys(
        ("last_run", "drill", "newest", "newest_of", "tiers", "checked", "lost_history", "last_restore", "uploads"),
        dict,
    ),
    **dict.fromkeys(("incidents", "drills"), list),
}


def read_status(folder: Path) -> dict[str, Any]:
    """Return the last published state, or nothing where there is none that can be read."""
    return look_at_status(folder)[0]


def look_at_status(folder: Path) -> tuple[dict[str, Any], str | None]:
    """Return the last published state, and what is wrong with the file if anything; a missing one is only empty."""
    try:
        content = json.loads((folder / STATUS_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, None
    except OSError as refused:
        return {}, refused.strerror
    except ValueError:
        return {}, "it is damaged"
    if not isinstance(content, dict) or any(
        not isinstance(content.get(key), kind | None) for key, kind in _KINDS.items()
    ):
        return {}, "it is damaged"
    return content, None


def check(settings: Settings, now: datetime) -> list[str]:
    """Return why the backups are not well; nothing where they are."""
    status, problem = look_at_status(settings.status)
    repository = Repository(settings.backups)
    lost = history_lost(status, repository, settings, now) or lost_before(status.get("lost_history"))
    found = reasons(settings, now, last_run=status.get("last_run"), drill=status.get("drill"), lost=lost)
    path = settings.status / STATUS_FILE
    if problem is not None:
        found.append(f"their state cannot be read: {path}: {problem}")
    elif not os.access(settings.status, os.W_OK | os.X_OK) or _is_stale(status, repository, now):
        found.append(f"their state cannot be published: {path} is of {status.get('updated') or 'no time'}")
    return found


def _is_stale(status: Mapping[str, Any], repository: Repository, now: datetime) -> bool:
    """Whether a snapshot has long ended that the published state knows nothing of: every run publishes at its end."""
    known = status.get("newest")
    name = str(known.get("name")) if isinstance(known, Mapping) else ""
    try:
        if name in repository.names()[:1]:
            return False
        newest = repository.newest(now)
    except Unwritable:
        return False
    made = newest.manifest if newest is not None else None
    if made is None or made.name <= name:
        return False
    return now - made.created > timedelta(seconds=made.duration_s) + _PUBLISHED_WITHIN


def history_lost(status: Mapping[str, Any], repository: Repository, settings: Settings, now: datetime) -> str | None:
    """Return the newest snapshot that was known, where that and all before it are found to be gone.

    Others may stand there that were taken while nothing could be published: it is then lost if rotation had kept it.
    """
    newest = status.get("newest")
    if not isinstance(newest, Mapping):
        return None
    name = str(newest.get("name"))
    try:
        names = repository.names()
        if not names:
            return name
        if name in names:
            return None
        there = repository.for_plan()
        known = Snapshot(name, datetime.fromisoformat(str(newest.get("created"))))
    except (Unwritable, ValueError):
        return None  # a folder that cannot be looked into is not an empty one
    if any(one.created <= known.created for one in there):
        return None
    kept = plan([known, *there], settings.policy, now).keep
    return name if any(name in of_tier for of_tier in kept.values()) else None


def lost_before(lost: object) -> str | None:
    """Return the same from the record of a loss that was found earlier."""
    return str(lost.get("newest")) if isinstance(lost, Mapping) else None


def told_of_loss(newest: str) -> str:
    """Say that every snapshot is gone."""
    return f"every snapshot up to {newest} is gone from the backups folder"


def reasons(
    settings: Settings, now: datetime, *, last_run: object, drill: object, lost: str | None = None
) -> list[str]:
    """Judge by the manifests' own times, the last run, the last drill, a loss of all, and the free space."""
    repository = Repository(settings.backups)
    try:
        found = _of_newest(repository, settings.max_age, now, lost)
    except Unwritable as refused:
        found = [refused.message]
    if isinstance(last_run, Mapping) and last_run.get("outcome") == "failure":
        found.append(f"the last run failed: {last_run.get('error')}")
    if isinstance(drill, Mapping) and drill.get("outcome") == "failure":
        found.append(f"the last drill failed: {drill.get('error')}")
    space = os.statvfs(settings.backups)
    if space.f_bavail * space.f_frsize < settings.floor_bytes:
        free_mb = space.f_bavail * space.f_frsize // (1024 * 1024)
        found.append(f"{free_mb} MiB are free for backups, below {settings.floor_bytes // (1024 * 1024)}")
    return found


def _of_newest(repository: Repository, max_age: timedelta, now: datetime, lost: str | None) -> list[str]:
    found = []
    for name in repository.names():  # newest first by name, so the first believed one nearly always decides
        try:
            stored = repository.look(name)
        except NoSuchSnapshot:
            continue  # it left between the two looks, by whoever holds the lock
        made = stored.manifest
        if made is None or stored.problem is not None:
            found.append(f"{name} is not whole: {stored.problem}")
            continue
        if not made.verified:
            found.append(f"{name} failed a verification")
            continue
        if made.kind == SAFETY or made.created > now + TOLERANCE:
            continue
        age = now - made.created
        if age > max_age:
            found.append(f"the newest verified snapshot, {name}, is {_hours(age)} old; at most {_hours(max_age)}")
        return found
    if lost is not None and not found:
        return [told_of_loss(lost)]
    return [*found, "there is no verified snapshot yet"]


def _hours(span: timedelta) -> str:
    return f"{span.total_seconds() / 3600:.1f} h"
