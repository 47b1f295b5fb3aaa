"""`./stack verify` judges a stack at work: it says what is so, sees what was changed by hand, and touches nothing."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fixtures import events, in_production, live
from fixtures.contract import Contract
from fixtures.controls import CONTROLS
from fixtures.drills import backups_status, drill
from fixtures.engine_facts import container, engine
from fixtures.evidence import Completed, Door
from fixtures.launches import at_work
from fixtures.services import CONTRACT
from fixtures.snapshots import canonical, send_picture, shelf_of
from fixtures.stack import Stack

pytestmark = pytest.mark.promise("a stack in production can be verified at noon")

PASS, BROKEN, INCOMPLETE = 0, 1, 3
# What only looking leads to; each health probe is an exec too.
LOOKING = {"exec_create", "exec_start", "exec_die", "exec_detach", "health_status"}
# What the keeper wrote last, dated two days after it was.
FROM_TOMORROW = """
import json
from datetime import datetime, timedelta
from pathlib import Path

def later(at):
    return (datetime.fromisoformat(at) + timedelta(days=2)).isoformat()

for file in Path("/srv/backups").glob("[dwm]*/balades_*.json"):
    made = json.loads(file.read_text())
    file.write_text(json.dumps(made | {"created": later(made["created"])}))
file = Path("/srv/status/backup.json")
told = json.loads(file.read_text())
told["drill"]["at"] = later(told["drill"]["at"])
file.write_text(json.dumps(told))
"""
SECRETS = "IMG-03,RUN-19"
# The machine of whoever runs the tests is not what they are about.
OF_THE_STACK = ",".join(sorted({one.family for one in CONTROLS.values()} - {"HST"}))
ROOT_USERS = {"", "0", "root", events.FORGOTTEN}
MIB = 1 << 20
NAMED_IN_RESULTS = ("commit", "suite_sha256", "compose_sha256", "started", "ended", "actor")
BY_THE_CLOCK = ("updated", "free_bytes")  # the keeper writes them anew while it waits
NO_PASS = ("broken", "error")
SHOWN_CHARS = 500


@pytest.fixture(scope="module")
def in_use(module_stack: Stack) -> Stack:
    """A stack with data, snapshots and a drill to show."""
    module_stack.write_walks(3)
    send_picture(module_stack)
    module_stack.take_snapshot()
    drill(module_stack)
    return module_stack


def verify(stack: Stack, *options: str, env: dict[str, str] | None = None) -> Completed:
    """Verify a stack, without the machine under it."""
    return stack.run("verify", "--json", "--controls", OF_THE_STACK, *options, expect=None, env=env)


def judged(done: Completed, state: str) -> set[str]:
    """Give the controls that ended in a state."""
    return {one["id"] for one in done.json()["controls"] if one["state"] == state}


def reasons(done: Completed) -> str:
    """Give what was found of each control that was not proven, for a message."""
    told: dict[str, Any] = done.json() if done.stdout else {"because": [done.stderr], "controls": []}
    wrong = [f"{one['id']} {one['state']}: {one['reason']}" for one in told["controls"] if one["state"] in NO_PASS]
    return "\n".join([*(words[:SHOWN_CHARS] for words in told["because"]), *wrong])


def data_of(stack: Stack) -> tuple[dict[str, Any], dict[str, str], dict[str, Any]]:
    """Give a digest of everything people wrote, and of everything that is stored of it, and what the keeper told."""
    told = {key: one for key, one in backups_status(stack).items() if key not in BY_THE_CLOCK}
    return canonical(stack), dict(shelf_of(stack).kept()), told


def report_files(done: Completed) -> dict[str, bytes]:
    """Give every file of the report that a run left."""
    folder = Path(done.json()["results"]).parent
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_nothing_is_touched(in_use: Stack) -> None:
    """A whole `verify` passes; the engine saw only looks of the services' own users.

    Data and snapshots stay, and so does what the keeper tells of them: no drill, no run and no verdict was added.
    """
    before, lives = data_of(in_use), in_use.identity()
    since = events.now()

    done = verify(in_use)

    seen = events.between(in_use.name, since, events.now())
    assert done.code == PASS, reasons(done)
    assert [str(one) for one in seen if one.action not in LOOKING] == []
    assert [str(one) for one in seen if one.action == events.EXEC and one.user.partition(":")[0] in ROOT_USERS] == []
    assert (data_of(in_use), in_use.identity()) == (before, lives)
    assert {"BAK-05", "VOL-05", "RST-07", "RUN-20", "SUP-04"} <= judged(done, "proven")


def test_report_does_not_tell_the_token(in_use: Stack, evidence: Door) -> None:
    """No file of the report of a `verify` that judges the secrets has the write token."""
    done = verify(in_use, "--quick", "--controls", SECRETS)
    files = report_files(done)
    evidence.saw("files of the report", "\n".join(files), subject=in_use.name)
    token = in_use.token().encode()

    assert judged(done, "proven") == set(SECRETS.split(",")), reasons(done)
    assert any(path.startswith("evidence/") for path in files), "the evidence must be there, or nothing was read"
    assert [path for path, body in files.items() if token in body] == []


def test_report_of_a_leak_does_not_repeat_it(own_stack: Stack, evidence: Door) -> None:
    """When the log has the write token, the report says in which service's log, and not the token."""
    token = own_stack.token()
    own_stack.visitor().get(f"/api/walks/{token}")

    done = verify(own_stack, "--quick", "--controls", SECRETS)

    files = report_files(done)
    evidence.saw("files of the report", "\n".join(files), subject=own_stack.name)
    assert judged(done, "broken") == {"RUN-19"}, reasons(done)
    assert "log of app: 1 of its lines have the write token, such as {" in reasons(done)
    assert [path for path, body in files.items() if token.encode() in body] == []


