"""Uploads as write-once objects, named by their digest, so that a thousand snapshots cost one copy.

A path comes out of a database and is not believed: it must lie inside uploads/, and no part of it may be a
symbolic link. Every byte is hashed on its way, in either direction.
"""

import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from .compress import BLOCK, digest_of, sha256_of
from .disk import free_name, sync_folder
from .errors import Damaged, reading, writing
from .manifest import Upload
from .repository import Repository

_DIGEST = re.compile(r"[0-9a-f]{64}")
_FOLDER = 0o750
_FILE = 0o600
_ASIDE_FORMAT = ".set-aside_%Y%m%d_%H%M%S"


@dataclass(frozen=True)
class Wanted:
    """A file that a row names, its path and digest of a form that can be used."""

    path: str
    sha256: str


def wanted(pairs: Iterable[tuple[object, object]]) -> tuple[list[Wanted], list[str]]:
    """Part what a view names into what can be used and what cannot, the latter as text for people."""
    usable, refused = [], []
    for path, sha256 in pairs:
        if isinstance(path, str) and isinstance(sha256, str) and _is_safe(path) and _DIGEST.fullmatch(sha256):
            usable.append(Wanted(path, sha256))
        else:
            refused.append(f"{path!r} ({sha256!r})")
    return usable, refused


def _is_safe(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return (
        bool(parts)
        and not path.startswith("/")
        and "\0" not in path
        and "/".join(parts) == path
        and not any(part in ("..", ".") for part in parts)
    )


@contextmanager
def _opened(root: Path, path: str) -> Iterator[int]:
    """Open a regular file beneath a folder for reading, following no symbolic link on the way."""
    *folders, name = PurePosixPath(path).parts
    held = [os.open(root, os.O_RDONLY | os.O_DIRECTORY)]
    try:
        for folder in folders:
            held.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=held[-1]))
        held.append(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=held[-1]))
        if not stat.S_ISREG(os.fstat(held[-1]).st_mode):
            raise FileNotFoundError(f"{path} is no regular file")
        yield held[-1]
    finally:
        for descriptor in reversed(held):
            os.close(descriptor)


def _blocks(descriptor: int) -> Iterator[bytes]:
    while block := os.read(descriptor, BLOCK):
        yield block


@dataclass(frozen=True)
class Collected:
    """What became of the files that rows name."""

    held: tuple[Upload, ...]
    missing: tuple[str, ...]  # paths that are nowhere whole
    gone: tuple[str, ...] = ()  # paths that are held, and in uploads/ no more
    closed: tuple[str, ...] = ()  # paths that are held, and may not be read in uploads/
    differing: tuple[str, ...] = ()  # paths that are held, and of other content in uploads/


def collect(repository: Repository, uploads: Path, files: Iterable[Wanted]) -> Collected:
    """Make sure of an object for every file.

    Where object and upload differ in size one of them is damaged, and where the upload is gone all depends on the
    object: hashing it only then costs little. An upload is hashed again when somebody wrote it after its object was
    made: it is written once, so that is rare, while hashing all of them would cost each snapshot as much as they are
    large. Rot that leaves size and time alone is found by a restore, which hashes all.
    """
    held, missing = [], []
    found: dict[str, list[str]] = {"gone": [], "closed": [], "differing": []}
    for file in files:
        target = repository.objects / file.sha256
        seen, refused = _look_at(uploads, file)
        size = seen.st_size if seen is not None else None
        if target.exists() and target.stat().st_size != size and fault_of(repository, file.sha256) is not None:
            set_aside(target)
        staged = repository.staging / f"object.{file.sha256}"
        if not (target.exists() or _take(uploads, file, target, staged)):
            missing.append(file.path)
            continue
        made = target.stat()
        held.append(Upload(file.path, file.sha256, made.st_size))
        if seen is None:
            found["closed" if refused == errno.EACCES else "gone"].append(file.path)
        elif size != made.st_size or (seen.st_mtime_ns > made.st_mtime_ns and absent(uploads, [file])):
            found["differing"].append(file.path)
    if held:  # also where nothing was added now: a killed run may have named an object and not come as far as this
        sync_folder(repository.objects)
    return Collected(tuple(held), tuple(missing), **{kind: tuple(paths) for kind, paths in found.items()})


