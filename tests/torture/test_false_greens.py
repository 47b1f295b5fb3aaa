"""The false-green campaign of tests/suite/test_false_green.py, long: `pytest -m torture --seed N`."""

import json
from signal import SIGKILL, SIGTERM, Signals

import pytest

from fixtures.contract import Contract
from fixtures.evidence import Door
from fixtures.false_green import FALSE_GREEN, FAULTS, Tally, under_container_loss, under_engine_loss
from fixtures.run import publish

pytestmark = [pytest.mark.torture, pytest.mark.promise("a check that could not look is never green")]


@pytest.fixture
def rounds(contract: Contract) -> int:
    """How often each fault comes."""
    return contract.evidence.whole("false_green_rounds_long")


def judge(name: str, tally: Tally, evidence: Door, config: pytest.Config) -> None:
    """Publish how the looks ended; none of ours is a false green, and plain testinfra has some."""
    told = publish(config, f"torture-false-green-{name}", tally.told())
    evidence.saw(f"checks under {name}", told, subject=json.dumps(tally.false_greens))

    assert tally.false_greens == []
    assert tally.plain[FALSE_GREEN], "plain testinfra must be fooled, or the checks cannot be"


@pytest.mark.parametrize("fault", FAULTS)
def test_no_check_is_green_on_a_container_that_is_lost(
    images: dict[str, str], fault: str, rounds: int, seed: int, evidence: Door, pytestconfig: pytest.Config
) -> None:
    """However often and whenever the container is lost, no check of what is there says that it is not."""
    judge(fault, under_container_loss(images["backup"], fault, rounds, seed), evidence, pytestconfig)


@pytest.mark.parametrize("signal", [SIGTERM, SIGKILL], ids=lambda signal: signal.name)
def test_no_check_is_green_without_an_engine(
    images: dict[str, str], signal: Signals, rounds: int, seed: int, evidence: Door, pytestconfig: pytest.Config
) -> None:
    """However often and whenever its daemon ends, no check of what is there says that it is not."""
    judge(signal.name, under_engine_loss(images["backup"], signal, rounds, seed), evidence, pytestconfig)
