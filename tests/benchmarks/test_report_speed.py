"""What a page of very many results costs, beside pytest-html with as many."""

import statistics
import sys
from pathlib import Path

import pytest

from fixtures.browser import Browser
from fixtures.contract import Contract
from fixtures.evidence import Door, run_quietly
from fixtures.made_run import made_many
from fixtures.report import document, page
from fixtures.run import publish
from fixtures.wait import clock

pytestmark = pytest.mark.benchmark

ROUNDS = 3
EMPTY = "<!DOCTYPE html><title>empty</title>"
OTHERS_WITHIN_S = 600
OTHERS_CONFTEST = """
import pytest
from pytest_html import extras

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call":
        report.extras = [extras.text("x" * {chars})]
"""
OTHERS_TEST = """
import pytest

@pytest.mark.parametrize("number", range({many}))
def test_it(number):
    pass
"""


@pytest.mark.promise("a page of a real run is light and soon there")
def test_page_of_very_many_results_is_light(
    tmp_path: Path, browser: Browser, contract: Contract, evidence: Door, pytestconfig: pytest.Config
) -> None:
    """Thousands of results with their evidence are rendered, loaded and shown in seconds."""
    promised = contract.report
    many, chars = promised.whole("many"), promised.whole("many_chars")
    folder = made_many(tmp_path, many, chars)
    ours = tmp_path / "report.html"
    rendered = [_rendered(folder, ours) for _ in range(ROUNDS)]
    theirs, took = _theirs(tmp_path / "theirs", many, chars)
    load_s = _loads(browser, ours)
    figures = {
        "results": many,
        "evidence_chars": chars,
        "render_s": rendered,
        "bytes": ours.stat().st_size,
        "load_s": load_s,
        "pytest_html": {"render_s": took, "bytes": theirs.stat().st_size, "load_s": _loads(browser, theirs)},
    }
    evidence.saw("benchmark report", publish(pytestconfig, "report", figures), subject="report.html")

    assert statistics.median(rendered) <= promised.number("many_render_s")
    assert ours.stat().st_size <= promised.whole("many_bytes")
    assert load_s <= promised.number("many_load_s")


def _rendered(folder: Path, target: Path) -> float:
    begun = clock()
    target.write_text(page.render(document.load(folder)), encoding="utf-8")
    return round(clock() - begun, 2)


def _loads(browser: Browser, file: Path) -> float:
    """How much longer a browser takes for it than for an empty page, in the median."""
    empty = file.with_name("empty.html")
    empty.write_text(EMPTY, encoding="utf-8")
    took: dict[Path, list[float]] = {empty: [], file: []}
    for _ in range(ROUNDS):
        for one, times in took.items():
            times.append(browser.loaded(one))
    return round(statistics.median(took[file]) - statistics.median(took[empty]), 2)


def _theirs(folder: Path, many: int, chars: int) -> tuple[Path, float]:
    """Let pytest-html write a page of as much; give it, and what it added to the time of the tests themselves."""
    folder.mkdir()
    (folder / "conftest.py").write_text(OTHERS_CONFTEST.format(chars=chars), encoding="utf-8")
    (folder / "test_many.py").write_text(OTHERS_TEST.format(many=many), encoding="utf-8")
    target = folder / "theirs.html"
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)]
    took = []
    for more in ([], [f"--html={target}", "--self-contained-html"]):
        begun = clock()
        done = run_quietly([*argv, *more], within=OTHERS_WITHIN_S, cwd=folder)
        assert done.code == 0, done.told()
        took.append(clock() - begun)
    return target, round(took[1] - took[0], 2)
