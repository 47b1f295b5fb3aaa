"""The figures: each says its numbers in words, tells its states apart by shape, and puts a value where it belongs."""

import dataclasses
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fixtures.evidence import Door
from fixtures.made_run import made_run
from fixtures.report import document, figures
from fixtures.report.document import Document, Recovery
from fixtures.report.figures import DAY, HOUR, SHAPES, WORDS, Column
from fixtures.results import State

STEPS_TOLD = 3
DIGIT_PX = 6.7  # of the figures' 12 px
LIMIT_X = r'<path class="limit" d="M([\d.]+)'

pytestmark = pytest.mark.promise("a figure of the report says the same without its colours")


@pytest.fixture
def run(tmp_path: Path) -> Document:
    """A run that has every figure."""
    return document.load(made_run(tmp_path))


FIGURES: dict[str, tuple[Callable[[Document], str], str]] = {
    "states": (
        lambda run: figures.state_bar(run.counts["controls"]),
        "3 proven, 1 broken, 1 could not be checked, 1 not run, 1 accepted exception, 1 not applicable",
    ),
    "backups by age": (
        lambda run: figures.backups_by_age(run.recovery.snapshots),
        "Kept backups by age: 3 daily, 3 weekly, 3 monthly; 1 of them do not count",
    ),
    "sizes": (
        lambda run: figures.backup_sizes(run.recovery.snapshots),
        "Sizes of 9 backups by age, the largest 900 kB",
    ),
    "restores": (
        lambda run: figures.restore_times(run.recovery.restores),
        "4 restores, the slowest 71.5 s; promised are 60 s",
    ),
    "sabotages": (
        lambda run: figures.sabotage_matrix(run.controls),
        "8 sabotages, 7 caught by the check that they were made for",
    ),
    "trend of states": (
        lambda run: figures.trend_of_states([Column("1 Mar", {"proven": 2}), Column("2 Mar", run.counts["controls"])]),
        "Controls by state, 2 runs, the newest: 3 proven, 1 broken, 1 could not be checked, 1 not run, "
        "1 accepted exception, 1 not applicable",
    ),
    "trend": (
        lambda _: figures.trend(
            [Column("1 Mar", {"s": 4.0}), Column("2 Mar", {}), Column("3 Mar", {"s": 8.0})], "Gate", _s
        ),
        "Gate, 2 runs, the newest: 8 s",
    ),
}


def _s(number: float) -> str:
    return f"{number:g} s"


@pytest.mark.parametrize("name", FIGURES)
def test_figure_says_its_numbers(name: str, run: Document, evidence: Door) -> None:
    """A figure is well-formed and carries its numbers in words, for those who do not see it."""
    draw, told = FIGURES[name]
    drawn = str(draw(run))
    evidence.saw(name, drawn, subject="figure")

    root = ElementTree.fromstring(drawn)  # noqa: S314  # ours
    assert (root.get("role"), root.get("aria-label")) == ("img", told)
    assert "NaN" not in drawn


def test_each_state_has_a_shape_and_a_word_of_its_own(evidence: Door) -> None:
    """No two states share a shape or a word, and none lacks one."""
    evidence.saw("shapes", repr(SHAPES), subject="figures")

    states = {str(one) for one in State}
    assert set(SHAPES) == set(WORDS) == set(figures.SHOWN_FIRST) == states
    assert len(set(SHAPES.values())) == len(set(WORDS.values())) == len(states)


def test_bar_is_shared_by_numbers(evidence: Door) -> None:
    """A state takes its share of the bar's width; one of a thousand is still seen; what is not proven is hatched."""
    drawn = str(figures.state_bar({"proven": 999, "broken": 1}))
    even = str(figures.state_bar({"proven": 50, "error": 50}))
    evidence.saw("bars", f"{drawn}\n{even}", subject="figure")

    assert [float(one) for one in re.findall(r'width="([\d.]+)"', even)] == [498.5, 498.5]
    assert float(re.findall(r'class="broken" x="[\d.]+" y="0" width="([\d.]+)"', drawn)[0]) >= STEPS_TOLD
    assert drawn.count("hatch") == 1


