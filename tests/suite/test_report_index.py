"""The page of all runs: every run, the newest first, and trends of those alone that can be compared."""

import dataclasses
import re
from pathlib import Path

import pytest

from fixtures.evidence import Door
from fixtures.hostile import HOSTILE
from fixtures.made_run import made_run
from fixtures.markup import parse
from fixtures.report import document, index
from fixtures.report.document import Document, Recovery
from fixtures.report.index import Found
from fixtures.results import State

pytestmark = pytest.mark.promise("every run is found on one page, with how things went")


def _of(run: Document, day: int, *, whole: bool, took_min: int, slowest: float | None) -> Document:
    about = dataclasses.replace(
        run.about,
        id=f"run-{day}",
        started=f"2026-03-{day:02}T10:00:00+00:00",
        ended=f"2026-03-{day:02}T10:{took_min:02}:00+00:00",
    )
    done = dataclasses.replace(run.completeness, filters=() if whole else ("-k one",))
    restores = () if slowest is None else (dataclasses.replace(run.recovery.restores[0], took_s=slowest),)
    return dataclasses.replace(run, about=about, completeness=done, recovery=Recovery(restores=restores))


@pytest.fixture
def runs(tmp_path: Path) -> list[Found]:
    """Five runs in no order; the third was limited by a filter, the second measured no restore."""
    run = document.load(made_run(tmp_path), evidence=False)
    slowest = {1: 6.5, 2: None, 3: 99.0, 4: 8.25, 5: 7.5}
    made = {day: _of(run, day, whole=day != 3, took_min=10 + day, slowest=slowest[day]) for day in (4, 1, 5, 2, 3)}
    return [Found(f"run-{day}", one, page=True) for day, one in made.items()]


def test_newest_run_comes_first(runs: list[Found], evidence: Door) -> None:
    """Every run is listed with a link to its report, the newest first, whatever order they come in."""
    text = index.render(runs)
    evidence.saw("index", text, subject="index.html")

    rows = re.findall(r'<th scope="row"><a href="([^"]+)">([^<]+)</a>', text)
    assert rows == [(f"run-{day}/report.html", f"2026-03-{day:02} 10:00:00 UTC") for day in (5, 4, 3, 2, 1)]
    assert index.render(runs[::-1]) == text


def test_trends_are_of_whole_runs(runs: list[Found], evidence: Door) -> None:
    """States, the slowest restore and the length of the gate are drawn by day; a filtered run is in none of them."""
    text = index.render(runs)
    drawn = re.findall(r'<svg class="plot".*?</svg>', text, re.S)
    evidence.saw("trends", "\n".join(drawn), subject="index.html")

    labels = [re.findall(r">(\d+ Mar)<", one) for one in drawn]
    assert labels == [["1 Mar", "2 Mar", "4 Mar", "5 Mar"]] * len(drawn)
    assert len(drawn) == 3
    assert re.findall(r">([\d.]+ s)</text>", drawn[1])[3:] == ["6.5 s", "8.25 s", "7.5 s"]
    assert re.findall(r">([\d.]+ min)</text>", drawn[2])[3:] == ["11 min", "12 min", "14 min", "15 min"]


def test_broken_promise_is_counted_beside_the_controls(runs: list[Found], evidence: Door) -> None:
    """The row of a run that a promise alone breaks says so; a length below a minute is told in seconds."""
    run = runs[0].document
    none = dict.fromkeys(map(str, State), 0)
    counts = {**run.counts, "controls": {**none, "proven": 9}, "promises": {**none, "broken": 1, "not-run": 2}}
    about = dataclasses.replace(run.about, ended=run.about.started[:17] + "02+00:00")
    text = index.render([Found("run", dataclasses.replace(run, counts=counts, about=about), page=True)])
    evidence.saw("index", text, subject="index.html")

    cells = re.findall(r"<td>([^<]*)</td>", text)
    assert cells[-5:-1] == ["9", "0 and 1 promise", "0 and 2 promises", "2 s"]


def test_one_run_makes_no_trend(runs: list[Found], evidence: Door) -> None:
    """With less than two whole runs the page says so, and draws nothing."""
    one, none = index.render(runs[:1]), index.render([])
    evidence.saw("index", f"{one}\n{none}", subject="index.html")

    assert "there is one" in one
    assert "No run yet" in none
    assert not re.search(r'<svg class="plot"', one + none)


def test_hostile_runs_are_text(tmp_path: Path, evidence: Door) -> None:
    """What a run is called, by whom and of what, adds no element and no target to the page."""
    plain = index.render(
        [Found("plain", document.load(made_run(tmp_path / "plain"), evidence=False), page=True)], ["one"]
    )
    words = " ".join(HOSTILE[kind] for kind in HOSTILE if kind != "long line")
    run = document.load(made_run(tmp_path / "hostile", words), evidence=False)
    named = dataclasses.replace(run, about=dataclasses.replace(run.about, id=words, commit=words, use=words))
    seen = parse(index.render([Found(words, named, page=True)], [words]))
    evidence.saw("words", seen.words, subject="index.html")

    assert seen.tags == parse(plain).tags
    assert [one for one in seen.values("a", "href") if not one.endswith("/report.html") or ":" in one] == []


def test_run_is_linked_by_its_folder(runs: list[Found], evidence: Door) -> None:
    """A link goes to the folder that is there, whatever the run calls itself, and none to a report that is not."""
    renamed = dataclasses.replace(runs[0], folder="20260304T100000Z-1 kept")
    bare = dataclasses.replace(runs[1], page=False)

    seen = parse(index.render([renamed, bare]))

    evidence.saw("index", seen.words, subject="index.html")
    assert set(seen.values("a", "href")) == {"20260304T100000Z-1%20kept/report.html"}
    assert "2026-03-01 10:00:00 UTC" in seen.words


def test_unread_run_is_named_on_the_page(runs: list[Found], evidence: Door) -> None:
    """A run that could not be read is named on the page, with why."""
    text = index.render(runs, ["20260314T150927Z-2/results.json: not JSON"])

    evidence.saw("index", text, subject="index.html")
    assert "<li>20260314T150927Z-2/results.json: not JSON</li>" in text
    assert "Not among them" not in index.render(runs)
