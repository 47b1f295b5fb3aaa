"""What a deploy needs of the keeper: the quiet database kept, put back, and a snapshot laid out for a candidate.

The launcher holds the stack's lock meanwhile, and the site is stopped where the database itself is touched.
"""

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from . import database, disk, exchange, source
from .database import Description
from .errors import Damaged, SourceUnreadable, writing
from .restore import KEPT
from .settings import DATABASE, Settings
from .source import Verified
from .work import Work

CANDIDATE = "candidate"
FOLDERS = ("data", "uploads/images", "uploads/documents", "logs", "status", "state")  # what a site needs to start
_COPIES = 2  # the candidate's and the one that is kept


@dataclass(frozen=True)
class Looked:
    """What a deploy would find."""

    bytes: int
    free_bytes: int
    described: Description


def look(work: Work) -> Looked:
    """Refuse what a deploy could not bring back: a database that is not ours, not whole, or without room beside it."""
    settings = work.settings
    live = settings.database
    database.look_for(live)
    exchange.expect_ours(live)
    size = live.stat().st_size
    needed = _COPIES * size + settings.floor_bytes
    for folder in (settings.data, settings.scratch, settings.backups):
        disk.expect_room(folder, needed, "a deploy, which keeps two copies of the database,")
    _expect_whole(live, SourceUnreadable)
    seen = os.statvfs(settings.data)
    return Looked(size, seen.f_bavail * seen.f_frsize, database.describe(live))


def keep(work: Work) -> int:
    """Copy the quiet database to its kept name, whole, checked and on the disk; give its size."""
    live = work.settings.database
    database.look_for(live)
    exchange.expect_ours(live)
    exchange.expect_nobody(live)
    kept = live.with_name(KEPT)
    staged = live.with_name(f".{KEPT}.part")
    with writing(str(kept)):
        staged.unlink(missing_ok=True)
        database.copy(live, staged, work.progress.begin("save"))
        _expect_whole(staged, Damaged)
        staged.chmod(0o600)
        disk.sync_file(staged)
        staged.rename(kept)
        disk.sync_folder(kept.parent)
        return kept.stat().st_size


def put_back(work: Work, verified: Verified | None) -> Description:
    """Let the kept copy, or a verified snapshot, be the live database again; begun twice, it ends the same.

    What lay beside the former file goes first: it must never meet another one.
    """
    live = work.settings.database
    exchange.expect_nobody(live)
    kept = live.with_name(KEPT)
    raw = kept if verified is None else verified.raw
    if not raw.is_file():
        raise SourceUnreadable(f"{raw}: there is no kept copy", "`./stack backup list` shows what can be restored")
    new = live.with_name(exchange.NEW)
    disk.keep(raw, new)
    _expect_whole(new, Damaged)
    with writing(str(live)):
        for ending in exchange.BESIDE:
            live.with_name(f"{DATABASE}{ending}").unlink(missing_ok=True)
        disk.sync_folder(live.parent)
        new.rename(live)
        disk.sync_folder(live.parent)
    return database.describe(live)


def snapshot(work: Work, name: str) -> Verified:
    """Unpack and prove a stored snapshot; the caller holds the lock."""
    return source.verify(work, source.of_stored(work.repository, work.repository.find(name)))


def lay_out(work: Work, name: str) -> Description:
    """Put a verified snapshot where the candidate finds it as its live database; the caller holds the lock."""
    verified = snapshot(work, name)
    clear(work.settings)
    top = work.settings.scratch / CANDIDATE
    with writing(str(top)):
        for folder in FOLDERS:
            (top / folder).mkdir(mode=0o700, parents=True)
    disk.keep(verified.raw, top / "data" / DATABASE)
    return verified.described


def clear(settings: Settings) -> None:
    """Remove what a candidate worked on."""
    with writing(str(settings.scratch)):
        shutil.rmtree(settings.scratch / CANDIDATE, ignore_errors=True)


def _expect_whole(path: Path, error: type[SourceUnreadable] | type[Damaged]) -> None:
    try:
        with closing(database.connect(path, "ro")) as opened:
            answers = [" ".join(str(row[0]).split()) for row in opened.execute("PRAGMA quick_check(5)")]
    except sqlite3.Error as wrong:
        raise database.as_error(wrong, path) from wrong
    if answers != ["ok"]:
        raise error(
            f"{path}: quick_check says {'; '.join(answers)}", "`./stack restore latest` brings a whole one back"
        )
