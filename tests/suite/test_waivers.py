"""An accepted exception is owned, expires, hides nothing, and is not kept longer than it is needed."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fixtures.evidence import Door, door
from fixtures.inner import PLUGINS, catalogue_of, results_of, run_pytest
from fixtures.results import Exit
from fixtures.waivers import LONGEST, WaiversError, load, parse, rule

pytestmark = pytest.mark.control("REP-07")

TODAY = datetime.now(UTC).date()
DAY = timedelta(days=1)
INNER_S = 120
SUITE = '''
"""A suite of which one service is not as it should be."""
import pytest

@pytest.fixture(params=["gate", "app"])
def service(request):
    return request.param

@pytest.mark.control("RUN-01")
def test_service(service, evidence):
    """No service is the app."""
    evidence.saw("name", service)
    assert service == "gate"
'''


UNCHECKED = '''
@pytest.mark.control("RUN-01")
def test_other(service, evidence):
    """It could not be seen."""
    evidence.saw("name", service)
    if service == "app":
        raise OSError("gone")
'''
ON_A_HOST = '''
"""A suite that looks at a host."""
import pytest

@pytest.mark.control("HST-01")
def test_host(evidence):
    """The host is sound."""
    evidence.saw("uname", "Linux")
'''


def waiver(**changes: object) -> str:
    """Write waivers.toml with one waiver; a change to None leaves the line out."""
    lines = {
        "control": '"RUN-01"',
        "subject": '"app"',
        "reason": '"the app is replaced next month"',
        "owner": '"operations"',
        "approved": TODAY - DAY,
        "expires": TODAY + DAY,
    } | changes
    return "schema = 1\n[[waiver]]\n" + "".join(
        f"{name} = {value}\n" for name, value in lines.items() if value is not None
    )


def run_waived(folder: Path, waivers: str, *options: str, files: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run the suite, or another of `files`, with these waivers; give its exit code and what it told."""
    written = {"waivers.toml": waivers, **(files or {})}
    done = run_pytest(folder, SUITE, *PLUGINS, "-n0", *options, within=INNER_S, files=written)
    door.record(done)
    return done.code, done.stdout + done.stderr


def test_waived_control_runs_and_shows_its_real_state(tmp_path: Path) -> None:
    """A waived finding lets the run pass, is counted as waived, and keeps its real state, test and message."""
    code, told = run_waived(tmp_path, waiver())
    found = results_of(tmp_path)
    (app,) = [on for on in found["controls"][0]["subjects"] if on["subject"] == "app"]

    assert code == Exit.PASS, told
    assert (found["controls"][0]["state"], app["state"], app["real_state"]) == ("waived", "waived", "broken")
    assert app["tests"][0]["outcome"] == "broken"
    assert "assert 'app' == 'gate'" in app["tests"][0]["message"]
    assert [(one["owner"], one["state"], one["fault"]) for one in found["waivers"]] == [("operations", "applied", None)]
    assert f"waived: RUN-01 of app until {TODAY + DAY}: the app is replaced next month" in told


FAULTS: dict[str, tuple[dict[str, object], str]] = {
    "RUN-01": (
        {"approved": TODAY - 9 * DAY, "expires": TODAY - DAY},
        f"waiver RUN-01 of app expired on {TODAY - DAY}; mend the cause, or have operations approve it anew",
    ),
    "RUN-99": ({}, "waiver RUN-99 of app: there is no such control; take it out"),
    "RUN-02": ({"subject": '"apps"'}, "waiver RUN-02 of apps: it has no such subject; known: app, gate"),
    "RUN-03": ({"subject": '"gate"'}, "waiver RUN-03 of gate is not needed: it is proven; take it out"),
    "RUN-04": (
        {"approved": TODAY, "expires": TODAY + LONGEST + DAY},
        "waiver RUN-04 of app runs 91 days, longer than 90; shorten it",
    ),
    "RUN-05": (
        {"approved": TODAY + 2 * DAY, "expires": TODAY + 3 * DAY},
        f"waiver RUN-05 of app is approved on {TODAY + 2 * DAY}, which is yet to come; correct the date",
    ),
}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, str, Path]:
    """Run the suite, of five controls now, with six waivers that may not be applied."""
    folder = tmp_path_factory.mktemp("faulty")
    mark = '@pytest.mark.control("RUN-01")\n'
    marks = "".join(mark.replace("RUN-01", control) for control in FAULTS if control != "RUN-99")
    each = [waiver(control=f'"{control}"', **changes) for control, (changes, _) in FAULTS.items()]
    waivers = "schema = 1\n" + "".join(one.removeprefix("schema = 1\n") for one in each)
    done = run_pytest(
        folder, SUITE.replace(mark, marks), *PLUGINS, "-n0", within=INNER_S, files={"waivers.toml": waivers}
    )
    return done.code, done.stdout, folder


