"""A run answers what it was asked: by control, by framework; what a filter leaves out is said."""

from pathlib import Path

import pytest

from fixtures.controls import parse
from fixtures.evidence import Completed, Door, door
from fixtures.inner import PLUGINS, catalogue_of, results_of, run_pytest
from fixtures.results import Exit
from fixtures.selection import UnknownNameError, chosen

pytestmark = pytest.mark.control("REP-01")

INNER_S = 120
LOOKS = '''
@pytest.mark.control("{control}")
def test_{name}(evidence):
    """It looked."""
    evidence.saw("uname", "Linux")
'''
NAMES = {"RUN-01": "root", "RUN-02": "writable", "BAK-04": "restored"}
SUITE = "import pytest\n" + "".join(LOOKS.format(control=control, name=name) for control, name in NAMES.items())
SUITE += '''
@pytest.mark.promise("it is quick")
@pytest.mark.benchmark
def test_speed(evidence):
    """It took no time."""
    evidence.saw("seconds", "0")
'''
CATALOGUE = {
    "fixtures/controls.toml": catalogue_of(
        {"RUN-01": 'mappings = {cis = ["5.1"]}', "RUN-02": 'mappings = {nist80053 = ["CM-7"]}', "BAK-04": ""}
    )
}

KNOWN = parse(CATALOGUE["fixtures/controls.toml"], "controls.toml")


def run(folder: Path, *options: str) -> Completed:
    """Run the suite of three controls and a benchmark."""
    return door.record(run_pytest(folder, SUITE, *PLUGINS, *options, within=INNER_S, files=CATALOGUE))


def judged(folder: Path) -> set[str]:
    """The controls that the run judged; each of them must be proven."""
    deciding = {one["id"]: one["state"] for one in results_of(folder)["controls"] if one["decides"]}
    assert set(deciding.values()) == {"proven"}
    return set(deciding)


@pytest.mark.parametrize(
    ("options", "controls"),
    [
        (("--random-order", "--random-order-bucket=global"), {"RUN-01", "RUN-02", "BAK-04"}),
        (("--controls", "RUN-02,BAK-04"), {"RUN-02", "BAK-04"}),
        (("--profile", "cis", "--controls", "BAK"), {"RUN-01", "BAK-04"}),
    ],
    ids=["all in random order", "two controls", "a framework and a family"],
)
def test_run_judges_just_what_it_was_asked(tmp_path: Path, options: tuple[str, ...], controls: set[str]) -> None:
    """A run of named controls or of a framework's judges these alone, each by its tests, and passes on them."""
    done = run(tmp_path, "-n0", *options)

    assert done.code == Exit.PASS, done.told()
    assert judged(tmp_path) == controls
    assert results_of(tmp_path)["completeness"]["collected"] == len(controls)
    assert results_of(tmp_path)["selection"]["left_out"] == []


@pytest.mark.parametrize(
    ("controls", "profile", "named"),
    [
        ("RUN", None, {"RUN-01", "RUN-02"}),
        ("RUN-01, BAK", None, {"RUN-01", "BAK-04"}),
        (None, "nist", {"RUN-02"}),
        (None, "nist80053", {"RUN-02"}),
        (None, "cis,nist", {"RUN-01", "RUN-02"}),
    ],
)
def test_names_mean_the_controls_of_the_catalogue(
    evidence: Door, controls: str | None, profile: str | None, named: set[str]
) -> None:
    """A family means all its controls, a framework all that are mapped to it, by its house or its full name."""
    found = chosen(KNOWN, controls, profile)
    evidence.saw(f"--controls {controls} --profile {profile}", ", ".join(sorted(found or ())))

    assert found == frozenset(named)


@pytest.mark.parametrize(
    ("controls", "profile", "complaint"),
    [
        ("RAN", None, "no control or family 'RAN'; known: RUN, BAK"),
        ("RUN-03", None, "no control or family 'RUN-03'"),
        ("", None, "no control or family ''"),
        ("RUN,", None, "no control or family ''"),
        (None, "sox", "no framework 'sox'; known: cis, nist"),
    ],
)
def test_unknown_name_is_refused(evidence: Door, controls: str | None, profile: str | None, complaint: str) -> None:
    """A control, family or framework that does not exist is refused by its name, with those that do."""
    with pytest.raises(UnknownNameError) as refused:
        chosen(KNOWN, controls, profile)

    assert complaint in evidence.saw("the refusal", str(refused.value))


