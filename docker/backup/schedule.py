"""The loop of the container: a snapshot each interval, and each week a look at every byte and a drill.

What is due follows from the manifests and from what was published of earlier looks, so a restart neither skips nor
doubles anything. Each run is a process of its own: the loop stays small in memory, ends within a second whatever a
run is doing (every run may be killed at any instant), and a run that dies takes nothing with it.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from . import database, errors, health, leftovers, rehearsal, status
from .logs import Log, channel
from .repository import Repository
from .rotation import TOLERANCE
from .settings import Settings

_TICK_S = 1.0
_FIRST_START = timedelta(seconds=60)  # how long a missing database is a start and not yet a loss
_LOOK_EVERY = timedelta(seconds=30)  # how often manifests and status are looked at while nothing is due
_RETRY_FIRST, _RETRY_MOST = timedelta(seconds=30), timedelta(hours=1)
_BUSY_RETRY = timedelta(seconds=5)
_FIRST_PROOF = timedelta(hours=1)  # after the oldest snapshot: a new site is first left in peace


def retry_after(failures: int) -> timedelta:
    """Return the pause after so many failures in a row: doubled each time, one hour at most."""
    doublings = max(0, min(failures - 1, 10))
    return min(_RETRY_FIRST * (1 << doublings), _RETRY_MOST)


def snapshot_due(newest: datetime | None, interval: timedelta, now: datetime) -> datetime:
    """Return when a snapshot is to be taken: however many were missed, it is one."""
    return now if newest is None else newest + interval


def proof_due(last: object, oldest: datetime | None, interval: timedelta, now: datetime) -> datetime | None:
    """Return when a look at what is stored is to be taken again; None while there is nothing to look at.

    `last` is what was published of the one before. One that failed is due at once, one dated in the future was made
    by a clock that erred and does not count.
    """
    if oldest is None:
        return None
    at = status.at_of(last)
    if at is None or at > now + TOLERANCE:
        return oldest + min(_FIRST_PROOF, interval)
    return now if isinstance(last, dict) and last.get("outcome") == "failure" else at + interval


@dataclass
class Job:
    """One thing that is done again and again, and how its last runs went."""

    verb: str
    due: Callable[[datetime], datetime | None]
    well: tuple[int, ...] = (errors.OK,)  # codes that need no second try
    failures: int = 0
    not_before: float = 0.0  # on the monotonic clock: stepping the clock neither hurries nor stalls a retry

    def wait_for(self, now: datetime) -> timedelta | None:
        """Return how long until it is to be run; None where nothing can be said yet."""
        due = self.due(now)
        if due is None:
            return None
        return max(due - now, timedelta(seconds=self.not_before - time.monotonic()), timedelta(0))

    def note(self, code: int) -> None:
        """Take down how a run ended."""
        if code in self.well:
            self.failures = 0
            return
        pause = _BUSY_RETRY
        if code != errors.Busy.code:
            self.failures += 1
            pause = retry_after(self.failures)
        self.not_before = time.monotonic() + pause.total_seconds()


class Schedule:
    """What the loop remembers between two looks; all that matters is on disk."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.repository = Repository(settings.backups)
        self.log = Log(channel(own_stdout=True), settings.log_level, run="schedule")
        self.stopping = threading.Event()
        self.started = time.monotonic()
        self.jobs = (
            Job("now", self._snapshot_due),
            # What it finds damaged is told, and reading it again in a minute would find the same.
            Job("verify", lambda now: self._proof_due("verified", now), well=(errors.OK, errors.Damaged.code)),
            Job("drill", lambda now: self._proof_due("drill", now)),
        )

    def run(self) -> int:
        """Loop until asked to stop."""
        for wanted in (signal.SIGTERM, signal.SIGINT):
            signal.signal(wanted, lambda *_: self.stopping.set())
        self.log.event(
            "started",
            interval_hours=self.settings.interval.total_seconds() / 3600,
            drill_interval_hours=self.settings.drill_interval.total_seconds() / 3600,
            compression=self.settings.compression,
        )
        self._tidy()
        while not self.stopping.is_set():
            self.stopping.wait(self._survived_step().total_seconds())
        self.log.event("stopped")
        return errors.OK

    def _survived_step(self) -> timedelta:
        """Go on after whatever a look met with: the next one comes, and what is wrong is told each time."""
        try:
            return self._step()
        except Exception as failed:
            self.log.event("step-failed", level="error", error=f"{type(failed).__name__}: {failed}")
            return _LOOK_EVERY

    def _step(self) -> timedelta:
        """Do what is due first and return how long to wait before the next look."""
        now = datetime.now(UTC)
        waits = []
        for job in self.jobs:
            wait = job.wait_for(now)
            if wait is None:
                continue
            if wait > timedelta(0):
                waits.append(wait)
                continue
            if job.verb == "now" and self._is_starting() and not database.is_populated(self.settings.database):
                return timedelta(seconds=_TICK_S)
            self._note(job, self._run(job.verb))
            return timedelta(0)
        status.try_to_publish(self.settings, now, self.log)
        return max(min([*waits, _LOOK_EVERY]), timedelta(seconds=0.1))

    def _snapshot_due(self, now: datetime) -> datetime:
        try:
            stored = self.repository.newest(now)
        except errors.Unwritable:
            return now  # the run meets with the same, and tells it
        newest = stored.manifest.created if stored is not None and stored.manifest is not None else None
        return snapshot_due(newest, self.settings.interval, now)

    def _proof_due(self, record: str, now: datetime) -> datetime | None:
        last = health.read_status(self.settings.status).get(record)
        try:
            oldest = self.repository.oldest(now)
        except errors.Unwritable:
            return None
        return proof_due(last, oldest, self.settings.drill_interval, now)

    def _is_starting(self) -> bool:
        return time.monotonic() - self.started < _FIRST_START.total_seconds()

    def _run(self, verb: str) -> int:
        argv = [sys.executable, "-m", "backup", verb, "--scheduled"]
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, process_group=0) as run:
            while run.poll() is None:
                if self.stopping.wait(0.1):
                    self._abort(run)
        return run.returncode

    def _abort(self, run: subprocess.Popen[bytes]) -> None:
        """Kill the run and what it started, and tidy up after it."""
        _kill_group(run.pid)
        run.wait()
        self.log.event("aborted", reason="asked to stop", left=self._tidy())

    def _tidy(self) -> str | None:
        """Remove what a killed run left, here and in scratch/; return why that could not be."""
        try:
            with self.repository.locked("schedule"):
                # or the service drill goes on with what nobody waits for
                rehearsal.clear(self.settings, hurried=self.stopping.is_set)
                leftovers.sweep(self.settings)
        except errors.BackupError as refused:  # the next run has the same to say, and says it
            return refused.message
        return None

    def _note(self, job: Job, code: int) -> None:
        if not self.stopping.is_set():
            job.note(code)


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it may have ended by itself just now
        os.killpg(leader, signal.SIGKILL)
