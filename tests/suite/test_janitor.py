"""What a killed run left is cleared by the next, and nothing else is."""

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.errors import NotFound

from fixtures import homes
from fixtures.engine_facts import engine
from fixtures.evidence import Door
from fixtures.run import CHECKOUT
from fixtures.stack import Stack

pytestmark = pytest.mark.promise("a run that was killed leaves nothing behind for long")

OWNER = (
    "import sys; from fixtures import homes; home = homes.new_home(); print(home.folder, flush=True); sys.stdin.read()"
)


@pytest.fixture
def owner() -> Iterator[subprocess.Popen[str]]:
    """Another run, which owns a home and lives until the test kills it."""
    run = subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT
    )
    with run:
        yield run
        run.kill()


def test_stack_of_a_dead_run_is_cleared_and_of_a_living_run_is_not(
    owner: subprocess.Popen[str], stack: Stack, evidence: Door
) -> None:
    """Containers and folder of another run stay while that run lives, and are removed once it is killed."""
    assert owner.stdout is not None
    folder = Path(owner.stdout.readline().strip())
    root = str(folder / "root")
    left = engine().containers.create(stack.tool_image(), ["sleep", "60"], labels={homes.ROOT_LABEL: root})
    before = stack.identity()

    cleared_while_alive = homes.clear_abandoned()
    assert folder.is_dir()
    left.reload()
    owner.kill()
    owner.wait()
    cleared = evidence.saw("janitor", "\n".join(homes.clear_abandoned()))

    assert folder.name not in cleared_while_alive
    assert folder.name in cleared
    assert not folder.exists()
    with pytest.raises(NotFound):
        left.reload()
    assert stack.name not in cleared
    assert stack.identity() == before


def test_home_that_was_never_finished_is_cleared(evidence: Door) -> None:
    """A folder left by a run that died before it had its lock goes after a minute; one that is being made stays."""
    name = f".{homes.PREFIX}{secrets.token_hex(4)}"
    old, new = homes.all_homes() / f"{name}-old", homes.all_homes() / f"{name}-new"
    for folder in (old, new):
        (folder / "root").mkdir(parents=True)
    long_ago = old.stat().st_mtime - 2 * homes.MADE_WITHIN_S
    os.utime(old, (long_ago, long_ago))

    cleared = evidence.saw("janitor", "\n".join(homes.clear_abandoned()))
    there = (old.exists(), new.exists())
    shutil.rmtree(new)

    assert old.name in cleared
    assert new.name not in cleared
    assert there == (False, True)
