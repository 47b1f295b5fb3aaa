"""No way to lose a check ends green. Each is induced for real, in a run of pytest that the launcher starts."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from fixtures.evidence import Completed, Door, door
from fixtures.inner import PLUGINS, catalogue_of, environment, results_of, run_pytest
from fixtures.ledger import SCHEMA
from fixtures.results import SHOWN, Exit

pytestmark = pytest.mark.control("REP-01")

INNER_S = 120
LOOKS = '''
"""A suite of which everything is proven."""
import os
import signal
import pytest

@pytest.mark.control("RUN-01")
def test_looks(evidence):
    """It looked."""
    evidence.saw("uname", "Linux")

@pytest.fixture
def cannot():
    raise OSError("the machine has no such thing")
'''
ANOTHER = '''
@pytest.mark.control("RUN-02")
def test_another({fixture}):
    """It looked too."""
    {body}
'''


def another(body: str, fixture: str = "evidence") -> str:
    """Give the suite a second test."""
    return LOOKS + ANOTHER.format(body=body, fixture=fixture)


# A stack of which the engine says whatever the test wants.
STAND_IN = """
import pytest

class Stack:
    asked = 0
    def identity(self):
        self.asked += 1
        return [("one-app-1", "{after}" if self.asked > 1 else "a" * 64, "now", 0)]

@pytest.fixture(scope="session")
def stack():
    return Stack()
"""


@dataclass(frozen=True)
class Loss:
    """One way to lose a check."""

    suite: str
    says: str  # in what the run tells
    options: tuple[str, ...] = ("-n0",)
    files: Mapping[str, str] = field(default_factory=dict)


LOOKED = 'evidence.saw("uname", "Linux")'
LOSSES = {
    "worker crash": Loss(another("os.kill(os.getpid(), signal.SIGKILL)"), "crashed while running", ("-n2",)),
    "os._exit": Loss(another("os._exit(0)"), "left no results"),
    "-k": Loss(another(LOOKED), "left out by -k looks", ("-n0", "-k", "looks")),
    "--maxfail": Loss(
        another(LOOKED).replace(LOOKED, "raise OSError('gone')", 1),
        "stopping after 1 failures",
        ("-n0", "--maxfail=1"),
    ),
    "collection error": Loss(
        LOOKS,
        "not readable: tests/test_unreadable.py",
        ("-n0", "--continue-on-collection-errors"),
        {"tests/test_unreadable.py": "import there_is_no_such_module\n"},
    ),
    "fixture error": Loss(another("pass", fixture="cannot"), "error: RUN-02: OSError: the machine has no such thing"),
    "control without a test": Loss(
        LOOKS,
        "not-run: RUN-09: no test",
        files={"fixtures/controls.toml": catalogue_of({"RUN-01": "", "RUN-09": ""})},
    ),
    "test without evidence": Loss(another("assert True"), "passed without one look"),
    "tests set up alone": Loss(another(LOOKED), "it was set up, and never called", ("-n0", "--setup-only")),
}


def launch(folder: Path, suite: str, *options: str, files: Mapping[str, str] | None = None) -> Completed:
    """Run a suite as `./stack test` runs the project's."""
    return door.record(run_pytest(folder, suite, *PLUGINS, *options, within=INNER_S, files=files, launched=True))


@pytest.mark.parametrize("options", [("-n0",), ("-n2",)], ids=["one process", "two workers"])
def test_run_that_proves_everything_passes(tmp_path: Path, options: tuple[str, ...]) -> None:
    """A run in which every control is proven ends with 0 and says PASS."""
    done = launch(tmp_path, another(LOOKED), *options)
    found = results_of(tmp_path)

    assert (done.code, found["verdict"], found["exit_code"]) == (Exit.PASS, "PASS", Exit.PASS), done.told()
    assert {one["id"]: one["state"] for one in found["controls"]} == {"RUN-01": "proven", "RUN-02": "proven"}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
def test_lost_check_makes_the_run_incomplete(tmp_path: Path, loss: Loss) -> None:
    """A run that lost a check ends with the code for incomplete, never with 0, and says what was lost."""
    done = launch(tmp_path, loss.suite, *loss.options, files=loss.files)

    assert done.code == Exit.INCOMPLETE, done.told()
    assert loss.says in " ".join((done.stdout + done.stderr).split())


def test_operators_shell_does_not_choose_the_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options for pytest in the operator's environment change nothing in a run that the launcher starts."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "--setup-plan")
    done = launch(tmp_path, another(LOOKED), "-n0")

    assert done.code == Exit.PASS, done.told()
    assert {one["state"] for one in results_of(tmp_path)["controls"]} == {"proven"}


