"""A report is rendered by whoever owns its folder: root is asked for nothing."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.evidence import Door
from fixtures.made_run import made_run
from fixtures.report import bundle, manifest
from fixtures.run import CHECKOUT

pytestmark = pytest.mark.promise("a report is made whole or not at all, and each trouble is told with its next step")

NOBODY = 65534
PYTHON = "/usr/bin/python3"  # the one of this environment may lie where nobody else may look
NEEDED = """
import sys, sysconfig
from pathlib import Path
import fixtures.report.__main__, fixtures.report.bundle
purelib = Path(sysconfig.get_path("purelib"))
files = [Path(one.__file__) for one in list(sys.modules.values()) if getattr(one, "__file__", None)]
print(*sorted({one.relative_to(purelib).parts[0] for one in files if one.is_relative_to(purelib)}))
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may look into."""
    with tempfile.TemporaryDirectory(prefix="monsite-report-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def borrowed(place: Path) -> Path:
    """Copy what renders a report to where everybody may read it."""
    folder = place / "suite"
    shutil.copytree(CHECKOUT / "fixtures", folder / "fixtures", ignore=shutil.ignore_patterns("__pycache__"))
    told = subprocess.run([sys.executable, "-c", NEEDED], capture_output=True, text=True, check=True, cwd=CHECKOUT)
    for name in told.stdout.split():
        package = Path(sysconfig.get_path("purelib")) / name
        (shutil.copytree if package.is_dir() else shutil.copy2)(package, folder / name)
    return folder


def test_folder_of_a_user_is_rendered_by_that_user(place: Path, evidence: Door) -> None:
    """Without root, also where root left evidence that cannot be linked, the bundle is whole, and the user's own."""
    reports = place / "reports"
    run = made_run(reports)
    who: list[str] = []
    if os.geteuid() == 0:
        who = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--bounding-set=-all"]
        for path in (reports, run, *run.iterdir()):
            os.chown(path, NOBODY, NOBODY)  # what lies in evidence/ stays root's

    done = evidence.run(
        *who, PYTHON, "-m", "fixtures.report", "--reports", str(reports), "render", "--run", run.name,
        cwd=borrowed(place), env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip

    files, strange = manifest.everything(run)
    assert done.code == 0, done.told()
    assert [bundle.PAGE in files, bundle.INDEX in {path.name for path in reports.iterdir()}] == [True, True]
    assert strange == []
    assert {(run / name).stat().st_uid for name in files} == {NOBODY if who else os.geteuid()}
    assert [path.name for path in reports.iterdir() if path.name.startswith(".")] == []
