"""Backups that were emptied by hand: told by the newest snapshot that was known, as one incident."""

import json
from typing import Any

import pytest

from fixtures.contract import Contract
from fixtures.keeper import Keeper
from fixtures.services import CONTRACT

EMPTIED = "rm -rf /srv/backups/* /srv/backups/.[a-z]*"


def published(keeper: Keeper) -> dict[str, Any]:
    """Give what the keeper published last."""
    told: dict[str, Any] = json.loads(keeper.shell("cat /srv/status/backup.json"))
    return told


@pytest.mark.control("HLT-03")
def test_emptied_backups_are_unhealthy_until_the_next_snapshot(keeper: Keeper, contract: Contract) -> None:
    """With backups/ emptied by hand the service is unhealthy by the newest name it knew, until it has a snapshot."""
    name = keeper.backup("now", "--json").json()["name"]
    keeper.shell(EMPTIED)

    unnoticed = keeper.backup("health", expect=contract.exit_codes.failed).stdout
    keeper.backup("rotate")
    noticed, status = keeper.backup("health", expect=contract.exit_codes.failed).stdout, published(keeper)
    keeper.backup("now", "--scheduled")

    assert unnoticed == noticed == f"unhealthy: {status['reasons'][0]}\n"
    assert ("every snapshot up to" in noticed, name in noticed) == (True, True)
    assert status["healthy"] is False
    assert keeper.backup("health").stdout == "healthy\n"


@pytest.mark.control("BAK-08")
@pytest.mark.parametrize("first", [("now",), ("now", "--scheduled"), ("rotate",)], ids=" ".join)
def test_lost_history_is_one_incident_and_told_to_whoever_asks(keeper: Keeper, first: tuple[str, ...]) -> None:
    """Emptied backups leave one incident, whoever notices; the next snapshot asked for by hand tells it, once."""
    name = keeper.backup("now", "--json").json()["name"]
    keeper.shell(EMPTIED)

    if first != ("now",):
        keeper.backup(*first)
    told, again = [keeper.backup("now", "--json").json()["lost_history"] for _ in range(2)]

    (incident,) = published(keeper)["incidents"]
    assert (told["newest"], again) == (name, None)
    assert (incident["kind"], name in incident["message"], "times" in incident) == ("history-lost", True, False)


@pytest.mark.control("BAK-08")
@pytest.mark.parametrize(
    ("harm", "verb", "code", "kind"),
    [
        ("chmod 0 /srv/backups", "now", CONTRACT.exit_codes.failed, "snapshot-failed"),
        ("rm /srv/backups/*/*.db.zst", "verify", CONTRACT.exit_codes.damaged, "damaged"),
    ],
    ids=["closed", "damaged"],
)
def test_closed_or_damaged_backups_are_no_lost_history(
    keeper: Keeper, harm: str, verb: str, code: int, kind: str
) -> None:
    """Backups that cannot be looked into, or are damaged each, are told as that and not as lost."""
    keeper.backup("now")
    keeper.shell(harm)
    keeper.backup(verb, expect=code)

    status = published(keeper)
    assert [one["kind"] for one in status["incidents"]] == [kind]
    assert (status["lost_history"], status["healthy"]) == (None, False)
    assert "every snapshot up to" not in " ".join(status["reasons"])


CLOSED, OPEN = "chmod 0 /srv/status", "chmod 700 /srv/status"


@pytest.mark.control("BAK-08")
def test_loss_while_nothing_could_be_published_is_told_later(keeper: Keeper) -> None:
    """Backups emptied while status/ was closed are told once it is open, although a new snapshot stands there."""
    name = keeper.backup("now", "--json").json()["name"]
    keeper.shell(f"{CLOSED}; {EMPTIED}")
    keeper.backup("now", "--at", "2099-01-01T00:00:00Z")
    keeper.shell(OPEN)

    keeper.backup("rotate", "--at", "2099-01-01T00:00:01Z")
    told = [keeper.backup("now", "--json", "--at", "2099-01-01T00:00:02Z").json()["lost_history"] for _ in range(2)]

    (incident,) = published(keeper)["incidents"]
    assert (incident["kind"], name in incident["message"]) == ("history-lost", True)
    assert (told[0]["newest"], told[1]) == (name, None)


@pytest.mark.control("BAK-08")
def test_snapshot_that_rotation_dropped_is_no_loss(keeper: Keeper) -> None:
    """Snapshots that rotation dropped while status/ was closed are no lost history when it is open again."""
    name = keeper.backup("now", "--json").json()["name"]
    keeper.shell(CLOSED)
    for _ in range(CONTRACT.backup.whole("keep_last")):
        keeper.backup("now")
    keeper.shell(OPEN)
    assert name not in keeper.look().names("daily"), "rotation must have dropped it"

    keeper.backup("rotate")

    assert (published(keeper)["lost_history"], published(keeper)["incidents"]) == (None, [])


@pytest.mark.control("BAK-08")
def test_incidents_that_take_turns_push_none_out(keeper: Keeper, contract: Contract) -> None:
    """Two incidents that repeat by turns are kept once each, with a count, so that older ones stay."""
    keeper.backup("now")
    keeper.damage_source("gone")
    for _ in range(2):
        keeper.backup("now", expect=contract.exit_codes.unreadable)
        keeper.backup("drill", expect=contract.exit_codes.unrehearsed)

    told = [(one["kind"], one["times"]) for one in published(keeper)["incidents"]]
    assert told == [("snapshot-failed", 2), ("drill-failed", 2)]
