"""The log tells every request and fault as one JSON line, and nothing that belongs to a visitor."""

import json
import re
import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from fixtures.contract import Contract
from fixtures.stack import Stack, own_lifetime
from fixtures.wait import wait_for
from tests.web.conftest import ENGINE_LAG_S, Told

FILES = ("app", "access", "error")
FOLDER = "/srv/logs"
NOISE = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", 3000, timeout=30)
for _ in range(int(sys.argv[1])):
    connection.request("GET", "/" + "x" * 190)
    connection.getresponse().read()
print("done")
"""
REQUESTS = 2600  # at more than 450 bytes a line: beyond the 1 MiB that the test allows a file


def lines(stack: Stack, name: str) -> list[dict[str, Any]]:
    """Give one of the log files, line by line; a line that is no JSON object is an error."""
    text = stack.service("app").output("cat", f"{FOLDER}/{name}.log")
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.control("LOG-02")
def test_every_line_has_its_fields(stack: Stack) -> None:
    """Each line is a JSON object with time in UTC, level, service, event, and the request or the run it belongs to."""
    stack.write_walk()
    stack.client.get("/missing")

    for line in stack.service("app").events():
        missing = {"ts", "level", "service", "event"} - set(line)
        assert (missing, line["service"], "request" in line or "run" in line) == (set(), "app", True), line
        assert datetime.fromisoformat(line["ts"]).utcoffset() == timedelta(0), line


@pytest.mark.control("LOG-02")
def test_a_write_leaves_a_start_and_an_end(stack: Stack, told: Told) -> None:
    """A write is told when it begins and when it ends, with its method, path, client, status and duration."""
    created = stack.client.post("/api/walks", json={}, token=True)

    found = told(stack, created)

    assert [line["event"] for line in found] == ["request_started", "request"]
    assert (found[1]["method"], found[1]["path"], found[1]["status"]) == ("POST", "/api/walks", 422)
    assert found[1]["ms"] > 0
    assert re.fullmatch(r"\d+\.\d+\.\d+\.\d+", found[1]["client"])


@pytest.mark.promise("the log files hold what stdout holds")
def test_files_and_stdout_tell_the_same(stack: Stack) -> None:
    """What app.log and access.log hold is what the engine received, and error.log holds the errors among it."""
    walk = stack.write_walk()
    stack.client.get("/missing")
    files = {name: lines(stack, name) for name in ("app", "access")}
    in_files = {json.dumps(line) for name in files for line in files[name]}

    def printed() -> bool:
        return in_files <= {json.dumps(line) for line in stack.service("app").events()}

    wait_for("the engine to have every line of the files", printed, ENGINE_LAG_S, story=stack.story)
    assert [line["walk"] for line in files["app"] if line["event"] == "walk_created"][-1] == walk["id"]
    assert {line["event"] for line in files["access"]} == {"request", "request_started"}


@pytest.mark.promise("the log files are private")
@pytest.mark.parametrize("name", ["app", "access"])
def test_log_files_are_private(stack: Stack, contract: Contract, name: str) -> None:
    """A log file belongs to the app's user, and nobody else may read it."""
    stack.write_walk()

    file = stack.service("app").host.file(f"{FOLDER}/{name}.log")

    assert (file.mode, file.uid, file.gid) == (0o600, contract.stack.uid, contract.stack.gid)


@pytest.mark.control("LOG-03")
def test_logs_hold_nothing_of_a_visitor(stack: Stack) -> None:
    """Token, password, search words, cookies, bodies and browser of a visitor are in no log."""
    core = secrets.token_hex(8)  # what of it stays the same in every encoding
    canary = f"canary-{core}@example.org"
    body = {"title": canary, "password": canary}

    stack.client.get("/", params={"q": canary, "token": canary}, headers={"User-Agent": canary, "Cookie": canary})
    stack.client.get("/api/walks", params={"page": canary}, headers={"Referer": f"http://x/{canary}"})
    stack.client.post("/api/walks", json=body, token=True)
    stack.client.post("/api/walks", json=body, headers={"Authorization": f"Bearer {canary}"})
    last = stack.client.post("/api/walks", data=canary, token=True).headers["X-Request-Id"]

    everything = stack.service("app").logs() + stack.service("gate").logs()
    everything += stack.service("app").output("sh", "-c", f"cat {FOLDER}/*.log")
    assert last in everything, "the log must be as new as the requests"
    assert [secret for secret in (core, stack.token()) if secret in everything] == []


@pytest.mark.promise("nobody writes in another's name into the log")
def test_id_and_address_are_the_sites_own(stack: Stack, told: Told) -> None:
    """A request id and an address that a visitor claims are not believed."""
    forged = {"X-Request-Id": "forged-id", "X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9"}

    answers = [stack.client.get("/missing", headers=forged) for _ in range(2)]
    ids = [answer.headers["X-Request-Id"] for answer in answers]
    clients = {told(stack, answer)[-1]["client"] for answer in answers}

    assert ids[0] != ids[1]
    assert "forged-id" not in ids
    assert "203.0.113.9" not in clients


@pytest.mark.promise("nobody writes in another's name into the log")
def test_a_path_cannot_add_a_line(stack: Stack, told: Told) -> None:
    """A line break in an address stays inside its own line."""
    event = f"forged-{secrets.token_hex(4)}"

    answer = stack.client.get(f'/x%0a%7b"event":"{event}"%7d')
    own = told(stack, answer)[-1]
    forged = [line for line in stack.service("app").events() if line["event"] == event]

    assert answer.status_code == 404
    assert forged == []
    assert event in own["path"]


@pytest.fixture
def small_logs(pytestconfig: pytest.Config, images: dict[str, str]) -> Iterator[Stack]:
    """A stack whose log files are soon full."""
    del images
    with own_lifetime(pytestconfig, start=False) as stack:
        stack.settings["MONSITE_LOG_MAX_MB"] = "1"
        stack.up()
        yield stack


@pytest.mark.promise("logs are rotated by size, and a log that cannot be written stops nothing")
def test_full_log_makes_room_and_a_lost_one_stops_nothing(small_logs: Stack, told: Told) -> None:
    """A log file that reaches its size is set aside for a new one; without its folder the site goes on serving."""
    app = small_logs.service("app")
    limit = int(small_logs.settings["MONSITE_LOG_MAX_MB"]) * 1024 * 1024
    app.output("python3", "-c", NOISE, str(REQUESTS), within=60)

    sizes = app.output("sh", "-c", f"cd {FOLDER}; stat --format='%n %s %a' access.log*").splitlines()
    small_logs.as_root("sh", "-c", "rm -f /srv/logs/*; chown 0:0 /srv/logs")
    app.output("python3", "-c", NOISE, str(REQUESTS), within=60)
    answer = small_logs.client.get("/missing")
    own = told(small_logs, answer)

    assert [line.split()[0] for line in sizes] == ["access.log", "access.log.1"]
    assert [line for line in sizes if int(line.split()[1]) > limit or line.split()[2] != "600"] == []
    assert answer.status_code == 404
    assert own != []
    assert "log_not_written" in {line["event"] for line in app.events()}
