"""The snapshots as a person sees them: one row each, and their ages drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from ops import chart, words

TIERS = ("daily", "weekly", "monthly")
LEGEND = (
    "tier: d daily, w weekly, m monthly      verified: when every byte was last read",
    "drill: when the site last started on it   * pinned: kept until it is unpinned",
)


@dataclass(frozen=True)
class Snapshot:
    """One snapshot as the keeper lists it."""

    name: str
    tiers: tuple[str, ...]  # where it lies: daily, weekly, monthly
    created: str | None  # UTC; None when its manifest cannot be read
    checked: str | None  # UTC; when every byte of it was last read, at first when it was made
    bytes: int | None  # of the payload
    rows: int | None  # of all tables
    kind: str | None  # scheduled, manual or safety
    pinned: bool
    drill: str | None  # how the last drill with it ended
    drilled: str | None  # UTC; when that was
    problem: str | None  # why it does not count, None when verified

    @classmethod
    def parse(cls, entry: dict[str, Any]) -> "Snapshot":
        """Read one entry of the keeper's list."""
        drill = entry.get("drill") or {}
        return cls(
            name=entry["name"],
            tiers=tuple(entry["tiers"]),
            created=entry.get("created"),
            checked=entry.get("checked") or entry.get("created"),
            bytes=entry.get("bytes"),
            rows=entry.get("rows"),
            kind=entry.get("kind"),
            pinned=bool(entry.get("pinned")),
            drill=drill.get("outcome"),
            drilled=drill.get("at"),
            problem=None if entry["verified"] else str(entry.get("problem") or "not verified"),
        )

    def mark(self, now: datetime) -> chart.Mark | None:
        """Return what stands for it in the chart; None where nobody knows its age."""
        if self.created is None:
            return None
        good = chart.PINNED if self.pinned else chart.GOOD
        hours = (now - datetime.fromisoformat(self.created)).total_seconds() / 3600
        return chart.Mark(hours, good if self.problem is None else chart.NOT_COUNTED)


def view(snapshots: Sequence[Snapshot], strays: Sequence[str]) -> list[RenderableType]:
    """Return the table, what is wrong with whom, and the chart."""
    now = datetime.now(UTC)
    ill = [f"[red]{one.name}: {escape(one.problem)}[/]" for one in snapshots if one.problem]
    lost = [f"[red]{escape(stray)} has no manifest: not counted, not touched[/]" for stray in strays]
    marks = {tier: [mark for one in snapshots if tier in one.tiers and (mark := one.mark(now))] for tier in TIERS}
    drawn = [Text(line) for line in ["", *chart.draw(marks)]]
    return [_table(snapshots, now), *(f"[dim]{line}[/]" for line in LEGEND), *ill, *lost, *drawn]


def _table(snapshots: Sequence[Snapshot], now: datetime) -> Table:
    widest = max(len(one.name) for one in snapshots)  # a name that is cut is no name
    table = Table(
        Column("snapshot", no_wrap=True, min_width=widest),
        Column("tier", no_wrap=True),
        *(Column(title, no_wrap=True, justify="right") for title in ("age", "size", "rows", "verified", "drill")),
        Column("taken", no_wrap=True),
        box=None,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for one in snapshots:
        table.add_row(
            one.name,
            "".join(tier[0] for tier in one.tiers),
            words.since(one.created, now) if one.created else "–",
            words.size(one.bytes) if one.bytes is not None else "–",
            str(one.rows) if one.rows is not None else "–",
            words.since(one.checked, now) if one.checked and one.problem is None else "[red]NO[/]",
            _drill(one, now),
            f"{one.kind or '–'}{'*' if one.pinned else ''}",
        )
    return table


def _drill(one: Snapshot, now: datetime) -> str:
    if one.drill is None or one.drilled is None:
        return "–"
    return words.since(one.drilled, now) if one.drill == "success" else "[red]FAILED[/]"
