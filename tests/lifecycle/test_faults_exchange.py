"""The exchange of a restore, cut off at each of its steps, found untrue after it, or hindered by the disk around it."""

import json
from typing import Any

import pytest

from fixtures.backend import execute
from fixtures.contract import Contract
from fixtures.evidence import Completed
from fixtures.wrong_ways import LIVE, Bench

NEW_ROW = "INSERT INTO walks (body) VALUES ('in the log alone')"
PATCHED = (
    "import sys; sys.path.insert(0, '/app'); from backup import cli, exchange\n{}\nsys.exit(cli.main(sys.argv[1:]))"
)


def patched(bench: Bench, patch: str, *argv: str) -> Completed:
    """Run a command of the keeper in which something was exchanged for a fault."""
    return execute(bench.name, ["python3", "-c", PATCHED.format(patch), *argv], within=60)


def unsaved(bench: Bench) -> None:
    """Damage the live database and leave a row in its write-ahead log alone, as a killed site does."""
    with bench.app() as app:
        app.sql(NEW_ROW)
        app.kill()
    bench.damage_source("pages in its middle")
    assert "balades.db-wal" in bench.shell("ls /srv/data")


@pytest.mark.control("RST-05")
def test_cold_exchange_cut_off_anywhere_parts_no_database_from_its_log(bench: Bench) -> None:
    """Killed at any step, the cold restore of a damaged database leaves it with its log, live or aside, or the new."""
    name = bench.backup("now", "--json").json()["name"]
    unsaved(bench)

    told: list[dict[str, Any]] = bench.python("cut_cold", name)

    states = [one["state"] for one in told]
    assert set(states) == {"old", "aside", "new"}, json.dumps(told)
    assert states == sorted(states, key=["old", "aside", "new"].index)
    assert [one["left"] for one in told if one["left"]] == [], "the restore after it tidies up"


@pytest.mark.control("RST-04")
def test_what_was_kept_is_named_as_it_lies_there(bench: Bench) -> None:
    """With the database gone and its log left, a cold restore names the log it moved aside, and that file is there."""
    name = bench.backup("now", "--json").json()["name"]
    bench.shell(f"rm {LIVE}; echo left > {LIVE}-wal")

    kept = bench.backup("restore", name, "--cold", "--json").json()["kept"]

    assert kept.endswith("-wal")
    assert bench.shell(f"cat /srv/{kept}") == "left\n"


@pytest.mark.control("RST-04")
def test_what_was_kept_can_be_restored(bench: Bench, contract: Contract) -> None:
    """The database that a restore kept comes back under its own name; one moved aside is judged by its content."""
    name = bench.backup("now", "--json").json()["name"]
    bench.sqlite(LIVE, NEW_ROW)
    rows = bench.rows()
    bench.backup("restore", name)
    bench.shell(f"cp {LIVE}.backup /srv/scratch/balades.db.backup")
    bench.shell("echo spoilt > /srv/scratch/balades.db.damaged_20261122_020000")

    bench.backup("restore", "/srv/scratch/balades.db.damaged_20261122_020000", expect=contract.exit_codes.damaged)
    bench.backup("restore", "/srv/scratch/balades.db.backup")

    assert bench.rows() == rows


UNTRUE = {
    # what is done instead of the exchange; each leaves the old database as the live one
    "hot": ("exchange.hot = lambda live, raw, step: exchange.Exchanged(0.0, exchange.database.describe(live))", []),
    "cold": (
        "exchange.cold = lambda live, raw, now, saved: exchange.Exchanged(0.0, exchange._look_at(live))",
        ["--cold"],
    ),
}


