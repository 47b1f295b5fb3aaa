"""What a person may name to restore from: `latest`, a snapshot, or a file of this host."""

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from ops.errors import Exit, StackError

_KEPT = re.compile(r"(.+\.db)\.(backup|damaged_\d{8}_\d{6}[^-]*)")  # what a restore puts beside the database
NAME = re.compile(r"balades_\d{8}_\d{6}(\.db\.(zst|gz))?")


@dataclass(frozen=True)
class Source:
    """A source in the keeper's words."""

    args: tuple[str, ...]
    file: Path | None  # to be fed on stdin
    manifest: Path | None = None  # to be fed before it


def parse(wanted: str, live: Path) -> Source:
    """Understand what was named. Raises StackError when it is none of the three, or not the whole of a database."""
    if wanted == "latest" or NAME.fullmatch(wanted):
        return Source((wanted,), None)
    path = Path(wanted)
    if not os.path.isfile(wanted):  # noqa: PTH113  # unlike Path's, this takes a name that is too long for a no
        raise StackError(
            f"{wanted!r} is neither `latest`, nor a snapshot's name, nor a file",
            "./stack backup list shows the snapshots; a file is given by its path",
            Exit.USAGE,
        )
    _expect_whole(path, live)
    kept = _KEPT.fullmatch(path.name)
    args = ("-", f"--filename={kept[1] if kept else path.name}")
    beside = str(path.with_name(f"{path.name.split('.', 1)[0]}.json"))
    if not os.path.isfile(beside):  # noqa: PTH113  # as above
        return Source(args, path)
    return Source((*args, f"--manifest-bytes={os.stat(beside).st_size}"), path, Path(beside))  # noqa: PTH116


def _expect_whole(path: Path, live: Path) -> None:
    """A database in use, or left by a crash, has its newest rows beside it: they would be lost in silence."""
    if os.path.realpath(path) == os.path.realpath(live):
        raise StackError(
            f"{path} is the live database itself",
            "./stack backup now takes a snapshot of it; ./stack backup list shows what can be restored",
            Exit.USAGE,
        )
    quoted = shlex.quote(str(path))
    if _first_byte(wal := f"{path}-wal"):
        raise StackError(
            f"{path} is not the whole database: {wal} holds rows that would be missing",
            f'make one file of it: sqlite3 {quoted} "PRAGMA wal_checkpoint(TRUNCATE)"',
            Exit.USAGE,
        )
    # SQLite itself asks for no more: a journal that begins with a zero was kept for the next write and says nothing.
    if _first_byte(journal := f"{path}-journal") not in (b"", b"\0"):
        raise StackError(
            f"{path} is in the middle of a write: {journal} holds what undoes it",
            f'open it once, which undoes that write: sqlite3 {quoted} "PRAGMA quick_check"',
            Exit.USAGE,
        )


def _first_byte(path: str) -> bytes:
    """Return the first byte of a file; none where it is empty or there is none."""
    if not os.path.isfile(path):  # noqa: PTH113  # as above
        return b""
    with open(path, "rb") as file:  # noqa: PTH123  # as above
        return file.read(1)
