"""Bytes into a payload and back, in one pass, with the digests that prove both ways.

zstd is called as a program with an argument list and works from file to file; gzip is Python's own, so that the
image needs no other.
"""

import contextlib
import errno
import fcntl
import functools
import gzip
import hashlib
import os
import signal
import subprocess
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from . import quota
from .errors import Damaged, ToolFailed, writing
from .progress import Step

ENDINGS = {"zstd": ".db.zst", "gzip": ".db.gz"}
BLOCK = 1024 * 1024
# Each thread of zstd holds some 20 MiB: all cores of a large host would not fit into 128 MiB.
_MOST_THREADS = 2
_MOST_DECODER_MIB = 64  # a file brought by hand may ask for a window larger than the container
_LEVEL = "-2"  # a sixth of the time less than -3 for a fifteenth of the space more, and still smaller than gzip
_LOOK_EVERY_S = 0.2


def blocks(path: Path) -> Iterator[bytes]:
    """Read a file in blocks of constant size."""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def sha256_of(path: Path) -> str:
    """Return the digest of a file."""
    return digest_of(blocks(path))


def digest_of(content: Iterable[bytes]) -> str:
    """Return the digest of what comes in blocks."""
    digest = hashlib.sha256()
    for block in content:
        digest.update(block)
    return digest.hexdigest()


def compress(source: Path, target: Path, method: str, step: Step) -> None:
    """Compress a file into a new one that has reached the disk; what came of it is proven elsewhere."""
    with writing(str(target)), source.open("rb") as plain, target.open("xb") as out:
        if method == "gzip":
            _gzip(plain, out, step)
        else:
            _zstd(plain, out, step)
        out.flush()
        os.fsync(out.fileno())


def _gzip(plain: IO[bytes], out: IO[bytes], step: Step) -> None:
    with gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=6, mtime=0) as stream:
        while block := plain.read(BLOCK):
            stream.write(block)
            step.advance(len(block))


def _zstd(plain: IO[bytes], out: IO[bytes], step: Step) -> None:
    """Let zstd read and write the files itself: bytes that pass through here would cost as much as its own work."""
    threads = min(_MOST_THREADS, int(quota.processors()))
    # On one processor even the thread that only reads and writes costs a quarter more than it wins.
    threading = [f"-T{threads}"] if threads > 1 else ["--single-thread", "--no-asyncio"]
    size = os.fstat(plain.fileno()).st_size
    argv = ["zstd", "-q", _LEVEL, *threading, f"--stream-size={size}", "-c"]
    with _started(argv, stdin=plain, stdout=out) as zstd:
        assert zstd.stderr is not None  # noqa: S101 - asked for above
        code = None
        while code is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = zstd.wait(timeout=_LOOK_EVERY_S)
            step.reach(os.lseek(plain.fileno(), 0, os.SEEK_CUR))  # the offset is zstd's as much as ours
        complaint = zstd.stderr.read().decode(errors="replace").strip()
    if "No space left" in complaint:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), out.name)
    _expect_own_end(code, out.name)
    if code != 0:
        raise Damaged(f"{out.name}: zstd failed: {complaint}", "try again; nothing was published")


def prove(payload: Path, file_name: str, raw: Path, step: Step) -> str:
    """Unpack what was just written beside what it was made of, byte for byte; return the digest of both.

    A compressor, a memory or a disk that errs shows here, not in a year.
    """
    digest = hashlib.sha256()
    with raw.open("rb", buffering=0) as plain:
        for block in unpack(payload, file_name):
            if plain.read(len(block)) != block:
                raise _unequal(file_name)
            digest.update(block)
            step.advance(len(block))
        if plain.read(1):
            raise _unequal(file_name)
    return digest.hexdigest()


def _unequal(file_name: str) -> Damaged:
    return Damaged(
        f"{file_name}: what was written does not unpack to what was read",
        "the disk or the memory of this machine errs; nothing was published",
    )


@functools.cache
def zstd_version() -> str:
    """Return the version of the program, for the manifest."""
    said = subprocess.run(["zstd", "-V"], capture_output=True, text=True, check=True).stdout
    return next((word.strip(",") for word in said.split() if word.startswith("v1.")), said.strip())


def unpack(source: Path, file_name: str) -> Iterator[bytes]:
    """Yield the database inside a .db, .db.gz or .db.zst; any damage ends in an error, never in less."""
    if file_name.endswith(".db"):
        yield from blocks(source)
    elif file_name.endswith(".gz"):
        yield from _gunzip(source, file_name)
    else:
        yield from _unzstd(source, file_name)


def digest_of_unpacked(payload: Path, file_name: str) -> str:
    """Return the digest of the database inside a payload, without ever storing it."""
    return digest_of(unpack(payload, file_name))


def _gunzip(source: Path, file_name: str) -> Iterator[bytes]:
    try:
        with gzip.open(source, "rb") as stream:
            while block := stream.read(BLOCK):
                yield block
    except (OSError, EOFError, zlib.error) as wrong:
        raise Damaged(f"{file_name}: cannot be unpacked: {wrong}", _HINT) from wrong


def _unzstd(source: Path, file_name: str) -> Iterator[bytes]:
    argv = ["zstd", "-q", "-d", "-c", f"-M{_MOST_DECODER_MIB}MB"]
    with source.open("rb") as packed, _started(argv, stdin=packed, stdout=subprocess.PIPE) as zstd:
        assert zstd.stdout is not None  # noqa: S101 - asked for above
        assert zstd.stderr is not None  # noqa: S101
        with contextlib.suppress(OSError):  # the kernel may grant no more than it gave
            fcntl.fcntl(zstd.stdout.fileno(), fcntl.F_SETPIPE_SZ, BLOCK)  # a third of the time, in fewer turns
        try:
            while block := zstd.stdout.read(BLOCK):
                yield block
            complaint = zstd.stderr.read().decode(errors="replace").strip()
            code = zstd.wait()
        finally:
            if zstd.poll() is None:
                zstd.kill()  # a reader that has seen enough does not wait for the rest
    _expect_own_end(code, file_name)
    if code != 0:
        raise Damaged(f"{file_name}: cannot be unpacked: {complaint or 'zstd failed'}", _HINT)


def _started(argv: list[str], stdin: IO[bytes], stdout: IO[bytes] | int) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(argv, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, bufsize=0)
    except OSError as refused:
        raise ToolFailed(f"zstd cannot be started: {refused.strerror}", _TRY_AGAIN) from refused


def _expect_own_end(code: int, subject: str) -> None:
    """A program that was killed has said nothing about the file it was given."""
    if code < 0:
        raise ToolFailed(f"{subject}: zstd was killed by {signal.Signals(-code).name} at work on it", _TRY_AGAIN)


_TRY_AGAIN = "the container may have been short of memory (`./stack status`): try again; nothing was changed"


_HINT = "nothing was changed; use another snapshot (`./stack backup list`)"