@pytest.mark.control("RST-04")
@pytest.mark.parametrize(("patch", "way"), UNTRUE.values(), ids=UNTRUE)
def test_exchange_that_did_not_take_place_is_told(bench: Bench, contract: Contract, patch: str, way: list[str]) -> None:
    """Rows that are not the snapshot's after the exchange end it with 1, and the answer names the safety copy."""
    name = bench.backup("now", "--json").json()["name"]
    bench.sqlite(LIVE, NEW_ROW)

    failed = patched(bench, patch, "restore", name, "--json", *way)

    answer = json.loads(failed.stdout)
    assert failed.code == answer["code"] == contract.exit_codes.failed
    assert answer["outcome"] == "failure"
    assert answer["safety"] in bench.look().names("daily")
    assert answer["kept"] == "data/balades.db.backup"
    assert "after the restore it holds" in answer["error"]
    assert answer["safety"] in answer["hint"]


@pytest.mark.control("RST-04")
def test_exchange_that_leaves_the_database_unreadable_is_told(bench: Bench, contract: Contract) -> None:
    """A database that cannot be read after the exchange ends it with 1 and the safety copy's name, not as a refusal."""
    name = bench.backup("now", "--json").json()["name"]
    spoil = (
        "real = exchange.cold\ndef spoilt(live, *a, **k):\n"
        "    done = real(live, *a, **k); live.write_bytes(b'x' * 9000)\n"
        "    return exchange.Exchanged(done.seconds, exchange._look_at(live))\nexchange.cold = spoilt"
    )

    failed = patched(bench, spoil, "restore", name, "--json", "--cold")

    answer = json.loads(failed.stdout)
    assert (failed.code, answer["outcome"]) == (contract.exit_codes.failed, "failure")
    assert answer["safety"] in bench.look().names("daily")


@pytest.mark.control("RST-03")
@pytest.mark.parametrize("way", [[], ["--dry-run"], ["--cold"]], ids=["hot", "planned", "cold"])
def test_write_protected_database_is_named(bench: Bench, contract: Contract, way: list[str]) -> None:
    """A live database that the keeper may not write is named as that before the site is asked to stop."""
    name = bench.backup("now", "--json").json()["name"]
    bench.shell(f"chmod 400 {LIVE}")

    refused = bench.backup("restore", name, *way, expect=contract.exit_codes.unreadable)

    assert f"{LIVE}: Permission denied" in refused.stderr
    assert "./stack up" in refused.stderr
    assert "still connected" not in refused.stderr
    assert "defect" not in refused.stderr


@pytest.mark.control("RST-03")
@pytest.mark.parametrize(
    ("code", "ends"), [("SQLITE_BUSY", "busy"), ("SQLITE_IOERR", "unreadable"), ("SQLITE_FULL", "no_space")]
)
def test_error_of_sqlite_in_the_exchange_has_its_own_code(
    bench: Bench, contract: Contract, code: str, ends: str
) -> None:
    """Of SQLite's errors while a cold restore takes the database for itself only a lock means a connected site."""
    name = bench.backup("now", "--json").json()["name"]
    fails = (
        "import sqlite3\nreal = exchange.database.connect\nclass Failing:\n"
        "    def execute(self, line):\n"
        f"        wrong = sqlite3.OperationalError('as asked'); wrong.sqlite_errorcode = sqlite3.{code}; raise wrong\n"
        "    def close(self): pass\n"
        "def connect(path, mode, **k): return Failing() if k.get('timeout') == 1.0 else real(path, mode, **k)\n"
        "exchange.database.connect = connect"
    )

    refused = patched(bench, fails, "restore", name, "--cold")

    assert refused.code == getattr(contract.exit_codes, ends), refused.told()
    assert ("still connected" in refused.stderr) == (ends == "busy")


@pytest.mark.control("RST-03")
@pytest.mark.parametrize("target", [LIVE, "/srv/data/link.db"])
def test_writing_elsewhere_overwrites_nothing(bench: Bench, contract: Contract, target: str) -> None:
    """`restore --to` refuses a path at which something stands, the live database or a link, and leaves it as it is."""
    name = bench.backup("now", "--json").json()["name"]
    bench.sqlite(LIVE, NEW_ROW)
    bench.shell("ln -s nowhere /srv/data/link.db")
    rows = bench.rows()

    refused = bench.backup("restore", name, "--to", target, expect=contract.exit_codes.usage)

    assert f"{target}: exists already" in refused.stderr
    assert (bench.rows(), bench.shell("readlink /srv/data/link.db")) == (rows, "nowhere\n")


