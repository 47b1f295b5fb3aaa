"""How the suite looks at shelves: dates of the future are seen, and what cannot be read ends the look by its name."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from fixtures import shelves
from fixtures.contract import Contract
from fixtures.evidence import Door
from fixtures.keeper import Keeper

pytestmark = pytest.mark.promise("a check that could not look is never green")

NOW = datetime(2027, 6, 1, 12, tzinfo=UTC)
LIMIT = timedelta(hours=26)
TOLERANCE = timedelta(minutes=5)
STEP = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("at", "recent"),
    [
        # the past
        (NOW, True),
        (NOW - LIMIT, True),
        (NOW - LIMIT - STEP, False),
        # the future, with two clocks that differ a little
        (NOW + TOLERANCE, True),
        (NOW + TOLERANCE + STEP, False),
        (NOW + timedelta(days=365), False),
    ],
)
def test_recent_is_neither_old_nor_of_the_future(at: datetime, recent: bool, evidence: Door) -> None:
    """Something is recent from its limit before now up to the tolerance after now, and not a second further."""
    told = shelves.is_recent(at, NOW, LIMIT, TOLERANCE)

    assert json.loads(evidence.saw(f"{at} at {NOW}", json.dumps(told))) == recent


def test_tolerance_is_the_product_s(keeper: Keeper, contract: Contract) -> None:
    """What the suite takes for the future is what the keeper takes for it."""
    asked = "from backup.rotation import TOLERANCE; print(TOLERANCE.total_seconds())"

    told = keeper.run("python3", "-c", asked).stdout

    assert float(told) == contract.backup.number("clock_tolerance_s")


def test_link_to_nowhere_ends_the_look(keeper: Keeper) -> None:
    """A manifest that is a link to nowhere ends the look within seconds, by its name."""
    keeper.backup("now")
    keeper.shell("ln -s nowhere /srv/backups/daily/balades_x.json")

    with pytest.raises(AssertionError) as refusal:
        keeper.python("manifests", within=10)

    assert "/srv/backups/daily/balades_x.json stands in its folder and is not there" in str(refusal.value)
