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
