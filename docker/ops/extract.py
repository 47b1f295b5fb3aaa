"""restore --to FILE: the verified database as a file of this host; the site is not touched."""

import errno
import os
import secrets
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from ops import keeper, roots, sources, words
from ops.compose import Compose
from ops.errors import Exit, StackError
from ops.ui import Ui

_FULL = ("no space left", "quota exceeded")  # as the engine's client and the system put it
_PRIVATE = 0o600  # it holds what visitors wrote


def extract(compose: Compose, ui: Ui, wanted: str, target: Path) -> int:
    """Write a snapshot's database to `target`, owned by whoever asks. Return the keeper's exit code.

    Nothing that exists is overwritten, and nothing unfinished ever has the name.
    Raises StackError when the file exists, is not named as a database, cannot be written, or did not come whole.
    """
    begun = time.monotonic()
    source = sources.parse(wanted, compose.settings.live)
    _expect_free(target)
    _expect_ending(target)
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        with _opened(part) as file:
            with ui.step(f"Verify the snapshot and write {target}") as step:
                code, told = keeper.run(compose, ["restore", *source.args, "--to", "-"], file, step, source)
                step.well = code == Exit.OK
            if code == Exit.FAILED and any(word in told.lower() for word in _FULL):
                raise _no_space(target)
            if code != Exit.OK:
                ui.relay(told, code)
                return code
            _make_durable(file, target)
        rows = _rows(part)
        _publish(part, target)
    finally:
        part.unlink(missing_ok=True)
    size, seconds = target.stat().st_size, round(time.monotonic() - begun, 2)
    ui.say(f"{target}: {words.rows(rows)}, {words.size(size)}, in {seconds:.1f} s. The site was not touched.")
    ui.emit({"outcome": "written", "to": str(target), "bytes": size, "rows": rows, "seconds": seconds})
    return code


def _expect_free(target: Path) -> None:
    if target.exists() or target.is_symlink():
        raise StackError(f"{target} exists already", "name a file that does not exist yet", Exit.USAGE)


def _expect_ending(target: Path) -> None:
    if target.suffix != ".db":
        raise StackError(
            f"{str(target)!r} does not end in .db, and what is written is a plain SQLite database",
            f"--to {target.name.split('.', 1)[0].strip('-') or 'copy'}.db",
            Exit.USAGE,
        )


def _make_durable(file: BinaryIO, target: Path) -> None:
    try:
        os.fsync(file.fileno())
    except OSError as error:  # some file systems find only now that they are full
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _no_space(target) from error
        raise


def _no_space(target: Path) -> StackError:
    return StackError(
        f"{target}: no space left in {target.absolute().parent}; nothing was written",
        "free some there, or name a file on another file system",
        Exit.NO_SPACE,
    )


def _opened(part: Path) -> BinaryIO:
    try:
        return os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, _PRIVATE), "w+b")
    except OSError as error:
        raise StackError(
            f"{part.parent} takes no file: {error.strerror}", "name a file in a folder you may write to", Exit.USAGE
        ) from error


def _rows(part: Path) -> dict[str, int]:
    """Count what came; a file that was cut short on its way has fewer bytes than its own header says."""
    with part.open("rb") as file:
        header = file.read(100)
    page = int.from_bytes(header[16:18], "big")
    promised = (65536 if page == 1 else page) * int.from_bytes(header[28:32], "big")
    if promised != part.stat().st_size or not promised:
        raise StackError(
            f"{part.stat().st_size} of {promised} bytes came from the backup service",
            "./stack status shows whether it was stopped meanwhile; then run this again",
        )
    with closing(sqlite3.connect(f"{part.absolute().as_uri()}?immutable=1", uri=True)) as database:
        listed = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        tables = [row[0] for row in database.execute(listed)]
        return {table: database.execute(_count(table)).fetchone()[0] for table in tables}


def _count(table: str) -> str:
    quoted = table.replace('"', '""')
    return f'SELECT count(*) FROM "{quoted}"'  # noqa: S608  # a name out of the database's own schema, quoted


def _publish(part: Path, target: Path) -> None:
    """Give the file its name, and keep the name through a power cut.

    A link fails where a rename would overwrite what came into being meanwhile.
    """
    try:
        os.link(part, target)
    except FileExistsError:
        _expect_free(target)
        raise
    except (PermissionError, NotImplementedError):  # a file system without hard links
        _expect_free(target)
        part.rename(target)
    roots.sync_folder(target.parent)
