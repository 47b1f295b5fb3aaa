"""Take a snapshot: copy, check, compress, prove, publish.

What is refused on the way leaves nothing behind: the payload gets its final name last but one, the manifest
last, and until then all of it stands in staging.
"""

import hashlib
import shutil
import sqlite3
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from . import compress, database, manifest, objects
from .errors import Damaged, NoSpace, writing
from .logs import Log
from .manifest import Manifest
from .repository import Repository, sync_file
from .settings import DATABASE, Settings

# The raw copy and its compressed form stand side by side for a while.
_ROOM = 1.6


@dataclass(frozen=True)
class Request:
    """What kind of snapshot is wanted."""

    kind: str
    pinned: bool = False
    accept_shrink: bool = False  # the smaller database is meant: it becomes what the next is compared with
    keep_raw: Path | None = None  # leave the uncompressed copy here too, by rename


def take(settings: Settings, repository: Repository, request: Request, now: datetime, log: Log) -> Manifest:
    """Publish one verified snapshot of the live database; the caller holds the lock."""
    began = time.monotonic()
    source = settings.database
    database.look_for(source)
    _expect_room(settings, repository)
    created = _free_second(repository, now)
    name = manifest.name_of(created)
    log.event("snapshot-start", snapshot=name, kind=request.kind)

    raw = repository.staging / f"{log.run}.db"
    with writing(f"staging area {repository.staging}"):
        database.copy(source, raw)
    subject = f"the copy of {source}"
    checks = database.check(raw, subject)
    described = database.describe(raw)
    files, refused = objects.wanted(database.upload_paths(raw))
    held, missing = objects.collect(repository, settings.uploads, files)

    payload = repository.staging / f"{log.run}.payload"
    raw_sha256 = compress.compress(raw, payload, settings.compression)
    file_name = f"{name}{compress.ENDINGS[settings.compression]}"
    _prove(payload, file_name, raw_sha256)
    made = Manifest(
        name=name,
        created=created,
        kind=request.kind,
        pinned=request.pinned,
        verified=True,
        shrunk=not request.accept_shrink and _is_shrunk(repository, described.total, now),
        payload=file_name,
        compression=settings.compression,
        bytes=payload.stat().st_size,
        sha256=compress.sha256_of(payload),
        raw_bytes=raw.stat().st_size,
        raw_sha256=raw_sha256,
        page_size=described.page_size,
        user_version=described.user_version,
        schema_sha256=described.schema_sha256,
        rows=described.rows,
        uploads=held,
        missing=(*missing, *refused),
        checks={**checks, "unpacked": "equal"},
        tools=_tools(settings),
        duration_s=round(time.monotonic() - began, 3),
        run=log.run,
    )
    if request.keep_raw is not None:
        keep(raw, request.keep_raw)
    repository.publish(payload, made)
    raw.unlink()
    return made


def _expect_room(settings: Settings, repository: Repository) -> None:
    wal = settings.database.with_name(f"{DATABASE}-wal")
    size = settings.database.stat().st_size + (wal.stat().st_size if wal.exists() else 0)
    needed, free = int(_ROOM * size), shutil.disk_usage(repository.root).free
    if free < needed:
        raise NoSpace(
            f"{repository.root}: {free} bytes are free, a snapshot of {size} bytes needs {needed}",
            "free some space, or lower MONSITE_KEEP_*; what was stored before is untouched",
        )


def _free_second(repository: Repository, now: datetime) -> datetime:
    created = now.astimezone(UTC).replace(microsecond=0)
    while not repository.free_name(manifest.name_of(created)):
        created += timedelta(seconds=1)
    return created


def _prove(payload: Path, file_name: str, raw_sha256: str) -> None:
    """Unpack what was just written: a compressor or a disk that errs shows here, not in a year."""
    if digest_of_unpacked(payload, file_name) != raw_sha256:
        raise Damaged(
            f"{file_name}: what was written does not unpack to what was read",
            "the disk or the memory of this machine errs; nothing was published",
        )


def digest_of_unpacked(payload: Path, file_name: str) -> str:
    """Return the digest of the database inside a payload, without ever storing it."""
    digest = hashlib.sha256()
    for block in compress.unpack(payload, file_name):
        digest.update(block)
    return digest.hexdigest()


def _is_shrunk(repository: Repository, rows: int, now: datetime) -> bool:
    """Compare with the newest snapshot that was not itself under suspicion."""
    before = [
        stored.manifest
        for stored in repository.all()
        if stored.manifest is not None
        and stored.verified
        and not stored.manifest.shrunk
        and stored.manifest.created <= now
    ]
    if not before:
        return False
    newest = max(before, key=lambda made: made.created)
    return 2 * rows < sum(newest.rows.values())


def keep(source: Path, target: Path) -> None:
    """Copy a file to another folder so that its name always stands for a whole one."""
    staged = target.with_name(f".{target.name}.part")
    with writing(str(target)):
        staged.unlink(missing_ok=True)
        shutil.copyfile(source, staged)
        staged.chmod(0o600)
        sync_file(staged)
        staged.rename(target)


def _tools(settings: Settings) -> dict[str, str]:
    tools = {
        "monsite": settings.version,
        "sqlite": sqlite3.sqlite_version,
        "python": sys.version.split()[0],
    }
    return tools | ({"zstd": compress.zstd_version()} if settings.compression == "zstd" else {})
