"""What tests measure of restores, drills and snapshots stands in the results, with the evidence that it came from."""

from pathlib import Path

import pytest

from fixtures.inner import PLUGINS, results_of, run_pytest

pytestmark = pytest.mark.promise("what was measured of recovery is in the results")

INNER_S = 120
SUITE = '''
"""A suite that measures."""
from datetime import UTC, datetime
import pytest
from fixtures import measured

NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)

@pytest.mark.promise("it is measured")
def test_measures(evidence):
    """It took its time."""
    evidence.saw("clock", "noon")
    measured.restore("app", 6.5, 60.0, 1000)
    measured.drill("stack", {"at": "2026-03-14T11:00:00+00:00", "name": "one", "outcome": "failure", "duration_s": 2.5})
    manifest = {"name": "one", "created": "2026-03-14T11:00:00+00:00", "bytes": 7, "verified": True}
    measured.snapshot("stack", "daily", manifest, NOW)
    measured.newest(datetime(2026, 3, 14, 11, tzinfo=UTC), NOW, 7200.0)

@pytest.mark.promise("it is looked at")
def test_measures_nothing(evidence):
    """Nothing was measured."""
    evidence.saw("clock", "noon")
'''


def test_figures_are_in_the_results(tmp_path: Path) -> None:
    """Each figure is there once, by its kind, with the evidence file of its test; two workers change nothing."""
    done = run_pytest(tmp_path, SUITE, *PLUGINS, "-n2", within=INNER_S)
    assert done.code == 0, done.told()
    found = results_of(tmp_path)
    by_name = {
        test["nodeid"].partition("::")[2]: test["evidence"]
        for one in found["promises"]
        for on in one["subjects"]
        for test in on["tests"]
    }
    file, at = by_name["test_measures"], "2026-03-14T11:00:00+00:00"

    assert found["recovery"] == {
        "restores": [{"subject": "app", "took_s": 6.5, "limit_s": 60.0, "database_bytes": 1000, "evidence": file}],
        "drills": [{"subject": "stack", "at": at, "snapshot": "one", "ok": False, "took_s": 2.5, "evidence": file}],
        "snapshots": [
            {"subject": "stack", "tier": "daily", "age_s": 3600.0, "name": "one", "bytes": 7, "verified": True}
        ],
        "newest_age_s": 3600.0,
        "newest_limit_s": 7200.0,
    }


def test_run_that_measures_nothing_says_so(tmp_path: Path) -> None:
    """A run in which nothing was measured has no figure, and none is made up."""
    suite = "\n".join(line for line in SUITE.splitlines() if "measured." not in line)
    run_pytest(tmp_path, suite, *PLUGINS, "-n0", within=INNER_S)

    figures = results_of(tmp_path)["recovery"]

    assert figures.keys() == {"restores", "drills", "snapshots", "newest_age_s", "newest_limit_s"}
    assert [name for name, told in figures.items() if told not in ([], None)] == []
