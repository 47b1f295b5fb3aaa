"""Take a snapshot: copy, check beside compress, prove, publish.

What is refused on the way leaves nothing behind: the payload gets its final name last but one, the manifest
last, and until then all of it stands in staging.
"""

import sqlite3
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from . import compress, database, disk, manifest, objects, status
from .database import Description
from .errors import BackupError, Damaged, SourceUnreadable, writing
from .manifest import Manifest
from .repository import Repository
from .rotation import TOLERANCE
from .settings import DATABASE, Settings
from .work import Work

# The raw copy and its compressed form stand side by side for a while.
_ROOM = 1.6


@dataclass(frozen=True)
class Request:
    """What kind of snapshot is wanted."""

    kind: str
    pinned: bool = False
    accept_shrink: bool = False  # the smaller database is meant: it becomes what the next is compared with
    keep_raw: Path | None = None  # leave the uncompressed copy here too, by rename


@dataclass(frozen=True)
class _Examined:
    """What the copy was found to be."""

    checks: Mapping[str, str]
    described: Description
    uploads: list[tuple[object, object]]


@dataclass(frozen=True)
class _Digests:
    """What the copy and its compressed form are known by."""

    raw: str
    payload: str


@dataclass(frozen=True)
class Taken:
    """A published snapshot, and what it found of the files that rows name."""

    made: Manifest
    uploads: objects.Collected


def take(work: Work, request: Request) -> Taken:
    """Publish one verified snapshot of the live database; the caller holds the lock."""
    settings, repository, log = work.settings, work.repository, work.log
    status.notice_loss(settings, work.now, log)
    source = settings.database
    database.look_for(source)
    _expect_room(settings, repository)
    created = _free_second(repository, work.now)
    name = manifest.name_of(created)
    log.event("snapshot-start", snapshot=name, kind=request.kind)

    began = work.elapsed()
    raw = repository.staging / f"{log.run}.db"
    payload = repository.staging / f"{log.run}.payload"
    file_name = f"{name}{compress.ENDINGS[settings.compression]}"
    with writing(f"staging area {repository.staging}"):
        database.copy(source, raw, work.progress.begin("copy"))
    examined, digests = _examine_and_compress(work, raw, payload, file_name)
    files, refused = objects.wanted(examined.uploads)
    collected = objects.collect(repository, settings.uploads, files)
    collected = replace(collected, missing=(*collected.missing, *refused))
    made = Manifest(
        name=name,
        created=created,
        kind=request.kind,
        pinned=request.pinned,
        verified=True,
        shrunk=not request.accept_shrink and _is_shrunk(work, examined.described.total),
        payload=file_name,
        compression=settings.compression,
        bytes=payload.stat().st_size,
        sha256=digests.payload,
        raw_bytes=raw.stat().st_size,
        raw_sha256=digests.raw,
        page_size=examined.described.page_size,
        user_version=examined.described.user_version,
        schema_sha256=examined.described.schema_sha256,
        rows=examined.described.rows,
        uploads=collected.held,
        missing=collected.missing,
        checks={**examined.checks, "unpacked": "equal"},
        tools=_tools(settings),
        duration_s=round(work.elapsed() - began, 3),
        run=log.run,
    )
    repository.publish(payload, made)
    if request.keep_raw is not None:  # last: what was kept by a restore before stays until this one has its snapshot
        disk.keep(raw, request.keep_raw)
    raw.unlink()
    return Taken(made, collected)


def _examine_and_compress(work: Work, raw: Path, payload: Path, file_name: str) -> tuple[_Examined, _Digests]:
    """Do both side by side, and go on only when both are good; the check takes longest, so all else is beside it.

    When both fail, what is wrong with the copy is what the reader must know: the other is often its
    consequence, and goes to the log.
    """
    with ThreadPoolExecutor(max_workers=1) as beside:
        examining = beside.submit(_examine, work, raw)
        try:
            size = raw.stat().st_size
            compress.compress(raw, payload, work.settings.compression, work.progress.begin("compress", size))
            proven = compress.prove(payload, file_name, raw, work.progress.begin("prove", size))
            digests = _Digests(proven, compress.sha256_of(payload))
        except BackupError as failed:
            if examining.exception() is not None:
                work.log.event("compress-failed", level="error", error=failed.message)
                examining.result()
            raise
        return examining.result(), digests


def _examine(work: Work, raw: Path) -> _Examined:
    work.progress.begin("check")
    try:
        checks = database.check(raw, f"the copy of {work.settings.database}")
    except Damaged as wrong:  # a copy is as whole as what it was made of
        hint = "it is damaged; `./stack restore latest` brings it back; nothing was published"
        raise SourceUnreadable(wrong.message, hint) from wrong
    return _Examined(checks, database.describe(raw), database.upload_paths(raw))


def _expect_room(settings: Settings, repository: Repository) -> None:
    wal = settings.database.with_name(f"{DATABASE}-wal")
    size = settings.database.stat().st_size + (wal.stat().st_size if wal.exists() else 0)
    disk.expect_room(repository.root, int(_ROOM * size), f"a snapshot of {size} bytes")


def _free_second(repository: Repository, now: datetime) -> datetime:
    created = now.astimezone(UTC).replace(microsecond=0)
    while not repository.free_name(manifest.name_of(created)):
        created += timedelta(seconds=1)
    return created


def _is_shrunk(work: Work, rows: int) -> bool:
    """Compare with the newest state that was not itself under suspicion: a snapshot, or what a restore put back."""
    latest = work.now + TOLERANCE  # of several in one second the names, and so the times, run ahead of the clock
    before = [
        (stored.manifest.created, sum(stored.manifest.rows.values()))
        for stored in work.repository.all()
        if stored.manifest is not None
        and stored.verified
        and not stored.manifest.shrunk
        and stored.manifest.kind != manifest.SAFETY  # what was replaced is no measure of what replaced it
        and stored.manifest.created <= latest
    ]
    if (restored := status.last_restore(work.settings)) is not None and restored[0] <= latest:
        before.append(restored)
    return bool(before) and 2 * rows < max(before)[1]


def _tools(settings: Settings) -> dict[str, str]:
    tools = {
        "monsite": settings.version,
        "sqlite": sqlite3.sqlite_version,
        "python": sys.version.split()[0],
    }
    return tools | ({"zstd": compress.zstd_version()} if settings.compression == "zstd" else {})
