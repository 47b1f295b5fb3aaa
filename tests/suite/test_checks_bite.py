"""Every check has been seen to fail: each control's sabotage turns it red, and nothing that is not its collateral.

A record of such a trial holds while nothing changed that it rests on; what changed is tried again, here and now.
`--trial-all` tries everything again.
"""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from fixtures import matrix, sabotage, trial
from fixtures.controls import CONTROLS
from fixtures.evidence import Door
from fixtures.run import run_folder
from fixtures.sabotage import Sabotage, SabotageError
from fixtures.trial import Ran
from fixtures.wait import clock

pytestmark = pytest.mark.control("REP-08")

SABOTAGES = sabotage.load()


def together(control: str) -> tuple[str, ...]:
    """The controls that may be tried in one copy with this one, itself included."""
    given = SABOTAGES[control]
    return tuple(name for name, one in SABOTAGES.items() if one.shares and one.kind == given.kind and given.shares) or (
        control,
    )


@pytest.mark.trial
@pytest.mark.parametrize(
    "control",
    [
        # those that share a copy run on one worker, which holds their trial once
        pytest.param(control, marks=pytest.mark.xdist_group(together(control)[0]))
        for control in SABOTAGES
    ],
)
def test_check_bites(control: str, pytestconfig: pytest.Config, evidence: Door) -> None:
    """Sabotaged, this control and its collateral turn red, nothing else; the message says what to do about it."""
    folder = run_folder(pytestconfig) / "trials"
    record = folder / "matrix.json"
    everything = bool(pytestconfig.option.trial_all)
    known = matrix.read(record).get(control) or (None if everything else matrix.fresh(control))
    if known is None:
        controls = tuple(one for one in together(control) if everything or matrix.fresh(one) is None)
        begun = clock()
        verdicts = trial.hold(controls, folder)
        took = clock() - begun
        rows = {one: matrix.row(one, verdicts[one], controls, took) for one in controls}
        matrix.write(rows, record)
        known = rows[control]
    evidence.saw(f"trial of {control}", json.dumps(asdict(known), indent=1), subject=f"sabotage {control}")

    assert known.killed, f"{control}: {known.message}"


def test_every_control_has_its_sabotage(evidence: Door) -> None:
    """Each control that is judged has a sabotage, each sabotage and each record a control that is judged."""
    judged = sorted(control.id for control in CONTROLS.values() if control.gap is None)
    evidence.saw("sabotages", ", ".join(SABOTAGES))

    assert sorted(SABOTAGES) == judged
    assert sorted(matrix.read().keys() - set(judged)) == []


CLAIM = CONTROLS["IMG-06"]
SUFFERED = {CLAIM.id: Sabotage(CLAIM.id, "dockerfile", ("app/Dockerfile", "ADD"))}
OTHER = Ran("IMG-01", "app", "tests/a.py::other", "broken", "no user")


def own(outcome: str, message: str = "docker/app/Dockerfile: ADD") -> Ran:
    """The test of the control on trial."""
    return Ran(CLAIM.id, "project", "tests/a.py::own", outcome, message)


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        pytest.param("proven", [own("broken")], "", id="killed"),
        # the check did not see it, or could not look
        pytest.param("proven", [], "survived its sabotage: its tests are none ran", id="no test"),
        pytest.param("proven", [own("proven")], "survived its sabotage: its tests are proven", id="green"),
        pytest.param("proven", [own("error")], "survived its sabotage: its tests are error", id="could not look"),
        # it was red without any sabotage
        pytest.param("broken", [own("broken")], "survived its sabotage", id="red before"),
        # it went red for a reason of its own, or took others with it
        pytest.param("proven", [own("broken", "assert False")], "says all of", id="another message"),
        pytest.param("proven", [own("broken"), OTHER], "also broke IMG-01", id="undeclared collateral"),
    ],
)
def test_only_a_killed_mutant_counts(before: str, after: list[Ran], fault: str, evidence: Door) -> None:
    """A mutant counts as killed when its own check went red from green, with its words, and no other control did."""
    stood = [own(before), Ran(OTHER.control, OTHER.subject, OTHER.nodeid, "proven", "")]
    verdict = trial.judge(SUFFERED, CLAIM, stood, after)
    evidence.saw("verdict", str(verdict))

    assert verdict.killed == (fault == "")
    assert fault in "".join(verdict.faults)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('kind = "overlay"\nsays = ["x"]\noverlay = "services: {}"', "schema is None"),
        ('schema = 1\nkind = "overlay"\nsays = ["x"]', "it changes nothing"),
        ('schema = 1\nkind = "magic"\nsays = ["x"]\noverlay = "x"', "kind is 'magic'"),
        ('schema = 1\nkind = "source"\nsays = ["x"]\n[[edit]]\nfile = "a"\nold = "b"\nnew = "b"', "changes nothing"),
        ('schema = 1\nkind = "data"\nsays = ["x"]\n[[act]]', "is not exactly one of root, engine, stack"),
    ],
)
def test_useless_sabotage_is_refused(text: str, complaint: str, evidence: Door) -> None:
    """A sabotage that would change nothing, or says less than it must, is refused by file and fault."""
    with pytest.raises(SabotageError) as refusal:
        sabotage.parse(text, "IMG-06.toml")

    told = evidence.saw("parse", str(refusal.value))
    assert told.startswith("IMG-06.toml: ")
    assert complaint in told


def test_edit_that_does_not_fit_is_refused(tmp_path: Path, evidence: Door) -> None:
    """An edit whose passage is no longer in its file is refused, so that no mutant is a plain copy."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    edit = sabotage.Edit("Dockerfile", "COPY", "ADD")

    with pytest.raises(SabotageError) as refusal:
        sabotage.mutate(tmp_path, Sabotage(CLAIM.id, "dockerfile", ("x",), edits=(edit,)))

    assert "stands 0 times in Dockerfile, expected once" in evidence.saw("mutate", str(refusal.value))