def test_terminal_names_no_more_than_can_be_read(tmp_path: Path) -> None:
    """Of many controls and tests without an answer the terminal names the first and counts the rest."""
    names = [f"RUN-{number}" for number in range(10, 10 + SHOWN + 3)]
    many = ANOTHER.format(body=LOOKED, fixture="evidence")
    suite = another(LOOKED).replace(LOOKED, "raise OSError('gone')", 1)
    suite += "".join(many.replace("RUN-02", one).replace("another", one.replace("-", "_")) for one in names)
    done = launch(tmp_path, suite, "-n0", "--maxfail=1")
    missing = results_of(tmp_path)["completeness"]["missing"]
    (because,) = [line for line in done.stdout.splitlines() if line.startswith("because: tests that never reported: ")]
    (not_run,) = [line for line in done.stdout.splitlines() if line.startswith("not-run: ")]

    assert len(missing) == SHOWN + 4
    assert because.count("::") == SHOWN
    assert because.endswith("… 4 more, in results.json")
    assert not_run.count("RUN-") == SHOWN
    assert ", … 4 more, in results.json: " in not_run


def test_catalogue_that_cannot_be_read_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    """A run whose catalogue is damaged ends with the code for wrong usage and one line that names the place."""
    done = launch(tmp_path, LOOKS, "-n0", files={"fixtures/controls.toml": "schema = 1\n[controls\n"})

    assert done.code == Exit.USAGE, done.told()
    assert "error: controls.toml: " in done.stderr
    assert "Traceback" not in done.told()
    assert "test session starts" not in done.stdout


def test_run_that_can_leave_no_report_does_not_begin(tmp_path: Path) -> None:
    """A run that cannot write to the folder of its reports ends as incomplete with one line, before any test."""
    (tmp_path / "reports").write_text("a file where the folder should be", encoding="utf-8")
    done = launch(tmp_path, LOOKS, "-n0")

    assert done.code == Exit.INCOMPLETE, done.told()
    assert f"error: nothing can be written to {tmp_path / 'reports'}: " in done.stderr
    assert "Traceback" not in done.told()
    assert "test session starts" not in done.stdout


ALONE = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
LAUNCHER = (
    "import os, sys; from ops import child; child.run([sys.executable, '-c', sys.argv[1]], os.environ, None, '.')"
)
ORPHAN_S = 10


def test_killed_launcher_takes_its_run_along(tmp_path: Path, evidence: Door) -> None:
    """When the launcher is killed with SIGKILL, the run that it started ends too."""
    argv = [sys.executable, "-c", LAUNCHER, ALONE]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env=environment(tmp_path)) as launcher:
        assert launcher.stdout is not None
        child = int(launcher.stdout.readline())
        launcher.kill()
        try:
            launcher.communicate(timeout=ORPHAN_S)  # to the end of the pipe, which the child holds open
        except subprocess.TimeoutExpired:
            os.kill(child, signal.SIGKILL)
            alive = True
        else:
            alive = False
    evidence.saw("kill -9 of the launcher", f"its child is {'alive' if alive else 'gone'}")

    assert not alive


# -- what a state is made of

