"""The campaigns of tests/lifecycle/test_campaigns.py, long: `pytest -m torture --seed N`.

Each ends when it has tried what the contract asks for, or red when its time is over before that.
"""

import pytest

from fixtures import campaigns
from fixtures.campaigns import Campaign
from fixtures.contract import Contract
from fixtures.run import publish

pytestmark = pytest.mark.torture


@pytest.fixture
def long(images: dict[str, str], seed: int, contract: Contract, pytestconfig: pytest.Config) -> "Long":
    """What runs a campaign at its full length."""
    return Long(images, seed, contract, pytestconfig)


class Long:
    """Campaigns at their full length, published beside the benchmarks."""

    def __init__(self, images: dict[str, str], seed: int, contract: Contract, config: pytest.Config) -> None:
        """Keep what they need."""
        self._images, self._seed, self._contract, self._config = images, seed, contract, config

    def run(self, script: str, key: str) -> Campaign:
        """Run one and publish how it went."""
        promised = self._contract.campaigns
        done = campaigns.run(
            self._images, script, self._seed, promised.whole(f"{key}_long"), promised.whole(f"{key}_long_s")
        )
        publish(self._config, f"torture-{script}", done.figures())
        return done


@pytest.mark.control("BAK-04")
def test_killed_snapshots_publish_nothing_broken(long: Long) -> None:
    """Of a thousand snapshots killed with -9 none leaves anything broken under a final name; the next tidies up."""
    assert long.run("kill_now", "kills").faults == ()


@pytest.mark.control("BAK-03")
def test_snapshots_hold_whole_transactions(long: Long, contract: Contract) -> None:
    """A thousand snapshots under 300 to 3,000 commits a second hold whole transactions, no gap, none too few."""
    done = long.run("money", "under_load")

    assert done.faults == ()
    assert done.told["commits_per_s"]["median"] >= contract.campaigns.whole("commits_per_s")


@pytest.mark.control("BAK-05")
def test_flipped_bits_are_found(long: Long) -> None:
    """Each of 300 bits turned over in a stored payload is found; SQLite's own checks miss most in a raw database."""
    done = long.run("flips", "flips")

    assert done.faults == ()
    assert done.counts["found by verify"] + done.counts["found by restore"] == done.tried
    assert done.counts["found by quick_check in the raw database"] < done.tried / 2
    assert done.counts["found by integrity_check in the raw database"] < done.tried / 2


@pytest.mark.control("RST-05")
def test_killed_restores_leave_old_or_new(long: Long) -> None:
    """Each of 500 restores killed with -9 leaves the old or the new database, whole, and the next restore works."""
    done = long.run("kill_restore", "restore_kills")

    assert done.faults == ()
    assert set(done.counts) >= campaigns.RESTORES_SEEN


@pytest.mark.control("BAK-07")
def test_full_disks_lose_nothing(long: Long) -> None:
    """On a disk that fills at a random moment a hundred times nothing is lost; with space again the next run works."""
    assert long.run("disk_full", "full_disks").faults == ()


@pytest.mark.promise("whatever is done in whatever order, snapshots stay whole and the newest stays")
def test_random_walk_keeps_the_promises(long: Long) -> None:
    """After each of thousands of random steps, kills and damage among them, every invariant holds."""
    assert long.run("walk", "steps").faults == ()
