"""One run() around Compose and one around the engine's command line; both raise with argv, code and stderr."""

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ops import roots
from ops.engine import JOIN_GROUP, Engine
from ops.errors import StackError
from ops.settings import DOCKER, Settings

BACKUP_CPUS = 2  # one checks while the other compresses; an engine refuses more than its machine has


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Compose:
    """Compose, bound to one project with its files, settings and images."""

    settings: Settings
    engine: Engine
    images: dict[str, str]  # variable → image, such as MONSITE_APP_IMAGE → monsite/app:1f3c…

    @property
    def argv(self) -> list[str]:
        """The command up to the verb."""
        files = [part for path in self.settings.compose_files for part in ("--file", str(path))]
        return [
            *self.engine.compose,
            *("--project-name", self.settings.project),
            *("--project-directory", str(DOCKER)),
            *("--env-file", os.devnull),  # the settings are checked and complete; nothing is read twice
            *files,
        ]

    @property
    def environment(self) -> dict[str, str]:
        """The environment that fills in the files' variables."""
        machine = {"MONSITE_ROOT": str(self.settings.root), "BACKUP_CPUS": str(min(BACKUP_CPUS, os.cpu_count() or 1))}
        return {**os.environ, **self.settings.values, **machine, **self.images}

    def run(self, *args: str, check: bool = True) -> Done:
        """Run one Compose verb; raise StackError when it fails and `check` is set."""
        return run([*self.argv, *args], environment=self.environment, check=check)

    def container(self, service: str) -> str:
        """Name of the one container of a service."""
        return f"{self.settings.project}-{service}-1"


def run(argv: list[str], *, environment: dict[str, str] | None = None, check: bool = True) -> Done:
    """Run a command to its end in a session of its own, its output in files.

    A pipe would break under Compose when the launcher is killed, and leave containers created but not
    started. Raises StackError when the command fails and `check` is set, or cannot be run.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment,
                start_new_session=True,
                pass_fds=roots.held(),
            )
        except OSError as error:
            raise StackError(f"{argv[0]} cannot be run: {error}", "./stack doctor says what is missing") from error
        code = process.wait()
        out.seek(0)
        err.seek(0)
        done = Done(tuple(argv), code, out.read(), err.read())
    if check and code:
        raise failed(done)
    return done


def failed(done: Done) -> StackError:
    """Return the error for a command that failed: what ran, how it ended, its last words, the next step."""
    words = [part for part in done.argv if not part.startswith("/") and part != "--file"]
    shown = " ".join([Path(done.argv[0]).name, *words[-4:]])
    tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-12:])
    return StackError(f"{shown} ended with exit code {done.code}:\n{tail}", _next_step(tail))


def _next_step(tail: str) -> str:
    told = tail.lower()
    if "no space left" in told:
        return "free space on the file system of MONSITE_ROOT or of the engine (docker system df), then run this again"
    if "port is already allocated" in told or "address already in use" in told:
        return "stop what holds the port, or set MONSITE_PORT to a free one"
    if "permission denied" in told and "docker.sock" in told:
        return JOIN_GROUP
    return "./stack doctor checks the machine, ./stack logs shows what the services said"