LEFT = (
    "data/.balades.db.restored",
    "data/..balades.db.restored.part",
    "data/.balades.db.backup.part",
    f"uploads/images/.{'a' * 64}.restoring",
)


@pytest.mark.control("RST-05")
def test_what_a_killed_restore_left_is_swept(bench: Bench) -> None:
    """What a killed restore left in data/ and uploads/ is removed by the next; what people put there stays."""
    name = bench.backup("now", "--json").json()["name"]
    bench.shell(
        "cd /srv; mkdir uploads/images; touch data/.mine data/notes.part uploads/images/.x.restoring " + " ".join(LEFT)
    )

    bench.backup("restore", name)

    left = [
        f"{folder}/{file}"
        for folder in ("data", "uploads/images")
        for file in bench.shell(f"ls -A /srv/{folder}").split()
    ]
    assert [path for path in LEFT if path in left] == []
    assert {"data/.mine", "data/notes.part", "uploads/images/.x.restoring"} <= set(left)


@pytest.mark.control("RST-04")
def test_log_of_a_lost_database_stays(bench: Bench) -> None:
    """What an earlier restore kept of a database whose file was lost is no leftover, though the live one has a WAL."""
    name = bench.backup("now", "--json").json()["name"]
    kept = "/srv/data/balades.db.damaged_20260101_000000-wal"
    bench.shell(f"echo 'all that is left' > {kept}")

    with bench.app() as app:
        app.sql("INSERT INTO walks (body) VALUES (randomblob(100))")
        beside = bench.shell("ls /srv/data/balades.db-wal")
        bench.backup("restore", name)

    assert beside == "/srv/data/balades.db-wal\n", "the live database must have a WAL, or nothing could be mistaken"
    assert bench.shell(f"cat {kept}") == "all that is left\n"


@pytest.mark.control("RST-04")
def test_kept_copy_is_replaced_only_after_the_safety_snapshot(bench: Bench) -> None:
    """When a safety snapshot cannot be published, data/balades.db.backup is still the one of the restore before."""
    name = bench.backup("now", "--json").json()["name"]
    bench.backup("restore", name)
    before = bench.shell(f"sha256sum {LIVE}.backup")
    bench.sqlite(LIVE, NEW_ROW)
    fails = "from backup.repository import Repository\ndef fail(*a): raise OSError(5, 'no')\nRepository.publish = fail"

    failed = patched(bench, fails, "restore", name)

    assert failed.code != 0
    assert bench.shell(f"sha256sum {LIVE}.backup") == before


SYNCED = (
    "import os\nreal, rename, told = os.fsync, os.rename, []\n"
    "def sync(fd): told.append(('sync', os.readlink(f'/proc/self/fd/{fd}'))); return real(fd)\n"
    "os.fsync = sync\n"
    "def note(event, args): event == 'os.rename' and told.append(('rename', *map(str, args[:2])))\n"
    "sys.addaudithook(note)\n"
    "import atexit, json; atexit.register(lambda: print('TOLD' + json.dumps(told), file=sys.stderr))"
)


@pytest.mark.control("BAK-04")
@pytest.mark.parametrize("argv", [("now",), ("restore", "latest"), ("restore", "latest", "--cold")], ids=" ".join)
def test_each_name_reaches_the_disk(bench: Bench, argv: tuple[str, ...]) -> None:
    """After each rename the folder that received the name is synced, and staging before what is staged moves in."""
    bench.backup("now")

    told = json.loads(patched(bench, SYNCED, *argv).stderr.split("TOLD")[1])

    renames = [(at, *event[1:]) for at, event in enumerate(told) if event[0] == "rename"]
    loose = [new for at, _, new in renames if ["sync", new.rpartition("/")[0]] not in told[at:]]
    assert len(renames) > 1
    assert loose == []
    first = next(at for at, _, new in renames if "/daily/" in new)
    assert ["sync", "/srv/backups/.staging"] in told[:first]
