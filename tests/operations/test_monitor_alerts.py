"""Alerts of the monitor arrive once: one raise and one clear of one id, however often it looks and whatever fails."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fixtures.contract import Contract
from fixtures.engine_facts import engine
from fixtures.evidence import Completed, Door, door
from fixtures.monitored import PROMISED
from fixtures.run import CHECKOUT
from fixtures.stack import Stack
from fixtures.wait import wait_for
from ops.monitor import alerts, notify, thresholds
from ops.monitor.alerts import Incident, State
from ops.monitor.checks import Check
from ops.monitor.facts import Deploys, Facts, Unseen
from ops.monitor.report import Report
from ops.monitor.thresholds import Status
from ops.settings import VARIABLES, Settings
from ops.ui import Ui

pytestmark = pytest.mark.control("MON-03")

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
BLINDED = Unseen("nobody looked")
WELL = Facts(NOW, "monsite", "/srv", 0, 0.0, BLINDED, None, BLINDED, BLINDED, Deploys(None, None, None, ever_up=True))
Captured = pytest.CaptureFixture[str]
LIMIT = thresholds.load()["site.gate"]
GONE_S = 5  # what is not killed sleeps many times as long
# What stands in for a pager: one file for each message, named by the order in which they came.
SINK = """
import json, pathlib, sys
folder, told = pathlib.Path(sys.argv[1]), json.load(sys.stdin)
if (folder / "broken").exists():
    sys.exit("the pager is broken")
(folder / f"{len(list(folder.glob('*.json'))):04d}.json").write_text(json.dumps(told))
"""


@dataclass(frozen=True)
class Sink:
    """A place at which alerts arrive."""

    folder: Path

    @property
    def command(self) -> str:
        """What --notify is given."""
        return f"{sys.executable} '{self.folder / 'the sink.py'}' {self.folder}"

    def came(self) -> list[dict[str, Any]]:
        """Every message, in the order in which they came."""
        told = [json.loads(path.read_text()) for path in sorted(self.folder.glob("*.json"))]
        door.saw("what came to the sink", json.dumps(told, indent=1), subject=str(self.folder))
        return told

    def break_down(self, *, broken: bool) -> None:
        """Let it refuse everything, or take it again."""
        (self.folder / "broken").touch() if broken else (self.folder / "broken").unlink()


@pytest.fixture
def sink(tmp_path: Path) -> Sink:
    """A sink that nothing came to yet."""
    (tmp_path / "the sink.py").write_text(SINK, encoding="utf-8")
    return Sink(tmp_path)


def look(stack: Stack, sink: Sink) -> Completed:
    """Let the monitor look once, and tell the sink."""
    return stack.run("monitor", "--check", "--notify", sink.command, expect=None)


@pytest.fixture
def journal(module_stack: Stack) -> Path:
    """A fault at the turn of a hand: the journal that a killed deployer leaves."""
    path = module_stack.root / "state" / "deploy.json"
    (path.parent / "alerts.json").unlink(missing_ok=True)
    return path


def leave(journal: Path) -> None:
    """Leave it open."""
    journal.write_text(json.dumps({"schema": 1, "id": "d-1", "verb": "deploy", "phase": "stopped"}))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root to which nothing was told yet."""
    (tmp_path / "root" / "state").mkdir(parents=True)
    return tmp_path / "root"


def tell(root: Path, sink: Sink, *checks: Check) -> int:
    """Tell the sink what these checks give rise to, without a stack."""
    defaults = {name: one.default for name, one in VARIABLES.items()}
    return notify.tell(Report(WELL, checks), Settings({**defaults, "MONSITE_ROOT": str(root)}), sink.command, Ui())


# -- on a stack


