"""The history by itself: its chain, a line that a crash cut short, and which release was live before which."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from fixtures.evidence import door
from ops import history, outcome
from ops.history import Line
from ops.settings import Settings

pytestmark = pytest.mark.promise("each change of the stack is told in a history that nobody can change unnoticed")


def done(verb: str, former: str | None, wanted: str, outcome: str = "live") -> Line:
    """A line as a verb tells it."""
    return {"id": f"{verb} {former} {wanted} {outcome}", "verb": verb, "from": former, "to": wanted, "outcome": outcome}


@pytest.fixture
def told(tmp_path: Path) -> Settings:
    """Settings of a stack on which three things happened."""
    settings = Settings({"MONSITE_ROOT": str(tmp_path)})
    for wanted in ("b", "c", "d"):
        history.append(settings, done("deploy", "a", wanted))
    return settings


def text_of(settings: Settings) -> str:
    """The file as it stands."""
    text = history.path(settings).read_text(encoding="utf-8")
    door.saw("read history.jsonl", text)
    return text


def test_chain_is_whole_as_it_was_written(told: Settings) -> None:
    """Lines as they were appended are numbered, hold the digest of the one before, and have no fault."""
    seen = history.parse(text_of(told))

    assert seen.faults == ()
    assert [line["n"] for line in seen.lines] == [1, 2, 3]
    assert [line["previous"] for line in seen.lines] == [history.FIRST, *(line["sha256"] for line in seen.lines[:2])]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda lines: [lines[0], lines[2]], "line 2"),
        (lambda lines: [lines[1], lines[0], lines[2]], "line 1"),
        (lambda lines: [lines[0], lines[1].replace('"to": "c"', '"to": "x"'), lines[2]], "line 2"),
        (lambda lines: [lines[0], "no record", lines[1], lines[2]], "line 2"),
    ],
    ids=["one is missing", "two change places", "a word is changed", "one is put in"],
)
def test_change_is_noticed(told: Settings, change: Any, fault: str) -> None:
    """A line taken out, moved, edited or put in is a fault, told by its number."""
    text = text_of(told)
    changed = "".join(f"{line}\n" for line in change(text.splitlines()))
    assert changed != text

    assert any(one.startswith(fault) for one in history.parse(changed).faults)


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_line_that_a_crash_cut_short_is_set_aside(told: Settings, cut: int) -> None:
    """A last line without its end is none: the chain is whole without it, and the next one follows the last whole."""
    file = history.path(told)
    text = text_of(told)
    file.write_text(text[:-cut], encoding="utf-8")
    second = json.loads(text.splitlines()[1])
    history.head(told).write_text(json.dumps({"n": second["n"], "sha256": second["sha256"]}), encoding="utf-8")
    assert history.read(told).faults == ()

    history.append(told, done("deploy", "c", "e"))

    seen = history.read(told)
    assert seen.faults == ()
    assert [line["to"] for line in seen.lines] == ["b", "c", "e"]
    assert file.with_name("history.fragments").read_text(encoding="utf-8").startswith(text.splitlines()[2][:-cut])


@pytest.mark.parametrize("left", [0, 1, 2])
def test_end_that_was_cut_off_is_noticed(told: Settings, left: int) -> None:
    """Lines that are gone from the end are a fault, and stay one whatever is written later."""
    text = "".join(text_of(told).splitlines(keepends=True)[:left])
    history.path(told).write_text(text, encoding="utf-8")

    cut_off = history.read(told).faults
    history.append(told, done("deploy", "a", "e"))
    later = history.read(told)

    door.saw("faults", f"{cut_off}, then {later.faults}")
    assert [fault.startswith("line 3") for fault in cut_off] == [True]
    assert [
        fault.startswith(f"line {left + 1} was changed, or one before it is missing") for fault in later.faults
    ] == [True]
    assert [line["n"] for line in later.lines] == [*range(1, left + 1), 4]


def test_history_that_was_taken_away_is_noticed(told: Settings) -> None:
    """Without its file the history is not one of a stack on which nothing was done."""
    history.path(told).unlink()
    faults = history.read(told).faults
    door.saw("faults", "; ".join(faults))

    assert [fault.startswith("line 3") for fault in faults] == [True]


def test_line_that_was_not_synced_apart_is_none_missing(told: Settings) -> None:
    """A power cut between a line and the record of the newest one leaves no fault."""
    second = json.loads(text_of(told).splitlines()[1])
    history.head(told).write_text(json.dumps({"n": 2, "sha256": second["sha256"]}), encoding="utf-8")

    assert history.read(told).faults == ()


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"n": "two", "sha256": ""}'])
def test_damaged_record_of_the_newest_line_is_a_fault(told: Settings, record: str) -> None:
    """What stands apart and cannot be read is told by its file, and the next line is written all the same."""
    history.head(told).write_text(record, encoding="utf-8")
    faults = history.read(told).faults
    door.saw("faults", "; ".join(faults))

    assert [str(history.head(told)) in fault for fault in faults] == [True]
    history.append(told, done("deploy", "d", "e"))
    assert history.read(told).faults == ()


@pytest.mark.parametrize("line", [{}, {"n": 1}, {"n": "x", "ended": 3, "seconds": "long", "to": None}])
def test_line_that_nobody_wrote_so_is_shown_and_followed(told: Settings, line: Line) -> None:
    """A line without its keys is a fault; it is shown as it stands, and the next one is written behind it."""
    with history.path(told).open("a", encoding="utf-8") as file:
        file.write(f"{json.dumps(line)}\n")
    told_in_words = history.in_words(line)
    door.saw("in words", "\n".join(told_in_words))
    history.append(told, done("deploy", "d", "e"))

    seen = history.read(told)
    assert json.dumps(line, sort_keys=True) in told_in_words[0]
    assert any(fault.startswith("line 4") for fault in seen.faults)
    assert [one["to"] for one in history.lived(seen.lines)][-1] == "e"


def test_same_switch_has_one_line(told: Settings) -> None:
    """A line that a killed launcher had written is found by its id, and not written a second time."""
    before = text_of(told)

    history.append(told, done("deploy", "a", "d"))

    assert text_of(told) == before


@pytest.mark.parametrize(
    ("lines", "lived"),
    [
        ([], []),
        ([done("deploy", "a", "b")], ["a", "b"]),
        ([done("deploy", "a", "b"), done("deploy", "b", "c")], ["a", "b", "c"]),
        # what never served is none
        ([done("deploy", "a", "b"), done("deploy", "b", "c", "rolled-back")], ["a", "b"]),
        ([done("deploy", "a", "b", "settled-forward")], ["a", "b"]),
        ([done("deploy", "a", "b", "settled-back")], []),
        # a rollback takes back: the next one goes further, and not to what was just left
        ([done("deploy", "a", "b"), done("deploy", "b", "c"), done("rollback", "c", "b")], ["a", "b"]),
        ([done("deploy", "a", "b"), done("deploy", "b", "c"), done("rollback", "c", "a")], ["a"]),
        # `up` in between, with a line or without
        ([done("deploy", "a", "b"), done("up", "b", "c")], ["a", "b", "c"]),
        ([done("deploy", "a", "b"), done("deploy", "x", "c")], ["a", "b", "x", "c"]),
        ([done("deploy", "a", "b"), {"verb": "restore", "to": "b", "outcome": "restored"}], ["a", "b"]),
    ],
)
def test_rollback_knows_what_was_live_before(lines: list[Line], lived: list[str]) -> None:
    """From the lines follows which releases served, in their order, without those that were taken back."""
    found = [line["to"] for line in history.lived(lines)]
    door.saw(f"lived({json.dumps(lines)})", ", ".join(found) or "none")

    assert found == lived


def test_line_is_json_with_its_keys_in_order(told: Settings) -> None:
    """Each line is one JSON object whose keys stand in order, so that others can compute its digest too."""
    lines = text_of(told).splitlines()

    assert lines == [json.dumps(json.loads(line), sort_keys=True) for line in lines]


def test_snapshots_of_ways_back_stay_pinned() -> None:
    """Pinned stay the snapshots from before the releases that can be gone back from; no others of deploys do."""
    names = "abcdefgh"
    lines = [done("deploy", *pair) | {"snapshot": f"before {pair[1]}"} for pair in itertools.pairwise(names)]
    lines += [done("deploy", "h", "x", "rejected") | {"snapshot": "before x"}]
    pinned = {str(line["snapshot"]) for line in lines} | {"an operator's"}
    gone = outcome.to_let_go(lines, pinned)
    door.saw("to let go", ", ".join(gone))

    assert gone == ["before b", "before c", "before x"]
