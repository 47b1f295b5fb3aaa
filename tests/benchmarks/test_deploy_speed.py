"""What visitors notice of deploys, beside Compose alone and the script that this project replaces; what ways back take.

Each of the releases differs from the one before in code and in schema: a page, an answer, a table and a column. All
come from the same images, so no way waits for a build.
"""

import json
import statistics
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest
import requests

from fixtures.contract import Contract
from fixtures.deploys import WITHOUT_REPORT, Trials, deploy, faults_of, lines
from fixtures.evidence import Door
from fixtures.kinds import REJECTED, ROLLED_BACK, Kind, good, same_schema
from fixtures.launches import environment
from fixtures.made_releases import MadeRelease, Make, prepare
from fixtures.mixed_load import Visits, stored, visitors
from fixtures.rivals import SCRIPT, WAYS
from fixtures.run import CHECKOUT, publish
from fixtures.stack import LAUNCHER, Stack
from fixtures.wait import clock, rest, wait_for

pytestmark = pytest.mark.benchmark

AT_ONCE_BAD = ("crashes", "sick", "migration-fails", "takes-memory", "needs-a-secret")
LOOK_S = 0.05


def waits(visits: Visits, spans: Sequence[tuple[float, float]]) -> list[float]:
    """The waits of those who came while something was deployed, ascending."""
    return sorted(one.took for one in visits.quick() if any(begun <= one.begun <= end for begun, end in spans))


def share_of(those: Sequence[float], share: float) -> float:
    """The wait that this share of them did not exceed."""
    return those[min(len(those) - 1, int(len(those) * share))]


@pytest.mark.promise("a deploy is noticed by nobody")
def test_many_deploys_are_noticed_by_nobody(
    own_stack: Stack, make_release: Make, contract: Contract, seed: int, evidence: Door, pytestconfig: pytest.Config
) -> None:
    """Under thousands of requests of all kinds, twenty new releases go live: none fails, and the rows are exact."""
    promised = contract.deploy
    kinds = [good(number) for number in range(2, 2 + promised.whole("deploys"))]
    prepare(own_stack, kinds)
    spans, documents = [], []
    with visitors(own_stack, per_second=promised.number("busy_per_s"), seed=seed) as visits:
        for kind in kinds:
            wanted = make_release(own_stack, kind)
            begun = clock()
            told = deploy(own_stack, wanted, "--json", watch_s=1).json()
            spans.append((begun, clock()))
            documents.append(told)
        missing = promised.whole("requests") - len(visits.requests)
        rest(max(0, missing) / promised.number("busy_per_s"), "so many requests are to be made")
    faults = faults_of(own_stack, wanted, len(kinds) + 1, visits)
    during = waits(visits, spans)
    p50, p99, longest = (share_of(during, share) for share in (0.5, 0.99, 1.0))
    boots = [(one["phases_ms"]["start"] + one["phases_ms"]["probe"]) / 1000 for one in documents]
    figures = {
        "deploys": len(kinds),
        **visits.figures(),
        "rows": len(stored(own_stack).titles),
        "during_deploys": {"p50_s": round(p50, 3), "p99_s": round(p99, 3), "longest_s": round(longest, 3)},
        "boot_s": {"median": round(statistics.median(boots), 2), "max": round(max(boots), 2)},
        "phases_ms": {
            name: round(statistics.median(one["phases_ms"].get(name, 0) for one in documents))
            for name in documents[0]["phases_ms"]
        },
        "deploy_s": round(statistics.median(end - begun for begun, end in spans), 2),
        "faults_found": faults,
    }
    evidence.saw("benchmark deploys", publish(pytestconfig, "deploys", figures))

    assert faults == []
    assert len(visits.requests) >= promised.whole("requests")
    assert p99 <= promised.number("switch_p99_s")
    assert longest <= max(boots) + promised.number("switch_beyond_boot_s")


@pytest.mark.promise("a deploy is noticed by nobody")
def test_other_ways_lose_requests(
    own_stack: Stack, make_release: Make, contract: Contract, seed: int, evidence: Door, pytestconfig: pytest.Config
) -> None:
    """The old script loses requests with such releases under such visitors; ours loses none. Compose alone is told.

    It has our gate before it, which holds the visitors of any app that is away; what it lacks is the way back.
    """
    promised = contract.deploy
    rounds = promised.whole("rival_rounds")
    found: dict[str, Any] = {}
    number = 1
    for name in ("./stack deploy", *WAYS):
        kinds = [good(number + step) for step in range(1, rounds + 1)]
        number += rounds
        prepare(own_stack, kinds)
        took = []
        with visitors(own_stack, per_second=promised.number("busy_per_s"), seed=seed) as visits:
            for kind in kinds:
                wanted = make_release(own_stack, kind)
                begun = clock()
                if name in WAYS:
                    WAYS[name](own_stack, wanted)
                    own_stack.wait_until_ready()
                else:
                    deploy(own_stack, wanted, watch_s=0)
                took.append(round(clock() - begun, 2))
        found[name] = {"took_s": took, **visits.figures(), "lost": visits.faults_of(stored(own_stack))}
    evidence.saw("benchmark ways to deploy", publish(pytestconfig, "ways-to-deploy", {"rounds": rounds, **found}))

    assert found["./stack deploy"]["failed"] == 0
    assert found["./stack deploy"]["lost"] == []
    assert found[SCRIPT]["failed"] > 0, "or these visitors show nothing"


