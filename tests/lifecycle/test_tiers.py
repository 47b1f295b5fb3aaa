"""Every tier can be restored from: its oldest and its newest snapshot, brought back beside the live database."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from fixtures.contract import Contract
from fixtures.histories import DAY, Event
from fixtures.keeper import Keeper
from fixtures.oracle import Numbers
from fixtures.shelves import TIERS, restored_tiers
from fixtures.stack import Stack

pytestmark = pytest.mark.control("RST-06")


def faults(restored: Mapping[str, Any]) -> dict[str, Any]:
    """Give what was not brought back whole, with every row that its manifest counts and the site's own table."""
    return {
        path: one
        for path, one in restored.items()
        if (one["code"], one["integrity"], one["rows"]) != (0, ["ok"], one["promised"]) or "walks" not in one["rows"]
    }


@pytest.mark.live
@pytest.mark.deep
def test_each_tier_of_the_stack_is_restorable(stack: Stack) -> None:
    """The oldest and the newest snapshot of each tier come back in scratch/ sound and with every row."""
    restored = restored_tiers(stack)

    assert {path.partition("/")[0] for path in restored} == set(TIERS)
    assert faults(restored) == {}


def test_each_end_of_a_long_history_is_restorable(keeper: Keeper, contract: Contract) -> None:
    """After months, in which the tiers came to reach back to different days, both ends of each are restorable."""
    promised, begin = contract.backup, datetime.fromisoformat(contract.backup.text("simulated_from"))
    policy = Numbers(*(promised.whole(f"keep_{name}") for name in ("daily", "weekly", "monthly", "last")))
    every = contract.faults.whole("days_between") * DAY
    runs = contract.faults.whole("runs")
    keeper.live_through([Event(begin + number * every, "now", policy).step() for number in range(runs)])

    restored = keeper.python("tiers")["restored"]

    oldest = {tier: min(path for path in restored if path.startswith(tier)).partition("/")[2] for tier in TIERS}
    assert len(set(oldest.values())) > 1, "the tiers must reach back to different days"
    assert len(restored) == 2 * len(TIERS)
    assert faults(restored) == {}
