"""Three questions, three answers: does it live, may it take traffic, is it well.

Only *well* writes, because a database that answers every read may refuse every write. The age of the
backup is shown there and never counts: killing or shunning the site makes no backup younger.
"""

import asyncio
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from . import news, schema
from .database import Database
from .doors import Doors
from .errors import Code, Problem
from .logs import Log
from .settings import Settings
from .store import Store

CACHED_S = 1.0  # strangers may ask as often as they like; the database is asked once a second
WRITE_WITHIN_S = 1.2  # below the 1.5 s the probe waits
READ_WITHIN_S = 1.0


@dataclass(frozen=True)
class Answer:
    """A status and what is said with it."""

    status: int
    body: dict[str, Any]


class Health:
    """The three questions, asked of one database."""

    def __init__(self, settings: Settings, database: Database, store: Store, doors: Doors, log: Log) -> None:
        self._settings = settings
        self._doors = doors
        self._database = database
        self._store = store
        self._log = log
        self._started = time.monotonic()
        self._lock = asyncio.Lock()
        self._last: Answer | None = None
        self._asked_at = 0.0
        self._was = ""

    @property
    def uptime(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def live(self) -> Answer:
        """Answer whenever the process can; the database is none of this question's business."""
        return Answer(200, {"status": "alive"})

    async def ready(self) -> Answer:
        """Say whether a reader would be served now."""
        if self._doors.draining():
            return Answer(503, {"status": "closed" if self._doors.closed else "draining"})
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                await self._store.answers()
        except TimeoutError:
            return Answer(503, {"status": "unready", "error": Code.DATABASE_LOCKED})
        except Problem as problem:
            return Answer(503, {"status": "unready", "error": problem.code})
        return Answer(200, {"status": "ready"})

    async def healthy(self) -> Answer:
        """Say whether the site is well, at most a second old."""
        async with self._lock:
            if self._last is None or time.monotonic() - self._asked_at >= CACHED_S:
                self._last = await self._examine()
                self._asked_at = time.monotonic()
            return self._last

    async def _examine(self) -> Answer:
        now: dict[str, Any] = {
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "uptime": round(self.uptime, 1),
        }
        try:
            self._look_at_the_disk()
            async with asyncio.timeout(WRITE_WITHIN_S):
                await self._store.beat()
                seen = await asyncio.to_thread(self._database.fresh_version)
            if seen != schema.VERSION:
                raise Problem(
                    Code.SCHEMA_MISMATCH,
                    detail=f"the database has schema {seen}, the site needs {schema.VERSION}",
                    hint="restart the app: it migrates an older schema; a newer one needs the newer version",
                )
        except TimeoutError:
            problem = Problem(Code.DATABASE_LOCKED, detail=f"no write was done within {WRITE_WITHIN_S} s")
        except Problem as met:
            problem = met
        except Exception as error:
            self._log.error("health_not_examined", error)
            problem = Problem(Code.INTERNAL, detail=type(error).__name__)
        else:
            self._note("healthy")
            about = {"version": self._settings.version, "schema": seen, "backup": self._backup()}
            return Answer(200, {"status": "healthy", **now, **about})
        self._note(problem.code, problem)
        return Answer(500, {"status": "unhealthy", "error": problem.code, **now})

    def _look_at_the_disk(self) -> None:
        floor = self._settings.disk_floor_bytes
        for folder in (self._settings.data, self._settings.uploads):
            try:
                seen = os.statvfs(folder)
            except OSError as error:
                missing = Code.DATABASE_MISSING if folder == self._settings.data else Code.INTERNAL
                raise Problem(missing, detail=str(error), hint=f"mount {folder}") from None
            free = seen.f_bavail * seen.f_frsize
            if free < floor or (seen.f_files and seen.f_favail == 0):
                raise Problem(
                    Code.DISK_FULL,
                    detail=f"{free} bytes and {seen.f_favail} inodes free under {folder}, the floor is {floor} bytes",
                    hint="free some space, or lower MONSITE_DISK_FLOOR_MB",
                )

    def _note(self, state: str, problem: Problem | None = None) -> None:
        """Log a change of health once, not every second."""
        if state == self._was:
            return
        self._was = state
        if problem is None:
            self._log.info("health_changed", health=state)
        else:
            self._log.error("health_changed", health=state, detail=problem.detail, hint=problem.hint)

    def _backup(self) -> dict[str, Any] | None:
        """Tell how old the newest snapshot is, as the backup service published it; None where it did not."""
        try:
            known = news.read(self._settings.status)
        except news.Unreadable:
            return None
        name, created = known.newest or (None, None)
        return {"healthy": known.healthy, "newest": name, "age_s": round(news.age(created)) if created else None}
