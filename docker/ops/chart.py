"""The ages of the snapshots, drawn: one line per tier, a mark per snapshot, from one hour to one year."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

YEAR_H = 365.25 * 24
TICKS = (
    (1, "1 h"), (3, "3 h"), (12, "12 h"), (24, "1 d"), (3 * 24, "3 d"), (7 * 24, "1 wk"), (YEAR_H / 12, "1 mo"),
    (YEAR_H / 4, "3 mo"), (YEAR_H, "1 y"),
)  # fmt: skip
GOOD, PINNED, NOT_COUNTED, MANY = "●", "◆", "✗", "+"
LABEL = 9  # columns, for the tier's name
WIDTH = 66  # columns of the axis, so that its last label still fits into 80
_MOST_SHOWN = 9


@dataclass(frozen=True)
class Mark:
    """One snapshot as it is drawn."""

    age_h: float
    sign: str


def draw(tiers: Mapping[str, Sequence[Mark]]) -> list[str]:
    """Return the lines of the chart, its axis and its legend, none wider than 80 columns.

    Where several snapshots fall on one place their number stands there, `+` from ten on; a sign that warns wins.
    """
    lines = [f"{tier:<{LABEL}}{_line(marks)}".rstrip() for tier, marks in tiers.items()]
    axis, labels = list("─" * WIDTH), list(" " * (WIDTH + 4))
    for hours, label in TICKS:
        at = place(hours)
        axis[at] = "┼"
        labels[at : at + len(label)] = label
    legend = (
        f"{GOOD} verified  {PINNED} pinned  {NOT_COUNTED} does not count  2-{_MOST_SHOWN}{MANY} so many in one place"
    )
    return [
        *lines,
        f"{'age':<{LABEL}}{''.join(axis)}",
        f"{'':<{LABEL}}{''.join(labels)}".rstrip(),
        f"{'':<{LABEL}}{legend}",
    ]


def place(hours: float) -> int:
    """Return the column of an age; younger than the axis is its first column, older its last."""
    share = math.log(max(hours, 1.0)) / math.log(YEAR_H)
    return min(WIDTH - 1, round(share * (WIDTH - 1)))


def _line(marks: Sequence[Mark]) -> str:
    columns: dict[int, list[str]] = {}
    for mark in marks:
        columns.setdefault(place(mark.age_h), []).append(mark.sign)
    return "".join(_sign(columns.get(at, [])) for at in range(WIDTH))


def _sign(signs: list[str]) -> str:
    if not signs:
        return "·"
    if NOT_COUNTED in signs:
        return NOT_COUNTED
    if len(signs) > 1:
        return str(len(signs)) if len(signs) <= _MOST_SHOWN else MANY
    return signs[0]