def test_one_fault_of_many_looks_is_raised_once_and_cleared_once(
    module_stack: Stack, sink: Sink, journal: Path, contract: Contract
) -> None:
    """One fault that lasts ten looks comes to the sink as one raise and one clear of the same id, in that order."""
    cycles, clears = contract.monitor.whole("cycles"), contract.monitor.whole("clears")
    leave(journal)
    looks = [look(module_stack, sink) for _ in range(cycles)]
    journal.unlink()
    looks += [look(module_stack, sink) for _ in range(clears + 1)]
    came = sink.came()

    told = [(one["kind"], one["check"], one["status"]) for one in came]
    assert told == [("raise", "deploy.journal", "critical"), ("clear", "deploy.journal", "ok")], (
        f"{module_stack.name}: {len(looks)} looks, expected one raise and one clear, seen: {told}"
    )
    assert len({one["id"] for one in came}) == 1
    assert came[0]["at"] < came[1]["at"]
    assert came[0]["project"] == module_stack.name
    assert {done.stderr for done in looks} == {""}


def test_broken_sink_is_told_and_tried_again(module_stack: Stack, sink: Sink, journal: Path) -> None:
    """A sink that fails is told on stderr and in the code; once it works again, what it missed comes once, in order."""
    leave(journal)
    sink.break_down(broken=True)
    refused = [look(module_stack, sink) for _ in range(2)]
    journal.unlink()
    refused += [look(module_stack, sink) for _ in range(2)]
    sink.break_down(broken=False)
    told = look(module_stack, sink)
    came = sink.came()

    assert ["the pager is broken" in done.stderr for done in refused] == [True] * len(refused)
    assert refused[-1].code == PROMISED.whole("warning"), "a stack that is well, whose alerts nobody gets, is not"
    assert [one["kind"] for one in came] == ["raise", "clear"]
    assert (told.code, told.stderr) == (PROMISED.whole("well"), "")


def test_sink_that_hangs_is_ended(module_stack: Stack, journal: Path, tmp_path: Path) -> None:
    """A command that does not end is ended with all that it started, within its time, and told."""
    leave(journal)
    script = tmp_path / "hangs"
    script.write_text(f"#!/bin/sh\nsleep 300 & echo $! > {tmp_path}/child; wait\n")
    script.chmod(0o755)
    done = module_stack.run("monitor", "--check", "--notify", str(script), expect=None, within=60)
    journal.unlink()

    assert f"not done within {PROMISED.whole('notify_s')} s" in done.stderr
    wait_until_gone((tmp_path / "child").read_text().strip())


def wait_until_gone(pid: str) -> None:
    """Wait until a process that was killed is gone: whoever killed it may end first, and nobody else ends it."""
    wait_for(f"the end of process {pid}", lambda: not lives(pid), GONE_S)


