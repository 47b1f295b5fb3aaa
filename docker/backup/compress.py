"""Bytes into a payload and back, in one pass, with the digests that prove both ways.

zstd is called as a program with an argument list; gzip is Python's own, so that the image needs no other.
"""

import gzip
import hashlib
import os
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .errors import Damaged, NoSpace, writing

ENDINGS = {"zstd": ".db.zst", "gzip": ".db.gz"}
_BLOCK = 1024 * 1024
# Each thread of zstd holds some 20 MiB: all cores of a large host would not fit into 128 MiB.
_MOST_THREADS = 2
_MOST_DECODER_MIB = 64  # a file brought by hand may ask for a window larger than the container


def blocks(path: Path) -> Iterator[bytes]:
    """Read a file in blocks of constant size."""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def sha256_of(path: Path) -> str:
    """Return the digest of a file."""
    digest = hashlib.sha256()
    for block in blocks(path):
        digest.update(block)
    return digest.hexdigest()


def compress(source: Path, target: Path, method: str) -> str:
    """Compress a file; return the digest of what was read."""
    digest = hashlib.sha256()
    with writing(str(target)), target.open("xb") as out, _compressor(out, method, source) as sink:
        for block in blocks(source):
            digest.update(block)
            sink.write(block)
    with target.open("rb") as written:
        os.fsync(written.fileno())
    return digest.hexdigest()


def zstd_version() -> str:
    """Return the version of the program, for the manifest."""
    said = subprocess.run(["zstd", "-V"], capture_output=True, text=True, check=True).stdout
    return next((word.strip(",") for word in said.split() if word.startswith("v1.")), said.strip())


@contextmanager
def _compressor(out: IO[bytes], method: str, source: Path) -> Iterator[IO[bytes]]:
    if method == "gzip":
        with gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=6, mtime=0) as stream:
            yield stream  # type: ignore[misc]  # a GzipFile is a binary stream in all but its declared type
        return
    threads = min(_MOST_THREADS, len(os.sched_getaffinity(0)))
    size = source.stat().st_size
    argv = ["zstd", "-q", "-3", f"-T{threads}", f"--stream-size={size}", "-c"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.PIPE) as zstd:
        assert zstd.stdin is not None  # noqa: S101 - asked for above
        assert zstd.stderr is not None  # noqa: S101
        try:
            yield zstd.stdin
            zstd.stdin.close()
        except BrokenPipeError:
            pass  # zstd has said why on stderr
        complaint = zstd.stderr.read().decode(errors="replace").strip()
        if zstd.wait() != 0:
            if "No space left" in complaint:
                raise NoSpace(
                    f"{out.name}: no space left on the file system",
                    "free some space; what was stored before is untouched",
                )
            raise Damaged(f"{out.name}: zstd failed: {complaint}", "try again; nothing was published")


def unpack(source: Path, file_name: str) -> Iterator[bytes]:
    """Yield the database inside a .db, .db.gz or .db.zst; any damage ends in an error, never in less."""
    if file_name.endswith(".db"):
        yield from blocks(source)
    elif file_name.endswith(".gz"):
        yield from _gunzip(source, file_name)
    else:
        yield from _unzstd(source, file_name)


def _gunzip(source: Path, file_name: str) -> Iterator[bytes]:
    try:
        with gzip.open(source, "rb") as stream:
            while block := stream.read(_BLOCK):
                yield block
    except (OSError, EOFError, zlib.error) as wrong:
        raise Damaged(f"{file_name}: cannot be unpacked: {wrong}", _HINT) from wrong


def _unzstd(source: Path, file_name: str) -> Iterator[bytes]:
    argv = ["zstd", "-q", "-d", "-c", f"-M{_MOST_DECODER_MIB}MB"]
    with (
        source.open("rb") as packed,
        subprocess.Popen(argv, stdin=packed, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as zstd,
    ):
        assert zstd.stdout is not None  # noqa: S101 - asked for above
        assert zstd.stderr is not None  # noqa: S101
        try:
            while block := zstd.stdout.read(_BLOCK):
                yield block
            complaint = zstd.stderr.read().decode(errors="replace").strip()
            code = zstd.wait()
        finally:
            if zstd.poll() is None:
                zstd.kill()  # a reader that has seen enough does not wait for the rest
    if code != 0:
        raise Damaged(f"{file_name}: cannot be unpacked: {complaint or 'zstd failed'}", _HINT)


_HINT = "nothing was changed; use another snapshot (`./stack backup list`)"
