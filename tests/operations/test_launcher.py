"""The launcher says what is wrong and what to do next, and leaves everything as it was."""

import fcntl
import os
import re
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from fixtures import homes
from fixtures.evidence import Completed, Door, run_quietly
from fixtures.launches import pretend_docker, stuck_launcher
from fixtures.results import Exit as Verdict
from fixtures.run import CHECKOUT
from fixtures.services import CONTRACT
from fixtures.stack import LAUNCHER, Stack
from ops.errors import Ending

CODES = CONTRACT.exit_codes

pytestmark = pytest.mark.promise("each trouble has its own clear message with the next step")

SMALL_MIB = 64
MIB = 1 << 20
VERBS = (
    *("up", "down", "restart", "status", "logs", "shell", "build", "lint", "doctor", "restore", "backup", "report"),
    "history",
)
DEPLOYS = ("deploy", "rollback")  # they end with codes that say what serves now
# They end with codes of their own: the ledger's, and the monitor's; what follows `test`, --help too, is pytest's.
JUDGES = ("test", "verify", "monitor")


def complaint(done: Completed) -> str:
    """Give the error in one line; it must come with a hint, and without a traceback."""
    words = " ".join(done.stderr.split())
    assert "error: " in words, done.told()
    assert "hint: " in words, done.told()
    assert "Traceback" not in words, done.told()
    return words


@pytest.fixture
def fake_docker(tmp_path: Path) -> Path:
    """A folder that goes first on PATH; the test puts its own `docker` there."""
    return tmp_path


# -- what it says of itself


@pytest.mark.parametrize("verb", VERBS)
def test_help_lists_the_exit_codes(idle_settings: dict[str, str], evidence: Door, verb: str) -> None:
    """The help of each verb says what it does and which exit codes it has."""
    told = evidence.run(str(LAUNCHER), verb, "--help", env=idle_settings, cwd=CHECKOUT)
    words = " ".join(told.stdout.split())

    assert told.code == CODES.ok
    assert f"Exit codes: {CODES.ok} ok" in words
    assert f"{CODES.busy} busy" in words


@pytest.fixture
def idle_settings() -> dict[str, str]:
    """An environment in which the launcher shows its help in full width."""
    return {**homes.environment(), "COLUMNS": "200", "TERM": "dumb"}


def test_verbs_are_the_documented_ones(idle_settings: dict[str, str], evidence: Door) -> None:
    """`./stack --help` names every verb, and no other."""
    told = evidence.run(str(LAUNCHER), "--help", env=idle_settings, cwd=CHECKOUT).stdout
    named = re.findall(r"^[│ ]+([a-z]+) {2,}\S", told.partition("Commands")[2], re.MULTILINE)

    assert sorted(named) == sorted([*VERBS, *DEPLOYS, *JUDGES])


def test_unknown_verb_is_a_usage_error(idle_settings: dict[str, str], evidence: Door) -> None:
    """A verb that does not exist ends with the code for wrong usage, and its name."""
    done = evidence.run(str(LAUNCHER), "upp", env=idle_settings, cwd=CHECKOUT)

    assert done.code == CODES.usage
    assert "upp" in done.stderr


# -- before it can begin


@pytest.mark.parametrize(
    ("verb", "code"),
    [
        *((verb, CODES.failed) for verb in VERBS),
        *((verb, Ending.PREFLIGHT) for verb in DEPLOYS),
        *((verb, Verdict.INCOMPLETE) for verb in JUDGES if verb != "monitor"),  # whose document is of another form
    ],
)
def test_launcher_that_cannot_begin_is_one_document(tmp_path: Path, evidence: Door, verb: str, code: int) -> None:
    """Where not even the environment stands, `--json` has error, next step and a code from the verb's own list."""
    launcher = stuck_launcher(tmp_path)

    done = evidence.run(str(launcher), verb, "--json")

    (error, hint) = done.stderr.splitlines()
    assert done.json() == {"error": error.removeprefix("error: "), "hint": hint.removeprefix("hint: "), "code": code}
    assert done.code == code


def test_checkout_that_is_not_whole_is_named(tmp_path: Path, evidence: Door) -> None:
    """Where a file of the launcher's own is gone, it is named, in `--json` too."""
    launcher = stuck_launcher(tmp_path)
    launcher.with_name("requirements.lock").unlink()

    done = evidence.run(str(launcher), "status", "--json")

    assert f"{tmp_path}/requirements.lock: No such file or directory" in complaint(done)
    assert done.json()["error"] == f"{tmp_path}/requirements.lock: No such file or directory"
    assert done.code == CODES.failed


# -- settings


