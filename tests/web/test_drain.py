"""A deploy's flag: the site lets nobody in while it stands, and says before the first one that it has opened.

Each test leaves the stack of this file open and well. What the gate would hide is asked of the app itself.
"""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from fixtures.contract import Contract
from fixtures.engine_facts import engine
from fixtures.evidence import door
from fixtures.services import CONTRACT
from fixtures.stack import Stack
from fixtures.wait import rest, wait_for
from fixtures.walks import new_walk
from tests.web.conftest import ENGINE_LAG_S

OK, UNAVAILABLE = requests.codes.ok, requests.codes.unavailable
LONG = "120"  # no test lasts as long
SHORT = "3"  # many times what a look takes
MARK = "/srv/state/app/opened"
FLAG = "/srv/state/app/draining"
ORPHAN = f"/srv/uploads/images/{'0' * 64}.png"
QUESTIONS = {"/api/live": OK, "/api/health": OK, "/api/ready": UNAVAILABLE}
CLOSED_TO = ("/", "/api", "/api/walks", "/walks/1")
STEADY = ("/status", "/static/site.css")
LARGE = b"%PDF-1.7\n" + b"0" * (CONTRACT.site.whole("upload_max_mb") * 1_000_000) + b"\n%%EOF\n"
GO = "/tmp/go"  # noqa: S108 - in the container
# Inside, because the many buffers on the way through the gate can swallow the largest upload whole.
READER = f"""
import os, socket, sys
os.mkfifo("{GO}")
line = socket.socket()
line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
line.connect(("127.0.0.1", 3000))
line.sendall(f"GET {{sys.argv[1]}} HTTP/1.1\\r\\nHost: app\\r\\nConnection: close\\r\\n\\r\\n".encode())
open("{GO}").read()
print(sum(map(len, iter(lambda: line.recv(65536), b""))))
"""

pytestmark = pytest.mark.promise("a deploy closes the site to nobody: it drains, and opens by itself")


@pytest.fixture
def site(module_stack: Stack, contract: Contract) -> Iterator[Stack]:
    """A stack that takes traffic, and does so again afterwards."""
    yield module_stack
    module_stack.as_root("rm", "-rf", FLAG)
    module_stack.wait_until_ready(within=contract.recovery.ready_s)
    module_stack.as_root("rm", "-rf", MARK)


@pytest.fixture
def closed(site: Stack, contract: Contract) -> Stack:
    """A site that started under the flag of `d-closed`."""
    drain(site, "on", "d-closed", LONG)
    engine().containers.get(site.service("app").container).restart()
    site.wait_until_alive(within=contract.recovery.ready_s)
    return site


def drain(stack: Stack, *argv: str) -> dict[str, Any]:
    """Use the deployer's hand inside the app's container."""
    told: dict[str, Any] = json.loads(stack.service("app").output("python3", "-S", "-m", "app.drain", *argv))
    return told


def look_until(stack: Stack, name: str, wanted: Any, contract: Contract) -> dict[str, Any]:
    """Look until what is seen is as wanted; give it."""

    def seen() -> dict[str, Any]:
        told = drain(stack, "look")
        return told if wanted(told) else {}

    return wait_for(name, seen, contract.site.number("traffic_seen_s"), story=stack.story)


def connect(stack: Stack, request: str) -> socket.socket:
    """Send the head of a request through the gate."""
    line = socket.create_connection((stack.contract.stack.bind, stack.port), timeout=CONTRACT.recovery.ready_s)
    head = f"{request} HTTP/1.1\r\nHost: site\r\nConnection: close\r\nAuthorization: Bearer {stack.token()}\r\n"
    line.sendall(head.encode())
    return line


def holds(stack: Stack, contract: Contract) -> bool:
    """Tell whether a visitor waits at the gate, which asks the app by itself and tells nobody what it heard."""
    try:
        requests.get(stack.url, timeout=contract.site.number("gate_notices_s"))
    except requests.Timeout:
        return True
    return False


def rest_of(line: socket.socket) -> bytes:
    """Read the answer to its end."""
    with line:
        return b"".join(iter(lambda: line.recv(65536), b""))


def test_drained_site_holds_a_visitor_and_serves_her_then(site: Stack, contract: Contract) -> None:
    """While the flag stands the app is healthy and not ready; a visitor waits at the gate and is served afterwards."""
    raised = drain(site, "on", "d-drained", LONG)
    wait_for("the gate to hold visitors", lambda: holds(site, contract), contract.site.number("traffic_seen_s"))
    with ThreadPoolExecutor(1) as pool:
        visit = pool.submit(site.visitor().get, "/")
        ready = site.ask_app("/api/ready")
        probe = site.exec("app", "python3", "-m", "app.probe").code
        waits = not visit.done()
        lowered = drain(site, "off")
        served = visit.result()

    assert (raised["draining"], raised["deploy"], lowered) == (True, "d-drained", {"draining": False})
    assert (ready[0], json.loads(ready[1]), probe) == (UNAVAILABLE, {"status": "draining"}, 0)
    assert (waits, served.status_code) == (True, OK)


