"""The service beside the script it replaces: same database, same container, same limits, same run.

The script: `sqlite3 db ".backup f" && gzip f && find … -mtime +7 -delete`.
"""

import json
import os
import statistics
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fixtures import scale
from fixtures.contract import Contract
from fixtures.evidence import Door
from fixtures.keeper import Keeper
from fixtures.run import publish
from fixtures.scale import MIB, Full, Measured
from fixtures.services import CONTRACT
from fixtures.stack import Stack
from fixtures.wait import clock, rest
from tests.benchmarks.traffic import traffic

pytestmark = pytest.mark.benchmark

NAIVE = "/srv/backups/naive.db"
COPY = f'sqlite3 /srv/data/balades.db ".backup {NAIVE}"'
TIMED_OUT = 124  # what `timeout` says
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def full(images: dict[str, str], contract: Contract, pytestconfig: pytest.Config) -> Iterator[Full]:
    """A keeper with production's limits and a large database."""
    with scale.on_disk(images) as lent:
        lent.make(scale.scaled(pytestconfig, contract.campaigns.whole("speed_mb")), pytestconfig.option.seed)
        yield lent


def naive(full: Full) -> Measured:
    """What the script does, without its deletion."""
    full.shell(f"rm -f {NAIVE}*")
    return full.measure("sh", "-euc", f"{COPY} && gzip {NAIVE}")


def told(measured: Measured) -> dict[str, Any]:
    """Put a measurement into figures."""
    return {"seconds": measured.seconds, "anonymous_mib": measured.anonymous_mib, "code": measured.code}


@pytest.mark.promise("a backup ends although the site is written to, and is verified")
def test_backup_ends_under_writes(full: Full, contract: Contract, evidence: Door, pytestconfig: pytest.Config) -> None:
    """At 50 commits a second ours is done and verified in seconds; the script's copy does not end within a minute."""
    promised = contract.campaigns
    limit = promised.whole("naive_waits_s")
    full.shell(f"rm -f {NAIVE}*")
    with full.written_to(promised.number("writes_per_s")) as beside:
        theirs = full.measure("timeout", str(limit), "sh", "-c", COPY, expect=None)
        full.shell(f"rm -f {NAIVE}*; sync")  # what the script left half written must not be written at our cost
        first, *ours = [full.timed("now", "--json") for _ in range(1 + promised.whole("rounds"))]
        full.set_cpus(1)
        with_one = [full.timed("now", "--json") for _ in range(promised.whole("rounds"))]
        full.set_cpus(scale.shipped_cpus())
    median = {
        name: statistics.median(one.seconds for one in rounds)
        for name, rounds in (("ours", ours), ("ours_with_one_cpu", with_one))
    }
    figures = {
        **scale.about(pytestconfig, full),
        "writer": beside.told,
        "median_s": median,
        "naive": told(theirs),
        "ours_first": told(first),  # the database is not in the page cache, and its uploads are not stored yet
        "ours": [told(one) for one in ours],
        "ours_with_one_cpu": [told(one) for one in with_one],
    }
    evidence.saw("benchmark under writes", publish(pytestconfig, "backup-under-writes", figures))

    assert theirs.code == TIMED_OUT, "the script's copy ended after all"
    assert beside.told["failed"] == 0
    assert median["ours"] <= promised.number("under_writes_s")
    assert median["ours_with_one_cpu"] <= promised.number("under_writes_one_cpu_s")