@pytest.mark.parametrize(
    "control", FAULTS, ids=["expired", "unknown control", "unknown subject", "unused", "too long", "not yet approved"]
)
def test_waiver_that_may_not_be_applied_is_named_and_covers_nothing(
    faulty: tuple[int, str, Path], control: str
) -> None:
    """A waiver that has expired, is unknown, unused, too long or not yet approved is named, and the finding stays."""
    code, told, folder = faulty
    found = results_of(folder)
    (ruled,) = [one for one in found["waivers"] if one["control"] == control]

    assert code == Exit.BROKEN, told
    assert ruled["fault"] == FAULTS[control][1]
    assert f"because: {ruled['fault']}" in told
    assert {one["state"] for one in found["controls"]} == {"broken"}


def test_waiver_of_the_only_control_lets_the_run_pass(tmp_path: Path) -> None:
    """A run of which the one control on its one subject is waived passes: what is accepted does not fail it."""
    code, told = run_waived(
        tmp_path, waiver(), files={"tests/test_inner.py": SUITE.replace('["gate", "app"]', '["app"]')}
    )

    assert code == Exit.PASS, told
    assert [one["state"] for one in results_of(tmp_path)["controls"]] == ["waived"]


def test_waiver_does_not_hide_what_could_not_be_checked(tmp_path: Path) -> None:
    """A subject with one waived finding and one test that could not check is in error, and the run is incomplete."""
    code, told = run_waived(tmp_path, waiver(), files={"tests/test_inner.py": SUITE + UNCHECKED})
    (app,) = [on for on in results_of(tmp_path)["controls"][0]["subjects"] if on["subject"] == "app"]

    assert code == Exit.INCOMPLETE, told
    assert (app["state"], app["real_state"], app["reason"]) == ("error", "broken", "OSError: gone")


@pytest.mark.parametrize(
    ("subject", "ruled"), [("host", "not judged"), ("host document", "unused")], ids=["the host", "its document"]
)
def test_waiver_of_the_host_is_judged_on_the_host(tmp_path: Path, subject: str, ruled: str) -> None:
    """A run on a document of a host leaves a waiver of the host itself alone, and judges one of the document."""
    catalogue = catalogue_of({"HST-01": "mappings = {}"}).replace('tier = "static"', 'tier = "host"')
    files = {"tests/test_inner.py": ON_A_HOST, "fixtures/controls.toml": catalogue}
    code, told = run_waived(tmp_path, waiver(control='"HST-01"', subject=f'"{subject}"'), files=files)

    assert [one["state"] for one in results_of(tmp_path)["waivers"]] == [ruled], told
    assert code == (Exit.PASS if ruled == "not judged" else Exit.BROKEN)


def test_look_at_the_running_stack_calls_no_waiver_unneeded(evidence: Door) -> None:
    """A quick look that finds a control proven leaves its waiver alone: what it is for may be in the deep part."""
    (one,) = parse(waiver(), "waivers.toml")
    rulings = [rule(one, {"RUN-01": {"app": "proven"}}, "", whole=whole).state for whole in (True, False)]
    evidence.saw("a waiver of what is proven, in a run of all its tests and in one of some", ", ".join(rulings))

    assert rulings == ["unused", "not judged"]


