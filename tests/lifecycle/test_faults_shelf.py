"""Harm to the shelf itself: no hard links, a folder emptied by hand, uploads lost, objects damaged."""

import pytest

from fixtures.contract import Contract
from fixtures.launches import standing_still
from fixtures.services import CONTRACT
from fixtures.snapshots import MINIATURE, canonical, refused_and_unharmed, send_picture, shelf_of
from fixtures.stack import Stack
from fixtures.wrong_ways import lend_bench

EMPTY = "rm -rf /srv/backups/* /srv/backups/.[!.]*"


@pytest.mark.parametrize("without_links", [True, False], ids=["no hard links", "hard links"])
@pytest.mark.promise("a file system without hard links costs space, nothing else")
def test_tiers_stand_without_hard_links(images: dict[str, str], contract: Contract, without_links: bool) -> None:
    """Where the file system has no hard links each tier holds a copy of its own, whole, private and restorable."""
    with lend_bench(images["backup"], without_links=without_links) as bench:
        bench.python("make_database", str(contract.backup.whole("small_bytes")))
        name = bench.backup("now", "--json").json()["name"]
        shelf = bench.look()
        payloads = {path: about for path, about in shelf.files.items() if path.endswith(f"{name}.db.zst")}

        assert {one["tier"] for one in shelf.snapshots} == {"daily", "weekly", "monthly"}
        assert len({about["inode"] for about in payloads.values()}) == (len(payloads) if without_links else 1)
        assert {about["mode"] for about in payloads.values()} == {contract.backup.text("file_mode")}
        assert shelf.faults() == []
        bench.shell(f"rm -f /srv/backups/daily/{name}.* /srv/backups/weekly/{name}.*")
        assert bench.backup("restore", name, "--json").json()["source"] == name


@pytest.mark.promise("whoever empties the backups folder is told, and the next run begins anew")
def test_backups_folder_emptied_by_hand(module_stack: Stack) -> None:
    """With the backups folder emptied, a restore says there is none, and the next backup makes the folder anew."""
    module_stack.take_snapshot()
    with standing_still(module_stack):  # it would take a snapshot of its own
        module_stack.as_root("sh", "-c", EMPTY)

        refused_and_unharmed(
            module_stack, "restore", "latest", code=CONTRACT.exit_codes.unknown, words=("no verified snapshot",)
        )
        name = module_stack.take_snapshot()

    shelf = shelf_of(module_stack)
    assert (shelf.faults(), shelf.names("daily"), shelf.names("monthly")) == ([], {name}, {name})
    assert module_stack.restore("latest")["source"] == name


@pytest.mark.promise("whoever replaces the backups folder is told what to do")
def test_backups_folder_replaced_by_hand(module_stack: Stack) -> None:
    """With the backups folder removed and made anew the keeper says that it was replaced, and `up` mounts the new."""
    module_stack.as_root("sh", "-euc", "rm -rf /srv/backups; mkdir -m 0700 /srv/backups; chown 1001:1001 /srv/backups")

    refused = refused_and_unharmed(
        module_stack, "backup", "now", code=CONTRACT.exit_codes.failed, words=("/srv/backups", "./stack up")
    )
    module_stack.up()
    name = module_stack.take_snapshot()

    assert "was replaced under the running service" in refused.stderr
    assert shelf_of(module_stack).names("daily") >= {name}


@pytest.mark.control("RST-01")
def test_lost_uploads_are_put_back_by_a_hot_restore(module_stack: Stack) -> None:
    """With uploads/ lost under the running site, a hot restore puts every file back that its rows name."""
    picture = send_picture(module_stack)
    promised, name = canonical(module_stack), module_stack.take_snapshot()
    module_stack.lose_uploads()
    lost = module_stack.client.get(f"/uploads/{picture}")

    report = module_stack.restore(name)

    assert not lost.ok, "the loss must be real"
    assert (report["mode"], report["uploads_put_back"]) == ("hot", len(promised["uploads"]))
    assert canonical(module_stack) == promised
    assert module_stack.client.get(f"/uploads/{picture}").ok


@pytest.mark.control("RST-01")
@pytest.mark.parametrize(
    ("harm", "blocked", "kept"),
    [("rm {0}; mkdir {0}; echo mine > {0}/kept", "{0}", "/kept"), ("mv images gone; echo mine > images", "images", "")],
    ids=["a folder where the file belongs", "a file where its folder belongs"],
)
def test_what_stands_in_the_way_of_an_upload_is_moved_aside(
    module_stack: Stack, harm: str, blocked: str, kept: str
) -> None:
    """What stands where an upload belongs is told by the plan, moved aside whole, and the upload is back."""
    picture = send_picture(module_stack)
    name, blocked = module_stack.take_snapshot(), blocked.format(picture)
    module_stack.as_root("sh", "-euc", f"cd /srv/uploads; {harm.format(picture)}")

    planned = module_stack.run("restore", name, "--dry-run").stdout
    report = module_stack.restore(name)

    (aside,) = report["uploads_set_aside"].values()
    found = module_stack.as_root("sh", "-euc", f"cd /srv/uploads; cat {aside}{kept}; ls -A images").stdout
    module_stack.as_root("sh", "-euc", "cd /srv/uploads; rm -rf gone *.set-aside_* */*.set-aside_*")
    assert f"In the way of an upload, to be moved aside: uploads/{blocked} to uploads/{blocked}.set-aside_" in planned
    assert (list(report["uploads_set_aside"]), report["outcome"]) == ([blocked], "restored")
    assert (found.startswith("mine\n"), ".restoring" in found) == (True, False)
    assert module_stack.client.get(f"/uploads/{picture}").content == MINIATURE


@pytest.mark.control("BAK-05")
def test_damaged_object_is_found_named_and_taken_anew(module_stack: Stack) -> None:
    """`verify` names a damaged object; without the upload beside it a restore is refused, with it the next snapshot
    takes it anew."""
    picture = send_picture(module_stack)
    name = module_stack.take_snapshot()
    promised = canonical(module_stack)
    digest = picture.split("/")[1].split(".")[0]
    spoil = f"cd /srv/backups/objects; printf spoiled | dd of={digest} conv=notrunc"
    hide, unhide = f"cd /srv/uploads; mv {picture} hidden", f"cd /srv/uploads; mv hidden {picture}"

    module_stack.as_root("sh", "-euc", f"{spoil}; {hide}")
    refused_and_unharmed(
        module_stack, "restore", name, code=CONTRACT.exit_codes.damaged, words=(picture, "--allow-missing")
    )
    module_stack.as_root("sh", "-euc", unhide)
    found = module_stack.run("backup", "verify", "--json", expect=CONTRACT.exit_codes.damaged)
    module_stack.take_snapshot()
    again = module_stack.run("backup", "verify", "--json")

    assert picture in found.stdout
    assert again.json()["damaged"] == []
    assert canonical(module_stack) == promised