def lives(pid: str) -> bool:
    """Tell whether a process does more than wait for somebody to take note of its end."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("command", ["", "'", "/nonexistent/pager"], ids=["empty", "unclosed", "missing"])
def test_command_that_is_none_is_refused(module_stack: Stack, journal: Path, command: str) -> None:
    """What is no command is named, with the next step, and is never taken for a stack that is well."""
    leave(journal)
    done = module_stack.run("monitor", "--check", "--notify", command, expect=None)
    journal.unlink()

    assert "error: " in done.stderr
    assert "hint: " in done.stderr
    assert done.code in (PROMISED.whole("critical"), PROMISED.whole("could_not_look"))


def test_two_monitors_at_once_tell_once(module_stack: Stack, sink: Sink, journal: Path) -> None:
    """Of monitors that look at the same time one tells."""
    leave(journal)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda _: look(module_stack, sink), range(4)))
    journal.unlink()

    assert [one["kind"] for one in sink.came()] == ["raise"]


ONE: dict[str, Any] = {"id": "i", "check": "a.b", "subject": "x", "status": "warning", "raised": "then", "well": 0}


@pytest.mark.parametrize(
    "text",
    [
        '{"schema": 1, "incidents": [{',
        "[" * 100_000,
        "[]",
        json.dumps({"schema": 1, "incidents": [{**ONE, "check": []}], "outbox": []}),
        json.dumps({"schema": 1, "incidents": [{**ONE, "well": "0"}], "outbox": []}),
        json.dumps({"schema": 1, "incidents": [5], "outbox": []}),
        json.dumps({"schema": 1, "incidents": [], "outbox": [{"id": "m", "incident": ONE}]}),
    ],
    ids=["cut short", "nested", "list", "check", "count", "number", "message"],
)
def test_damaged_state_is_set_aside_and_told(sink: Sink, root: Path, capsys: Captured, text: str) -> None:
    """A damaged state of alerts is kept aside, told, and begun anew; the fault is raised."""
    (root / "state" / "alerts.json").write_text(text)
    code = tell(root, sink, BAD)
    told = capsys.readouterr().err

    assert ("alerts.json is damaged" in told, code) == (True, 0)
    assert len(list(root.glob("state/alerts.json.damaged_*"))) == 1
    assert [one["kind"] for one in sink.came()] == ["raise"]


def test_state_that_cannot_be_written_silences_nothing(sink: Sink, root: Path, capsys: Captured) -> None:
    """Where the state of alerts cannot be written, as on a full disk, what is wrong is told all the same, and that."""
    (root / "state" / f".alerts.json.{os.getpid()}.part").mkdir()
    code = tell(root, sink, BAD)
    told = capsys.readouterr().err

    assert [one["kind"] for one in sink.came()] == ["raise"]
    assert (code, "alerts.json cannot be written" in " ".join(told.split())) == (PROMISED.whole("warning"), True)


def test_root_without_a_start_names_the_step(sink: Sink, root: Path, capsys: Captured) -> None:
    """Where nothing was ever started, the next step is to start it."""
    (root / "state").rmdir()
    tell(root, sink, BAD)
    told = door.saw("notify.tell without state/", capsys.readouterr().err)

    assert "hint: ./stack up" in told


def test_command_ends_with_the_monitor(root: Path, tmp_path: Path) -> None:
    """A monitor that is told to end ends its command with all that this started."""
    script = tmp_path / "hangs"
    script.write_text(
        f"#!/bin/sh\nsleep 300 & echo $! > {tmp_path}/child.part; mv {tmp_path}/child.part {tmp_path}/child; wait\n"
    )
    script.chmod(0o755)
    where = {"PYTHONPATH": str(CHECKOUT / "docker"), "MONSITE_ROOT": str(root), "MONSITE_PORT": "1"}
    argv = [sys.executable, "-m", "ops", "monitor", "--check", "--notify", str(script)]
    with subprocess.Popen(argv, env={**os.environ, **where}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as looks:
        wait_for("the command to run", (tmp_path / "child").exists, 20)
        looks.terminate()
        told = looks.communicate(timeout=20)[0].decode()
    child = (tmp_path / "child").read_text().strip()
    door.saw(" ".join(argv), f"exit {looks.returncode}: {told or 'nothing'}; process {child}")

    assert looks.returncode == 128 + signal.SIGTERM
    wait_until_gone(child)


def test_dead_engine_is_raised_as_itself_and_clears_nothing(module_stack: Stack, sink: Sink, journal: Path) -> None:
    """While the engine is silent an open incident stays open, and the silence is an incident of its own."""
    drill = engine().containers.get(module_stack.service("drill").container)
    drill.stop(timeout=0)
    look(module_stack, sink)
    drill.start()
    nowhere = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    for _ in range(3):
        module_stack.run("monitor", "--check", "--notify", sink.command, expect=None, env=nowhere)
    between = [(one["kind"], one["check"]) for one in sink.came()]
    for _ in range(PROMISED.whole("clears")):
        look(module_stack, sink)
    cleared = [(one["kind"], one["check"]) for one in sink.came()][len(between) :]

    assert between == [("raise", "service.state"), ("raise", "engine.answers")]
    assert sorted(cleared) == [("clear", "engine.answers"), ("clear", "service.state")]
    assert stat.S_IMODE(journal.with_name("alerts.json").stat().st_mode) & stat.S_IWOTH == 0


# -- as a function


def check(status: Status, name: str = "site.gate", subject: str = "site", during: str = "") -> Check:
    """One check."""
    return Check(name, subject, None if status == "unknown" else "x", LIMIT, status, f"it is {status}", during=during)


def told_by(looks: Sequence[Sequence[Check]], before: State = State()) -> list[str]:  # noqa: B008  # it is frozen
    """Everything that a row of looks gives rise to: kind and check."""
    state, kinds = before, []
    for number, checks in enumerate(looks):
        state = alerts.plan(state, checks, NOW + timedelta(seconds=number))
        kinds += [f"{one.kind} {one.incident.check}" for one in state.outbox]
        state = replace(state, outbox=())
    return kinds


OK, BAD, WORSE, BLIND = check("ok"), check("warning"), check("critical"), check("unknown")
EXCUSED = check("warning", during="up")
OTHER_BLIND = check("unknown", "engine.answers", "engine")
OTHER_OK = check("ok", "engine.answers", "engine")
ROWS: Mapping[str, tuple[Sequence[Sequence[Check]], list[str]]] = {
    "nothing": ([[OK]] * 3, []),
    "one fault": ([[BAD]] * 3 + [[OK]] * 3, ["raise site.gate", "clear site.gate"]),
    # what comes and goes is one incident until two looks in a row see it well
    "flapping": ([[BAD], [OK]] * 5 + [[OK]], ["raise site.gate", "clear site.gate"]),
    "again": ([[BAD], [OK], [OK], [BAD]], ["raise site.gate", "clear site.gate", "raise site.gate"]),
    "gets worse": ([[BAD], [WORSE], [WORSE], [BAD]], ["raise site.gate", "worsen site.gate"]),
    "gets better": ([[WORSE], [BAD], [WORSE]], ["raise site.gate"]),
    # what nobody could look at
    "blind while ill": ([[BAD], [BLIND], [BLIND], [OK], [OK]], ["raise site.gate", "clear site.gate"]),
    "blind between": ([[BAD], [OK], [BLIND], [OK]], ["raise site.gate", "clear site.gate"]),
    "blind from the start": ([[BLIND]] * 2 + [[OK]] * 2, ["raise site.gate", "clear site.gate"]),
    "blind, then ill": ([[BLIND], [WORSE], [WORSE]], ["raise site.gate", "worsen site.gate"]),
    "blind, then worse and worse": ([[BLIND], [BAD], [WORSE]], ["raise site.gate", "worsen site.gate"]),
    "blind beside something worse": ([[check("critical", "a.b"), BLIND]], ["raise a.b"]),
    # what is not there
    "gone, all seen": ([[BAD, OTHER_OK], [OTHER_OK], [OTHER_OK]], ["raise site.gate", "clear site.gate"]),
    "gone, not all seen": (
        [[BAD, OTHER_OK], [OTHER_BLIND], [OTHER_BLIND]],
        ["raise site.gate", "raise engine.answers"],
    ),
    # what a verb at work explains
    "excused": ([[EXCUSED]] * 3 + [[OK]] * 2, []),
    "excused while ill": ([[WORSE], [EXCUSED], [EXCUSED], [WORSE]], ["raise site.gate"]),
    "two at once": ([[BAD, check("warning", "a.b")]], ["raise site.gate", "raise a.b"]),
    "same check, two subjects": ([[BAD, check("warning", subject="other")]], ["raise site.gate"] * 2),
}


@pytest.mark.parametrize(("looks", "expected"), ROWS.values(), ids=ROWS.keys())
def test_alerts_of_a_row_of_looks(evidence: Door, looks: Sequence[Sequence[Check]], expected: list[str]) -> None:
    """A row of looks gives rise to exactly these messages."""
    told = told_by(looks)
    evidence.saw("plan", f"{[[one.status for one in checks] for checks in looks]}: {told or 'nothing'}")

    assert told == expected


def test_untold_message_waits_before_newer_ones(evidence: Door) -> None:
    """What could not be told stays first, and is not made again."""
    first = alerts.plan(State(), [BAD], NOW)
    second = alerts.plan(first, [BAD, check("critical", "a.b")], NOW + timedelta(seconds=1))
    evidence.saw("outbox", str(second.outbox))

    assert second.outbox[0] == first.outbox[0]
    assert [one.incident.check for one in second.outbox] == ["site.gate", "a.b"]
    assert len({one.id for one in second.outbox}) == len(second.outbox)
    assert all(isinstance(one, Incident) for one in second.incidents)
