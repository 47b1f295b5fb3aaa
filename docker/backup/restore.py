"""Bring a snapshot back: verify, plan, save what is there, exchange, verify.

Hot is the rule: the running site is not stopped. Where that cannot work the plan says so before anything is
changed, and the cold way is taken while the site is stopped.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import database, disk, exchange, manifest, migration, objects, snapshot
from .answers import uploads
from .database import Description
from .errors import BackupError, ColdNeeded, Damaged, SchemaNewer, SourceUnreadable, Usage
from .exchange import Exchanged
from .objects import Wanted
from .repository import Repository
from .settings import DATABASE, Settings
from .source import Verified
from .work import Work

HOT, COLD = "hot", "cold"
KEPT = f"{DATABASE}.backup"
_ROWS_A_SECOND = 1000  # more than visitors write


@dataclass(frozen=True)
class Plan:
    """What a restore would do, known before anything is changed."""

    verified: Verified
    migrated: Mapping[str, int] | None  # from which schema version to which, where it was an older one
    mode: str  # HOT or COLD
    cold_because: tuple[str, ...]  # why hot is impossible
    live: Description | None  # None: missing or unreadable
    live_problem: str | None
    put_back: tuple[Wanted, ...]
    set_aside: Mapping[str, str]  # what stands in their way in uploads/, and the name it is to be given
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
            "migrated": None if self.migrated is None else dict(self.migrated),
            "lost": lost,
            "live_problem": self.live_problem,
            "cold_because": list(self.cold_because),
            "uploads_put_back": len(self.put_back),
            "uploads_set_aside": dict(self.set_aside),
            "uploads_lost": list(self.uploads_lost),
        }


@dataclass(frozen=True)
class Done:
    """What a restore left beside the restored site."""

    safety: str | None  # the pinned snapshot of what was replaced
    kept: str | None  # the file in data/ that holds what was replaced
    uploads_set_aside: Mapping[str, str]  # what stood in the way in uploads/, and its name now
    exchange_s: float  # how long it took until the new database was the live one


class NotRestored(BackupError):  # noqa: N818 - as in errors.py
    """The exchange took place, and what stands there now is not what was to be brought back."""

    code = 1

    def __init__(self, message: str, done: Done) -> None:
        back = f"`./stack restore {done.safety}` brings back" if done.safety else f"{done.kept} is"
        super().__init__(message, f"{back} what was there before; see the container's log")
        self.done = done


def plan(work: Work, verified: Verified, *, cold: bool, allow_missing: bool) -> Plan:
    """Refuse what must be refused, migrate what is older, and decide between hot and cold; nothing is changed here."""
    exchange.expect_ours(work.settings.database)
    live, problem = _look_at_live(work.settings.database)
    reference = _reference(work.repository, live)
    if verified.source.manifest is None:
        _expect_kinship(verified, reference)
    version = verified.described.user_version
    if reference is not None and version > reference.user_version:
        raise SchemaNewer(
            f"{verified.source.shown}: its schema is version {version}, the site's is {reference.user_version}",
            "start the newer site first, then restore; nothing was changed",
        )
    migrated = None
    if reference is not None and version < reference.user_version:
        verified = migration.migrate(work, verified, live.user_version if live is not None else None)
        migrated = {"from": version, "to": verified.described.user_version}
    because = [problem] if problem is not None else []
    if live is not None and live.page_size != verified.described.page_size:
        because.append(f"its pages are of {verified.described.page_size} bytes, the live ones of {live.page_size}")
    if live is not None and live.encoding != verified.described.encoding:
        # Whoever has the live one open would fail on it until opened anew.
        because.append(f"its text is {verified.described.encoding}, the live one's {live.encoding}")
    put_back, lost = _uploads(work, verified, allow_missing=allow_missing)
    _expect_room(work.settings, verified.raw)
    return Plan(
        verified=verified,
        migrated=migrated,
        mode=COLD if cold or because else HOT,
        cold_because=tuple(because),
        live=live,
        live_problem=problem,
        put_back=put_back,
        set_aside=objects.in_the_way(work.settings.uploads, put_back, work.now),
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
    is none does the newest manifest speak; what is restored then is migrated at the site's start, if need be.
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


def _uploads(work: Work, verified: Verified, *, allow_missing: bool) -> tuple[tuple[Wanted, ...], tuple[str, ...]]:
    files, refused = objects.wanted(database.upload_paths(verified.raw))
    absent = objects.absent(work.settings.uploads, files)
    put_back = [file for file in absent if objects.fault_of(work.repository, file.sha256) is None]
    lost = [file.path for file in absent if file not in put_back] + refused
    made = verified.source.manifest
    known = set(made.missing) if made is not None else set()
    unexpected = [path for path in lost if path not in known]
    if unexpected and not allow_missing:
        raise Damaged(
            f"{verified.source.shown}: {uploads(len(unexpected))} that its rows name, neither in uploads/ nor "
            f"whole in objects/: {', '.join(unexpected[:5])}",
            "put those files back, or restore without them by --allow-missing; nothing was changed",
        )
    return tuple(put_back), tuple(lost)


def _expect_room(settings: Settings, raw: Path) -> None:
    """Beside the live database go its kept copy and the new one (hot: as a WAL)."""
    live = settings.database
    needed = raw.stat().st_size + (live.stat().st_size if live.exists() else 0)
    disk.expect_room(settings.data, needed, "this restore")


def carry_out(work: Work, decided: Plan) -> Done:
    """Do it: save what is there, put uploads back, exchange the database, look again."""
    live, raw = work.settings.database, decided.verified.raw
    kept: str | None = f"data/{KEPT}"
    if decided.mode == HOT:
        try:
            safety: str | None = _save(work)
        except (Damaged, SourceUnreadable) as unsaved:
            raise ColdNeeded(
                f"{unsaved.message}: it is too damaged for a safety snapshot",
                "stop the site and run again with --cold: its files are then moved aside as they are",
            ) from unsaved
    else:
        exchange.expect_nobody(live)
        safety = _save_if_whole(work, decided)
    moved = objects.put_back(work.repository, work.settings.uploads, decided.put_back, work.now)
    step = work.progress.begin("exchange", raw.stat().st_size)
    if decided.mode == HOT:
        seen = exchange.hot(live, raw, step)
    else:
        seen = exchange.cold(live, raw, work.now, saved=safety is not None)
        if safety is None:
            kept = f"data/{seen.aside}" if seen.aside is not None else None
    done = Done(safety=safety, kept=kept, uploads_set_aside=moved, exchange_s=round(seen.seconds, 3))
    if (difference := _difference(live, seen, decided.verified.described)) is not None:
        raise NotRestored(difference, done)
    return done


def _save(work: Work) -> str:
    work.progress.begin("save")
    request = snapshot.Request(manifest.SAFETY, pinned=True, keep_raw=work.settings.data / KEPT)
    return snapshot.take(work, request).made.name


def _save_if_whole(work: Work, decided: Plan) -> str | None:
    if decided.live is None:
        return None
    try:
        return _save(work)
    except (Damaged, SourceUnreadable) as unsaved:
        work.log.event("safety-impossible", level="warning", error=unsaved.message)
        return None


def _difference(live: Path, seen: Exchanged, expected: Description) -> str | None:
    """Say in what the live database is not what was brought back, if in anything."""
    found = seen.found
    if isinstance(found, BackupError):
        return found.message
    if (found.user_version, found.schema_sha256) != (expected.user_version, expected.schema_sha256):
        return f"{live}: after the restore its schema is not the snapshot's"
    written = int(seen.unseen_s * _ROWS_A_SECOND)
    if sum(abs(found.rows[table] - expected.rows[table]) for table in expected.rows) > written:
        return f"{live}: after the restore it holds {dict(found.rows)}, the snapshot {dict(expected.rows)}"
    return None


def expect_absent(target: Path) -> None:
    """Refuse to write over what exists, the live database first of all."""
    if os.path.lexists(target):
        raise Usage(f"{target}: exists already", "give a path at which nothing stands; nothing was changed")


def write_to(verified: Verified, target: Path) -> None:
    """Write the verified database somewhere else, by rename."""
    expect_absent(target)
    disk.keep(verified.raw, target)
