"""Who may run the stack: root, and a member of the group that owns the engine's socket, who is nobody else.

Root's own Python may lie where nobody else may look, so the operator gets a virtual environment of the
system's Python that borrows the locked packages.
"""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures import homes
from fixtures.evidence import Completed, door
from fixtures.run import CHECKOUT
from fixtures.stack import Stack, own_lifetime

SOCKET = Path("/var/run/docker.sock")
OPERATOR = 4242  # a uid and gid that own nothing on any machine

pytestmark = pytest.mark.promise("a member of the docker group can run the stack")


@pytest.fixture
def operators_stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A stack not yet started, in a folder that belongs to the operator."""
    if os.geteuid() != 0:
        pytest.skip("the whole suite runs as such a member here, and so proves it everywhere")
    with own_lifetime(request.config, start=False) as stack:
        os.chown(stack.home.folder, OPERATOR, OPERATOR)
        os.chown(stack.root, OPERATOR, OPERATOR)
        yield stack


def borrowed_python(stack: Stack) -> Path:
    """Make the operator's environment: the system's Python, the locked packages, the locked Compose."""
    folder = stack.home.folder / "python"
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", str(folder)], check=True)
    (packages,) = folder.glob("lib/python3.*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (folder / "bin" / "docker-compose").symlink_to(Path(sys.executable).with_name("docker-compose"))
    return folder / "bin" / "python"


def as_operator(stack: Stack, python: Path, *argv: str) -> Completed:
    """Run a verb of the launcher as the operator."""
    who = [f"--reuid={OPERATOR}", f"--regid={OPERATOR}", f"--groups={SOCKET.stat().st_gid}"]
    mine = {"HOME": str(stack.home.folder), "PYTHONPATH": str(CHECKOUT / "docker")}
    environment = {**homes.environment(), **stack.settings, **mine}
    argv = ("setpriv", *who, str(python), "-m", "ops", *argv)
    return door.run(*argv, within=180, env=environment, cwd=CHECKOUT)


def test_member_of_the_docker_group_runs_and_restores_a_stack(operators_stack: Stack) -> None:
    """Without root, a member of the socket's group starts a stack, backs it up, loses the database and restores it."""
    python = borrowed_python(operators_stack)
    steps = [
        ("up", "--quiet"),
        ("backup", "now", "--quiet"),
        ("restore", "latest", "--cold", "--quiet"),
        ("status", "--quiet"),
        ("down", "--quiet"),
        ("backup", "list", "--json"),
    ]

    ended = {argv: as_operator(operators_stack, python, *argv) for argv in steps}

    assert {argv: done.told() for argv, done in ended.items() if done.code != 0} == {}
    assert len(ended["backup", "list", "--json"].json()["snapshots"]) >= len(["scheduled", "by hand", "safety"])
