"""An error says what the visitor needs and nothing else; every answer carries the same protection."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from fixtures.contract import Contract
from fixtures.services import CONTRACT
from fixtures.stack import Stack, own_lifetime
from fixtures.wait import wait_for
from fixtures.walks import new_walk
from tests.web.conftest import Told

CANARY = "canary-1b7e-not-a-date"


@dataclass(frozen=True)
class Call:
    """A request, and the class of answer it brings."""

    status: int
    method: str
    path: str
    token: bool = False
    body: bytes | None = None

    def __str__(self) -> str:
        return f"{self.status} {self.method} {self.path[:24]}"


CALLS = [
    # served
    Call(200, "GET", "/"),
    Call(200, "GET", "/api"),
    Call(200, "GET", "/api/walks"),
    Call(200, "GET", "/api/openapi.json"),
    Call(200, "GET", "/api/live"),
    Call(200, "GET", "/api/health"),
    Call(200, "GET", "/static/site.css"),
    Call(200, "GET", "/status"),
    Call(200, "HEAD", "/"),
    Call(201, "POST", "/api/walks", token=True),
    # refused, to people and to programs
    Call(400, "POST", "/api/walks", token=True, body=b"{"),
    Call(401, "POST", "/api/walks"),
    Call(401, "GET", "/api/metrics"),
    Call(404, "GET", "/missing"),
    Call(404, "GET", "/api/missing"),
    Call(404, "GET", "/walks/0"),
    Call(404, "GET", "/uploads/images/missing.png"),
    Call(404, "GET", "/static/missing.css"),
    Call(405, "POST", "/"),
    Call(405, "DELETE", "/api/walks"),
    Call(405, "OPTIONS", "/api/walks"),
    Call(413, "POST", "/api/walks", token=True, body=b" " * (CONTRACT.site.whole("json_max_kb") * 1024 + 1)),
    Call(422, "GET", "/?page=x"),
    Call(422, "GET", "/api/walks?page=x"),
]


def missing_protection(answer: requests.Response, contract: Contract) -> list[str]:
    """Name what an answer lacks of the headers that every answer has, or has too much."""
    faults = [name for name in contract.site.texts("headers") if not answer.headers.get(name)]
    if "unsafe" in answer.headers.get("Content-Security-Policy", ""):
        faults.append("a policy that allows what is unsafe")
    if answer.headers.get("X-Content-Type-Options") != "nosniff":
        faults.append("nosniff")
    return faults + [f"{name} is told" for name in ("Server", "X-Powered-By", "Via") if name in answer.headers]


def call(stack: Stack, one: Call) -> requests.Response:
    """Send a request of the table."""
    options: dict[str, Any] = {"data": one.body} if one.body is not None else {}
    if one.method == "POST" and one.body is None:
        options = {"json": new_walk()}
    return stack.client.call(one.method, one.path, token=one.token, **options)


@pytest.mark.control("WEB-01")
@pytest.mark.parametrize("one", CALLS, ids=str)
def test_every_answer_is_protected(stack: Stack, contract: Contract, one: Call) -> None:
    """Whatever its status, an answer has every security header and does not say what serves it."""
    answer = call(stack, one)

    assert answer.status_code == one.status
    assert missing_protection(answer, contract) == []


@pytest.mark.control("WEB-02")
@pytest.mark.parametrize("one", [one for one in CALLS if one.status >= 400], ids=str)
def test_refusal_names_the_request(stack: Stack, one: Call) -> None:
    """A refusal is JSON to programs and a page to people, and both show the id of the request."""
    answer = call(stack, one)

    if one.path.startswith("/api/"):
        assert sorted(answer.json()) == ["error", "message", "request"]
        assert answer.json()["request"] == answer.headers["X-Request-Id"]
    else:
        assert answer.headers["Content-Type"].startswith("text/html")
        assert f"<code>{answer.headers['X-Request-Id']}</code>" in answer.text


@pytest.mark.control("WEB-01")
@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/", "GET, HEAD"), ("/api/walks", "GET, HEAD, POST"), ("/api/walks/1", "DELETE, GET, HEAD, PUT")],
)
def test_wrong_method_is_told_the_right_ones(stack: Stack, path: str, allowed: str) -> None:
    """An address that is called in a way it does not take names every way it takes."""
    assert stack.client.call("PATCH", path).headers["Allow"] == allowed


@pytest.fixture
def damaged(module_stack: Stack) -> Iterator[dict[str, Any]]:
    """A walk whose row holds what no version of the site would have written."""
    walk = module_stack.write_walk()
    set_walked_on(module_stack, walk, CANARY)
    yield walk
    set_walked_on(module_stack, walk, walk["walked_on"])


def set_walked_on(stack: Stack, walk: dict[str, Any], value: str) -> None:
    """Change a row behind the site's back, under the site's own user."""
    program = textwrap.dedent(
        """
        import sqlite3, sys
        with sqlite3.connect("file:/srv/data/balades.db?mode=rw", uri=True, timeout=10) as connection:
            print(connection.execute("UPDATE walks SET walked_on = ? WHERE id = ?", sys.argv[1:]).rowcount)
        """
    )
    assert stack.service("app").output("python3", "-c", program, value, str(walk["id"])) == "1\n"


@pytest.mark.control("WEB-02")
@pytest.mark.parametrize("path", ["/walks/{id}", "/api/walks/{id}"])
def test_fault_shows_an_id_and_the_log_has_the_stack(
    module_stack: Stack, contract: Contract, damaged: dict[str, Any], told: Told, path: str
) -> None:
    """A fault inside is answered with an id and nothing of its cause; the log has the stack under that id."""
    healthy = module_stack.write_walk()

    answer = module_stack.client.get(path.format(**damaged))
    traces = [line["trace"] for line in told(module_stack, answer) if "trace" in line]

    assert (answer.status_code, missing_protection(answer, contract)) == (500, [])
    assert answer.headers["X-Request-Id"] in answer.text
    assert [leak for leak in (CANARY, *contract.site.texts("leaks")) if leak in answer.text] == []
    assert [("Traceback" in trace, CANARY in trace) for trace in traces] == [(True, True)]
    assert module_stack.client.get(f"/api/walks/{healthy['id']}").json() == healthy


@pytest.mark.promise("a read-only data folder is a clear error, and nothing is lost")
def test_read_only_database_is_read_and_not_written(module_stack: Stack, contract: Contract) -> None:
    """With a data folder that cannot be written, readers are served and writers told so; then all goes on."""
    walk = module_stack.write_walk()
    address = f"/api/walks/{walk['id']}"

    module_stack.as_root("chmod", "0500", "/srv/data")
    try:
        refused = [
            module_stack.client.post("/api/walks", json=new_walk(), token=True),
            module_stack.client.put(address, json=new_walk(), token=True),
            module_stack.client.delete(address, token=True),
        ]
        read = module_stack.client.get(address)
    finally:
        module_stack.as_root("chmod", "0700", "/srv/data")
    again = module_stack.client.put(address, json=new_walk(), token=True)

    assert [(one.status_code, one.json()["error"]) for one in refused] == [(503, "database_readonly")] * 3
    assert [missing_protection(one, contract) for one in refused] == [[]] * 3
    assert (read.status_code, read.json()) == (200, walk)
    assert again.status_code == 200


@pytest.mark.promise("a database file of garbage is a clear error")
@pytest.mark.parametrize("path", ["/", "/api/walks", "/api/ready"])
def test_garbage_for_a_database_is_said_and_nothing_else(module_stack: Stack, contract: Contract, path: str) -> None:
    """With garbage for a database, readers get 503 without a word of its cause, and are served again after repair."""
    before = module_stack.read_walks()
    module_stack.as_root("sh", "-euc", "cd /srv/data; cp -a balades.db ../kept; printf garbage >balades.db.new")
    module_stack.as_root("sh", "-euc", "cd /srv/data; dd if=balades.db.new of=balades.db conv=notrunc status=none")
    try:
        status, body = module_stack.ask_app(path)
    finally:
        module_stack.as_root(
            "sh",
            "-euc",
            "cd /srv/data; dd if=../kept of=balades.db conv=notrunc status=none; rm balades.db.new ../kept",
        )
    module_stack.wait_until_ready(within=contract.recovery.repaired_s)

    assert (status, "damaged" in body) == (503, True)
    assert [leak for leak in contract.site.texts("leaks") if leak in body] == []
    assert module_stack.read_walks() == before


SMALL_DISK = """
services:
  app: {volumes: [{type: volume, source: small, target: /srv/data}]}
  backup: {volumes: [{type: volume, source: small, target: /srv/data}]}
  init: {volumes: [{type: volume, source: small, target: /srv/data}]}
