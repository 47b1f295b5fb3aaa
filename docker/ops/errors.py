"""One exception for everything that goes wrong on the host side, and the exit codes it can carry."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of ./stack; those of the backup commands (3 to 8) are passed through unchanged."""

    OK = 0
    FAILED = 1
    USAGE = 2
    BUSY = 75


class StackError(Exception):
    """Something the operator must know: the subject and what was seen, the next step, an exit code."""

    def __init__(self, message: str, hint: str, code: int = Exit.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = int(code)
