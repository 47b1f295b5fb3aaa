"""SQLite as this service needs it: a copy under one held read transaction, and an honest description.

Nothing of the site is known here but `user_version`, `sqlite_master` and the view `upload_paths`.
"""

import hashlib
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from .errors import FREE_SOME, BackupError, Damaged, NoSpace, SourceUnreadable
from .progress import Step

_HEADER = b"SQLite format 3\x00"
_BUSY_S = 5.0
_COPY_LIMIT_S = 600.0  # the held read transaction keeps the site's WAL from being reused: not for ever
_PAGES_A_STEP = 4096  # 16 MiB: few enough to look at the clock in between
_WATCH_EVERY = 100_000  # instructions of SQLite's machine between two looks at the clock
_QUERY_LIMIT_S = 600.0  # a file brought by hand may hold a view that never ends


@dataclass(frozen=True)
class Description:
    """What a database says of itself."""

    page_size: int
    user_version: int
    schema_sha256: str
    rows: Mapping[str, int]
    encoding: str = "UTF-8"

    @property
    def total(self) -> int:
        """All rows of all tables."""
        return sum(self.rows.values())


def look_for(path: Path) -> None:
    """Refuse a live database that is not there, before anything is made of its absence."""
    try:
        present = path.is_file()
    except PermissionError as refused:
        raise SourceUnreadable(
            f"{path}: {refused.strerror}", "data/ must belong to 1001:1001; `./stack up` gives the folders back"
        ) from refused
    if not present:
        raise SourceUnreadable(
            f"{path}: there is no database",
            "if it was lost, `./stack restore latest` brings it back; on a first start the site makes it",
        )


