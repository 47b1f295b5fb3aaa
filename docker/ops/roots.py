"""The folders under MONSITE_ROOT: made on first start, never removed. `init` gives them to 1001."""

import fcntl
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from ops.errors import Exit, StackError
from ops.settings import Settings

FOLDERS = ("data", "uploads", "logs", "backups", "status", "state", "state/app", "scratch", "secrets")
SECRETS = ("write_token", "metrics_token")
FREE_FLOOR = 256 * 2**20  # bytes; below it a first start could not finish
LAST_STEP_S = 60.0  # a stop that takes its whole grace, then a start

_held: set[int] = set()


def prepare(settings: Settings) -> None:
    """Make the folders and the tokens, only what is missing.

    Raises StackError when the root cannot be written or its file system is nearly full.
    """
    root = settings.root
    try:
        for name in FOLDERS:
            (root / name).mkdir(parents=True, exist_ok=True)
        for name in SECRETS:
            _make_secret(root / "secrets" / name)
    except OSError as error:
        raise StackError(
            f"{error.filename or root} cannot be prepared: {error.strerror}",
            "choose a writable folder with MONSITE_ROOT, or give this one to the user who runs ./stack",
        ) from error


def check_space(settings: Settings) -> None:
    """Refuse early when the file system of the root is nearly full."""
    existing = settings.root
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < FREE_FLOOR:
        raise StackError(
            f"{settings.root} has {free // 2**20} MiB free, {FREE_FLOOR // 2**20} MiB are needed",
            "free space there, or set MONSITE_ROOT to a folder on another file system",
        )


@contextmanager
def locked(settings: Settings, verb: str) -> Iterator[None]:
    """Let one changing verb work on a project at a time; the lock frees itself when its holder dies.

    Raises StackError (exit 75) naming the holder; for the last step of one that was killed it waits.
    """
    ends = time.monotonic() + LAST_STEP_S
    folder = settings.root / "state"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / "lock").open("a+")
    except OSError as error:
        raise StackError(
            f"{folder} cannot be written: {error.strerror}",
            "choose a writable folder with MONSITE_ROOT, or run ./stack as its owner",
        ) from error
    with handle:
        while not _taken(handle):
            handle.seek(0)
            holder = handle.read().strip() or "another ./stack"
            if time.monotonic() > ends or _lives(holder):
                raise StackError(
                    f"project {settings.project} is busy: {holder}",
                    "wait until it is done, then run this again",
                    Exit.BUSY,
                )
            time.sleep(0.1)
        handle.truncate(0)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        handle.write(f"./stack {verb}, process {os.getpid()}, since {since}\n")
        handle.flush()
        _held.add(handle.fileno())
        try:
            yield
        finally:
            _held.discard(handle.fileno())


def held() -> tuple[int, ...]:
    """The lock that this process holds, to be handed to every child that changes something.

    Such a child goes on where the launcher is killed. The lock then frees itself when that child has ended, and
    nobody begins between its steps.
    """
    return tuple(_held)


def _taken(handle: IO[str]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lives(holder: str) -> bool:
    """Whether the launcher that wrote this still lives; its last step may outlive it for a moment."""
    told = re.search(r"process (\d+)", holder)
    return told is None or Path(f"/proc/{told[1]}").exists()


def _make_secret(path: Path) -> None:
    try:
        if path.exists():
            return
    except PermissionError:
        return  # the folder is 1001's already, so an earlier start made what is in it
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
        file.flush()
        os.fsync(descriptor)
    unfinished.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
