"""Files on their way in, at rest, and on their way out.

A file is streamed to .incoming/ while it is measured and hashed, judged by its content, and only then
published under its digest: fsync, link, fsync of the folder. It is never overwritten and never
renamed; a row that names it is written afterwards, so no row can point at nothing.
"""

import asyncio
import contextlib
import hashlib
import os
import re
import threading
import time
import unicodedata
import uuid
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import multipart  # type: ignore[import-not-found]  # Debian's python3-multipart; not among the host's packages
from starlette.requests import Request

from . import errors
from .errors import Code, Problem
from .logs import Log
from .settings import Settings
from .sniff import Kind, Sniffed, sniff
from .store import Store

FIELD = "file"
ENVELOPE = 16 * 1024  # room for boundaries and part headers around the file
NAME_LENGTH = 120
STORED_NAME = re.compile(r"([0-9a-f]{64})\.(jpg|png|webp|pdf|gpx)")
UNREFERENCED_FOR_S = 24 * 60 * 60  # a snapshot taken a moment ago may still name the file


@dataclass(frozen=True)
class Stored:
    """A file that is published: durable, and named by its content."""

    found: Sniffed
    sha256: str
    size: int
    name: str


class Uploads:
    """The folder of uploads."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self._root = settings.uploads
        self._incoming = settings.uploads / ".incoming"
        self._settings = settings
        self._log = log
        self._sweeping = threading.Lock()  # between a look at a file and its removal, nobody may find it there

    def path(self, relative: str) -> Path:
        """Return where a file of the view upload_paths lies."""
        return self._root / relative

    def clear_incoming(self) -> None:
        """Remove what uploads left behind that were cut off by the end of the last process."""
        try:
            self._incoming.mkdir(exist_ok=True)
            for leftover in self._incoming.iterdir():
                leftover.unlink()
        except OSError as error:
            self._log.error(
                "uploads_not_writable", detail=str(error), hint="let uid 1001 own uploads/; reading goes on without"
            )

    async def receive(self, request: Request, kind: Kind) -> Stored:
        """Take the one file of a multipart request; raises Problem and leaves nothing where it is refused."""
        self._keep_the_floor()
        part = self._incoming / f"{uuid.uuid4().hex}.part"
        try:
            self._incoming.mkdir(exist_ok=True)
            sha256, size, name = await self._stream(request, part)
            found = await asyncio.to_thread(sniff, part, kind, self._settings.image_max_pixels)
            await asyncio.to_thread(self._publish, part, self._root / f"{kind}s", f"{sha256}.{found.ending}")
        except OSError as error:
            raise errors.from_os(error, Code.UPLOADS_UNWRITABLE) from error
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
        return Stored(found, sha256, size, name)

    def touch(self, paths: Iterable[str]) -> None:
        """Start the day of grace of files that may have lost their last row."""
        for path in paths:
            with contextlib.suppress(OSError):  # gone already: then there is nothing to keep
                os.utime(self._root / path)

    async def sweep(self, store: Store) -> None:
        """Remove files no row has named for a day; without a database that answers, none."""
        needed = await store.upload_paths()
        before = time.time() - UNREFERENCED_FOR_S
        removed = await asyncio.to_thread(self._sweep, needed, before)
        if removed:
            self._log.info("uploads_swept", removed=removed)

    def _sweep(self, needed: frozenset[str], before: float) -> list[str]:
        removed = []
        for kind in Kind:
            folder = self._root / f"{kind}s"
            for path in folder.iterdir() if folder.is_dir() else ():
                relative = f"{kind}s/{path.name}"
                if not STORED_NAME.fullmatch(path.name) or relative in needed:
                    continue
                with self._sweeping:
                    if path.stat().st_mtime < before:
                        path.unlink()
                        removed.append(relative)
        return removed

    def _keep_the_floor(self) -> None:
        """Leave the last space to the database: a photo can wait, an acknowledged walk cannot."""
        free = errors.free_bytes(self._root)
        if free < self._settings.disk_floor_bytes:
            raise Problem(
                Code.DISK_FULL,
                detail=f"{free} bytes free on uploads, the floor is {self._settings.disk_floor_bytes}",
                hint="free some space, or lower MONSITE_DISK_FLOOR_MB",
            )

    async def _stream(self, request: Request, part: Path) -> tuple[str, int, str]:
        """Write the field `file` to the disk as it comes; returns its digest, size and name."""
        limit = self._settings.upload_max_bytes
        too_large = Problem(Code.TOO_LARGE, f"This file is larger than the {limit:,} bytes that are taken.")
        if int(request.headers.get("content-length", "0")) > limit + ENVELOPE:
            raise too_large
        digest, size, name = hashlib.sha256(), 0, None
        inside = False
        with part.open("xb") as out:
            async for event in _events(request, limit + ENVELOPE, too_large):
                if event is None:
                    inside = False
                elif not isinstance(event, bytearray):
                    inside = event.name == FIELD
                    if inside and name is not None:
                        raise Problem(Code.INVALID_REQUEST, "Send one file at a time.")
                    name = sanitized(event.filename or "") if inside else name
                elif inside:
                    size += len(event)
                    if size > limit:
                        raise too_large
                    digest.update(event)
                    out.write(event)
            out.flush()
            await asyncio.to_thread(os.fsync, out.fileno())
        if name is None:
            raise Problem(Code.INVALID_REQUEST, f"The form has no field {FIELD!r}.")
        if size == 0:
            raise Problem(Code.UNACCEPTABLE_FILE, "This file is empty.")
        return digest.hexdigest(), size, name

    def _publish(self, part: Path, folder: Path, name: str) -> None:
        folder.mkdir(exist_ok=True)
        target = folder / name
        with self._sweeping:
            try:
                os.link(part, target)  # unlike a rename, this cannot replace what is there
            except FileExistsError:
                os.utime(target)  # known already; a row will name it again, so its day of grace starts anew
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


async def _events(request: Request, limit: int, too_large: Problem) -> AsyncIterator[Any]:
    """Yield what the parser finds: a part's header, pieces of its body, None at its end."""
    content_type, options = multipart.parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get("boundary", "")
    if content_type != "multipart/form-data" or not 1 <= len(boundary) <= 70:
        raise Problem(Code.INVALID_REQUEST, f"Send the file as multipart/form-data, in a field called {FIELD!r}.")
    parser = multipart.PushMultipartParser(boundary, max_segment_count=8)
    seen = 0
    try:
        async for chunk in request.stream():
            seen += len(chunk)
            if seen > limit:
                raise too_large
            if chunk:
                for event in parser.parse(chunk):
                    yield event
        parser.close()
    except multipart.MultipartError:
        raise Problem(Code.INVALID_REQUEST, "The form is not well-formed multipart/form-data.") from None


def sanitized(name: str) -> str:
    """Return a visitor's file name as harmless text: its last part, without signs that steer or hide."""
    last = name.replace("\\", "/").rpartition("/")[2]
    visible = "".join(sign for sign in last if unicodedata.category(sign)[0] != "C")
    return " ".join(visible.split())[:NAME_LENGTH] or "unnamed"