def test_unknown_setting_is_named(idle_stack: Stack) -> None:
    """A setting with a typing error is refused by its name, with the name it may have meant; nothing is made."""
    done = idle_stack.run("up", expect=CODES.usage, env={"MONSITE_PORTS": "3001"})

    assert "MONSITE_PORTS" in complaint(done)
    assert "MONSITE_PORT?" in complaint(done)
    assert list(idle_stack.root.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("MONSITE_PORTS=3001", ("line 2", "MONSITE_PORTS", "did you mean MONSITE_PORT?")),
        ("MONSITE_PORT=30000000", ("MONSITE_PORT", "'30000000'", "1 to 65535")),
        ("MONSITE_PORT 3001", ("line 2", "MONSITE_PORT 3001", "NAME=value")),
        ("MONSITE_BIND=localhst", ("MONSITE_BIND", "'localhst'", "an IP address")),
    ],
)
def test_faulty_settings_file_is_refused(
    idle_stack: Stack, evidence: Door, tmp_path: Path, line: str, words: tuple[str, ...]
) -> None:
    """A fault in docker/.env is refused with its place, what stands there and what is expected."""
    checkout = copy_of_the_checkout(tmp_path)
    (checkout / "docker" / ".env").write_text(f"# settings\n{line}\n", encoding="utf-8")

    done = evidence.run(str(checkout / "stack"), "up", env=homes.environment(), cwd=checkout)

    assert done.code == CODES.usage
    assert [word for word in words if word not in complaint(done)] == []
    assert idle_stack.containers() == ()


def copy_of_the_checkout(folder: Path) -> Path:
    """Copy what the launcher needs, so that a test can write settings without touching the operator's."""
    checkout = folder / "checkout"
    ignored = shutil.ignore_patterns("__pycache__", ".env")
    shutil.copytree(CHECKOUT / "docker", checkout / "docker", ignore=ignored)
    for name in ("stack", "requirements.lock", "pyproject.toml"):
        shutil.copy2(CHECKOUT / name, checkout / name)
    (checkout / ".venv").symlink_to(CHECKOUT / ".venv")
    return checkout


# -- what stands in the way


def test_taken_port_is_named(idle_stack: Stack) -> None:
    """A port that somebody listens on is refused with its number before anything starts."""
    with socket.create_server((idle_stack.contract.stack.bind, idle_stack.port)):
        done = idle_stack.run("up", expect=CODES.failed)

    assert f":{idle_stack.port} is already taken" in complaint(done)
    assert "MONSITE_PORT=" in complaint(done)
    assert idle_stack.containers() == ()


def test_port_of_another_stack_is_named_with_its_holder(idle_stack: Stack, stack: Stack) -> None:
    """A port that another stack publishes is refused with the name of the container that has it."""
    done = idle_stack.run("up", expect=CODES.failed, env={"MONSITE_PORT": str(stack.port)})

    assert f"already taken by container {stack.service('gate').container}" in complaint(done)
    assert stack.client.get("/api/live").status_code == requests.codes.ok


def test_second_verb_is_told_who_is_at_work(idle_stack: Stack) -> None:
    """While one verb works on a stack another is refused as busy, with the holder's name, and changes nothing."""
    lock = idle_stack.root / "state" / "lock"
    lock.parent.mkdir()
    with lock.open("w") as held:
        held.write("./stack up, process 4242\n")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        done = idle_stack.run("up", expect=CODES.busy)

    assert "is busy: ./stack up, process 4242" in complaint(done)
    assert idle_stack.containers() == ()


def test_two_ups_at_once_make_one_stack(idle_stack: Stack) -> None:
    """Of two `./stack up` at the same time at least one ends well, the other well or busy, with one stack to show."""
    ended: list[int] = []
    ups = [threading.Thread(target=lambda: ended.append(idle_stack.run("up", expect=None).code)) for _ in range(2)]
    for up in ups:
        up.start()
    for up in ups:
        up.join()

    assert CODES.ok in ended
    assert set(ended) <= {CODES.ok, CODES.busy}
    assert len(idle_stack.containers()) == len([*idle_stack.contract.services, *idle_stack.contract.jobs])
    assert idle_stack.write_walk() in idle_stack.read_walks()


def test_second_up_leaves_a_running_stack_alone(stack: Stack) -> None:
    """`./stack up` on a stack that runs ends well and replaces nothing."""
    before = stack.identity()

    stack.run("up", "--json")

    assert stack.identity() == before


