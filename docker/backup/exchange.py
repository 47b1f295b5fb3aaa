"""The moment of a restore: another database in the place of the live one, never a mix of both.

Hot is SQLite's own backup into the open database: one transaction, so the running site sees the old or the new.
Cold is a rename while the site is stopped. A kill at any moment leaves old or new.
"""

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from . import database
from .database import Description
from .disk import keep, link_or_copy, sync_folder
from .errors import DEFECT, BackupError, Busy, SourceUnreadable, writing
from .progress import Step
from .settings import DATABASE

NEW = f".{DATABASE}.restored"
_DAMAGED_FORMAT = f"{DATABASE}.damaged_%Y%m%d_%H%M%S"
BESIDE = ("-wal", "-shm", "-journal")  # what belongs to a database file and must never meet another one
_WRITE_WAIT_S = 10.0  # longer than any write of the site takes
_HOT_LIMIT_S = 60.0
_HARDLY_MS = 50  # the last step waits for readers under the write lock: rather leave it to the site
_MAPPED_BYTES = 1 << 31  # our own copy is read without copying it once more
_PAGES_A_STEP = 4096  # 16 MiB: all of them in one transaction, yet there is something to tell in between
# Where SQLite keeps its locks in a file: whoever is connected in WAL mode holds a shared one in this range.
_SHARED_FIRST, _SHARED_SIZE = 0x40000002, 510


@dataclass(frozen=True)
class Exchanged:
    """What stood there at once, and how long it took until the site saw it."""

    seconds: float
    found: Description | BackupError  # an error where even the look failed
    unseen_s: float = 0.0  # for how long somebody else can have written before that look
    aside: str | None = None  # where a cold exchange moved what could not be saved


def hot(live: Path, raw: Path, step: Step) -> Exchanged:
    """Write a whole database into the one that the running site has open, as one transaction of its own."""
    began = told = time.monotonic()
    took: float | None = None
    unseen = 0.0

    def in_time(status: int, remaining: int, total: int) -> None:
        nonlocal told, took, unseen
        if status == sqlite3.SQLITE_DONE:  # it is committed: hold on to what the site sees from now on
            took = time.monotonic() - began
            eye.execute("BEGIN")
            eye.execute("SELECT count(*) FROM sqlite_master").fetchone()
            unseen = time.monotonic() - told
        told = time.monotonic()
        step.reach((total - remaining) * page_size, total * page_size)
        if status not in (sqlite3.SQLITE_OK, sqlite3.SQLITE_DONE) and told - began > _HOT_LIMIT_S:
            raise Busy(
                f"{live}: the site held its write lock for {_HOT_LIMIT_S:.0f} s",
                "try again, or stop the site and run again with --cold; nothing was changed",
            )

    try:
        with (
            live.open("rb") as on_disk,  # closed last: closing it takes away every lock that this process has on it
            closing(database.connect(raw, "ro")) as new,
            closing(database.connect(live, "rw", timeout=_WRITE_WAIT_S)) as old,
            closing(database.connect(live, "ro")) as eye,
        ):
            page_size = int(new.execute("PRAGMA page_size").fetchone()[0])
            new.execute(f"PRAGMA mmap_size={_MAPPED_BYTES}")
            # Syncing at the commit would happen under the write lock and make the site's writers wait. Without it a
            # power cut leaves old or new, each whole; which of them is settled below, before anybody is told.
            old.execute("PRAGMA synchronous=NORMAL")
            old.execute("PRAGMA wal_autocheckpoint=0")
            began = told = time.monotonic()
            new.backup(old, pages=_PAGES_A_STEP, progress=in_time, sleep=0.005)
            # At once, or a writer of the site does it at its own commit, which then takes as long as all of this. It
            # takes no lock that a writer needs, and goes as far as what `eye` sees; so does whoever comes after.
            _checkpoint(old, "PASSIVE")
            os.fsync(on_disk.fileno())
            found = database.describe_seen(eye)
            eye.execute("ROLLBACK")
            # What little came since, and the disk gets back what the WAL took; only this makes writers wait.
            _checkpoint(old, "PASSIVE")
            old.execute(f"PRAGMA busy_timeout={_HARDLY_MS}")
            _checkpoint(old, "TRUNCATE")
    except (sqlite3.Error, OSError) as wrong:
        refused = database.as_error(wrong, live) if isinstance(wrong, sqlite3.Error) else None
        if took is None:
            raise refused or wrong from wrong
        return Exchanged(took, refused or BackupError(f"{live}: {wrong}", DEFECT))  # the site sees it all the same
    if took is None:
        raise BackupError(f"{live}: the exchange ended and did not say that it is done", DEFECT)
    return Exchanged(took, found, unseen)


