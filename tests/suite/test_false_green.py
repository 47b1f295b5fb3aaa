"""No check passes that could not look, whatever happens to the container or its engine while it looks.

Plain testinfra goes through the same, in turn: how often it is green is counted beside ours.
"""

import json
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals

import pytest

from fixtures.contract import Contract
from fixtures.evidence import Door
from fixtures.false_green import CHECKS, FALSE_GREEN, FAULTS, REFUSED, SEEN, under_container_loss, under_engine_loss

pytestmark = pytest.mark.promise("a check that could not look is never green")


def host_links() -> set[str]:
    """Name this machine's network interfaces, save those that come and go with stacks."""
    return {one.name for one in Path("/sys/class/net").iterdir() if not one.name.startswith(("veth", "br-"))}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_check_is_green_on_a_container_that_is_lost(
    images: dict[str, str], fault: str, seed: int, contract: Contract, evidence: Door
) -> None:
    """Killed, frozen, restarted, removed or without a shell: no check of what is there says that it is not."""
    tally = under_container_loss(images["backup"], fault, contract.evidence.whole("false_green_rounds"), seed)
    evidence.saw(f"checks while somebody does this: {fault}", json.dumps(tally.told()))

    assert tally.false_greens == []
    assert tally.ours[SEEN] >= len(CHECKS), "before the fault each check must see the truth, or silence means nothing"


@pytest.mark.parametrize("signal", [SIGTERM, SIGKILL], ids=lambda signal: signal.name)
def test_no_check_is_green_without_an_engine(
    images: dict[str, str], signal: Signals, seed: int, contract: Contract, evidence: Door
) -> None:
    """When the daemon of a second engine ends under the looks, no check of what is there says that it is not.

    The machine's own engine and network do not notice.
    """
    links = host_links()
    tally = under_engine_loss(images["backup"], signal, contract.evidence.whole("false_green_rounds"), seed)
    evidence.saw(f"checks while the daemon ends by {signal!r}", json.dumps(tally.told()))

    assert tally.false_greens == []
    assert tally.ours[SEEN] >= len(CHECKS), "before the fault each check must see the truth, or silence means nothing"
    assert tally.ours[REFUSED], "the daemon must be gone, or nothing was shown"
    assert links - host_links() == set()
    assert tally.plain[FALSE_GREEN], "plain testinfra must be fooled, or the checks cannot be"
