"""What a look at a stack in production takes."""

import statistics

import pytest

from fixtures import scale
from fixtures.contract import Contract
from fixtures.controls import CONTROLS
from fixtures.drills import drill
from fixtures.evidence import Door
from fixtures.run import publish
from fixtures.stack import Stack
from fixtures.wait import clock

pytestmark = pytest.mark.benchmark

ROUNDS = 3
OF_THE_STACK = ",".join(sorted({one.family for one in CONTROLS.values()} - {"HST"}))


@pytest.mark.promise("a stack in production can be verified at noon")
def test_quick_verify_is_quick(
    module_stack: Stack, contract: Contract, evidence: Door, pytestconfig: pytest.Config
) -> None:
    """Without its deep part, `verify` of a stack with data takes seconds, the launcher's start included."""
    size = scale.fill(module_stack, contract.operations.whole("verify_mb"), pytestconfig.option.seed)
    module_stack.take_snapshot()
    drill(module_stack)
    took = []
    for _ in range(ROUNDS):
        begun = clock()
        module_stack.run("verify", "--quick", "--controls", OF_THE_STACK)
        took.append(round(clock() - begun, 2))
    evidence.saw("benchmark verify", publish(pytestconfig, "verify", {"database_bytes": size, "seconds": took}))

    assert statistics.median(took) <= contract.operations.number("verify_quick_s")
