"""Random faults against the real commands, short; the same ones run long in tests/torture."""

import pytest

from fixtures import campaigns
from fixtures.contract import Contract


@pytest.mark.control("BAK-04")
def test_killed_snapshots_publish_nothing_broken(images: dict[str, str], seed: int, contract: Contract) -> None:
    """Snapshots killed with -9 at random moments leave nothing broken under a final name; the next run tidies up."""
    promised = contract.campaigns
    done = campaigns.run(images, "kill_now", seed, promised.whole("kills"), promised.whole("gate_within_s"))
    moments = [moment for moment in done.counts if moment.startswith("killed with")]

    assert done.faults == ()
    assert len(moments) >= promised.whole("moments")


@pytest.mark.control("BAK-03")
def test_snapshots_hold_whole_transactions(images: dict[str, str], seed: int, contract: Contract) -> None:
    """Snapshots taken under hundreds to thousands of commits a second hold whole transactions, no gap, none too few."""
    promised = contract.campaigns
    done = campaigns.run(images, "money", seed, promised.whole("under_load"), promised.whole("gate_within_s"))

    assert done.faults == ()
    assert done.told["commits_per_s"]["median"] >= promised.whole("commits_per_s")


@pytest.mark.control("BAK-05")
def test_flipped_bits_are_found(images: dict[str, str], seed: int, contract: Contract) -> None:
    """Each single bit turned over in a stored payload is found by verify or refused by restore."""
    promised = contract.campaigns
    done = campaigns.run(images, "flips", seed, promised.whole("flips"), promised.whole("gate_within_s"))

    assert done.faults == ()
    assert done.counts["found by verify"] + done.counts["found by restore"] == done.tried


@pytest.mark.control("RST-05")
def test_killed_restores_leave_old_or_new(images: dict[str, str], seed: int, contract: Contract) -> None:
    """Restores killed with -9 at random moments leave the old or the new database, whole, and the next one works."""
    promised = contract.campaigns
    done = campaigns.run(images, "kill_restore", seed, promised.whole("restore_kills"), promised.whole("gate_within_s"))

    assert done.faults == ()
    assert set(done.counts) >= campaigns.RESTORES_SEEN


@pytest.mark.control("BAK-07")
def test_full_disks_lose_nothing(images: dict[str, str], seed: int, contract: Contract) -> None:
    """With the disk full from a random moment on nothing is lost or half there; with space again the next run works."""
    promised = contract.campaigns
    done = campaigns.run(images, "disk_full", seed, promised.whole("full_disks"), promised.whole("gate_within_s"))

    assert done.faults == ()


@pytest.mark.promise("whatever is done in whatever order, snapshots stay whole and the newest stays")
def test_random_walk_keeps_the_promises(images: dict[str, str], seed: int, contract: Contract) -> None:
    """After each step of a random walk of snapshots, rotations, restores, damage and kills every invariant holds."""
    promised = contract.campaigns
    done = campaigns.run(images, "walk", seed, promised.whole("steps"), promised.whole("gate_within_s"))

    assert done.faults == ()
    assert done.counts["killed"] > 0
