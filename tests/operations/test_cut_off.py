"""A switch that is cut off where it hurts: its journal takes no word, or it is committed and the release gets sick."""

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from fixtures.deploys import DEPLOY_S, WITHOUT_REPORT, Trials, faults_of, left_open, lines, live
from fixtures.engine_facts import engine
from fixtures.kinds import Kind, good
from fixtures.launches import launch, pretend_docker
from fixtures.made_releases import own
from fixtures.stack import Stack
from fixtures.wait import clock, wait_for
from ops import switch
from ops.journal import Phase

JOURNAL = "state/deploy.json"
ANSWERED = 2  # questions before the switch: as it looks, and as it waits for long requests
MEANTIME = "0123456789ab"
UNWRITABLE = ".deploy.json.{}.part"  # a folder of this name, and the deployer of this number writes it no more
SICK = "/srv/state/{}sick"  # a file of this name, in the app's own folder, and the release below gets sick
# By no clock: on a busy machine its time would come before the switch is committed.
SICK_WHEN_TOLD = Kind(
    "sick-when-told",
    adds={
        "health.py": f"""
import os
_well = Health.healthy
async def _sick_when_told(self: Health) -> Answer:
    if not os.path.exists({SICK.format("")!r}):
        return await _well(self)
    return Answer(500, {{"status": "unhealthy", "error": Code.INTERNAL}})
Health.healthy = _sick_when_told
"""
    },
)


@pytest.fixture
def unwritable_once_started(module_stack: Stack, tmp_path: Path) -> Iterator[dict[str, str]]:
    """What lets the journal take no word from the moment that the wanted app is started."""
    open_journal = module_stack.root / JOURNAL
    once = f"grep -qs '\"started\"' {open_journal} && mkdir -p {open_journal.with_name(UNWRITABLE.format('$PPID'))}"
    script = f'{once}; exec {shutil.which("docker")} "$@"'
    yield pretend_docker(tmp_path / "bin", script)
    for there in open_journal.parent.glob(UNWRITABLE.format("*")):
        there.rmdir()


@pytest.mark.promise("a bad release does not reach the site")
def test_journal_that_takes_no_word_is_no_obstacle_to_the_way_back(
    trials: Trials, unwritable_once_started: dict[str, str]
) -> None:
    """An error of the system in the hold takes the way back, code and data, and the history says that."""
    stack, before = trials.stack, own(trials.stack)
    wanted = trials.make(stack, good(2))
    argv = ("deploy", "--release", wanted.id, *WITHOUT_REPORT, "--watch-seconds", "0")
    with trials.visitors() as visits, launch(stack, *argv, env=unwritable_once_started) as deployer:
        done = deployer.end(within=DEPLOY_S)

    assert done.code == trials.contract.deploy.whole("rolled_back")
    assert faults_of(stack, before, 1, visits) == []
    assert [(line["outcome"], line["to"]) for line in lines(stack)[-1:]] == [("rolled-back", wanted.id)]


@pytest.mark.promise("a release can be taken back")
def test_committed_release_that_gets_sick_can_be_left(own_trials: Trials) -> None:
    """A deployer is killed while it watches, its release gets sick: the next command settles that, and rolls back."""
    stack, before = own_trials.stack, own(own_trials.stack)
    wanted = own_trials.make(stack, SICK_WHEN_TOLD)
    with launch(stack, "deploy", "--release", wanted.id, *WITHOUT_REPORT) as deployer:
        wait_for("the switch to be committed", lambda: phase(stack) == "committed", DEPLOY_S)
        deployer.signal(signal.SIGKILL)
        deployer.process.wait()
    written = stack.read_walks()
    stack.as_root("touch", SICK.format("app/"))
    wait_for("the release to get sick", lambda: not well(stack), own_trials.contract.recovery.ready_s)

    stack.run("rollback", "--watch-seconds", "0", within=DEPLOY_S)

    told = [(line["verb"], line["outcome"], line["to"]) for line in lines(stack)]
    assert told == [("deploy", "settled-forward", wanted.id), ("rollback", "live", before.id)]
    assert (live(stack), stack.read_walks()) == ("own", written)


