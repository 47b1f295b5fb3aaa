"""What a restore is asked to bring back, found and unpacked, with every byte proven before it is believed.

A stored snapshot is proven by its manifest. A file brought by hand may have none: it is then held to what a
database can show by itself, and said to be unsigned.
"""

import hashlib
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from . import compress, database, manifest
from .database import Description
from .disk import expect_room
from .errors import Damaged, NoSuchSnapshot, Usage, reading, writing
from .manifest import Manifest
from .progress import Step
from .repository import Repository, Stored
from .settings import DATABASE
from .work import Work

LATEST, STDIN = "latest", "-"
_FORMATS = (".db", ".db.gz", ".db.zst")
# What a restore kept of the database before it: plain databases, whatever the damage to them.
_KEPT = re.compile(rf"{re.escape(DATABASE)}\.(backup|damaged_\d{{8}}_\d{{6}})")
_LOOK_EVERY = 32 * 1024 * 1024  # bytes between two looks at the free space
_REFUSED = "nothing was changed; `./stack backup list` shows the snapshots there are"


@dataclass(frozen=True)
class Source:
    """A file to restore from."""

    shown: str  # how messages name it
    path: Path
    file_name: str  # its ending tells the format
    manifest: Manifest | None  # None: unsigned
    others: tuple[Path, ...] = ()  # what the other tiers hold of it, where that is another file


@dataclass(frozen=True)
class Given:
    """Bytes that somebody sends: the manifest that lay beside the file, where there was one, then the file."""

    stdin: IO[bytes]
    file_name: str | None
    manifest_bytes: int


@dataclass(frozen=True)
class Verified:
    """A source whose database stands unpacked in staging, whole."""

    source: Source
    raw: Path
    described: Description


def find(work: Work, given: str, incoming: Given) -> Source:
    """Understand SOURCE: latest, a name, a path inside the container, or bytes."""
    repository = work.repository
    if given == STDIN:
        if not incoming.file_name:
            raise Usage("bytes on stdin have no name", "say what they are: --filename balades_….db.zst")
        name = Path(incoming.file_name).name
        path = repository.staging / "given"
        with writing(str(path)), path.open("xb") as out:
            if incoming.manifest_bytes:
                beside = _manifest_beside(path, name)
                beside.write_bytes(incoming.stdin.read(incoming.manifest_bytes))
            _pour(work, incoming.stdin, out, work.progress.begin("read"))
        return _foreign(repository, path, name, shown=name)
    if given == LATEST:
        stored = repository.newest(work.now)
        if stored is None:
            raise NoSuchSnapshot(
                "there is no verified snapshot", "`./stack backup list` shows what there is; a file can be given too"
            )
    elif "/" in given and (path := Path(given)).is_file() and not path.is_relative_to(repository.root):
        return _foreign(repository, path, path.name, shown=given)
    else:
        stored = repository.find(given)
    return of_stored(repository, stored)


def _manifest_beside(path: Path, name: str) -> Path:
    return path.with_name(f"{name.split('.', 1)[0]}.json")


def of_stored(repository: Repository, stored: Stored) -> Source:
    """Find a stored snapshot's payload, in each tier where it is a file of its own."""
    made = stored.manifest
    if made is None:
        raise Damaged(f"{stored.name}: {stored.problem}", _REFUSED)
    first, *others = repository.payloads(stored)
    return Source(str(first), first, made.payload, made, tuple(others))


