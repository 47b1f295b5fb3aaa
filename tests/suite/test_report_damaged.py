"""One damaged run: asked for itself it is refused by name; on the page of all runs it is missed, and no other is."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures.evidence import Door
from fixtures.made_run import made_run, write
from fixtures.report import bundle, document
from fixtures.report.document import DocumentError

pytestmark = pytest.mark.promise("a damaged run is told by name, and no other report suffers from it")

SOUND, DAMAGED = "20260314T150926Z-1", "20260314T150927Z-2"
DEEP = 100_000  # brackets


def at(*place: str | int, value: object) -> Callable[[dict[str, Any]], None]:
    """Put a value there."""

    def put(told: Any) -> None:
        *way, last = place
        for part in way:
            told = told[part]
        told[last] = value

    return put


def without(*place: str | int) -> Callable[[dict[str, Any]], None]:
    """Take a value away."""

    def take(told: Any) -> None:
        *way, last = place
        for part in way:
            told = told[part]
        del told[last]

    return take


ON_FIRST = ("controls", 0, "subjects", 0)
HARMS = [
    # times
    pytest.param(at("run", "started", value="yesterday"), "run.started is 'yesterday'", id="word for a start"),
    pytest.param(at("run", "started", value="2026-03-14T15:09:26"), "run.started is", id="start without offset"),
    pytest.param(at("run", "ended", value="2026-03-14T15:09:26+02:00"), "run.ended is", id="end of another zone"),
    pytest.param(at("run", "ended", value="2026-02-31T15:09:26+00:00"), "a time that never was", id="31 February"),
    pytest.param(at("run", "ended", value=None), "run.ended is None", id="no end"),
    pytest.param(at("waivers", 0, "expires", value="2026-02-31"), "waivers[0].expires is", id="exception until never"),
    pytest.param(at("controls", 0, "sabotage", "at", value="then"), "controls[0].sabotage.at is 'then'", id="trial"),
    # words that are of a list
    pytest.param(at("verdict", value="FINE"), "verdict is 'FINE', expected one of PASS", id="verdict"),
    pytest.param(at("exit_code", value=True), "exit_code is True", id="exit code"),
    pytest.param(at("controls", 0, "state", value="green"), "controls[0].state is 'green'", id="state"),
    pytest.param(at("controls", 0, "severity", value="huge"), "controls[0].severity is 'huge'", id="severity"),
    pytest.param(at(*ON_FIRST, "state", value="green"), "controls[0].subjects[0].state is", id="state on a subject"),
    pytest.param(at(*ON_FIRST, "tests", 0, "outcome", value="ok"), "tests[0].outcome is 'ok'", id="outcome"),
    pytest.param(at("verdict", value="PASS"), "verdict is PASS beside exit_code 1", id="PASS beside a code"),
    pytest.param(at("exit_code", value=0), "verdict is BROKEN beside exit_code 0", id="code beside a verdict"),
    pytest.param(
        lambda told: told.update(verdict="PASS", exit_code=0),
        "verdict is PASS beside RUN-01, which is broken",
        id="PASS beside a broken control",
    ),
    # kinds
    pytest.param(at("counts", value={}), "counts lacks controls", id="no counts"),
    pytest.param(at("counts", value="many"), "counts is 'many', expected object", id="word for counts"),
    pytest.param(
        at("controls", 0, "title", value=7), "controls[0].title is 7, expected string", id="number for a title"
    ),
    pytest.param(at("controls", 0, "sabotage", value={}), "controls[0].sabotage lacks", id="empty sabotage"),
    pytest.param(at("run", "machine", "memory_mib", value="all"), "run.machine.memory_mib is 'all'", id="memory"),
    pytest.param(at("because", value="it is"), "because is 'it is', expected array", id="word for reasons"),
    pytest.param(without("completeness"), "lacks completeness", id="no completeness"),
    # numbers
    pytest.param(at(*ON_FIRST, "tests", 0, "duration_s", value=10**300), "duration_s is 1000", id="endless number"),
    pytest.param(at(*ON_FIRST, "tests", 0, "duration_s", value=float("nan")), "NaN is no number", id="no number"),
    pytest.param(
        at("recovery", "restores", 0, "limit_s", value=0), "limit_s is 0, expected more than 0", id="no limit"
    ),
    # what must fit
    pytest.param(at("frameworks", value={}), "which frameworks does not have", id="no frameworks"),
    pytest.param(lambda told: told["controls"].append(told["controls"][0]), "has IMG-04 twice", id="control twice"),
]


def harm(run: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the results of a run."""
    told = json.loads((run / document.RESULTS).read_text(encoding="utf-8"))
    change(told)
    write(run, told)


