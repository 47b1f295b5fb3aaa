"""The moment of a restore: another database in the place of the live one, never a mix of both.

Hot is SQLite's own backup into the open database: one transaction, so the running site sees the old or the new.
Cold is a rename while the site is stopped. A kill at any moment leaves old or new.
"""

import contextlib
import fcntl
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from . import database
from .disk import keep, link_or_copy, sync_file, sync_folder
from .errors import BackupError, Busy, writing
from .progress import Step
from .settings import DATABASE

_DAMAGED_FORMAT = f"{DATABASE}.damaged_%Y%m%d_%H%M%S"
_BESIDE = ("-wal", "-shm", "-journal")  # what belongs to a database file and must never meet another one
_WRITE_WAIT_S = 10.0  # longer than any write of the site takes
_HOT_LIMIT_S = 60.0
_PAGES_A_STEP = 4096  # 16 MiB: all of them in one transaction, yet there is something to tell in between
# Where SQLite keeps its locks in a file: whoever is connected in WAL mode holds a shared one in this range.
_SHARED_FIRST, _SHARED_SIZE = 0x40000002, 510


def hot(live: Path, raw: Path, step: Step) -> float:
    """Write a whole database into the one that the running site has open, as one transaction of its own.

    Returns the seconds until the site saw it.
    """
    end = time.monotonic() + _HOT_LIMIT_S

    def in_time(status: int, remaining: int, total: int) -> None:
        step.reach((total - remaining) * page_size, total * page_size)
        if status != sqlite3.SQLITE_OK and status != sqlite3.SQLITE_DONE and time.monotonic() > end:
            raise Busy(
                f"{live}: the site held its write lock for {_HOT_LIMIT_S:.0f} s",
                "try again, or stop the site and run again with --cold; nothing was changed",
            )

    try:
        with (
            closing(database.connect(raw, "ro")) as new,
            closing(database.connect(live, "rw", timeout=_WRITE_WAIT_S)) as old,
        ):
            page_size = int(new.execute("PRAGMA page_size").fetchone()[0])
            # Syncing at the commit would happen under the write lock and make the site's writers wait. Without it a
            # power cut leaves old or new, each whole; which of them is settled below, before anybody is told.
            old.execute("PRAGMA synchronous=NORMAL")
            old.execute("PRAGMA wal_autocheckpoint=0")
            began = time.monotonic()
            new.backup(old, pages=_PAGES_A_STEP, progress=in_time, sleep=0.05)
            took = time.monotonic() - began
            _settle(live, old)
            return took
    except sqlite3.Error as wrong:
        raise database.as_error(wrong, live) from wrong


def _settle(live: Path, connection: sqlite3.Connection) -> None:
    """Let what was written reach the disk, and give the disk back what the WAL took."""
    wal = live.with_name(f"{live.name}-wal")
    if wal.exists():
        sync_file(wal)
    # A reader may be in the way of either, then the site's next checkpoint does it. The first takes no lock that a
    # writer of the site needs and does nearly all of it; only the second, with little left to do, makes them wait.
    for kind in ("PASSIVE", "TRUNCATE"):
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute(f"PRAGMA wal_checkpoint({kind})").fetchall()


def expect_nobody(live: Path) -> None:
    """Prove that nobody is connected, even to a file that SQLite itself no longer reads."""
    if not live.is_file():
        return
    with live.open("rb+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, _SHARED_SIZE, _SHARED_FIRST)
        except OSError as held:
            raise _still_connected(live) from held


def _still_connected(live: Path) -> BackupError:
    return Busy(
        f"{live}: the site is still connected to it",
        "stop the site (its container `app`), then run again with --cold; nothing was changed",
    )


def cold(live: Path, raw: Path, now: datetime, *, saved: bool) -> str | None:
    """Rename the new file in; return where the old one was moved to.

    A database that could not be saved as a snapshot is moved aside as it is, with all that belongs to it.
    """
    new = live.with_name(f".{DATABASE}.restored")
    keep(raw, new)
    if saved:
        with writing(str(live)), _alone(live):
            new.rename(live)
        sync_folder(live.parent)
        return None
    expect_nobody(live)  # asked before too, but copying and checking took their time
    with writing(str(live)):
        aside = _free_name(live, now)
        moved = live.exists()
        if moved:
            # The old name goes on standing until the new file takes it.
            link_or_copy(live, aside, through=live.with_name(f".{aside.name}.part"))
        for ending in _BESIDE:
            beside = live.with_name(f"{DATABASE}{ending}")
            if beside.exists():
                beside.rename(aside.with_name(f"{aside.name}{ending}"))
                moved = True
        sync_folder(live.parent)
        new.rename(live)
        sync_folder(live.parent)
    return aside.name if moved else None


def _free_name(live: Path, now: datetime) -> Path:
    moment = now
    while (aside := live.with_name(moment.strftime(_DAMAGED_FORMAT))).exists():
        moment += timedelta(seconds=1)
    return aside


@contextmanager
def _alone(live: Path) -> Iterator[None]:
    """Fold the WAL in, which only succeeds while nobody else is connected, and keep it so."""
    try:
        with closing(database.connect(live, "rw", timeout=1.0)) as old:
            if old.execute("PRAGMA journal_mode=DELETE").fetchone() != ("delete",):
                raise _still_connected(live)
            old.execute("BEGIN EXCLUSIVE")
            yield
            old.execute("ROLLBACK")
    except sqlite3.OperationalError as held:
        raise _still_connected(live) from held
