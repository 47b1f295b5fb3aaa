"""An older snapshot made the site's own: the site migrates a copy of it, while the live database is left alone."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from . import database, rehearsal
from .disk import expect_room
from .errors import Unrehearsed, writing
from .rehearsal import Rehearsed
from .source import Verified
from .work import Work


@contextmanager
def rehearsed(work: Work, verified: Verified) -> Iterator[Rehearsed]:
    """Lend what the site made of a copy; a refusal is told by the name of what was given."""
    try:
        yield rehearsal.rehearse(work.settings, verified.raw, work.log, work.progress)
    except Unrehearsed as refused:
        refused.message = f"{verified.source.shown}: {refused.message}"
        raise
    finally:
        rehearsal.clear(work.settings)


def migrate(work: Work, verified: Verified, wanted: int | None) -> Verified:
    """Let the site's image start on it, and take what it made of it back into staging; checked like any other.

    `wanted` is the version the live database has; None where there is none, and the site's word is all there is.
    """
    shown, staged = verified.source.shown, work.repository.staging / "migrated.db"
    with rehearsed(work, verified) as left:
        verified.raw.unlink()
        expect_room(work.repository.root, left.raw.stat().st_size, f"{shown}, migrated,")
        with writing(str(staged)):
            shutil.copyfile(left.raw, staged)  # out of reach of whoever can still write to scratch/
    work.progress.begin("check")
    database.check(staged, f"{shown}, migrated")
    described = database.describe(staged)
    expected = wanted if wanted is not None else left.schema
    if described.user_version != expected:
        raise Unrehearsed(
            f"{shown}: the site made schema version {described.user_version} of it, {expected} is needed",
            "`./stack status` shows which release runs: the services drill and app must be of the same one; "
            "nothing was changed",
        )
    return replace(verified, raw=staged, described=described)
