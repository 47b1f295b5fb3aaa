"""The project's own checks find nothing that does not stand, with its reason, among the deviations."""

import pytest

from fixtures import homes
from fixtures.evidence import door
from fixtures.run import CHECKOUT
from fixtures.stack import LAUNCHER

LINT_S = 300  # the first run installs the tools


@pytest.mark.promise("style, types, Dockerfiles, scripts and configuration are clean")
def test_every_linter_is_content() -> None:
    """ruff, mypy --strict, hadolint, shellcheck, trivy and Compose's own check find nothing."""
    done = door.run(str(LAUNCHER), "lint", "--json", within=LINT_S, env=homes.environment(), cwd=CHECKOUT)

    assert (done.code, done.json()) == (0, {"failed": [], "well": True}), done.told()
