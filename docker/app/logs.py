"""One JSON line an event: to stdout, to app.log or access.log, and to error.log from `error` upwards.

The standard logging module is too slow for a line per request, so this is a writer of our own; what
libraries say through `logging` comes in by the bridge. Lines hold no query string, no header and no
body: what a visitor typed is not ours to keep.
"""

import contextlib
import contextvars
import json
import logging
import os
import sys
import threading
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
KEPT = 3  # former files beside each log

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")


class RotatingFile:
    """An append-only file of mode 0600 that makes room by renaming itself away."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._max = max_bytes
        self._descriptor = -1
        self._size = 0

    def write(self, line: bytes) -> None:
        """Append one line; raises OSError where the folder cannot take it."""
        if self._descriptor >= 0 and self._size + len(line) > self._max:
            self._rotate()
        if self._descriptor < 0:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._size = os.fstat(self._descriptor).st_size
        os.write(self._descriptor, line)
        self._size += len(line)

    def close(self) -> None:
        """Let go of the file; the next line opens it again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def _rotate(self) -> None:
        self.close()
        for number in range(KEPT, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number}")
            newer = self._path.with_name(f"{self._path.name}.{number - 1}") if number > 1 else self._path
            if newer.exists():
                newer.replace(older)


class Log:
    """The site's log; `run` names this life of the process where no request can be named."""

    def __init__(self, folder: Path, level: str, max_bytes: int, run: str) -> None:
        self._threshold = LEVELS[level]
        self._run = run
        self._lock = threading.Lock()
        self._files = {name: RotatingFile(folder / f"{name}.log", max_bytes) for name in ("app", "error", "access")}
        self._silent: set[str] = set()  # files that failed; said once, tried again with each line

    def debug(self, event: str, **fields: Any) -> None:
        """Record what only someone searching for a fault wants to see."""
        self._write("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """Record what happened as it should."""
        self._write("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Record what is odd but was dealt with."""
        self._write("warning", event, fields)

    def error(self, event: str, error_chain: BaseException | None = None, **fields: Any) -> None:
        """Record what went wrong, with the stack where there is one."""
        if error_chain is not None:
            fields["trace"] = "".join(traceback.format_exception(error_chain))
        self._write("error", event, fields)

    def access(self, event: str, **fields: Any) -> None:
        """Record a request; these lines have a file of their own."""
        self._write("info", event, fields, file="access")

    @staticmethod
    def now() -> str:
        """Return the time as every line has it: UTC, to the millisecond, with its offset."""
        return datetime.now(UTC).isoformat(timespec="milliseconds")

    def close(self) -> None:
        """Close the files at the end of the process."""
        for file in self._files.values():
            file.close()

    def _write(self, level: str, event: str, fields: dict[str, Any], file: str = "app") -> None:
        if LEVELS[level] < self._threshold:
            return
        entry: dict[str, Any] = {"ts": self.now(), "level": level, "service": "app", "event": event}
        if request := request_id.get():
            entry["request"] = request
        else:
            entry["run"] = self._run
        line = json.dumps(entry | fields, default=str).encode() + b"\n"
        with self._lock:
            _print(line)
            self._append(file, line)
            if level == "error":
                self._append("error", line)

    def _append(self, name: str, line: bytes) -> None:
        """Write to a file, or say once on stdout that it cannot be written: a log never stops the site."""
        try:
            self._files[name].write(line)
        except OSError as trouble:
            self._files[name].close()
            if name not in self._silent:
                self._silent.add(name)
                complaint = {
                    "ts": self.now(),
                    "level": "error",
                    "service": "app",
                    "event": "log_not_written",
                    "run": self._run,
                    "file": f"{name}.log",
                    "detail": str(trouble),
                    "hint": "let uid 1001 own logs/ and give it space; until then stdout has every line",
                }
                _print(json.dumps(complaint).encode() + b"\n")
        else:
            self._silent.discard(name)


def _print(line: bytes) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more: the files still have it
        os.write(sys.stdout.fileno(), line)


class Bridge(logging.Handler):
    """Brings in what libraries say through the standard logging module."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on as one of our lines."""
        fields: dict[str, Any] = {"logger": record.name, "message": record.getMessage()}
        if record.levelno >= logging.ERROR:
            self._log.error("library", record.exc_info[1] if record.exc_info else None, **fields)
        else:
            self._log.warning("library", **fields)