def test_root_may_be_spelled_in_a_long_way(in_use: Stack) -> None:
    """A stack is verified by its root, however that is spelled: the same folder by a detour is no other one."""
    detour = in_use.root.parent / in_use.root.name / ".." / in_use.root.name

    done = in_use.run(
        "verify", "--quick", "--json", "--controls", "VOL-01,VOL-03", env={"MONSITE_ROOT": str(detour)}, expect=None
    )

    assert (done.code, judged(done, "proven")) == (PASS, {"VOL-01", "VOL-03"}), reasons(done)


@pytest.mark.parametrize("verb", [("now",), ("restore", "latest")], ids=["backup", "restore"])
def test_quick_look_beside_a_command_of_the_keeper(in_use: Stack, verb: tuple[str, ...]) -> None:
    """While a backup or a restore stands in its middle with the lock, `verify --quick` passes and waits for nobody."""
    with at_work(in_use, *verb):
        done = verify(in_use, "--quick")

    assert done.code == PASS, reasons(done)


def test_deep_look_beside_backups_and_restores(in_use: Stack, evidence: Door) -> None:
    """While snapshots are taken and restored one after the other, a whole `verify` passes."""
    with repeated(in_use, ("backup", "now", "--json"), ("restore", "latest", "--json")) as codes:
        done = verify(in_use)
    evidence.saw("the keeper's commands meanwhile", json.dumps(codes), subject=in_use.name)

    assert done.code == PASS, reasons(done)
    assert len(codes) > 1, "something must have been at work"
    assert set(codes) <= {CONTRACT.exit_codes.ok, CONTRACT.exit_codes.busy}


@contextmanager
def repeated(stack: Stack, *commands: tuple[str, ...]) -> Iterator[list[int]]:
    """Run commands of the launcher in turn for as long as the block lasts; lend their exit codes."""
    codes: list[int] = []
    stopping: list[bool] = []

    def work() -> None:
        while not stopping:
            codes.append(stack.run(*commands[len(codes) % len(commands)], expect=None).code)

    with ThreadPoolExecutor(1) as pool:
        ending = pool.submit(work)
        try:
            yield codes
        finally:
            stopping.append(True)
            ending.result()


