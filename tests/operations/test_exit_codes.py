"""Exit codes: README, help, launcher and keeper give one list, and every code on it is seen in a real run.

9, of a site that does not start on a snapshot, is seen in test_backup_command.py.
"""

import os
import re
import shutil
import signal
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from fixtures.contract import Contract
from fixtures.evidence import Door, run_quietly
from fixtures.launches import at_work, environment, launch, pretend_docker
from fixtures.run import CHECKOUT
from fixtures.services import CONTRACT
from fixtures.snapshots import export, flip_bit, with_pragma
from fixtures.stack import LAUNCHER, Stack
from fixtures.wait import wait_for
from ops.errors import ENDINGS, MEANINGS, Ending

CODES = CONTRACT.exit_codes
ALL = set(asdict(CODES).values())
KEEPERS_ALONE = {CODES.cold_needed}  # the launcher answers it by stopping the app
LAUNCHERS_ALONE = {CODES.interrupted}

pytestmark = pytest.mark.promise("every exit code is documented and true")


# -- one list


def test_readme_has_the_launchers_codes(evidence: Door) -> None:
    """The README's table of exit codes has the launcher's codes with its words, and no other."""
    section = evidence.read(CHECKOUT / "README.md").partition("### Exit codes")[2].partition("\n#")[0]
    rows = {int(code): meaning for code, meaning in re.findall(r"^\| (\d+) \| ([^|]+?) \|", section, re.MULTILINE)}

    assert rows == {code.value: meaning for code, meaning in MEANINGS.items()}
    assert rows.keys() == ALL - KEEPERS_ALONE


def test_help_has_the_launchers_codes(idle_stack: Stack, evidence: Door) -> None:
    """The last lines of every help text name each code with its words."""
    wide = environment(idle_stack, {"COLUMNS": "500", "TERM": "dumb"})
    told = evidence.run(str(LAUNCHER), "backup", "drill", "--help", env=wide, cwd=CHECKOUT).stdout
    words = " ".join(told.partition("Exit codes: ")[2].split())

    assert words.split(" · ") == [f"{code.value} {meaning}" for code, meaning in MEANINGS.items()]


@pytest.mark.parametrize("verb", ["deploy", "rollback"])
def test_deploys_have_a_list_of_their_own(idle_stack: Stack, evidence: Door, verb: str) -> None:
    """Help and README name the codes of deploy and rollback, each with its words; wrong usage ends with theirs."""
    wide = environment(idle_stack, {"COLUMNS": "500", "TERM": "dumb"})
    told = evidence.run(str(LAUNCHER), verb, "--help", env=wide, cwd=CHECKOUT).stdout
    section = evidence.read(CHECKOUT / "README.md").partition("## Deploy")[2].partition("\n## ")[0]
    rows = {int(code): meaning for code, meaning in re.findall(r"^\| (\d+) \| ([^|]+?) \|", section, re.MULTILINE)}
    wrong = evidence.run(str(LAUNCHER), verb, "--no-such-option", env=wide, cwd=CHECKOUT)

    assert " ".join(told.partition("Exit codes: ")[2].split()).split(" · ") == [
        f"{code.value} {meaning}" for code, meaning in ENDINGS.items()
    ]
    assert rows == {code.value: meaning for code, meaning in ENDINGS.items()}
    assert wrong.code == Ending.USAGE


def test_keeper_has_the_launchers_codes(stack: Stack) -> None:
    """The keeper's help names the codes that the launcher passes on, its own code for a cold restore, and no other."""
    told = stack.exec("backup", "python3", "-m", "backup", "--help").stdout
    codes = {int(code) for code in re.findall(r"(?:^|\s{2,})(\d+) [a-z]", told.partition("exit codes:")[2])}

    assert codes == ALL - LAUNCHERS_ALONE


# -- each seen


def test_done_is_0_and_wrong_usage_2(module_stack: Stack) -> None:
    """A verb that did its work ends with 0; something that cannot be meant ends with 2."""
    module_stack.run("backup", "list", expect=CODES.ok)
    module_stack.run("restore", "no-such-thing", expect=CODES.usage)
    done = module_stack.run("backup", "lists", expect=CODES.usage)

    assert "lists" in done.stderr


