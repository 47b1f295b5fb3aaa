"""/status, for people: how the site and its backups are doing, in words and bars, and nothing of the machine.

The keeper of this file's stack is stopped, so that what it told last is what the test says.
"""

import html
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from fixtures import markup
from fixtures.browser import Browser, Look
from fixtures.contract import Contract
from fixtures.engine_facts import engine
from fixtures.stack import Stack
from fixtures.wait import wait_for

OK = requests.codes.ok
PATH = "/status"
NAMES = {tier: f"balades_20261130_00000{number}" for number, tier in enumerate(("daily", "weekly", "monthly"))}
LOOKS = {
    "a desk by day": Look(1280, dark=False),
    "a desk by night": Look(1280, dark=True),
    "a telephone by day": Look(380, dark=False),
    "a telephone by night": Look(380, dark=True),
}
POLICY = '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'">'
HOSTILE = "/srv/backups <script>alert('secret-7c')</script>"
BAR = re.compile(r'<rect class="bar( late)?" width="([0-9.]+)"')

pytestmark = pytest.mark.promise("visitors see how the site and its backups are doing, and nothing of the machine")


@pytest.fixture
def site(module_stack: Stack) -> Stack:
    """A stack whose keeper says nothing new."""
    keeper = engine().containers.get(module_stack.service("backup").container)
    keeper.reload()
    if keeper.status == "running":
        keeper.stop(timeout=0)
    return module_stack


def ago(**since: float) -> str:
    """A time before now, as the keeper writes it."""
    return (datetime.now(UTC) - timedelta(**since)).isoformat(timespec="seconds")


def told(**changed: Any) -> dict[str, Any]:
    """What a keeper would tell whose daily, weekly and monthly snapshots are a day, a week and a month old."""
    ages = {"daily": {"days": 1}, "weekly": {"weeks": 1}, "monthly": {"days": 30}}
    drill = {"name": NAMES["weekly"], "judged": True, "error": HOSTILE, "duration_s": 3.4, "boot_s": 1.0, "rows": {}}
    return {
        "schema": 1,
        "updated": ago(seconds=20),
        "healthy": True,
        "reasons": [],
        "max_age_hours": 26.0,
        "newest": {"name": NAMES["daily"], "created": ago(days=1), "tier": "daily", "bytes": 1, "rows": 1},
        "newest_of": {tier: {"name": NAMES[tier], "created": ago(**age)} for tier, age in ages.items()},
        "tiers": {"daily": 7, "weekly": 4, "monthly": 11},
        "checked": {NAMES["daily"]: ago(hours=3)},
        "drills": [
            {**drill, "at": ago(days=9), "outcome": "failure"},
            {**drill, "at": ago(hours=50), "outcome": "success", "error": None},
        ],
        "free_bytes": 81_600_000_000,
        **changed,
    }


def page_when(stack: Stack, published: dict[str, Any] | str) -> str:
    """Let the keeper have told this; give the page."""
    text = published if isinstance(published, str) else json.dumps(published)
    stack.as_root("sh", "-c", f"cat > /srv/status/backup.json <<'END'\n{text}\nEND")
    return stack.client.get(PATH).text


