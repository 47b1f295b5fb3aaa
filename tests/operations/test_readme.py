"""The README is true: what it tells people to type works as it stands there, in that order."""

import json
import re
import shlex

import pytest
import requests

from fixtures.evidence import door
from fixtures.run import CHECKOUT
from fixtures.stack import Stack

README = CHECKOUT / "README.md"
# stands in for the whole suite, which cannot run itself
TWO_QUICK_CONTROLS = ("--controls", "IMG-06,IMG-08", "-n0", "-p", "no:cacheprovider")

pytestmark = pytest.mark.promise("the README's examples work")


def blocks(language: str) -> list[str]:
    """Return the README's code blocks of one language."""
    found = re.findall(rf"^```{language}\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    door.saw(f"the {language} blocks of README.md", "\n".join(found), subject="README.md")
    return found


def commands() -> list[list[str]]:
    """Return the arguments of every ./stack command in the README, in its order."""
    lines = [line for block in blocks("console") for line in block.splitlines()]
    return [shlex.split(line)[2:] for line in lines if line.startswith("$ ./stack ")]


def test_commands_of_the_readme_succeed_in_their_order(idle_stack: Stack) -> None:
    """Every ./stack command that the README shows exits 0 when typed in the order in which it stands there."""
    typed = commands()
    ended = {}
    for number, argv in enumerate(typed):
        quick = TWO_QUICK_CONTROLS if argv == ["test"] else ()
        ended[number, *argv] = idle_stack.run(*argv, *quick, expect=None).code

    assert len(typed) >= len({"up", "test", "status", "backup", "restore", "down"})
    assert {command: code for command, code in ended.items() if code != 0} == {}


def test_write_example_of_the_readme_creates_a_walk(stack: Stack) -> None:
    """The README's curl example, sent as it stands there with this stack's address and token, creates the walk."""
    (example,) = [block for block in blocks("sh") if block.startswith("curl ")]
    words = shlex.split(example.replace("$(sudo cat var/secrets/write_token)", stack.token()))
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    body = words[words.index("-d") + 1]
    path = words[-1].removeprefix("http://127.0.0.1:3000")

    answer = stack.client.post(path, data=body.encode(), headers=headers)

    assert answer.status_code == requests.codes.created
    assert json.loads(body).items() <= answer.json().items()


def test_list_example_of_the_readme_is_what_the_command_prints(stack: Stack) -> None:
    """The head, the legends and the axis of the README's `backup list` are, word by word, those of the command."""
    (example,) = [block for block in blocks("console") if block.startswith("$ ./stack backup list\n")]
    shown, printed = example.splitlines()[1:], stack.run("backup", "list").stdout
    fixed = [line for line in shown if line and not line.startswith(("balades_", "daily", "weekly", "monthly"))]
    told = {" ".join(line.split()) for line in printed.splitlines()}  # columns are as wide as what stands in them

    assert len(fixed) >= len({"head", "tier", "drill", "axis", "labels", "marks"})
    assert [line for line in fixed if " ".join(line.split()) not in told] == []
