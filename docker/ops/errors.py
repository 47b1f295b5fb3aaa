"""One exception for everything that goes wrong on the host side, and every exit code with its meaning."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path


class Exit(IntEnum):
    """Exit codes of ./stack; those of the keeper of the snapshots are passed through unchanged."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NO_SUCH_SNAPSHOT = 3
    DAMAGED = 4
    UNREADABLE = 5
    NO_SPACE = 6
    COLD_NEEDED = 7  # the keeper's alone: the launcher then stops the app and asks again with --cold
    SCHEMA_NEWER = 8
    UNREHEARSED = 9
    BUSY = 75
    INTERRUPTED = 130  # what shells report for a command ended by Ctrl-C


MEANINGS = {
    Exit.OK: "ok",
    Exit.FAILED: "failed",
    Exit.USAGE: "usage",
    Exit.NO_SUCH_SNAPSHOT: "no such snapshot",
    Exit.DAMAGED: "damaged, refused",
    Exit.UNREADABLE: "source database missing, damaged or unreadable",
    Exit.NO_SPACE: "no space",
    Exit.SCHEMA_NEWER: "schema newer than the app's",
    Exit.UNREHEARSED: "the site does not start on this snapshot",
    Exit.BUSY: "busy, another command is at work",
    Exit.INTERRUPTED: "interrupted",
}
CODES = "Exit codes: " + " · ".join(f"{code.value} {meaning}" for code, meaning in MEANINGS.items())


class StackError(Exception):
    """Something the operator must know: the subject and what was seen, the next step, an exit code."""

    def __init__(self, message: str, hint: str, code: int = Exit.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = int(code)


class Ending(IntEnum):
    """Exit codes of deploy and rollback, a list of their own: a script must learn from them what serves now."""

    LIVE = 0
    USAGE = 1
    PREFLIGHT = 2
    REJECTED = 3
    ROLLED_BACK = 4
    DOWN = 5
    BUSY = 75


ENDINGS = {
    Ending.LIVE: "live",
    Ending.USAGE: "usage",
    Ending.PREFLIGHT: "preflight failed, nothing begun",
    Ending.REJECTED: "candidate rejected or never quiet, live untouched",
    Ending.ROLLED_BACK: "rolled back, the former release serves",
    Ending.DOWN: "rollback failed, down",
    Ending.BUSY: "busy, another command is at work",
}
DEPLOY_CODES = "Exit codes: " + " · ".join(f"{code.value} {meaning}" for code, meaning in ENDINGS.items())


class DeployError(StackError):
    """What ended a deploy or a rollback, with a code of their list."""

    def __init__(self, message: str, hint: str, code: Ending) -> None:
        super().__init__(message, hint, code)
        self.document: dict[str, object] = {}  # for --json, beside the error


def in_words(failed: Exception) -> StackError:
    """Put whatever went wrong into words; a defect of ours is told by what it is and where."""
    if isinstance(failed, StackError):
        return failed
    if isinstance(failed, OSError):
        subject = failed.filename or "the system"
        return StackError(f"{subject}: {failed.strerror or failed}", "mend that, then run this again")
    where = traceback.extract_tb(failed.__traceback__)[-1:]
    at = f", {Path(where[0].filename).name} line {where[0].lineno}" if where else ""
    return StackError(
        f"a defect of ./stack: {type(failed).__name__}: {failed}{at}",
        "./stack status shows what serves; report this defect with the line above",
    )


@contextmanager
def ending(code: Ending) -> Iterator[None]:
    """Let whatever goes wrong inside end a deploy with this code; a lock that is held stays one.

    A defect is never the usage of whoever called.
    """
    try:
        yield
    except DeployError:
        raise
    except StackError as error:
        busy = error.code == Exit.BUSY
        raise DeployError(error.message, error.hint, Ending.BUSY if busy else code) from error
    except OSError as error:
        told = in_words(error)
        raise DeployError(told.message, told.hint, code) from error
    except Exception as defect:
        told = in_words(defect)
        raise DeployError(told.message, told.hint, Ending.PREFLIGHT if code is Ending.USAGE else code) from defect
