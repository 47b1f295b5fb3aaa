"""No check passes that could not look, whatever happens to the container or its engine while it looks.

Plain testinfra goes through the same, in turn: how often it is green is counted beside ours.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals

import pytest
from docker.models.containers import Container

from fixtures.backend import ContainerBackend
from fixtures.contract import Contract
from fixtures.engine_facts import ContainerGone, engine
from fixtures.evidence import Door
from fixtures.false_green import CHECKS, FALSE_GREEN, FAULTS, REFUSED, SEEN, under_container_loss, under_engine_loss
from fixtures.identity import identify
from fixtures.stack import Stack
from fixtures.wait import wait_for

pytestmark = pytest.mark.promise("a check that could not look is never green")

LONG_WAITS = 5  # restarts: from then on the engine waits for seconds


@pytest.fixture
def crash_loop(stack: Stack) -> Iterator[Container]:
    """A container whose program ends at once, and which the engine starts again and again."""
    helper = engine().containers.run(
        stack.tool_image(),
        ["false"],
        entrypoint="",
        network_mode="none",
        restart_policy={"Name": "always"},
        labels=stack.tool_labels(),
        detach=True,
    )
    yield helper
    helper.remove(force=True)


def between_two_lives(helper: Container) -> bool:
    """Whether the engine waits before it starts the container again, and has begun to wait for long."""
    helper.reload()
    return bool(helper.status == "restarting" and helper.attrs["RestartCount"] >= LONG_WAITS)


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


def test_container_between_two_lives_is_not_alive(crash_loop: Container, evidence: Door) -> None:
    """A container that the engine starts again and again is not alive in between, though it is called running."""
    wait_for("a pause between two starts", lambda: between_two_lives(crash_loop), 30, every=0.05)
    name = str(crash_loop.name)

    with pytest.raises(ContainerGone) as gone:
        ContainerBackend(name).run("test -e /x")
    between = identify(name)

    assert crash_loop.attrs["State"]["Running"], "the engine must claim it, or nothing was shown"
    assert "restarting, exit code 1; a command cannot" in evidence.saw("test -e /x", str(gone.value), subject=name)
    assert (between.running, between.state()) == (False, "restarting, exit code 1")
