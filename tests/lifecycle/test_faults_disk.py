"""A disk that is full or forbidden at the worst moment: nothing half-done stands, and what stood still does."""

import pytest

from fixtures.beside import beside, told
from fixtures.contract import Contract
from fixtures.launches import standing_still
from fixtures.services import CONTRACT
from fixtures.snapshots import canonical, refused_and_unharmed, shelf_of
from fixtures.stack import Stack
from fixtures.wrong_ways import LIVE, Bench, lend_bench

PAGE = 4096  # what a file takes at least, in memory
KEPT = "cd /srv/backups && sha256sum daily/* weekly/* monthly/* && ls -A .staging objects"


@pytest.mark.control("BAK-07")
def test_disk_full_at_publishing_publishes_nothing(images: dict[str, str], contract: Contract) -> None:
    """With one page more at each try a run fails ever later, at last at its manifest, and leaves nothing each time."""
    with lend_bench(images["backup"], mount={"backups": f"size={contract.faults.whole('tiny_mib')}m"}) as bench:
        bench.python("make_database", str(contract.faults.whole("published_bytes")))
        made = bench.backup("now", "--json").json()
        left = sum(-(-made[part] // PAGE) * PAGE for part in ("raw_bytes", "bytes")) - PAGE
        free = "$(( $(stat -f -c '%a * %S' /srv/backups) ))"
        bench.shell(f"head -c $(( {free} - {left} )) /dev/zero > /srv/backups/.filler")
        before, refusals = bench.shell(KEPT), []

        while (run := bench.backup("now", expect=None)).code == contract.exit_codes.no_space:
            refusals.append(run.stderr)
            assert bench.shell(KEPT) == before
            bench.shell(f"truncate -s -{PAGE} /srv/backups/.filler")
        shelf = bench.look()

        assert run.code == 0, run.told()
        assert "error: snapshot balades_" in refusals[-1], "the last thing that fails is the publishing"
        assert [said for said in refusals if "no space left" not in said or "hint: " not in said] == []
        assert (shelf.faults(), len(shelf.names("daily"))) == ([], 2)


@pytest.mark.control("BAK-07")
def test_disk_without_room_for_names_is_told_from_a_damaged_source(images: dict[str, str], contract: Contract) -> None:
    """With space but hardly a name for a file left a run is refused for that reason, and nothing is lost."""
    few = f"size={contract.faults.whole('cramped_mib')}m,nr_inodes={contract.faults.whole('few_files')}"
    with lend_bench(images["backup"], mount={"backups": few}) as bench:
        bench.python("make_database", str(contract.faults.whole("exchanged_bytes")))
        bench.backup("now")
        before = bench.shell(KEPT)
        bench.shell(
            "cd /srv/backups; number=0; while touch .filler-$((number += 1)) 2>/dev/null; do :; done; rm .filler-1"
        )

        refused = bench.backup("now", expect=contract.exit_codes.no_space)
        after = bench.shell(KEPT)
        bench.shell("rm /srv/backups/.filler-*")
        bench.backup("now")

        assert "/srv/backups: 1 more files can be made there" in refused.stderr
        assert before == after != ""


@pytest.mark.control("RST-03")
@pytest.mark.parametrize("way", [[], ["--cold"]], ids=["hot", "cold"])
def test_disk_full_in_the_exchange_leaves_the_old_database(
    images: dict[str, str], contract: Contract, way: list[str]
) -> None:
    """When data/ fills up in the middle of an exchange the old database stands, whole, and with space it works."""
    with lend_bench(images["backup"], mount={"data": f"size={contract.faults.whole('cramped_mib')}m"}) as bench:
        bench.python("make_database", str(contract.faults.whole("exchanged_bytes")))
        name = bench.backup("now", "--json").json()["name"]
        promised = bench.rows()
        bench.sqlite(LIVE, "DELETE FROM walks WHERE id % 2")
        rows = bench.rows()

        left = str(contract.faults.whole("left_bytes"))
        with beside(bench.name, "fill_when", "/srv/data/balades.db.backup", "/srv/data/.filler", left) as filling:
            told(filling)
            refused = bench.backup("restore", name, *way, expect=contract.exit_codes.no_space)
            told(filling)
        bench.shell("rm /srv/data/.filler")  # SQLite itself needs a little room to open a database with a WAL
        whole = bench.sqlite(LIVE, "PRAGMA integrity_check")
        after = bench.rows()
        bench.backup("restore", name, *way)

        assert "/srv/data/" in refused.stderr
        assert "hint: free some space" in refused.stderr
        assert (whole, after) == ("ok\n", rows)
        assert bench.rows() == promised != rows


@pytest.mark.promise("a folder that cannot be written is named, with the way to give it back")
def test_forbidden_folder_is_named(module_stack: Stack) -> None:
    """A folder that somebody has made root's is refused by its name; given back, the same command works."""
    folder, command = "backups", ("backup", "now")
    module_stack.take_snapshot()
    before = shelf_of(module_stack).faults()
    with standing_still(module_stack):  # it would try by itself, and be at work when the folder is given back
        module_stack.as_root("chown", "-R", "0:0", f"/srv/{folder}")
        try:
            refused = refused_and_unharmed(
                module_stack, *command, code=CONTRACT.exit_codes.failed, words=(f"/srv/{folder}", "Permission denied")
            )
        finally:
            module_stack.as_root("chown", "-R", "1001:1001", f"/srv/{folder}")

    assert "must belong to 1001:1001" in refused.stderr
    assert shelf_of(module_stack).faults() == before == []
    promised = canonical(module_stack)
    module_stack.run(*command)
    assert canonical(module_stack)["uploads"] == promised["uploads"]


DONE = (
    # the command, and the outcome that it tells although its state cannot be published
    (("now",), "success"),
    (("verify",), "ok"),
    (("rotate",), "applied"),
    (("restore", "latest"), "restored"),
    (("restore", "latest", "--cold"), "restored"),
)


@pytest.mark.promise("a folder that cannot be written is named, with the way to give it back")
@pytest.mark.parametrize(("command", "outcome"), DONE, ids=[" ".join(case[0]) for case in DONE])
def test_what_was_done_stays_done_without_a_status_folder(bench: Bench, command: tuple[str, ...], outcome: str) -> None:
    """With status/ forbidden a command that did its work ends well, and warns that its state is not published."""
    bench.backup("now")
    bench.shell("chmod 500 /srv/status")

    done = bench.backup(*command, "--json")

    assert done.json()["outcome"] == outcome
    (warning,) = done.json()["warnings"]
    assert warning.startswith("the state could not be published: status folder /srv/status: Permission denied")
    assert "must belong to 1001:1001" in warning
