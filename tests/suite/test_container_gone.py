"""A look into a container that is not there is an error, never an answer.

`docker exec` ends with 1 in each of these cases, on which every check of the kind "is not there" would pass.
"""

from collections.abc import Iterator

import pytest
from docker.models.containers import Container

from fixtures.backend import ContainerBackend, execute
from fixtures.engine_facts import ContainerGone, engine
from fixtures.evidence import Door
from fixtures.session import Overdue
from fixtures.stack import Stack
from fixtures.wait import wait_for

pytestmark = pytest.mark.promise("a check that could not look is never green")


@pytest.fixture
def sleeper(stack: Stack) -> Iterator[Container]:
    """A container that does nothing, to be stopped and paused."""
    helper = engine().containers.run(
        stack.tool_image(),
        ["sleep", "600"],
        entrypoint="",
        init=True,
        network_mode="none",
        healthcheck={"test": ["NONE"]},  # a probe that begins while the container is paused would hang the engine
        labels=stack.tool_labels(),
        detach=True,
    )
    # until init has its child, the kernel drops the SIGTERM of a stop: nothing handles it in PID 1 yet
    wait_for("the container to sleep", lambda: _sleeps(helper), 10)
    yield helper
    helper.remove(force=True)


def refusal(container: str, line: str, evidence: Door) -> str:
    """Look into a container; give the words of the error that must come."""
    with pytest.raises(ContainerGone) as gone:
        ContainerBackend(container).run(line)
    return evidence.saw(f"{container}: {line}", str(gone.value), subject=container)


def test_look_into_a_living_container_answers(sleeper: Container) -> None:
    """The control: in a running container the same look answers that the file is not there."""
    assert ContainerBackend(str(sleeper.name)).run("test -e /nothing-here").rc == 1


def test_missing_container_is_gone(evidence: Door) -> None:
    """A look into a container that was never there raises."""
    assert "no such container" in refusal("monsite-tnever-app-1", "test -e /x", evidence)


def test_stopped_container_is_gone(sleeper: Container, evidence: Door) -> None:
    """A look into a stopped container raises, with its exit code."""
    sleeper.stop(timeout=20)

    assert "exited, exit code 143" in refusal(str(sleeper.name), "test -e /x", evidence)


def test_paused_container_is_gone(sleeper: Container, evidence: Door) -> None:
    """A look into a paused container raises at once, and does not hang."""
    sleeper.pause()

    assert "paused" in refusal(str(sleeper.name), "test -e /x", evidence)


def test_container_that_dies_under_the_look_is_gone(sleeper: Container, evidence: Door) -> None:
    """A look during which the container dies raises, whatever the command printed before."""
    assert str(sleeper.name) in refusal(str(sleeper.name), "echo here; kill -9 -1; sleep 1", evidence)
    wait_for("the container to be down", lambda: not _running(sleeper), 10)


def test_look_has_a_deadline(sleeper: Container, evidence: Door) -> None:
    """A command that does not end is an error with its own name."""
    with pytest.raises(Overdue) as late:
        execute(str(sleeper.name), ["sleep", "60"], within=1)

    assert "did not end within 1 s" in evidence.saw("sleep 60", str(late.value), subject=str(sleeper.name))


def _sleeps(helper: Container) -> bool:
    return ["sleep", "600"] in [str(row[-1]).split() for row in helper.top()["Processes"]]


def _running(helper: Container) -> bool:
    helper.reload()
    return bool(helper.status == "running")
