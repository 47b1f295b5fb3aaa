"""JUnit XML, SARIF and the page: valid against their published schemas, and of one opinion on every control."""

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
import xmlschema
from jsonschema import Draft4Validator, Draft202012Validator

from fixtures.evidence import Door
from fixtures.hostile import HOSTILE
from fixtures.ledger import SCHEMA
from fixtures.made_run import made_run, write
from fixtures.report import document, junit, page, samples, sarif
from fixtures.report.document import Document
from fixtures.report.visible import HOSTILE as ACTING
from fixtures.report.visible import visible
from fixtures.results import State

pytestmark = pytest.mark.control("REP-04")

SCHEMAS = Path(document.__file__).resolve().parents[1] / "data" / "schemas"
ENDINGS = {"failure": State.BROKEN, "error": State.ERROR}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run in which every state stands."""
    return made_run(tmp_path_factory.mktemp("plain"))


def of_results(folder: Path, evidence: Door) -> Mapping[str, str]:
    """State of each control and promise, as the ledger wrote it."""
    told = json.loads(evidence.read(folder / "results.json"))
    return {one["id"]: one["state"] for one in told["controls"]} | {
        one["promise"]: one["state"] for one in told["promises"]
    }


def of_junit(told: Document) -> Mapping[str, str]:
    """State of each, as the suites of the JUnit file have it among their properties."""
    suites = parsed(junit.write(told)).findall("testsuite")[1:]
    return {
        str(suite.get("name")).removeprefix("promise: "): str(one.get("value"))
        for suite in suites
        for one in suite.iter("property")
        if one.get("name") == "state"
    }


def of_sarif(told: Document) -> Mapping[str, str]:
    """State of each, as the results of the SARIF file have it among their properties."""
    (run,) = json.loads(sarif.write(told))["runs"]
    rules = run["tool"]["driver"]["rules"]
    named = [rule["name"] if rule["id"].startswith("PROMISE") else rule["id"] for rule in rules]
    assert [one["ruleId"] for one in run["results"]] == [rule["id"] for rule in rules]
    return {named[one["ruleIndex"]]: one["properties"]["state"] for one in run["results"]}


def of_page(told: Document) -> Mapping[str, str]:
    """State of each control, as the page shows it."""
    articles = re.findall(r'<article id="([A-Z]{3}-\d\d)" class="control ([a-z-]+)', page.render(told))
    return dict(articles)


def wrong_in(xml: str, text: str) -> list[str]:
    """What the published schemas refuse in a JUnit file and a SARIF file."""
    suites = xmlschema.XMLSchema(str(SCHEMAS / "junit-10.xsd"))
    runs = Draft4Validator(json.loads((SCHEMAS / "sarif-2.1.0-rtm.5.json").read_text(encoding="utf-8")))
    told = [str(one) for one in suites.iter_errors(parsed(xml))]
    return told + [one.message for one in runs.iter_errors(json.loads(text))]


def parsed(text: str) -> Element:
    """Read XML that our own writer wrote."""
    return ElementTree.fromstring(text)  # noqa: S314


def test_formats_agree_on_every_control(plain: Path, evidence: Door) -> None:
    """JUnit, SARIF and the page have every control and promise of results.json, each in the same state."""
    told, expected = document.load(plain), of_results(plain, evidence)
    controls = {name: state for name, state in expected.items() if re.fullmatch(r"[A-Z]{3}-\d\d", name)}

    assert set(controls.values()) == {str(state) for state in State}, "every state must stand in it to prove anything"
    assert of_junit(told) == expected, "junit.xml says otherwise"
    assert of_sarif(told) == expected, "results.sarif says otherwise"
    assert of_page(told) == controls, "report.html says otherwise"


@pytest.mark.parametrize("words", HOSTILE.values(), ids=HOSTILE)
def test_formats_are_valid_whatever_they_tell(words: str, tmp_path: Path, evidence: Door) -> None:
    """With hostile words wherever a run has words, each format is valid, and shows them as text that cannot act."""
    folder = made_run(tmp_path, words[:10_000])
    told = document.load(folder)

    xml, text = junit.write(told), sarif.write(told)
    wrong = wrong_in(xml, text)
    evidence.saw("junit.xml and results.sarif", f"{len(xml)} and {len(text)} characters; wrong: {wrong}\n{xml[:2000]}")

    assert wrong == []
    assert ACTING.search(xml) is None
    assert [one for one in strings(json.loads(text)) if ACTING.search(one)] == []
    shown = visible(words[:10_000])
    assert shown in "".join(str(case.get("name")) for case in parsed(xml).iter("testcase"))
    assert shown in " ".join(strings(json.loads(text)))


def test_line_of_a_megabyte_is_whole(plain: Path, evidence: Door) -> None:
    """A line of a megabyte, with words that would act, is whole in JUnit and in SARIF, which stay valid."""
    run = document.load(plain)
    line = f"]]>{HOSTILE['script']}{HOSTILE['long line']}end"
    first, *others = run.controls
    (on, *rest) = first.subjects
    test = dataclasses.replace(on.tests[0], outcome=State.BROKEN, reason=line, message=line)
    red = dataclasses.replace(on, state=State.BROKEN, reason=line, tests=(test,))
    told = dataclasses.replace(run, controls=(dataclasses.replace(first, subjects=(red, *rest)), *others))

    xml, text = junit.write(told), sarif.write(told)
    wrong = wrong_in(xml, text)
    evidence.saw("junit.xml and results.sarif", f"{len(xml)} and {len(text)} characters; wrong: {wrong}\n{xml[:2000]}")

    assert wrong == []
    assert line in "".join(str(failure.text) for failure in parsed(xml).iter("failure"))
    assert [one for one in strings(json.loads(text)) if line in one] != []


def strings(told: Any) -> list[str]:
    """Every text of a JSON document."""
    if isinstance(told, dict):
        return [text for pair in told.items() for one in pair for text in strings(one)]
    if isinstance(told, list):
        return [text for one in told for text in strings(one)]
    return [told] if isinstance(told, str) else []


def test_made_up_run_is_what_the_ledger_writes(plain: Path, evidence: Door) -> None:
    """The run that these tests make up is one that the schema of results.json accepts."""
    schema = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))

    assert [one.message for one in schema.iter_errors(json.loads(evidence.read(plain / "results.json")))] == []


@pytest.mark.parametrize("state", State)
def test_sarif_says_what_each_state_is(plain: Path, evidence: Door, state: State) -> None:
    """In SARIF only what is proven passes; what is broken fails, what is waived is suppressed, the rest stays open."""
    (run,) = json.loads(evidence.saw("results.sarif", sarif.write(document.load(plain))))["runs"]
    mine = [one for one in run["results"] if one["properties"]["state"] == state]

    assert mine, "the run must have one to prove anything"
    for one in mine:
        assert (one["kind"] == "pass") == (state == State.PROVEN)
        assert (one["kind"] == "fail") == (state in (State.BROKEN, State.WAIVED))
        assert ("suppressions" in one) == (state == State.WAIVED)
        assert ("level" in one) == (one["kind"] == "fail")


@pytest.mark.parametrize(
    ("verdict", "code", "ending"),
    [("PASS", 0, None), ("BROKEN", 1, "failure"), ("ERROR", 2, "error"), ("INCOMPLETE", 3, "error")],
)
def test_junit_is_green_exactly_when_the_run_is(
    tmp_path: Path, evidence: Door, verdict: str, code: int, ending: str | None
) -> None:
    """A CI server that reads JUnit sees green for a pass, and for nothing else."""
    folder = made_run(tmp_path)
    told = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    whole = [one for one in told["controls"] if one["state"] in ("proven", "not-applicable")]
    write(folder, {**told, "verdict": verdict, "exit_code": code, "controls": whole, "promises": []})

    root = parsed(evidence.saw("junit.xml", junit.write(document.load(folder))))

    red = [ending for case in root.iter("testcase") for ending in ENDINGS if case.find(ending) is not None]
    assert red == ([ending] if ending else [])
    assert (int(str(root.get("failures"))), int(str(root.get("errors")))) == (red.count("failure"), red.count("error"))


def test_junit_counts_what_it_has(plain: Path, evidence: Door) -> None:
    """The sums that JUnit gives for each suite and for all are those of its cases."""
    root = parsed(evidence.saw("junit.xml", junit.write(document.load(plain))))

    for one in [root, *root.findall("testsuite")]:
        cases = list(one.iter("testcase"))
        ended = [sum(case.find(kind) is not None for case in cases) for kind in ("failure", "error")]
        assert [int(str(one.get(name))) for name in ("tests", "failures", "errors")] == [len(cases), *ended]


def test_sample_of_a_host_is_tagged(plain: Path, evidence: Door) -> None:
    """JUnit and SARIF carry, as a property, that a control was judged on a sample of a host; of no other one."""
    run = document.load(plain)
    *others, one = run.controls
    on = tuple(dataclasses.replace(each, subject=samples.SUBJECT) for each in one.subjects)
    told = dataclasses.replace(run, controls=(*others, dataclasses.replace(one, subjects=on)))

    suites = parsed(evidence.saw("junit.xml", junit.write(told))).findall("testsuite")
    (sarif_run,) = json.loads(evidence.saw("results.sarif", sarif.write(told)))["runs"]

    in_junit = {
        suite.get("name"): each.get("value")
        for suite in suites
        for each in suite.iter("property")
        if each.get("name") == "judged"
    }
    in_sarif = {each["ruleId"]: each["properties"].get("judged") for each in sarif_run["results"]}
    assert in_junit == {one.id: samples.TAG}
    assert {name: tag for name, tag in in_sarif.items() if tag} == {one.id: samples.TAG}


def test_advisory_control_reddens_no_junit(plain: Path, evidence: Door) -> None:
    """A control that never decides keeps its real state in JUnit, and its case is no failure."""
    root = parsed(evidence.saw("junit.xml", junit.write(document.load(plain))))
    (suite,) = [one for one in root.findall("testsuite") if one.get("name") == "HST-05"]

    assert {one.get("name"): one.get("value") for one in suite.iter("property")}["state"] == "broken"
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("0", "0", "1")
