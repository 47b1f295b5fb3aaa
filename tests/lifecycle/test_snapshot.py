"""A snapshot is whole, complete and private, or it does not exist."""

import json
import os
import shlex
from pathlib import Path

import pytest

from backup.quota import processors
from fixtures.contract import Contract
from fixtures.drills import backups_status
from fixtures.evidence import Door
from fixtures.keeper import Keeper, lend, source_of
from fixtures.load import writers
from fixtures.services import CONTRACT
from fixtures.snapshots import MINIATURE, send_picture, shelf_of
from fixtures.stack import Stack

TIERS = ("daily", "weekly", "monthly")
REFUSALS = (
    # what is done to the live database, and the code of the refusal
    ("pages in its middle", CONTRACT.exit_codes.unreadable),
    ("its first page", CONTRACT.exit_codes.unreadable),
    ("emptied", CONTRACT.exit_codes.unreadable),
    ("gone", CONTRACT.exit_codes.unreadable),
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


@pytest.mark.control("BAK-07")
def test_closed_backups_folder_is_not_an_empty_one(keeper: Keeper, contract: Contract) -> None:
    """A backups folder that may not be looked into is told as that by list, health and now; never as no snapshot."""
    keeper.backup("now")
    keeper.shell("chmod 0 /srv/backups")

    refused = [keeper.backup(verb, expect=contract.exit_codes.failed) for verb in ("list", "health", "now")]
    keeper.shell("chmod 700 /srv/backups")

    told = [done.stdout + done.stderr for done in refused]
    assert [text for text in told if "/srv/backups" not in text or "Permission denied" not in text] == []
    assert "no snapshot" not in "".join(told)


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
    begun = tuple(known.values())
    known[module_stack.take_snapshot()] = written  # the newest of them lie in the write-ahead log alone
    shelf = shelf_of(module_stack)
    rows = {name: shelf.snapshot(name)["rows"]["walks"] for name in known}
    evidence.saw("walks", f"{written} acknowledged; acknowledged before each snapshot {known}; in it {rows}")

    assert shelf.faults() == []
    assert written > max(begun) > min(begun), "there must have been writes in between"
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
    health = keeper.backup("health", expect=CONTRACT.exit_codes.failed)
    assert health.stdout.startswith("unhealthy: the last run failed")


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

        begun = keeper.backup("now", expect=contract.exit_codes.no_space)
        keeper.shell(fill_leaving(promised.whole("full_disk_bytes"), "more"))
        unbegun = keeper.backup("now", expect=contract.exit_codes.no_space)
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
        assert {one["code"] for one in losers} == {contract.exit_codes.busy}
        assert max(one["took_s"] for one in losers) <= promised.whole("refused_within_s")
        assert len(keeper.look().names("daily")) == 1


@pytest.mark.control("BAK-07")
def test_two_faults_at_once_are_told_as_one(contract: Contract, images: dict[str, str]) -> None:
    """With the source damaged and the disk full the run ends with one error, and it is the source's."""
    promised = contract.backup
    with lend(images["backup"], backups_mib=promised.whole("full_disk_mib")) as keeper:
        keeper.python("make_database", str(promised.whole("full_disk_bytes")))
        keeper.shell("cp /srv/data/balades.db /srv/data/whole")
        keeper.damage_source("pages in its middle")
        keeper.shell(fill_leaving(promised.number("full_disk_left") * promised.whole("full_disk_bytes")))

        both = keeper.backup("now", expect=contract.exit_codes.unreadable)
        keeper.shell("mv /srv/data/whole /srv/data/balades.db")
        full = keeper.backup("now", expect=contract.exit_codes.no_space)
        keeper.shell("rm /srv/backups/.fill*")

        errors = [line for line in both.stderr.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1
        assert errors[0].startswith("error: the copy of /srv/data/balades.db: ")
        assert "no space left" in full.stderr, "the disk must have been full too"
        assert keeper.look().snapshots == []
        keeper.backup("now")


@pytest.mark.promise("a long run tells how far it is")
def test_progress_is_told_phase_by_phase(contract: Contract, images: dict[str, str]) -> None:
    """With --progress each phase says that it begins, none tells often, and none of more than there is."""
    promised = contract.backup
    with lend(images["backup"], backups_mib=promised.whole("scratch_mib")) as keeper:
        keeper.python("make_database", str(promised.whole("at_once_bytes")))

        done = keeper.backup("now", "--progress", "--json")
        silent = keeper.backup("now", "--json")

        lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith('{"progress"')]
        told = [line["progress"] for line in lines]
        phases = list(dict.fromkeys(one["phase"] for one in told))
        most = 1 + promised.whole("progress_per_s") * done.json()["duration_s"]
        assert sorted(phases) == sorted(promised.texts("phases_of_now"))
        assert phases[0] == "copy"
        assert [one for one in told if one["total"] is not None and not 0 <= one["done"] <= one["total"]] == []
        assert [phase for phase in phases if len([one for one in told if one["phase"] == phase]) > most] == []
        assert '{"progress"' not in silent.stderr


@pytest.mark.promise("compression uses the processors the container may use, no more")
@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({}, None),
    ],
    ids=["version 2", "version 2 without limit", "version 1", "version 1 without limit", "no cgroup"],
)
def test_quota_is_read_from_either_cgroup(
    tmp_path: Path, evidence: Door, files: dict[str, str], quota: float | None
) -> None:
    """The container's share of the processors is its cgroup's quota, of either version; without one, all of them."""
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{content}\n")
    there = len(os.sched_getaffinity(0))
    found = processors(tmp_path)
    evidence.saw("processors", f"{files}: {found}, of {there}")

    assert found == (there if quota is None else min(there, quota))