def _look_at(uploads: Path, file: Wanted) -> tuple[os.stat_result | None, int | None]:
    """Return what an upload is; where it is gone, a link or unreadable, why it could not be opened."""
    try:
        with _opened(uploads, file.path) as source:
            return os.fstat(source), None
    except OSError as refused:
        return None, refused.errno


def set_aside(path: Path) -> None:
    """Let a damaged object stand under another name, out of the way of a whole one."""
    with writing(str(path)):
        path.rename(path.with_name(f"{path.name}.damaged"))
        sync_folder(path.parent)


def remove_unnamed(repository: Repository) -> int:
    """Remove the objects that no manifest names; none while a manifest cannot be read."""
    named: set[str] = set()
    for stored in repository.all():
        if stored.manifest is None:
            return 0
        named.update(upload.sha256 for upload in stored.manifest.uploads)
    unnamed = [path for path in repository.objects.iterdir() if path.name.split(".", 1)[0] not in named]
    with writing(f"objects {repository.objects}"):
        for path in unnamed:
            path.unlink()
    return len(unnamed)


def fault_of(repository: Repository, sha256: str) -> str | None:
    """Read an object and say what is wrong with it, if anything."""
    path = repository.objects / sha256
    if not path.is_file():
        return f"{path} is gone"
    try:
        with reading(str(path), _HINT):
            return None if sha256_of(path) == sha256 else f"{path} is damaged"
    except Damaged as unreadable:
        return unreadable.message


_HINT = "the next snapshot takes it anew from uploads/, if the file there is whole"


def _take(uploads: Path, file: Wanted, target: Path, staged: Path) -> bool:
    try:
        with _opened(uploads, file.path) as source, writing(f"upload {file.path}"):
            if _copy(source, staged, 0o400) != file.sha256:
                return False
            staged.rename(target)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return False
    except OSError as refused:
        if refused.errno == errno.ELOOP:  # what O_NOFOLLOW answers to a symbolic link
            return False
        raise
    return True


def _copy(source: int, target: Path, mode: int) -> str:
    digest = hashlib.sha256()
    with target.open("wb") as out:
        for block in _blocks(source):
            digest.update(block)
            out.write(block)
        os.fchmod(out.fileno(), mode)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def absent(uploads: Path, files: Iterable[Wanted]) -> list[Wanted]:
    """Return the files that are not in uploads/ with the content their digest promises."""
    found = []
    for file in files:
        try:
            with _opened(uploads, file.path) as source:
                if digest_of(_blocks(source)) == file.sha256:
                    continue
        except OSError:
            pass  # gone, a link or unreadable: in each case not what the row names
        found.append(file)
    return found


def in_the_way(uploads: Path, files: Iterable[Wanted], now: datetime) -> dict[str, str]:
    """Say what keeps files from being put back, by its path below uploads/, and the name it is to be given.

    That is a folder where a file belongs, and what is no folder where one belongs: a link there would lead the write
    out of uploads/.
    """
    found: dict[str, str] = {}
    for file in files:
        path = PurePosixPath(file.path)
        for part in (*reversed(path.parents[:-1]), path):
            with writing(f"upload {file.path}"):
                try:
                    is_folder = stat.S_ISDIR((uploads / part).lstat().st_mode)
                except FileNotFoundError:
                    break
            if is_folder == (part == path):
                aside = free_name(uploads / part, _ASIDE_FORMAT, now)
                found[str(part)] = str(aside.relative_to(uploads))
                break  # nothing can stand below it
    return found


def put_back(repository: Repository, uploads: Path, files: Sequence[Wanted], now: datetime) -> dict[str, str]:
    """Write files back into uploads/ from their objects, by rename; what else is there stays.

    Returns what stood in the way, and under which name it stands now.
    """
    moved = in_the_way(uploads, files, now)
    for part, aside in moved.items():
        with writing(f"upload {part}"):
            (uploads / part).rename(uploads / aside)
            sync_folder((uploads / part).parent)
    for file in files:
        target = uploads / file.path
        with writing(f"upload {file.path}"):
            target.parent.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
            staged = target.with_name(f".{file.sha256}.restoring")
            staged.unlink(missing_ok=True)
            try:
                with _opened(repository.objects, file.sha256) as source:
                    _copy(source, staged, _FILE)
                    made = os.fstat(source)
                os.utime(staged, ns=(made.st_atime_ns, made.st_mtime_ns))  # no newer than its object: see collect()
                staged.rename(target)
            finally:
                staged.unlink(missing_ok=True)
            sync_folder(target.parent)
    return moved
