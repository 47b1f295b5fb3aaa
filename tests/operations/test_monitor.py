"""`./stack monitor` on trial: each fault is told by its own check and code, and each state that is well is called well.

The stack of this file is hurt and mended again and again; each test finds it well and leaves it well.
"""

import fcntl
import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from fixtures.engine_facts import engine, peek
from fixtures.evidence import door
from fixtures.launches import at_work, launch, standing_still
from fixtures.load import readers, writers
from fixtures.monitored import PROMISED, Told, look, small_disk
from fixtures.services import CONTRACT
from fixtures.stack import Stack
from fixtures.wait import wait_for

WELL, WARNING, CRITICAL, COULD_NOT_LOOK = (
    PROMISED.whole(name) for name in ("well", "warning", "critical", "could_not_look")
)
MIB = 1 << 20
NOWHERE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}

pytestmark = pytest.mark.control("MON-01")


@pytest.fixture(scope="module")
def watched(request: pytest.FixtureRequest, images: dict[str, str]) -> Iterator[Stack]:
    """The stack of this file."""
    del images
    with small_disk(request.config) as stack:
        wait_until_well(stack)  # a fault that was there before proves nothing
        yield stack


def wait_until_well(stack: Stack) -> Told:
    """Wait until the monitor finds nothing any more."""
    looks: list[Told] = []

    def well() -> bool:
        looks.append(look(stack))
        return looks[-1].code == WELL

    wait_for(
        f"{stack.name} to be called well",
        well,
        PROMISED.number("cleared_s"),
        story=lambda: f"{looks[-1]}\n{stack.story()}",
    )
    return looks[-1]


def in_folder(stack: Stack, name: str, line: str) -> None:
    """Do something to one of the stack's folders as root."""
    stack.as_root("sh", "-euc", f"cd /srv/{name}; {line}")


# -- twelve faults


@dataclass(frozen=True)
class Fault:
    """Something that breaks, who must tell it, and how it is undone."""

    check: str  # with its subject, where there are several
    code: int
    hurt: Callable[[Stack], object]
    mend: Callable[[Stack], object]
    others: tuple[str, ...] = ()  # that the same fault rightly turns too


def data(hurt: str, mend: str) -> Fault:
    """A fault of the database's folder: the site tells it too, by its health or by what it holds back."""
    return Fault(
        "database.file",
        CRITICAL,
        lambda stack: in_folder(stack, "data", hurt),
        lambda stack: in_folder(stack, "data", mend),
        ("site.health", "site.ready"),
    )


def age_the_newest(stack: Stack) -> None:
    """Let the published state be as if no snapshot had come for a while, and its keeper stand still."""
    keeper = stack.service("backup")
    keeper.signal("STOP", keeper.main_process().pid)
    then = (datetime.now(UTC) - timedelta(hours=PROMISED.number("stale_hours"))).isoformat(timespec="seconds")
    edit = "import json, sys; p = 'backup.json'; d = json.load(open(p)); d['newest']['created'] = sys.argv[1]; "
    stack.as_root("sh", "-euc", f"cd /srv/status; python3 -c \"{edit} json.dump(d, open(p, 'w'))\" {then}")


def let_it_publish(stack: Stack) -> None:
    """Let the keeper go on, and publish."""
    keeper = stack.service("backup")
    keeper.signal("CONT", keeper.main_process().pid)
    stack.run("backup", "now")


def fail_a_backup(stack: Stack) -> None:
    """Let the next snapshot fail, and the schedule stand still, which would try again while all is mended."""
    keeper = stack.service("backup")
    keeper.signal("STOP", keeper.main_process().pid)
    stack.as_root("chmod", "0", "/srv/backups")
    stack.run("backup", "now", expect=CONTRACT.exit_codes.failed)


def let_backups_work(stack: Stack) -> None:
    """Undo that, and take one."""
    stack.as_root("chmod", "0700", "/srv/backups")
    let_it_publish(stack)


