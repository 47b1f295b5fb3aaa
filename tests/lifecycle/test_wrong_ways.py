"""The ways in which SQLite databases are backed up and restored by hand: how each goes wrong, and that ours does not.

Every wrong way is run as people type it, and ours beside it on the same files.
"""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from fixtures.contract import Contract
from fixtures.engine_facts import container
from fixtures.evidence import door
from fixtures.snapshots import canonical, shelf_of
from fixtures.stack import Stack
from fixtures.walks import new_walk
from fixtures.wrong_ways import LIVE, Bench, as_stranger, lend_bench

pytestmark = pytest.mark.promise("every way in which backups by hand go wrong is closed")

NEW_NOTE = (
    "INSERT INTO walks (body) "
    "VALUES (concat_ws(char(10), 'How to count:', 'SELECT 1;', '.shell touch /srv/scratch/executed', 'and so on'))"
)
NEW_ROW = "INSERT INTO walks (body) VALUES ('the newest walk')"
TIMED_OUT = 124  # of the program `timeout`
COPY_IN = "rm -f /srv/data/balades.db-wal /srv/data/balades.db-shm; cp OLD /srv/data/.new && mv /srv/data/.new " + LIVE


def test_read_only_mount_fails_once_the_app_stopped(bench: Bench) -> None:
    """From a read-only mount `.backup` of a cleanly stopped site fails and leaves 0 bytes; ours takes every row."""
    with bench.app() as app:
        app.sql(NEW_ROW)

    naive = bench.attempt("sqlite3 /srv/read-only/balades.db '.backup /srv/scratch/naive.db'")
    left = bench.shell("stat --format=%s /srv/scratch/naive.db")
    ours = bench.backup("now", "--json").json()

    assert (naive.code, left) == (1, "0\n")
    assert "unable to open database file" in naive.stderr
    assert ours["rows"]["walks"] == bench.rows()


def test_read_only_mount_is_a_lottery_with_an_app_per_request(bench: Bench, contract: Contract) -> None:
    """From a read-only mount most `.backup`s fail while an app opens the database per request; ours all succeed."""
    tries = contract.faults.whole("per_request_tries")
    again = f"for i in $(seq {tries}); do sqlite3 /srv/read-only/balades.db '.backup /srv/scratch/x.db'; echo $?; done"

    with bench.commits(contract.faults.number("per_request_commits_per_s"), per_request=True) as written:
        naive = bench.attempt(again).stdout.split()
        ours = [bench.backup("now", "--json").json()["outcome"] for _ in range(3)]

    assert len(naive) == tries
    assert naive.count("0") < tries / 2
    assert ours == ["success"] * 3
    assert written["commits"] > tries, "there must have been requests all the while"


def test_immutable_leaves_out_what_is_in_the_wal(bench: Bench) -> None:
    """`immutable=1` ends with 0 and passes quick_check, yet lacks every row of the write-ahead log; ours has them."""
    before = bench.rows()
    with bench.app() as app:
        app.sql(NEW_ROW)

        naive = bench.attempt("sqlite3 'file:/srv/read-only/balades.db?immutable=1' '.backup /srv/scratch/naive.db'")
        check = bench.sqlite("/srv/scratch/naive.db", "PRAGMA quick_check")
        ours = bench.backup("now", "--json").json()

    assert (naive.code, naive.stderr, check) == (0, "", "ok\n")
    assert bench.rows("/srv/scratch/naive.db") == before
    assert ours["rows"]["walks"] == before + 1


def test_restoring_through_the_shell_executes_the_data(bench: Bench) -> None:
    """`gunzip -c … | sqlite3` restores nothing and runs a command out of a note; ours restores and runs nothing."""
    with bench.app() as app:
        app.sql("DELETE FROM walks")
        app.sql("VACUUM")  # what is left of random bytes may hold a quotation mark, and the shell waits for its end
        app.sql(NEW_NOTE)
    rows = bench.rows()
    bench.shell(f"sqlite3 {LIVE} '.backup /srv/scratch/x.db' && gzip /srv/scratch/x.db")

    bench.attempt("gunzip -c /srv/scratch/x.db.gz | sqlite3 /srv/scratch/naive.db")
    tables = bench.sqlite("/srv/scratch/naive.db", ".tables")
    executed = bench.shell("cd /srv/scratch; ls executed; rm -f executed")
    bench.sqlite(LIVE, "DELETE FROM walks")
    bench.backup("restore", "/srv/scratch/x.db.gz")

    assert tables.split() == []
    assert executed == "executed\n"
    assert bench.rows() == rows
    assert bench.attempt("ls /srv/scratch/executed").code != 0


