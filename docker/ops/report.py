"""report: make the bundle of a run, or judge one. The work is done by fixtures/report, in a process of its own."""

import os
import sys
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ops import child
from ops.errors import Exit
from ops.settings import CHECKOUT
from ops.ui import Ui

PAGE = "report.html"


@dataclass(frozen=True)
class Wish:
    """What the bundle is to have."""

    run: str
    profile: str | None
    since: str | None
    key: Path | None

    @property
    def options(self) -> list[str]:
        """What the process is told; it runs in the checkout, so a path typed elsewhere becomes a whole one."""
        runs = (("--run", self.run), ("--since", self.since))
        options = [part for name, value in runs if value is not None for part in (name, _whole(value))]
        options += ["--profile", self.profile] if self.profile is not None else []
        return options + (["--key", str(self.key.absolute())] if self.key is not None else [])


def reports() -> Path:
    """Where the runs are."""
    return Path(os.environ.get("SUITE_REPORTS", CHECKOUT / "reports")).absolute()


def make(folder: Path, options: Sequence[str], *, as_json: bool = False) -> int:
    """Make the bundle of a run below this folder; give the exit code."""
    return _run(folder, ["render", *options], as_json=as_json)


def show(wish: Wish, keep: int, ui: Ui, *, browse: bool) -> int:
    """Make the bundle that was wished for, and open its page if that was too."""
    code = make(reports(), [*wish.options, "--keep", str(keep)], as_json=ui.as_json)
    if browse and code == Exit.OK:
        page = (reports() / _whole(wish.run) / PAGE).resolve()
        if not webbrowser.open(page.as_uri()):
            ui.warn(f"no browser opens here: open {page}")
    return code


def verify(folder: Path | None, signers: Path | None, *, as_json: bool) -> int:
    """Judge a bundle; give the exit code."""
    named = [str(folder.absolute())] if folder is not None else []
    trusted = ["--signers", str(signers.absolute())] if signers is not None else []
    return _run(reports(), ["verify", *named, *trusted], as_json=as_json)


def _run(folder: Path, argv: Sequence[str], *, as_json: bool) -> int:
    ours = [sys.executable, "-m", "fixtures.report", "--reports", str(folder)]
    return child.run([*ours, *(["--json"] if as_json else []), *argv], os.environ, None, CHECKOUT)


def _whole(run: str) -> str:
    """A run's name stays a name; where a folder is meant that lies elsewhere, say where."""
    below = (reports() / run).is_dir()
    return run if below or not Path(run).is_dir() else str(Path(run).absolute())
