"""A run that could not look at something is not a pass. Proven on real runs of pytest within the run."""

from pathlib import Path

import pytest

from fixtures.evidence import door
from fixtures.inner import PLUGINS, run_pytest
from fixtures.run import INCOMPLETE

LOOKS = '"""A suite."""\ndef test_looks(evidence):\n    """It looked."""\n    evidence.saw("uname", "Linux")\n'
SKIPS = f'import pytest\n{LOOKS}\ndef test_skips():\n    """It could not."""\n    pytest.skip("no permission")\n'

pytestmark = pytest.mark.control("REP-01")


@pytest.mark.parametrize(("suite", "code"), [(LOOKS, 0), (SKIPS, INCOMPLETE)], ids=["all looked at", "one skipped"])
def test_skipped_test_makes_the_run_incomplete(tmp_path: Path, suite: str, code: int) -> None:
    """A run in which everything was looked at ends with 0; one more test that was skipped makes it incomplete."""
    done = door.record(run_pytest(tmp_path, suite, *PLUGINS, within=120))

    assert done.code == code, done.told()