@pytest.mark.parametrize(
    ("before_the_crash", "outcome"),
    [
        # the whole change stands in the stale log: it is simply done again
        ("PRAGMA wal_autocheckpoint", "undone"),
        # the log holds the newest pages only: they meet pages of another time
        ("PRAGMA wal_checkpoint(TRUNCATE)", "corrupt"),
    ],
    ids=["silently undone", "corrupt"],
)
def test_copy_over_a_stale_wal(bench: Bench, before_the_crash: str, outcome: str) -> None:
    """`cp` of a backup over a database with a stale log is undone by it, or corrupt; ours is what the backup holds."""
    name = bench.backup("now", "--json").json()["name"]
    old, promised = bench.restored(name), bench.rows()
    with bench.app() as app:
        app.sql("PRAGMA wal_autocheckpoint = 0")
        app.sql("INSERT INTO walks (body) SELECT randomblob(3000) FROM walks, walks")
        app.sql(before_the_crash)
        app.sql(NEW_ROW)
        changed = app.sql("SELECT count(*) FROM walks")[0][0]
        app.kill()
    bench.shell("mkdir /srv/scratch/kept && cp -a /srv/data/. /srv/scratch/kept")

    bench.shell(f"cp {old} {LIVE}")
    naive = bench.attempt("sqlite3 /srv/data/balades.db 'PRAGMA integrity_check; SELECT count(*) FROM walks'")
    bench.shell("rm -rf /srv/data/balades.db* && cp -a /srv/scratch/kept/. /srv/data")
    bench.backup("restore", name, "--cold")

    whole = naive.code == 0 and naive.stdout.startswith("ok\n")
    found = {promised: "restored", changed: "undone"}[int(naive.stdout.split()[-1])] if whole else "corrupt"
    assert found == outcome
    assert changed != promised, "or an undone restore could not be told from a good one"
    assert bench.rows() == promised
    assert bench.sqlite(LIVE, "PRAGMA integrity_check") == "ok\n"


def test_rename_under_a_running_app_loses_its_writes(bench: Bench, contract: Contract) -> None:
    """After a rename under a running app its writes are acknowledged and gone; after ours, which the app takes part
    in, they are kept, and the cold way refuses while the app is connected."""
    name = bench.backup("now", "--json").json()["name"]
    old, promised = bench.restored(name), bench.rows()
    with bench.app() as app:
        app.sql(NEW_ROW)
        bench.shell(COPY_IN.replace("OLD", old))
        acknowledged = app.sql(NEW_ROW)
        naive = bench.rows()

    with bench.app() as app:
        app.sql(NEW_ROW)
        bench.backup("restore", name)
        seen = app.sql("SELECT count(*) FROM walks")[0][0]
        app.sql(NEW_ROW)
        ours = bench.rows()
        cold = bench.backup("restore", name, "--cold", expect=contract.exit_codes.busy)
        after = bench.rows()

    assert (acknowledged, naive) == ([], promised), "no error, and no row"
    assert (seen, ours) == (promised, promised + 1)
    assert "still connected" in cold.stderr
    assert after == ours