@pytest.mark.control("BAK-06")
def test_damaged_object_is_taken_anew(module_stack: Stack) -> None:
    """An upload's object that was cut short is set aside by the next snapshot, and taken whole from uploads/."""
    path = send_picture(module_stack)
    name = module_stack.take_snapshot()
    (sha256,) = {one["sha256"] for one in shelf_of(module_stack).snapshot(name)["manifest"]["uploads"]}
    assert sha256 in path
    module_stack.as_root("truncate", "--size=10", f"/srv/backups/objects/{sha256}")
    assert shelf_of(module_stack).files[f"objects/{sha256}"]["sha256"] != sha256

    module_stack.take_snapshot()

    assert shelf_of(module_stack).files[f"objects/{sha256}"]["sha256"] == sha256


@pytest.mark.control("BAK-06")
def test_upload_gone_from_the_site_is_told_and_comes_back(module_stack: Stack) -> None:
    """A file that rows name and that left uploads/ is told by the snapshot that still holds it; restoring it helps."""
    path = send_picture(module_stack)
    module_stack.take_snapshot()
    module_stack.as_root("rm", f"/srv/uploads/{path}")

    told = module_stack.run("backup", "now", "--json").json()
    words = module_stack.run("backup", "now").stderr
    known = backups_status(module_stack)
    lacking = module_stack.run("status").stdout
    module_stack.restore(told["name"])
    module_stack.wait_until_well()
    healed = module_stack.run("status").stdout, module_stack.run("backup", "now", "--json").json()

    assert (told["gone_from_uploads"], told["missing"], told["uploads"]) == ([path], [], 1)
    (warning,) = told["warnings"]
    assert (warning.startswith("1 upload is gone from uploads/ "), path in warning) == (True, True)
    assert "`./stack restore latest` puts back" in warning
    assert (f"warning: {warning}\n" in words, warning in lacking, warning in healed[0]) == (True, True, False)
    assert [one["kind"] for one in known["incidents"]].count("uploads-gone") == 1
    assert (healed[1]["gone_from_uploads"], healed[1]["missing"], healed[1]["warnings"]) == ([], [], [])
    assert module_stack.client.get(f"/uploads/{path}").content == MINIATURE


@pytest.mark.control("BAK-06")
@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        ("truncate --size=10", "differing_uploads"),
        ("sh -c 'printf X | dd of=$0 conv=notrunc seek=20 bs=1'", "differing_uploads"),
        ("chmod 0", "closed_uploads"),
    ],
    ids=["truncated", "overwritten", "closed"],
)
def test_upload_that_is_not_as_sent_is_told(module_stack: Stack, harm: str, kind: str) -> None:
    """An upload that was cut, written over or closed is told by the next snapshot as that; a restore puts it back."""
    path = send_picture(module_stack)
    module_stack.take_snapshot()
    module_stack.as_root(*shlex.split(harm), f"/srv/uploads/{path}")

    told = module_stack.run("backup", "now", "--json").json()
    module_stack.restore(told["name"])
    healed = module_stack.run("backup", "now", "--json").json()

    found = {key: told[key] for key in ("gone_from_uploads", "closed_uploads", "differing_uploads", "missing")}
    assert {key: paths for key, paths in found.items() if paths} == {kind: [path]}
    assert [path in warning for warning in told["warnings"]] == [True]
    assert (healed[kind], healed["warnings"]) == ([], [])
    assert module_stack.client.get(f"/uploads/{path}").content == MINIATURE


@pytest.mark.control("BAK-06")
def test_upload_gone_and_its_object_damaged_is_missing(module_stack: Stack) -> None:
    """A file that left uploads/ while its object is damaged too is told as missing, never as one that is held."""
    path = send_picture(module_stack)
    module_stack.take_snapshot()
    module_stack.as_root("rm", f"/srv/uploads/{path}")
    sha256 = Path(path).stem
    module_stack.as_root("python3", "-c", source_of("flip"), f"/srv/backups/objects/{sha256}")

    told = module_stack.run("backup", "now", "--json").json()
    send_picture(module_stack)

    assert (told["gone_from_uploads"], told["missing"]) == ([], [path])
    assert module_stack.run("backup", "now", "--json").json()["missing"] == []