def _foreign(repository: Repository, path: Path, name: str, *, shown: str) -> Source:
    """A file from outside is signed when it is, or calls itself, one of the snapshots we know."""
    if not os.access(path, os.R_OK):
        raise Usage(f"{shown}: Permission denied", "let 1001:1001 read the file, then try again; nothing was changed")
    if _KEPT.fullmatch(name):
        name = DATABASE
    if not name.endswith(_FORMATS):
        raise Usage(f"{name}: the ending tells no format", f"use a file that ends in {', '.join(_FORMATS)}")
    stem = name.split(".", 1)[0]
    known = [stored.manifest for stored in repository.all() if stored.manifest is not None]
    same = [made for made in known if made.name == stem]
    if not same:
        digest = compress.sha256_of(path)
        same = [made for made in known if digest in (made.sha256, made.raw_sha256)]
    beside = _manifest_beside(path, name)
    # os.path, because Path raises where the longer ending makes a name that no file can have
    if not same and os.path.isfile(beside):  # noqa: PTH113
        same = [manifest.parse(beside.read_text(encoding="utf-8"), str(beside))]
    return Source(shown, path, name, same[0] if same else None)


def verify(work: Work, source: Source) -> Verified:
    """Unpack into staging and prove it, by the copy of another tier where one is damaged.

    The message of a refusal names the file and the reason.
    """
    refused: Damaged | None = None
    for path in (source.path, *source.others):
        tried = replace(source, path=path, shown=str(path)) if source.others else source
        try:
            with reading(tried.shown, _REFUSED):
                return _verify(work, tried)
        except Damaged as wrong:
            work.log.event("copy-damaged", level="error", error=wrong.message)
            refused = refused or wrong
    assert refused is not None  # noqa: S101 - there is always one to try
    raise refused


def _verify(work: Work, source: Source) -> Verified:
    if source.path.stat().st_size == 0:
        raise Damaged(f"{source.shown}: the file is empty", _REFUSED)
    made = source.manifest
    if made is not None and source.file_name == made.payload and compress.sha256_of(source.path) != made.sha256:
        raise Damaged(f"{source.shown}: its sha256 is not the one in its manifest", _REFUSED)
    raw = work.repository.staging / "unpacked.db"
    raw.unlink(missing_ok=True)  # of a copy that was tried before
    digest = _unpack(work, source, raw)
    if made is not None and digest != made.raw_sha256:
        raise Damaged(f"{source.shown}: the database inside is not the one its manifest describes", _REFUSED)
    if not database.has_header(raw):
        raise Damaged(f"{source.shown}: what is inside is no SQLite database", _REFUSED)
    database.settle_file(raw, source.shown)
    work.progress.begin("check")
    database.check(raw, source.shown)
    described = database.describe(raw)
    if made is not None and (described.user_version, described.schema_sha256, described.rows) != (
        made.user_version,
        made.schema_sha256,
        made.rows,
    ):
        raise Damaged(f"{source.shown}: version, schema or row counts differ from its manifest", _REFUSED)
    return Verified(source, raw, described)


def _unpack(work: Work, source: Source, raw: Path) -> str:
    """Write the database out; a file that swells past what is known or past the free space is stopped."""
    most = source.manifest.raw_bytes if source.manifest is not None else None
    room, floor = work.repository.root, work.settings.floor_bytes
    if most is not None:
        expect_room(room, most, f"unpacking {source.shown}")
    step = work.progress.begin("unpack", most)
    digest, written, looked = hashlib.sha256(), 0, 0
    with writing(str(raw)), raw.open("xb") as out:
        for block in compress.unpack(source.path, source.file_name):
            written += len(block)
            if most is not None and written > most:
                raise Damaged(f"{source.shown}: it unpacks to more than the {most} bytes promised", _REFUSED)
            if written - looked >= _LOOK_EVERY:
                looked = written
                expect_room(room, floor, f"what remains after unpacking {source.shown}")
            digest.update(block)
            out.write(block)
            step.reach(written)
    return digest.hexdigest()


def _pour(work: Work, incoming: IO[bytes], out: IO[bytes], step: Step) -> None:
    looked = written = 0
    while block := incoming.read(compress.BLOCK):
        written += len(block)
        if written - looked >= _LOOK_EVERY:
            looked = written
            expect_room(work.repository.root, work.settings.floor_bytes, "what remains after reading the bytes given")
        out.write(block)
        step.reach(written)