@pytest.mark.parametrize(
    "naive",
    [
        f"sqlite3 {LIVE} '.backup /srv/scratch/naive.db'",
        f'python3 -c \'from sqlite3 import *; connect("{LIVE}").backup(connect("/srv/scratch/naive.db"), pages=100)\'',
    ],
    ids=[".backup", "backup(pages=100)"],
)
def test_naive_copy_never_ends_under_writes(images: dict[str, str], contract: Contract, naive: str) -> None:
    """Under 50 commits a second a copy in small steps begins anew for ever; ours ends and holds what was there."""
    promised = contract.faults
    given = f"timeout {promised.whole('naive_given_s')} {naive}"
    with lend_bench(images["backup"]) as bench:
        bench.python("make_database", str(promised.whole("busy_database_bytes")))
        rows = bench.rows()
        alone = bench.attempt(given)

        with bench.commits(promised.number("commits_per_s")) as written:
            beside_writes = bench.attempt(given)
            ours = bench.backup("now", "--json").json()

        assert (alone.code, beside_writes.code) == (0, TIMED_OUT)
        assert rows < ours["rows"]["walks"] <= rows + written["commits"]
        assert written["commits"] / written["took_s"] > promised.number("commits_per_s") / 2


def test_dump_of_a_corrupt_database_restores_to_nothing(bench: Bench, contract: Contract) -> None:
    """`.dump` of a corrupt database ends with 0 and restores to no table at all; ours refuses and says so."""
    with bench.app() as app:
        app.sql("INSERT INTO walks (body) SELECT randomblob(3000) FROM walks")
    bench.damage_source("pages in its middle")

    dumped = bench.attempt(f"sqlite3 {LIVE} .dump > /srv/scratch/naive.sql")
    bench.attempt("sqlite3 /srv/scratch/naive.db < /srv/scratch/naive.sql")
    tables = bench.sqlite("/srv/scratch/naive.db", ".tables")
    ours = bench.backup("now", expect=contract.exit_codes.unreadable)

    assert (dumped.code, tables.split()) == (0, [])
    assert f"the copy of {LIVE}: " in ours.stderr
    assert bench.look().kept() == {}


def test_flipped_bit_in_a_text_is_seen_by_no_check_of_sqlite(bench: Bench, contract: Contract) -> None:
    """One flipped bit in a text passes integrity_check; ours knows the database by its digest and refuses it."""
    with bench.app() as app:
        app.sql("INSERT INTO walks (body) VALUES ('Col de la Croix')")
    name = bench.backup("now", "--json").json()["name"]
    raw = bench.restored(name)
    bench.backup("restore", raw, "--dry-run")
    flip = f"path = {raw!r}; old = open(path, 'rb').read(); open(path, 'wb').write(old.replace(b'Croix', b'Crnix'))"
    bench.run("python3", "-c", flip)  # the letters o and n differ in one bit

    check = bench.sqlite(raw, "PRAGMA integrity_check")
    read = bench.sqlite(raw, "SELECT count(*) FROM walks WHERE body = 'Col de la Crnix'")
    ours = bench.backup("restore", raw, expect=contract.exit_codes.damaged)

    assert (check, read) == ("ok\n", "1\n")
    assert f"{raw}: the database inside is not the one its manifest describes" in ours.stderr


def test_killed_script_leaves_broken_files_under_final_names(images: dict[str, str], contract: Contract) -> None:
    """Most kills of the script leave a broken file where a restore would take it; no kill of ours leaves one."""
    promised = contract.faults
    script = 'f=/srv/scratch/naive/$(date +%s%N).db; sqlite3 /srv/data/balades.db ".backup $f" && gzip "$f"'
    how = (str(contract.backup.whole("seed")), str(promised.whole("kills")))
    with lend_bench(images["backup"]) as bench:
        bench.python("make_database", str(promised.whole("kill_database_bytes")))
        bench.shell("mkdir /srv/scratch/naive")

        naive = bench.python("kills", *how, "sh", "-c", script)
        ours = bench.python("kills", *how, "python3", "-m", "backup", "now")
        by_hand = bench.python("naive_shelf", "/srv/scratch/naive", str(bench.rows()))
        shelf = bench.look()

        assert naive["killed"] == ours["killed"] == promised.whole("kills")
        assert by_hand["files"] - by_hand["good"] > promised.whole("kills") / 2
        assert by_hand["good"] >= 1, "left alone, the script must work"
        assert shelf.faults() == []
        assert shelf.names("daily") != set()


