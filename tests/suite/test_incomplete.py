"""A run that could not look at something is not a pass. Proven on real runs of pytest within the run."""

import sys
from pathlib import Path

import pytest

from fixtures import homes
from fixtures.evidence import Completed, door
from fixtures.run import CHECKOUT, INCOMPLETE

LOOKS = '"""A suite."""\ndef test_looks(evidence):\n    """It looked."""\n    evidence.saw("uname", "Linux")\n'
SKIPS = f'import pytest\n{LOOKS}\ndef test_skips():\n    """It could not."""\n    pytest.skip("no permission")\n'

pytestmark = pytest.mark.control("REP-01")


def inner_run(folder: Path, suite: str) -> Completed:
    """Run pytest with the project's own plugins on a suite of its own."""
    tests = folder / "test_inner.py"
    tests.write_text(suite, encoding="utf-8")
    plugins = [part for name in ("run", "evidence") for part in ("-p", f"fixtures.{name}")]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *plugins, "-c", "pytest.ini", str(tests)]
    reports = {"SUITE_REPORTS": str(folder / "reports"), "PYTHONPATH": str(CHECKOUT)}
    return door.run(*command, within=120, env={**homes.environment(), **reports}, cwd=CHECKOUT)


@pytest.mark.parametrize(("suite", "code"), [(LOOKS, 0), (SKIPS, INCOMPLETE)], ids=["all looked at", "one skipped"])
def test_skipped_test_makes_the_run_incomplete(tmp_path: Path, suite: str, code: int) -> None:
    """A run in which everything was looked at ends with 0; one more test that was skipped makes it incomplete."""
    done = inner_run(tmp_path, suite)

    assert done.code == code, done.told()
