"""`./stack restore` as an operator has it: what it says, what it leaves, what becomes of it when it is cut short.

One stack serves them all: each test writes what it promises, and what it breaks it mends.
"""

import re
import shutil
import signal
import sqlite3
import sys
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from fixtures.contract import Contract
from fixtures.engine_facts import engine
from fixtures.evidence import Completed, Door
from fixtures.launches import at_work, environment, launch, pretend_docker, wait_until_app
from fixtures.run import CHECKOUT
from fixtures.services import CONTRACT
from fixtures.snapshots import canonical, export, flip_bit
from fixtures.stack import Stack
from fixtures.wait import wait_for

CODES = CONTRACT.exit_codes

pytestmark = pytest.mark.promise("one command brings the site back, and says what it did")


def words(done: Completed) -> str:
    """Give what a person reads, in one line."""
    return " ".join(done.stdout.split())


def written_past_a_snapshot(stack: Stack) -> tuple[str, list[dict[str, Any]]]:
    """Write, take a snapshot, write on; give the snapshot's name and the walks that it promises."""
    stack.write_walks(2)
    promised = stack.read_walks()
    name = stack.take_snapshot()
    stack.write_walks(1)
    return name, promised


# -- what it says


def test_restore_tells_what_came_back_and_what_is_lost(module_stack: Stack) -> None:
    """A restore names the snapshot, its time in UTC and rows, the span that is lost, the former file, its duration."""
    module_stack.write_walks(3)
    count = len(module_stack.read_walks())
    name = module_stack.take_snapshot()
    module_stack.write_walks(2)

    told = words(module_stack.run("restore", "latest"))

    made = datetime.strptime(name + "+0000", "balades_%Y%m%d_%H%M%S%z")
    former = module_stack.root / "data" / "balades.db.backup"
    assert f"Restored {name}, made {made}, " in told
    assert f" s ago: 0 attachments, {count} walks" in told
    assert f" from {made} to " in told
    assert f"walks {count + 2} → {count}" in told
    assert f"The former database file: {former}" in told
    assert module_stack.as_root("stat", "-c", "%s", "/srv/data/balades.db.backup").stdout.strip() != "0"
    assert "It took " in told
    assert f"The site answers on {module_stack.url}" in told


def test_restore_tells_machines_the_same(module_stack: Stack) -> None:
    """With --json the one document holds source, time, rows before and after, the former file and the duration."""
    module_stack.write_walks(1)
    count = len(module_stack.read_walks())
    name = module_stack.take_snapshot()
    module_stack.write_walks(1)

    report = module_stack.run("restore", name, "--json").json()

    assert (report["outcome"], report["source"], report["mode"]) == ("restored", name, "hot")
    assert (report["rows"]["walks"], report["lost"]["rows_now"]["walks"]) == (count, count + 1)
    assert report["former_file"] == str(module_stack.root / "data" / "balades.db.backup")
    assert report["site"] == module_stack.url
    assert report["seconds"] > 0


def test_plan_is_shown_and_nothing_changed(module_stack: Stack) -> None:
    """`restore --dry-run` tells what would come back and what would be lost, and changes nothing."""
    module_stack.take_snapshot()
    module_stack.write_walks(1)
    before = canonical(module_stack)

    told = words(module_stack.run("restore", "latest", "--dry-run"))

    assert "Would restore balades_" in told
    assert "Would lose: what was written in the " in told
    assert "Nothing was changed." in told
    assert canonical(module_stack) == before


# -- in every state of the stack


def test_lost_database_comes_back_by_the_same_command(module_stack: Stack, contract: Contract) -> None:
    """With the database gone the same command brings it back, stopping and starting the app by itself."""
    module_stack.write_walks(3)
    promised = module_stack.read_walks()
    module_stack.take_snapshot()
    module_stack.write_walks(1)
    module_stack.lose_database()
    wait_for("the site to miss its database", lambda: not module_stack.is_ready(), contract.recovery.ready_s)

    told = words(module_stack.run("restore", "latest"))

    assert module_stack.read_walks() == promised
    assert "nobody can count: /srv/data/balades.db: there is no database" in told
    assert "There was no former database file to keep." in told