MANY = '''
"""A suite in which every control comes to its own end."""
import pytest
from hypothesis import given, strategies
from fixtures.verdicts import CouldNotCheck, not_applicable

pytestmark = pytest.mark.usefixtures("evidence")

@pytest.fixture(params=["gate", "app"])
def service(request):
    return request.param

@pytest.fixture
def breaks_before():
    assert 1 == 2, "nothing was set up"

@pytest.fixture
def breaks_after():
    yield
    assert 1 == 2, "nothing was taken down"

@pytest.mark.control("AAA-01")
def test_proven(evidence):
    """It looked."""
    evidence.saw("uname", "Linux")

@pytest.mark.control("AAA-02")
def test_broken_on_one_subject(service, evidence):
    """No service is the app."""
    evidence.saw("name", service)
    assert service == "gate"

@pytest.mark.control("AAA-03")
def test_did_not_raise(evidence):
    """It is refused."""
    evidence.saw("uname", "Linux")
    with pytest.raises(ValueError):
        pass

@pytest.mark.control("AAA-04")
def test_trips_over_itself(evidence):
    """It never came to its assert."""
    evidence.saw("uname", "Linux")
    raise OSError("no such thing")

@pytest.mark.control("AAA-05")
def test_could_not_check(evidence):
    """The container was gone."""
    evidence.saw("uname", "Linux")
    raise CouldNotCheck("the app is gone")

@pytest.mark.control("AAA-06")
def test_was_not_set_up(breaks_before, evidence):
    """Its fixture failed."""
    evidence.saw("uname", "Linux")

@pytest.mark.control("AAA-07")
def test_was_not_taken_down(breaks_after, evidence):
    """Its fixture failed at its end."""
    evidence.saw("uname", "Linux")

@pytest.mark.control("AAA-08")
def test_is_skipped():
    """It could not run here."""
    pytest.skip("it takes root")

@pytest.mark.control("AAA-09")
def test_does_not_apply():
    """The kernel has no such thing."""
    not_applicable("no AppArmor here")

@pytest.mark.control("AAA-10")
def test_says_so_though_it_always_applies():
    """It always applies."""
    not_applicable("no reason at all")

@pytest.mark.control("AAA-11")
@pytest.mark.xfail(reason="known for long", strict=True)
def test_is_expected_to_fail(evidence):
    """It is known to fail."""
    evidence.saw("uname", "Linux")
    assert 1 == 2

@pytest.mark.control("AAA-12")
@given(strategies.integers())
def test_fails_on_two_examples(number):
    """No number is one of two."""
    assert number < 10
    assert number > -10

@pytest.mark.control("AAA-15")
def test_fails_on_a_secret(evidence):
    """It does not tell."""
    evidence.hide("the-canary-sings")
    evidence.saw("uname", "Linux")
    assert "the-canary-sings" == "nothing"

@pytest.mark.promise("it stays as it is")
def test_promise(evidence):
    """It changed."""
    evidence.saw("uname", "Linux")
    assert 1 == 2, "it changed"
'''
STATES = {
    "AAA-01": "proven",
    "AAA-02": "broken",
    "AAA-03": "broken",
    "AAA-04": "error",
    "AAA-05": "error",
    "AAA-06": "error",
    "AAA-07": "error",
    "AAA-08": "not-run",
    "AAA-09": "not-applicable",
    "AAA-10": "not-run",
    "AAA-11": "not-run",
    "AAA-12": "broken",
    "AAA-13": "not-applicable",
    "AAA-14": "not-run",  # it has no test
    "AAA-15": "broken",
}
PARTICULAR = {
    "AAA-09": 'not_applicable_when = "the kernel has no AppArmor"\nmappings = {}',
    "AAA-13": 'gap = "it is not built yet"\nmappings = {}',
}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Completed, Path]:
    """Run the suite of all endings, in random order on two workers; give its end and its folder."""
    folder = tmp_path_factory.mktemp("many")
    catalogue = {"fixtures/controls.toml": catalogue_of({name: PARTICULAR.get(name, "") for name in STATES})}
    options = (*PLUGINS, "-n2", "--random-order")
    return run_pytest(folder, MANY, *options, within=INNER_S, files=catalogue), folder


def test_every_ending_of_a_test_has_its_state(many: tuple[Completed, Path]) -> None:
    """Each way in which a test can end gives its control the state that the design says, also without any test."""
    found = results_of(many[1])

    assert {one["id"]: one["state"] for one in found["controls"]} == STATES
    assert [one["state"] for one in found["promises"]] == ["broken"]


def test_control_is_as_its_worst_subject(many: tuple[Completed, Path]) -> None:
    """A control that is broken on one service and proven on another is broken, and both subjects are told."""
    (control,) = [one for one in results_of(many[1])["controls"] if one["id"] == "AAA-02"]

    assert {one["subject"]: one["state"] for one in control["subjects"]} == {"app": "broken", "gate": "proven"}
    assert control["state"] == "broken"


def test_broken_wins_over_incomplete(many: tuple[Completed, Path]) -> None:
    """A run in which something is broken and something was not looked at ends as broken."""
    done = door.record(many[0])

    assert (done.code, results_of(many[1])["verdict"]) == (Exit.BROKEN, "BROKEN"), done.told()


def test_counts_add_up_to_the_catalogue(many: tuple[Completed, Path]) -> None:
    """Each control of the catalogue has one state, and the counts and tests reported are all there are."""
    found = results_of(many[1])
    complete = found["completeness"]

    assert sum(found["counts"]["controls"].values()) == complete["catalogue"] == complete["reported"] == len(STATES)
    assert complete["collected"] == complete["reported_tests"] == len(STATES)  # two have none, one two, a promise one
    assert complete["missing"] == []


def test_summary_tells_what_is_broken_and_what_to_do(many: tuple[Completed, Path]) -> None:
    """The terminal's summary has the verdict, each broken control with its subject and remedy, and the gaps."""
    told = door.record(many[0]).stdout
    lines = told[told.index("BROKEN (exit code 1)") :].splitlines()
    at = lines.index("broken: AAA-02 made for one test")

    assert lines[at + 1].startswith("  app: ")
    assert lines[at + 2] == "  remedy: mend what the test says"
    assert "gaps: AAA-13" in lines
    assert any(line.startswith("error: AAA-05: ") and "the app is gone" in line for line in lines)