def test_restore_that_is_too_slow_stands_beyond_the_line(run: Document, evidence: Door) -> None:
    """What was in time is a dot before the line of what is promised, what was not a cross behind it."""
    drawn = str(figures.restore_times(run.recovery.restores))
    evidence.saw("restores", drawn, subject="figure")

    line = float(re.findall(LIMIT_X, drawn)[0])
    dots = [float(one) for one in re.findall(r'<circle class="proven" cx="([\d.]+)"', drawn)]
    crosses = [float(one) + 5 for one in re.findall(r'<path class="miss" d="M([\d.]+)', drawn)]
    took = sorted(one.took_s for one in run.recovery.restores)
    assert [len(dots), len(crosses)] == [sum(one <= 60 for one in took), sum(one > 60 for one in took)]
    assert max(dots) < line < min(crosses)


@pytest.mark.parametrize("took_s", [0.01, 4.4, 29.0, 31.0, 58.0, 60.0, 60.5, 71.5, 600.0, 86_400.125])
def test_words_of_the_restores_do_not_overlap(took_s: float, run: Document, evidence: Door) -> None:
    """However soon or late the slowest restore was, each word beside the line is read, and none runs over the edge."""
    one = dataclasses.replace(run.recovery.restores[0], took_s=took_s, limit_s=60)
    drawn = str(figures.restore_times([one]))
    evidence.saw("restores", drawn, subject="figure")
    line = float(re.findall(LIMIT_X, drawn)[0])
    boxes = [
        _box(*found)
        for found in re.findall(r'<text x="([\d.]+)" y="([\d.]+)" text-anchor="(\w+)" >(.*?)</text>', drawn)
    ]

    assert f"slowest: {took_s:g} s" in drawn
    assert [(one, other) for one, other in pairwise(sorted(boxes)) if one[0] == other[0] and one[2] > other[1]] == []
    assert [box for box in boxes if box[1] < 0 or box[2] > figures.Plot().width] == []
    assert [box for box in boxes if box[0] < min(boxes)[0] + 1 and box[1] < line < box[2]] == []


def _box(x: str, y: str, anchor: str, words: str) -> tuple[float, float, float]:
    """Row, left and right end of words, as wide as digits are."""
    wide = len(words) * DIGIT_PX
    left = float(x) - {"start": 0, "middle": wide / 2, "end": wide}[anchor]
    return float(y), left, left + wide


def test_age_is_drawn_by_its_logarithm(run: Document, evidence: Door) -> None:
    """A factor of ten takes the same way everywhere; older stands further right; what does not count is a cross."""
    one = run.recovery.snapshots[0]
    ages = [HOUR * 2, HOUR * 20, HOUR * 200, DAY * 9000]
    kept = Recovery(snapshots=tuple(_aged(one, age_s) for age_s in ages)).snapshots
    drawn = str(figures.backups_by_age(kept))
    evidence.saw("ages", drawn, subject="figure")

    placed = [float(x) for x in re.findall(r'<circle class="proven" cx="([\d.]+)"', drawn)]
    assert placed[1] - placed[0] == pytest.approx(placed[2] - placed[1], abs=0.2)
    assert placed == sorted(set(placed))
    assert placed[-1] <= figures.Plot().width  # older than the axis reaches: at its end, not beyond the page
    assert figures.backups_by_age(run.recovery.snapshots).count('class="miss"') == 1


def test_sabotage_that_nobody_noticed_is_not_green(run: Document, evidence: Door) -> None:
    """A caught sabotage is a square of the proven, an unnoticed one of the broken, what else turned red a diamond."""
    drawn = str(figures.sabotage_matrix(run.controls))
    evidence.saw("matrix", drawn, subject="figure")

    tried = [one.sabotage for one in run.controls if one.sabotage]
    assert drawn.count('<rect class="proven"') == sum(one.killed for one in tried)
    assert drawn.count('<rect class="broken"') == sum(not one.killed for one in tried) == 1
    assert drawn.count('<path class="waived"') == sum(len(one.collateral_seen) for one in tried) == 1


def _aged(one: document.Snapshot, age_s: float) -> document.Snapshot:
    return document.Snapshot(one.subject, one.name, one.tier, age_s, one.bytes, verified=True)
