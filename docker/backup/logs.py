"""One JSON line per event.

The schedule and the runs it starts own the container's stdout. A command somebody types must keep its own
stdout for its answer, so its events go to the container's log through PID 1, and to stderr where there is no
such log.
"""

import json
import os
import secrets
import stat
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

_CONTAINER_LOG = Path("/proc/1/fd/1")
_CONTAINER_MARK = Path("/.dockerenv")  # on a bare host PID 1 is somebody else's, and its stdout not ours

LEVELS = ("debug", "info", "warning", "error")  # each with all that follow it

Emit = Callable[[str], None]


def _to_stdout(line: str) -> None:
    print(line, flush=True)


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _to_container_log(line: str) -> None:
    try:
        descriptor = os.open(_CONTAINER_LOG, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        _to_stderr(line)  # a log driver may hand PID 1 something that cannot be opened twice
        return
    with os.fdopen(descriptor, "w", encoding="utf-8") as log:
        log.write(line + "\n")


def channel(*, own_stdout: bool) -> Emit:
    """Choose where the events of this process go."""
    if own_stdout:
        return _to_stdout
    try:
        log = _CONTAINER_LOG.stat()
        mine = os.fstat(sys.stdout.fileno())
    except (OSError, ValueError):
        return _to_stderr
    ours = _CONTAINER_MARK.exists() and (stat.S_ISFIFO(log.st_mode) or stat.S_ISREG(log.st_mode))
    same = (log.st_dev, log.st_ino) == (mine.st_dev, mine.st_ino)
    return _to_container_log if ours and not same else _to_stderr


class Log:
    """Events of one run, told apart by its id."""

    def __init__(self, emit: Emit, least: str, run: str | None = None) -> None:
        self._emit = emit
        self._least = LEVELS.index(least)
        self.run = run or secrets.token_hex(6)

    def event(self, event: str, *, level: str = "info", **fields: object) -> None:
        """Write one line, if its level asks for it."""
        if LEVELS.index(level) < self._least:
            return
        line = {
            "ts": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": level,
            "service": "backup",
            "event": event,
            "run": self.run,
            **fields,
        }
        self._emit(json.dumps(line, ensure_ascii=False, default=str))
