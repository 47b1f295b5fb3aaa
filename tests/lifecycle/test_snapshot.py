"""A snapshot is whole, complete and private, or it does not exist."""

import pytest

from fixtures.contract import Contract
from fixtures.evidence import Door
from fixtures.keeper import Keeper, lend
from fixtures.load import writers
from fixtures.services import CONTRACT
from fixtures.snapshots import send_picture, shelf_of
from fixtures.stack import Stack

REFUSALS = (
    # what is done to the live database, and the code of the refusal
    ("pages in its middle", CONTRACT.backup.whole("damaged")),
    ("its first page", CONTRACT.backup.whole("unreadable")),
    ("emptied", CONTRACT.backup.whole("unreadable")),
    ("gone", CONTRACT.backup.whole("unreadable")),
)


@pytest.mark.control("BAK-06")
def test_snapshot_was_opened_when_made(module_stack: Stack) -> None:
    """Each snapshot's manifest tells checks passed, rows per table, tools and duration; all of it is true."""
    module_stack.write_walks(3)
    path = send_picture(module_stack)
    name = module_stack.take_snapshot()
    walks = module_stack.client.get("/api/walks").json()["total"]
    shelf = shelf_of(module_stack)
    manifest = shelf.snapshot(name)["manifest"]

    assert shelf.faults() == []
    assert (manifest["verified"], manifest["checks"]["integrity_check"]) == (True, "ok")
    assert manifest["checks"] == {"integrity_check": "ok", "foreign_key_check": "ok", "unpacked": "equal"}
    assert manifest["rows"] == shelf.snapshot(name)["rows"]
    assert manifest["rows"]["walks"] == walks
    assert [upload["path"] for upload in manifest["uploads"]] == [path]
    assert shelf.files[f"objects/{manifest['uploads'][0]['sha256']}"]["sha256"] in path
    assert {"sqlite", "zstd", "python", "monsite"} <= set(manifest["tools"])
    assert manifest["duration_s"] > 0


@pytest.mark.control("BAK-05")
def test_checksums_match_in_each_tier(module_stack: Stack) -> None:
    """Every payload of every tier has its manifest, unpacks, and is by sha256 what the manifest says."""
    module_stack.take_snapshot()
    shelf = shelf_of(module_stack)

    assert {one["tier"] for one in shelf.snapshots} == {"daily", "weekly", "monthly"}
    assert shelf.faults() == []


@pytest.mark.control("BAK-10")
def test_backups_are_private_and_write_protected(module_stack: Stack, contract: Contract) -> None:
    """Each stored file is 1001's and read-only even to it; nobody else may enter the folders."""
    module_stack.take_snapshot()
    shelf = shelf_of(module_stack)
    stored = {path: about for path, about in shelf.files.items() if path in shelf.kept()}
    folders = {path: about for path, about in shelf.files.items() if about["folder"]}

    assert {about["uid"] for about in shelf.files.values()} == {contract.stack.uid}
    assert {path: about["mode"] for path, about in stored.items()} == dict.fromkeys(
        stored, contract.backup.text("file_mode")
    )
    assert {path: about["mode"] for path, about in folders.items()} == dict.fromkeys(
        folders, contract.backup.text("folder_mode")
    )


@pytest.mark.control("BAK-03")
def test_snapshots_under_writes_are_consistent(module_stack: Stack, contract: Contract, evidence: Door) -> None:
    """A snapshot taken while visitors write is whole and holds every walk acknowledged before it began."""
    known = {}
    with writers(module_stack, contract.backup.whole("writers")) as acknowledged:
        for _ in range(contract.backup.whole("under_writes")):
            before = len(acknowledged)
            taken = module_stack.run("backup", "now", "--pin", "--json").json()
            known[taken["name"]] = before
        written = len(acknowledged)
    shelf = shelf_of(module_stack)
    rows = {name: shelf.snapshot(name)["rows"]["walks"] for name in known}
    evidence.saw("walks", f"{written} acknowledged; acknowledged before each snapshot {known}; in it {rows}")

    assert shelf.faults() == []
    assert written > max(known.values()) > min(known.values()), "there must have been writes in between"
    assert [name for name, before in known.items() if rows[name] < before] == []


@pytest.mark.control("BAK-07")
@pytest.mark.parametrize(("injury", "code"), REFUSALS, ids=[injury for injury, _ in REFUSALS])
def test_damaged_source_is_refused(keeper: Keeper, injury: str, code: int) -> None:
    """A live database that is damaged, emptied or gone is refused by code; what was stored stays byte for byte."""
    keeper.backup("now")
    before = keeper.look()
    keeper.damage_source(injury)

    refused = keeper.backup("now", "--json", expect=code)

    assert keeper.look().kept() == before.kept() != {}
    assert refused.json()["outcome"] == "failure"
    assert "/srv/data/balades.db" in refused.stderr
    assert "hint: " in refused.stderr
    assert keeper.backup("health", expect=1).stdout.startswith("unhealthy: the last run failed")


@pytest.mark.control("BAK-07")
def test_full_disk_costs_nothing(contract: Contract, images: dict[str, str]) -> None:
    """With the disk full in the middle of a run nothing is published or lost; with space again the next run works."""
    promised = contract.backup
    with lend(images["backup"], backups_mib=promised.whole("full_disk_mib")) as keeper:
        keeper.python("make_database", str(promised.whole("small_bytes")))
        keeper.backup("now")
        before = keeper.look()
        keeper.shell("rm /srv/data/balades.db*")
        keeper.python("make_database", str(promised.whole("full_disk_bytes")))
        keeper.shell(fill_leaving(promised.number("full_disk_left") * promised.whole("full_disk_bytes")))

        begun = keeper.backup("now", expect=promised.whole("no_space"))
        keeper.shell(fill_leaving(promised.whole("full_disk_bytes"), "more"))
        unbegun = keeper.backup("now", expect=promised.whole("no_space"))
        during = keeper.look()
        keeper.shell("rm /srv/backups/.fill*")
        keeper.backup("now")

        assert during.kept() == before.kept()
        assert "no space left" in begun.stderr
        assert "bytes are free, a snapshot of" in unbegun.stderr
        assert len(keeper.look().names("daily")) == len(before.names("daily")) + 1
        assert keeper.look().faults() == []


def fill_leaving(left: float, name: str = "first") -> str:
    """A shell line that fills the backups' file system up to so many bytes."""
    free = "$(( $(stat -f -c '%a * %S' /srv/backups) ))"
    return f"head -c $(( {free} - {int(left)} )) /dev/zero > /srv/backups/.fill-{name}"


@pytest.mark.control("BAK-09")
def test_only_one_backup_at_a_time(contract: Contract, images: dict[str, str]) -> None:
    """Of eight snapshots begun at the same instant one succeeds; the others say busy at once."""
    promised = contract.backup
    with lend(images["backup"], backups_mib=promised.whole("scratch_mib")) as keeper:
        keeper.python("make_database", str(promised.whole("at_once_bytes")))
        ended = keeper.python("at_once", str(promised.whole("at_once")))
        losers = [one for one in ended if one["code"] != 0]

        assert len(ended) == promised.whole("at_once")
        assert len(losers) == len(ended) - 1
        assert {one["code"] for one in losers} == {promised.whole("busy")}
        assert max(one["took_s"] for one in losers) <= promised.whole("refused_within_s")
        assert len(keeper.look().names("daily")) == 1