def test_log_of_a_lost_database_is_what_was_kept(module_stack: Stack) -> None:
    """With the database deleted and its -wal left, the answer names the -wal moved aside, and no other file."""
    name = module_stack.take_snapshot()
    engine().containers.get(module_stack.service("app").container).stop()
    module_stack.exec("backup", "sh", "-c", "cd /srv/data; rm balades.db*; echo left > balades.db-wal")

    try:
        told = module_stack.run("restore", name)
    finally:
        module_stack.up()

    kept = module_stack.exec("backup", "sh", "-c", "cd /srv/data; ls balades.db.*; cat balades.db.*").stdout.split()

    assert (len(kept), kept[0].endswith("-wal"), kept[-1]) == (2, True, "left")
    assert f"what lay beside it is kept: {module_stack.root}/data/{kept[0]}\n" in told.stdout
    assert "The former database" not in told.stdout


def test_restore_works_while_the_stack_is_down(module_stack: Stack) -> None:
    """With everything stopped a restore does its work, says how to start, and `up` then serves what was promised."""
    module_stack.write_walks(2)
    promised = module_stack.read_walks()
    module_stack.take_snapshot()
    module_stack.lose_database()
    module_stack.down()

    told = words(module_stack.run("restore", "latest"))
    containers = module_stack.containers()
    module_stack.up()

    assert "./stack up starts it." in told
    assert containers == ()
    assert module_stack.read_walks() == promised


def test_restore_needs_no_drill(module_stack: Stack) -> None:
    """With the service drill stopped a snapshot of the site's own schema is restored all the same."""
    name, promised = written_past_a_snapshot(module_stack)
    service = engine().containers.get(module_stack.service("drill").container)
    service.stop()
    try:
        module_stack.restore(name)
    finally:
        service.start()

    assert module_stack.read_walks() == promised


def test_cold_restore_on_request(module_stack: Stack) -> None:
    """`restore --cold` stops the app, exchanges the file, starts the app again and keeps what was there."""
    name, promised = written_past_a_snapshot(module_stack)
    before = module_stack.identity()

    told = words(module_stack.run("restore", name, "--cold"))

    changed = [old[0] for old, new in zip(before, module_stack.identity(), strict=True) if old != new]
    assert module_stack.read_walks() == promised
    assert "with the app stopped" in told
    assert "kept as snapshot balades_" in told
    assert changed == [module_stack.service("app").container]


@pytest.mark.control("RST-04")
def test_site_that_stays_ill_gets_its_former_database_back(module_stack: Stack) -> None:
    """When the site does not get well on what was restored, the former database returns by itself, with code 1."""
    name = module_stack.take_snapshot()
    module_stack.write_walks(2)
    before = canonical(module_stack)
    module_stack.as_root("mv", "/srv/secrets/write_token", "/srv/secrets/mislaid")  # without it the app cannot start

    done = module_stack.run("restore", name, "--cold", expect=CODES.failed)
    after = canonical(module_stack)
    module_stack.as_root("mv", "/srv/secrets/mislaid", "/srv/secrets/write_token")
    module_stack.up()

    assert f"was not well on {name}, so the former database is back from balades_" in done.stderr
    assert "it is not well on that either" in done.stderr
    assert "hint: " in done.stderr
    assert after == before
    assert canonical(module_stack) == before


def test_failed_stop_does_not_leave_the_app_stopped(module_stack: Stack, contract: Contract, tmp_path: Path) -> None:
    """When `docker stop` fails although the app did stop, a cold restore changes nothing and starts the app again."""
    name = module_stack.take_snapshot()
    module_stack.write_walks(1)
    before = canonical(module_stack)
    started = module_stack.service("app").facts.started
    real = shutil.which("docker")
    late = f'[ "$1" = stop ] || exec {real} "$@"; {real} "$@"; echo "Error response from daemon: too late" >&2; exit 1'

    done = module_stack.run("restore", name, "--cold", env=pretend_docker(tmp_path / "bin", late), expect=CODES.failed)

    assert "too late" in done.stderr
    assert module_stack.service("app").facts.started != started, "the app must have been stopped"
    module_stack.wait_until_ready(within=contract.recovery.ready_s)
    assert canonical(module_stack) == before


FAILS_AT_THE_END = """
case "$*" in
  *"-m backup restore WANTED "*)
    told=$(REAL "$@") || exit
    echo "$told" | sed 's/"outcome": "restored"/"outcome": "failure", "code": 1, "error": "not as it was", "hint": "-"/'
    echo "error: not as it was" >&2
    exit 1 ;;
  *) exec REAL "$@" ;;
esac
"""


