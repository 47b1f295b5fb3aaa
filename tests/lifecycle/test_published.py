"""What the keeper publishes of the tiers is what stands in them, and only what counts."""

import json

import pytest

from fixtures.keeper import Keeper

DAYS = ("2027-03-01T02:00:00Z", "2027-03-03T02:00:00Z")  # of one week and one month


@pytest.mark.promise("visitors see how the site and its backups are doing, and nothing of the machine")
def test_newest_of_each_tier_is_published(keeper: Keeper) -> None:
    """The state names the newest snapshot of each tier; one that was found damaged gives way to the one before."""
    first, second = (keeper.backup("now", "--json", "--at", day).json()["name"] for day in DAYS)
    shelf = keeper.look()
    newest = {tier: max(shelf.names(tier)) for tier in ("daily", "weekly", "monthly")}
    published = _newest_of(keeper)
    keeper.shell(f"rm -f /srv/backups/*/{second}.db.*")
    keeper.backup("verify", "--at", DAYS[1], expect=None)

    assert (published, published["daily"]) == (newest, second)
    assert _newest_of(keeper)["daily"] == first


def _newest_of(keeper: Keeper) -> dict[str, str]:
    told = json.loads(keeper.shell("cat /srv/status/backup.json"))
    return {tier: one["name"] for tier, one in told["newest_of"].items()}