@pytest.mark.promise("a bad release does not reach the site")
def test_bad_candidates_are_rejected_soon(
    trials: Trials, contract: Contract, evidence: Door, pytestconfig: pytest.Config
) -> None:
    """What crashes, is sick, cannot migrate, takes too much memory or lacks a secret is rejected in seconds."""
    prepare(trials.stack, [REJECTED[name] for name in AT_ONCE_BAD])
    took: dict[str, float] = {}
    before = trials.stack.identity()
    for name in AT_ONCE_BAD:
        wanted = trials.make(trials.stack, REJECTED[name])
        deploy(trials.stack, wanted, watch_s=0, expect=contract.deploy.whole("rejected"))
        took[name] = lines(trials.stack)[-1]["seconds"]
    evidence.saw("benchmark rejections", publish(pytestconfig, "rejections", {"took_s": took}))

    assert trials.stack.identity() == before
    assert max(took.values()) <= contract.deploy.number("rejected_s")


def back_after(stack: Stack, wanted: MadeRelease, watch_s: float) -> tuple[int, float]:
    """Deploy what goes back; give the exit code, and the time from the word that it goes back to the end."""
    argv = ["deploy", "--release", wanted.id, *WITHOUT_REPORT, "--watch-seconds", f"{watch_s:g}"]
    found = 0.0
    with subprocess.Popen(
        [str(LAUNCHER), *argv],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(stack),
        cwd=CHECKOUT,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            found = clock() if "going back to" in line else found
    return process.returncode, clock() - found


@pytest.mark.control("DEP-03")
def test_ways_back_are_short(trials: Trials, contract: Contract, evidence: Door, pytestconfig: pytest.Config) -> None:
    """After a migration that destroys data, code and data are back in seconds; no request fails, no row is lost."""
    kind = ROLLED_BACK["destroys-live"]
    prepare(trials.stack, [kind])
    took: list[float] = []
    faults: list[str] = []
    figures: dict[str, Any] = {}
    for _ in range(contract.deploy.whole("back_rounds")):
        wanted = trials.make(trials.stack, kind)
        with trials.visitors() as visits:
            code, seconds = back_after(trials.stack, wanted, 1)
        took.append(round(seconds, 2))
        faults += [*visits.faults, *visits.faults_of(stored(trials.stack))]
        faults += [] if code == contract.deploy.whole("rolled_back") else [f"exit code {code}"]
        figures = {"back_s": took, "faults": faults, "longest_wait_s": round(visits.longest, 2)}
    evidence.saw("benchmark way back", publish(pytestconfig, "way-back", figures))

    assert faults == []
    assert max(took) <= contract.deploy.number("back_s")


@pytest.mark.promise("a release can be taken back")
def test_rollback_is_as_quick_as_a_deploy(
    own_stack: Stack, make_release: Make, contract: Contract, seed: int, evidence: Door, pytestconfig: pytest.Config
) -> None:
    """A rollback to the release before, on the same schema, is noticed by nobody and takes seconds."""
    kinds: list[Kind] = [good(2), same_schema(2)]
    prepare(own_stack, kinds)
    for kind in kinds:
        deploy(own_stack, make_release(own_stack, kind), watch_s=0)
    with visitors(own_stack, per_second=contract.deploy.number("visits_per_s"), seed=seed) as visits:
        begun = clock()
        told = own_stack.run("rollback", "--watch-seconds", "0", "--json", within=240).json()
        took = clock() - begun
    answer = requests.get(f"{own_stack.url}/api/live", timeout=5).json()["release"]
    figures = {"took_s": round(took, 2), "phases_ms": told["phases_ms"], **visits.figures()}
    evidence.saw("benchmark rollback", publish(pytestconfig, "rollback", figures))

    assert (answer, visits.faults) == (good(2).name, {})
    assert visits.faults_of(stored(own_stack)) == []
    assert took <= contract.deploy.number("rollback_s")


@pytest.mark.promise("the app heals by itself")
def test_app_heals_soon(own_stack: Stack, contract: Contract, evidence: Door, pytestconfig: pytest.Config) -> None:
    """A crashed app serves again in a few seconds, a frozen one when its own probe has ended it."""
    app = own_stack.service("app")
    took: dict[str, float] = {}
    for name, signal in (("crash", "KILL"), ("frozen", "STOP")):
        own_stack.wait_until_well()
        program = app.main_process().pid
        begun = clock()
        app.signal(signal, program)
        wait_for(f"the {name} to show", lambda: not own_stack.answers(), contract.recovery.killed_s, every=LOOK_S)
        wait_for("the site", own_stack.answers, contract.recovery.frozen_s, every=LOOK_S)
        took[name] = round(clock() - begun, 2)
    evidence.saw("benchmark heal", publish(pytestconfig, "heal", {"took_s": took}) + json.dumps(took))

    assert took["crash"] <= contract.deploy.number("crash_s")
    assert took["frozen"] <= contract.recovery.frozen_s
