"""The pages in a browser: what they ask for, what they run, how they read on a telephone, in the dark and on paper."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from fixtures.browser import Browser, Look, served, unguarded
from fixtures.contract import Contract
from fixtures.evidence import Door
from fixtures.hostile import HOSTILE
from fixtures.made_run import made_run
from fixtures.report import document, index, page
from fixtures.report.document import Document
from fixtures.report.visible import visible

LOOKS = {
    "a desk by day": Look(1280, dark=False),
    "a desk by night": Look(1280, dark=True),
    "a telephone by day": Look(380, dark=False),
    "1280 pixels at 200 %": Look(640, dark=False),  # what a page has of a window that is enlarged twice
}
PAGES = ("report", "index")


@pytest.fixture
def run(tmp_path: Path) -> Document:
    """A run that has every state."""
    return document.load(made_run(tmp_path))


@pytest.mark.control("REP-05")
@pytest.mark.parametrize("name", PAGES)
def test_page_meets_wcag(name: str, run: Document, browser: Browser, contract: Contract) -> None:
    """axe finds no violation of WCAG 2.1 A or AA by day or night, and nothing is cut off on a telephone or enlarged."""
    judged = browser.judge(_rendered(name, [run, run]), LOOKS)

    assert {look: one.violations for look, one in judged.items()} == dict.fromkeys(LOOKS, ())
    assert {look: one.wider for look, one in judged.items()} == dict.fromkeys(LOOKS, 0)
    assert min(one.smallest for one in judged.values()) >= contract.report.number("readable_px")
    assert min(one.passes for one in judged.values()) > len(PAGES)


@pytest.mark.control("REP-05")
def test_axe_sees_what_is_wrong(run: Document, browser: Browser) -> None:
    """The same look finds a text without contrast, a figure without words, and a page too wide for a telephone."""
    spoiled = _rendered("report", [run]).replace("--soft: #555d50", "--soft: #d0d0c8")
    spoiled = spoiled.replace('role="img" aria-label="', 'role="img" data-was="').replace(
        "min-width: 34rem", "width: 99rem"
    )
    spoiled = spoiled.replace(".scroll { overflow-x: auto; }", "")

    judged = browser.judge(spoiled, {"spoiled": Look(380, dark=False)})["spoiled"]

    assert {"color-contrast", "svg-img-alt"} <= {rule for rule, _, _ in judged.violations}
    assert judged.wider > 0


@pytest.mark.control("REP-05")
@pytest.mark.parametrize("name", PAGES)
def test_page_asks_for_nothing(name: str, tmp_path: Path, browser: Browser) -> None:
    """Without its policy, and with every hostile word in every place, a page loads itself alone and runs nothing."""
    with served({}) as (base, asked_there):
        words = " ".join(word.replace("BASE", base) for word in HOSTILE.values() if len(word) < len(base) * 1000)
        hostile = document.load(made_run(tmp_path, words))
        text = unguarded(_rendered(name, [hostile, hostile]))
        with served({f"/{name}.html": text}) as (home, asked):
            seen = browser.document(f"{home}/{name}.html")
            assert [one for one in asked if one != "/favicon.ico"] == [f"/{name}.html"]
        assert asked_there == []

    assert "<title>owned" not in seen
    assert seen.count("<script") == 0
    assert re.search(r"<title>[^<]*monsite", seen)
    assert visible("\u202e") in seen or name == "index"


@pytest.mark.control("REP-05")
def test_request_would_be_seen(browser: Browser, run: Document) -> None:
    """The same look sees a picture that is asked for, and a script that ran."""
    acting = "<img src='BASE/hit'><script>document.title='owned'</script></body>"
    with served({}) as (base, asked_there):
        text = unguarded(_rendered("report", [run])).replace("</body>", acting.replace("BASE", base))
        with served({"/report.html": text}) as (home, _):
            seen = browser.document(f"{home}/report.html")

    assert asked_there == ["/hit"]
    assert "<title>owned" in seen


@pytest.mark.promise("an auditor finds every answer and all evidence on one page")
def test_all_evidence_is_printed(run: Document, tmp_path: Path, browser: Browser, evidence: Door) -> None:
    """On paper stands every sha256 that the page shows, with its command and its file's name, and every finding."""
    text = page.render(run)
    file = tmp_path / "report.html"
    file.write_text(text, encoding="utf-8")

    paper = browser.printed(file)

    blocks = re.findall(r"<code>([0-9a-f]{64})</code>", text)
    looks = re.findall(
        r"<code>([0-9a-f]{64})</code> · <a class=\"file\" href=\"evidence/", text
    )  # the others are of messages
    counted = {one: blocks.count(one) for one in blocks}
    evidence.saw("count", f"{len(looks)} blocks of evidence, {len(paper)} characters on paper", subject="report.pdf")
    assert len(looks) > len(run.controls)
    assert {one: paper.count(f"sha256{one}") for one in counted} == counted
    assert paper.count("$engineinspectplain") == len(looks)
    files = re.findall(r'class="file" href="(.*?)"', text)
    assert len(files) == len(looks)
    assert {one for one in files if one not in paper} == set()
    assert paper.count("Theenginewastoldsoplain.") == text.count("The engine was told so plain.")


def _rendered(name: str, runs: Sequence[Document]) -> str:
    return (
        page.render(runs[0])
        if name == "report"
        else index.render([index.Found(one.about.id, one, page=True) for one in runs])
    )
