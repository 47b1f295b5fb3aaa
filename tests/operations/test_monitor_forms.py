"""What the monitor prints can be relied upon: JSON of one form in every state, a Prometheus file, one line, a table."""

import contextlib
import http.server
import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from fixtures import exposition
from fixtures.contract import Contract
from fixtures.evidence import Completed, Door, door
from fixtures.launches import environment, launch, stuck_launcher
from fixtures.monitored import PROMISED
from fixtures.run import CHECKOUT
from fixtures.stack import LAUNCHER, Stack
from fixtures.wait import wait_for
from ops.monitor import command
from ops.monitor.command import Wish
from ops.monitor.engine_api import DEFAULT, find
from ops.settings import VARIABLES, Settings
from ops.ui import Ui

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


# -- whatever comes in, without a stack


def published(now: datetime) -> dict[str, Any]:
    """What the keeper publishes of backups that are well."""
    at = now.isoformat(timespec="seconds")
    return {
        "schema": 1,
        "updated": at,
        "healthy": True,
        "reasons": [],
        "max_age_hours": 26.0,
        "newest": {"name": "balades_x", "created": at, "tier": "daily"},
        "newest_of": {"daily": {"name": "balades_x", "created": at}},
        "last_run": {"outcome": "success", "error": None},
        "lost_history": None,
        "uploads": {"warnings": []},
        "incidents": [],
        "drill": {"at": at, "outcome": "success"},
        "drills": [],
    }


PUBLISHED = published(datetime.now(UTC))
NAIVE = "2026-11-22T12:00:00"
UNFIT: dict[str, str] = {
    "nested without end": "[" * 100_000,
    "an endless object": '{"a":' * 100_000,
    "empty object": "{}",
    "NaN": json.dumps({**PUBLISHED, "max_age_hours": float("nan")}),
    "Infinity": json.dumps({**PUBLISHED, "max_age_hours": float("inf")}),
    "beyond every float": json.dumps(PUBLISHED).replace("26.0", "1e999"),
    "NaN that nobody reads": json.dumps({**PUBLISHED, "free_bytes": float("nan")}),
    "age that is true": json.dumps({**PUBLISHED, "max_age_hours": True}),
    "age that is none": json.dumps({**PUBLISHED, "max_age_hours": None}),
    "age of another world": json.dumps({**PUBLISHED, "max_age_hours": 10**400}),
    "drill without a time": json.dumps({**PUBLISHED, "drill": {"outcome": "success"}}),
    "drill of a naive time": json.dumps({**PUBLISHED, "drill": {"at": NAIVE, "outcome": "success"}}),
    "drills of numbers": json.dumps({**PUBLISHED, "drills": [5]}),
    "newest of a naive time": json.dumps({**PUBLISHED, "newest_of": {"daily": {"name": "x", "created": NAIVE}}}),
    "newest before all time": json.dumps(
        {**PUBLISHED, "newest_of": {"daily": {"name": "x", "created": "0001-01-01T00:00:00+10:00"}}}
    ),
    "newest without a name": json.dumps({**PUBLISHED, "newest": {"name": 5, "created": PUBLISHED["updated"]}}),
    "updated at a number": json.dumps({**PUBLISHED, "updated": 5}),
    "healthy in words": json.dumps({**PUBLISHED, "healthy": "yes"}),
    "incidents that are a number": json.dumps({**PUBLISHED, "incidents": 5}),
    "reasons that are a text": json.dumps({**PUBLISHED, "reasons": "all"}),
}


@dataclass(frozen=True)
class Said:
    """What one look printed, and how it ended."""

    code: int
    stdout: str
    stderr: str

    def document(self) -> dict[str, Any]:
        """The one document, held against the schema; NaN and its like are no JSON."""
        document: dict[str, Any] = json.loads(self.stdout, parse_constant=pytest.fail)
        faults = [one.message for one in Draft202012Validator(json.loads(SCHEMA.read_text())).iter_errors(document)]
        assert (len(self.stdout.splitlines()), faults) == (1, [])
        assert self.code == document["code"] == CODES[document["status"]]
        return document

    def status(self, check: str) -> str:
        """What a check is called."""
        return str(self.of(check)["status"])

    def of(self, check: str, subject: str = "") -> dict[str, Any]:
        """One check."""
        seen = self.document()["checks"]
        (one,) = [one for one in seen if one["id"] == check and subject in ("", one["subject"])]
        return dict(one)


