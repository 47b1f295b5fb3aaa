"""The snapshots that a stack has now: fresh, whole, proven when made, private, and tried out lately.

Read in the keeper's container as its own user, without a lock and without a write, so that it can be asked of a
stack in production while the keeper is at work.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fixtures import measured, shelves
from fixtures.contract import Contract
from fixtures.drills import backups_status
from fixtures.shelves import TIERS, Shelves, Stored
from fixtures.stack import Stack

pytestmark = pytest.mark.live


def tolerance(contract: Contract) -> timedelta:
    """By how much the clocks of one stack may differ."""
    return timedelta(seconds=contract.backup.number("clock_tolerance_s"))


@pytest.mark.control("BAK-01")
def test_newest_snapshot_is_fresh(stack: Stack, contract: Contract) -> None:
    """The newest verified snapshot is younger than the promised age, and not of the future, by its manifest."""
    limit = timedelta(hours=contract.backup.number("max_age_hours"))
    there = shelves.look(stack).snapshots
    made = [one.created for one in there if one.manifest["verified"]]
    now = datetime.fromtimestamp(float(stack.exec("backup", "date", "+%s").stdout), UTC)
    for one in there:
        measured.snapshot(stack.name, one.tier, one.manifest, now)
    if made:
        measured.newest(max(made), now, limit.total_seconds())

    assert made, "there is no verified snapshot; `./stack backup now` takes one"
    assert shelves.is_recent(max(made), now, limit, tolerance(contract)), (
        f"the newest verified snapshot is of {max(made)}, and it is {now}; `./stack backup now` says why"
    )


@pytest.mark.control("BAK-05")
def test_no_payload_and_no_manifest_is_alone(stack: Stack) -> None:
    """Every payload of every tier has its manifest, and every manifest its payload."""
    assert shelves.settled(stack, Shelves.alone) == []


@pytest.mark.deep
@pytest.mark.control("BAK-05")
def test_checksums_match_in_each_tier(stack: Stack) -> None:
    """Read again, every payload of every tier is by sha256 what its manifest says, and unpacks to what it says."""
    read = shelves.reread(stack)

    assert {path.partition("/")[0] for path in read.payloads} == set(TIERS)
    assert read.payloads == read.manifests


@pytest.mark.deep
@pytest.mark.control("BAK-05")
def test_objects_are_what_they_are_called(stack: Stack) -> None:
    """Read again, every stored upload has the sha256 that is its name, and every upload of a manifest is stored."""
    named = {one["sha256"] for stored in shelves.look(stack).snapshots for one in stored.manifest["uploads"]}
    objects = shelves.reread(stack).objects
    named &= {one["sha256"] for stored in shelves.look(stack).snapshots for one in stored.manifest["uploads"]}

    assert {name: digest for name, digest in objects.items() if digest != name} == {}
    assert named - set(objects) == set()


@pytest.mark.control("BAK-06")
def test_each_snapshot_was_opened_when_made(stack: Stack, contract: Contract) -> None:
    """Each manifest says that the snapshot was verified, by which checks and tools, and counts the site's rows."""
    snapshots = shelves.look(stack).snapshots
    checks = dict.fromkeys(contract.backup.texts("checks"), "ok") | {"unpacked": "equal"}

    assert {one.tier for one in snapshots} == set(TIERS)
    assert {f"{one.tier}/{one.name}": said for one in snapshots if (said := unproven(one, checks))} == {}


def unproven(stored: Stored, checks: dict[str, str]) -> dict[str, Any]:
    """Give what a manifest should say and does not."""
    made = stored.manifest
    wrong = {key: made[key] for key, value in (("verified", True), ("checks", checks)) if made[key] != value}
    if not {"walks", "attachments"} <= set(made["rows"]):
        wrong["rows"] = made["rows"]
    if not {"monsite", "sqlite", "python"} <= set(made["tools"]) or made["duration_s"] <= 0:
        wrong |= {"tools": made["tools"], "duration_s": made["duration_s"]}
    return wrong


@pytest.mark.control("BAK-10")
def test_backups_are_private_and_write_protected(stack: Stack, contract: Contract) -> None:
    """Each stored file is the keeper's and read-only even to it; nobody else may enter the folders."""
    modes = {True: contract.backup.text("folder_mode"), False: contract.backup.text("file_mode")}
    owner = contract.stack.uid, contract.stack.gid

    def faults(seen: Shelves) -> list[Any]:
        kept = [one for one in seen.files if not one.working]
        return [one for one in kept if (one.mode, one.uid, one.gid) != (modes[one.folder], *owner)]

    assert shelves.settled(stack, faults) == []


@pytest.mark.control("RST-07")
@pytest.mark.usefixtures("drilled_once")
def test_newest_drill_is_recent(stack: Stack, contract: Contract) -> None:
    """The newest drill passed, and is not older than promised, and not of the future."""
    newest = backups_status(stack)["drill"]
    limit, now = timedelta(days=contract.drill.number("max_age_days")), datetime.now(UTC)

    assert newest, "no drill yet: the first comes by itself an hour after the first snapshot, or `./stack backup drill`"
    measured.drill(stack.name, newest)
    assert newest["outcome"] == "success", f"the newest drill failed: {newest['error']}; `./stack backup drill`"
    assert shelves.is_recent(datetime.fromisoformat(newest["at"]), now, limit, tolerance(contract)), (
        f"the newest drill is of {newest['at']}, and it is {now}; `./stack backup drill`"
    )