def test_waiver_of_a_gap_is_refused(tmp_path: Path) -> None:
    """A waiver of a control that nothing looks at fails the run as unused."""
    catalogue = catalogue_of({"RUN-01": "mappings = {}", "RUN-09": 'gap = "it is not built yet"\nmappings = {}'})
    files = {"tests/test_inner.py": SUITE.replace('service == "gate"', "service"), "fixtures/controls.toml": catalogue}
    code, told = run_waived(tmp_path, waiver(control='"RUN-09"'), files=files)

    assert code == Exit.BROKEN, told
    assert "because: waiver RUN-09 of app is not needed: the control is a gap; take it out" in told


def test_unneeded_waiver_fails_a_run_in_which_all_is_proven(tmp_path: Path) -> None:
    """A waiver of what is proven is the only thing that fails a run, and is enough to do so."""
    healed = SUITE.replace('service == "gate"', "service")
    done = door.record(run_pytest(tmp_path, healed, *PLUGINS, "-n0", within=INNER_S, files={"waivers.toml": waiver()}))

    assert done.code == Exit.BROKEN, done.told()
    assert {one["state"] for one in results_of(tmp_path)["controls"]} == {"proven"}


def test_waiver_of_what_a_run_does_not_judge_is_left_alone(tmp_path: Path) -> None:
    """A run limited to the subject that is well says nothing of the waiver for the other."""
    code, told = run_waived(tmp_path, waiver(), "-k", "gate")

    assert code == Exit.INCOMPLETE, told
    assert [(one["state"], one["fault"]) for one in results_of(tmp_path)["waivers"]] == [("not judged", None)]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (waiver(owner=None), "waivers.toml: [waiver[0]]: missing owner"),
        (waiver(reason='" "'), "waivers.toml: waiver[0].reason is blank"),
        (waiver(expires='"soon"'), "waivers.toml: waiver[0].expires is 'soon', expected a day"),
        (waiver(expires="2026-11-22T10:00:00Z"), "has a time of day"),
        (waiver(until=TODAY), "unknown key until"),
        (waiver() + waiver().removeprefix("schema = 1\n"), "waiver RUN-01 of app stands there twice"),
        ("schema = 2\n", "schema is 2"),
    ],
    ids=["no owner", "blank reason", "no day", "time of day", "unknown key", "twice", "another schema"],
)
def test_unreadable_waivers_are_refused(evidence: Door, text: str, complaint: str) -> None:
    """A file of waivers with a word too few, too many or wrong is refused whole, and the place is named."""
    with pytest.raises(WaiversError) as refused:
        parse(text, "waivers.toml")

    assert complaint in evidence.saw("the refusal", str(refused.value))


def test_run_with_unreadable_waivers_does_not_begin(tmp_path: Path) -> None:
    """A run whose waivers cannot be read ends with the code for wrong usage before any test runs."""
    code, told = run_waived(tmp_path, "schema = 1\n[[waiver]]\n")

    assert code == Exit.USAGE, told
    assert "error: waivers.toml: [waiver[0]]: missing" in told
    assert "test session starts" not in told


def test_waivers_that_are_no_text_are_refused(evidence: Door, tmp_path: Path) -> None:
    """A file of waivers that is not UTF-8 is refused, and the file is named."""
    path = tmp_path / "waivers.toml"
    path.write_bytes(b"schema = 1 # \xff\n")

    with pytest.raises(WaiversError) as refused:
        load(path)

    assert "waivers.toml: it is not UTF-8" in evidence.saw("the refusal", str(refused.value))


def test_project_ships_without_a_waiver(evidence: Door, pytestconfig: pytest.Config) -> None:
    """The project's own waivers.toml says how to write a waiver and has none."""
    path = pytestconfig.rootpath / "waivers.toml"
    told = evidence.read(path)

    assert "[[waiver]]" in told
    assert load(path) == ()
