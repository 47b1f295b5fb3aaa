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
from .rotation import TOLERANCE
from .settings import Settings

STATUS_FILE = "backup.json"


def read_status(folder: Path) -> dict[str, Any]:
    """Return the last published state, or nothing where there is none that can be read."""
    try:
        content = json.loads((folder / STATUS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # it is written anew after every run; what counts is read from the manifests
    return content if isinstance(content, dict) else {}


def check(settings: Settings, now: datetime) -> list[str]:
    """Return why the backups are not well; nothing where they are."""
    status = read_status(settings.status)
    lost = history_lost(status, Repository(settings.backups)) or lost_before(status)
    return reasons(settings, now, last_run=status.get("last_run"), drill=status.get("drill"), lost=lost)


def history_lost(status: Mapping[str, Any], repository: Repository) -> str | None:
    """Return the newest snapshot that was known, where the folder is found to hold none at all any more."""
    newest = status.get("newest")
    try:
        return str(newest.get("name")) if isinstance(newest, Mapping) and not repository.names() else None
    except Unwritable:
        return None  # a folder that cannot be looked into is not an empty one


def lost_before(status: Mapping[str, Any]) -> str | None:
    """Return the same of a loss that was found earlier."""
    lost = status.get("lost_history")
    return str(lost.get("newest")) if isinstance(lost, Mapping) else None


def told_of_loss(newest: str) -> str:
    """Say that every snapshot is gone."""
    return f"every snapshot is gone from the backups folder; the newest that was known is {newest}"


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