def connect(path: Path, mode: str, *, timeout: float = _BUSY_S) -> sqlite3.Connection:
    """Open a database that must exist already; `mode` is ro or rw. Schemas of strangers are not trusted."""
    quoted = str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    connection = sqlite3.connect(f"file:{quoted}?mode={mode}", uri=True, isolation_level=None, timeout=timeout)
    try:
        connection.execute("PRAGMA trusted_schema=OFF")
        _watch(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _watch(connection: sqlite3.Connection) -> None:
    end = time.monotonic() + _QUERY_LIMIT_S
    connection.set_progress_handler(lambda: time.monotonic() > end, _WATCH_EVERY)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as wrong:
        raise as_error(wrong, path) from wrong


def as_error(wrong: sqlite3.Error, path: Path) -> BackupError:
    """Turn an error of SQLite into one of ours, with the file's name and the next step."""
    primary = _primary(wrong)
    if primary == sqlite3.SQLITE_FULL:
        return NoSpace(f"{path}: no space left for what is made of it ({wrong})", FREE_SOME)
    if is_held(wrong):
        return SourceUnreadable(
            f"{path}: {wrong}", "something holds it exclusively; end that (`./stack restart`), then try again"
        )
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return SourceUnreadable(f"{path}: {wrong}", "it is damaged; `./stack restore latest` brings it back")
    return SourceUnreadable(
        f"{path}: {wrong}", "check that the file and its folder belong to 1001:1001 (`./stack up` sets it)"
    )


def is_held(wrong: sqlite3.Error) -> bool:
    """Whether somebody else's lock is all that is in the way."""
    return _primary(wrong) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _primary(wrong: sqlite3.Error) -> int | None:
    code = getattr(wrong, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else None


def copy(source: Path, target: Path, step: Step) -> None:
    """Copy a database that is being written to, as it was at one instant.

    The read transaction is begun first and held: without it every foreign commit starts the copy anew,
    and under steady writes it never ends.
    """
    look_for(source)
    target.touch(0o600, exist_ok=False)  # what the file system refuses here must not be blamed on the source
    end = time.monotonic() + _COPY_LIMIT_S

    def in_time(status: int, remaining: int, total: int) -> None:
        del status
        step.reach((total - remaining) * page_size, total * page_size)
        if time.monotonic() > end:
            raise SourceUnreadable(
                f"{source}: copying took more than {_COPY_LIMIT_S:.0f} s, {remaining} of {total} pages were left",
                "the disk is too slow or too busy; try again at a quieter hour",
            )

    with (
        _reading(source),
        closing(connect(source, "ro")) as live,
        closing(sqlite3.connect(target, isolation_level=None)) as out,
    ):
        # Nothing in staging outlives a crash, so neither syncs nor a journal are of use there.
        out.execute("PRAGMA synchronous=OFF")
        out.execute("PRAGMA journal_mode=OFF")
        live.execute("BEGIN")
        page_size = int(live.execute("PRAGMA page_size").fetchone()[0])
        if live.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
            raise SourceUnreadable(
                f"{source}: it holds no table at all",
                "on a first start wait until the site has made its tables; else `./stack restore latest`",
            )
        live.backup(out, pages=_PAGES_A_STEP, progress=in_time)
        live.execute("ROLLBACK")
        settle(out)


def settle(connection: sqlite3.Connection) -> None:
    """Make one file of it, without a WAL beside it."""
    connection.execute("PRAGMA journal_mode=DELETE")


def settle_file(path: Path, subject: str) -> None:
    """Do that to a file from elsewhere, which may be marked as one with a WAL."""
    try:
        with closing(connect(path, "rw")) as database:
            settle(database)
    except sqlite3.Error as wrong:
        raise Damaged(f"{subject}: {wrong}", _DAMAGED_HINT) from wrong


def check(path: Path, subject: str) -> Mapping[str, str]:
    """Refuse a settled copy that is not whole; return what was asked and answered."""
    try:
        with closing(connect(path, "ro")) as database:
            database.execute("PRAGMA cell_size_check=ON")
            answers = [" ".join(str(row[0]).split()) for row in database.execute("PRAGMA integrity_check(5)")]
            orphans = len(database.execute("PRAGMA foreign_key_check").fetchmany(5))
    except sqlite3.Error as wrong:
        raise Damaged(f"{subject}: {wrong}", _DAMAGED_HINT) from wrong
    if answers != ["ok"]:
        raise Damaged(f"{subject}: integrity_check says {'; '.join(answers)}", _DAMAGED_HINT)
    if orphans:
        raise Damaged(f"{subject}: foreign_key_check finds rows that name absent ones", _DAMAGED_HINT)
    return {"integrity_check": "ok", "foreign_key_check": "ok"}


_DAMAGED_HINT = "nothing was published or changed; `./stack backup list` shows the snapshots there are"


def describe(path: Path) -> Description:
    """Read page size, version, schema and the number of rows of every table."""
    with _reading(path), closing(connect(path, "ro")) as database:
        return describe_open(database)


def describe_open(database: sqlite3.Connection) -> Description:
    """Describe what an open connection sees, in one transaction."""
    database.execute("BEGIN")
    described = describe_seen(database)
    database.execute("ROLLBACK")
    return described


def describe_seen(database: sqlite3.Connection) -> Description:
    """Describe what the transaction sees that an open connection is in."""
    page_size = int(database.execute("PRAGMA page_size").fetchone()[0])
    version = int(database.execute("PRAGMA user_version").fetchone()[0])
    encoding = str(database.execute("PRAGMA encoding").fetchone()[0])
    digest = hashlib.sha256()
    tables = []
    schema = "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master ORDER BY type, name"
    for kind, name, table, sql in database.execute(schema):
        if str(name).startswith("sqlite_"):
            continue  # statistics and the like come and go without the site's doing
        digest.update(f"{kind}\x1f{name}\x1f{table}\x1f{sql}\x1e".encode())
        if kind == "table" and not str(sql).upper().startswith("CREATE VIRTUAL"):
            tables.append(str(name))
    rows = {name: _count(database, name) for name in tables}
    return Description(page_size, version, digest.hexdigest(), rows, encoding)


def _count(database: sqlite3.Connection, table: str) -> int:
    quoted = table.replace('"', '""')
    return int(database.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()[0])  # noqa: S608 - quoted above


def upload_paths(path: Path) -> list[tuple[object, object]]:
    """Return what the view names: a path and a digest each, as yet unproven; no view, no uploads."""
    with _reading(path), closing(connect(path, "ro")) as database:
        there = database.execute("SELECT count(*) FROM sqlite_master WHERE name='upload_paths'").fetchone()
        if there == (0,):
            return []
        return database.execute("SELECT DISTINCT path, sha256 FROM upload_paths ORDER BY path").fetchall()


def has_header(path: Path) -> bool:
    """Whether a file begins as every SQLite database does."""
    with path.open("rb") as file:
        return file.read(len(_HEADER)) == _HEADER


def is_populated(path: Path) -> bool:
    """Whether the site has made its tables; asked once a second during a first start."""
    if not path.is_file():
        return False
    try:
        with closing(connect(path, "ro", timeout=0.2)) as database:
            return bool(database.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error:
        return False  # whatever is wrong with it, the run that follows will say so by name
