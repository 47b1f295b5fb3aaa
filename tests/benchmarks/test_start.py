"""What starting and idling cost: the real launcher, on this machine."""

import pytest

from fixtures.contract import Contract
from fixtures.evidence import Door
from fixtures.stack import Stack
from fixtures.wait import clock, rest

pytestmark = pytest.mark.benchmark

SETTLE_S = 15  # the first snapshot and the first probes are over
MIB = 1 << 20


def timed_up(stack: Stack) -> float:
    """Start the stack; give the seconds until the launcher returned with the site well."""
    begun = clock()
    stack.up()
    return clock() - begun


@pytest.mark.promise("from an empty root with images built the site is well in 12 s")
def test_first_start_is_quick(idle_stack: Stack, contract: Contract, evidence: Door) -> None:
    """From an empty root, with images built, `./stack up` returns with the site well in time."""
    took = timed_up(idle_stack)
    evidence.saw("./stack up on an empty root", f"{took:.2f} s")

    assert took <= contract.start.empty_root_s


@pytest.mark.promise("up after down takes 10 s")
def test_next_start_is_quick(module_stack: Stack, contract: Contract, evidence: Door) -> None:
    """After `down`, `./stack up` returns with the site well in time."""
    module_stack.down()
    took = timed_up(module_stack)
    evidence.saw("./stack up after down", f"{took:.2f} s")

    assert took <= contract.start.after_down_s


@pytest.mark.promise("the idle stack needs 150 MiB")
def test_idle_stack_is_small(module_stack: Stack, contract: Contract, evidence: Door) -> None:
    """All services together, idle, need no more memory than promised."""
    rest(SETTLE_S, "an idle stack is one whose start is over")
    used = {name: module_stack.service(name).memory_in_use() / MIB for name in contract.stack.services}
    evidence.saw("memory in use, MiB", ", ".join(f"{name} {mib:.1f}" for name, mib in used.items()))

    assert sum(used.values()) <= contract.start.idle_memory_mib
