"""The shell that stays open answers as a command of its own would, keeps nothing from one to the next, and leaves."""

from collections.abc import Iterator
from typing import Any

import pytest
from docker.models.containers import Container

from fixtures.backend import execute, leave
from fixtures.evidence import Door, run_quietly
from fixtures.false_green import sleeper
from fixtures.homes import ROOT_LABEL, TOOL_LABEL, new_home
from fixtures.session import NoShell, Overdue
from fixtures.wait import rest, wait_for

pytestmark = pytest.mark.promise("a look through the open shell answers as a command of its own would")

OWN = ["docker-init", "sleep"]
COMMANDS = {
    "code and both streams": ["sh", "-c", "echo out; echo err >&2; exit 7"],
    "no newline at the end": ["printf", "out"],
    "nothing": ["true"],
    "words for a shell": ["printf", "%s|", "a b", "'", '"', "$HOME", "`id`", "\\n", "*", ";", "#", "\n", "é", ""],
    "bytes that are no text": ["printf", r"\000\377\n\001"],
    "3 MB on each stream": ["sh", "-c", "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2"],
    "killed": ["sh", "-c", "kill -9 $$"],
    "a question on its input": ["cat"],
    "where it stands": ["pwd"],
}


@pytest.fixture
def container(images: dict[str, str]) -> Iterator[Container]:
    """A container in which anything may be done."""
    home = new_home()
    begun = sleeper(images["backup"], {ROOT_LABEL: str(home.root), TOOL_LABEL: home.name})
    yield begun
    begun.remove(force=True)
    home.leave()


def processes(container: Container) -> list[str]:
    """Name what runs in it, as the engine sees it."""
    told: Any = container.top(ps_args="-eo pid,comm")
    return sorted(row[1] for row in told["Processes"])


@pytest.mark.parametrize("what", COMMANDS)
def test_answer_is_that_of_a_command_of_its_own(container: Container, what: str) -> None:
    """Exit code, stdout and stderr are the same, to the byte, as those of `docker exec`."""
    own = run_quietly(["docker", "exec", str(container.name), *COMMANDS[what]], within=60)

    done = execute(str(container.name), COMMANDS[what], within=60)

    assert (done.code, done.stdout, done.stderr) == (own.code, own.stdout, own.stderr)


def test_shell_stays_open(container: Container) -> None:
    """Two commands have the same parent, which runs as the user that was named."""
    parent = ["sh", "-c", "echo $PPID; id -u"]
    name = str(container.name)

    assert execute(name, parent).stdout == execute(name, parent).stdout
    assert execute(name, parent, user="1001:1001").stdout.splitlines()[1] == "1001"


def test_no_command_changes_the_next(container: Container) -> None:
    """Neither folder, variable, umask nor a word that comes late is handed on to the next command."""
    line = "pwd; echo ${left:-unset}; umask"
    before = execute(str(container.name), ["sh", "-c", line]).stdout
    execute(
        str(container.name), ["sh", "-c", f"cd /tmp; left=1; umask 0; (sleep 0.2; echo late; echo late >&2) & {line}"]
    )
    alone = sorted([*OWN, "sh"])
    wait_for("the end of what was left running", lambda: processes(container) == alone, 10)
    rest(0.5, "its words come between two commands")

    after = execute(str(container.name), ["sh", "-c", line])

    assert (after.stdout, after.stderr) == (before, "")


def test_overdue_command_does_not_go_on(container: Container, evidence: Door) -> None:
    """A command that did not end in time is ended with all that it started."""
    with pytest.raises(Overdue) as late:
        execute(str(container.name), ["sh", "-c", "cat /dev/zero > /dev/null & cat /dev/zero > /dev/null"], within=1)
    evidence.saw("cat /dev/zero", str(late.value), subject=str(container.name))

    wait_for("its end", lambda: processes(container) == OWN, 10, story=lambda: str(processes(container)))


def test_shells_leave_before_processes_are_counted(container: Container, evidence: Door) -> None:
    """Once told to leave, no shell of the suite is among the container's processes."""
    for user in ("", "1001:1001"):
        execute(str(container.name), ["true"], user=user)
    there = processes(container)
    leave(str(container.name))

    assert there == sorted([*OWN, "sh", "sh"])
    assert evidence.saw("processes", str(processes(container)), subject=str(container.name)) == str(OWN)


def test_new_life_of_a_container_gets_a_new_shell(container: Container) -> None:
    """A container that was restarted between two looks is looked into again."""
    execute(str(container.name), ["touch", "/kept"])
    container.restart(timeout=0)

    assert execute(str(container.name), ["test", "-e", "/kept"]).code == 0


def test_container_without_a_shell_says_so(container: Container, evidence: Door) -> None:
    """Where no shell can be run, the look raises and names the ways that need none."""
    execute(str(container.name), ["rm", "/usr/bin/sh"])
    leave(str(container.name))

    with pytest.raises(NoShell) as none:
        execute(str(container.name), ["true"])

    assert "fixtures/image_files.py" in evidence.saw("a look", str(none.value), subject=str(container.name))
