"""Writing needs the token, keeps every text as it came, and refuses what makes no sense without a trace."""

import html
import json
import secrets
from typing import Any

import pytest

from fixtures.contract import Contract
from fixtures.stack import Stack
from fixtures.walks import new_walk

TEXT_FIELDS = ["title", "summary", "description", "region"]
HOSTILE = [
    "'; DROP TABLE walks; --",
    "Robert'); DELETE FROM walks WHERE ('1'='1",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}{% raw %}",
    "%s %n \\0 ${HOME} `id`",
    "<!-- </main></html> -->",
]


@pytest.fixture
def walk(stack: Stack) -> dict[str, Any]:
    """A walk of the test's own."""
    return stack.write_walk()


def everything(stack: Stack) -> list[dict[str, Any]]:
    """Give what a reader sees at the top of the list, and how much there is."""
    answer = stack.client.get("/api/walks", params={"per_page": 100})
    assert answer.status_code == 200
    return [*answer.json()["items"], {"total": answer.json()["total"]}]


NO_ENTRY = [
    pytest.param(None, id="none"),
    pytest.param("Bearer", id="no token"),
    pytest.param("Bearer ", id="empty token"),
    pytest.param("Bearer wrong", id="wrong token"),
    pytest.param("Basic d3JpdGVyOnRva2Vu", id="another scheme"),
    pytest.param("Bearer null", id="null"),
]


@pytest.mark.promise("writing needs the write token")
@pytest.mark.parametrize("entry", NO_ENTRY)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/walks"),
        ("PUT", "/api/walks/{id}"),
        ("DELETE", "/api/walks/{id}"),
        ("POST", "/api/walks/{id}/images"),
        ("POST", "/api/walks/{id}/documents"),
        ("DELETE", "/api/walks/{id}/attachments/1"),
    ],
)
def test_without_the_token_nothing_is_written(
    stack: Stack, walk: dict[str, Any], method: str, path: str, entry: str | None
) -> None:
    """Every call that writes refuses whoever has no valid token, says how to bring one, and changes nothing."""
    before = everything(stack)
    headers = {"Authorization": entry} if entry else {}

    answer = stack.client.call(method, path.format(**walk), headers=headers, json=new_walk())

    assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert everything(stack) == before


@pytest.mark.promise("a walk can be created, read, changed and removed")
def test_a_walk_goes_through_its_life(stack: Stack) -> None:
    """What is sent is what is read, a change replaces it, and what is removed is gone."""
    sent, changed = new_walk(), new_walk()

    created = stack.client.post("/api/walks", json=sent, token=True)
    address = created.headers["Location"]
    read = stack.client.get(address).json()
    updated = stack.client.put(address, json=changed, token=True)
    read_again = stack.client.get(address).json()
    removed = stack.client.delete(address, token=True)
    gone = stack.client.get(address)

    assert (created.status_code, updated.status_code, removed.status_code) == (201, 200, 204)
    assert read == created.json()
    assert {name: read[name] for name in sent} == sent
    assert read_again == updated.json()
    assert {name: read_again[name] for name in changed} == changed
    assert (read_again["id"], read_again["created"]) == (read["id"], read["created"])
    assert gone.status_code == 404


@pytest.mark.promise("SQL and HTML in every field are stored and shown as text")
@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("field", TEXT_FIELDS)
def test_hostile_text_stays_text(stack: Stack, walk: dict[str, Any], field: str, text: str) -> None:
    """A text that is code elsewhere is stored as it came and shown escaped, and the other walks stay."""
    sent = {**new_walk(), field: text}

    created = stack.client.post("/api/walks", json=sent, token=True).json()
    stored = stack.client.get(f"/api/walks/{created['id']}").json()
    listed = stack.client.get("/", params={"q": text}).text
    shown = stack.client.get(f"/walks/{created['id']}").text

    assert stored[field] == text
    assert escaped(text) in plain(shown)
    assert [page for page in (listed, shown) if "<script" in page or "<img src=x" in page] == []
    assert stack.client.get(f"/api/walks/{walk['id']}").json() == walk


def escaped(text: str) -> str:
    """Give the text as it must stand in a page."""
    return plain(html.escape(text))


def plain(page: str) -> str:
    """Give the page with one spelling for each escaped quote."""
    return page.replace("&#x27;", "&#39;").replace("&quot;", "&#34;")