@pytest.mark.control("RST-04")
@pytest.mark.parametrize("way", [(), ("--cold",)], ids=["hot", "cold"])
def test_exchange_that_went_wrong_is_undone(module_stack: Stack, tmp_path: Path, way: tuple[str, ...]) -> None:
    """When the keeper finds after the exchange that it is not what was wanted, the former database returns, code 1."""
    name = module_stack.take_snapshot()
    module_stack.write_walks(2)
    before = canonical(module_stack)
    script = FAILS_AT_THE_END.replace("WANTED", name).replace("REAL", str(shutil.which("docker")))
    dry = '*"--dry-run"*) exec REAL "$@" ;;'.replace("REAL", str(shutil.which("docker")))
    script = script.replace('case "$*" in', f'case "$*" in\n  {dry}')

    done = module_stack.run("restore", name, *way, env=pretend_docker(tmp_path / "bin", script), expect=CODES.failed)

    assert f"what came back was not {name}, so the former database is back from balades_" in done.stderr
    assert "it is well again" in done.stderr
    assert "not as it was" in done.stderr
    assert canonical(module_stack) == before
    assert module_stack.is_ready()


# -- into a file


def test_database_is_written_to_a_file_of_the_caller(module_stack: Stack, tmp_path: Path) -> None:
    """`restore --to` writes exactly the snapshot's database, for the caller alone, and leaves the site as it is."""
    module_stack.write_walks(1)
    name = module_stack.take_snapshot()
    module_stack.write_walks(1)
    before = canonical(module_stack)
    target = tmp_path / "out.db"

    report = module_stack.run("restore", name, "--to", str(target), "--json").json()

    about = target.stat()
    assert (report["outcome"], report["to"], report["bytes"]) == ("written", str(target), about.st_size)
    assert target.read_bytes() == export(module_stack, name).raw
    assert about.st_uid == tmp_path.stat().st_uid
    assert oct(about.st_mode & 0o777) == CONTRACT.backup.text("database_mode")
    assert list(tmp_path.iterdir()) == [target]
    assert canonical(module_stack) == before


def test_file_that_exists_is_never_overwritten(module_stack: Stack, tmp_path: Path) -> None:
    """`restore --to` refuses a file that exists and leaves it as it is."""
    module_stack.take_snapshot()
    target = tmp_path / "precious.db"
    target.write_text("do not lose this", encoding="utf-8")

    done = module_stack.run("restore", "latest", "--to", str(target), expect=CODES.usage)

    assert f"{target} exists already" in " ".join(done.stderr.split())
    assert target.read_text(encoding="utf-8") == "do not lose this"
    assert list(tmp_path.iterdir()) == [target]


def test_refused_file_leaves_nothing_behind(module_stack: Stack, tmp_path: Path) -> None:
    """`restore FILE --to` of a damaged file ends with the code for damage and writes nothing."""
    given = tmp_path / "flipped.db.zst"
    given.write_bytes(flip_bit(export(module_stack, module_stack.take_snapshot()).stored))

    done = module_stack.run("restore", str(given), "--to", str(tmp_path / "out.db"), "--json", expect=CODES.damaged)

    assert done.json()["code"] == CODES.damaged
    assert list(tmp_path.iterdir()) == [given]


def test_keeper_killed_while_it_writes_is_told(module_stack: Stack, tmp_path: Path) -> None:
    """When the keeper is killed in the middle of `restore --to`, the launcher says so, code 1, and leaves nothing."""
    name, folder = module_stack.take_snapshot(), tmp_path / "out"
    folder.mkdir()
    killed = (
        f'case "$*" in *"--to -"*) head -c 5000 /dev/zero; exit 137 ;; *) exec {shutil.which("docker")} "$@" ;; esac'
    )
    env = pretend_docker(tmp_path / "bin", killed)

    done = module_stack.run("restore", name, "--to", str(folder / "out.db"), "--json", env=env, expect=CODES.failed)

    assert done.json()["code"] == CODES.failed
    assert "ended with exit code 137" in done.stderr
    assert "hint: " in done.stderr
    assert list(folder.iterdir()) == []


