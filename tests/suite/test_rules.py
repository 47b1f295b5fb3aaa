"""The suite keeps its own rules: each test says what it proves and for whom, and only one file waits."""

import ast
import re

import pytest

from fixtures.collected import finding_of
from fixtures.controls import CONTROLS
from fixtures.evidence import Door
from fixtures.run import CHECKOUT

pytestmark = pytest.mark.promise("a reader of the report knows what each line claims")

INSIDE = "fixtures/inside/"  # these run in containers, where wait.py is not
SOURCES = sorted(
    str(path.relative_to(CHECKOUT)) for folder in ("fixtures", "tests") for path in (CHECKOUT / folder).rglob("*.py")
)


def claims(item: pytest.Item) -> list[str]:
    """The controls and promises that the test stands for."""
    return [str(mark.args[0]) for name in ("control", "promise") for mark in item.iter_markers(name)]


def test_every_test_states_its_finding(request: pytest.FixtureRequest, evidence: Door) -> None:
    """Each test has a sentence that is true when it passes, and none is written as an order to test."""
    findings = {item.nodeid.partition("[")[0]: finding_of(item) for item in request.session.items}
    evidence.saw("findings", "\n".join(f"{name}: {text}" for name, text in sorted(findings.items())))

    assert [name for name, text in findings.items() if not text.endswith(".")] == []
    assert [name for name, text in findings.items() if re.match(r"(Test|Check|Verify|Ensure|Make sure)\b", text)] == []


def test_every_test_stands_for_a_control_or_a_promise(request: pytest.FixtureRequest, evidence: Door) -> None:
    """Each test names the control of the catalogue or the promise that it gives evidence for."""
    named = {item.nodeid.partition("[")[0]: claims(item) for item in request.session.items}
    evidence.saw("claims", "\n".join(f"{name}: {', '.join(those)}" for name, those in sorted(named.items())))
    controls = {str(mark.args[0]) for item in request.session.items for mark in item.iter_markers("control")}

    assert [name for name, those in named.items() if not those] == []
    assert controls - set(CONTROLS) == set()


def test_only_one_file_sleeps(evidence: Door) -> None:
    """No file but wait.py lets time pass, save inside containers; all others wait, with a name and a deadline."""
    texts = {name: (CHECKOUT / name).read_text(encoding="utf-8") for name in SOURCES if not name.startswith(INSIDE)}
    evidence.saw("sources read", "\n".join(f"{name}: {len(text)} characters" for name, text in texts.items()))

    assert [name for name, text in texts.items() if sleeps(text)] == ["fixtures/wait.py"]


def sleeps(source: str) -> bool:
    """Whether a file's own code sleeps; what it holds as text runs elsewhere, inside containers."""
    return any(
        (isinstance(node, ast.Attribute) and node.attr == "sleep")
        or (isinstance(node, ast.ImportFrom) and "sleep" in [name.name for name in node.names])
        for node in ast.walk(ast.parse(source))
    )


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import time\ntime.sleep(1)", True),
        ("import asyncio\nasync def a(): await asyncio.sleep(1)", True),
        ("from time import sleep", True),
        ("import time as clock\nnap = clock.sleep", True),
        ("INSIDE = 'import time; time.sleep(1)'", False),
    ],
)
def test_sleep_is_found_however_it_is_spelled(source: str, found: bool, evidence: Door) -> None:
    """What lets time pass is found in a file's code, by whatever name, and not in what it only holds as text."""
    assert evidence.saw(source, str(sleeps(source))) == str(found)
