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
    return reasons(settings, now, last_run=status.get("last_run"), drill=status.get("drill"))


def reasons(settings: Settings, now: datetime, *, last_run: object, drill: object) -> list[str]:
    """Judge by the manifests' own times, the last run, the last drill and the free space."""
    repository = Repository(settings.backups)
    try:
        found = list(_of_newest(repository, settings.max_age, now))
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


def _of_newest(repository: Repository, max_age: timedelta, now: datetime) -> list[str]:
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
    return [*found, "there is no verified snapshot yet"]


def _hours(span: timedelta) -> str:
    return f"{span.total_seconds() / 3600:.1f} h"