SEEN_SYNCED = """
import os
fsync, link = os.fsync, os.link
def told(what):
    with open("TOLD", "a") as file:
        file.write(what + "\\n")
def seen(descriptor):
    fsync(descriptor)
    told("synced " + os.readlink(f"/proc/self/fd/{descriptor}"))
def linked(old, new):
    link(old, new)
    told(f"named {new}")
os.fsync, os.link = seen, linked
"""


def test_written_file_outlives_a_power_cut(module_stack: Stack, tmp_path: Path, evidence: Door) -> None:
    """`restore --to` makes the bytes durable before the file has its name, and the name itself before it says done."""
    name, target, told = module_stack.take_snapshot(), tmp_path / "out.db", tmp_path / "told"
    (tmp_path / "sitecustomize.py").write_text(SEEN_SYNCED.replace("TOLD", str(told)), encoding="utf-8")
    seeing = {**environment(module_stack), "PYTHONPATH": f"{tmp_path}:{CHECKOUT / 'docker'}"}

    done = evidence.run(
        sys.executable, "-m", "ops", "restore", name, "--to", str(target), env=seeing, cwd=CHECKOUT, within=60
    )

    part, named, folder = evidence.read(told).splitlines()
    assert done.code == 0, done.told()
    assert (part.startswith(f"synced {tmp_path}/.out.db."), named) == (True, f"named {target}")
    assert folder == f"synced {tmp_path}"


@pytest.mark.parametrize("name", ["-", "out.db.zst", "out"])
def test_file_is_named_as_what_it_is(module_stack: Stack, tmp_path: Path, name: str) -> None:
    """`--to` takes a name that ends in .db alone, because a plain SQLite database is what it writes."""
    target = name if name == "-" else str(tmp_path / name)

    done = module_stack.run("restore", "latest", "--to", target, expect=CODES.usage)

    assert "does not end in .db" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_full_disk_of_the_caller_is_told(module_stack: Stack, tmp_path: Path) -> None:
    """When the caller's own disk is full, `restore --to` ends with the code for that, and leaves nothing."""
    name, folder = module_stack.take_snapshot(), tmp_path / "out"
    folder.mkdir()
    said = "write /dev/stdout: no space left on device"  # as the engine's client puts it
    full = f'case "$*" in *"--to -"*) echo {said} >&2; exit 1 ;; *) exec {shutil.which("docker")} "$@" ;; esac'
    env = pretend_docker(tmp_path / "bin", full)

    done = module_stack.run("restore", name, "--to", str(folder / "out.db"), env=env, expect=CODES.no_space)

    assert f"no space left in {folder}" in done.stderr
    assert "hint: " in done.stderr
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("way", [(), ("--dry-run",)], ids=["restore", "dry run"])
def test_file_with_a_log_beside_it_is_refused(module_stack: Stack, tmp_path: Path, way: tuple[str, ...]) -> None:
    """A database whose newest rows are in a log beside it is refused with the command that makes one file of it."""
    given = tmp_path / "given.db"
    given.write_bytes(export(module_stack, module_stack.take_snapshot()).raw)
    module_stack.write_walks(1)
    before = canonical(module_stack)
    Path(f"{given}-wal").write_bytes(b"rows")

    done = module_stack.run("restore", str(given), *way, expect=CODES.usage)

    assert f"{given}-wal holds rows that would be missing" in " ".join(done.stderr.split())
    assert f'hint: make one file of it: sqlite3 {given} "PRAGMA wal_checkpoint(TRUNCATE)"' in done.stderr
    assert canonical(module_stack) == before


def test_file_in_the_middle_of_a_write_is_refused_until_that_is_undone(module_stack: Stack, tmp_path: Path) -> None:
    """A database with a hot journal is refused with a command that undoes the write; then it can be restored."""
    live, given = tmp_path / "live.db", tmp_path / "given.db"
    live.write_bytes(export(module_stack, module_stack.take_snapshot()).raw)
    with closing(sqlite3.connect(live, isolation_level=None)) as writer:
        writer.execute("PRAGMA cache_size=1")
        writer.execute("BEGIN")
        writer.execute("CREATE TABLE half AS SELECT randomblob(500000)")
        for ending in ("", "-journal"):
            shutil.copy2(f"{live}{ending}", f"{given}{ending}")

    refused = module_stack.run("restore", str(given), "--dry-run", expect=CODES.usage)
    (statement,) = re.findall(rf'sqlite3 {given} "([^"]+)"', refused.stderr)
    with closing(sqlite3.connect(given)) as reader:
        reader.execute(statement).fetchall()

    assert f"{given} is in the middle of a write: {given}-journal" in refused.stderr
    assert "Would restore" in module_stack.run("restore", str(given), "--dry-run").stdout


