"""How the one SQLite file is held: a writing thread, a few reading threads, and a look before each use.

Writes that wait together are committed together: one fsync carries them all, and none is acknowledged
before it. Reads run beside them, each in its own snapshot.

The look before each use exists because SQLite would not notice in time: a connection goes on working
after chmod and chown, goes on writing to a file that was unlinked, and answers from its cache while the
file is overwritten. One descriptor is kept open for that look until the end. It must never be closed
while connections live, and the file must never be opened and closed again beside them: closing any
descriptor of a file drops every lock this process holds on it, and another process could then take
the database for abandoned.
"""

import asyncio
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from . import errors, schema
from .errors import Code, Problem
from .logs import Log
from .settings import Settings

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]

READERS = 4
BATCH = 128  # writes one commit may carry
BUSY_TIMEOUT_S = 5.0
RETRY_OPEN_AFTER_S = 1.0
FIRST_OPEN_WITHIN_S = 5.0  # then the site starts answering (503) although the database is not open yet
SYNCHRONOUS = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}


@dataclass(frozen=True)
class Job:
    """A change that waits for its commit."""

    change: Work
    answer: "asyncio.Future[Any]"


@dataclass(frozen=True)
class Outcome:
    """What became of a job: a value, or the exception to raise where it was asked for."""

    job: Job
    value: Any = None
    error: BaseException | None = None


@dataclass(frozen=True)
class Held:
    """The file we opened: whatever stands at the path later must still be this one."""

    descriptor: int
    device: int
    inode: int


