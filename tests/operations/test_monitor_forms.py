"""What the monitor prints can be relied upon: JSON of one form in every state, a Prometheus file, one line, a table."""

import json
import re
import signal
import stat
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from fixtures import exposition
from fixtures.contract import Contract
from fixtures.evidence import Completed, Door, door
from fixtures.launches import environment, launch
from fixtures.monitored import PROMISED
from fixtures.run import CHECKOUT
from fixtures.stack import LAUNCHER, Stack
from fixtures.wait import wait_for

SCHEMA = CHECKOUT / "docker" / "ops" / "monitor" / "monitor.schema.json"
NOWHERE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
CODES = {
    "ok": PROMISED.whole("well"),
    "warning": PROMISED.whole("warning"),
    "critical": PROMISED.whole("critical"),
    "unknown": PROMISED.whole("could_not_look"),
}

pytestmark = pytest.mark.control("MON-02")


def valid(done: Completed) -> dict[str, Any]:
    """Read the one JSON document that stands on stdout, and hold it against the schema that is shipped."""
    lines = done.stdout.splitlines()
    document: dict[str, Any] = done.json()
    faults = [error.message for error in Draft202012Validator(json.loads(SCHEMA.read_text())).iter_errors(document)]
    assert (len(lines), faults) == (1, []), f"{len(lines)} lines on stdout; against the schema: {faults}"
    assert done.code == document["code"] == CODES[document["status"]], f"exit {done.code}: {document['status']}"
    return document


# -- JSON


@pytest.mark.parametrize(
    ("env", "argv", "status"),
    [
        pytest.param({}, (), "ok", id="well"),
        pytest.param(NOWHERE, (), "unknown", id="engine dead"),
        pytest.param({"DOCKER_HOST": "ssh://elsewhere"}, (), "unknown", id="engine elsewhere"),
        pytest.param({"MONSITE_PORT": "1"}, (), "critical", id="port where nobody answers"),
        # what cannot be meant
        pytest.param({"MONSITE_PORTS": "1"}, (), "unknown", id="unknown setting"),
        pytest.param({"MONSITE_ROOT": "/nonexistent"}, (), "unknown", id="root of another"),
        pytest.param({}, ("--interval", "1"), "unknown", id="contradiction"),
        pytest.param({}, ("--prometheus", "/nonexistent/file"), "unknown", id="file that cannot be written"),
    ],
)
def test_json_is_valid(module_stack: Stack, env: dict[str, str], argv: tuple[str, ...], status: str) -> None:
    """Whatever the state, stdout is one JSON document of the shipped form, whose code is the exit code."""
    done = module_stack.run("monitor", "--json", *argv, expect=None, env=env)

    assert valid(done)["status"] == status, done.told()


@pytest.mark.parametrize("env", [{}, NOWHERE], ids=["engine", "no engine"])
def test_json_of_a_stack_that_was_never_started_is_valid(idle_stack: Stack, env: dict[str, str]) -> None:
    """Before the first start the one check says so, and that nothing could be looked at."""
    document = valid(idle_stack.run("monitor", "--json", expect=None, env=env))

    assert [(one["id"], one["status"]) for one in document["checks"]] == [("stack.there", "unknown")]


def test_json_of_a_stopped_stack_is_valid(module_stack: Stack) -> None:
    """After `down` the site is critically not there."""
    module_stack.down()
    try:
        document = valid(module_stack.run("monitor", "--json", expect=None))
    finally:
        module_stack.up()
        module_stack.wait_until_well()

    assert document["status"] == "critical"
    assert {one["status"] for one in document["services"]} == {"missing"}


def test_json_tells_value_threshold_and_time(module_stack: Stack) -> None:
    """Each check has its value, its threshold and its status; each time is UTC and of now."""
    before = datetime.now(UTC)
    document = valid(module_stack.run("monitor", "--json", expect=None))

    bare = [one["id"] for one in document["checks"] if not any(one["threshold"].values()) or one["value"] is None]
    assert bare == []
    assert before <= datetime.fromisoformat(document["at"]) <= datetime.now(UTC)
    assert [one["service"] for one in document["services"]] == list(module_stack.contract.stack.services)
    assert all(one["memory_bytes"] and one["pids"] for one in document["services"]), "nothing was read of the kernel"


def test_wrong_option_is_could_not_look(module_stack: Stack) -> None:
    """An option that does not exist ends with the code of what could not be looked at, and nothing on stdout."""
    done = module_stack.run("monitor", "--jsn", expect=PROMISED.whole("could_not_look"))

    assert (done.stdout, "--jsn" in done.stderr) == ("", True)


def test_nothing_is_changed_by_a_look(module_stack: Stack) -> None:
    """A look without --notify leaves every file of the launcher's as it was."""
    state = module_stack.root / "state"
    before = sorted((path.name, path.stat().st_mtime_ns) for path in state.iterdir())
    module_stack.run("monitor", "--json", expect=None)

    assert sorted((path.name, path.stat().st_mtime_ns) for path in state.iterdir()) == before


# -- Prometheus