def test_flag_that_has_run_out_counts_as_none(site: Stack, contract: Contract) -> None:
    """A flag that nobody renews stops counting by itself, although its file is still there."""
    drain(site, "on", "d-dead", SHORT)
    while_it_stands = drain(site, "look")["draining"]
    wait_for("the flag to run out", site.is_ready, contract.site.number("traffic_seen_s"), story=site.story)

    assert while_it_stands
    assert not drain(site, "look")["draining"]
    assert "d-dead" in site.as_root("cat", FLAG).stdout


@pytest.mark.parametrize(
    "content",
    ["{", '{"schema": 1, "deploy": "d-x", "until": "2126-01-01T00:00:00+00:00"}', '{"schema": 1, "until": "soon"}'],
    ids=["cut short", "of another century", "without a deploy"],
)
def test_flag_that_makes_no_sense_counts_as_none(site: Stack, content: str) -> None:
    """A flag that is no JSON, runs for years or names no deploy leaves the site open."""
    site.as_root("sh", "-c", f"printf '%s' '{content}' > {FLAG}")

    assert [site.ask_app("/api/ready")[0] for _ in range(3)] == [OK] * 3
    assert not drain(site, "look")["draining"]


def test_damaged_flag_is_told_once(site: Stack) -> None:
    """A flag that cannot be read is told in the log once, however often it is looked at."""
    before = len(ignored_flags(site))
    site.as_root("sh", "-c", f"echo told-once > {FLAG}")
    ready = [site.ask_app("/api/ready")[0] for _ in range(3)]

    told = wait_for("the log of it", lambda: ignored_flags(site)[before:], ENGINE_LAG_S, story=site.story)

    assert ready == [OK] * 3
    assert len(told) == 1


def ignored_flags(stack: Stack) -> list[str]:
    """What the app's log tells of flags that it cannot read."""
    return [line["detail"] for line in stack.service("app").events() if line["event"] == "flag_ignored"]


def test_site_that_starts_under_the_flag_serves_nobody_and_is_healthy(closed: Stack) -> None:
    """A site that starts under the flag answers what is asked about itself, gives and takes no walk, leaves no mark."""
    questions = {path: closed.ask_app(path)[0] for path in QUESTIONS}
    refused = {path: closed.ask_app(path)[0] for path in CLOSED_TO}
    steady = {path: closed.ask_app(path)[0] for path in STEADY}
    written, why = closed.ask_app("/api/walks", json.dumps(new_walk()))
    seen = drain(closed, "look")

    assert (questions, refused) == (QUESTIONS, dict.fromkeys(CLOSED_TO, UNAVAILABLE))
    assert steady == dict.fromkeys(STEADY, OK)
    assert (written, json.loads(why)["error"]) == (UNAVAILABLE, "closed")
    assert (seen["draining"], seen["opened"]) == (True, None)
    assert closed.exec("app", "python3", "-m", "app.probe").code == 0


def test_mark_comes_before_the_first_visitor(closed: Stack, contract: Contract) -> None:
    """Without its mark a site does not open; with it, the mark names the deploy, and visitors are served."""
    before = closed.ask_app("/api/walks")[0]
    closed.as_root("mkdir", "-p", f"{MARK}/in-the-way")
    closed.as_root("rm", FLAG)
    in_the_way = [closed.ask_app(path)[0] for path in ("/api/ready", "/", "/api/health")]
    closed.as_root("rm", "-r", MARK)
    # it looks whether it may open twenty times a second, and is closed until the next look
    wait_for("the site to open", closed.is_ready, contract.site.number("traffic_seen_s"), story=closed.story)
    status, _ = closed.ask_app("/api/walks", json.dumps(new_walk()))
    mark = drain(closed, "look")["opened"]

    assert (before, in_the_way) == (UNAVAILABLE, [UNAVAILABLE, UNAVAILABLE, OK])
    assert status == requests.codes.created
    assert (mark["deploy"], set(mark)) == ("d-closed", {"deploy", "version", "at"})
    closed.wait_until_ready(within=contract.recovery.ready_s)


def test_flag_that_ran_out_before_the_start_leaves_a_mark(site: Stack, contract: Contract) -> None:
    """A site that starts after its deploy's flag ran out serves, and says so: it may acknowledge writes."""
    site.as_root("rm", "-rf", MARK)
    drain(site, "on", "d-late", "0.01")
    engine().containers.get(site.service("app").container).restart()
    site.wait_until_ready(within=contract.recovery.ready_s)

    assert drain(site, "look")["opened"]["deploy"] == "d-late"


def test_closed_site_clears_no_upload(closed: Stack, contract: Contract) -> None:
    """A file that no walk names any more stays while the former data may come back, and goes once the site is open."""
    closed.as_root("sh", "-c", f"mkdir -p /srv/uploads/images && touch -d 2020-01-01 {ORPHAN}")
    closed.as_root("chown", "-R", "1001:1001", "/srv/uploads/images")
    engine().containers.get(closed.service("app").container).restart()
    closed.wait_until_alive(within=contract.recovery.ready_s)
    while_closed = closed.as_root("ls", ORPHAN).stdout.strip()
    drain(closed, "off")
    closed.wait_until_ready(within=contract.recovery.ready_s)

    assert while_closed == ORPHAN
    wait_for(
        "the file that no walk names to go",
        lambda: "no more" in closed.as_root("sh", "-c", f"ls {ORPHAN} 2>/dev/null || echo no more").stdout,
        contract.site.number("traffic_seen_s"),
    )