@pytest.mark.promise("a verified backup takes a third of the script's time, and less room")
def test_idle_backup_is_faster_and_smaller(
    full: Full, contract: Contract, evidence: Door, pytestconfig: pytest.Config
) -> None:
    """With nobody writing, ours with all its checks takes at most a third of the script's time and is smaller."""
    promised = contract.campaigns
    theirs: list[Measured] = []
    ours: list[Measured] = []
    sizes: dict[str, int] = {}
    for _ in range(promised.whole("rounds")):
        theirs.append(naive(full))
        sizes["naive"] = int(full.shell(f"stat -c %s {NAIVE}.gz"))
        ours.append(full.timed("now", "--json"))
        sizes["ours"] = json.loads(ours[-1].stdout)["bytes"]
    full.shell(f"rm -f {NAIVE}*")
    full.set_cpus(1)
    with_one = [full.timed("now", "--json") for _ in range(promised.whole("rounds"))]
    full.set_cpus(scale.shipped_cpus())
    median = {
        name: statistics.median(one.seconds for one in rounds)
        for name, rounds in (("naive", theirs), ("ours", ours), ("ours_with_one_cpu", with_one))
    }
    ratio = median["naive"] / median["ours"]
    figures = {
        **scale.about(pytestconfig, full),
        "median_s": median,
        "ratio": round(ratio, 2),
        "stored_bytes": sizes,
        "stored_share": {name: round(size / full.size, 3) for name, size in sizes.items()},
        "rounds": {"naive": [told(one) for one in theirs], "ours": [told(one) for one in ours]},
    }
    evidence.saw("benchmark idle", publish(pytestconfig, "backup-idle", figures))

    assert ratio >= promised.number("idle_ratio")
    assert sizes["ours"] < sizes["naive"]


@pytest.mark.promise("a hot restore lets a writer wait less than a third of a second per 100 MiB")
def test_hot_restore_hardly_stalls_a_writer(
    images: dict[str, str], contract: Contract, evidence: Door, pytestconfig: pytest.Config
) -> None:
    """While 100 MiB are restored into the live database, no commit of a writer beside fails or waits long."""
    promised = contract.campaigns
    with scale.on_disk(images) as full:
        full.make(scale.scaled(pytestconfig, promised.whole("stall_mb")), pytestconfig.option.seed)
        name = full.backup("now", "--json", within=120).json()["name"]
        with full.written_to(promised.number("writes_per_s")) as beside:
            restored = full.timed("restore", name, "--json")
        figures = {
            **scale.about(pytestconfig, full),
            "writer": beside.told,
            "restore": told(restored),
            "exchange_s": json.loads(restored.stdout)["exchange_s"],
        }
    evidence.saw("benchmark stall", publish(pytestconfig, "restore-stall", figures))

    assert beside.told["failed"] == 0
    assert beside.told["longest_s"] <= promised.number("stall_s")


@pytest.mark.control("RST-02")
def test_hot_restore_serves_everybody(
    module_stack: Stack, contract: Contract, evidence: Door, pytestconfig: pytest.Config
) -> None:
    """While a large site is restored, every visitor who reads or writes is served; the exchange takes seconds."""
    promised = contract.campaigns
    size = scale.fill(module_stack, scale.scaled(pytestconfig, promised.whole("speed_mb")), pytestconfig.option.seed)
    name = module_stack.take_snapshot()
    walks = module_stack.client.get("/api/walks").json()["total"]
    with traffic(module_stack, promised.whole("visitors")) as seen:
        rest(promised.number("before_s"), "so that there is traffic before the restore begins")
        begun = clock()
        report = module_stack.run("restore", name, "--json", within=600).json()
        took = clock() - begun
        rest(promised.number("before_s"), "so that there is traffic after it has ended")
    figures = {
        "rehearsal": pytestconfig.option.size_mb is not None,
        "database_bytes": size,
        "command_s": round(took, 2),
        "exchange_s": report["exchange_s"],
        "walks": {"promised": walks, "after": module_stack.client.get("/api/walks").json()["total"]},
        **{kind: one.figures() for kind, one in seen.items()},
    }
    evidence.saw("benchmark hot restore", publish(pytestconfig, "restore-under-load", figures))

    assert {kind: one.failed() for kind, one in seen.items()} == {"read": 0, "write": 0}
    assert all(sum(one.statuses.values()) > 0 for one in seen.values())
    assert report["exchange_s"] <= promised.number("exchange_s")


