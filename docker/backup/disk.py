"""Files that survive a power cut: written whole, named last; and whether there is room for them."""

import os
import shutil
from datetime import datetime, timedelta
from pathlib import Path

from .errors import FREE_SOME, NoSpace, writing

READ_ONLY = 0o400
_FEWEST_FILES = 16  # a copy, a payload, a manifest in each tier, and what stands beside them for a moment


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the content of a file survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def free_name(path: Path, stamp: str, now: datetime) -> Path:
    """Give the name under which something can be set aside beside itself: its own with a time that no other has."""
    moment = now
    while os.path.lexists(aside := path.with_name(f"{path.name}{moment.strftime(stamp)}")):
        moment += timedelta(seconds=1)
    return aside


def write_synced(path: Path, content: bytes, mode: int) -> None:
    """Write a new file whole, with its mode, and let it reach the disk."""
    path.unlink(missing_ok=True)
    with path.open("xb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)
        file.flush()
        os.fsync(file.fileno())


def link_or_copy(source: Path, target: Path, *, through: Path) -> None:
    """Make the same content stand under a second name, by a copy where links are refused."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, through)
        through.chmod(READ_ONLY)
        sync_file(through)
        through.rename(target)


def keep(source: Path, target: Path) -> None:
    """Copy a file to another folder so that its name always stands for a whole one."""
    staged = target.with_name(f".{target.name}.part")
    with writing(str(target)):
        staged.unlink(missing_ok=True)
        shutil.copyfile(source, staged)
        staged.chmod(0o600)
        sync_file(staged)
        staged.rename(target)
        sync_folder(target.parent)


def expect_room(folder: Path, needed: int, purpose: str) -> None:
    """Refuse early what would end in a full disk."""
    with writing(str(folder)):
        seen = os.statvfs(folder)
    free = seen.f_bavail * seen.f_frsize
    if free < needed:
        raise NoSpace(
            f"{folder}: {free} bytes are free, {purpose} needs about {needed}",
            FREE_SOME,
        )
    if seen.f_files and seen.f_favail < _FEWEST_FILES:  # a file system without a limit says 0 files
        raise NoSpace(
            f"{folder}: {seen.f_favail} more files can be made there, {purpose} needs {_FEWEST_FILES}",
            "remove files that nobody needs (`df -i` counts them); what was stored before is untouched",
        )