INVALID: list[tuple[str, Any]] = [
    # too short, too long, nothing but spaces
    ("title", ""),
    ("title", "   "),
    ("title", "x" * 121),
    ("summary", "x" * 501),
    ("description", "x" * 20_001),
    ("region", "x" * 81),
    # signs that steer a terminal, a line or a reader's eye
    ("title", "two\nlines"),
    ("title", "nul\0byte"),
    ("summary", "escape\x1b[31m"),
    ("region", "turned\u202earound"),
    # not in the list, out of range, not a number, not quite a number
    ("difficulty", "lethal"),
    ("difficulty", 1),
    ("distance_km", 0),
    ("distance_km", 500.1),
    ("distance_km", "12"),
    ("duration_min", 0),
    ("duration_min", 1.5),
    ("ascent_m", -1),
    ("ascent_m", True),
    ("ascent_m", 10**30),
    ("walked_on", "2026-02-30"),
    ("walked_on", "yesterday"),
    # another type altogether, or a field nobody knows
    ("title", None),
    ("title", ["a"]),
    ("id", 1),
]


@pytest.mark.promise("invalid input is refused with a clear message")
@pytest.mark.parametrize(("field", "value"), INVALID, ids=[f"{name}={value!r}"[:40] for name, value in INVALID])
def test_invalid_field_is_named(stack: Stack, walk: dict[str, Any], field: str, value: Any) -> None:
    """A value that does not fit is refused by the name of its field, for a new walk and for a change."""
    before = everything(stack)
    body = {**new_walk(), field: value}

    created = stack.client.post("/api/walks", json=body, token=True)
    changed = stack.client.put(f"/api/walks/{walk['id']}", json=body, token=True)

    assert [(one.status_code, one.json()["error"]) for one in (created, changed)] == [(422, "invalid_request")] * 2
    assert created.json()["message"].startswith(f"{field}: ")
    assert everything(stack) == before


@pytest.mark.promise("invalid input is refused with a clear message")
@pytest.mark.parametrize("missing", ["title", "region", "difficulty", "distance_km", "duration_min", "ascent_m"])
def test_missing_field_is_named(stack: Stack, missing: str) -> None:
    """A walk without one of its required fields is refused by the name of that field."""
    body = {name: value for name, value in new_walk().items() if name != missing}

    answer = stack.client.post("/api/walks", json=body, token=True)

    assert (answer.status_code, answer.json()["message"]) == (422, f"{missing}: Field required")


NO_JSON = [
    pytest.param(b"", id="nothing"),
    pytest.param(b"{", id="cut off"),
    pytest.param(b"title=x", id="a form"),
    pytest.param(b"\xff\xfe\x00", id="bytes"),
    pytest.param(b"[" * 50_000, id="deep"),
    pytest.param(b'{"title": "\\ud800"}', id="half a sign"),
]


@pytest.mark.promise("invalid input is refused with a clear message")
@pytest.mark.parametrize("body", NO_JSON)
def test_what_is_no_json_is_said_to_be_none(stack: Stack, body: bytes) -> None:
    """A body that is not JSON is refused as such, and adds nothing."""
    before = everything(stack)

    answer = stack.client.post("/api/walks", data=body, token=True)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_json")
    assert everything(stack) == before


@pytest.mark.promise("a body is cut off at its limit")
@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "unannounced"])
def test_oversized_walk_is_refused(stack: Stack, contract: Contract, chunked: bool) -> None:
    """A body larger than the limit is refused, whether or not its size was announced."""
    before = everything(stack)
    size = contract.site.whole("json_max_kb") * 1024 + 1
    body = json.dumps({**new_walk(), "description": "x" * size}).encode()
    pieces = (body[at : at + 65536] for at in range(0, len(body), 65536))

    answer = stack.client.post("/api/walks", data=pieces if chunked else body, token=True)

    assert (answer.status_code, answer.json()["error"]) == (413, "too_large")
    assert everything(stack) == before


@pytest.mark.promise("writing needs the write token")
def test_token_appears_nowhere(stack: Stack) -> None:
    """A token that was refused is repeated neither in the answer nor in a header."""
    wrong = secrets.token_hex(16)

    answer = stack.client.post("/api/walks", headers={"Authorization": f"Bearer {wrong}"}, json=new_walk())

    assert answer.status_code == 401
    assert wrong not in answer.text + str(dict(answer.headers))
