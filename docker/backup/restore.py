"""Bring a snapshot back: verify, plan, save what is there, exchange, verify.

Hot is the rule: SQLite's own backup writes the whole database in one transaction, so the running site sees the
old or the new one and is not stopped. Where that cannot work the plan says so before anything is changed, and
the cold way exchanges the file by rename while the site is stopped. A kill at any moment leaves old or new.
"""

import contextlib
import fcntl
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from . import database, manifest, objects, snapshot
from .database import Description
from .errors import (
    BackupError,
    Busy,
    ColdNeeded,
    Damaged,
    NoSpace,
    SchemaNewer,
    SourceUnreadable,
    writing,
)
from .logs import Log
from .objects import Wanted
from .repository import Repository, link_or_copy, sync_folder
from .settings import DATABASE, Settings
from .source import Verified

HOT, COLD = "hot", "cold"
KEPT = f"{DATABASE}.backup"
_DAMAGED_FORMAT = f"{DATABASE}.damaged_%Y%m%d_%H%M%S"
_BESIDE = ("-wal", "-shm", "-journal")  # what belongs to a database file and must never meet another one
_WRITE_WAIT_S = 10.0  # longer than any write of the site takes
_HOT_LIMIT_S = 60.0
# Where SQLite keeps its locks in a file: whoever is connected in WAL mode holds a shared one in this range.
_SHARED_FIRST, _SHARED_SIZE = 0x40000002, 510


@dataclass(frozen=True)
class Plan:
    """What a restore would do, known before anything is changed."""

    verified: Verified
    mode: str  # HOT or COLD
    cold_because: tuple[str, ...]  # why hot is impossible
    live: Description | None  # None: missing or unreadable
    live_problem: str | None
    put_back: tuple[Wanted, ...]
    uploads_lost: tuple[str, ...]  # named by rows, in uploads/ nor objects/

    def as_answer(self) -> dict[str, object]:
        """Return the part of the answer that does not depend on what is done next."""
        made = self.verified.source.manifest
        created = made.created.isoformat() if made is not None else None
        lost = None if self.live is None else {"since": created, "rows_now": dict(self.live.rows)}
        return {
            "mode": self.mode,
            "source": made.name if made is not None else self.verified.source.file_name,
            "signed": made is not None,
            "created": created,
            "rows": dict(self.verified.described.rows),
            "user_version": self.verified.described.user_version,
            "lost": lost,
            "live_problem": self.live_problem,
            "cold_because": list(self.cold_because),
            "uploads_put_back": len(self.put_back),
            "uploads_lost": list(self.uploads_lost),
        }


@dataclass(frozen=True)
class Done:
    """What a restore left beside the restored site."""

    safety: str | None  # the pinned snapshot of what was replaced
    kept: str | None  # the file in data/ that holds what was replaced


def plan(settings: Settings, repository: Repository, verified: Verified, *, cold: bool, allow_missing: bool) -> Plan:
    """Refuse what must be refused, and decide between hot and cold; nothing is changed here."""
    live, problem = _look_at_live(settings.database)
    reference = _reference(repository, live)
    if verified.source.manifest is None:
        _expect_kinship(verified, reference)
    because = [problem] if problem is not None else []
    if live is not None and live.page_size != verified.described.page_size:
        because.append(f"its pages are of {verified.described.page_size} bytes, the live ones of {live.page_size}")
    if reference is not None:
        version, theirs = verified.described.user_version, reference.user_version
        if version > theirs:
            raise SchemaNewer(
                f"{verified.source.shown}: its schema is version {version}, the site's is {theirs}",
                "start the newer site first, then restore; nothing was changed",
            )
        if version < theirs:
            because.append(f"its schema is version {version}, the site's is {theirs}, and it migrates at its start")
    put_back, lost = _uploads(settings, repository, verified, allow_missing=allow_missing)
    _expect_room(settings, verified.raw)
    return Plan(
        verified=verified,
        mode=COLD if cold or because else HOT,
        cold_because=tuple(because),
        live=live,
        live_problem=problem,
        put_back=put_back,
        uploads_lost=lost,
    )


def _look_at_live(path: Path) -> tuple[Description | None, str | None]:
    """Describe the live database, or say why it cannot be."""
    if not path.is_file():
        return None, f"{path}: there is no database"
    try:
        described = database.describe(path)
    except SourceUnreadable as unreadable:
        return None, unreadable.message
    if not described.rows:
        return None, f"{path}: it holds no table at all"
    return described, None


def _reference(repository: Repository, live: Description | None) -> Description | None:
    """What the site's schema is: the live database shows it, else the newest snapshot that was ever checked.

    The site migrates when it starts, so a live database it has opened is of its own version. Only where there
    is none does the newest manifest speak, and a restore from it is cold and migrated anyway.
    """
    if live is not None:
        return live
    known = [stored.manifest for stored in repository.all() if stored.manifest is not None]
    if not known:
        return None
    newest = max(known, key=lambda made: made.created)
    return Description(newest.page_size, newest.user_version, newest.schema_sha256, newest.rows)


