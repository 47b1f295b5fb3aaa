"""The loop of the container: when the newest snapshot is one interval old, start a run.

Each run is a process of its own. So the loop stays small in memory, ends within a second whatever a run is doing
(every run may be killed at any instant), and a run that dies takes nothing with it.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

from . import database, errors, status
from .logs import Log, channel
from .repository import Repository
from .settings import Settings

_TICK_S = 1.0
_FIRST_START = timedelta(seconds=60)  # how long a missing database is a start and not yet a loss
_LOOK_EVERY = timedelta(seconds=30)  # how often manifests and status are looked at while nothing is due
_RETRY_FIRST, _RETRY_MOST = timedelta(seconds=30), timedelta(hours=1)
_BUSY_RETRY = timedelta(seconds=5)


def retry_after(failures: int) -> timedelta:
    """Return the pause after so many failures in a row: doubled each time, one hour at most."""
    doublings = max(0, min(failures - 1, 10))
    return min(_RETRY_FIRST * (1 << doublings), _RETRY_MOST)


def is_due(newest: datetime | None, interval: timedelta, now: datetime) -> bool:
    """Whether a snapshot is to be taken: however many were missed, it is one."""
    return newest is None or now - newest >= interval


class Schedule:
    """What the loop remembers between two looks; all that matters is in the manifests."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.repository = Repository(settings.backups)
        self.log = Log(channel(own_stdout=True), settings.log_level, run="schedule")
        self.stopping = threading.Event()
        self.started = time.monotonic()
        self.failures = 0
        self.not_before = 0.0  # on the monotonic clock: stepping the clock neither hurries nor stalls a retry

    def run(self) -> int:
        """Loop until asked to stop."""
        for wanted in (signal.SIGTERM, signal.SIGINT):
            signal.signal(wanted, lambda *_: self.stopping.set())
        self.log.event(
            "started",
            interval_hours=self.settings.interval.total_seconds() / 3600,
            compression=self.settings.compression,
        )
        while not self.stopping.is_set():
            self.stopping.wait(self._step().total_seconds())
        self.log.event("stopped")
        return errors.OK

    def _step(self) -> timedelta:
        """Do what is due and return how long to wait before the next look."""
        now = datetime.now(UTC)
        pause = self.not_before - time.monotonic()
        if pause > 0:
            return min(timedelta(seconds=pause), timedelta(seconds=_TICK_S))
        stored = self.repository.newest(now)
        newest = stored.manifest.created if stored is not None and stored.manifest is not None else None
        if not is_due(newest, self.settings.interval, now):
            self._publish(now)
            due_in = self.settings.interval - (now - newest) if newest is not None else _LOOK_EVERY
            return max(min(due_in, _LOOK_EVERY), timedelta(seconds=0.1))
        if self._is_starting() and not database.is_populated(self.settings.database):
            return timedelta(seconds=_TICK_S)
        self._note(self._run_once())
        return timedelta(0)

    def _is_starting(self) -> bool:
        return time.monotonic() - self.started < _FIRST_START.total_seconds()

    def _publish(self, now: datetime) -> None:
        try:
            status.publish(self.settings, now)
        except (errors.BackupError, OSError) as refused:
            self.log.event("status-failed", level="error", error=str(refused))

    def _run_once(self) -> int:
        argv = [sys.executable, "-m", "backup", "now", "--scheduled"]
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, process_group=0) as run:
            while run.poll() is None:
                if self.stopping.wait(0.1):
                    self._abort(run)
        return run.returncode

    def _abort(self, run: subprocess.Popen[bytes]) -> None:
        """Kill the run and what it started, and tidy up after it."""
        _kill_group(run.pid)
        run.wait()
        try:
            with self.repository.locked():
                self.log.event("aborted", reason="asked to stop")
        except errors.BackupError as refused:
            self.log.event("aborted", reason="asked to stop", left=refused.message)

    def _note(self, code: int) -> None:
        if self.stopping.is_set():
            return
        if code == errors.OK:
            self.failures = 0
        elif code == errors.Busy.code:
            self._wait(_BUSY_RETRY)
        else:
            self.failures += 1
            self._wait(retry_after(self.failures))

    def _wait(self, pause: timedelta) -> None:
        self.not_before = time.monotonic() + pause.total_seconds()


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it may have ended by itself just now
        os.killpg(leader, signal.SIGKILL)
