"""Suites killed with -9 at random instants, and the run after each: `pytest -m torture --seed N`."""

import contextlib
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL

import pytest

from fixtures import homes
from fixtures.contract import Contract
from fixtures.engine_facts import engine
from fixtures.evidence import Door, run_quietly
from fixtures.results import Exit
from fixtures.run import CHECKOUT, publish
from fixtures.wait import clock, rest, wait_for

pytestmark = [pytest.mark.torture, pytest.mark.promise("a run that was killed leaves nothing behind for long")]

MARK = "SUITE_VICTIM"  # in the environment of a killed run and of all that it started
SUITE = ("-n2", "--random-order", "-p", "no:cacheprovider", "tests/hardening", "tests/lifecycle", "tests/suite")
NEXT = ("-n0", "-p", "no:cacheprovider", "tests/suite/test_pace.py")
KEPT = {"reports", f"pytest-of-{homes.all_homes().name.rpartition('-')[2]}"}  # what a run leaves on purpose
ENDS_S = 150  # what was in the middle of a command ends it first
NEXT_S = 120


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder for all temporary files of the killed runs, with a short path: sockets lie below it."""
    with tempfile.TemporaryDirectory(prefix="monsite-k", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def environment(folder: Path) -> dict[str, str]:
    """What a run within this one is given."""
    mine = {"TMPDIR": str(folder), "SUITE_REPORTS": str(folder / "reports"), MARK: str(folder)}
    return {**homes.environment(), **mine}


def of_the_victim(folder: Path) -> list[str]:
    """Name the processes that a killed run started."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{MARK}={folder}".encode() in (process / "environ").read_bytes().split(b"\0"):
                words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append(f"{process.name} {words[:200]}")
    return found


def left(folder: Path) -> list[str]:
    """Name whatever is still there of a killed run."""
    containers = engine().containers.list(all=True, sparse=True, filters={"label": homes.ROOT_LABEL})
    networks = engine().networks.list(filters={"label": homes.ROOT_LABEL})
    named = [(one.attrs["Labels"][homes.ROOT_LABEL], f"container {one.attrs['Names'][0]}") for one in containers]
    named += [(one.attrs["Labels"][homes.ROOT_LABEL], f"network {one.name}") for one in networks]
    files = [path for path in folder.iterdir() if path.name not in KEPT and path.name != homes.all_homes().name]
    # beside the homes lies what the runs know of the images that they share
    files += [path for path in (folder / homes.all_homes().name).glob("*") if homes.PREFIX in path.name]
    return [what for root, what in named if root.startswith(str(folder))] + [str(path) for path in files]


def kill_one(folder: Path, chance: random.Random, instants: tuple[float, float]) -> str:
    """Start a run, kill it or all that belongs to it, let the next run begin; name who was killed."""
    victim = subprocess.Popen(
        [sys.executable, "-m", "pytest", *SUITE, f"--random-order-seed={chance.randrange(1 << 30)}"],
        cwd=CHECKOUT,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    rest(chance.uniform(*instants), "the run goes on until it is killed")
    whole = chance.random() < 0.5
    for process in of_the_victim(folder) if whole else []:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(process.partition(" ")[0]), SIGKILL)
    victim.kill()
    victim.wait()
    wait_for("the end of what the killed run had started", lambda: not of_the_victim(folder), ENDS_S)
    done = run_quietly([sys.executable, "-m", "pytest", *NEXT], within=NEXT_S, env=environment(folder), cwd=CHECKOUT)
    assert done.code == Exit.INCOMPLETE, done.told()  # it was limited to one file, and that went well
    return "the run with all that it had started" if whole else "the process that led it"


def test_killed_suites_leave_nothing(
    images: dict[str, str],
    elsewhere: Path,
    seed: int,
    contract: Contract,
    evidence: Door,
    pytestconfig: pytest.Config,
) -> None:
    """Of 50 runs killed with -9 at random instants the next run leaves no container, network, folder or process."""
    del images  # they are there before the first run
    promised, chance, begun = contract.campaigns, random.Random(seed), clock()  # noqa: S311  # no secret
    first, last = promised.whole("killed_suites_after_s"), promised.whole("killed_suites_until_s")
    killed: Counter[str] = Counter()
    remains = []

    for number in range(promised.whole("killed_suites_long")):
        killed[kill_one(elsewhere, chance, (first, last))] += 1
        remains += [f"run {number}: {what}" for what in left(elsewhere)]

    figures = {"seed": seed, "killed": dict(killed), "left": remains, "seconds": round(clock() - begun)}
    evidence.saw("killed runs", publish(pytestconfig, "torture-killed-suites", figures))
    assert remains == []