@dataclass
class Bare:
    """A root with folders and no containers, its engine dead and its port silent; the monitor runs in this process."""

    root: Path
    capture: pytest.CaptureFixture[str]

    def write(self, name: str, text: str | bytes) -> None:
        """Let a file of the stack hold this."""
        (self.root / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    def look(self, wish: Wish, load: Callable[[], Settings] | None = None) -> Said:
        """Look once."""
        code = command.run(load or self.settings, Ui(as_json=wish.as_json), wish)
        out, err = self.capture.readouterr()
        door.saw(f"monitor {wish}", f"exit {code}: {out[:2000]}{err[:2000]}")
        return Said(code, out, err)

    def settings(self) -> Settings:
        """The settings of this root."""
        defaults = {name: one.default for name, one in VARIABLES.items()}
        return Settings({**defaults, "MONSITE_ROOT": str(self.root), "MONSITE_PORT": "1"})


@pytest.fixture
def bare(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Bare:
    """A root on which all is well but that nothing runs."""
    monkeypatch.setenv("DOCKER_HOST", NOWHERE["DOCKER_HOST"])
    for name in ("data", "uploads", "backups", "logs", "status", "state/app"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "status").chmod(0o755)
    made = Bare(tmp_path, capsys)
    made.write("state/running.json", "{}")
    made.write("status/backup.json", json.dumps(published(datetime.now(UTC))))
    (tmp_path / "status" / "backup.json").chmod(0o644)
    return made


def test_what_the_keeper_publishes_fits(bare: Bare) -> None:
    """What the keeper does publish has the shape that the monitor takes: it is judged, and stands in the document."""
    said = bare.look(Wish(as_json=True))

    assert said.status("backup.published") == "ok"
    assert said.document()["backups"]["newest"] == "balades_x"


@pytest.mark.parametrize("text", UNFIT.values(), ids=UNFIT.keys())
def test_what_does_not_fit_is_unknown_in_every_form(bare: Bare, text: str) -> None:
    """A published state of another shape is unknown, and nothing of it is passed on, in each form."""
    bare.write("status/backup.json", text)
    said = bare.look(Wish(as_json=True))
    line = bare.look(Wish(check=True))
    table = bare.look(Wish())

    assert said.status("backup.published") == "unknown"
    assert said.document()["backups"] is None
    assert len(line.stdout.splitlines()) == 1
    assert (line.code, table.code) == (said.code, said.code)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a folder away takes root")
@pytest.mark.parametrize("name", ["uploads", "backups", "logs"])
@pytest.mark.parametrize("hurt", ["chown", "chmod", "rename"])
def test_folder_that_1001_lost_is_told(bare: Bare, name: str, hurt: str) -> None:
    """A folder that is another's, closed to its owner or gone is told by its name, before somebody needs it."""
    folder = bare.root / name
    os.chown(folder, 1001, 1001)
    before = bare.look(Wish(as_json=True)).of("folders.owner", name)
    if hurt == "rename":
        folder.rename(bare.root / "elsewhere")
    elif hurt == "chown":
        os.chown(folder, 0, 0)
    else:
        folder.chmod(0o500)
    after = bare.look(Wish(as_json=True)).of("folders.owner", name)

    assert (before["status"], after["status"]) == ("ok", "critical" if hurt == "rename" else "warning")
    assert name in after["text"]


DAMAGED = {
    "heals nested": ("state/app/heal.json", "[" * 100_000, "heals.recent"),
    "heals that are a number": ("state/app/heal.json", '{"heals": 5}', "heals.recent"),
    "heals at NaN": ("state/app/heal.json", '{"heals": [NaN]}', "heals.recent"),
    "journal nested": ("state/deploy.json", "[" * 100_000, "deploy.journal"),
    "journal of NaN": ("state/deploy.json", '{"id": NaN}', "deploy.journal"),
    "history nested": ("state/history.jsonl", "[" * 100_000, "deploy.last"),
    "history of NaN": ("state/history.jsonl", '{"outcome": Infinity}\n', "deploy.last"),
    "journal of numbers": ("state/deploy.json", '{"id": 5, "phase": "stopped"}', "deploy.journal"),
    "history that says nothing": ("state/history.jsonl", "{}\n", "deploy.last"),
}


@pytest.mark.parametrize(("name", "text", "check"), DAMAGED.values(), ids=DAMAGED.keys())
def test_damaged_note_is_unknown(bare: Bare, name: str, text: str, check: str) -> None:
    """A note that is no JSON object of finite numbers is told by its own check as something nobody could look at."""
    bare.write(name, text)

    assert bare.look(Wish(as_json=True)).status(check) == "unknown"


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("state/app/heal.json", "heals.recent"),
        ("logs/error.log", "errors.recent"),
        ("status/backup.json", "backup.published"),
        ("state/deploy.json", "deploy.journal"),
    ],
)
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_pipe_in_the_place_of_a_file_holds_nobody_up(
    bare: Bare, make: Callable[[Path], None], name: str, check: str
) -> None:
    """A pipe to which nobody writes, or a folder, put where a file is expected, is unknown at once."""
    (bare.root / name).unlink(missing_ok=True)
    make(bare.root / name)
    (bare.root / name).chmod(0o644)
    with deadline(10):
        said = bare.look(Wish(as_json=True))

    assert said.status(check) == "unknown"