def test_what_is_steady_waits_for_an_app_that_answers(site: Stack, contract: Contract) -> None:
    """While no app runs, who asks for the status page or the sheet waits at the gate, and has it from a closed one."""
    app = engine().containers.get(site.service("app").container)
    drain(site, "on", "d-steady", LONG)
    app.stop()
    with ThreadPoolExecutor(len(STEADY)) as pool:
        visits = [pool.submit(site.visitor().get, path) for path in STEADY]
        rest(contract.site.number("gate_notices_s"), "a visitor who waits is told nothing")
        wait = [not visit.done() for visit in visits]
        app.start()
        served = [visit.result().status_code for visit in visits]

    assert (wait, served) == ([True] * len(STEADY), [OK] * len(STEADY))


def test_upload_in_flight_is_seen(site: Stack, contract: Contract) -> None:
    """An upload that is still coming in counts as in flight and ages, and not any more once it is answered."""
    walk = site.write_walk()
    body = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="slow.pdf"\r\n\r\n%PDF-1.7\n%%EOF\n\r\n--b--\r\n'
    )
    idle = drain(site, "look")
    line = connect(site, f"POST /api/walks/{walk['id']}/documents")
    line.sendall(b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:60])
    first = look_until(site, "the upload to be seen", lambda seen: seen["in_flight"] == 1, contract)
    later = drain(site, "look")
    line.sendall(body[60:])
    answer = rest_of(line)
    door.saw("the slow upload", answer.decode(), subject=site.url)
    after = look_until(site, "the upload to end", lambda seen: seen["in_flight"] == 0, contract)

    assert (idle["in_flight"], idle["oldest_s"]) == (0, 0.0)
    assert 0 < first["oldest_s"] < later["oldest_s"]
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert after["oldest_s"] == 0


def test_download_that_is_read_slowly_is_seen(site: Stack, contract: Contract) -> None:
    """Bytes of an answer that a slow reader has not taken are seen, and none is left once she has them all."""
    walk = site.write_walk()
    files = {"file": ("large.pdf", LARGE, "application/pdf")}
    url = site.client.post(f"/api/walks/{walk['id']}/documents", files=files, token=True).json()["url"]
    idle = drain(site, "look")
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(site.exec, "app", "python3", "-S", "-c", READER, url)
        waiting = look_until(site, "unsent bytes", lambda seen: seen["unsent_bytes"] > 0, contract)
        site.exec("app", "sh", "-c", f"echo > {GO}")
        read = reading.result()
    after = look_until(site, "every byte to be sent", lambda seen: seen["unsent_bytes"] == 0, contract)

    assert (idle["unsent_bytes"], after["in_flight"]) == (0, 0)
    assert waiting["unsent_bytes"] > 0
    assert int(read.stdout) > len(LARGE)


def test_traffic_is_told_to_the_container_alone(site: Stack) -> None:
    """What is in flight is nobody's business outside: through the gate the question finds nothing."""
    outside = site.client.get("/api/traffic")
    inside, told = site.ask_app("/api/traffic")

    assert (outside.status_code, outside.json()["error"]) == (requests.codes.not_found, "not_found")
    assert (inside, json.loads(told)) == (OK, {"in_flight": 0, "oldest_s": 0.0})


def test_session_answers_line_by_line(site: Stack) -> None:
    """Each line of a session has its answer, also one that is not understood; it ends when nobody asks any more."""
    asked = "look\\nof\\n\\non d-session 60\\nlook\\noff\\nlook\\n"
    done = site.exec("app", "sh", "-c", f"printf '{asked}' | python3 -S -m app.drain session")
    before, wrong, empty, raised, under_it, lowered, after = map(json.loads, done.stdout.splitlines())

    assert (done.code, done.stderr) == (0, "")
    assert (before["draining"], under_it["draining"], after["draining"]) == (False, True, False)
    assert (raised["deploy"], lowered) == ("d-session", {"draining": False})
    assert (wrong, empty) == ({"error": "not understood: 'of'"}, {"error": "not understood: ''"})


@pytest.mark.parametrize(
    "argv", [[], ["on", "d-x"], ["on", "../d", "5"], ["on", "d-x", "0"], ["on", "d-x", "86400"], ["of"]], ids=" ".join
)
def test_words_that_are_not_understood_change_nothing(site: Stack, argv: list[str]) -> None:
    """What the hand does not understand ends with the usage, exit code 2, and no flag."""
    done = site.exec("app", "python3", "-S", "-m", "app.drain", *argv)

    assert (done.code, done.stdout) == (2, "")
    assert "usage: " in done.stderr
    assert not drain(site, "look")["draining"]
