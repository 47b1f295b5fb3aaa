"""A virtual environment that is a link is told, not followed."""

from pathlib import Path

import pytest

from fixtures.evidence import Door
from fixtures.launches import stuck_launcher

pytestmark = pytest.mark.promise("a virtual environment that is somebody else's is left alone")


def test_linked_environment_is_told(tmp_path: Path, evidence: Door) -> None:
    """Where .venv is a link to another environment, ./stack names it and the next step, and leaves both alone."""
    launcher = stuck_launcher(tmp_path)

    done = evidence.run(str(launcher), "--quiet", "status", "--no-install")

    assert done.code == 1, done.told()
    assert done.stderr == (
        f"error: {tmp_path}/.venv is a link, and what it leads to is not what requirements.lock says\n"
        f"hint: rm {tmp_path}/.venv\n"
    )
    assert (tmp_path / ".venv").is_symlink()
    assert (tmp_path / "other").is_dir()