@pytest.mark.promise("a deploy is noticed by nobody")
def test_app_that_falls_silent_is_not_touched(trials: Trials, tmp_path: Path) -> None:
    """An app that says no more what it has in hand when the switch begins goes on serving: code 3, nothing open."""
    stack, before = trials.stack, own(trials.stack)
    wanted = trials.make(stack, good(2))
    asked = tmp_path / "asked"
    silent = f'case "$*" in *session) echo >> {asked}; [ $(wc -l < {asked}) -le {ANSWERED} ] || exit 1; esac'
    env = pretend_docker(tmp_path / "bin", f'{silent}; exec {shutil.which("docker")} "$@"')
    lived = stack.identity()
    with trials.visitors() as visits:
        done = stack.run("deploy", "--release", wanted.id, *WITHOUT_REPORT, env=env, expect=None, within=DEPLOY_S)

    assert done.code == trials.contract.deploy.whole("rejected")
    assert faults_of(stack, before, 1, visits) == []
    assert stack.identity() == lived
    assert [(line["outcome"], line["to"]) for line in lines(stack)[-1:]] == [("rejected", wanted.id)]


@pytest.mark.promise("a deployer that is killed leaves the old release or the new one, whole")
@pytest.mark.parametrize("verb", ["up", "restart"])
def test_half_exchanged_container_is_put_right(module_stack: Stack, verb: str) -> None:
    """Compose, killed after it removed the former app, leaves a new one of another name: the next command names it."""
    written = module_stack.read_walks()
    name = module_stack.service("app").container
    app = engine().containers.get(name)
    app.stop()
    app.rename(f"{MEANTIME}_{name}")

    module_stack.run(verb)

    assert apps(module_stack) == [name]
    assert module_stack.read_walks() == written


@pytest.mark.promise("a deployer that is killed leaves the old release or the new one, whole")
def test_container_that_was_to_follow_is_cleared_away(module_stack: Stack) -> None:
    """Compose, killed before it stopped the former app, leaves a new one beside it: the next command removes that."""
    written = module_stack.read_walks()
    name = module_stack.service("app").container
    former = engine().containers.get(name).attrs
    engine().api.create_container(
        former["Image"],
        name=f"{MEANTIME}_{name}",
        labels=former["Config"]["Labels"],
        host_config={"Mounts": former["HostConfig"]["Mounts"]},
    )

    module_stack.run("up")

    assert apps(module_stack) == [name]
    assert module_stack.read_walks() == written


@pytest.mark.promise("a deployer that is killed leaves the old release or the new one, whole")
def test_app_that_was_never_started_is_not_waited_for(trials: Trials, tmp_path: Path) -> None:
    """A deployer is killed as it starts what Compose has made: the next command goes back, and waits for nothing."""
    stack, before = trials.stack, own(trials.stack)
    wanted = trials.make(stack, good(2))
    killed = f'[ "$1" = start ] && kill -9 $PPID && exit 1; exec {shutil.which("docker")} "$@"'
    env = pretend_docker(tmp_path / "bin", killed)
    stack.run("deploy", "--release", wanted.id, *WITHOUT_REPORT, env=env, expect=-signal.SIGKILL, within=DEPLOY_S)
    come_to = phase(stack)
    begun = clock()
    stack.run("deploy", "--release", "none", *WITHOUT_REPORT, expect=trials.contract.deploy.whole("usage"))
    took = clock() - begun

    assert come_to == Phase.STARTED
    assert took < switch.DECIDED_S
    assert (live(stack), own(stack).id, left_open(stack)) == ("own", before.id, [])
    assert [(line["outcome"], line["to"]) for line in lines(stack)[-1:]] == [("settled-back", wanted.id)]


def apps(stack: Stack) -> list[str]:
    """Name the containers of the app, as many as there are."""
    return [name for name in stack.containers() if "-app-" in name]


def well(stack: Stack) -> bool:
    """Tell whether the site says of itself that it is well."""
    return requests.get(f"{stack.url}/api/health", timeout=5).ok


def phase(stack: Stack) -> str:
    """Tell how far the open journal says that a switch has come."""
    try:
        return str(json.loads((stack.root / JOURNAL).read_text(encoding="utf-8"))["phase"])
    except FileNotFoundError:
        return ""