def end_a_child(stack: Stack) -> None:
    """Let a process of the app's container take so much memory that the kernel ends it, and nothing else."""
    app = stack.service("app")
    before = app.facts
    hog = f"b'x' * {PROMISED.whole('hog_mb')}_000_000"
    done = door.run("docker", "exec", app.container, "python3", "-S", "-c", hog)
    after = app.facts
    assert done.code == 128 + signal.SIGKILL, done.told()
    assert (after.restarts, after.started) == (before.restarts, before.started), "the site itself must live on"


def end_it_again_and_again(stack: Stack) -> None:
    """End everything in the app's container, each time that it is back, until that is a loop."""
    name = stack.service("app").container
    enough = PROMISED.whole("deaths")

    def ended_often() -> bool:
        if peek(name).restarts < enough:
            door.run(
                "docker", "exec", name, "python3", "-S", "-c", "import os; print('ends', flush=True); os.kill(-1, 9)"
            )
        return peek(name).restarts >= enough

    wait_for(f"{name} to have ended {enough} times", ended_often, CONTRACT.recovery.killed_s, story=stack.story)


def freeze(stack: Stack) -> None:
    """Let the app stand still."""
    app = stack.service("app")
    app.signal("STOP", app.main_process().pid)


def thaw(stack: Stack) -> None:
    """Let it go on."""
    app = stack.service("app")
    app.signal("CONT", app.main_process().pid)


def fill(stack: Stack) -> None:
    """Fill the disk until little is left."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root")
    seen = os.statvfs(stack.root)
    much = seen.f_bavail * seen.f_frsize - PROMISED.whole("left_mib") * MIB
    stack.as_root(
        "python3", "-c", f"import os; os.posix_fallocate(os.open('/srv/filler', os.O_CREAT | os.O_RDWR), 0, {much})"
    )


def leave_a_journal(stack: Stack) -> None:
    """Leave what a deployer that was killed leaves."""
    told = {"schema": 1, "id": "d-20261122T101500Z-ab12", "verb": "deploy", "phase": "stopped"}
    (stack.root / "state" / "deploy.json").write_text(json.dumps(told), encoding="utf-8")


def gate(act: str, **how: int) -> Callable[[Stack], None]:
    """Stop or start the gate."""
    return lambda stack: getattr(engine().containers.get(stack.service("gate").container), act)(**how)


END_ALL = "import os; print('ends', flush=True); os.kill(-1, 9)"
CHECKPOINT = "import sqlite3; sqlite3.connect('/srv/data/balades.db').execute('PRAGMA wal_checkpoint(TRUNCATE)')"


def restart_app(stack: Stack) -> None:
    """Restart the app as an operator would."""
    stack.run("restart", "app")


FAULTS = {
    "database root-owned": data("chown 0:0 balades.db*", "chown 1001:1001 balades.db*"),
    "database read-only": data("chmod 0400 balades.db*; chmod 0500 .", "chmod 0700 .; chmod 0600 balades.db*"),
    "database gone": data("mkdir ../away; mv balades.db* ../away", "mv ../away/* .; rmdir ../away"),
    "backup stale": Fault("backup.newest", WARNING, age_the_newest, let_it_publish),
    "backup failing": Fault("backup.run", WARNING, fail_a_backup, let_backups_work, ("folders.owner backups",)),
    "WAL large": Fault(
        "database.wal",
        WARNING,
        lambda stack: in_folder(stack, "data", f"truncate -s {PROMISED.whole('wal_mib')}M balades.db-wal"),
        lambda stack: stack.exec("app", "python3", "-c", CHECKPOINT),
    ),
    "out of memory": Fault("service.oom_kills app", WARNING, end_a_child, restart_app),
    "restart loop": Fault("service.restarts app", CRITICAL, end_it_again_and_again, restart_app, ("site.",)),
    "frozen": Fault("site.health", CRITICAL, freeze, thaw, ("site.ready",)),
    "disk nearly full": Fault("disk.free", CRITICAL, fill, lambda stack: stack.as_root("rm", "/srv/filler")),
    "journal open": Fault(
        "deploy.journal", CRITICAL, leave_a_journal, lambda stack: (stack.root / "state" / "deploy.json").unlink()
    ),
    "gate down": Fault("site.gate", CRITICAL, gate("stop", timeout=0), gate("start"), ("site.", "service.state gate")),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_fault_is_told_by_its_own_check(watched: Stack, fault: Fault) -> None:
    """A fault is told in time by the check that is about it and its code, and by no other; its repair clears it."""

    looks: list[Told] = []

    def seen() -> bool:
        looks.append(look(watched))
        return looks[-1].status(fault.check) not in ("ok", "absent")

    try:
        fault.hurt(watched)
        wait_for(f"{fault.check} to tell it", seen, PROMISED.number("detected_s"), story=watched.story)
    finally:
        fault.mend(watched)
    mended = wait_until_well(watched)
    told = looks[-1]

    assert told.code == fault.code, str(told)
    assert [one for one in told.ill if not one.startswith((fault.check, *fault.others))] == [], str(told)
    assert mended.status(fault.check) == "ok"


# -- ten states that are well


@contextmanager
def nothing(stack: Stack) -> Iterator[None]:
    """Leave it as it is."""
    del stack
    yield


@contextmanager
def right_after_up(stack: Stack) -> Iterator[None]:
    """Start it a second time."""
    stack.up()
    yield


@contextmanager
def under_load(stack: Stack) -> Iterator[None]:
    """Let visitors read and write."""
    count = PROMISED.whole("visitors")
    with readers(stack, count) as read, writers(stack, 1) as written:
        wait_for("the load to be there", lambda: len(read) > count and len(written) > 1, 30)
        yield


@contextmanager
def during_a_backup(stack: Stack) -> Iterator[None]:
    """Hold the keeper in the middle of a snapshot."""
    with at_work(stack, "now"):
        yield


@contextmanager
def during_a_drill(stack: Stack) -> Iterator[None]:
    """Hold the keeper in the middle of a drill."""
    with at_work(stack, "drill"):
        yield


@contextmanager
def after_a_deploy(stack: Stack) -> Iterator[None]:
    """Leave the line of a deploy that went live just now."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    path = stack.root / "state" / "history.jsonl"
    path.write_text(json.dumps({"schema": 1, "n": 1, "verb": "deploy", "ended": now, "outcome": "live"}) + "\n")
    yield
    path.unlink()