@contextmanager
def deadline(seconds: int) -> Iterator[None]:
    """Fail what does not come to its end."""

    def late(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise AssertionError(f"not done within {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


HOSTILE = "\x1b[31mEVIL\x1b[2J\u202egnp.\u2066\x9b\r\n\x07"
ACTS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("status/backup.json", {**PUBLISHED, "uploads": {"warnings": [HOSTILE]}}),
        ("status/backup.json", {**PUBLISHED, "last_run": {"outcome": "failure", "error": HOSTILE}}),
        ("state/deploy.json", {"id": HOSTILE, "verb": HOSTILE, "phase": HOSTILE}),
        ("state/history.jsonl", {"verb": HOSTILE, "outcome": "failed", "ended": HOSTILE}),
        ("logs/error.log", {"ts": "9999-01-01T00:00:00", "event": HOSTILE}),
    ],
    ids=["warning", "failure", "journal", "history", "event"],
)
@pytest.mark.parametrize("wish", [Wish(), Wish(check=True)], ids=["table", "line"])
def test_hostile_text_is_shown_and_does_nothing(bare: Bare, name: str, text: dict[str, Any], wish: Wish) -> None:
    """What would move a cursor, colour a terminal or turn the reading direction is shown as a mark."""
    bare.write(name, (json.dumps(text) + "\n") * (30 if name == "logs/error.log" else 1))
    said = bare.look(wish)

    assert ACTS.findall(said.stdout) == []
    assert "EVIL" in bare.look(Wish(as_json=True)).stdout, "the fault must really be told"


@pytest.mark.parametrize("wrong", [RuntimeError("what nobody thought of\x1b[2J"), RecursionError(), KeyError("x")])
def test_what_nobody_thought_of_is_a_refusal(bare: Bare, wrong: Exception) -> None:
    """Whatever fails within the monitor ends with the code of what could not be looked at, in the form asked for."""

    def load() -> Settings:
        raise wrong

    said = bare.look(Wish(as_json=True), load)
    line = bare.look(Wish(check=True), load)

    assert said.code == line.code == PROMISED.whole("could_not_look")
    assert said.status("monitor.look") == "unknown"
    assert (len(line.stdout.splitlines()), " UNKNOWN - " in line.stdout) == (1, True)
    assert ACTS.findall(said.stderr + line.stdout + line.stderr) == []
    assert said.stderr.startswith("error: ")


@pytest.mark.parametrize(
    "address",
    ["tcp://127.0.0.1:nope", "tcp://[", "tcp://127.0.0.1:99999", "\x1b[2J", "unix://", "web"],
)
def test_address_of_no_engine_is_told(bare: Bare, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """An address that is none, or at which a web server answers, is told as an engine that does not answer."""
    with web(b"nothing of that name", status=404) as port:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}" if address == "web" else address)
        said = bare.look(Wish(as_json=True))

    assert said.status("engine.answers") == "unknown"


@pytest.mark.parametrize("text", ['{"currentContext": 5}', "[" * 100_000, "[]", '{"currentContext": null}'])
def test_damaged_settings_of_docker_are_none(bare: Bare, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A damaged file of Docker's own settings leads to the engine where it is by default."""
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(bare.root))
    bare.write("config.json", text)

    assert door.saw("find", find()) == DEFAULT


