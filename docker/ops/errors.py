"""One exception for everything that goes wrong on the host side, and every exit code with its meaning."""

from enum import IntEnum


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
