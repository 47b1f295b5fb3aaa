"""A clock that jumps: snapshots of the future neither count nor are dropped, and the schedule's sense survives."""

from datetime import datetime, timedelta

import pytest

from fixtures.contract import Contract
from fixtures.wrong_ways import LIVE, Bench

pytestmark = pytest.mark.control("BAK-02")

NEW_ROW = "INSERT INTO walks (body) VALUES ('one more')"


def jump(contract: Contract) -> timedelta:
    """How far the clock is wrong."""
    return timedelta(days=contract.faults.whole("clock_days"))


def test_clock_ahead_and_set_right_again(bench: Bench, contract: Contract) -> None:
    """A snapshot of thirty days ahead is no proof of freshness, is not `latest`, and evicts nothing, nor is it
    dropped."""
    first = bench.backup("now", "--json").json()
    now = datetime.fromisoformat(first["created"])
    bench.sqlite(LIVE, NEW_ROW)
    future = bench.backup("now", "--at", (now + jump(contract)).isoformat(), "--json").json()

    planned = bench.backup("restore", "latest", "--dry-run", "--json").json()
    late = (now + timedelta(hours=contract.backup.number("max_age_hours"), minutes=1)).isoformat()
    stale = bench.backup("health", "--at", late, expect=contract.exit_codes.failed).stdout
    bench.backup("now", "--at", (now + timedelta(days=1)).isoformat())
    rotated = bench.backup("rotate", "--at", (now + timedelta(days=1)).isoformat(), "--json").json()

    assert planned["source"] == first["name"] != future["name"]
    assert first["name"] in stale
    assert future["name"] not in str(rotated["drop"])
    assert {first["name"], future["name"]} <= bench.look().names("daily")


def test_clock_back_and_set_right_again(bench: Bench, contract: Contract) -> None:
    """With the clock thirty days back a run succeeds, is healthy, and drops nothing of the time it takes for future."""
    first = bench.backup("now", "--json").json()
    now = datetime.fromisoformat(first["created"])
    back = (now - jump(contract)).isoformat()

    past = bench.backup("now", "--at", back, "--json").json()
    healthy = bench.backup("health", "--at", back).stdout
    planned = bench.backup("restore", "latest", "--dry-run", "--json").json()

    assert (past["rotation"]["suspended"], healthy) == (None, "healthy\n")
    assert {first["name"], past["name"]} <= bench.look().names("daily")
    assert planned["source"] == first["name"], "by the right clock the newest is still the newest"
