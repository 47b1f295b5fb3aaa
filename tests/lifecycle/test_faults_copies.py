"""A snapshot that one tier holds damaged and another whole, and what only looks like damage: nothing good is lost."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from backup.health import reasons
from backup.repository import Repository
from backup.settings import from_environment
from fixtures.backend import execute
from fixtures.contract import Contract
from fixtures.evidence import Door
from fixtures.wrong_ways import LIVE, Bench

NEW_ROW = "INSERT INTO walks (body) VALUES ('lost again')"
# what is done to the copy in daily/, where each tier holds a file of its own; and how the finding names it
HARM = {
    "one bit turned over": ("flip", "its sha256 is not the one in its manifest"),
    "gone": ("rm -f", "the payload is gone"),
    "unreadable": ("chmod 000", "cannot be read: Permission denied"),
}


def apart(bench: Bench, name: str) -> str:
    """Give each tier a file of its own; give the path of the one in daily/."""
    bench.shell(
        f"cd /srv/backups; for t in daily weekly monthly; do cp -p $t/{name}.db.zst .c; mv -f .c $t/{name}.db.zst; done"
    )
    return f"/srv/backups/daily/{name}.db.zst"


def harm(bench: Bench, how: str, path: str) -> None:
    """Do it."""
    if how == "flip":
        bench.python("flip", path)
    else:
        bench.shell(f"{how} {path}")


@pytest.mark.control("BAK-05")
@pytest.mark.parametrize(("how", "reason"), HARM.values(), ids=HARM)
def test_verify_mends_what_another_tier_holds_whole(bench: Bench, contract: Contract, how: str, reason: str) -> None:
    """A copy damaged in one tier is found, named and replaced by a whole one; the snapshot stays verified."""
    name, rows = bench.backup("now", "--json").json()["name"], bench.rows()
    path = apart(bench, name)
    harm(bench, how, path)

    answer = bench.backup("verify", "--json", expect=contract.exit_codes.damaged).json()
    found = answer["damaged"]
    again = bench.backup("verify", "--json").json()
    bench.sqlite(LIVE, NEW_ROW)
    bench.backup("now")
    shelf = bench.look()

    assert [(one["name"], path in one["reason"], reason in one["reason"]) for one in found] == [(name, True, True)]
    assert "replaced by weekly/" in found[0]["reason"]
    assert answer["hint"].startswith("all of it was mended")
    assert again["damaged"] == []
    assert [one["manifest"]["verified"] for one in shelf.snapshots] == [True] * len(shelf.snapshots)
    assert (shelf.faults(), name in shelf.names("daily")) == ([], True)
    bench.backup("restore", name)
    assert bench.rows() == rows


@pytest.mark.control("RST-03")
@pytest.mark.parametrize("how", [how for how, _ in HARM.values()], ids=HARM)
def test_restore_takes_the_copy_that_is_whole(bench: Bench, how: str) -> None:
    """With its copy in one tier damaged a snapshot is restored from another tier, byte for byte proven."""
    name, rows = bench.backup("now", "--json").json()["name"], bench.rows()
    bench.sqlite(LIVE, NEW_ROW)
    harm(bench, how, apart(bench, name))

    report = bench.backup("restore", name, "--json").json()

    assert (report["outcome"], report["source"], bench.rows()) == ("restored", name, rows)


@pytest.mark.control("BAK-05")
def test_verify_reads_each_tiers_manifest(bench: Bench, contract: Contract) -> None:
    """A manifest damaged in one tier alone is found by its path and written anew from another's."""
    name = bench.backup("now", "--json").json()["name"]
    manifest = f"/srv/backups/monthly/{name}.json"
    bench.shell(f"chmod u+w {manifest}; truncate -s 300 {manifest}")

    found = bench.backup("verify", "--json", expect=contract.exit_codes.damaged).json()["damaged"]

    assert [(one["name"], manifest in one["reason"]) for one in found] == [(name, True)]
    assert bench.backup("verify", "--json").json()["damaged"] == []
    assert bench.look().faults() == []


KILLED = (
    "import os, signal, subprocess, sys; sys.path.insert(0, '/app'); from backup import cli, compress\n"
    "real = subprocess.Popen\n"
    "def killed(argv, *a, **k): return real(['sh', '-c', 'kill -9 $$'] if '-d' in argv else argv, *a, **k)\n"
    "def absent(argv, *a, **k): return real(['/nowhere/zstd', *argv[1:]], *a, **k)\n"
    "subprocess.Popen = {'killed': killed, 'absent': absent}[sys.argv[1]]\n"
    "sys.exit(cli.main(sys.argv[2:]))"
)


@pytest.mark.control("BAK-05")
@pytest.mark.parametrize(("fate", "word"), [("killed", "was killed by SIGKILL"), ("absent", "cannot be started")])
def test_killed_decoder_condemns_no_snapshot(bench: Bench, contract: Contract, fate: str, word: str) -> None:
    """A zstd that is killed or does not start ends `verify` as a failure of its own and marks nothing as damaged."""
    name = bench.backup("now", "--json").json()["name"]
    before = bench.look().kept()

    done = execute(bench.name, ["python3", "-c", KILLED, fate, "verify"], within=60)

    assert (done.code, word in done.stderr, "defect" in done.stderr) == (contract.exit_codes.failed, True, False)
    assert bench.look().kept() == before
    assert [row["verified"] for row in bench.backup("list", "--json").json()["snapshots"] if row["name"] == name] == [
        True
    ]


class Leaving(Repository):
    """A shelf from which one snapshot leaves between two looks, and another while it is looked at."""

    def names(self) -> list[str]:
        """Name one that has just left."""
        return ["balades_20990101_000000", *super().names()]


@pytest.mark.promise("whoever looks without the lock survives what leaves meanwhile")
def test_vanished_snapshot_is_passed_over(tmp_path: Path, evidence: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot that rotation removes while health or list looks on is passed over."""
    for folder in ("backups/daily", "status"):
        (tmp_path / folder).mkdir(parents=True)
    settings = from_environment({f"MONSITE_{one.upper()}": str(tmp_path / one) for one in ("backups", "status")})
    monkeypatch.setattr("backup.health.Repository", Leaving)
    now = datetime.fromisoformat("2026-11-22T02:00:00+00:00")

    seen = Leaving(settings.backups).all()
    told = reasons(settings, now + timedelta(days=1), last_run=None, drill=None)
    evidence.saw("health", json.dumps([str(seen), told]))

    assert seen == []
    assert "there is no verified snapshot yet" in told
