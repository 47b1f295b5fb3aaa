"""Two at once, and a container that ends in the middle: one is told to wait, and nothing half-done is left.

What must be in its middle is held there, so that the moment is the same on every machine.
"""

import pytest

from fixtures.beside import held
from fixtures.contract import Contract
from fixtures.engine_facts import container
from fixtures.services import CONTRACT
from fixtures.snapshots import canonical, refused_and_unharmed, shelf_of
from fixtures.stack import Stack

BACKUP = ("python3", "-m", "backup", "now")
RESTORE = ("python3", "-m", "backup", "restore", "latest")
COPIED, UNPACKED = "/srv/backups/.staging/*.db", "/srv/backups/.staging/unpacked.db"
MIDDLES = (
    # what runs, and the file that it has made by then
    pytest.param(BACKUP, COPIED, id="backup"),
    pytest.param(RESTORE, UNPACKED, id="restore"),
)


@pytest.mark.control("BAK-09")
@pytest.mark.parametrize(("running", "middle"), MIDDLES)
@pytest.mark.parametrize("second", [("backup", "now"), ("restore", "latest")], ids=["then backup", "then restore"])
def test_second_command_is_told_to_wait(
    module_stack: Stack, running: tuple[str, ...], middle: str, second: tuple[str, ...]
) -> None:
    """While a backup or a restore runs, another is refused at once as busy; the first ends well, and then it works."""
    module_stack.take_snapshot()

    with held(module_stack.service("backup").container, middle, *running) as first:
        refused_and_unharmed(
            module_stack,
            *second,
            code=CONTRACT.exit_codes.busy,
            words=(f"/srv/backups: `{running[3]}` since", "is at work"),
        )
        ended = first.go_on()
    module_stack.run(*second, "--json")

    assert ended == 0
    assert shelf_of(module_stack).faults() == []


@pytest.mark.control("BAK-04")
@pytest.mark.parametrize(("running", "middle"), MIDDLES)
@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_container_that_ends_in_the_middle_leaves_nothing_half_done(
    module_stack: Stack, contract: Contract, running: tuple[str, ...], middle: str, ending: str
) -> None:
    """Stopped or killed in the middle of a run the keeper leaves data and shelf as they were; the next tidies up."""
    module_stack.take_snapshot()
    module_stack.write_walks(1)
    name = module_stack.service("backup").container
    keeper = container(name)
    live, shelf = canonical(module_stack), shelf_of(module_stack).kept()

    with held(name, middle, *running):
        keeper.stop(timeout=2) if ending == "stop" else keeper.kill()
    unfinished = [path for path in shelf_of(module_stack).files if path.startswith(".staging/")]
    answered = module_stack.answers()
    keeper.start()
    module_stack.wait_until_health("healthy", service="backup", within=contract.recovery.killed_s)

    assert unfinished != [], "it must really have been in the middle"
    assert answered
    assert canonical(module_stack) == live
    assert shelf_of(module_stack).kept() == shelf
    module_stack.take_snapshot()
    tidy = shelf_of(module_stack)
    assert (tidy.faults(), [path for path in tidy.files if path.startswith(".staging/")]) == ([], [])