@contextmanager
def healed_an_hour_ago(stack: Stack) -> Iterator[None]:
    """Leave what the app's probe wrote when it ended a frozen site an hour ago."""
    then = (datetime.now(UTC) - timedelta(hours=1)).timestamp()
    told = json.dumps({"schema": 1, "heals": [then]})
    stack.exec("app", "python3", "-c", f"open('/srv/state/heal.json', 'w').write('''{told}''')")
    yield
    stack.exec("app", "rm", "/srv/state/heal.json")


@contextmanager
def large_database(stack: Stack) -> Iterator[None]:
    """Let the database be large."""
    size = PROMISED.whole("large_mb") * 1_000_000
    run = "import sqlite3; c = sqlite3.connect('/srv/data/balades.db', isolation_level=None); "
    fold = "c.execute('PRAGMA wal_checkpoint(TRUNCATE)')"
    stack.exec("app", "python3", "-c", f"{run}c.execute('CREATE TABLE large AS SELECT zeroblob({size}) b'); {fold}")
    yield
    stack.exec("app", "python3", "-c", f"{run}c.execute('DROP TABLE large'); c.execute('VACUUM'); {fold}")


@contextmanager
def cut_line_in_the_history(stack: Stack) -> Iterator[None]:
    """Leave a history whose last line a crash cut short, after one of a deploy that went live."""
    path = stack.root / "state" / "history.jsonl"
    path.write_text('{"schema": 1, "verb": "deploy", "ended": "2026-11-22T10:00:00+00:00", "outcome": "live"}\n{"sch')
    yield
    path.unlink()


STATES = {
    "fresh, no drill due yet": nothing,
    "right after up": right_after_up,
    "under load": under_load,
    "during a backup": during_a_backup,
    "during a drill": during_a_drill,
    "right after a deploy": after_a_deploy,
    "history cut short": cut_line_in_the_history,
    "healed an hour ago": healed_an_hour_ago,
    "large database": large_database,
}