def words(page: str) -> str:
    """The page's words, each gap one space."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_newest_snapshots_are_drawn_by_their_age(site: Stack) -> None:
    """Each tier's bar ends where its newest snapshot's age lies between an hour and a year, and says it in words."""
    page = page_when(site, told())

    drawn = BAR.findall(page)[: len(NAMES)]
    said = words(page)
    assert [float(width) for _, width in drawn] == pytest.approx([25, 50, 75], abs=0.2), "1 d, 1 wk, 1 mo on the axis"
    assert [late for late, _ in drawn] == [""] * len(NAMES)
    assert [text for text in ("Daily 24 h old", "Weekly 7 d old", "Monthly 30 d old") if text not in said] == []
    assert "every byte of the newest was last read 3 h ago" in said
    assert [text for text in ("7 stored", "4 stored", "11 stored", "81.6 GB free") if text not in said] == []


def test_late_snapshot_and_empty_tier_are_told(site: Stack) -> None:
    """A daily snapshot of three days is late, a tier without one says so; neither looks well."""
    late = {"daily": {"name": NAMES["daily"], "created": ago(days=3)}}
    said = words(page_when(site, told(newest_of=late)))

    assert "Daily 3 d old late" in said
    assert "Weekly none late" in said


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "Backups Well"),
        ({"healthy": False, "reasons": [HOSTILE]}, "Backups Not well"),
        ({"updated": ago(hours=2)}, "Backups Silent"),
        ({}, "Drill Passed"),
        ({"drills": []}, "Drill None yet"),
        ({"drills": [{"at": ago(hours=1), "outcome": "failure", "error": HOSTILE}]}, "Drill Failed"),
    ],
)
def test_page_tells_well_from_ill(site: Stack, changed: dict[str, Any], expected: str) -> None:
    """Backups and drills are called by their state, as it was told."""
    assert expected in words(page_when(site, told(**changed)))


@pytest.mark.parametrize(
    "published",
    ["", "{", "[]", '{"newest": null}', json.dumps({**told(), "updated": "yesterday"}), json.dumps(told(newest=5))],
    ids=["empty", "cut short", "another kind", "without a time", "no time", "no snapshot"],
)
def test_unreadable_state_is_told_as_unknown(site: Stack, published: str) -> None:
    """Where the state of the backups cannot be read the page says that, shows no age and calls nothing of it well."""
    page = page_when(site, published)

    said = words(page)
    assert [text for text in ("Backups Unknown", "Drill Unknown", "cannot be read") if text not in said] == []
    assert (said.count("Well"), len(BAR.findall(page))) == (1, 1), "the site itself, and the space on its disk"


def test_sick_site_is_told(site: Stack, contract: Contract) -> None:
    """While the database cannot be used the page and its sheet are served at once, and say so in words for visitors."""
    page_when(site, told())
    site.as_root("chown", "-R", "0:0", "/srv/data")
    wait_for("the sick site to say so", lambda: site.ask_app("/api/health")[0] != OK, contract.recovery.repaired_s)
    answer = site.client.get(PATH)
    sheet = site.client.get("/static/site.css")
    site.as_root("chown", "-R", "1001:1001", "/srv/data")
    site.wait_until_ready(within=contract.recovery.repaired_s)

    assert (answer.status_code, sheet.status_code) == (OK, OK)
    assert "Site Not well The database cannot be" in words(answer.text)


def test_page_tells_nothing_of_the_machine(site: Stack, contract: Contract) -> None:
    """No path, no name of a snapshot, no error's own words and no token stand in the page, whatever the keeper told."""
    page = page_when(site, told(healthy=False, reasons=[HOSTILE], warnings=[HOSTILE], last_run={"error": HOSTILE}))

    kept = [*contract.site.texts("leaks"), *NAMES.values(), "secret-7c", "<script", str(site.root), site.name]
    assert [word for word in kept if word in page] == []
    assert [name for name in contract.services["app"].secrets if site.token(name) in page] == []


def test_every_page_leads_to_it(site: Stack) -> None:
    """The list, a missing page and the page itself link to /status."""
    pages = {path: site.client.get(path).text for path in ("/", "/missing", PATH)}

    assert [path for path, text in pages.items() if PATH not in markup.parse(text).values("a", "href")] == []


@pytest.mark.parametrize("published", [told(), told(healthy=False, newest_of={}), ""], ids=["well", "ill", "unknown"])
def test_page_meets_wcag(site: Stack, browser: Browser, contract: Contract, published: dict[str, Any] | str) -> None:
    """axe finds no violation of WCAG 2.1 A or AA by day or night, and nothing is cut off on a telephone."""
    page = alone(site, page_when(site, published))

    judged = browser.judge(page, LOOKS)

    assert {look: one.violations for look, one in judged.items()} == dict.fromkeys(LOOKS, ())
    assert {look: one.wider for look, one in judged.items()} == dict.fromkeys(LOOKS, 0)
    assert min(one.smallest for one in judged.values()) >= contract.report.number("readable_px")
    assert min(one.passes for one in judged.values()) > len(LOOKS)


def alone(stack: Stack, page: str) -> str:
    """The page with its sheet inside, as the browser of the suite judges pages."""
    sheet = stack.client.get("/static/site.css").text.replace("@media (prefers", "@media screen and (prefers")
    linked = re.sub(r'<link rel="stylesheet"[^>]*>', lambda _: f"<style>{sheet}</style>", page)
    assert linked != page, "the page has no sheet"
    return linked.replace("<head>", f"<head>{POLICY}", 1)
