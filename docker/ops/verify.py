"""verify: judge the stack that runs on this host against what `up` recorded, and touch nothing of it."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops import claims, engine, testing
from ops.compose import Compose, run
from ops.errors import StackError
from ops.settings import Settings
from ops.ui import Ui

# One process, no cache in the checkout, a page of its own; what is red is told once, by the ledger.
_HOW = ("-n0", "-p", "no:cacheprovider", "-q", "--no-header", "--tb=no", "--no-summary")


@dataclass(frozen=True)
class Wish:
    """How much is to be looked at."""

    quick: bool
    controls: str | None
    profile: str | None

    @property
    def options(self) -> list[str]:
        """What pytest is told."""
        chosen = (("--controls", self.controls), ("--profile", self.profile))
        return [
            *(["--quick"] if self.quick else []),
            *(part for option, value in chosen if value is not None for part in (option, value)),
        ]


def verify(settings: Settings, ui: Ui, wish: Wish) -> int:
    """Look at the running stack. Return 0 pass, 1 broken, 2 wrong usage, 3 incomplete.

    Raises StackError (3) where there is nothing to look at: that is never a pass. Nothing is started for it, the
    engine included.
    """
    _expect_something(settings)
    ours = {name: value for name, value in os.environ.items() if not name.startswith("MONSITE_")}
    environment = {**ours, **settings.values, "MONSITE_ROOT": str(settings.root)}
    out = sys.stderr.fileno() if ui.as_json else None
    ended = testing.run(["--live", *_HOW, *wish.options], environment, out)
    if ended.results is not None:
        ui.emit(_told(ended.results))
    return ended.code


def _told(path: Path) -> dict[str, Any]:
    """Say what was found, in short; the results have it whole, with the evidence."""
    found = json.loads(path.read_text(encoding="utf-8"))
    keys = ("id", "state", "reason", "remedy", "severity", "decides")
    return {
        "verdict": found["verdict"],
        "code": found["exit_code"],
        "counts": found["counts"],
        "because": found["because"],
        "controls": [{key: one[key] for key in keys} for one in found["controls"]],
        "results": str(path),
    }


def _expect_something(settings: Settings) -> None:
    answer = engine.ask()
    if answer.version is None:
        raise _nothing("the Docker engine does not answer", "./stack doctor says what is missing")
    claims.check_project(Compose(settings, engine.Engine(answer.version, (), ""), {}))
    if not (settings.root / "state" / "running.json").is_file():
        raise _nothing(
            f"{settings.root} has no record of what `up` made", "./stack up starts the stack, and records what it made"
        )
    ours = f"label=com.docker.compose.project={settings.project}"
    if not run(["docker", "ps", "--all", "--quiet", "--filter", ours]).stdout.strip():
        raise _nothing(f"project {settings.project} has no containers", "./stack up starts it")


def _nothing(why: str, hint: str) -> StackError:
    return StackError(f"{why}: nothing was looked at", hint, testing.INCOMPLETE)
