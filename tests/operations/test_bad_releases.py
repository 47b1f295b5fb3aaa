"""Bad releases end with the former one serving, every acknowledged write present, a line of history, the right code.

A few of each sort; all of them, again and again, are tests/torture/test_deploys.py.
"""

import pytest

from fixtures.contract import Contract
from fixtures.deploys import Trials, lines
from fixtures.evidence import Door
from fixtures.killed_deploys import kill_often
from fixtures.kinds import REJECTED, ROLLED_BACK
from fixtures.stack import Stack


@pytest.mark.promise("a bad release does not reach the site")
def test_candidate_finds_out_a_bad_release(module_stack: Stack, trials: Trials, contract: Contract) -> None:
    """A release that destroys its data is rejected on a copy of them; no container of the site is touched."""
    before = module_stack.identity()

    ended = trials.refuse(REJECTED["destroys"], code=contract.deploy.whole("rejected"), outcome="rejected")

    assert ended.faults == ()
    assert module_stack.identity() == before


@pytest.mark.control("DEP-03")
def test_switch_brings_code_and_data_back(trials: Trials, contract: Contract, evidence: Door) -> None:
    """A release that destroys its data, and only where it is live, ends with the former code and all data back."""
    ended = trials.refuse(
        ROLLED_BACK["destroys-live"], code=contract.deploy.whole("rolled_back"), outcome="rolled-back"
    )
    evidence.saw("the way back", f"{ended.took:.1f} s in all; {lines(trials.stack)[-1]['seconds']} s of the deploy")

    assert ended.faults == ()
    assert ended.took <= contract.deploy.number("rolled_back_s")


@pytest.mark.control("DEP-03")
def test_release_that_gets_sick_is_taken_back(trials: Trials, contract: Contract) -> None:
    """A release that gets sick once it is live goes back by its code alone: what was written since stays."""
    ended = trials.refuse(ROLLED_BACK["sick-later"], code=contract.deploy.whole("rolled_back"), outcome="rolled-back")

    assert ended.faults == ()


@pytest.mark.promise("a deployer that is killed leaves the old release or the new one, whole")
def test_killed_deployer_leaves_old_or_new(own_trials: Trials, contract: Contract) -> None:
    """Killed with -9 at random instants, a deploy leaves a site that serves by itself or after the next command."""
    done = kill_often(own_trials, contract.deploy.whole("kills"))

    assert done.faults == []