@pytest.mark.control("BAK-05")
def test_verify_tells_a_damaged_snapshot_once(keeper: Keeper, contract: Contract) -> None:
    """A snapshot damaged in each tier is one line that names them, and a next step; JSON has each finding."""
    name = keeper.backup("now", "--json").json()["name"]
    keeper.python("flip", f"/srv/backups/daily/{name}.db.zst")

    found = keeper.backup("verify", "--json", expect=contract.exit_codes.damaged).json()
    counted, line, hint = keeper.backup("verify", expect=contract.exit_codes.damaged).stdout.splitlines()

    assert len(found["damaged"]) == len(TIERS)
    assert counted.endswith(" 1 damaged")
    assert json.loads(keeper.shell("cat /srv/status/backup.json"))["verified"]["damaged"] == 1
    assert line.startswith(f"{name}: /srv/backups/{{daily,weekly,monthly}}/{name}.db.zst: its sha256 ")
    assert hint == f"hint: {found['hint']}"
    assert "`./stack backup now`" in found["hint"]


@pytest.mark.control("BAK-05")
def test_verify_reads_each_copy_of_a_snapshot(keeper: Keeper, contract: Contract) -> None:
    """Where a tier holds a copy instead of a link, verifying reads that copy too, and says when it was read last."""
    name = keeper.backup("now", "--json").json()["name"]
    payload = f"weekly/{name}.db.zst"
    keeper.shell(f"cd /srv/backups; cp -p {payload} .copy; mv -f .copy {payload}")
    whole = keeper.backup("verify", "--json").json()
    listed = keeper.backup("list", "--json").json()["snapshots"][0]
    size = listed["bytes"]
    keeper.python("flip", f"/srv/backups/{payload}")

    damaged = keeper.backup("verify", "--json", expect=contract.exit_codes.damaged).json()

    assert (whole["outcome"], whole["bytes_read"]) == ("ok", 2 * size)
    assert listed["checked"] is not None
    assert [finding["name"] for finding in damaged["damaged"]] == [name]
    assert (whole["hint"], damaged["damaged_by_name"][0]["tiers"]) == (None, ["weekly"])
    assert payload in damaged["damaged"][0]["reason"]


@pytest.mark.control("RST-04")
def test_unpinned_safety_copy_is_dropped(keeper: Keeper) -> None:
    """A restore's safety copy stays while it is pinned; with the pin off the next rotation drops it."""
    keeper.backup("now")
    safety = keeper.backup("restore", "latest", "--json").json()["safety"]
    keeper.backup("rotate")
    assert safety in keeper.look().names("daily")

    answer = keeper.backup("unpin", safety, "--json").json()
    keeper.backup("rotate")

    assert (answer["name"], answer["kind"], answer["was_pinned"]) == (safety, "safety", True)
    assert safety not in keeper.look().names("daily")
    assert len(keeper.look().names("daily")) == 1


@pytest.mark.promise("a restore of an older, smaller database does not stop rotation")
def test_restored_rows_are_the_new_measure(keeper: Keeper) -> None:
    """Half the rows lost suspends rotation, half the rows given up by a restore does not."""
    small = keeper.backup("now", "--json").json()["name"]
    keeper.sql("INSERT INTO walks (body) SELECT body FROM walks, (VALUES (1), (2), (3), (4))")
    keeper.backup("now")
    keeper.sql("CREATE TABLE aside AS SELECT * FROM walks; DELETE FROM walks WHERE id > 10; DROP TABLE aside")
    lost = keeper.backup("now", "--json").json()["rotation"]["suspended"]
    keeper.backup("restore", small)

    restored = keeper.backup("now", "--json").json()["rotation"]["suspended"]

    assert lost is not None
    assert restored is None


@pytest.mark.control("BAK-09")
def test_busy_names_its_holder(keeper: Keeper, contract: Contract) -> None:
    """Who finds the backups locked is told which command is at work, and since when."""
    hold = (
        "import fcntl, subprocess, sys; sys.path.insert(0, '/app'); from pathlib import Path; "
        "from backup.repository import Repository; held = Repository(Path('/srv/backups')).locked('drill'); "
        "held.__enter__(); done = subprocess.run(['python3', '-m', 'backup', 'now'], capture_output=True, text=True); "
        "print(done.returncode, done.stderr)"
    )
    told = keeper.run("python3", "-c", hold).stdout

    assert told.startswith(f"{contract.exit_codes.busy} ")
    assert "`drill` since 20" in told
