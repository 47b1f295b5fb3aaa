"""A release that differs in code and schema goes live under visitors of all kinds, and nobody notices."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from fixtures.contract import Contract
from fixtures.deploys import WITHOUT_REPORT, deploy, faults_of, lines
from fixtures.engine_facts import container_facts, peek
from fixtures.evidence import Door
from fixtures.kinds import REJECTED, good
from fixtures.made_releases import MadeRelease, Make, maker, own
from fixtures.mixed_load import Visits, visitors
from fixtures.stack import Stack
from fixtures.vouching import Vouching

SLOW_S = 4  # the slow ones take longer than a switch holds the others
RECORD = ("actor", "began", "ended", "from_images", "to_images", "commit", "report_sha256", "outcome", "code")
CHAIN_BEGINS = "0" * 64


@dataclass(frozen=True)
class Deployed:
    """What was deployed, and what visitors saw of it."""

    stack: Stack
    make: Make
    former: MadeRelease
    wanted: MadeRelease
    report: Path
    visits: Visits
    document: dict[str, Any]  # of the command


@pytest.fixture(scope="module")
def deployed(
    module_stack: Stack, contract: Contract, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Deployed]:
    """A stack on which a release with a report went live while visitors came."""
    former = own(module_stack)
    with maker() as make:
        wanted = make(module_stack, good(2))
        report = Vouching.of(wanted).bundle(tmp_path_factory.mktemp("report"))
        argv = ("--report", str(report), "--watch-seconds", str(contract.deploy.whole("watch_s")), "--json")
        pace, seed = contract.deploy.number("visits_per_s"), pytestconfig.option.seed
        with visitors(module_stack, per_second=pace, seed=seed, slow_s=SLOW_S) as visits:
            done = module_stack.run("deploy", "--release", wanted.id, *argv, expect=None, within=240)
        yield Deployed(module_stack, make, former, wanted, report, visits, done.json() if done.code == 0 else {})


def line_of(deployed: Deployed) -> dict[str, Any]:
    """The deploy's own line of the history."""
    found = [one for one in lines(deployed.stack) if one["id"] == deployed.document.get("id")]
    assert len(found) == 1, f"one deploy, and these lines: {found}"
    return found[0]


def lives(stack: Stack) -> dict[str, tuple[str, str, str]]:
    """Each container's id, start and configuration."""
    seen = [container_facts(name) for name in stack.containers()]
    return {one.name: (one.id, one.started, one.labels["com.docker.compose.config-hash"]) for one in seen}


@pytest.mark.promise("a deploy is noticed by nobody")
def test_no_visitor_notices_a_deploy(deployed: Deployed, evidence: Door) -> None:
    """No request fails, slow uploads and downloads too; the rows are exactly those acknowledged; the release is new."""
    evidence.saw("visitors", json.dumps(deployed.visits.figures(), indent=1))

    assert deployed.document.get("outcome") == "live", "the deploy itself failed"
    assert faults_of(deployed.stack, deployed.wanted, 2, deployed.visits) == []
    assert {"upload slow", "download slow"} <= {one.kind for one in deployed.visits.requests}
    assert deployed.visits.not_sent == 0


@pytest.mark.control("DEP-02")
def test_verified_backup_precedes_a_deploy(deployed: Deployed, contract: Contract, evidence: Door) -> None:
    """The deploy's line names a verified snapshot, made just before the first container changed."""
    name = line_of(deployed)["snapshot"]
    listed = deployed.stack.run("backup", "list", "--json").json()["snapshots"]
    known = {one["name"]: one for one in listed}
    assert name in known, f"the deploy names the snapshot {name!r}; the backups are {', '.join(known)}"
    snapshot = known[name]
    evidence.saw(f"snapshot {name}", json.dumps(snapshot, indent=1))
    began = datetime.fromisoformat(line_of(deployed)["began"])
    changed = datetime.fromisoformat(peek(deployed.stack.service("app").container).started)
    made = datetime.fromisoformat(snapshot["created"])

    age_s = (changed - made).total_seconds()
    assert made >= began.replace(microsecond=0), f"snapshot {name} is older than the deploy: {made}, {began}"
    assert 0 <= age_s <= contract.deploy.number("backup_before_s")
    deployed.stack.run("backup", "verify", name)


