"""Reading is for everybody: the list finds what is there, and a page shows a walk whole."""

import re
import secrets
from typing import Any

import pytest

from fixtures.contract import Contract
from fixtures.stack import Stack
from fixtures.walks import new_walk

pytestmark = pytest.mark.promise("people and programs read every walk, and find it by what it is")


def written(stack: Stack, **fields: Any) -> dict[str, Any]:
    """Write one walk that has these fields."""
    answer = stack.client.post("/api/walks", json={**new_walk(), **fields}, token=True)
    assert answer.status_code == 201, answer.text
    walk: dict[str, Any] = answer.json()
    return walk


def found(stack: Stack, **filters: Any) -> list[int]:
    """Give the ids that the list shows on its first page."""
    answer = stack.client.get("/api/walks", params=filters)
    assert answer.status_code == 200, answer.text
    return [walk["id"] for walk in answer.json()["items"]]


@pytest.fixture
def region() -> str:
    """A region that no other test writes to."""
    return f"Massif {secrets.token_hex(4)}"


FILTERS = [
    # one at a time
    ({"difficulty": "easy"}, ["short"]),
    ({"max_km": 10}, ["short", "middle"]),
    # together they narrow
    ({"difficulty": "hard", "max_km": 10}, []),
    # a search ignores case and accents, and wants every word
    ({"q": "NEOUVIELLE"}, ["middle"]),
    ({"q": "lac néouvielle"}, ["middle"]),
    ({"q": "lac bourgogne"}, []),
    # what means something to SQL means nothing here
    ({"q": "%"}, ["long"]),
    ({"q": "_"}, []),
    ({"q": "' OR '1'='1"}, []),
    # a form sends what was left empty
    ({"q": "", "difficulty": "", "max_km": ""}, ["short", "middle", "long"]),
]


@pytest.mark.parametrize(("filters", "expected"), FILTERS, ids=[str(filters) for filters, _ in FILTERS])
def test_filters_show_what_they_name(stack: Stack, region: str, filters: dict[str, Any], expected: list[str]) -> None:
    """The list shows the walks that fit every filter, newest first, and no others."""
    plain = {"region": region, "summary": "", "description": ""}
    walks = {
        "short": written(stack, **plain, title="Along the canal de Bourgogne", difficulty="easy", distance_km=4),
        "middle": written(stack, **plain, title="Lacs du Néouvielle", difficulty="moderate", distance_km=10),
        "long": written(stack, **plain, title="Ridge, 100% uphill", difficulty="hard", distance_km=22.5),
    }

    ids = found(stack, region=region, **filters)

    assert ids == [walks[name]["id"] for name in reversed(expected)]


def test_pages_show_each_walk_once(stack: Stack, contract: Contract, region: str) -> None:
    """Page after page shows every walk exactly once, newest first."""
    size = contract.site.whole("page_size")
    ids = [written(stack, region=region)["id"] for _ in range(size + 1)]

    first, second, beyond = (found(stack, region=region, page=page) for page in (1, 2, 3))

    assert (len(first), beyond) == (size, [])
    assert first + second == sorted(ids, reverse=True)


BAD_FILTERS = [
    ({"page": "0"}, "page"),
    ({"page": "one"}, "page"),
    ({"difficulty": "lethal"}, "difficulty"),
    ({"max_km": "nan"}, "max_km"),
    ({"max_km": "-1"}, "max_km"),
    ({"q": "x" * 101}, "q"),
]


@pytest.mark.parametrize(("filters", "named"), BAD_FILTERS, ids=[str(filters)[:30] for filters, _ in BAD_FILTERS])
def test_senseless_filter_is_named(stack: Stack, filters: dict[str, str], named: str) -> None:
    """A filter that makes no sense is refused by its name, to programs and to people."""
    program = stack.client.get("/api/walks", params=filters)
    person = stack.client.get("/", params=filters)

    assert (program.status_code, program.json()["error"]) == (422, "invalid_request")
    assert program.json()["message"].startswith(f"{named}: ")
    assert (person.status_code, f"{named}: " in person.text) == (422, True)


def test_page_shows_a_walk_whole(stack: Stack) -> None:
    """The page of a walk shows its title, region, summary, description and measures."""
    walk = written(
        stack,
        title="Sources of the Loue",
        region="Doubs",
        summary="Out of the rock.",
        description="First line\nsecond line\n\nNext paragraph",
        distance_km=10.5,
        duration_min=195,
        ascent_m=310,
        walked_on="2026-05-17",
    )

    text = stack.client.get(f"/walks/{walk['id']}").text

    shown = ["Sources of the Loue", "Doubs", "Out of the rock.", "First line<br>second line", "<p>Next paragraph</p>"]
    assert [part for part in [*shown, "10.5\u202fkm", "3\u202fh\u202f15", "17 May 2026"] if part not in text] == []


ABSENT = ["0", "-1", "x", "1.5", "9" * 30, "9" * 5000, "%00", "1%2f..%2f2"]


@pytest.mark.parametrize("name", ABSENT, ids=[name[:12] for name in ABSENT])
@pytest.mark.parametrize("where", ["/walks/", "/api/walks/"])
def test_walk_that_cannot_be_is_not_found(stack: Stack, where: str, name: str) -> None:
    """An id that no walk has, or could have, is answered with 404."""
    assert stack.client.get(where + name).status_code == 404


@pytest.mark.parametrize("path", ["/", "/api", "/status", "/walks/0"])
def test_pages_load_nothing_from_elsewhere(stack: Stack, path: str) -> None:
    """A page names no address outside the site, and holds no script and no style of its own."""
    text = stack.client.get(path).text

    assert re.findall(r"""(?:src|href|action)=["'](?!/|#)[^"']*""", text) == []
    assert [tag for tag in ("<script", "<style", " style=", " onclick=") if tag in text] == []


@pytest.mark.parametrize("path", ["/", "/api/walks", "/api/live"])
def test_head_is_get_without_a_body(stack: Stack, path: str) -> None:
    """HEAD is answered like GET, without the body."""
    head, get = stack.client.head(path), stack.client.get(path)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Type"] == get.headers["Content-Type"]


def test_openapi_tells_which_calls_need_the_token(stack: Stack) -> None:
    """The OpenAPI description lists every call of the API, and the token for exactly those that write."""
    paths = stack.client.get("/api/openapi.json").json()["paths"]

    calls = {(method, path): "security" in call for path, calls in paths.items() for method, call in calls.items()}
    assert {method for (method, _), needs in calls.items() if needs} == {"post", "put", "delete"}
    assert {method for (method, _), needs in calls.items() if not needs} == {"get"}
    assert {"/api/walks", "/api/walks/{walk_id}", "/api/health", "/api/ready", "/api/live"} <= set(paths)