@pytest.mark.parametrize(("change", "says"), HARMS)
def test_damaged_results_are_refused_by_name(
    tmp_path: Path, evidence: Door, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    """Results in which one value is not what a run writes are refused with the place, what was seen and a next step."""
    run = made_run(tmp_path)
    assert document.load(run).about.id == SOUND, "it must have been a good one, or this proves nothing"
    harm(run, change)

    with pytest.raises(DocumentError) as refusal:
        document.load(run)

    told = evidence.saw("refusal", str(refusal.value))
    assert says in told
    assert told.startswith(f"{run / document.RESULTS}: ")
    assert told.endswith("; render an untouched copy")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("[" * DEEP, "nested deeper", id="deep"),
        pytest.param('{"schema": ' + "[" * 500 + "]" * 500 + "}", "schema is an array of 1", id="deep schema"),
        pytest.param('{"schema": true}', "schema is True", id="schema of true"),
        pytest.param("[1]", "schema is None", id="no object"),
        pytest.param("\udcff", "not JSON", id="no UTF-8"),
        pytest.param("9" * 10_000, "not JSON", id="long number"),
    ],
)
def test_what_no_run_writes_is_refused(tmp_path: Path, evidence: Door, text: str, says: str) -> None:
    """A results.json that is none, however it is built, is refused with a next step."""
    (tmp_path / document.RESULTS).write_bytes(text.encode(errors="surrogateescape"))

    with pytest.raises(DocumentError) as refusal:
        document.load(tmp_path)

    told = evidence.saw("refusal", str(refusal.value))
    assert says in told
    assert "; " in told


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("[" * DEEP, "nested deeper", id="deep"),
        pytest.param("[]", "the whole is an array of 0, expected object", id="no object"),
        pytest.param('{"looks": 1, "redacted": 0}', "looks is 1, expected array", id="no looks"),
        pytest.param('{"looks": [{}], "redacted": 0}', "looks[0] lacks command", id="empty look"),
        pytest.param('{"looks": [], "redacted": "no"}', "redacted is 'no'", id="no count"),
    ],
)
def test_damaged_evidence_is_refused_by_name(tmp_path: Path, evidence: Door, text: str, says: str) -> None:
    """A file of evidence that is not what a run writes is refused with its name."""
    run = made_run(tmp_path)
    file = sorted((run / "evidence").iterdir())[0]
    file.write_text(text, encoding="utf-8")

    with pytest.raises(DocumentError) as refusal:
        document.load(run)

    told = evidence.saw("refusal", str(refusal.value))
    assert told.startswith(f"{file}: ")
    assert says in told


def test_evidence_of_another_run_is_refused(tmp_path: Path, evidence: Door) -> None:
    """An answer that was changed together with the sha256 beside it is not the one that the results tell."""
    run = made_run(tmp_path)
    file = sorted((run / "evidence").iterdir())[0]
    told = json.loads(file.read_text(encoding="utf-8"))
    told["looks"][0] |= {"output": "well", "sha256": hashlib.sha256(b"well").hexdigest()}
    file.write_text(json.dumps(told), encoding="utf-8")

    with pytest.raises(DocumentError) as refusal:
        document.load(run)

    assert f"{file}: its looks are not those that results.json tells" in evidence.saw("refusal", str(refusal.value))


def test_older_schema_is_read(tmp_path: Path, evidence: Door) -> None:
    """Results of the first schema, which had no figures of recovery, are still read."""
    run = made_run(tmp_path)
    harm(run, without("recovery"))
    harm(run, at("schema", value=1))

    told = document.load(run)

    evidence.saw("document", f"schema {told.schema}, {told.recovery}")
    assert (told.schema, told.recovery) == (1, document.Recovery())


@pytest.mark.parametrize("change", [one.values[0] for one in HARMS], ids=[str(one.id) for one in HARMS])
def test_one_damaged_run_leaves_the_others_listed(
    tmp_path: Path, evidence: Door, change: Callable[[dict[str, Any]], None]
) -> None:
    """The page of all runs is made without the damaged one, whose name and fault are told."""
    (made_run(tmp_path, name=SOUND) / bundle.PAGE).touch()
    harm(made_run(tmp_path, name=DAMAGED), change)

    page, unread = bundle.overview(tmp_path)

    evidence.saw("not among all runs", "\n".join(unread))
    text = page.read_text(encoding="utf-8")
    assert [DAMAGED in one for one in unread] == [True]
    assert (f"{SOUND}/report.html" in text, f"{DAMAGED}/report.html" in text) == (True, False)


def test_run_that_is_no_file_leaves_the_others_listed(tmp_path: Path, evidence: Door) -> None:
    """A results.json that is a folder is told, and the other runs are listed."""
    (made_run(tmp_path, name=SOUND) / bundle.PAGE).touch()
    (tmp_path / DAMAGED / document.RESULTS).mkdir(parents=True)

    page, unread = bundle.overview(tmp_path)

    evidence.saw("not among all runs", "\n".join(unread))
    assert [f"{DAMAGED}/results.json: no such file" in one for one in unread] == [True]
    assert f"{SOUND}/report.html" in page.read_text(encoding="utf-8")


def test_run_that_ended_before_it_began_is_drawn(tmp_path: Path, evidence: Door) -> None:
    """A run whose clock was set back in its middle stays readable, and takes no time rather than less."""
    for number in (1, 2):
        run = made_run(tmp_path, name=f"20260314T15092{number}Z-{number}")
        harm(run, at("run", "ended", value="2026-03-14T15:00:00+00:00"))
        harm(run, at("selection", "filters", value=[]))

    page, unread = bundle.overview(tmp_path)

    text = evidence.saw("index", page.read_text(encoding="utf-8"))
    assert unread == []
    assert re.findall(r"<td>(0 s)</td>", text) == ["0 s", "0 s"]


def test_run_that_its_own_manifest_calls_changed_is_not_listed(tmp_path: Path, evidence: Door) -> None:
    """Results that were changed after their bundle was made are not on the page of all runs but named as unread."""
    run = made_run(tmp_path, name=SOUND)
    bundle.render(run, bundle.Wish())
    assert bundle.overview(tmp_path)[1] == []
    harm(run, at("because", value=["nothing"]))

    page, unread = bundle.overview(tmp_path)

    evidence.saw("not among all runs", "\n".join(unread))
    assert [f"{SOUND}/results.json: was changed since its bundle was made" in one for one in unread] == [True]
    text = page.read_text(encoding="utf-8")
    assert (f"{SOUND}/report.html" in text, f"<li>{SOUND}/results.json: was changed" in text) == (False, True)