@pytest.mark.parametrize("state", STATES.values(), ids=STATES.keys())
def test_state_that_is_well_raises_no_alarm(
    watched: Stack, state: Callable[[Stack], AbstractContextManager[None]]
) -> None:
    """A stack that is well is called well, whatever it is busy with."""
    with state(watched):
        told = look(watched)

    assert (told.code, told.ill) == (WELL, {}), str(told)


def test_restore_under_way_raises_no_alarm(watched: Stack) -> None:
    """From its first step to its last a restore into the running site is no alarm."""
    name = watched.take_snapshot()
    looks: list[Told] = []
    with launch(watched, "restore", name) as under_way:
        while under_way.process.poll() is None:
            looks.append(look(watched))

    assert [str(told) for told in looks if told.code != WELL] == []
    assert looks != []


def test_verb_at_work_is_named_and_explains_what_it_stops(watched: Stack) -> None:
    """What a verb that has the lock stops is a warning that names it; without the lock its note explains nothing."""
    stop, start = gate("stop", timeout=0), gate("start")
    note = f"./stack up, process {os.getpid()}, since {datetime.now(UTC).isoformat(timespec='seconds')}\n"
    with (watched.root / "state" / "lock").open("w", encoding="utf-8") as lock:
        lock.write(note)
        lock.flush()
        stop(watched)
        try:
            left = look(watched)
            fcntl.flock(lock, fcntl.LOCK_EX)
            held = look(watched)
        finally:
            start(watched)
    wait_until_well(watched)

    assert (left.code, left.document["deploys"]["work"]) == (CRITICAL, None), str(left)
    assert (held.code, held.document["deploys"]["work"]["verb"]) == (WARNING, "up"), str(held)
    assert {one["during"] for one in held.document["checks"] if one["status"] != "ok"} == {"up"}


def test_matrix_is_as_large_as_was_promised() -> None:
    """There are as many faults and states that are well as was promised."""
    door.saw("rows", f"{len(FAULTS)} faults; {len(STATES) + len(['restore'])} states that are well")

    assert (len(FAULTS), len(STATES) + len(["restore"])) == (PROMISED.whole("faults"), PROMISED.whole("healthy"))


# -- what cannot be looked at


def test_dead_engine_is_no_well_stack(watched: Stack) -> None:
    """Without an answer from the engine the monitor says that it could not look, whatever else it saw."""
    done = watched.run("monitor", expect=None, env=NOWHERE)
    short = watched.run("monitor", "--check", expect=None, env=NOWHERE)

    assert (done.code, short.code) == (COULD_NOT_LOOK, COULD_NOT_LOOK), f"{done.told()}: expected {COULD_NOT_LOOK}"
    assert "does not answer" in " ".join(done.stdout.split())
    assert "UNKNOWN - engine.answers" in short.stdout


@pytest.mark.parametrize(
    ("check", "hurt", "mend"),
    [
        (
            "backup.published",
            "mv status/backup.json status/kept; echo '{' > status/backup.json",
            "mv status/kept status/backup.json",
        ),
        ("backup.published", "chmod 0 status", "chmod 0750 status"),
        ("deploy.journal", "echo '{' > state/deploy.json", "rm state/deploy.json"),
        ("deploy.last", "echo '{' > state/history.jsonl", "rm state/history.jsonl"),
        ("heals.recent", "echo '{}' > state/app/heal.json", "rm state/app/heal.json"),
    ],
    ids=["state damaged", "state closed", "journal damaged", "history damaged", "heals damaged"],
)
def test_damage_is_no_well_stack(watched: Stack, check: str, hurt: str, mend: str) -> None:
    """What the stack wrote down and cannot be read is told as something that could not be looked at."""
    with standing_still(watched) if check == "backup.published" else nothing(watched):  # it would mend its own state
        watched.as_root("sh", "-euc", f"cd /srv; {hurt}")
        told = look(watched)
        watched.as_root("sh", "-euc", f"cd /srv; {mend}")

    assert (told.code, told.status(check)) == (COULD_NOT_LOOK, "unknown"), str(told)
    assert [one for one in told.ill if not one.startswith(check)] == [], str(told)
