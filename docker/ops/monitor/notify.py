"""Tell a command of the host's what began and what ended: each message once, in order, whoever else looks meanwhile.

What is to be told is written down before it is told, and struck out after: a command that fails, or a monitor that is
killed, leaves it for the next look. Only a kill between the command's end and the stroke tells something twice, and
then with the same message id.
"""

import contextlib
import errno
import fcntl
import json
import os
import shlex
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from ops import files
from ops.errors import StackError
from ops.monitor import alerts
from ops.monitor.alerts import Incident, Message, State
from ops.monitor.report import Report
from ops.settings import Settings
from ops.ui import Ui

SCHEMA = 1
WITHIN_S = 10.0
_FAILED = 1  # at least a warning: whoever counts on being told is not
_SAID_CHARS = 300
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_Read = TypeVar("_Read", Incident, Message)


def argv_of(command: str) -> list[str]:
    """Take the command apart as a shell would, without one. Raises StackError for what is no command."""
    try:
        argv = shlex.split(command)
    except ValueError as error:
        raise StackError(f"--notify {command!r} is no command: {error}", "close the quotation marks") from error
    if not argv:
        raise StackError("--notify is empty", "give it a command, such as --notify '/usr/local/bin/tell-me --now'")
    return argv


def tell(report: Report, settings: Settings, command: str, ui: Ui) -> int:
    """Tell what this look gives rise to. Return 0, or 1 when something could not be told; stderr says what."""
    argv = argv_of(command)
    path = settings.root / "state" / "alerts.json"
    try:
        with _alone(path.with_name("alerts.lock")) as first:
            if not first:
                return 0  # another monitor tells, and this one looks again
            before = _read(path, ui)
            state = alerts.plan(before, report.checks, report.facts.at)
            kept = state == before or _kept(path, state, ui)
            told = _deliver(state, path if kept else None, argv, report, ui)
            return told if kept else _FAILED
    except OSError as error:
        ui.complain(StackError(f"{error.filename or path} cannot be used: {error.strerror}", _step(error, path)))
        return _FAILED


def _kept(path: Path, state: State, ui: Ui) -> bool:
    """Write down what is to be told. Where that fails, as on a full disk, a repeat is better than silence."""
    try:
        _write(path, state)
    except OSError as error:
        what = f"{path} cannot be written: {error.strerror}; the next look will tell the same again"
        ui.complain(StackError(what, _step(error, path)))
        return False
    return True


def _step(error: OSError, path: Path) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return "run the monitor as whoever runs ./stack up, whose folder state/ is"
    if error.errno == errno.ENOENT:
        return "./stack up makes the folder"
    return f"make the file system of {path.parent} take files again"


def _deliver(state: State, path: Path | None, argv: list[str], report: Report, ui: Ui) -> int:
    for message in state.outbox:
        if (failure := _run(argv, document(message, report))) is not None:
            ui.complain(StackError(f"{message.id} was not told: {failure}", "the next look tries it again"))
            return _FAILED  # those after it wait, so that they come in order
        state = replace(state, outbox=tuple(one for one in state.outbox if one.id != message.id))
        if path is not None:
            _write(path, state)
    return 0


def document(message: Message, report: Report) -> dict[str, Any]:
    """Give what the command reads on its stdin."""
    incident = message.incident
    url = report.facts.site.url if report.facts.site is not None else None
    return {
        "schema": SCHEMA,
        "kind": message.kind,
        "id": incident.id,
        "message": message.id,
        "at": message.at,
        "raised": incident.raised,
        "host": socket.gethostname(),
        "project": report.facts.project,
        "url": url,
        "check": incident.check,
        "subject": incident.subject,
        "status": "ok" if message.kind == "clear" else incident.status,
        "text": message.text,
        "hint": message.hint or None,
    }


def _run(argv: list[str], told: dict[str, Any]) -> str | None:
    """Run the command to its end, in time; return why it failed, if it did."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(json.dumps(told).encode() + b"\n")
        given.seek(0)
        before = signal.signal(signal.SIGTERM, _end)  # else the command would outlive us, and be told again
        try:
            process = subprocess.Popen(argv, stdin=given, stdout=said, stderr=said, start_new_session=True)
        except OSError as error:
            return f"{argv[0]} cannot be run: {error.strerror}"
        try:
            code = process.wait(WITHIN_S)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and what it started
            process.wait()
            return f"{argv[0]} was not done within {WITHIN_S:g} s, and was ended"
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            signal.signal(signal.SIGTERM, before)
        if code == 0:
            return None
        said.seek(0)
        words = said.read().decode(errors="replace").strip()[-_SAID_CHARS:]
        return f"{argv[0]} ended with exit code {code}" + (f": {words}" if words else "")


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Let one monitor at a time tell; give False to the other."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        yield True  # what cannot be locked is told all the same
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _read(path: Path, ui: Ui) -> State:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["schema"] != SCHEMA:
            raise ValueError(f"schema {told['schema']}")
        return State(
            tuple(_incident(one) for one in told["incidents"]),
            tuple(_message({**one, "incident": _incident(one["incident"])}) for one in told["outbox"]),
        )
    except FileNotFoundError:
        return State()
    except (ValueError, KeyError, TypeError, RecursionError) as damage:
        aside = path.with_name(f"{path.name}.damaged_{datetime.now(UTC):%Y%m%d_%H%M%S}")
        path.replace(aside)
        ui.warn(f"warning: {path} is damaged ({damage}) and begins anew; what it held is in {aside}")
        return State()


def _incident(told: dict[str, Any]) -> Incident:
    return _fit(Incident(**told), {"well": int})


def _message(told: dict[str, Any]) -> Message:
    return _fit(Message(**told), {"incident": Incident})


def _fit(read: _Read, kinds: Mapping[str, type]) -> _Read:
    """Return what was read. Raises TypeError where a value is of another kind: a text, but for those that are named."""
    for name, value in vars(read).items():
        if not isinstance(value, kind := kinds.get(name, str)):
            raise TypeError(f"{name} is {value!r:.60}, expected {kind.__name__}")
    return read


def _write(path: Path, state: State) -> None:
    files.publish(path, {"schema": SCHEMA, **asdict(state)})
