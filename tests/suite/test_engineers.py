"""The engineers' page shows every test with all it saw, red and green, and lets none of it act on its reader."""

import html
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from fixtures.evidence import Door
from fixtures.inner import PLUGINS, run_pytest

pytestmark = pytest.mark.promise("the engineers' page shows every test with all it saw")

INNER_S = 120
HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e"
SUITE = f'''
"""A suite of every ending that a test may have."""
import os
import signal
import pytest

@pytest.fixture(params=["gate"])
def service(request):
    return request.param

@pytest.fixture
def fails(evidence):
    evidence.saw("look before", "seen before the failure")
    raise OSError({HOSTILE!r})

@pytest.mark.control("RUN-01")
def test_green(service, evidence):
    """It holds."""
    evidence.saw("look at green", {HOSTILE!r})

@pytest.mark.control("RUN-01")
def test_red(service, evidence):
    """It does not hold."""
    evidence.hide("the-canary-sings-aloud")
    print("the-canary-sings-aloud")
    evidence.saw("look at red", "the-canary-sings-aloud")
    assert {HOSTILE!r} == "the-canary-sings-aloud"

@pytest.mark.promise("it is set up")
def test_not_set_up(fails, evidence):
    """Its fixture failed."""

@pytest.mark.control("RUN-02")
def test_dies(evidence):
    """It takes its worker along."""
    os.kill(os.getpid(), signal.SIGKILL)

@pytest.mark.parametrize("hostile", ["<img src=x onerror=alert(1)>"])
@pytest.mark.promise("names are text")
def test_named(hostile, evidence):
    """Its name is markup."""
    evidence.saw("look", hostile)
'''


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a run of that suite."""
    folder = tmp_path_factory.mktemp("engineers")
    run_pytest(folder, SUITE, *PLUGINS, "-n2", within=INNER_S)
    return (folder / "reports" / "latest" / "engineers.html").read_text(encoding="utf-8")


def rows(page: str, evidence: Door) -> Mapping[str, Any]:
    """What the page's table is made of, by the name of the test."""
    (blob,) = re.findall(r'data-jsonblob="([^"]*)"', page)
    told: dict[str, list[Any]] = json.loads(html.unescape(blob))["tests"]
    evidence.saw("rows of engineers.html", json.dumps(told, indent=1))
    return {nodeid.partition("::")[2].partition("[")[0]: those[0] for nodeid, those in told.items()}


def cell(row: Any, column: str) -> str:
    """The text of one cell."""
    (text,) = [one for one in row["resultsTableRow"] if f"col-{column}" in one]
    return html.unescape(re.sub("<[^>]*>", "", text))


@pytest.mark.parametrize(
    ("name", "state", "tier", "service", "control"),
    [
        ("test_green", "proven", "static", "gate", "RUN-01"),
        ("test_red", "broken", "static", "gate", "RUN-01"),
        ("test_not_set_up", "error", "–", "stack", "it is set up"),
        ("test_dies", "error", "–", "project", "RUN-02"),
    ],
)
def test_row_tells_what_it_is_evidence_for(
    page: str, evidence: Door, name: str, state: str, tier: str, service: str, control: str
) -> None:
    """Each test has a row with its control or promise, state, tier and service, also one whose worker died of it."""
    row = rows(page, evidence)[name]

    told = [cell(row, column) for column in ("state", "tier", "service", "control")]
    assert told == [state, tier, service, control]


@pytest.mark.parametrize(
    ("name", "command"),
    [("test_green", "look at green"), ("test_red", "look at red"), ("test_not_set_up", "look before")],
)
def test_evidence_is_shown_whatever_the_end(page: str, evidence: Door, name: str, command: str) -> None:
    """What a test looked at is beside it when it is green, when it is red, and when it could not be set up."""
    shown = "".join(extra["content"] for extra in rows(page, evidence)[name]["extras"])

    assert command in shown


def test_dead_worker_is_told(page: str, evidence: Door) -> None:
    """The row of a test that took its worker along says so."""
    assert "crashed while running" in rows(page, evidence)["test_dies"]["log"]


def test_nothing_on_it_acts(page: str, evidence: Door) -> None:
    """Markup, escape sequences and turned reading directions of names, answers and messages are there as text."""
    every = rows(page, evidence)
    told = json.dumps(every, ensure_ascii=False)

    assert "␛" in told, "the escape sequence must be shown to prove anything"
    assert "⟨U+202E⟩" in told
    assert "&lt;script&gt;" in told
    assert "<script>" not in told
    assert "<img" not in told
    assert [one for one in ("\\u001b", "\u202e", "\x9b") if one in told] == []


def test_no_secret_is_on_it(page: str, evidence: Door) -> None:
    """A secret that the run knew is nowhere on the page: not in what was printed, compared or answered."""
    evidence.saw("engineers.html", f"{len(page)} characters, ‹redacted secret› stands there {page.count('‹redacted')}")

    assert "redacted secret" in page, "it must have been blotted out to prove anything"
    assert "the-canary-sings-aloud" not in page
