"""Find a Docker engine and Compose; install or start them where that is the launcher's to do."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from ops.errors import StackError
from ops.ui import Ui

OLDEST_ENGINE = (20, 10)
OLDEST_COMPOSE = (2, 20)
START_DEADLINE_S = 60.0
DAEMON_LOG = Path("/var/log/monsite-dockerd.log")
DEBIAN_PACKAGES = ("docker.io", "apparmor", "mmdebstrap", "debian-archive-keyring")
CLIENT_PACKAGE = "docker-cli"  # from Debian 13 on; before, docker.io holds the client
JOIN_GROUP = "sudo usermod -aG docker $USER, then log out and in again"
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


@dataclass(frozen=True)
class Engine:
    """An engine that answers, and the Compose that goes with it."""

    version: str
    compose: tuple[str, ...]  # argv prefix
    compose_version: str


@dataclass(frozen=True)
class Answer:
    """What `docker version` said."""

    version: str | None  # of the engine; None when it did not answer
    complaint: str  # what the client wrote on stderr


def ensure(ui: Ui, *, install: bool) -> Engine:
    """Return a usable engine; install Debian's or start the installed one when root and `install` allow it.

    Raises StackError with the commands to type when that is not ours to do.
    """
    os.environ["PATH"] += f":{SBIN}"
    if not shutil.which("docker"):
        _install(ui, allowed=install)
    answer = ask()
    if answer.version is None and _may_start(answer):
        if not shutil.which("dockerd"):
            _install(ui, allowed=install)
        _start(ui)
        answer = ask()
    if answer.version is None:
        raise unreachable(answer.complaint)
    if not is_recent(answer.version):
        raise StackError(
            f"the Docker engine is {answer.version}, monsite needs 20.10 or newer",
            "upgrade the package docker.io (Debian, Ubuntu) or docker-ce, then run this again",
        )
    compose, compose_version = find_compose()
    return Engine(answer.version, compose, compose_version)


def ask() -> Answer:
    """Ask the engine for its version, without changing anything."""
    try:
        done = subprocess.run(
            ["docker", "version", "--format", "{{json .Server}}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
    except subprocess.TimeoutExpired:
        return Answer(None, "no answer within 20 s")
    except OSError as error:
        return Answer(None, f"the docker client cannot be run: {error}")
    try:
        server = json.loads(done.stdout or "null")
    except json.JSONDecodeError:
        server = None
    version = server.get("Version") if isinstance(server, dict) else None
    return Answer(version or None, done.stderr.strip())


def find_compose() -> tuple[tuple[str, ...], str]:
    """Return the argv prefix and version of the host's Compose plugin, else of the locked binary.

    Raises StackError when neither is new enough.
    """
    seen = []
    for prefix in (("docker", "compose"), (str(Path(sys.executable).parent / "docker-compose"),)):
        try:
            done = subprocess.run(
                [*prefix, "version", "--short"], capture_output=True, text=True, check=False, timeout=20
            )
        except OSError:
            continue
        version = done.stdout.strip().removeprefix("v")
        if done.returncode == 0 and version and _numbers(version) >= OLDEST_COMPOSE:
            return prefix, version
        seen.append(f"{' '.join(prefix)}: {version or 'not there'}")
    raise StackError(
        f"no Compose 2.20 or newer ({'; '.join(seen)})",
        "remove .venv and run ./stack again: the locked requirements bring Compose",
    )


def is_recent(version: str) -> bool:
    """Tell whether an engine of this version can run the stack."""
    return _numbers(version) >= OLDEST_ENGINE


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int("".join(filter(str.isdigit, part)) or 0) for part in version.split("+")[0].split(".")[:2])


def _may_start(answer: Answer) -> bool:
    refused = "permission denied" in answer.complaint.lower()
    return os.geteuid() == 0 and "DOCKER_HOST" not in os.environ and not refused


def unreachable(complaint: str) -> StackError:
    """Return the error for an engine that gives no answer: where it was asked, what was heard, the next step."""
    where = os.environ.get("DOCKER_HOST", "/var/run/docker.sock")
    if "permission denied" in complaint.lower():
        return StackError(
            f"no permission on the Docker engine's socket {where}",
            f"{JOIN_GROUP}; or run ./stack as root",
        )
    seen = complaint.splitlines()[0] if complaint else "it said nothing"
    if "DOCKER_HOST" in os.environ:
        hint = f"start the engine behind DOCKER_HOST={where}, or unset DOCKER_HOST"
    else:
        hint = "sudo systemctl start docker; where there is no systemd: sudo dockerd >/var/log/dockerd.log 2>&1 &"
    return StackError(f"the Docker engine at {where} does not answer: {seen}", hint)


def _install(ui: Ui, *, allowed: bool) -> None:
    command = f"apt-get update && apt-get install -y --no-install-recommends {' '.join(DEBIAN_PACKAGES)}"
    if not allowed or os.geteuid() != 0 or not Path("/etc/debian_version").is_file():
        raise StackError(
            "there is no Docker engine on this machine",
            f"as root on Debian or Ubuntu: {command}; elsewhere install Docker Engine 20.10 or newer",
        )
    with ui.step("Install docker.io and mmdebstrap from the system's archive"):
        install_packages(*DEBIAN_PACKAGES)
        if not shutil.which("docker"):
            install_packages(CLIENT_PACKAGE)


def install_packages(*packages: str) -> None:
    """Install Debian packages. Raises StackError with apt's own last words."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for argv in (
        ["apt-get", "update"],
        ["apt-get", "install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120", *packages],
    ):
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])
            raise StackError(f"{' '.join(argv)} failed:\n{tail}", "mend the package manager, then run this again")


def _start(ui: Ui) -> None:
    with ui.step("Start the Docker engine"):
        daemon = None
        if Path("/run/systemd/system").is_dir():
            subprocess.run(["systemctl", "start", "docker"], check=False, capture_output=True)
        else:
            with DAEMON_LOG.open("ab") as log:
                daemon = subprocess.Popen(
                    ["dockerd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
                )
        deadline = time.monotonic() + START_DEADLINE_S
        while ask().version is None:
            died = daemon is not None and daemon.poll() is not None
            if died or time.monotonic() > deadline:
                raise _did_not_start(died=died, logged=daemon is not None)
            time.sleep(0.3)


def _did_not_start(*, died: bool, logged: bool) -> StackError:
    how = "ended at once" if died else f"did not answer within {START_DEADLINE_S:.0f} s"
    if not logged:
        return StackError(f"the Docker engine {how}", "journalctl -u docker says why")
    words = DAEMON_LOG.read_text(errors="replace").strip().splitlines()
    return StackError(f"the Docker engine {how}: {words[-1] if words else 'it wrote nothing'}", f"read {DAEMON_LOG}")
