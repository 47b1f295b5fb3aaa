"""`./stack restore` as an operator has it: what it says, what it leaves, what becomes of it when it is cut short."""

import signal
from datetime import datetime
from pathlib import Path

import pytest

from fixtures.contract import Contract
from fixtures.engine_facts import engine
from fixtures.evidence import Completed
from fixtures.launches import at_work, launch, wait_until_app
from fixtures.services import CONTRACT
from fixtures.snapshots import canonical, export, flip_bit
from fixtures.stack import Stack
from fixtures.wait import rest, wait_for

FAILED, USAGE, DAMAGED, BUSY, INTERRUPTED = 1, 2, 4, 75, 130

pytestmark = pytest.mark.promise("one command brings the site back, and says what it did")


def words(done: Completed) -> str:
    """Give what a person reads, in one line."""
    return " ".join(done.stdout.split())


# -- what it says


def test_restore_tells_what_came_back_and_what_is_lost(own_stack: Stack) -> None:
    """A restore names the snapshot, its time in UTC and rows, the span that is lost, the former file, its duration."""
    own_stack.write_walks(3)
    name = own_stack.take_snapshot()
    own_stack.write_walks(2)

    told = words(own_stack.run("restore", "latest"))

    made = datetime.strptime(name + "+0000", "balades_%Y%m%d_%H%M%S%z")
    former = own_stack.root / "data" / "balades.db.backup"
    assert f"Restored {name}, made {made}, " in told
    assert " s ago: 0 attachments, 3 walks" in told
    assert f" from {made} to " in told
    assert "walks 5 → 3" in told
    assert f"The former database file: {former}" in told
    assert own_stack.as_root("stat", "-c", "%s", "/srv/data/balades.db.backup").stdout.strip() != "0"
    assert "It took " in told
    assert f"The site answers on {own_stack.url}" in told


def test_restore_tells_machines_the_same(own_stack: Stack) -> None:
    """With --json the one document holds source, time, rows before and after, the former file and the duration."""
    own_stack.write_walks(1)
    name = own_stack.take_snapshot()
    own_stack.write_walks(1)

    report = own_stack.run("restore", name, "--json").json()

    assert (report["outcome"], report["source"], report["mode"]) == ("restored", name, "hot")
    assert (report["rows"]["walks"], report["lost"]["rows_now"]["walks"]) == (1, 2)
    assert report["former_file"] == str(own_stack.root / "data" / "balades.db.backup")
    assert report["site"] == own_stack.url
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


def test_lost_database_comes_back_by_the_same_command(own_stack: Stack, contract: Contract) -> None:
    """With the database gone the same command brings it back, stopping and starting the app by itself."""
    promised = own_stack.write_walks(3)
    own_stack.take_snapshot()
    own_stack.write_walks(1)
    own_stack.lose_database()
    wait_for("the site to miss its database", lambda: not own_stack.is_ready(), contract.recovery.ready_s)

    told = words(own_stack.run("restore", "latest"))

    assert own_stack.read_walks() == promised
    assert "nobody can count: /srv/data/balades.db: there is no database" in told
    assert "There was no former database file to keep." in told


def test_restore_works_while_the_stack_is_down(own_stack: Stack) -> None:
    """With everything stopped a restore does its work, says how to start, and `up` then serves what was promised."""
    promised = own_stack.write_walks(2)
    own_stack.take_snapshot()
    own_stack.lose_database()
    own_stack.down()

    told = words(own_stack.run("restore", "latest"))
    containers = own_stack.containers()
    own_stack.up()

    assert "./stack up starts it." in told
    assert containers == ()
    assert own_stack.read_walks() == promised


def test_restore_needs_no_drill(own_stack: Stack) -> None:
    """With the service drill stopped a snapshot of the site's own schema is restored all the same."""
    promised = own_stack.write_walks(2)
    name = own_stack.take_snapshot()
    own_stack.write_walks(1)
    engine().containers.get(own_stack.service("drill").container).stop()

    own_stack.restore(name)

    assert own_stack.read_walks() == promised