volumes:
  small: {driver_opts: {type: tmpfs, device: tmpfs, o: "size=4m,mode=0700,uid=1001,gid=1001"}}
"""


@pytest.fixture
def small_disk(pytestconfig: pytest.Config, images: dict[str, str], tmp_path: Path) -> Iterator[Stack]:
    """A stack whose database lies on a disk that is soon full."""
    del images
    overlay = tmp_path / "small-disk.yaml"
    overlay.write_text(SMALL_DISK, encoding="utf-8")
    with own_lifetime(pytestconfig, [str(overlay)], start=False) as stack:
        stack.settings["MONSITE_DISK_FLOOR_MB"] = "1"
        stack.up()
        yield stack


@pytest.mark.promise("a full disk is a clear error, and nothing is lost")
def test_full_disk_refuses_writes_and_keeps_what_it_has(small_disk: Stack) -> None:
    """A full disk is told to whoever writes; every walk that was acknowledged is still read, whole."""
    kept: list[dict[str, Any]] = []

    while (answer := write_much(small_disk)).status_code == 201:
        kept.append(answer.json())
    wait_for("health to see the full disk", lambda: '"disk_full"' in small_disk.ask_app("/api/health")[1], 5)

    assert (answer.status_code, answer.json()["error"]) == (507, "disk_full")
    assert len(kept) > 1, "the disk must have taken something first"
    assert small_disk.read_walks() == kept


def write_much(stack: Stack) -> requests.Response:
    """Write a walk with a long description."""
    return stack.client.post("/api/walks", json={**new_walk(), "description": "x" * 20_000}, token=True)
