"""Who runs the stack: root, a member of the group that owns the engine's socket, and somebody woken at three.

Root's own checkout and Python may lie where nobody else may look, so the operator gets a copy of what the
launcher needs, on the system's Python.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from fixtures import homes
from fixtures.deploys import WITHOUT_REPORT
from fixtures.engine_facts import engine
from fixtures.evidence import Completed, door
from fixtures.kinds import good
from fixtures.launches import standing_still
from fixtures.made_releases import Make
from fixtures.run import CHECKOUT
from fixtures.services import CONTRACT
from fixtures.stack import Stack, own_lifetime
from fixtures.wait import wait_for

SOCKET = Path("/var/run/docker.sock")
LAUNCHER_PACKAGES = (
    *("rich", "typer", "click", "shellingham", "markdown_it", "mdurl", "pygments", "annotated_doc"),
    *("pydantic", "pydantic_core", "annotated_types", "typing_inspection", "typing_extensions.py"),
)
OPERATOR = 4242  # a uid and gid that own nothing on any machine

pytestmark = pytest.mark.promise("a member of the docker group can run the stack")


@pytest.fixture
def operators_stack(request: pytest.FixtureRequest, images: dict[str, str]) -> Iterator[Stack]:
    """A stack not yet started, in a folder that belongs to the operator."""
    del images
    if os.geteuid() != 0:
        pytest.skip("the whole suite runs as such a member here, and so proves it everywhere")
    with own_lifetime(request.config, start=False) as stack:
        os.chown(stack.home.folder, OPERATOR, OPERATOR)
        os.chown(stack.root, OPERATOR, OPERATOR)
        yield stack


def borrowed_checkout(stack: Stack) -> Path:
    """Give the operator a copy of the launcher with the system's Python; return where it lies."""
    folder = stack.home.folder / "checkout"
    for name in ("docker", ".git"):
        shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(CHECKOUT / "pyproject.toml", folder)
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", str(folder / ".venv")], check=True)
    (packages,) = folder.glob(".venv/lib/python3.*/site-packages")
    for name in LAUNCHER_PACKAGES:
        for found in Path(sysconfig.get_path("purelib")).glob(name):
            (shutil.copytree if found.is_dir() else shutil.copy2)(found, packages / found.name)
    shutil.copy2(Path(sys.executable).with_name("docker-compose"), folder / ".venv" / "bin")
    return folder


def as_operator(stack: Stack, checkout: Path, *argv: str) -> Completed:
    """Run a verb of the launcher as the operator."""
    who = [f"--reuid={OPERATOR}", f"--regid={OPERATOR}", f"--groups={SOCKET.stat().st_gid}"]
    mine = {"HOME": str(stack.home.folder), "PYTHONPATH": str(checkout / "docker")}
    environment = {**homes.environment(), **stack.settings, **mine}
    command = ["setpriv", *who, str(checkout / ".venv" / "bin" / "python"), "-m", "ops", *argv]
    return door.run(*command, within=180, env=environment, cwd=checkout)


def test_member_of_the_docker_group_runs_and_restores_a_stack(operators_stack: Stack, make_release: Make) -> None:
    """Without root, a member of the socket's group keeps a stack, restores it, deploys, goes back and sees it well."""
    checkout = borrowed_checkout(operators_stack)
    steps = [
        ("up", "--quiet"),
        ("backup", "now", "--quiet"),
        ("restore", "latest", "--cold", "--quiet"),
        ("status", "--quiet"),
        ("monitor", "--check"),
    ]
    ended = {argv: as_operator(operators_stack, checkout, *argv) for argv in steps}
    release = make_release(operators_stack, good(2))
    steps = [
        ("deploy", "--release", release.id, *WITHOUT_REPORT, "--watch-seconds", "0", "--quiet"),
        ("rollback", "--with-data", "--watch-seconds", "0", "--quiet"),
        ("history",),
        ("down", "--quiet"),
        ("backup", "list", "--json"),
    ]

    ended |= {argv: as_operator(operators_stack, checkout, *argv) for argv in steps}

    assert {argv: done.told() for argv, done in ended.items() if done.code != 0} == {}
    assert len(ended["backup", "list", "--json"].json()["snapshots"]) >= len(["scheduled", "by hand", "safety"])