@pytest.mark.promise("while backups fail nothing is deleted, and somebody is told")
def test_failing_backups_delete_nothing(
    keeper: Keeper, tmp_path: Path, contract: Contract, evidence: Door, pytestconfig: pytest.Config
) -> None:
    """After 60 days of failing backups every snapshot of ours is there and health says so; the script has none left."""
    promised = contract.campaigns
    good, failing = promised.whole("good_days"), promised.whole("failing_days")
    begin = datetime(2027, 3, 1, 2, tzinfo=UTC)
    for day in range(good):
        keeper.backup("now", "--at", (begin + day * DAY).isoformat())
        (tmp_path / f"{day}.gz").write_text("a backup")
    before = keeper.look().kept()
    left = []
    keeper.damage_source("gone")
    for day in range(good, good + failing):
        keeper.backup("now", "--at", (begin + day * DAY).isoformat(), expect=contract.exit_codes.unreadable)
        left.append(delete_as_the_script_does(evidence, tmp_path, good, day))
    limit = contract.backup.whole("max_age_hours")
    late = begin + (good - 1) * DAY + timedelta(hours=limit, minutes=6)
    health = keeper.backup("health", "--at", late.isoformat(), expect=1)
    figures = {
        "failing_days": failing,
        "ours": {"before": len(before), "after": len(keeper.look().kept())},
        "naive": {"before": good, "none_left_after_days": left.index(0) + 1 if 0 in left else None},
        "health": health.stdout.strip(),
    }
    evidence.saw("benchmark failing", publish(pytestconfig, "failing-days", figures))

    assert keeper.look().kept() == before != {}
    assert left[-1] == 0, "the script is meant to have lost them all"
    assert "the last run failed" in health.stdout
    assert f"is {limit + 0.1:.1f} h old; at most {limit:.1f} h" in health.stdout


def delete_as_the_script_does(evidence: Door, folder: Path, good: int, today: int) -> int:
    """Let the script's own line delete, on a day that many days after the first; give how many are left."""
    now = datetime.now(UTC)
    for day in range(good):
        path = folder / f"{day}.gz"
        if path.exists():
            then = (now - (today - day) * DAY).timestamp()
            os.utime(path, (then, then))
    evidence.run("find", str(folder), "-name", "*.gz", "-mtime", "+7", "-delete")
    return len(list(folder.glob("*.gz")))


def of_size(mb: int) -> Any:
    """One size, under a name that sorts."""
    return pytest.param(mb, id=f"{mb}MB")


@pytest.mark.promise("memory stays below 128 MiB however large the database is")
@pytest.mark.parametrize("mb", [of_size(mb) for mb in CONTRACT.campaigns["cost_mb"]])
def test_cost_as_it_grows(
    images: dict[str, str], contract: Contract, evidence: Door, pytestconfig: pytest.Config, mb: int
) -> None:
    """Snapshot, verify and restore hold no more anonymous memory at 2,000 MB than at 10; the WAL stays bounded."""
    promised = contract.campaigns
    if scale.scaled(pytestconfig, mb) != mb:
        pytest.skip(f"a rehearsal: {mb} MB is more than --size-mb")
    with scale.on_disk(images) as full:
        full.make(mb, pytestconfig.option.seed)
        with full.written_to(promised.number("writes_per_s")) as beside:
            measured = {"snapshot": full.timed("now", "--json")}
        measured["verify"] = full.timed("verify", "--json")
        measured["restore"] = full.timed("restore", "latest", "--json")
        figures = {
            **scale.about(pytestconfig, full),
            "mb": mb,
            "wal_mib": round(beside.told["wal_bytes"] / MIB, 1),
            "writer": beside.told,
            **{verb: told(one) for verb, one in measured.items()},
        }
    evidence.saw(f"benchmark cost {mb} MB", publish(pytestconfig, f"backup-cost-{mb:05}", figures))

    assert max(one.anonymous_mib for one in measured.values()) <= promised.whole("anonymous_mib")
    assert figures["wal_mib"] <= promised.whole("wal_mib")