@pytest.mark.control("DEP-04")
def test_deploy_of_what_is_live_changes_nothing(deployed: Deployed, contract: Contract) -> None:
    """A second deploy of the same release leaves every container as it is, and loses no request."""
    stack = deployed.stack
    before, known = lives(stack), lines(stack)
    with visitors(stack, per_second=contract.deploy.number("idle_per_s"), seed=1) as visits:
        done = stack.run("deploy", "--release", deployed.wanted.id, *WITHOUT_REPORT, "--json")
    after = lives(stack)
    touched = [name for name in before | after if before.get(name) != after.get(name)]

    assert touched == [], "a deploy of what is live touched these containers"
    assert done.json()["outcome"] == "live"
    assert lines(stack) == known
    assert visits.faults == {}


@pytest.mark.control("DEP-05")
def test_each_change_has_its_line(deployed: Deployed, contract: Contract) -> None:
    """The deploy, a rejected one and a restore each leave one line: who, when, from what to what, how it ended."""
    stack = deployed.stack
    known = len(lines(stack))
    bad = deployed.make(stack, REJECTED["crashes"])
    deploy(stack, bad, watch_s=0, expect=contract.deploy.whole("rejected"))
    stack.restore("latest")
    more = lines(stack)[known:]
    assert [one["verb"] for one in more] == ["deploy", "restore"], "one line for each"
    rejected, restored = more
    line = line_of(deployed)

    assert [name for name in RECORD if line[name] in (None, "")] == []
    assert (line["from_images"], line["to_images"]) == (deployed.former.images, deployed.wanted.images)
    assert (line["from"], line["commit"]) == (deployed.former.id, deployed.wanted.commit)
    manifest = (deployed.report / "MANIFEST").read_bytes()
    assert line["report_sha256"] == hashlib.sha256(manifest).hexdigest()
    assert (rejected["outcome"], rejected["code"]) == ("rejected", contract.deploy.whole("rejected"))
    assert (restored["verb"], restored["outcome"]) == ("restore", "restored")
    assert all(one["began"] <= one["ended"] and one["actor"] for one in (line, rejected, restored))


@pytest.mark.control("DEP-05")
def test_changed_history_is_noticed(deployed: Deployed) -> None:
    """The lines are chained: one that is taken out, or a word that is changed, is found; a whole one is not."""
    stack = deployed.stack
    path = stack.root / "state" / "history.jsonl"
    for _ in range(max(0, 3 - len(lines(stack)))):
        stack.restore("latest")
    assert len(lines(stack)) >= 3, "each restore leaves a line, or none can be taken out of their middle"
    whole = path.read_text(encoding="utf-8")
    told = whole.splitlines(keepends=True)
    digests = [json.loads(one)["sha256"] for one in told]
    try:
        without_one = [*told[:1], *told[2:]]
        edited = [told[0].replace(json.loads(told[0])["actor"], "nobody"), *told[1:]]
        ended = {name: _judged(path, stack, text) for name, text in _texts(told, without_one, edited)}
    finally:
        path.write_text(whole, encoding="utf-8")

    assert [json.loads(one)["previous"] for one in told] == [CHAIN_BEGINS, *digests[:-1]]
    assert digests == [_digest(json.loads(one)) for one in told]
    assert ended == {"whole": 0, "line taken out": 1, "word changed": 1}, "exit codes of ./stack history"


def _texts(*those: list[str]) -> Iterator[tuple[str, str]]:
    yield from zip(("whole", "line taken out", "word changed"), map("".join, those), strict=True)


def _judged(path: Path, stack: Stack, text: str) -> int:
    path.write_text(text, encoding="utf-8")
    return stack.run("history", "--json", expect=None).code


def _digest(line: dict[str, Any]) -> str:
    """As the format says: of the line without this key, its keys in order."""
    rest = {key: value for key, value in line.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
