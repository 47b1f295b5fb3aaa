"""A release on trial: the app's new image, without a network, on a copy of the data, asked by us."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops import container, keeper, releases
from ops.compose import Compose, run
from ops.errors import DeployError, Ending, StackError
from ops.release import Release
from ops.ui import Ui

SERVICE = "candidate"
DATABASE = "/srv/scratch/candidate/data/balades.db"
START_S = 14  # a start that takes longer would outlast the hold
STOP_S = 5  # idle, it has nothing to end
_QUESTIONS = Path(__file__).with_name("questions.py")
_WELL_ENDED = (0, 143)  # by itself, or by the TERM it was sent


@dataclass(frozen=True)
class Passed:
    """What the trial showed."""

    schema: int
    start_s: float  # until it was well


def prove(compose: Compose, ui: Ui, release: Release, snapshot: str) -> Passed:
    """Let a release start on the snapshot, serve a write and stop. Raises DeployError; nothing of it stays."""
    name = compose.container(SERVICE)
    chosen = releases.variables(release)
    trial = Compose(
        compose.settings,
        compose.engine,
        {
            **compose.images,
            "MONSITE_CANDIDATE_IMAGE": chosen["MONSITE_APP_IMAGE"],
            "MONSITE_CANDIDATE_VERSION": chosen["MONSITE_VERSION"],
        },
    )
    try:
        with ui.step(f"Try release {release.id} on {snapshot}, beside the live site") as step:
            step.well = False
            _lay_out(compose, snapshot)
            begun = time.monotonic()
            trial.run("--profile", SERVICE, "up", "--detach", "--no-build", "--no-deps", SERVICE)
            told = _ask(name)
            start_s = time.monotonic() - begun
            _stop(name)
            step.well = True
    finally:
        clear(compose)
    return Passed(int(told["schema"]), start_s)


def clear(compose: Compose) -> None:
    """Remove a candidate and what it worked on, whoever left it."""
    run(["docker", "rm", "--force", compose.container(SERVICE)], check=False)
    keeper.call(compose, ["lay-out"])


def left_behind(compose: Compose) -> bool:
    """Whether a killed deploy left its candidate."""
    return container.inspect(compose.container(SERVICE)) != container.MISSING


def _lay_out(compose: Compose, snapshot: str) -> None:
    code, document = keeper.call(compose, ["lay-out", snapshot])
    if code:
        raise StackError(
            f"{snapshot} cannot be laid out for the candidate: {document.get('error')}", str(document.get("hint"))
        )


def _ask(name: str) -> dict[str, Any]:
    argv = ["docker", "exec", name, "python3", "-S", "-c", _QUESTIONS.read_text(encoding="utf-8")]
    done = run([*argv, DATABASE, str(START_S)], check=False)
    try:
        told: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise _rejected(name, f"it cannot be asked: {done.stderr.strip()[-300:] or f'exit code {done.code}'}") from None
    if told["oom_kills"]:
        raise _rejected(
            name, f"it used more memory than it may: the kernel killed {told['oom_kills']} of its processes"
        )
    if told["error"]:
        raise _rejected(name, str(told["error"]))
    return told


def _stop(name: str) -> None:
    run(["docker", "stop", "--time", str(STOP_S), name])
    seen = container.inspect(name)
    if seen.exit_code not in _WELL_ENDED or seen.oom_killed:
        raise _rejected(name, f"told to stop, it did not end well within {STOP_S} s")


def _rejected(name: str, why: str) -> DeployError:
    seen = container.inspect(name)
    ended = "" if seen.runs else f" (it is {seen.told()})"
    return DeployError(
        f"the candidate is rejected, the live site was not touched: {why}{ended}\n"
        f"its last log lines:\n{container.last_words(name)}",
        "mend the release, then ./stack build, ./stack test and deploy again",
        Ending.REJECTED,
    )
