"""The backup service is healthy while its newest verified snapshot is fresh, and says at once when a run fails."""

import json
from datetime import datetime, timedelta

import pytest

from fixtures.contract import Contract
from fixtures.keeper import Keeper
from fixtures.snapshots import shelf_of
from fixtures.stack import Stack

MINUTE = timedelta(minutes=1)


@pytest.mark.control("BAK-01")
def test_a_running_stack_has_a_fresh_snapshot(stack: Stack, contract: Contract) -> None:
    """The newest verified snapshot is younger than the promised age, by the time inside its manifest."""
    manifests = [one["manifest"] for one in shelf_of(stack).snapshots if one["fault"] is None]
    newest = max(datetime.fromisoformat(one["created"]) for one in manifests if one["verified"])
    now = datetime.fromisoformat(stack.as_root("date", "--utc", "--iso-8601=seconds").stdout.strip())

    assert now - newest <= timedelta(hours=contract.backup.number("max_age_hours"))
    assert stack.exec("backup", "python3", "-m", "backup", "health").stdout == "healthy\n"


@pytest.mark.control("HLT-03")
def test_health_follows_the_age_of_the_snapshot(keeper: Keeper, contract: Contract) -> None:
    """A minute before the promised age the service is healthy, a minute after it is not; no file's own date counts."""
    taken = datetime.fromisoformat(keeper.backup("now", "--json").json()["created"])
    limit = taken + timedelta(hours=contract.backup.number("max_age_hours"))

    before = keeper.backup("health", "--at", (limit - MINUTE).isoformat())
    keeper.shell("touch -d '+30 hours' /srv/backups/*/*")
    after = keeper.backup("health", "--at", (limit + MINUTE).isoformat(), expect=1)

    assert before.stdout == "healthy\n"
    assert "26.0 h old" in after.stdout


@pytest.mark.control("HLT-03")
def test_health_without_any_snapshot_is_bad(keeper: Keeper) -> None:
    """Without a snapshot the service is unhealthy, however well its process runs."""
    assert keeper.backup("health", expect=1).stdout == "unhealthy: there is no verified snapshot yet\n"


@pytest.mark.control("BAK-08")
def test_failed_run_is_loud(keeper: Keeper, contract: Contract) -> None:
    """A failed run leaves one log line of its outcome, an incident for the host, and an unhealthy service."""
    keeper.backup("now")
    keeper.damage_source("gone")

    failed = keeper.backup("now", "--scheduled", expect=contract.backup.whole("unreadable"))

    lines = [json.loads(line) for line in failed.stdout.splitlines()]
    status = json.loads(keeper.shell("cat /srv/status/backup.json"))
    assert [line["outcome"] for line in lines if line["event"] == "snapshot-end"] == ["failure"]
    assert [one["kind"] for one in status["incidents"]] == ["snapshot-failed"]
    assert (status["healthy"], status["last_run"]["outcome"]) == (False, "failure")
    assert "the last run failed" in keeper.backup("health", expect=1).stdout
    assert status["newest"] is not None, "the snapshot before is still there, and told"