def test_prometheus_file_is_strictly_valid(module_stack: Stack, tmp_path: Path) -> None:
    """The file has the exposition's form, its time, and the same verdict as the exit code; everybody may read it."""
    file = tmp_path / "monsite.prom"
    before = datetime.now(UTC).timestamp()
    done = module_stack.run("monitor", "--check", "--prometheus", str(file), expect=None)
    figures = exposition.parse(door.saw(f"read {file.name}", file.read_text()))

    assert before <= figures.value("monsite_monitor_timestamp_seconds") <= datetime.now(UTC).timestamp()
    assert figures.value("monsite_monitor_status") == done.code
    assert figures.value("monsite_service_running", service="app") == 1
    assert figures.value("monsite_backup_newest_timestamp_seconds", tier="daily") > 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_prometheus_file_is_published_by_rename(module_stack: Stack, tmp_path: Path) -> None:
    """Whoever has the former file open reads it whole; the new one is another file."""
    file = tmp_path / "monsite.prom"
    file.write_text("the former one\n")
    with file.open() as reader:
        module_stack.run("monitor", "--check", "--prometheus", str(file), expect=None)
        former = reader.read()

    assert former == "the former one\n"
    assert "monsite_monitor_status" in file.read_text()


def test_prometheus_file_tells_a_dead_engine(module_stack: Stack, tmp_path: Path) -> None:
    """Where the engine is silent the file says so, and holds no figure of a service."""
    file = tmp_path / "monsite.prom"
    module_stack.run("monitor", "--check", "--prometheus", str(file), expect=None, env=NOWHERE)
    figures = exposition.parse(door.saw(f"read {file.name}", file.read_text()))

    assert figures.value("monsite_monitor_status") == PROMISED.whole("could_not_look")
    assert figures.value("monsite_check_status", check="engine.answers", subject="engine") == CODES["unknown"]
    assert [name for name in figures.kinds if name.startswith("monsite_service_")] == []


# -- one line, and the table


def test_check_is_one_line(module_stack: Stack) -> None:
    """`--check` prints one line: project, status, what is wrong, and figures with their units behind a bar."""
    done = module_stack.run("monitor", "--check")
    ill = module_stack.run("monitor", "--check", expect=None, env={"MONSITE_PORT": "1"})

    figures = done.stdout.partition("|")[2].split()
    assert re.fullmatch(rf"{module_stack.name.upper()} OK - all checks are well \| .+\n", done.stdout) is not None
    assert all(re.fullmatch(r"[a-z_]+=[0-9.]+(s|B)", one) for one in figures)
    assert (len(ill.stdout.splitlines()), ill.code) == (1, PROMISED.whole("critical"))
    assert " CRITICAL - site.gate " in ill.stdout


@pytest.mark.parametrize("env", [{}, NOWHERE, {"MONSITE_PORT": "1"}], ids=["well", "no engine", "site down"])
def test_table_fits_a_terminal(module_stack: Stack, env: dict[str, str], contract: Contract) -> None:
    """No line is wider than a terminal, and what is wrong is marked by a sign of its own, not by colour alone."""
    columns = contract.monitor.whole("columns")
    done = module_stack.run("monitor", expect=None, env={**env, "COLUMNS": str(columns)})
    lines = done.stdout.splitlines()
    signs = {line[0] for line in lines if line and line[0] in "✓!✗?"}

    assert [line for line in lines if len(line.rstrip()) > columns] == []
    assert {0: signs <= {"✓"}, 2: "✗" in signs, 3: "?" in signs}[done.code], done.stdout


# -- the watch


def test_watch_prints_one_report_after_the_other(module_stack: Stack, contract: Contract) -> None:
    """Where no terminal is, a watch prints a document each interval; Ctrl-C ends it quietly, with its code."""
    with launch(module_stack, "monitor", "--watch", "--interval", "0.5", "--json") as watching:
        assert watching.process.stdout is not None
        first = [watching.process.stdout.readline() for _ in range(contract.monitor.whole("watched"))]
        watching.signal(signal.SIGINT)
        done = watching.end(within=20)

    times = [json.loads(line)["at"] for line in first]
    assert sorted(set(times)) == times
    assert (done.code, done.stderr) == (contract.exit_codes.interrupted, "")


def test_watch_ends_when_nobody_reads(module_stack: Stack) -> None:
    """A watch whose reader leaves ends without a word."""
    watching = subprocess.Popen(
        [str(LAUNCHER), "monitor", "--watch", "--interval", "0.5"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(module_stack),
        cwd=CHECKOUT,
    )
    assert watching.stdout is not None
    assert watching.stderr is not None
    first = watching.stdout.readline()
    watching.stdout.close()
    wait_for("the watch to end", lambda: watching.poll() is not None, 20)
    told = watching.stderr.read().decode()
    watching.stderr.close()
    door.saw("a watch whose reader left", f"exit {watching.returncode}: {first.decode()}{told}")

    assert (watching.returncode, told) == (PROMISED.whole("well"), "")


def test_schema_refuses_what_it_must(evidence: Door) -> None:
    """The schema that is shipped is itself valid, and takes no document without a check, or of another form."""
    schema = json.loads(evidence.read(SCHEMA))
    Draft202012Validator.check_schema(schema)

    assert list(Draft202012Validator(schema).iter_errors({"schema": 1, "checks": []})) != []