def test_journal_that_is_kept_is_no_hot_one(module_stack: Stack, tmp_path: Path) -> None:
    """A database whose journal was zeroed at the end of its last write is whole, and can be restored."""
    given = tmp_path / "given.db"
    given.write_bytes(export(module_stack, module_stack.take_snapshot()).raw)
    with closing(sqlite3.connect(given, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=PERSIST")
        writer.execute("DELETE FROM heartbeat")
    assert Path(f"{given}-journal").stat().st_size > 0

    assert "Would restore" in module_stack.run("restore", str(given), "--dry-run").stdout


@pytest.mark.parametrize("way", ["itself", "by a link"])
def test_live_database_is_no_source(module_stack: Stack, tmp_path: Path, way: str) -> None:
    """The live database's own path, or a link to it, is refused as a source with the next step, and stays as it was."""
    given = live = module_stack.root / "data" / "balades.db"
    if way == "by a link":
        given = tmp_path / "link.db"
        given.symlink_to(live)
    module_stack.write_walks(1)
    before = canonical(module_stack)

    done = module_stack.run("restore", str(given), "--json", expect=CODES.usage)

    assert f"{given} is the live database itself" in done.json()["error"]
    assert "./stack backup now" in done.json()["hint"]
    assert canonical(module_stack) == before


@pytest.mark.parametrize("name", ["balades.db.backup", "balades.db.damaged_20261122_020000"])
def test_what_a_restore_kept_can_be_restored(module_stack: Stack, tmp_path: Path, name: str) -> None:
    """What a restore puts beside the database is accepted under the name that it has there."""
    given = tmp_path / name
    given.write_bytes(export(module_stack, module_stack.take_snapshot()).raw)

    assert "Would restore" in module_stack.run("restore", str(given), "--dry-run").stdout


@pytest.mark.parametrize("flag", ["--cold", "--dry-run", "--allow-missing"])
def test_file_and_site_are_not_mixed(module_stack: Stack, tmp_path: Path, flag: str) -> None:
    """`--to` together with an option about the site is refused as wrong usage."""
    done = module_stack.run("restore", "latest", "--to", str(tmp_path / "out.db"), flag, expect=CODES.usage)

    assert "leave those away" in done.stderr
    assert list(tmp_path.iterdir()) == []


# -- two at once


HELD_START = """
case "$1" in start) for tenth in $(seq 600); do [ -e GO_ON ] && break; sleep 0.1; done ;; esac
exec REAL "$@"
"""


def test_second_restore_is_told_of_the_first(module_stack: Stack, tmp_path: Path) -> None:
    """Of two restores at once the second is refused with the verb and process of the first, which ends well."""
    name, promised = written_past_a_snapshot(module_stack)
    go_on = tmp_path / "go-on"
    held = HELD_START.replace("GO_ON", str(go_on)).replace("REAL", str(shutil.which("docker")))
    with launch(module_stack, "restore", name, "--cold", env=pretend_docker(tmp_path / "bin", held)) as first:
        wait_until_app(module_stack, "exited", within=60)
        refused = module_stack.run("restore", name, expect=CODES.busy)
        go_on.touch()
        ended = first.end()

    assert f"is busy: ./stack restore, process {first.process.pid}" in " ".join(refused.stderr.split())
    assert ended.code == 0
    assert module_stack.read_walks() == promised


@pytest.mark.control("BAK-09")
def test_restore_during_a_backup_is_told_who_is_at_work(module_stack: Stack) -> None:
    """While a snapshot is being taken a restore is refused as busy, with the holder's name, and changes nothing."""
    name = module_stack.take_snapshot()
    module_stack.write_walks(1)
    before = canonical(module_stack)
    with at_work(module_stack, "now"):
        refused = module_stack.run("restore", name, "--json", expect=CODES.busy)

    assert refused.json()["code"] == CODES.busy
    assert "`now` since 20" in refused.stderr
    assert canonical(module_stack) == before


# -- cut short


def test_interrupted_restore_is_brought_to_its_end(module_stack: Stack) -> None:
    """Ctrl-C while the app is stopped waits until the site is back; then the launcher tells all, and ends."""
    name, promised = written_past_a_snapshot(module_stack)
    with launch(module_stack, "restore", name, "--cold") as launched:
        wait_until_app(module_stack, "exited", within=60)
        launched.signal(signal.SIGINT)
        done = launched.end()

    assert done.code == CODES.interrupted
    assert "is brought to its end first" in done.stderr
    assert f"Restored {name}" in done.stdout
    assert module_stack.read_walks() == promised


def test_lost_terminal_does_not_leave_the_app_stopped(module_stack: Stack) -> None:
    """A terminal that goes away while the app is stopped, as a broken ssh line does, does not end the restore."""
    name, promised = written_past_a_snapshot(module_stack)
    with launch(module_stack, "restore", name, "--cold") as launched:
        wait_until_app(module_stack, "exited", within=60)
        launched.signal(signal.SIGHUP)
        done = launched.end()

    assert done.code == CODES.interrupted
    assert module_stack.read_walks() == promised


@pytest.mark.control("RST-05")
def test_launcher_killed_while_the_app_is_stopped_is_made_good_by_the_next(module_stack: Stack) -> None:
    """After kill -9 with the app stopped, the keeper's exchange is whole and the same command again starts the site."""
    name, promised = written_past_a_snapshot(module_stack)
    with launch(module_stack, "restore", name, "--cold") as launched:
        wait_until_app(module_stack, "exited", within=60)
        launched.signal(signal.SIGKILL)
        launched.end()
    assert not module_stack.is_ready(), "the app must be stopped, or there is nothing to make good"

    def again() -> Completed | None:
        done = module_stack.run("restore", name, expect=None)
        return None if done.code == CODES.busy else done

    # the keeper may still be at work on what the dead launcher asked for
    made_good = wait_for("the same command to find the keeper free", again, 30)
    assert made_good is not None

    assert (made_good.code, "The site answers on" in made_good.stdout) == (CODES.ok, True), made_good.told()
    assert module_stack.read_walks() == promised


# Once the keeper has ended, the launcher would too: it is held there until it was killed.
HELD_END = """
case "$*" in
  *"--dry-run"*) ;;
  *"-m backup restore "*)
    REAL "$@"
    code=$?
    for tenth in $(seq 600); do [ -e GO_ON ] && break; sleep 0.1; done
    exit $code ;;
esac
exec REAL "$@"
"""


@pytest.mark.control("RST-05")
@pytest.mark.parametrize("event", CONTRACT.operations.texts("killed_at"))
def test_killed_launcher_leaves_old_or_new(module_stack: Stack, tmp_path: Path, event: str) -> None:
    """A launcher killed while the keeper restores leaves the old or the new database, whole; the site answers."""
    module_stack.write_walks(1)
    new = canonical(module_stack)
    name = module_stack.take_snapshot()
    module_stack.write_walks(1)
    old = canonical(module_stack)
    before = told_by_the_keeper(module_stack, event)
    go_on = tmp_path / "go-on"
    held = HELD_END.replace("GO_ON", str(go_on)).replace("REAL", str(shutil.which("docker")))
    with launch(module_stack, "restore", name, env=pretend_docker(tmp_path / "bin", held)) as launched:
        wait_for(f"{event} of the keeper", lambda: told_by_the_keeper(module_stack, event) > before, 30, every=0.01)
        launched.signal(signal.SIGKILL)
        go_on.touch()
        killed = launched.end()
    wait_for("the keeper to be done", lambda: module_stack.run("backup", "now", expect=None).code == 0, 30)

    assert killed.code == -signal.SIGKILL, "the launcher must have been at work still"
    assert canonical(module_stack) in (old, new)
    assert module_stack.is_ready()
    module_stack.restore(name)
    assert canonical(module_stack) == new


def told_by_the_keeper(stack: Stack, event: str) -> int:
    """Count an event in the keeper's log; unrecorded, because it is asked again and again."""
    log = engine().containers.get(stack.service("backup").container).logs().decode()
    return log.count(f'"event": "{event}"')