def test_failed_is_1(module_stack: Stack) -> None:
    """A verb that could not do its work for a reason without a code of its own ends with 1."""
    done = module_stack.run("up", env={"DOCKER_HOST": "unix:///nonexistent/docker.sock"}, expect=CODES.failed)

    assert "does not answer" in done.stderr


def test_unknown_snapshot_is_3(module_stack: Stack) -> None:
    """A name that no snapshot has ends with 3."""
    done = module_stack.run("restore", "balades_19990101_000000", expect=CODES.unknown)

    assert "balades_19990101_000000" in done.stderr


def test_damaged_is_4_and_newer_8(module_stack: Stack, tmp_path: Path) -> None:
    """A damaged file ends with 4, one of a newer site with 8."""
    whole = export(module_stack, module_stack.take_snapshot())
    damaged, newer = tmp_path / "damaged.db.zst", tmp_path / "newer.db"
    damaged.write_bytes(flip_bit(whole.stored))
    newer.write_bytes(with_pragma(whole.raw, "user_version = 999"))

    module_stack.run("restore", str(damaged), expect=CODES.damaged)
    done = module_stack.run("restore", str(newer), expect=CODES.newer)

    assert "999" in done.stderr


def test_missing_database_is_5_and_for_the_keeper_7(module_stack: Stack) -> None:
    """Without a database a snapshot ends with 5, the keeper's hot restore with 7, the launcher's with 0."""
    module_stack.take_snapshot()
    module_stack.lose_database()

    module_stack.run("backup", "now", expect=CODES.unreadable)
    keeper = module_stack.exec("backup", "python3", "-m", "backup", "restore", "latest")
    module_stack.run("restore", "latest", expect=CODES.ok)

    assert (keeper.code, "--cold" in keeper.stderr) == (CODES.cold_needed, True)


@pytest.fixture
def small_backups(idle_stack: Stack, contract: Contract) -> Iterator[Stack]:
    """A stack whose backups lie on a small file system of their own, running."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root")
    folder = idle_stack.root / "backups"
    (idle_stack.root / "state").mkdir()
    folder.mkdir()
    size = f"size={contract.operations['small_disk_mib']}m"
    assert run_quietly(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], within=10).code == CODES.ok
    try:
        idle_stack.settings["MONSITE_DISK_FLOOR_MB"] = "1"
        idle_stack.up()
        yield idle_stack
    finally:
        idle_stack.run("down", expect=None)
        assert run_quietly(["umount", str(folder)], within=10).code == CODES.ok


def test_no_space_is_6(small_backups: Stack) -> None:
    """With the backups' file system full a snapshot ends with 6, and what was stored before is still there."""
    before = small_backups.run("backup", "list", "--json").json()["snapshots"]
    small_backups.as_root("sh", "-c", "dd if=/dev/zero of=/srv/backups/filler bs=4k 2>/dev/null; true")

    done = small_backups.run("backup", "now", expect=CODES.no_space)

    listed = small_backups.run("backup", "list", "--json").json()["snapshots"]
    assert "hint: " in done.stderr
    assert [one["name"] for one in listed] == [one["name"] for one in before] != []


def test_busy_is_75(module_stack: Stack) -> None:
    """While another command has the backups, one that needs them too ends with 75."""
    module_stack.take_snapshot()
    with at_work(module_stack, "verify"):
        done = module_stack.run("backup", "rotate", expect=CODES.busy)

    assert "hint: " in done.stderr


def test_interrupted_is_130(module_stack: Stack, tmp_path: Path) -> None:
    """A verb that Ctrl-C ends has the code that shells give."""
    begun = tmp_path / "begun"
    real = shutil.which("docker")
    script = f'case "$*" in *"-m backup verify"*) touch {begun}; exec sleep 3 ;; *) exec {real} "$@" ;; esac'
    with launch(module_stack, "backup", "verify", env=pretend_docker(tmp_path / "bin", script)) as launched:
        wait_for("the keeper was called", begun.exists, 20)
        launched.signal(signal.SIGINT)
        done = launched.end()

    assert done.code == CODES.interrupted