# -- what is written down


def test_results_name_their_evidence(many: tuple[Completed, Path], evidence: Door) -> None:
    """Each look that results.json tells of stands whole in the evidence file that it names, with the same hash."""
    tests = [test for one in results_of(many[1])["controls"] for on in one["subjects"] for test in on["tests"]]
    looked = [test for test in tests if test["looks"]]
    outputs = {
        look["sha256"]: look["output"]
        for test in looked
        for look in json.loads(evidence.read(many[1] / "reports" / "latest" / test["evidence"]))["looks"]
    }

    assert len(looked) == 9
    for test in looked:
        for look in test["looks"]:
            assert hashlib.sha256(outputs[look["sha256"]].encode()).hexdigest() == look["sha256"]


def test_results_tell_no_secret(many: tuple[Completed, Path]) -> None:
    """A known secret in the message of a failed test is blotted out in results.json, and the rest is told."""
    found = results_of(many[1])
    (control,) = [one for one in found["controls"] if one["id"] == "AAA-15"]
    message = control["subjects"][0]["tests"][0]["message"]

    assert message.startswith("AssertionError: assert '‹redacted secret›' == 'nothing'")
    assert "the-canary-sings" not in json.dumps(found)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("verdict",), "FINE"),
        (("exit_code",), None),
        (("controls", 0, "state"), "pass"),
        (("controls", 0, "subjects", 0, "tests", 0, "looks", 0, "sha256"), "none"),
        (("run", "started"), "yesterday"),
        (("surplus",), "not in the schema"),
    ],
    ids=lambda one: ".".join(map(str, one)) if isinstance(one, tuple) else "",
)
def test_schema_refuses_what_is_not_a_result(
    many: tuple[Completed, Path], place: tuple[str | int, ...], value: str | None
) -> None:
    """The schema accepts what the ledger wrote, and refuses it with one value changed."""
    found = results_of(many[1])
    schema = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    accepted = schema.is_valid(found)
    whole: Any = found
    for step in place[:-1]:
        found = found[step]  # type: ignore[index]  # one step down, whatever it is
    found[place[-1]] = value  # type: ignore[index]

    assert accepted
    assert not schema.is_valid(whole)


def test_advisory_control_never_decides(tmp_path: Path) -> None:
    """A run in which only an advisory control is broken passes, and says that it is broken."""
    suite = another(f"{LOOKED}; assert 1 == 2")
    files = {"fixtures/controls.toml": catalogue_of({"RUN-01": "", "RUN-02": "advisory = true\nmappings = {}"})}
    done = launch(tmp_path, suite, "-n0", files=files)
    states = {one["id"]: (one["state"], one["decides"]) for one in results_of(tmp_path)["controls"]}

    assert done.code == Exit.PASS, done.told()
    assert states == {"RUN-01": ("proven", True), "RUN-02": ("broken", False)}
    assert "advisory: RUN-02: " in done.stdout


def test_run_that_proves_nothing_is_incomplete(tmp_path: Path) -> None:
    """A run without a single proven control or promise is incomplete, however little was asked of it."""
    gap = {"fixtures/controls.toml": catalogue_of({"RUN-03": 'gap = "it is not built yet"\nmappings = {}'})}
    done = launch(tmp_path, '"""A suite without a test."""\n', "-n0", files=gap)

    assert done.code == Exit.INCOMPLETE, done.told()


@pytest.mark.control("REP-09")
@pytest.mark.parametrize(("replaced", "code"), [(False, Exit.PASS), (True, Exit.INCOMPLETE)], ids=["same", "another"])
def test_containers_are_the_same_at_the_end(tmp_path: Path, replaced: bool, code: Exit) -> None:
    """The results name the containers at start and end; a run that ends on others than it began on is incomplete."""
    plugin = STAND_IN.format(after="b" * 64 if replaced else "a" * 64)
    suite = LOOKS.replace("def test_looks(evidence)", "def test_looks(stack, evidence)")
    done = launch(tmp_path, suite, "-n0", files={"conftest.py": plugin})
    found = results_of(tmp_path)

    assert done.code == code, done.told()
    assert found["run"]["containers_start"] == {"one-app-1": {"id": "a" * 64, "started": "now", "restarts": 0}}
    assert (found["run"]["containers_end"] == found["run"]["containers_start"]) is not replaced
    assert ("not the same containers at the end as at the start: one-app-1" in done.stdout) is replaced
