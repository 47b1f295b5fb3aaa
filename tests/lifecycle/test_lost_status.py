"""The published state of the backups, damaged or not to be published: told, kept beside, and never simply forgotten."""

import json
from datetime import datetime, timedelta

import pytest

from fixtures.contract import Contract
from fixtures.keeper import Keeper

STATE = "/srv/status/backup.json"
INJURIES = {
    "truncated": f"truncate -s 100 {STATE}",
    "emptied": f": > {STATE}",
    "closed": f"chmod 0 {STATE}",
    "a folder": f"rm {STATE}; mkdir {STATE}",
    "of another kind": f"echo '{{\"incidents\": 5}}' > {STATE}",
}


@pytest.mark.control("BAK-08")
@pytest.mark.parametrize("injury", INJURIES.values(), ids=INJURIES)
def test_damaged_state_is_set_aside_and_told(keeper: Keeper, contract: Contract, injury: str) -> None:
    """A state that cannot be read is unhealthy; the next run keeps it under another name, and tells that."""
    keeper.backup("now")
    keeper.shell(injury)
    before = keeper.backup("health", expect=contract.exit_codes.failed).stdout

    told = keeper.backup("now").stderr

    status = json.loads(keeper.shell(f"cat {STATE}"))
    (aside,) = keeper.shell(f"ls -d {STATE}.damaged_*").split()
    assert f"cannot be read: {STATE}: " in before
    assert f"warning: {status['incidents'][0]['message']}\n" == told
    assert [(one["kind"], aside in one["message"]) for one in status["incidents"]] == [("status-lost", True)]
    assert keeper.backup("health").stdout == "healthy\n"


@pytest.mark.control("HLT-03")
def test_state_that_cannot_be_published_is_unhealthy(keeper: Keeper, contract: Contract) -> None:
    """With status/ closed for writing a snapshot succeeds with a warning, and the service is unhealthy."""
    keeper.backup("now")
    keeper.shell("chmod 500 /srv/status")

    words, answer = keeper.backup("now").stderr, keeper.backup("now", "--json").json()

    (warning,) = answer["warnings"]
    assert (answer["outcome"], words) == ("success", f"warning: {warning}\n")
    assert warning.startswith("the state could not be published: ")
    assert "their state cannot be published" in keeper.backup("health", expect=contract.exit_codes.failed).stdout


@pytest.mark.control("HLT-03")
def test_state_older_than_the_newest_snapshot_is_unhealthy(keeper: Keeper, contract: Contract) -> None:
    """A state that knows nothing of a snapshot taken minutes ago is unhealthy, however new the snapshot is."""
    keeper.backup("now")
    keeper.shell(f"cp {STATE} /tmp/before")
    taken = datetime.fromisoformat(keeper.backup("now", "--json").json()["created"])
    later = (taken + timedelta(minutes=5)).isoformat()
    assert keeper.backup("health", "--at", later).stdout == "healthy\n"
    keeper.shell(f"cat /tmp/before > {STATE}")

    told = keeper.backup("health", "--at", later, expect=contract.exit_codes.failed).stdout

    assert "their state cannot be published" in told
