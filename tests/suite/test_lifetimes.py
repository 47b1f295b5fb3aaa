"""Stacks end as they should, also when something goes wrong. Proven on a real run of pytest within the run."""

import re
from pathlib import Path

import pytest

from fixtures import homes
from fixtures.engine_facts import PROJECT_LABEL, engine
from fixtures.evidence import Completed, Door
from fixtures.inner import run_pytest, told_of
from fixtures.run import CHECKOUT

pytestmark = pytest.mark.promise("a failed start leaves its logs and nothing else; a shared stack stays as it is")

INNER = '''
"""A suite that treats its stacks badly."""
import pytest
from fixtures.engine_facts import container
from fixtures.stack import own_lifetime

def test_that_is_green(stack):
    """A visitor writes."""
    stack.write_walks(1)

def test_that_changes_the_shared_stack(stack, evidence):
    """A passing test restarts the gate."""
    evidence.saw("restart", "done")
    container(stack.service("gate").container).restart()

@pytest.fixture
def stopped(stack):
    """The gate is stopped before the test's body begins."""
    gate = container(stack.service("gate").container)
    gate.stop(timeout=1)
    yield
    gate.start()

def test_that_looks_at_a_stopped_service(stack, stopped):
    """What the engine says of a stopped service reads well."""
    assert stack.service("gate").facts.privileged is False

def test_whose_stack_cannot_start(request, images):
    """The app of this stack ends at once."""
    with own_lifetime(request.config, ["{overlay}"]):
        pass
'''


@pytest.fixture(scope="module")
def inner_run(tmp_path_factory: pytest.TempPathFactory, images: dict[str, str]) -> tuple[Completed, Path]:
    """Run pytest on the four tests with the project's own plugins; give its end and its report folder."""
    del images
    folder = tmp_path_factory.mktemp("inner")
    overlay = folder / "broken.yaml"
    overlay.write_text("services: {app: {command: ['false']}}\n", encoding="utf-8")
    # a conftest.py as the project's own: plugins named on the command line come before pytest-docker, not after
    (folder / "conftest.py").write_text((CHECKOUT / "conftest.py").read_text(encoding="utf-8"), encoding="utf-8")
    done = run_pytest(folder, INNER.replace("{overlay}", str(overlay)), "-n0", within=240)
    return done, folder / "reports" / "latest"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("test_that_changes_the_shared_stack", "the shared stack changed meanwhile"),
        ("test_that_looks_at_a_stopped_service", "exited, exit code"),
        ("test_whose_stack_cannot_start", "service app is"),
    ],
)
def test_badly_treated_stack_turns_its_test_red(inner_run: tuple[Completed, Path], name: str, complaint: str) -> None:
    """A test that passed on a shared stack that it changed, or that was not alive, is red; so is a failed start."""
    test = told_of(inner_run[1] / "results.json", name)

    assert test["outcome"] in ("broken", "error"), inner_run[0].told()
    assert complaint in test["message"]


def test_red_test_leaves_the_logs_of_its_containers(inner_run: tuple[Completed, Path], evidence: Door) -> None:
    """State and log of each container of both stacks are saved, and stand on the page."""
    logs = sorted((inner_run[1] / "logs").glob("*/*.log"))
    page = evidence.read(inner_run[1] / "engineers.html")

    assert len({path.parent for path in logs}) == 2
    assert sorted(path.stem for path in logs) == sorted(["init", "gate", "app", "backup", "drill"] * 2)
    assert [path for path in logs if f"Container {path.stem} of {path.parent.name}" not in page] == []


def test_green_test_shows_what_its_containers_said(inner_run: tuple[Completed, Path], evidence: Door) -> None:
    """What the app said while a green test ran stands on the page beside what the test saw."""
    page = evidence.read(inner_run[1] / "engineers.html")

    assert told_of(inner_run[1] / "results.json", "test_that_is_green")["outcome"] == "proven", inner_run[0].told()
    assert re.search(r"Container \S+-app-1 of \S+: what it said meanwhile.{0,2000}?/api/walks", page)


def test_nothing_of_a_red_stack_is_left(inner_run: tuple[Completed, Path], evidence: Door) -> None:
    """Neither containers, networks nor folders of the two stacks are left, the failed start's included."""
    names = sorted(path.name for path in (inner_run[1] / "logs").iterdir())
    labels = [f"{PROJECT_LABEL}={name}" for name in names]
    evidence.saw("stacks of the inner run", ", ".join(names))

    assert len(names) == 2
    assert [one for label in labels for one in engine().containers.list(all=True, filters={"label": label})] == []
    assert [one for label in labels for one in engine().networks.list(filters={"label": label})] == []
    assert [name for name in names if (homes.all_homes() / name).exists()] == []
