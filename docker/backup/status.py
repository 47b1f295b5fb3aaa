"""What the host and the site may know of the backups: one JSON file, always whole.

The container has no network; whoever wants to be told reads `status/backup.json`.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from . import health
from .errors import writing
from .repository import Repository, sync_folder, write_synced
from .rotation import TIERS
from .settings import Settings

SCHEMA = 1
_INCIDENTS_KEPT = 20
_FILE_MODE = 0o644  # the site and the host read it, none of it is secret


def publish(
    settings: Settings,
    now: datetime,
    *,
    last_run: dict[str, Any] | None = None,
    incident: tuple[str, str] | None = None,
) -> None:
    """Write the present state; keep what was known of runs and incidents, and add what is new."""
    repository = Repository(settings.backups)
    path = settings.status / health.STATUS_FILE
    with writing(f"status folder {settings.status}"), _alone(settings.status):
        before = health.read_status(settings.status)
        run = last_run or before.get("last_run")
        incidents = list(before.get("incidents") or [])
        if incident is not None:
            incidents = _with(incidents, now, *incident)
        reasons = health.reasons(settings, now, last_run=run, drill=before.get("drill"))
        content = {
            "schema": SCHEMA,
            "updated": now.isoformat(timespec="seconds"),
            "healthy": not reasons,
            "reasons": reasons,
            "max_age_hours": round(settings.max_age.total_seconds() / 3600, 3),
            "newest": _newest(repository, now),
            "tiers": {tier: len(list((repository.root / tier).glob("*.json"))) for tier in TIERS},
            "last_run": run,
            "incidents": incidents,
            "drill": before.get("drill"),
            "free_bytes": shutil.disk_usage(repository.root).free,
        }
        staged = path.with_name(f".{path.name}.part")
        write_synced(staged, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode(), _FILE_MODE)
        staged.rename(path)
        sync_folder(settings.status)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let two commands that end at once not forget each other's incidents."""
    descriptor = os.open(folder / ".backup.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _with(incidents: list[Any], now: datetime, kind: str, message: str) -> list[Any]:
    """Add an incident; one that repeats the newest counts up, so that it cannot push the others out."""
    at = now.isoformat(timespec="seconds")
    newest = incidents[-1] if incidents else None
    if isinstance(newest, dict) and (newest.get("kind"), newest.get("message")) == (kind, message):
        again = {**newest, "times": int(newest.get("times", 1)) + 1, "last": at}
        return [*incidents[:-1], again]
    return [*incidents, {"at": at, "kind": kind, "message": message}][-_INCIDENTS_KEPT:]


def _newest(repository: Repository, now: datetime) -> dict[str, Any] | None:
    stored = repository.newest(now)
    if stored is None or stored.manifest is None:
        return None
    return {
        "name": stored.name,
        "created": stored.manifest.created.isoformat(),
        "tier": stored.tiers[0],
        "bytes": stored.manifest.bytes,
        "rows": sum(stored.manifest.rows.values()),
    }