def test_what_was_changed_by_hand_is_named(in_use: Stack, contract: Contract) -> None:
    """A loosened limit, opened files and a stranger in the project are each broken by name, and nothing else is."""
    app, more = container(in_use.service("app").container), contract.services["app"].memory_mib * 2 * MIB
    labels = {**in_use.tool_labels(), **{key: app.labels[key] for key in app.labels if "compose.project" in key}}
    stranger = engine().containers.create(
        in_use.tool_image(), labels={**labels, "com.docker.compose.service": "stranger"}
    )
    in_use.as_root("sh", "-c", "chmod 0644 /srv/backups/monthly/*.json /srv/data/balades.db")
    app.update(mem_limit=more, memswap_limit=more)
    try:
        done = verify(in_use, "--quick")
    finally:
        stranger.remove(force=True)
        in_use.as_root("sh", "-c", "chmod 0400 /srv/backups/monthly/*.json; chmod 0600 /srv/data/balades.db")
        app.update(mem_limit=more // 2, memswap_limit=more // 2)

    assert (done.code, judged(done, "broken")) == (BROKEN, {"RUN-06", "RUN-20", "VOL-06", "BAK-10"}), reasons(done)
    assert verify(in_use, "--quick").code == PASS


def test_stopped_service_is_no_pass(in_use: Stack, contract: Contract) -> None:
    """With one service stopped the stack is not what was started: broken, and what could not be looked at is said."""
    one = container(in_use.service("drill").container)
    one.stop()
    try:
        done = verify(in_use, "--quick")
    finally:
        one.start()
        in_use.wait_until_health("healthy", service="drill", within=contract.recovery.ready_s)

    assert done.code == BROKEN, reasons(done)
    assert "RUN-20" in judged(done, "broken")
    assert {"RUN-01", "NET-04"} <= judged(done, "error")
    assert "seen and not recorded: [('drill', 'exited')]; recorded and not seen: [('drill', 'running')]" in reasons(
        done
    )


def test_only_what_is_asked_for_is_judged(in_use: Stack) -> None:
    """`--controls` judges what it names; a name that nobody knows is wrong usage and is told with the known ones."""
    one = in_use.run("verify", "--quick", "--controls", "NET,RUN-06", "--json")
    unknown = in_use.run("verify", "--controls", "NOT-99", expect=CONTRACT.exit_codes.usage)

    assert {control.partition("-")[0] for control in judged(one, "proven")} == {"NET", "RUN"}
    assert "NOT-99" in unknown.stderr + unknown.stdout


def test_where_nothing_runs_nothing_is_proven(in_use: Stack, idle_stack: Stack, tmp_path: Path) -> None:
    """A stack that was never started, one that is down and an engine that does not answer are incomplete, not green."""
    silent = {"DOCKER_HOST": f"unix://{tmp_path}/no.sock"}
    ended = {"never started": verify(idle_stack), "no engine": verify(in_use, env=silent)}
    in_use.down()
    try:
        ended["down"] = verify(in_use)
    finally:
        in_use.up()

    assert {state: done.code for state, done in ended.items()} == dict.fromkeys(ended, INCOMPLETE)
    assert {state: "nothing was looked at" in done.stderr for state, done in ended.items()} == dict.fromkeys(
        ended, True
    )
    assert [state for state, done in ended.items() if "hint: " not in done.stderr] == []


@pytest.mark.parametrize(
    ("name", "old", "new", "code", "control", "words"),
    [
        # the release that runs is another one than was recorded
        ("current.json", '"version": "', '"version": "9', BROKEN, "IMG-09", "'version': '9"),
        # no record any more
        ("running.json", "{", "[", INCOMPLETE, "RUN-20", "running.json is damaged: no record of `./stack up` (JSON"),
        ("running.json", '"containers"', '"content"', INCOMPLETE, "RUN-20", "(KeyError: 'containers')"),
    ],
    ids=["another release", "no JSON", "no containers"],
)
def test_record_that_is_not_of_the_stack_is_named(
    in_use: Stack, name: str, old: str, new: str, code: int, control: str, words: str
) -> None:
    """A record of another release is broken, and one that nobody can read leaves its control open; both by name."""
    path = in_use.root / "state" / name
    good = path.read_text(encoding="utf-8")
    path.write_text(good.replace(old, new), encoding="utf-8")
    try:
        done = verify(in_use, "--quick", "--controls", control)
    finally:
        path.write_text(good, encoding="utf-8")

    assert (done.code, judged(done, "broken" if code == BROKEN else "error")) == (code, {control}), reasons(done)
    assert words in reasons(done)


def test_backups_of_the_future_are_broken(own_stack: Stack) -> None:
    """A snapshot and a drill that are dated after today are no recent ones."""
    own_stack.take_snapshot()
    drill(own_stack)
    own_stack.as_root("python3", "-c", FROM_TOMORROW)

    done = verify(own_stack, "--quick", "--controls", "BAK-01,RST-07")

    assert (done.code, judged(done, "broken")) == (BROKEN, {"BAK-01", "RST-07"}), reasons(done)
    words = ("the newest verified snapshot is of", "the newest drill is of")
    assert [one for one in words if one not in reasons(done)] == []


@pytest.mark.control("REP-09")
def test_results_name_what_was_verified(in_use: Stack, evidence: Door) -> None:
    """The results name commit, configuration, images, containers, engine, host, suite, time and actor of the run.

    The containers that they name at its end are those of its beginning, and are the ones that run.
    """
    done = verify(in_use, "--quick")
    run = json.loads(evidence.read(Path(done.json()["results"])))["run"]
    lives = {name: {"id": id_, "started": at, "restarts": times} for name, id_, at, times in in_use.identity()}
    images = {container(one).attrs["Image"] for one in lives}

    assert run["containers_start"] == run["containers_end"] == lives
    assert set(run["images"].values()) == images
    assert [
        key for key in ("commit", "suite_sha256", "compose_sha256", "started", "ended", "actor") if not run[key]
    ] == []
    assert run["dirty"] in (True, False)
    assert (run["engine"]["version"], run["host"]["name"]) == (engine().version()["Version"], engine().info()["Name"])


def test_stack_in_production_is_only_looked_at(in_use: Stack, evidence: Door) -> None:
    """Whatever a test marked live wants beyond a look is refused: verbs, requests, helpers, commands as root."""
    seen = in_production.LiveStack(in_use.settings, in_use.contract)
    refused = []
    for wish in (
        lambda: seen.up(),
        lambda: seen.take_snapshot(),
        lambda: seen.write_walk(),
        lambda: seen.lose_database(),
        lambda: seen.visitor(),
        lambda: seen.exec("app", "id", user="0:0"),
        lambda: seen.service("app").exec("id", user="root"),
        lambda: seen.service("app").signal("KILL", seen.service("app").pid()),
    ):
        with pytest.raises(in_production.OffLimits) as refusal:
            wish()
        refused.append(evidence.saw("refused", str(refusal.value), subject=seen.name))

    assert [words for words in refused if "runs in production" not in words] == []
    assert in_use.answers()


def test_container_that_is_roots_is_not_entered(own_stack: Stack, tmp_path: Path, evidence: Door) -> None:
    """A service whose own user became root is not entered at all, by no way of looking; another one still is."""
    overlay = tmp_path / "root.yaml"
    overlay.write_text("services: {gate: {user: '00:0'}}\n", encoding="utf-8")
    own_stack.run("up", "--json", env={"MONSITE_OVERLAY": f"{own_stack.settings['MONSITE_OVERLAY']}:{overlay}"})
    seen = in_production.LiveStack(own_stack.settings, own_stack.contract)
    refused = []
    for wish in (
        lambda: seen.exec("gate", "id"),
        lambda: seen.service("gate").output("id"),
        lambda: seen.service("gate").host.run("id"),
    ):
        with pytest.raises(in_production.OffLimits) as refusal:
            wish()
        refused.append(evidence.saw("refused", str(refusal.value), subject=seen.name))

    assert [words for words in refused if "gate-1 runs in production, and as root" not in words] == []
    assert seen.service("app").output("id", "-u").strip() == str(seen.contract.stack.uid)


def test_mark_on_a_test_with_its_own_stack_is_refused(
    request: pytest.FixtureRequest, idle_stack: Stack, evidence: Door
) -> None:
    """A test that is marked live and asks for a stack of its own ends the run before anything starts."""
    del idle_stack
    request.node.add_marker("live")

    with pytest.raises(pytest.UsageError) as refusal:
        live.pytest_collection_modifyitems([request.node])

    assert "asks for idle_stack" in evidence.saw("collect", str(refusal.value), subject=request.node.nodeid)