def test_unknown_name_is_wrong_usage(tmp_path: Path) -> None:
    """A run that is asked for a control that does not exist ends with the code for wrong usage, before any test."""
    done = run(tmp_path, "-n0", "--controls", "RUN-99")

    assert done.code == Exit.USAGE, done.told()
    assert "error: --controls: there is no control or family 'RUN-99'" in done.stderr
    assert "test session starts" not in done.stdout


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (("-k", "root"), {"writable", "restored"}),
        (("-m", "not control"), {"root", "writable", "restored"}),
        (("--deselect", "tests/test_inner.py::test_root"), {"root"}),
        (("tests/test_inner.py",), set()),
        (("--controls", "RUN", "-k", "root"), {"writable"}),
        (("-o", "python_functions=test_root"), set()),
        (("-o", "norecursedirs=none"), set()),
        (("-c", "pytest.ini"), set()),
    ],
    ids=["-k", "-m", "--deselect", "a path", "-k within a family", "-o of names", "-o of folders", "-c"],
)
def test_filtered_run_is_incomplete_and_says_what_it_left_out(
    tmp_path: Path, options: tuple[str, ...], left: set[str]
) -> None:
    """A run limited by a filter ends as incomplete, names the filter and lists each test that it left out."""
    done = run(tmp_path, "-n0", *options)
    found = results_of(tmp_path)

    assert done.code == Exit.INCOMPLETE, done.told()
    assert {one.partition("::test_")[2] for one in found["selection"]["left_out"]} == left
    assert len(found["selection"]["filters"]) == 1
    assert f"limited by {found['selection']['filters'][0]}" in done.stdout


def test_run_of_what_failed_last_is_incomplete(tmp_path: Path) -> None:
    """A run of the tests that failed last time is incomplete though it ends without a failure."""
    broken = run_pytest(
        tmp_path,
        SUITE.replace('saw("uname"', 'saw("" and "uname"', 1).replace("Linux", "", 1),
        *PLUGINS,
        "-n0",
        within=INNER_S,
        files=CATALOGUE,
    )
    done = run(tmp_path, "-n0", "--last-failed")

    assert door.record(broken).code == Exit.INCOMPLETE
    assert done.code == Exit.INCOMPLETE, done.told()
    assert "limited by --last-failed" in done.stdout
    assert "1 passed" in done.stdout


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--trial", "RUN-01,BOGUS-1"), "error: --trial: there is no control 'BOGUS-1' to sabotage"),
        (("--live", "--trial", "RUN-01"), "error: --trial is never held on a running stack; leave --live out"),
    ],
    ids=["unknown control", "on a running stack"],
)
def test_trial_that_cannot_be_held_is_wrong_usage(tmp_path: Path, options: tuple[str, ...], complaint: str) -> None:
    """A trial of what does not exist, or of a stack in use, ends with the code for wrong usage, before any test."""
    done = run(tmp_path, "-p", "fixtures.live", "-p", "fixtures.trial", "-n0", *options)

    assert done.code == Exit.USAGE, done.told()
    assert complaint in done.stderr
    assert "test session starts" not in done.stdout


def test_trial_alone_is_no_verdict(tmp_path: Path) -> None:
    """The inner run of a trial writes its results and ends as incomplete, though all it looked at is proven."""
    done = run(tmp_path, "-p", "fixtures.trial", "-n0", "--trial", "RUN-02", "--unharmed")
    (looked,) = [one for one in results_of(tmp_path)["controls"] if one["subjects"]]

    assert done.code == Exit.INCOMPLETE, done.told()
    assert (looked["id"], looked["state"]) == ("RUN-02", "proven")
    assert "because: the inner run of a trial judges a check, not the stack" in done.stdout


def test_benchmarks_are_a_use_of_their_own(tmp_path: Path) -> None:
    """A run of the benchmarks passes on their promises, judges no control and misses no other test."""
    done = run(tmp_path, "-n0", "-m", "benchmark")
    found = results_of(tmp_path)

    assert done.code == Exit.PASS, done.told()
    assert found["run"]["use"] == "benchmark"
    assert [(one["promise"], one["state"]) for one in found["promises"]] == [("it is quick", "proven")]
    assert [one["id"] for one in found["controls"] if one["decides"]] == []
    assert found["completeness"]["collected"] == 1