def _expect_kinship(verified: Verified, reference: Description | None) -> None:
    """Keep a whole database of some other program out: without a manifest only the schema can tell."""
    given = verified.described
    hint = "give a database of this site, or a snapshot's name; nothing was changed"
    if given.user_version == 0:
        raise Damaged(f"{verified.source.shown}: it carries no schema version, so it is not this site's", hint)
    if reference is None:
        return
    if given.user_version == reference.user_version and given.schema_sha256 != reference.schema_sha256:
        raise Damaged(f"{verified.source.shown}: its schema is not this site's of version {given.user_version}", hint)
    if not set(given.rows) & set(reference.rows):
        raise Damaged(f"{verified.source.shown}: it has none of this site's tables", hint)


def _uploads(
    settings: Settings, repository: Repository, verified: Verified, *, allow_missing: bool
) -> tuple[tuple[Wanted, ...], tuple[str, ...]]:
    files, refused = objects.wanted(database.upload_paths(verified.raw))
    absent = objects.absent(settings.uploads, files)
    put_back = [file for file in absent if objects.held(repository, file)]
    lost = [file.path for file in absent if file not in put_back] + refused
    made = verified.source.manifest
    known = set(made.missing) if made is not None else set()
    unexpected = [path for path in lost if path not in known]
    if unexpected and not allow_missing:
        raise Damaged(
            f"{verified.source.shown}: {len(unexpected)} uploads that its rows name are neither in uploads/ nor "
            f"whole in objects/: {', '.join(unexpected[:5])}",
            "put those files back, or restore without them by --allow-missing; nothing was changed",
        )
    return tuple(put_back), tuple(lost)


def _expect_room(settings: Settings, raw: Path) -> None:
    """Beside the live database go its kept copy and the new one (hot: as a WAL)."""
    live = settings.database
    needed = raw.stat().st_size + (live.stat().st_size if live.exists() else 0)
    free = shutil.disk_usage(settings.data).free
    if free < needed:
        raise NoSpace(
            f"{settings.data}: {free} bytes are free, this restore needs {needed}",
            "free some space, then try again; nothing was changed",
        )


def carry_out(settings: Settings, repository: Repository, decided: Plan, now: datetime, log: Log) -> Done:
    """Do it: save what is there, put uploads back, exchange the database, look again."""
    if decided.mode == HOT:
        try:
            done = _save(settings, repository, now, log)
        except (Damaged, SourceUnreadable) as unsaved:
            raise ColdNeeded(
                f"{unsaved.message}: it is too damaged for a safety snapshot",
                "stop the site and run again with --cold: its files are then moved aside as they are",
            ) from unsaved
        objects.put_back(repository, settings.uploads, decided.put_back)
        _exchange_hot(settings.database, decided.verified.raw)
    else:
        _expect_nobody(settings.database)
        saved = _save_if_whole(settings, repository, decided, now, log)
        objects.put_back(repository, settings.uploads, decided.put_back)
        done = _exchange_cold(settings, decided.verified.raw, saved, now)
    _expect_restored(settings.database, decided.verified.described)
    return done


def _save(settings: Settings, repository: Repository, now: datetime, log: Log) -> Done:
    request = snapshot.Request(manifest.SAFETY, pinned=True, keep_raw=settings.data / KEPT)
    made = snapshot.take(settings, repository, request, now, log)
    return Done(safety=made.name, kept=f"data/{KEPT}")


def _save_if_whole(settings: Settings, repository: Repository, decided: Plan, now: datetime, log: Log) -> Done | None:
    if decided.live is None:
        return None
    try:
        return _save(settings, repository, now, log)
    except (Damaged, SourceUnreadable) as unsaved:
        log.event("safety-impossible", level="warning", error=unsaved.message)
        return None


def _exchange_hot(live: Path, raw: Path) -> None:
    end = time.monotonic() + _HOT_LIMIT_S

    def in_time(status: int, remaining: int, total: int) -> None:
        del remaining, total
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
            new.backup(old, pages=-1, progress=in_time, sleep=0.05)
            # Give the disk back what the WAL took; a reader may be in the way, then the site's next
            # checkpoint does it.
            with contextlib.suppress(sqlite3.OperationalError):
                old.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.Error as wrong:
        raise database.as_error(wrong, live) from wrong


def _expect_nobody(live: Path) -> None:
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


def _exchange_cold(settings: Settings, raw: Path, saved: Done | None, now: datetime) -> Done:
    """Rename the new file in; a database that could not be saved as a snapshot is moved aside as it is."""
    live = settings.database
    new = live.with_name(f".{DATABASE}.restored")
    snapshot.keep(raw, new)
    if saved is not None:
        with writing(str(live)), _alone(live):
            new.rename(live)
        sync_folder(settings.data)
        return saved
    _expect_nobody(live)  # asked before too, but copying and checking took their time
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
        sync_folder(settings.data)
        new.rename(live)
        sync_folder(settings.data)
    return Done(safety=None, kept=f"data/{aside.name}" if moved else None)


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


def _expect_restored(live: Path, expected: Description) -> None:
    """Look at what is there now; rows may already have grown, the site is running."""
    found = database.describe(live)
    if (found.user_version, found.schema_sha256) != (expected.user_version, expected.schema_sha256):
        raise Damaged(
            f"{live}: after the restore its schema is not the snapshot's",
            f"restore the safety snapshot, or data/{KEPT} by hand; see the container's log",
        )


def write_to(verified: Verified, target: Path) -> None:
    """Write the verified database somewhere else, by rename."""
    snapshot.keep(verified.raw, target)