def test_find_delete_empties_the_shelf_while_backups_fail(bench: Bench, contract: Contract, tmp_path: Path) -> None:
    """After nine days of failing backups `find -mtime +7 -delete` has left none; ours has dropped none."""
    week, failing = range(7), contract.faults.whole("failing_days")
    begin = datetime.fromisoformat(contract.backup.text("simulated_from"))
    for day in week:
        bench.backup("now", "--at", (begin + timedelta(days=day)).isoformat())
    before = bench.look().kept()
    bench.damage_source("gone")

    for day in range(failing + 1):
        for age in week:
            if day == 0 or (tmp_path / f"{age}.db.gz").exists():
                door.run("touch", "-d", f"-{age + day} days", str(tmp_path / f"{age}.db.gz"))
        door.run("find", str(tmp_path), "-name", "*.db.gz", "-mtime", "+7", "-delete")
        if day == 0:
            assert len(list(tmp_path.iterdir())) == len(week), "while backups succeed, the rule keeps a week of them"
    nights = [(begin + timedelta(days=len(week) + day)).isoformat() for day in range(failing)]
    codes = [bench.backup("now", "--at", night, expect=None).code for night in nights]
    bench.backup("rotate", "--at", (begin + timedelta(days=len(week) + failing)).isoformat())

    assert list(tmp_path.iterdir()) == []
    assert codes == [contract.exit_codes.unreadable] * failing
    assert bench.look().kept() == before
    assert len(bench.look().names("daily")) == len(week)


@pytest.mark.parametrize("user", ["1002:1001", "0:1001"], ids=["another uid", "root without capabilities"])
def test_backup_under_another_user_stops_the_site_from_writing(
    module_stack: Stack, contract: Contract, user: str
) -> None:
    """`.backup` as another user succeeds while the app is stopped, and the site then refuses every write; after ours
    it writes on."""
    app = container(module_stack.service("app").container)
    app.stop()
    module_stack.as_root("sh", "-euc", "cd /srv/data; chmod 0770 .; chmod 0640 balades.db; rm -f balades.db-*")

    naive = as_stranger(module_stack, user, "sqlite3 /srv/data/balades.db '.backup /srv/scratch/naive.db'")
    left = module_stack.as_root("stat", "--format=%u", "/srv/data/balades.db-wal", "/srv/data/balades.db-shm")
    app.start()
    module_stack.wait_until_alive(within=contract.recovery.ready_s)
    status, ill = module_stack.ask_app("/api/health")  # which writes

    app.stop()
    module_stack.as_root("sh", "-euc", "cd /srv/data; rm -f balades.db-*; chmod 0600 balades.db; chmod 0700 .")
    ours = module_stack.take_snapshot()
    beside = module_stack.as_root("sh", "-c", "stat --format=%u /srv/data/* | sort -u").stdout.split()
    app.start()
    module_stack.wait_until_ready(within=contract.recovery.ready_s)

    uid = user.split(":", 1)[0]
    assert (naive.code, left.stdout.split()) == (0, [uid, uid])
    assert (status, json.loads(ill)["error"]) == (500, "database_readonly")
    assert beside == [str(contract.stack.uid)]
    assert ours in shelf_of(module_stack).names("daily")
    assert module_stack.write_walk() in module_stack.read_walks()


def test_site_refuses_to_write_into_a_renamed_file(module_stack: Stack, contract: Contract) -> None:
    """After a rename under it the site refuses writes instead of losing them; a restore of ours makes it whole."""
    module_stack.write_walk()
    promised = canonical(module_stack)
    name = module_stack.take_snapshot()
    before = module_stack.service("app").facts.started

    module_stack.as_root("sh", "-euc", "cd /srv/data; cp -a balades.db .new; rm -f balades.db-*; mv .new balades.db")
    status, refused = module_stack.ask_app("/api/walks", json.dumps(new_walk()))
    container(module_stack.service("app").container).restart()
    module_stack.wait_until_ready(within=contract.recovery.ready_s)
    module_stack.restore(name)

    assert (status >= 500, json.loads(refused)["error"]) == (True, "database_missing")
    assert module_stack.service("app").facts.started != before
    assert canonical(module_stack) == promised
    assert module_stack.write_walk() in module_stack.read_walks()