@pytest.mark.promise("at three in the morning one command brings the site back")
def test_three_in_the_morning(module_stack: Stack) -> None:
    """Whoever only does what the text says gets from a lost database to the promised walks, and learns the loss."""
    module_stack.write_walks(3)
    promised = module_stack.read_walks()
    name = module_stack.take_snapshot()
    module_stack.write_walks(2)
    module_stack.lose_database()
    wait_for(
        "the site to say that it misses its database",
        lambda: module_stack.ask_app("/api/health")[0] != requests.codes.ok,
        module_stack.contract.recovery.ready_s,
    )

    told = module_stack.run("status", expect=None)
    advice = typed_out(told.stdout, r"^do +")
    done = module_stack.run(*advice)
    module_stack.wait_until_well()
    afterwards = module_stack.run("status")

    words = " ".join(done.stdout.split())
    assert told.code != 0
    assert advice == ["restore", "latest"]
    assert module_stack.read_walks() == promised
    assert f"Restored {name}, made " in words
    assert re.search(r"Lost: what was written in the \d+ s from \S+ \S+\+00:00 to \S+ \S+\+00:00", words) is not None
    assert "There was no former database file to keep." in words
    assert re.search(r"It took \d+\.\d s", words) is not None
    assert "do  " not in afterwards.stdout


def test_status_says_how_what_is_down_is_started(module_stack: Stack) -> None:
    """With the app stopped by hand `status` names it and the command that starts it."""
    service = engine().containers.get(module_stack.service("app").container)
    service.stop()
    try:
        told = module_stack.run("status", expect=CONTRACT.exit_codes.failed)
    finally:
        service.start()
        module_stack.wait_until_ready(within=module_stack.contract.recovery.ready_s)

    assert "./stack up starts what does not run: app" in told.stdout


def test_status_says_that_its_folder_is_closed(module_stack: Stack) -> None:
    """With status/ closed `status` says that nobody knows of the backups, not that there are none; its step helps."""
    name = module_stack.take_snapshot()
    module_stack.as_root("chmod", "0", "/srv/status")

    told = module_stack.run("status", expect=CONTRACT.exit_codes.failed)
    machine = module_stack.run("status", "--json", expect=CONTRACT.exit_codes.failed).json()
    module_stack.up()
    module_stack.wait_until_well()

    assert f"cannot be read: {module_stack.root}/status/backup.json: Permission denied" in told.stdout
    assert "./stack up gives the folders back" in told.stdout
    assert "none known" not in told.stdout
    assert machine["backup_unknown"].endswith("Permission denied")
    assert name in module_stack.run("status").stdout


@pytest.mark.parametrize("flags", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize("harm", ["truncate -s 100 {0}", "rm {0}; mkdir {0}"], ids=["truncated", "a folder"])
def test_damaged_state_is_told_by_every_command(module_stack: Stack, harm: str, flags: tuple[str, ...]) -> None:
    """While the state is damaged `status` fails and says so; the next `backup now` warns where it was set aside."""
    module_stack.take_snapshot()
    with standing_still(module_stack):
        module_stack.as_root("sh", "-euc", harm.format("/srv/status/backup.json"))
        told = module_stack.run("status", expect=CONTRACT.exit_codes.failed).stdout
        done = module_stack.run("backup", "now", *flags)

    assert f"their state cannot be read: {module_stack.root}/status/backup.json: " in told
    assert "none known" not in told
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert "/srv/status/backup.json.damaged_" in line
    assert [line.removeprefix("warning: ")] == (done.json()["warnings"] if flags else [line.removeprefix("warning: ")])
    module_stack.wait_until_well()
    assert module_stack.run("status").code == CONTRACT.exit_codes.ok


def test_start_tells_what_it_made_good(module_stack: Stack) -> None:
    """A start that takes the snapshot that had failed tells what it warns of: here, that all before are gone."""
    name = module_stack.take_snapshot()
    with standing_still(module_stack):
        module_stack.as_root("sh", "-euc", "cd /srv/backups; rm -rf daily weekly monthly; chmod 0 .")
        module_stack.run("backup", "now", expect=CONTRACT.exit_codes.failed)
        told = module_stack.up().stderr

    assert f"warning: every snapshot up to {name} is gone from the backups folder" in told


@pytest.mark.promise("at three in the morning one command brings the site back")
def test_wrong_restore_is_undone_by_its_own_text(module_stack: Stack) -> None:
    """After a restore that was a mistake, the safety copy that its text names brings all back, and can be let go."""
    module_stack.write_walks(1)
    module_stack.take_snapshot()
    everything = [*module_stack.read_walks(), *module_stack.write_walks(2)]
    mistake = module_stack.run("restore", "latest")
    assert module_stack.read_walks() != everything, "the mistake must be real, or undoing it proves nothing"

    (safety,) = re.findall(r"kept as snapshot (\S+), pinned", " ".join(mistake.stdout.split()))
    module_stack.run("restore", safety)
    module_stack.run("backup", "unpin", safety)

    assert module_stack.read_walks() == everything


def typed_out(text: str, before: str) -> list[str]:
    """Give the arguments of the command that a text tells to type."""
    (command,) = re.findall(rf"{before}\./stack ((?:[a-z]+ )*?[a-z]+)(?= brings)", text, re.MULTILINE)
    return shlex.split(command)
