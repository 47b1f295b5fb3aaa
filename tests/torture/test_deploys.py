"""Deploys that go wrong in every way, again and again, and an engine that stops: `pytest -m torture --seed N`.

tests/operations/test_bad_releases.py has a few of each in the gate.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.contract import Contract
from fixtures.deploys import Trials
from fixtures.evidence import Door
from fixtures.killed_deploys import kill_often
from fixtures.kinds import REJECTED, ROLLED_BACK, Kind
from fixtures.restarted_engine import restart_often
from fixtures.run import publish

pytestmark = pytest.mark.torture


def tried(trials: Trials, kinds: dict[str, Kind], rounds: int, ending: str) -> tuple[dict[str, list[float]], list[str]]:
    """Try every kind, round after round; give how long each took and what was wrong."""
    took: dict[str, list[float]] = {name: [] for name in kinds}
    faults: list[str] = []
    for number in range(rounds):
        here = replace(trials, seed=trials.seed + number)
        for name, kind in kinds.items():
            ended = here.refuse(kind, code=trials.contract.deploy.whole(ending), outcome=ending.replace("_", "-"))
            took[name].append(round(ended.took, 2))
            faults += [f"round {number + 1}, {one}" for one in ended.faults]
    return took, faults


@pytest.mark.control("DEP-03")
@pytest.mark.parametrize(
    ("ending", "kinds"), [("rejected", REJECTED), ("rolled_back", ROLLED_BACK)], ids=["rejected", "rolled back"]
)
def test_every_bad_release_ends_with_the_former_one(
    trials: Trials,
    contract: Contract,
    ending: str,
    kinds: dict[str, Kind],
    evidence: Door,
    pytestconfig: pytest.Config,
) -> None:
    """Whatever a release does wrong, the former one serves, no acknowledged write is lost, and one line tells of it."""
    took, faults = tried(trials, kinds, contract.deploy.whole("rounds_long"), ending)
    figures = {"seed": trials.seed, "tries": sum(map(len, took.values())), "took_s": took, "faults": faults}
    evidence.saw(ending, publish(pytestconfig, f"torture-bad-releases-{ending.replace('_', '-')}", figures))

    assert faults == []


@pytest.mark.promise("a deployer that is killed leaves the old release or the new one, whole")
def test_killed_deployers_leave_old_or_new(
    own_trials: Trials, contract: Contract, evidence: Door, pytestconfig: pytest.Config
) -> None:
    """Killed with -9 at twenty random instants, a deploy leaves a site that serves, or does after the next command."""
    done = kill_often(own_trials, contract.deploy.whole("kills_long"))
    told = {"seed": own_trials.seed, **done.figures()}
    evidence.saw("killed deployers", publish(pytestconfig, "torture-killed-deploys", told))

    assert done.faults == []
    assert len(done.phases) >= contract.deploy.whole("kill_phases"), json.dumps(told)


@pytest.mark.promise("an engine that restarts under a deploy leaves the old release or the new one, whole")
def test_restarted_engine_leaves_old_or_new(
    images: dict[str, str],
    tmp_path: Path,
    seed: int,
    contract: Contract,
    evidence: Door,
    pytestconfig: pytest.Config,
) -> None:
    """An engine of our own, restarted in the middle of deploys, comes back with a site that is old or new, whole."""
    done = restart_often(images, tmp_path, seed, contract.deploy.whole("restarts_long"))
    evidence.saw(
        "restarted engine", publish(pytestconfig, "torture-restarted-engine", {"seed": seed, **done.figures()})
    )

    assert done.faults == []
