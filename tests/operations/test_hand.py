"""The deployer's hand in the app: one session for all that is asked, whatever the app goes through meanwhile."""

import json
from contextlib import suppress
from pathlib import Path

import pytest

from fixtures.engine_facts import engine
from fixtures.evidence import door
from fixtures.services import Service
from fixtures.stack import Stack
from ops.errors import StackError
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


def sessions(app: Service) -> list[int]:
    """The processes of sessions in the app's container; its health probe comes and goes beside them."""
    found = []
    for one in app.processes():
        with suppress(FileNotFoundError, ProcessLookupError):
            if b"app.drain" in Path(f"/proc/{one.pid}/cmdline").read_bytes():
                found.append(one.pid)
    return found


def test_hand_that_is_withdrawn_leaves_nothing_in_the_app(module_stack: Stack) -> None:
    """While it asks there is one process more in the app's container, and none once it is withdrawn."""
    app = module_stack.service("app")
    before = sessions(app)
    with Hand(app.container) as hand:
        hand.ask("look")
        hand.ask("look")
        meanwhile = sessions(app)
    after = sessions(app)

    assert (len(before), len(meanwhile), len(after)) == (0, 1, 0)


def test_app_of_before_sessions_is_told_with_the_way_out(module_stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """An app whose door knows no sessions is named as one of an earlier release, with the command that replaces it."""
    monkeypatch.setattr("ops.hand._SESSION", ("python3", "-S", "-m", "app.drain", "unknown-then"))
    name = module_stack.service("app").container
    with pytest.raises(StackError) as refused, Hand(name) as hand:
        hand.ask("look")
    door.saw("what is told", f"{refused.value.message}\n{refused.value.hint}", subject=name)

    assert "usage: " in refused.value.message
    assert "./stack up" in refused.value.hint