class Database:
    """The open file, shared by every request."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self._settings = settings
        self._path = settings.database
        self._log = log
        self._held: Held | None = None
        self._trouble: Problem = Problem(Code.DATABASE_LOCKED, detail="the database is still being opened")
        self._retry_at = 0.0
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._first_try = threading.Event()
        self._writer: sqlite3.Connection | None = None
        self._thread = threading.Thread(target=self._serve_writes, name="writer", daemon=True)
        self._readers = ThreadPoolExecutor(READERS, "reader")
        self._local = threading.local()
        self._reading: list[sqlite3.Connection] = []

    def start(self) -> None:
        """Open the database beside the start of the site, so that a long migration never looks like death."""
        self._thread.start()
        self._first_try.wait(FIRST_OPEN_WITHIN_S)

    async def read(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Answer a question from one consistent snapshot."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._ask, question)

    async def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Carry out a change; returns once it is committed and on the disk."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put(Job(change, answer))
        return await answer

    def look(self, *, writing: bool) -> None:
        """Raise the Problem that stands between us and the file, if there is one."""
        held = self._held
        if held is None:
            raise self._not_open()
        try:
            seen = self._path.stat()
        except FileNotFoundError:
            raise self._gone() from None
        except OSError as error:
            raise Problem(Code.DATABASE_UNREADABLE, detail=str(error)) from None
        if (seen.st_dev, seen.st_ino) != (held.device, held.inode):
            raise Problem(
                Code.DATABASE_MISSING,
                detail=f"another file now stands at {self._path}",
                hint="put the former file back, or restart the app to begin using the new one",
            )
        if not _is_database(os.pread(held.descriptor, 100, 0)):
            raise self._damaged()
        if writing:
            self._look_for_permission()

    def fresh_version(self) -> int:
        """Return the schema version a newcomer sees; our long-lived connections may know too little."""
        connection = None
        try:
            connection = self._connect()
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return int(connection.execute("PRAGMA user_version").fetchone()[0])
        except sqlite3.Error as error:
            raise errors.from_sqlite(error, self._settings.data) from error
        finally:
            if connection is not None:
                connection.close()

    def stop(self) -> None:
        """Finish what waits, move the WAL into the database, and let go."""
        self._jobs.put(None)
        self._thread.join()
        self._readers.shutdown(wait=True)
        for connection in self._reading:
            connection.close()
        if self._writer is None or self._held is None:
            return
        try:
            self.look(writing=True)
            busy, _, _ = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._log.info("database_closed", wal="busy" if busy else "truncated")
        except (Problem, sqlite3.Error) as trouble:
            self._log.error("database_closed", wal="left as it is", detail=str(trouble))
        self._writer.close()
        os.close(self._held.descriptor)

    # --- reading threads -------------------------------------------------------------------------

    def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        self.look(writing=False)
        try:
            connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
            if connection is None:
                connection = self._connect()
                connection.execute("PRAGMA query_only = ON")
                self._local.connection = connection
                self._reading.append(connection)
            connection.execute("BEGIN")
            try:
                return question(connection)
            finally:
                connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise errors.from_sqlite(error, self._settings.data) from error

    # --- the writing thread ----------------------------------------------------------------------

    def _serve_writes(self) -> None:
        self._open_or_remember_why_not()
        self._first_try.set()
        while (job := self._jobs.get()) is not None:
            batch = [job]
            ended = self._gather(batch)
            outcomes = self._perform(batch)
            # one wake-up of the event loop for the whole batch
            batch[0].answer.get_loop().call_soon_threadsafe(_tell, outcomes)
            if ended:
                break

    def _gather(self, batch: list[Job]) -> bool:
        """Take along what already waits; True when the end was among it."""
        while len(batch) < BATCH:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return False
            if job is None:
                return True
            batch.append(job)
        return False

    def _perform(self, batch: list[Job]) -> list[Outcome]:
        try:
            if self._held is None and time.monotonic() >= self._retry_at:
                self._open_or_remember_why_not()
            self.look(writing=True)
            return self._commit(batch)
        except sqlite3.Error as error:
            problem = errors.from_sqlite(error, self._settings.data)
            problem.__cause__ = error
            return [Outcome(job, error=problem) for job in batch]
        except Exception as error:  # the thread must outlive whatever one batch met; every waiter is told
            return [Outcome(job, error=error) for job in batch]

    def _commit(self, batch: list[Job]) -> list[Outcome]:
        connection = self._writer
        if connection is None:
            raise self._not_open()
        connection.execute("BEGIN IMMEDIATE")
        try:
            outcomes = [self._one(connection, job) for job in batch]
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return outcomes

    @staticmethod
    def _one(connection: sqlite3.Connection, job: Job) -> Outcome:
        connection.execute("SAVEPOINT one")
        try:
            value = job.change(connection)
        except Exception as error:
            if not connection.in_transaction:  # SQLite gave up the whole transaction: a full disk, an I/O error
                raise
            if isinstance(error, sqlite3.Error) and not isinstance(error, sqlite3.IntegrityError):
                raise
            connection.execute("ROLLBACK TO one")
            connection.execute("RELEASE one")
            return Outcome(job, error=error)
        connection.execute("RELEASE one")
        return Outcome(job, value=value)

    # --- opening ---------------------------------------------------------------------------------

    def _open_or_remember_why_not(self) -> None:
        before = self._trouble
        try:
            self._open()
        except Problem as problem:
            self._trouble = problem
        except sqlite3.Error as error:
            self._trouble = errors.from_sqlite(error, self._settings.data)
        except OSError as error:
            self._trouble = errors.from_os(error, Code.DATABASE_UNREADABLE)
        else:
            return
        self._retry_at = time.monotonic() + RETRY_OPEN_AFTER_S
        if str(self._trouble) != str(before):  # said once, not at every attempt
            self._log.error(
                "database_not_open",
                error=self._trouble.code.value,
                detail=self._trouble.detail,
                hint=self._trouble.hint,
            )

    def _open(self) -> None:
        marker = self._settings.state / "initialised"
        first = self._is_first_start(marker)
        if not first:
            self._refuse_what_is_no_database()
        # Held before SQLite opens the path: were the file exchanged in between, the next look would tell.
        descriptor = None if first else os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        connection = None
        try:
            connection = self._connect(create=first)
            journal = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            before = _migrate(connection)
            if descriptor is None:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except BaseException:
            if connection is not None:
                connection.close()
            if descriptor is not None:
                os.close(descriptor)
            raise
        seen = os.fstat(descriptor)
        self._writer = connection
        self._held = Held(descriptor, seen.st_dev, seen.st_ino)
        if not marker.exists():
            _leave_marker(marker, self._log.now())
        self._log.info(
            "database_open",
            journal_mode=journal,
            synchronous=SYNCHRONOUS[connection.execute("PRAGMA synchronous").fetchone()[0]],
            foreign_keys=connection.execute("PRAGMA foreign_keys").fetchone()[0],
            busy_timeout=connection.execute("PRAGMA busy_timeout").fetchone()[0],
            sqlite=sqlite3.sqlite_version,
            schema_before=before,
            schema=schema.VERSION,
            created=first,
        )

    def _is_first_start(self, marker: "os.PathLike[str]") -> bool:
        """Say whether an empty database may be made: never where one has been before."""
        if not self._settings.state.is_dir() or not os.access(self._settings.state, os.W_OK | os.X_OK):
            raise Problem(
                Code.INTERNAL,
                detail=f"{self._settings.state} cannot be written, so it cannot say whether this is a first start",
                hint="let uid 1001 own the folder state/app",
            )
        if os.path.lexists(marker):
            return False
        try:
            return self._path.stat().st_size == 0  # a first start that was killed half-way
        except FileNotFoundError:
            return True

    def _refuse_what_is_no_database(self) -> None:
        try:
            with self._path.open("rb") as file:  # no connection lives yet, so closing drops nobody's locks
                head = file.read(100)
        except FileNotFoundError:
            raise self._gone() from None
        if not _is_database(head):
            raise self._damaged()
        self._look_for_permission()

    def _connect(self, *, create: bool = False) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self._path.as_uri()}?mode={'rwc' if create else 'rw'}",
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,  # we say BEGIN and COMMIT ourselves
            check_same_thread=False,  # each stays with its thread, but the last thread closes them all
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    # --- what can be wrong -----------------------------------------------------------------------

    def _look_for_permission(self) -> None:
        """Ask the kernel whether a newcomer could write; our open descriptors prove nothing about that."""
        if not os.access(self._path, os.R_OK):
            raise Problem(
                Code.DATABASE_UNREADABLE,
                detail=f"{self._path} may not be read",
                hint="let uid 1001 own data/ and what is in it",
            )
        beside = [self._path.with_name(self._path.name + ending) for ending in ("-wal", "-shm")]
        for path in [self._path.parent, self._path, *(p for p in beside if p.exists())]:
            if not os.access(path, os.W_OK):
                raise Problem(
                    Code.DATABASE_READONLY,
                    detail=f"{path} may not be written",
                    hint="let uid 1001 own data/ and what is in it, and mount it writable",
                )

    def _not_open(self) -> Problem:
        """A new exception each time: one that is raised again and again keeps growing its traceback."""
        return Problem(self._trouble.code, detail=self._trouble.detail, hint=self._trouble.hint)

    def _gone(self) -> Problem:
        return Problem(
            Code.DATABASE_MISSING,
            detail=f"{self._path} is gone",
            hint="bring it back with `./stack restore latest`; "
            "to begin with an empty one instead, remove state/app/initialised and restart the app",
        )

    def _damaged(self) -> Problem:
        return Problem(
            Code.DATABASE_DAMAGED,
            detail=f"{self._path} does not begin like a SQLite database",
            hint="bring it back with `./stack restore latest`",
        )


def _tell(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        if outcome.job.answer.done():  # the visitor left; the change is committed all the same
            continue
        if outcome.error is None:
            outcome.job.answer.set_result(outcome.value)
        else:
            outcome.job.answer.set_exception(outcome.error)


def _is_database(head: bytes) -> bool:
    """Recognise the file header: its magic, a possible page size, and the three constants beside it."""
    if len(head) < 100 or head[:16] != b"SQLite format 3\0" or head[21:24] != b"\x40\x20\x20":
        return False
    size = int.from_bytes(head[16:18], "big")
    return size == 1 or (size >= 512 and size & (size - 1) == 0)  # 1 stands for 65,536


def _migrate(connection: sqlite3.Connection) -> int:
    """Bring the schema to this version, each step whole or not at all; returns where it stood before."""
    before = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if before > schema.VERSION:
        raise Problem(
            Code.SCHEMA_MISMATCH,
            detail=f"the database has schema {before}, this version of the site knows {schema.VERSION}",
            hint="start the newer version again, or restore a snapshot of the older one",
        )
    for number, script in enumerate(schema.MIGRATIONS[before:], before + 1):
        try:
            connection.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    return before


def _leave_marker(marker: "os.PathLike[str]", now: str) -> None:
    """Record that a database has been here, so that its loss is never mistaken for a first start."""
    descriptor = os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, f"{now}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    folder = os.open(os.path.dirname(marker), os.O_RDONLY)  # noqa: PTH120
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
