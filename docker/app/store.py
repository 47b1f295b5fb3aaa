"""The only writer of the database: every query of the site stands here, and none anywhere else."""

import sqlite3
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from typing import TypeVar

from .database import Database
from .errors import Code, Problem
from .models import Attachment, Difficulty, Filters, Walk, WalkFields, WalkPage, folded
from .sniff import CONTENT_TYPES, Kind, Sniffed

T = TypeVar("T")

COLUMNS = (
    "id, title, summary, description, region, difficulty, distance_km, duration_min, ascent_m, "
    "walked_on, created, updated"
)
# every region once, by stepping through the index: DISTINCT would read it whole
REGIONS = """
    WITH RECURSIVE step (region) AS (
        SELECT min(region) FROM walks
        UNION ALL
        SELECT (SELECT min(region) FROM walks WHERE region > step.region) FROM step WHERE region IS NOT NULL
    )
    SELECT region FROM step WHERE region IS NOT NULL
"""


class Store:
    """Walks and what is attached to them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.written = 0  # changes that were acknowledged since the start; heartbeats are none

    # --- reading ---------------------------------------------------------------------------------

    async def walks(self, filters: Filters) -> WalkPage:
        """Return one page of the list, newest first."""
        return await self._database.read(lambda connection: _page(connection, filters))

    async def walks_and_regions(self, filters: Filters) -> tuple[WalkPage, tuple[str, ...]]:
        """Return one page of the list and every region there is, from the same moment."""
        return await self._database.read(
            lambda connection: (
                _page(connection, filters),
                tuple(row[0] for row in connection.execute(REGIONS)),
            )
        )

    async def walk(self, walk_id: int) -> Walk:
        """Return one walk; raises Problem not_found."""
        return await self._database.read(lambda connection: _walk(connection, walk_id))

    async def attachment(self, kind: Kind, sha256: str, ending: str) -> Attachment:
        """Return what is known of a stored file that some walk still names."""

        def question(connection: sqlite3.Connection) -> Attachment:
            row = connection.execute(
                "SELECT * FROM attachments WHERE sha256 = ? AND kind = ? AND ending = ? ORDER BY id LIMIT 1",
                (sha256, kind, ending),
            ).fetchone()
            if row is None:
                raise Problem(Code.NOT_FOUND, "There is no such file.")
            return _attachment(row)

        return await self._database.read(question)

    async def answers(self) -> None:
        """Read something; raises the Problem that prevents it."""
        await self._database.read(lambda connection: connection.execute("SELECT id FROM walks LIMIT 1").fetchone())

    async def upload_paths(self) -> frozenset[str]:
        """Return every file some row needs, relative to the folder of uploads."""
        return await self._database.read(
            lambda connection: frozenset(row[0] for row in connection.execute("SELECT path FROM upload_paths"))
        )

    # --- writing ---------------------------------------------------------------------------------

    async def create(self, fields: WalkFields) -> Walk:
        """Add a walk."""
        now = _now()

        def change(connection: sqlite3.Connection) -> Walk:
            row = connection.execute(
                "INSERT INTO walks (title, summary, description, region, difficulty, distance_km, duration_min,"
                " ascent_m, walked_on, searchable, created, updated) VALUES (?,?,?,?,?,?,?,?,?,?,?,?) RETURNING *",
                (*_values(fields), now, now),
            ).fetchone()
            return _from_row(row, ())

        return await self._acknowledged(change)

    async def update(self, walk_id: int, fields: WalkFields) -> Walk:
        """Replace what a walk says; raises Problem not_found."""
        now = _now()

        def change(connection: sqlite3.Connection) -> Walk:
            row = connection.execute(
                "UPDATE walks SET title=?, summary=?, description=?, region=?, difficulty=?, distance_km=?,"
                " duration_min=?, ascent_m=?, walked_on=?, searchable=?, updated=? WHERE id=? RETURNING *",
                (*_values(fields), now, walk_id),
            ).fetchone()
            if row is None:
                raise _no_walk()
            return _from_row(row, _attachments(connection, [walk_id]).get(walk_id, ()))

        return await self._acknowledged(change)

    async def delete(self, walk_id: int) -> tuple[str, ...]:
        """Remove a walk; returns the upload paths its attachments named."""

        def change(connection: sqlite3.Connection) -> tuple[str, ...]:
            paths = _paths(connection.execute("SELECT * FROM attachments WHERE walk_id = ?", (walk_id,)))
            if connection.execute("DELETE FROM walks WHERE id = ?", (walk_id,)).rowcount == 0:
                raise _no_walk()
            return paths

        return await self._acknowledged(change)

    async def attach(self, walk_id: int, found: Sniffed, sha256: str, size: int, name: str) -> Attachment:
        """Note a stored file as part of a walk; raises Problem not_found."""
        now = _now()

        def change(connection: sqlite3.Connection) -> Attachment:
            if connection.execute("SELECT 1 FROM walks WHERE id = ?", (walk_id,)).fetchone() is None:
                raise _no_walk()
            row = connection.execute(
                "INSERT INTO attachments (walk_id, kind, ending, sha256, bytes, width, height, name, created)"
                " VALUES (?,?,?,?,?,?,?,?,?) RETURNING *",
                (walk_id, found.kind, found.ending, sha256, size, found.width, found.height, name, now),
            ).fetchone()
            return _attachment(row)

        return await self._acknowledged(change)

    async def detach(self, walk_id: int, attachment_id: int) -> tuple[str, ...]:
        """Remove an attachment from a walk; returns the upload path it named."""

        def change(connection: sqlite3.Connection) -> tuple[str, ...]:
            rows = connection.execute(
                "DELETE FROM attachments WHERE id = ? AND walk_id = ? RETURNING *", (attachment_id, walk_id)
            ).fetchall()
            if not rows:
                raise Problem(Code.NOT_FOUND, "This walk has no such attachment.")
            return _paths(rows)

        return await self._acknowledged(change)

    async def beat(self) -> None:
        """Write the heartbeat: the one way to know that writing works."""
        now = _now()
        await self._database.write(
            lambda connection: (
                connection.execute(
                    "INSERT INTO heartbeat (id, at) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET at = excluded.at",
                    (now,),
                ).rowcount
            )
        )

    async def _acknowledged(self, change: Callable[[sqlite3.Connection], T]) -> T:
        done = await self._database.write(change)
        self.written += 1
        return done


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _no_walk() -> Problem:
    return Problem(Code.NOT_FOUND, "There is no such walk.")


def _values(fields: WalkFields) -> tuple[str | float | int | None, ...]:
    return (
        fields.title,
        fields.summary,
        fields.description,
        fields.region,
        fields.difficulty.value,
        fields.distance_km,
        fields.duration_min,
        fields.ascent_m,
        fields.walked_on.isoformat() if fields.walked_on else None,
        folded("\n".join((fields.title, fields.region, fields.summary, fields.description))),
    )


def _page(connection: sqlite3.Connection, filters: Filters) -> WalkPage:
    conditions: list[str] = []
    values: list[str | float] = []
    for word in folded(filters.q or "").split():
        conditions.append("searchable LIKE ? ESCAPE '\\'")
        values.append("%" + word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%")
    if filters.region:
        conditions.append("region = ?")
        values.append(filters.region)
    if filters.difficulty:
        conditions.append("difficulty = ?")
        values.append(filters.difficulty.value)
    if filters.max_km:
        conditions.append("distance_km <= ?")
        values.append(filters.max_km)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""  # conditions are the fixed texts above
    total = int(connection.execute(f"SELECT count(*) FROM walks{where}", values).fetchone()[0])  # noqa: S608
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM walks{where} ORDER BY id DESC LIMIT ? OFFSET ?",  # noqa: S608
        (*values, filters.per_page, (filters.page - 1) * filters.per_page),
    ).fetchall()
    attached = _attachments(connection, [row["id"] for row in rows])
    return WalkPage(
        items=tuple(_from_row(row, attached.get(row["id"], ())) for row in rows),
        total=total,
        page=filters.page,
        pages=max(1, -(-total // filters.per_page)),
    )


def _walk(connection: sqlite3.Connection, walk_id: int) -> Walk:
    row = connection.execute(f"SELECT {COLUMNS} FROM walks WHERE id = ?", (walk_id,)).fetchone()  # noqa: S608
    if row is None:
        raise _no_walk()
    return _from_row(row, _attachments(connection, [walk_id]).get(walk_id, ()))


def _attachments(connection: sqlite3.Connection, walk_ids: list[int]) -> dict[int, tuple[sqlite3.Row, ...]]:
    marks = ",".join("?" * len(walk_ids))
    found: dict[int, tuple[sqlite3.Row, ...]] = {}
    for row in connection.execute(
        f"SELECT * FROM attachments WHERE walk_id IN ({marks}) ORDER BY id",  # noqa: S608
        walk_ids,
    ):
        found[row["walk_id"]] = (*found.get(row["walk_id"], ()), row)
    return found


def _from_row(row: sqlite3.Row, attached: Iterable[sqlite3.Row]) -> Walk:
    """Parse a row; a value no version of the site would have written raises ValueError."""
    attached = tuple(attached)
    return Walk(
        id=row["id"],
        title=row["title"],
        summary=row["summary"],
        description=row["description"],
        region=row["region"],
        difficulty=Difficulty(row["difficulty"]),
        distance_km=row["distance_km"],
        duration_min=row["duration_min"],
        ascent_m=row["ascent_m"],
        walked_on=date.fromisoformat(row["walked_on"]) if row["walked_on"] is not None else None,
        created=datetime.fromisoformat(row["created"]),
        updated=datetime.fromisoformat(row["updated"]),
        images=tuple(_attachment(one) for one in attached if one["kind"] == Kind.IMAGE),
        documents=tuple(_attachment(one) for one in attached if one["kind"] == Kind.DOCUMENT),
    )


def _attachment(row: sqlite3.Row) -> Attachment:
    return Attachment(
        id=row["id"],
        url=f"/uploads/{_path(row)}",
        type=CONTENT_TYPES[row["ending"]],
        bytes=row["bytes"],
        sha256=row["sha256"],
        name=row["name"],
        width=row["width"],
        height=row["height"],
        created=datetime.fromisoformat(row["created"]),
    )


def _path(row: sqlite3.Row) -> str:
    return f"{row['kind']}s/{row['sha256']}.{row['ending']}"


def _paths(rows: Iterable[sqlite3.Row]) -> tuple[str, ...]:
    return tuple(_path(row) for row in rows)