def test_two_stacks_stand_side_by_side(own_stack: Stack, stack: Stack) -> None:
    """Two stacks with different names run at once; what is written to one is not in the other."""
    walk = own_stack.write_walk()

    assert own_stack.port != stack.port
    assert own_stack.client.get(f"/api/walks/{walk['id']}").json() == walk
    assert [one for one in stack.read_walks() if one["title"] == walk["title"]] == []
    assert own_stack.token() != stack.token()


@pytest.fixture
def small_disk(idle_stack: Stack) -> Iterator[Stack]:
    """A stack whose root lies on a file system that is nearly full."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_MIB}m", "tmpfs", str(idle_stack.root)]
    assert run_quietly(mount, within=10).code == CODES.ok
    yield idle_stack
    assert run_quietly(["umount", str(idle_stack.root)], within=10).code == CODES.ok


def test_full_disk_is_refused_before_anything_starts(small_disk: Stack) -> None:
    """A root on a nearly full file system is refused with what is free and what is needed."""
    done = small_disk.run("up", expect=CODES.failed)

    assert f"{SMALL_MIB} MiB free" in complaint(done)
    assert "MONSITE_ROOT" in complaint(done)
    assert small_disk.containers() == ()
    assert list(small_disk.root.iterdir()) == []


# -- the engine


def test_dead_engine_is_named(idle_stack: Stack) -> None:
    """An engine that does not answer is named by its address, with the way to start it."""
    done = idle_stack.run("up", expect=CODES.failed, env={"DOCKER_HOST": "unix:///nonexistent/docker.sock"})

    assert "unix:///nonexistent/docker.sock does not answer" in complaint(done)
    assert "start the engine" in complaint(done)


def test_dead_engine_breaks_no_promise(idle_stack: Stack) -> None:
    """Where `test` finds no engine nothing was looked at: 3, and not the 1 of a broken promise."""
    done = idle_stack.run(
        "test", expect=int(Verdict.INCOMPLETE), env={"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    )

    assert "does not answer" in complaint(done)


def test_closed_socket_is_named_with_the_way_in(idle_stack: Stack, evidence: Door) -> None:
    """A user who may not use the engine's socket is told so, and how to get the permission."""
    folder = Path(tempfile.mkdtemp(prefix="monsite-socket-"))  # a socket's path must be short
    path = folder / "docker.sock"
    try:
        with socket.socket(socket.AF_UNIX) as closed:
            closed.bind(str(path))
            closed.listen()
            path.chmod(0)
            environment = {**homes.environment(), **idle_stack.settings, "DOCKER_HOST": f"unix://{path}"}
            done = evidence.record(without_override([str(LAUNCHER), "status"], environment))
    finally:
        shutil.rmtree(folder)

    assert done.code == CODES.failed
    assert "no permission on the Docker engine's socket" in complaint(done)
    assert "usermod -aG docker" in complaint(done)


def without_override(argv: list[str], environment: dict[str, str]) -> Completed:
    """Run a command that is held by a file's mode, as everybody but root is."""
    held = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    return run_quietly([*held, *argv], within=60, env=environment, cwd=CHECKOUT)


def test_old_engine_is_refused(idle_stack: Stack, fake_docker: Path) -> None:
    """An engine that is too old is refused with its version and the one that is needed."""
    done = idle_stack.run(
        "up", expect=CODES.failed, env=pretend_docker(fake_docker, """echo '{"Version": "19.03.15"}'""")
    )

    assert "19.03.15" in complaint(done)
    assert f"{CONTRACT.operations.text('oldest_engine')} or newer" in complaint(done)


def test_old_compose_is_passed_over(idle_stack: Stack, fake_docker: Path) -> None:
    """A Compose plugin that is too old is not used: the locked one of the requirements is."""
    real = shutil.which("docker")
    old = f'case "$1" in compose) echo 2.10.0 ;; *) exec {real} "$@" ;; esac'

    told = idle_stack.run("doctor", "--json", expect=None, env=pretend_docker(fake_docker, old)).json()

    (compose,) = [one for one in told["findings"] if one["what"].startswith("Compose")]
    assert compose["well"]
    assert "docker-compose" in compose["seen"]


def test_missing_engine_is_named_with_the_command(idle_stack: Stack, tmp_path: Path) -> None:
    """Without an engine, and told to install nothing, the launcher gives the command that installs one."""
    done = idle_stack.run("up", "--no-install", expect=CODES.failed, env={"PATH": only_python(tmp_path)})

    assert "no Docker engine on this machine" in complaint(done)
    assert "apt-get install" in complaint(done)


def only_python(folder: Path) -> str:
    """Make a PATH on which Python is and Docker is not."""
    (folder / "python3").symlink_to(sys.executable)
    (folder / "env").symlink_to("/usr/bin/env")
    return str(folder)