def test_cold_restore_on_request(own_stack: Stack) -> None:
    """`restore --cold` stops the app, exchanges the file, starts the app again and keeps what was there."""
    promised = own_stack.write_walks(2)
    name = own_stack.take_snapshot()
    own_stack.write_walks(1)
    before = own_stack.identity()

    told = words(own_stack.run("restore", name, "--cold"))

    changed = [old[0] for old, new in zip(before, own_stack.identity(), strict=True) if old != new]
    assert own_stack.read_walks() == promised
    assert "with the app stopped" in told
    assert "kept as snapshot balades_" in told
    assert changed == [own_stack.service("app").container]


@pytest.mark.control("RST-04")
def test_site_that_stays_ill_gets_its_former_database_back(own_stack: Stack) -> None:
    """When the site does not get well on what was restored, the former database returns by itself, with code 1."""
    name = own_stack.take_snapshot()
    own_stack.write_walks(2)
    before = canonical(own_stack)
    own_stack.as_root("mv", "/srv/secrets/write_token", "/srv/secrets/mislaid")  # without it the app cannot start

    done = own_stack.run("restore", name, "--cold", expect=FAILED)
    after = canonical(own_stack)
    own_stack.as_root("mv", "/srv/secrets/mislaid", "/srv/secrets/write_token")
    own_stack.up()

    assert f"was not well on {name}, so the former database is back from balades_" in done.stderr
    assert "it is not well on that either" in done.stderr
    assert "hint: " in done.stderr
    assert after == before
    assert canonical(own_stack) == before


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
    assert (about.st_uid, oct(about.st_mode & 0o777)) == (tmp_path.stat().st_uid, "0o600")
    assert list(tmp_path.iterdir()) == [target]
    assert canonical(module_stack) == before


def test_file_that_exists_is_never_overwritten(module_stack: Stack, tmp_path: Path) -> None:
    """`restore --to` refuses a file that exists and leaves it as it is."""
    module_stack.take_snapshot()
    target = tmp_path / "precious"
    target.write_text("do not lose this", encoding="utf-8")

    done = module_stack.run("restore", "latest", "--to", str(target), expect=USAGE)

    assert f"{target} exists already" in " ".join(done.stderr.split())
    assert target.read_text(encoding="utf-8") == "do not lose this"
    assert list(tmp_path.iterdir()) == [target]


def test_refused_file_leaves_nothing_behind(module_stack: Stack, tmp_path: Path) -> None:
    """`restore FILE --to` of a damaged file ends with the code for damage and writes nothing."""
    given = tmp_path / "flipped.db.zst"
    given.write_bytes(flip_bit(export(module_stack, module_stack.take_snapshot()).stored))

    done = module_stack.run("restore", str(given), "--to", str(tmp_path / "out.db"), "--json", expect=DAMAGED)

    assert done.json()["code"] == DAMAGED
    assert list(tmp_path.iterdir()) == [given]


@pytest.mark.parametrize("flag", ["--cold", "--dry-run", "--allow-missing"])
def test_file_and_site_are_not_mixed(module_stack: Stack, tmp_path: Path, flag: str) -> None:
    """`--to` together with an option about the site is refused as wrong usage."""
    done = module_stack.run("restore", "latest", "--to", str(tmp_path / "out.db"), flag, expect=USAGE)

    assert "leave those away" in done.stderr
    assert list(tmp_path.iterdir()) == []


# -- two at once


def test_second_restore_is_told_of_the_first(own_stack: Stack) -> None:
    """Of two restores at once the second is refused with the verb and process of the first, which ends well."""
    promised = own_stack.write_walks(2)
    name = own_stack.take_snapshot()
    own_stack.write_walks(1)
    with launch(own_stack, "restore", name, "--cold") as first:
        wait_until_app(own_stack, "exited", within=60)
        refused = own_stack.run("restore", name, expect=BUSY)
        ended = first.end()

    assert f"is busy: ./stack restore, process {first.process.pid}" in " ".join(refused.stderr.split())
    assert ended.code == 0
    assert own_stack.read_walks() == promised


