"""Back to what was live before: by its code alone, or with the data of then, and also from a site that is sick."""

from collections.abc import Iterator

import pytest

from fixtures.contract import Contract
from fixtures.deploys import DEPLOY_S, deploy, lines, live
from fixtures.engine_facts import engine, peek
from fixtures.evidence import Completed
from fixtures.kinds import good, same_schema
from fixtures.made_releases import MadeRelease, Make, maker, own
from fixtures.mixed_load import stored
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


def test_code_goes_back_and_data_stay(module_stack: Stack, make: Make, first: MadeRelease) -> None:
    """Where the schema is the same the former code comes back, and every walk written since is there."""
    wanted = make(module_stack, same_schema(1))
    deploy(module_stack, wanted, watch_s=0)
    written = module_stack.write_walks(2)
    before, known = module_stack.identity(), lines(module_stack)

    planned = rollback(module_stack, "--dry-run").json()
    after_the_plan = module_stack.identity(), lines(module_stack)
    done = rollback(module_stack).json()

    assert (planned["outcome"], planned["to"]) == ("planned", first.id)
    assert after_the_plan == (before, known)
    assert (done["outcome"], done["from"], done["to"]) == ("live", wanted.id, first.id)
    assert live(module_stack) == "own"
    assert [walk for walk in written if walk not in module_stack.read_walks()] == []
    assert lines(module_stack)[-1]["verb"] == "rollback"


def test_older_code_takes_its_data_along(
    module_stack: Stack, make: Make, first: MadeRelease, contract: Contract
) -> None:
    """Where older code cannot read the data a rollback is refused, and says how; with its data it serves those."""
    module_stack.write_walks(1)
    promised, schema = module_stack.read_walks(), stored(module_stack).schema
    wanted = make(module_stack, good(2))
    deploy(module_stack, wanted, watch_s=0)
    everything = [*module_stack.read_walks(), *module_stack.write_walks(2)]
    before = peek(module_stack.service("app").container)

    refused = rollback(module_stack, expect=contract.deploy.whole("rejected"))
    untouched = peek(module_stack.service("app").container)
    kept = module_stack.read_walks()
    done = rollback(module_stack, "--with-data").json()

    assert "./stack rollback --with-data" in refused.stderr
    assert (untouched.id, untouched.started) == (before.id, before.started)
    assert kept == everything
    assert (done["outcome"], done["to"]) == ("live", first.id)
    assert module_stack.read_walks() == promised
    assert stored(module_stack).schema == schema
    lost = [one for one in module_stack.run("backup", "list", "--json").json()["snapshots"] if one["pinned"]]
    assert done["snapshot"] in [one["name"] for one in lost], "what was lost to the site is kept as a pinned snapshot"


def test_site_that_got_sick_goes_back(module_stack: Stack, make: Make, first: MadeRelease) -> None:
    """A release whose app an operator finds ended is left by `rollback` all the same, and the site serves again."""
    deploy(module_stack, make(module_stack, same_schema(1, "ends")), watch_s=0)
    engine().containers.get(module_stack.service("app").container).stop()
    wait_for("nobody to be served", lambda: not module_stack.answers(), module_stack.contract.recovery.ready_s)

    done = rollback(module_stack).json()

    assert (done["outcome"], done["to"]) == ("live", first.id)
    module_stack.wait_until_ready()
    assert live(module_stack) == "own"


def test_further_back_than_the_history_is_refused(module_stack: Stack, contract: Contract) -> None:
    """A number of releases that the history does not know is wrong usage, and changes nothing."""
    before, known = module_stack.identity(), lines(module_stack)

    refused = rollback(module_stack, "40", expect=contract.deploy.whole("usage"))

    assert "the history knows" in refused.stderr
    assert (module_stack.identity(), lines(module_stack)) == (before, known)
