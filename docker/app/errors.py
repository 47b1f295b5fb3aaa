"""Every way a request can fail, as a closed list, and how SQLite's and the kernel's errors map onto it.

A Problem carries what the visitor may know. What only the operator may know (paths, SQL, a stack trace)
goes to the log under the same request id.
"""

import errno
import shutil
import sqlite3
from enum import StrEnum
from pathlib import Path


class BadSetting(Exception):  # noqa: N818 - read where it is raised, the name says enough
    """An environment variable holds a value that cannot be meant."""

    def __init__(self, name: str, seen: str, hint: str) -> None:
        super().__init__(f"{name} is {seen!r}: {hint}")


class Code(StrEnum):
    """The closed list that stands in the field `error` of an answer."""

    # of the database and its disk; health speaks these too
    DATABASE_MISSING = "database_missing"
    DATABASE_DAMAGED = "database_damaged"
    DATABASE_READONLY = "database_readonly"
    DATABASE_LOCKED = "database_locked"
    DATABASE_UNREADABLE = "database_unreadable"
    SCHEMA_MISMATCH = "schema_mismatch"
    DISK_FULL = "disk_full"
    INTERNAL = "internal"
    # of the request
    INVALID_JSON = "invalid_json"
    INVALID_REQUEST = "invalid_request"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    TOO_LARGE = "too_large"
    UNSUPPORTED_TYPE = "unsupported_type"
    UNACCEPTABLE_FILE = "unacceptable_file"
    # of the service as a whole
    UPLOADS_UNWRITABLE = "uploads_unwritable"
    OVERLOADED = "overloaded"
    CLOSED = "closed"
    TOKEN_MISSING = "token_missing"  # noqa: S105 - the name of an error, not a token


STATUS: dict[Code, int] = {
    Code.DATABASE_MISSING: 503,
    Code.DATABASE_DAMAGED: 503,
    Code.DATABASE_READONLY: 503,
    Code.DATABASE_LOCKED: 503,
    Code.DATABASE_UNREADABLE: 503,
    Code.SCHEMA_MISMATCH: 503,
    Code.DISK_FULL: 507,
    Code.INTERNAL: 500,
    Code.INVALID_JSON: 400,
    Code.INVALID_REQUEST: 422,
    Code.UNAUTHORIZED: 401,
    Code.NOT_FOUND: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.TOO_LARGE: 413,
    Code.UNSUPPORTED_TYPE: 415,
    Code.UNACCEPTABLE_FILE: 422,
    Code.UPLOADS_UNWRITABLE: 503,
    Code.OVERLOADED: 503,
    Code.CLOSED: 503,
    Code.TOKEN_MISSING: 503,
}

# What a visitor reads about the trouble of the machine: true, and of no use to an attacker.
PUBLIC_MESSAGE: dict[Code, str] = {
    Code.DATABASE_MISSING: "The database is not there. Nothing was changed.",
    Code.DATABASE_DAMAGED: "The database is damaged. Nothing was changed.",
    Code.DATABASE_READONLY: "The database cannot be written at the moment. Nothing was changed.",
    Code.DATABASE_LOCKED: "The database is busy. Nothing was changed; try again in a few seconds.",
    Code.DATABASE_UNREADABLE: "The database cannot be read. Nothing was changed.",
    Code.SCHEMA_MISMATCH: "The database does not fit this version of the site. Nothing was changed.",
    Code.DISK_FULL: "The disk is full. Nothing was stored, and nothing that was stored is lost.",
    Code.INTERNAL: "Something went wrong on our side.",
    Code.UPLOADS_UNWRITABLE: "Files cannot be stored at the moment. Nothing was changed.",
    Code.CLOSED: "The site is being exchanged; try again in a few seconds. Nothing was changed.",
    Code.OVERLOADED: "Too many requests at once; try again in a few seconds.",
    Code.TOKEN_MISSING: "This is switched off until the operator provides a token.",
}


class Problem(Exception):  # noqa: N818
    """A request that ends with a known error; `detail` and `hint` are for the log alone."""

    def __init__(self, code: Code, message: str = "", *, detail: str = "", hint: str = "") -> None:
        super().__init__(detail or message or code.value)
        self.code = code
        self.status = STATUS[code]
        self.message = message or PUBLIC_MESSAGE[code]
        self.detail = detail
        self.hint = hint


SQLITE_CODES: dict[int, Code] = {
    sqlite3.SQLITE_CORRUPT: Code.DATABASE_DAMAGED,
    sqlite3.SQLITE_NOTADB: Code.DATABASE_DAMAGED,
    sqlite3.SQLITE_FORMAT: Code.DATABASE_DAMAGED,
    sqlite3.SQLITE_READONLY: Code.DATABASE_READONLY,
    sqlite3.SQLITE_BUSY: Code.DATABASE_LOCKED,
    sqlite3.SQLITE_LOCKED: Code.DATABASE_LOCKED,
    sqlite3.SQLITE_PROTOCOL: Code.DATABASE_LOCKED,
    sqlite3.SQLITE_CANTOPEN: Code.DATABASE_UNREADABLE,
    sqlite3.SQLITE_PERM: Code.DATABASE_UNREADABLE,
    sqlite3.SQLITE_IOERR: Code.DATABASE_UNREADABLE,
    sqlite3.SQLITE_FULL: Code.DISK_FULL,
    sqlite3.SQLITE_ERROR: Code.SCHEMA_MISMATCH,  # our SQL is fixed: only a foreign schema makes it wrong
}
HARDLY_ANYTHING_FREE = 128 * 1024  # SQLite's shared memory grows by 32 KiB and reports a full disk as I/O error


def from_sqlite(error: sqlite3.Error, folder: Path) -> Problem:
    """Name what SQLite met while working in `folder`."""
    number = getattr(error, "sqlite_errorcode", None)  # absent where the module itself raises
    code = SQLITE_CODES.get(number & 0xFF, Code.INTERNAL) if isinstance(number, int) else Code.INTERNAL
    if code is Code.DATABASE_UNREADABLE and free_bytes(folder) < HARDLY_ANYTHING_FREE:
        code = Code.DISK_FULL
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return Problem(code, detail=f"{name}: {error}")


def from_os(error: OSError, otherwise: Code) -> Problem:
    """Name what the kernel refused: a full disk is always one, the rest is what the caller was doing."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return Problem(Code.DISK_FULL if full else otherwise, detail=str(error))


def free_bytes(folder: Path) -> int:
    """Return the space left for us on the folder's file system; a folder we cannot ask has none."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0
