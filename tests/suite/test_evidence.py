"""A pass without evidence is red; what was seen is in the report. Proven on a real run of pytest within the run."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from fixtures import events
from fixtures.evidence import Completed, Door, EmptyAnswer
from fixtures.inner import PLUGINS, run_pytest, told_of
from fixtures.redaction import find
from fixtures.session import SHELL
from fixtures.stack import Stack

pytestmark = pytest.mark.control("REP-02")

TOKEN = "Zm9vYmFyYmF6cXV4LXRoaXMtaXMtbm90LXJlYWw_-xyz"  # noqa: S105  # like one, and none
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\nAAAA\n-----END OPENSSH PRIVATE KEY-----"
SECRETS = {  # a text with a secret, and what is kept of it
    "private key": (KEY, "‹redacted private key›"),
    "bearer token": (f"Authorization: Bearer {TOKEN}", "Authorization: Bearer ‹redacted bearer token›"),
    "credentials": ("authorization: basic dXNlcjpwYXNz", "authorization: basic ‹redacted basic credentials›"),
    "variable": (f"WRITE_TOKEN={TOKEN}", "WRITE_TOKEN=‹redacted write token›"),
    "JSON": (f'"session_key": "{TOKEN}"', '"session_key": "‹redacted write token›"'),
}
HARMLESS = [
    "sha256:3e7371bfa98d0e83d232d7b33e7371bfa98d0e83d232d7b33e7371bfa98d0e83",
    "400 1001:1001 /run/secrets/write_token",
    "write_token: {file: /srv/monsite/secrets/write_token}",
    "TOKEN_FILE=/x MONSITE_TOKEN=/run/secrets/monsite/write_token",
    'head += f"Authorization: Bearer {token}"',
    "token_missing: no bearer token was sent",
]
INNER = '''
"""A suite of its own."""
import pytest

def test_that_never_looks():
    """Nothing was looked at."""
    assert 1 == 1

def test_that_looks(evidence):
    """One <b>look</b> was taken."""
    evidence.saw("uname", "Linux <script>", subject="host")

def test_that_looks_in_vain(evidence):
    """The answer was empty."""
    evidence.saw("uname", "  ", subject="host")

@pytest.fixture
def looked(evidence):
    evidence.saw("uname", "Linux", subject="host")

def test_whose_fixture_looked(looked):
    """Only the setup looked."""

@pytest.mark.parametrize("hostile", ["<img src=x onerror=alert(1)>"])
def test_with_a_hostile_name(hostile, evidence):
    """A parameter is markup."""
    evidence.saw(hostile, hostile)
'''


@pytest.fixture(scope="module")
def inner_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Completed, Path]:
    """Run pytest on a suite of five tests with the project's own plugins; give its end and its report folder."""
    folder = tmp_path_factory.mktemp("inner")
    done = run_pytest(folder, INNER, *PLUGINS, within=120)
    return done, folder / "reports" / "latest"


def verdict(inner_run: tuple[Completed, Path], name: str) -> str:
    """Give the verdict of one inner test."""
    return "green" if told_of(inner_run[1] / "results.json", name)["outcome"] == "proven" else "red"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("test_that_looks", "green"),
        ("test_with_a_hostile_name", "green"),
        # a pass that nobody can retrace
        ("test_that_never_looks", "red"),
        ("test_whose_fixture_looked", "red"),
        # an answer without words
        ("test_that_looks_in_vain", "red"),
    ],
)
def test_only_a_pass_with_evidence_is_green(inner_run: tuple[Completed, Path], name: str, expected: str) -> None:
    """A test is green when it passed and its own body looked, and only then."""
    assert verdict(inner_run, name) == expected


def test_message_says_what_is_missing(inner_run: tuple[Completed, Path], evidence: Door) -> None:
    """The red test says that it has no evidence, and how to give it some."""
    told = evidence.record(inner_run[0]).stdout

    assert "no evidence: " in told
    assert "evidence.saw()" in told


def test_look_is_in_the_report(inner_run: tuple[Completed, Path], evidence: Door) -> None:
    """Command, answer, time and hash of a look stand in the report's evidence folder."""
    files = sorted((inner_run[1] / "evidence").glob("*test-that-looks-????????.json"))
    assert len(files) == 1

    (look,) = json.loads(evidence.read(files[0]))["looks"]

    assert (look["command"], look["output"], look["subject"]) == ("uname", "Linux <script>", "host")
    assert look["at"].endswith("+00:00")
    assert len(look["sha256"]) == 64


def test_page_shows_markup_as_text(inner_run: tuple[Completed, Path], evidence: Door) -> None:
    """What a name or an answer contains is text on the page, never markup."""
    page = evidence.read(inner_run[1] / "engineers.html")

    assert "onerror" in page, "the hostile name must be on the page to prove anything"
    assert "<img src=x" not in page
    assert "Linux <script>" not in page


def test_empty_answer_is_an_error(evidence: Door) -> None:
    """An answer without a word raises instead of being recorded."""
    with pytest.raises(EmptyAnswer) as empty:
        evidence.saw("cat /nothing", "\n", subject="host")

    assert "answered nothing" in evidence.saw("the complaint", str(empty.value))


def test_secret_is_never_written_down(evidence: Door) -> None:
    """A hidden value is replaced in the record, and the answer handed on is whole."""
    evidence.hide("s3cr3t-canary")

    answer = evidence.saw("print the secret", "it is s3cr3t-canary.", subject="host")

    assert answer == "it is s3cr3t-canary."
    assert evidence.looks[-1].output == "it is ‹redacted secret›."
    assert evidence.looks[-1].redacted == 1


@pytest.mark.parametrize(("text", "kept"), SECRETS.values(), ids=SECRETS)
def test_what_looks_like_a_secret_is_blotted_out(evidence: Door, text: str, kept: str) -> None:
    """A secret that nobody named is replaced by its kind, in the answer and in the command, and counted each time."""
    evidence.saw(f"print {text}", f"{text} and {text}", subject="host")
    look = evidence.looks[-1]

    assert (look.output, look.command, look.redacted) == (f"{kept} and {kept}", f"print {kept}", 3)
    assert look.sha256 == hashlib.sha256(look.output.encode()).hexdigest()
    assert find(text) == [re.sub(".*‹redacted |›.*", "", kept)]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(evidence: Door, text: str) -> None:
    """Paths, hashes, names of secrets and source code stay as they are."""
    assert evidence.saw("print", text) == evidence.looks[-1].output
    assert evidence.looks[-1].redacted == 0


def test_look_into_a_container_names_its_image(stack: Stack, evidence: Door) -> None:
    """A look through the door carries the container's name and the digest of its image."""
    facts = stack.service("app").facts
    stack.exec("app", "true")

    assert [(look.subject, look.digest) for look in evidence.looks[-2:]] == [(facts.name, facts.image)] * 2


def test_engine_tells_what_happened(stack: Stack) -> None:
    """Between two instants the engine tells of a command as root and of nothing that came before or after it."""
    stack.exec("backup", "true", user="1001:1001")
    since = events.now()
    stack.exec("backup", "true", user="0:0")
    until = events.now()
    stack.exec("gate", "true")

    told = events.between(stack.name, since, until)

    assert [(one.name, one.user) for one in told if one.action == events.EXEC and one.detail == SHELL] == [
        (stack.service("backup").container, "0:0")
    ]
