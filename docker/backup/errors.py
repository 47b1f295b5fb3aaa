"""Exit codes, and one family of errors that each carry the next step.

An error leaves this package as `error: <what was seen>` and `hint: <what to do>`, with a code that a
script can tell apart. Whatever has no code of its own is a defect of ours and leaves with 1.
"""
# ruff: noqa: N818 - the name says what is the case, and reads so where it is raised

import errno
from collections.abc import Iterator
from contextlib import contextmanager

OK = 0
FREE_SOME = "free some space, or lower MONSITE_KEEP_*; what was stored before is untouched"
DEFECT = "this is a defect of the backup itself: please report it with the lines above"


class BackupError(Exception):
    """What was seen, and what to do about it."""

    code = 1

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.known: dict[str, object] = {}  # what was found out before, for --json

    def __str__(self) -> str:
        return self.message


def as_told(failed: Exception) -> BackupError:
    """Return one of ours as it is, and any other error as the defect that it is."""
    return failed if isinstance(failed, BackupError) else BackupError(f"{type(failed).__name__}: {failed}", DEFECT)


class Usage(BackupError):
    """The command or a setting cannot be understood."""

    code = 2


class NoSuchSnapshot(BackupError):
    """No stored snapshot answers to the name."""

    code = 3


class Damaged(BackupError):
    """A verification failed, so nothing was published or restored."""

    code = 4


class SourceUnreadable(BackupError):
    """The live database is missing, locked or no database."""

    code = 5


class NoSpace(BackupError):
    """The disk is full, or would be."""

    code = 6


class ColdNeeded(BackupError):
    """The running site cannot take this restore; nothing was changed."""

    code = 7


class SchemaNewer(BackupError):
    """The snapshot was written by a newer site than the one that would read it."""

    code = 8


class Unrehearsed(BackupError):
    """The site's image does not start on this database."""

    code = 9


class Unanswered(Unrehearsed):
    """The service that would try does not answer: nothing is known of the database."""


class ToolFailed(BackupError):
    """A program we call was killed or could not start: nothing is known of what it was to work on."""

    code = 1


class Busy(BackupError):
    """Another backup or restore, or the site itself, holds what is needed."""

    code = 75


class Unwritable(BackupError):
    """A folder refuses what its owner should be able to do."""

    code = 1


@contextmanager
def writing(subject: str) -> Iterator[None]:
    """Give the two refusals of a file system, full and forbidden, their name and their hint."""
    try:
        yield
    except OSError as refused:
        if refused.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace(
                f"{subject}: no space left on the file system",
                FREE_SOME,
            ) from refused
        if refused.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise Unwritable(
                f"{subject}: {refused.strerror} ({refused.filename})",
                "the folder must belong to 1001:1001 and be mounted read-write; `./stack up` sets the owner",
            ) from refused
        if refused.errno in (errno.ENOENT, errno.ESTALE):
            raise Unwritable(
                f"{subject}: {refused.strerror} ({refused.filename})",
                "the folder was replaced under the running service; `./stack up` mounts the one that is there now",
            ) from refused
        raise


NOT_THE_FILE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # say something about us


@contextmanager
def reading(subject: str, hint: str) -> Iterator[None]:
    """Tell a stored file that cannot be read, a bad sector say, as damage to it and not as a defect of ours."""
    try:
        yield
    except OSError as refused:
        if refused.errno in NOT_THE_FILE:
            raise
        raise Damaged(f"{subject}: cannot be read: {refused.strerror or refused}", hint) from refused