def _checkpoint(connection: sqlite3.Connection, kind: str) -> None:
    """Move what is in the WAL into the database; where a reader is in the way the site's next one does it."""
    with contextlib.suppress(sqlite3.OperationalError):
        connection.execute(f"PRAGMA wal_checkpoint({kind})").fetchall()


def expect_ours(live: Path) -> None:
    """Refuse what may not be written before anything is done for it, the site stopped first of all."""
    files = [live, *(live.with_name(f"{DATABASE}{ending}") for ending in BESIDE)]
    folder_ours = os.access(live.parent, os.R_OK | os.W_OK | os.X_OK)
    refused = [] if folder_ours else [live.parent]
    refused += [path for path in files if not os.access(path, os.R_OK | os.W_OK) and os.path.lexists(path)]
    if refused:
        raise SourceUnreadable(
            f"{refused[0]}: Permission denied",
            "data/ and what is in it must belong to 1001:1001; `./stack up` gives it back; nothing was changed",
        )


def expect_nobody(live: Path) -> None:
    """Prove that nobody is connected, even to a file that SQLite itself no longer reads."""
    if not live.is_file():
        return
    with writing(str(live)), live.open("rb+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, _SHARED_SIZE, _SHARED_FIRST)
        except OSError as held:
            raise _still_connected(live) from held


def _still_connected(live: Path) -> BackupError:
    return Busy(
        f"{live}: the site is still connected to it",
        "stop the site (its container `app`), then run again with --cold; nothing was changed",
    )


def cold(live: Path, raw: Path, now: datetime, *, saved: bool) -> Exchanged:
    """Rename the new file in.

    A database that could not be saved as a snapshot is moved aside as it is, with all that belongs to it: what
    belongs to it gets its second name first, and the file's own name goes before the rest. So the live name stands
    for the old with all that belongs to it, or for nothing, or for the new; a file without its WAL is never there.
    """
    began = time.monotonic()
    new = live.with_name(NEW)
    keep(raw, new)
    aside = None
    if saved:
        with writing(str(live)), _alone(live):
            new.rename(live)
        sync_folder(live.parent)
    else:
        aside = _move_aside_for(new, live, now)
    took = time.monotonic() - began
    return Exchanged(took, _look_at(live), aside=aside)


def _look_at(live: Path) -> Description | BackupError:
    try:
        return database.describe(live)
    except BackupError as unreadable:
        return unreadable


def _move_aside_for(new: Path, live: Path, now: datetime) -> str | None:
    """Give the old one, with all that belongs to it, another name, and the new one its own."""
    expect_nobody(live)  # asked before too, but copying and checking took their time
    with writing(str(live)):
        aside = _free_name(live, now)
        beside = [ending for ending in BESIDE if live.with_name(f"{DATABASE}{ending}").exists()]
        for ending in beside:
            second = aside.with_name(f"{aside.name}{ending}")
            link_or_copy(live.with_name(f"{DATABASE}{ending}"), second, through=live.with_name(f".{second.name}.part"))
        sync_folder(live.parent)
        # Where the database itself was gone, what is there of it is what lay beside it.
        kept = iter([*([aside.name] if live.exists() else []), *(f"{aside.name}{ending}" for ending in beside)])
        if live.exists():
            live.rename(aside)
            sync_folder(live.parent)
        for ending in beside:
            live.with_name(f"{DATABASE}{ending}").unlink()
        sync_folder(live.parent)
        new.rename(live)
        sync_folder(live.parent)
    return next(kept, None)


def _free_name(live: Path, now: datetime) -> Path:
    moment = now
    while list(live.parent.glob(f"{moment.strftime(_DAMAGED_FORMAT)}*")):
        moment += timedelta(seconds=1)
    return live.with_name(moment.strftime(_DAMAGED_FORMAT))


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
    except sqlite3.Error as wrong:
        if database.is_held(wrong):
            raise _still_connected(live) from wrong
        raise database.as_error(wrong, live) from wrong
