"""The deployer's hand in the app: one session for all that is asked, whatever the app goes through meanwhile."""

import json

import pytest

from fixtures.engine_facts import engine
from fixtures.evidence import door
from fixtures.stack import Stack
from ops.hand import Hand

pytestmark = pytest.mark.promise("a deploy is noticed by nobody")


def test_hand_reaches_into_the_next_life_of_the_app(module_stack: Stack) -> None:
    """Where the app was started again since it was last asked, what is asked now is answered all the same."""
    name = module_stack.service("app").container
    with Hand(name) as hand:
        before = hand.ask("on", "d-hand", "60")
        engine().containers.get(name).restart()
        module_stack.wait_until_alive(within=module_stack.contract.recovery.ready_s)
        after = hand.ask("off")
    door.saw("answers before and after a restart", json.dumps([before, after]), subject=name)

    assert (before["draining"], after["draining"]) == (True, False)
    module_stack.wait_until_ready()


def test_hand_that_is_withdrawn_leaves_nothing_in_the_app(module_stack: Stack) -> None:
    """While it asks there is one process more in the app's container, and none once it is withdrawn."""
    app = module_stack.service("app")
    before = [one.pid for one in app.processes()]
    with Hand(app.container) as hand:
        hand.ask("look")
        hand.ask("look")
        meanwhile = [one.pid for one in app.processes()]
    after = [one.pid for one in app.processes()]

    assert len(meanwhile) == len(before) + 1
    assert after == before
