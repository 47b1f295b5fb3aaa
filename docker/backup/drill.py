"""The proof that a snapshot can be lived on: bring it back somewhere else, and let the site start on it."""

from dataclasses import dataclass

from . import migration, objects, source
from .errors import Damaged, NoSuchSnapshot, Unrehearsed
from .manifest import Manifest
from .repository import Stored
from .work import Work

_HINT = "the live site is untouched; `./stack backup list` shows other snapshots, `./stack backup drill NAME` tries one"


@dataclass(frozen=True)
class Drilled:
    """What was shown."""

    made: Manifest
    schema: int  # the version the site has, or made of it
    walks: int | None  # as the site counted them
    boot_s: float
    uploads_checked: int


def choose(work: Work, name: str | None) -> Stored:
    """Find the snapshot to try: the one named, else the newest verified one."""
    if name is not None:
        return work.repository.find(name)
    newest = work.repository.newest(work.now)
    if newest is None:
        raise NoSuchSnapshot("there is no verified snapshot", "take one: `./stack backup now`")
    return newest


def drill(work: Work, stored: Stored) -> Drilled:
    """Unpack it, check it against its manifest and its uploads, and let the site answer from it."""
    if not stored.verified:
        raise Damaged(f"{stored.name}: {stored.problem or 'a verification found it damaged'}", _HINT)
    verified = source.verify(work, source.of_stored(work.repository, stored))
    made = verified.source.manifest
    if made is None:
        raise Damaged(f"{stored.name}: its manifest is gone", _HINT)
    for upload in made.uploads:
        if (fault := objects.fault_of(work.repository, upload.sha256)) is not None:
            raise Damaged(f"{stored.name}: upload {upload.path}: {fault}", _HINT)
    rows = made.rows.get("walks")
    with migration.rehearsed(work, verified) as seen:
        if seen.walks is not None and rows is not None and seen.walks != rows:
            raise Unrehearsed(f"the site shows {seen.walks} walks of {rows}", _HINT)
        return Drilled(made, seen.schema, seen.walks, seen.boot_s, len(made.uploads))
