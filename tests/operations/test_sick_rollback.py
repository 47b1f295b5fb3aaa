"""Back to what was live before, from a site that is sick, and no further than the history knows."""

from collections.abc import Iterator

import pytest

from fixtures.contract import Contract
from fixtures.deploys import DEPLOY_S, deploy, left_open, lines, live
from fixtures.engine_facts import engine
from fixtures.evidence import Completed
from fixtures.kinds import same_schema
from fixtures.made_releases import MadeRelease, Make, maker, own
from fixtures.stack import Stack
from fixtures.wait import wait_for

pytestmark = pytest.mark.promise("what was live before can be live again, and says what that costs")


@pytest.fixture(scope="module")
def make(module_stack: Stack) -> Iterator[Make]:
    """What makes releases for this file's stack."""
    del module_stack
    with maker() as lent:
        yield lent


@pytest.fixture(scope="module")
def first(module_stack: Stack) -> MadeRelease:
    """What this file's stack was started with."""
    return own(module_stack)


def rollback(stack: Stack, *argv: str, expect: int | None = 0) -> Completed:
    """Go back without watching for long."""
    return stack.run("rollback", "--watch-seconds", "0", "--json", *argv, expect=expect, within=DEPLOY_S)


def test_site_that_got_sick_goes_back(module_stack: Stack, make: Make, first: MadeRelease) -> None:
    """A release whose app has ended is left by `rollback` all the same, as its plan says, and walks stay."""
    deploy(module_stack, make(module_stack, same_schema(1, "ends")), watch_s=0)
    written = module_stack.write_walks(2)
    engine().containers.get(module_stack.service("app").container).stop()
    wait_for("nobody to be served", lambda: not module_stack.answers(), module_stack.contract.recovery.ready_s)

    before, known = module_stack.identity(), lines(module_stack)
    planned = rollback(module_stack, "--dry-run").json()
    after_the_plan = module_stack.identity(), lines(module_stack)
    done = rollback(module_stack).json()

    assert (planned["outcome"], planned["to"]) == ("planned", first.id)
    assert after_the_plan == (before, known)
    assert (done["outcome"], done["to"]) == ("live", first.id)
    module_stack.wait_until_ready()
    assert live(module_stack) == "own"
    assert module_stack.read_walks() == written


def test_frozen_site_goes_back(module_stack: Stack, make: Make, first: MadeRelease) -> None:
    """A release whose app is frozen and answers nobody is left by `rollback`, and walks stay."""
    deploy(module_stack, make(module_stack, same_schema(1, "freezes")), watch_s=0)
    module_stack.write_walks(2)
    written = module_stack.read_walks()
    app = module_stack.service("app")
    app.signal("STOP", app.main_process().pid)
    wait_for("nobody to be served", lambda: not module_stack.answers(), module_stack.contract.recovery.ready_s)

    done = rollback(module_stack).json()

    assert (done["outcome"], done["to"]) == ("live", first.id)
    module_stack.wait_until_ready()
    assert live(module_stack) == "own"
    assert module_stack.read_walks() == written
    assert left_open(module_stack) == []


def test_further_back_than_the_history_is_refused(module_stack: Stack, contract: Contract) -> None:
    """A number of releases that the history does not know is wrong usage, and changes nothing."""
    before, known = module_stack.identity(), lines(module_stack)

    refused = rollback(module_stack, "40", expect=contract.deploy.whole("usage"))

    assert "the history knows" in refused.stderr
    assert (module_stack.identity(), lines(module_stack)) == (before, known)