@contextmanager
def web(body: bytes, status: int = 200, pause_s: float = 0.0) -> Iterator[int]:
    """Serve one answer to everybody, each byte after a pause; give the port."""

    class Answer(http.server.BaseHTTPRequestHandler):
        """The one answer."""

        def do_GET(self) -> None:
            """Give it."""
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                for at in range(0, len(body), 1 if pause_s else len(body)):
                    self.wfile.write(body[at : at + 1] if pause_s else body)
                    over.wait(pause_s)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    over = threading.Event()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        over.set()
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("body", "pause_s", "status"),
    [(b"[" * 65536, 0.0, "ok"), (b" " * 600, 0.5, "critical")],
    ids=["nested without end", "dripping"],
)
def test_site_that_answers_oddly_is_judged_in_time(bare: Bare, body: bytes, pause_s: float, status: str) -> None:
    """An answer that is no sense, or that never ends, leaves no check of the site out and holds nobody up."""
    with web(body, pause_s=pause_s) as port, deadline(30):
        values = {**bare.settings().values, "MONSITE_PORT": str(port)}
        said = bare.look(Wish(as_json=True), lambda: Settings(values))

    assert said.status("site.gate") == status
    assert {"site.health", "site.ready"} <= {one["id"] for one in said.document()["checks"]}
    assert said.stderr == ""


@pytest.mark.parametrize(
    "file", ["", "/nonexistent/x.prom", "/etc/passwd/x.prom", f"/proc/{'x' * 300}", "/nonexistent/\x1b[2J/x"]
)
def test_file_that_cannot_be_written_hides_nothing(bare: Bare, file: str) -> None:
    """Where the Prometheus file cannot be written, everything else is told all the same, and that beside it."""
    alone = bare.look(Wish(as_json=True))
    said = bare.look(Wish(as_json=True, prometheus=Path(file)))

    assert said.status("monitor.file") == "unknown"
    assert len(said.document()["checks"]) == len(alone.document()["checks"]) + 1
    assert said.code == PROMISED.whole("critical"), "the silent site counts more"
    assert "error: " in said.stderr


def test_launcher_that_cannot_begin_is_could_not_look(tmp_path: Path, evidence: Door) -> None:
    """Where not even the environment stands, `monitor` could not look: `--check` has its line, `--json` its form."""
    launcher = stuck_launcher(tmp_path)
    done = evidence.run(str(launcher), "monitor", "--check")
    machine = evidence.run(str(launcher), "monitor", "--json")

    assert done.code == PROMISED.whole("could_not_look"), done.told()
    assert (len(done.stdout.splitlines()), done.stdout.startswith("MONSITE UNKNOWN - ")) == (1, True)
    assert valid(machine)["status"] == "unknown"


@pytest.mark.parametrize(("encoding", "well", "ill"), [("ascii", "+", "x"), ("utf-8", "✓", "✗")])
def test_sign_of_what_is_well_is_never_that_of_what_nobody_saw(bare: Bare, encoding: str, well: str, ill: str) -> None:
    """Where a terminal lacks the signs there are plain ones, each its own."""
    where = {"PYTHONPATH": str(CHECKOUT / "docker"), "MONSITE_ROOT": str(bare.root), "MONSITE_PORT": "1"}
    argv = [sys.executable, "-m", "ops", "monitor"]
    env = {**os.environ, **where, "PYTHONIOENCODING": encoding}
    done = subprocess.run(argv, env=env, capture_output=True, encoding=encoding, check=False)
    door.saw(" ".join(argv), f"exit {done.returncode}: {done.stdout}{done.stderr}")

    assert f"\n{well} backups " in done.stdout
    assert f"\n{ill} site " in done.stdout


@pytest.mark.parametrize("to", ["/dev/full", "closed"])
@pytest.mark.parametrize("option", ["--json", "--check"])
def test_stdout_that_takes_nothing_is_no_traceback(bare: Bare, to: str, option: str) -> None:
    """Where stdout is closed or full, the code stays one of the monitor's and nothing of its insides is shown."""
    argv = [sys.executable, "-m", "ops", "monitor", option]
    where = {"PYTHONPATH": str(CHECKOUT / "docker"), "MONSITE_ROOT": str(bare.root), "MONSITE_PORT": "1"}
    shell = ["sh", "-c", f'exec "$@" {">&-" if to == "closed" else f">{to}"}', "-", *argv]
    done = subprocess.run(shell, env={**os.environ, **where}, stderr=subprocess.PIPE, text=True, check=False)
    door.saw(" ".join(shell), f"exit {done.returncode}: {done.stderr}")

    assert done.returncode in (PROMISED.whole("critical"), PROMISED.whole("could_not_look"))
    assert "Traceback" not in done.stderr