@pytest.mark.control("BAK-09")
def test_restore_during_a_backup_is_told_who_is_at_work(own_stack: Stack) -> None:
    """While a snapshot is being taken a restore is refused as busy, with the holder's name, and changes nothing."""
    name = own_stack.take_snapshot()
    own_stack.write_walks(1)
    before = canonical(own_stack)
    with at_work(own_stack, "now"):
        refused = own_stack.run("restore", name, "--json", expect=BUSY)

    assert refused.json()["code"] == BUSY
    assert "`now` since 20" in refused.stderr
    assert canonical(own_stack) == before


# -- cut short


def test_interrupted_restore_is_brought_to_its_end(own_stack: Stack) -> None:
    """Ctrl-C while the app is stopped waits until the site is back; then the launcher tells all, and ends."""
    promised = own_stack.write_walks(2)
    name = own_stack.take_snapshot()
    own_stack.write_walks(1)
    with launch(own_stack, "restore", name, "--cold") as launched:
        wait_until_app(own_stack, "exited", within=60)
        launched.signal(signal.SIGINT)
        done = launched.end()

    assert done.code == INTERRUPTED
    assert "is brought to its end first" in done.stderr
    assert f"Restored {name}" in done.stdout
    assert own_stack.read_walks() == promised


def test_lost_terminal_does_not_leave_the_app_stopped(own_stack: Stack) -> None:
    """A terminal that goes away while the app is stopped, as a broken ssh line does, does not end the restore."""
    promised = own_stack.write_walks(2)
    name = own_stack.take_snapshot()
    own_stack.write_walks(1)
    with launch(own_stack, "restore", name, "--cold") as launched:
        wait_until_app(own_stack, "exited", within=60)
        launched.signal(signal.SIGHUP)
        done = launched.end()

    assert done.code == INTERRUPTED
    assert own_stack.read_walks() == promised


@pytest.mark.control("RST-05")
def test_launcher_killed_while_the_app_is_stopped_is_made_good_by_the_next(own_stack: Stack) -> None:
    """After kill -9 with the app stopped, the keeper's exchange is whole and the same command again starts the site."""
    promised = own_stack.write_walks(2)
    name = own_stack.take_snapshot()
    own_stack.write_walks(1)
    with launch(own_stack, "restore", name, "--cold") as launched:
        wait_until_app(own_stack, "exited", within=60)
        launched.signal(signal.SIGKILL)
        launched.end()
    assert not own_stack.is_ready(), "the app must be stopped, or there is nothing to make good"
    rest(1, "the keeper may still be at work on what the dead launcher asked for")

    again = own_stack.run("restore", name)

    assert "The site answers on" in again.stdout
    assert own_stack.read_walks() == promised


@pytest.mark.control("RST-05")
@pytest.mark.parametrize("after_s", CONTRACT.operations["kill_after_s"])
def test_killed_launcher_leaves_old_or_new(module_stack: Stack, after_s: float) -> None:
    """A launcher killed in a hot restore leaves the old or the new database, whole, under a site that answers."""
    module_stack.write_walks(1)
    new = canonical(module_stack)
    name = module_stack.take_snapshot()
    module_stack.write_walks(1)
    old = canonical(module_stack)
    with launch(module_stack, "restore", name) as launched:
        rest(after_s, "the kill comes at a moment of its own")
        launched.signal(signal.SIGKILL)
        launched.end()
    wait_for("the keeper to be done", lambda: module_stack.run("backup", "now", expect=None).code == 0, 30)

    assert canonical(module_stack) in (old, new)
    assert module_stack.is_ready()
    module_stack.restore(name)
    assert canonical(module_stack) == new
