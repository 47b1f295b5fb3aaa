"""Every form in which a database may lie about can be restored: packed or not, signed or not, from every tier."""

from datetime import datetime, timedelta

import pytest

from fixtures.contract import Contract
from fixtures.wrong_ways import LIVE, Bench

pytestmark = pytest.mark.promise("an old backup brought by hand can be restored")

NEW_ROW = "INSERT INTO walks (body) VALUES ('one more')"
PACK = {
    ".db": "cp raw.db NAME.db",
    ".db.gz": "gzip < raw.db > NAME.db.gz",
    ".db.zst": "cp /srv/backups/daily/NAME.db.zst .",
}


@pytest.mark.parametrize("ending", PACK)
@pytest.mark.parametrize("signed", [True, False], ids=["with its manifest", "without"])
def test_file_by_hand_is_restored(bench: Bench, ending: str, signed: bool) -> None:
    """A .db, .db.gz or .db.zst from elsewhere is restored; it counts as signed when its manifest lies beside it."""
    name, promised = bench.backup("now", "--json").json()["name"], bench.rows()
    raw = bench.restored(name)
    brought = f"mkdir /srv/scratch/by-hand; cd /srv/scratch/by-hand; cp {raw} raw.db; {PACK[ending]}; rm raw.db"
    bench.shell(brought.replace("NAME", name))
    bench.shell(f"cp /srv/backups/daily/{name}.json /srv/scratch/by-hand" if signed else ":")
    bench.shell("rm -rf /srv/backups/*ly")  # the shelf that knew it is gone
    bench.sqlite(LIVE, NEW_ROW)

    report = bench.backup("restore", f"/srv/scratch/by-hand/{name}{ending}", "--json").json()

    assert (report["outcome"], report["signed"]) == ("restored", signed)
    assert (bench.rows(), report["rows"]["walks"]) == (promised, promised)
    assert bench.sqlite(LIVE, "PRAGMA integrity_check") == "ok\n"


def test_gzip_is_a_setting(bench: Bench) -> None:
    """With gzip as the setting snapshots are .db.gz, stand beside those of zstd, are whole, and are restored."""
    first, promised = bench.backup("now", "--json").json()["name"], bench.rows()
    bench.sqlite(LIVE, NEW_ROW)

    packed = bench.attempt("MONSITE_BACKUP_COMPRESSION=gzip python3 -m backup now --json").json()
    bench.sqlite(LIVE, NEW_ROW)
    report = bench.backup("restore", packed["name"], "--json").json()
    shelf = bench.look()

    assert packed["path"] == f"daily/{packed['name']}.db.gz"
    assert bench.attempt(f"gzip -t /srv/backups/{packed['path']}").code == 0
    assert shelf.faults() == []
    assert {first, packed["name"]} <= shelf.names("daily")
    assert (report["source"], bench.rows()) == (packed["name"], promised + 1)


def test_every_tier_can_be_restored(bench: Bench, contract: Contract) -> None:
    """The oldest and the newest snapshot of each tier come out with the rows of their own day, beside the live one."""
    begin = datetime.fromisoformat(contract.backup.text("simulated_from"))
    promised = {}
    for run in range(contract.faults.whole("runs")):
        bench.sqlite(LIVE, NEW_ROW)
        at = begin + timedelta(days=run * contract.faults.whole("days_between"))
        promised[bench.backup("now", "--json", "--at", at.isoformat()).json()["name"]] = bench.rows()
    shelf = bench.look()
    ends = {
        name for tier in ("daily", "weekly", "monthly") for name in (min(shelf.names(tier)), max(shelf.names(tier)))
    }

    brought = {name: bench.rows(bench.restored(name)) for name in sorted(ends)}

    assert len(ends) > 2, "the tiers must reach back to different days"
    assert min(shelf.names("monthly")) < min(shelf.names("weekly")), "a month reaches back further than a week"
    assert brought == {name: promised[name] for name in ends}
    assert bench.rows() == max(promised.values()), "the live database is untouched"
