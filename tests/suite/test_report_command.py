"""The report's command: whole or not at all, one message for each trouble, codes that are documented."""

import ctypes
import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures import homes
from fixtures.evidence import Completed, Door, run_quietly
from fixtures.made_run import made_run, write
from fixtures.report import __main__ as command
from fixtures.report import bundle, manifest, retention
from fixtures.report.errors import Exit
from fixtures.report.retention import Run
from fixtures.report.verify import verify
from fixtures.run import CHECKOUT
from fixtures.stack import LAUNCHER
from fixtures.wait import clock, rest
from ops import errors as launchers
from ops import testing
from ops.testing import Ended

pytestmark = pytest.mark.promise("a report is made whole or not at all, and each trouble is told with its next step")

KILLS = 6
OLD = "results.json was changed"
CHANGES = {"os.mkdir", "os.rename", "os.link", "os.remove", "shutil.rmtree"}  # as Python's audit hooks call them
NAME = "20260314T150926Z-1"


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """A folder of runs with one run, which is the newest, and no bundle yet."""
    made_run(tmp_path)
    (tmp_path / "latest").symlink_to(NAME)
    return tmp_path


def typed(reports: Path, *argv: str) -> list[str]:
    """The command, on these runs."""
    return [sys.executable, "-m", "fixtures.report", "--reports", str(reports), *argv]


def report(reports: Path, *argv: str) -> Completed:
    """Run it to its end."""
    return run_quietly(typed(reports, *argv), within=120, cwd=CHECKOUT)


def complaint(done: Completed, evidence: Door) -> str:
    """Give what went wrong; it must come with a next step, and without a traceback."""
    evidence.record(done)
    assert done.stderr.startswith("error: "), done.told()
    assert "\nhint: " in done.stderr, done.told()
    assert "Traceback" not in done.stderr, done.told()
    return done.stderr


# -- whole or not at all


def renew(run: Path, **further: object) -> None:
    """Change the results: the bundle that is there no longer fits, and every format of the next one is another."""
    write(run, {**json.loads((run / "results.json").read_text(encoding="utf-8")), **further})


def bundle_of(run: Path) -> str:
    """Say whose bundle is there: that of the results as they are, or the one before; anything else in full."""
    faults = verify(run).faults
    return "; ".join(OLD if one.startswith(OLD) else one for one in faults) or "new"


def killed_before(step: int, run: Path) -> bool:
    """Render in a process that kills itself with -9 before its so-manieth change of a folder; tell whether it did."""
    child = os.fork()
    if child == 0:
        changes = 0

        def count(event: str, args: tuple[object, ...]) -> None:
            nonlocal changes
            if event in CHANGES or (event == "open" and "w" in str(args[1])):
                changes += 1
                if changes == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(count)
            bundle.render(run, bundle.Wish())
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_killed_at_any_step_it_leaves_a_whole_bundle(reports: Path, evidence: Door) -> None:
    """Killed with -9 before any of its changes, rendering leaves the old bundle or the new one, and nothing between."""
    run = reports / NAME
    states: list[str] = []
    shutil.rmtree(run / "evidence")
    renew(run, controls=[], promises=[])
    bundle.render(run, bundle.Wish())
    killed = True
    while killed:
        renew(run, because=[f"number {len(states)}"])
        killed = killed_before(len(states) + 1, run)
        states.append(bundle_of(run))
    bundle.mend(reports)
    evidence.saw(f"{len(states)} renderings", "\n".join(states))

    assert len(states) > len(bundle.MADE), "each file that is made is a change, or this proves nothing"
    assert [one for one in states if one not in ("new", OLD)] == []
    assert states[-1] == "new"
    assert [path.name for path in reports.glob(".*")] == []


def test_killed_at_any_moment_it_leaves_a_whole_bundle(reports: Path, seed: int, evidence: Door) -> None:
    """Killed with -9 at random moments, the command leaves the old bundle or the new one, and the next one works."""
    chance = random.Random(seed)  # noqa: S311  # no secret hangs on it
    begun = clock()
    assert report(reports, "render").code == Exit.OK
    takes = clock() - begun
    states: list[str] = []
    for number in range(KILLS):
        renew(reports / NAME, because=[f"number {number}"])
        with subprocess.Popen(typed(reports, "render"), cwd=CHECKOUT, stdout=subprocess.DEVNULL) as process:
            rest(chance.uniform(0.3, 1.0) * takes, "the moment of the kill")
            process.send_signal(signal.SIGKILL)
        states.append(bundle_of(reports / NAME))
    evidence.saw(f"{KILLS} kills within {takes:.1f} s", "\n".join(states))

    assert [one for one in states if one not in ("new", OLD)] == []
    assert report(reports, "render").code == Exit.OK
    assert verify(reports / NAME).whole
    assert [path.name for path in reports.glob(".*")] == []


def test_exchange_that_was_cut_in_two_is_mended(reports: Path, evidence: Door) -> None:
    """Where folders cannot be exchanged at once and the second rename never came, the next rendering finds the run."""
    (reports / NAME).rename(reports / f".{NAME}.former")

    done = evidence.record(report(reports, "render", "--run", NAME))

    assert done.code == Exit.OK, done.told()
    assert verify(reports / NAME).whole


@pytest.mark.parametrize("code", bundle.CANNOT_EXCHANGE)
def test_file_system_that_cannot_exchange_will_do(
    reports: Path, monkeypatch: pytest.MonkeyPatch, evidence: Door, code: int
) -> None:
    """Where the file system cannot exchange two folders at once, two renames do it."""

    class Libc:
        def renameat2(self, *_: object) -> int:
            return -1

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Libc())
    monkeypatch.setattr(ctypes, "get_errno", lambda: code)

    made = bundle.render(reports / NAME, bundle.Wish())

    evidence.saw("render", f"{made}")
    assert verify(reports / NAME).whole
    assert [path.name for path in reports.glob(".*")] == []


def test_full_disk_leaves_the_old_bundle(
    reports: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], evidence: Door
) -> None:
    """When the disk fills up in the middle, the old bundle stands, nothing is left beside it, and the code says so."""
    assert report(reports, "render").code == Exit.OK
    before = (reports / NAME / bundle.PAGE).stat()

    def full(path: Path, _: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(bundle, "_put", full)
    code = command.main(["--reports", str(reports), "render"])

    evidence.saw("render", capsys.readouterr().err)
    assert code == Exit.NO_SPACE
    assert (reports / NAME / bundle.PAGE).stat().st_ino == before.st_ino
    assert verify(reports / NAME).whole
    assert [path.name for path in reports.glob(".*")] == []


# -- each trouble


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (("render", "--run", "19990101T000000Z-1"), Exit.USAGE, "there is no run 19990101T000000Z-1"),
        (("render", "--since", "yesterday"), Exit.USAGE, "there is no run yesterday"),
        (("render", "--profile", "pci"), Exit.USAGE, "pci"),
        (("render", "--key", "/nonexistent"), Exit.USAGE, "/nonexistent: no such key"),
        (("render", "--key", "/etc/hostname"), Exit.FAILED, "/etc/hostname"),
        (("verify", "/nonexistent"), Exit.USAGE, "/nonexistent: no such folder"),
        (("verify", "--signers", "/nonexistent"), Exit.USAGE, "/nonexistent: no such file"),
    ],
)
def test_trouble_is_told(reports: Path, evidence: Door, argv: tuple[str, ...], code: Exit, says: str) -> None:
    """What cannot be done is refused with its subject, the next step and its own exit code; no bundle is made."""
    done = report(reports, *argv)

    assert (done.code, says in complaint(done, evidence)) == (code, True)
    assert not (reports / NAME / manifest.NAME).exists()


def edit(name: str, text: str) -> Callable[[Path], None]:
    """Exchange a file of the run."""

    def put(run: Path) -> None:
        (run / name).write_text(text, encoding="utf-8")

    return put


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        pytest.param(lambda run: (run / "results.json").unlink(), "no such file", id="no results"),
        pytest.param(edit("results.json", "{"), "not JSON", id="no JSON"),
        pytest.param(edit("results.json", '{"schema": 99}'), "schema is 99", id="newer schema"),
        pytest.param(edit("results.json", '{"schema": 2}'), "KeyError", id="nothing in it"),
        pytest.param(lambda run: shutil.rmtree(run / "evidence"), "evidence of", id="no evidence"),
    ],
)
def test_run_that_cannot_be_rendered_is_told(
    reports: Path, evidence: Door, harm: Callable[[Path], None], says: str
) -> None:
    """A run whose results or evidence are missing, damaged or newer is refused by name, and stays as it is."""
    harm(reports / NAME)
    before = sorted(path.name for path in (reports / NAME).rglob("*"))

    done = report(reports, "render")

    told = complaint(done, evidence)
    assert (done.code, says in told, ".rendering" in told) == (Exit.FAILED, True, False)
    assert sorted(path.name for path in (reports / NAME).rglob("*")) == before


def test_changed_bundle_has_its_own_code(reports: Path, evidence: Door) -> None:
    """`verify` ends with 0 for a whole bundle and with the code for damaged for one that was changed."""
    report(reports, "render")
    whole = report(reports, "verify")
    (reports / NAME / bundle.PAGE).write_text("PASS", encoding="utf-8")
    changed = evidence.record(report(reports, "--json", "verify"))

    assert (whole.code, changed.code) == (Exit.OK, Exit.CHANGED)
    assert changed.json()["whole"] is False
    assert changed.json()["faults"][0].startswith(f"{bundle.PAGE} was changed")


def test_codes_are_the_launchers(evidence: Door) -> None:
    """Each exit code of the report is one of the launcher's, with its meaning."""
    evidence.saw("codes", ", ".join(f"{one.name} {one.value}" for one in Exit))
    same = {"CHANGED": "DAMAGED"}

    assert {same.get(one.name, one.name): int(one) for one in Exit}.items() <= {
        one.name: int(one) for one in launchers.Exit
    }.items()


# -- at the end of a run


@pytest.mark.parametrize(
    ("verdict", "whole", "code"),
    [(0, True, 0), (1, True, 1), (3, True, 3), (0, False, 2), (1, False, 1), (3, False, 2)],
)
def test_verdict_is_never_hidden_by_its_report(
    reports: Path, evidence: Door, capfd: pytest.CaptureFixture[str], verdict: int, whole: bool, code: int
) -> None:
    """A run ends with its verdict once its report stands; without one it ends with 2, but broken stays broken."""
    results = reports / NAME / "results.json"
    if not whole:
        results.write_text("{", encoding="utf-8")

    ended = testing.bundle(Ended(verdict, results), keep=30)

    told = capfd.readouterr()
    evidence.saw("the end of ./stack test", told.out + told.err)
    assert ended == code
    assert (reports / NAME / bundle.PAGE).is_file() is whole
    assert ("error: " in told.err) is not whole


def test_launcher_passes_it_on(reports: Path, evidence: Door, tmp_path: Path) -> None:
    """`./stack report` makes the bundle of the newest run, with all that was wished for, and `verify` judges it."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    environment = {**homes.environment(), "SUITE_REPORTS": str(reports)}
    wishes = ["--profile", "cis", "--since", NAME, "--key", "key", "--open", "--json"]
    made = evidence.run(str(LAUNCHER), "report", *wishes, env=environment, cwd=tmp_path)
    judged = evidence.run(str(LAUNCHER), "report", "verify", "--json", env=environment, cwd=tmp_path)

    assert (made.code, made.json()["signed"]) == (Exit.OK, True), made.told()
    assert (judged.code, judged.json()["whole"]) == (Exit.OK, True), judged.told()
    assert str(reports / NAME / bundle.PAGE) in made.stderr, "where no browser opens, it says what to open"


# -- which runs stay


@pytest.mark.parametrize(
    ("runs", "keep", "dropped"),
    [
        ("abc", 3, ""),
        ("abcd", 3, "a"),
        ("abcde", 1, "abcd"),
        # a capital is one that never ended: going on when it is newer than those that stay, else killed
        ("abCd", 2, "a"),
        ("aBcde", 2, "aBc"),
        ("abcD", 3, ""),
        ("", 1, ""),
    ],
)
def test_the_newest_runs_stay(evidence: Door, runs: str, keep: int, dropped: str) -> None:
    """The newest so many runs that ended stay, and whatever is newer; older ones go, killed ones among them."""
    there = [Run(f"{at}{one.lower()}", one.islower()) for at, one in enumerate(runs)]

    planned = retention.plan(there, keep)

    evidence.saw("plan", f"of {there} are dropped {planned}")
    assert [name[1:] for name in planned] == list(dropped.lower())


def test_only_runs_are_dropped(reports: Path, evidence: Door) -> None:
    """The example, what people put there and the newest runs stay; the page of all runs names those that are left."""
    for number in range(2, 6):
        made_run(reports, name=f"20260314T15092{number}Z-{number}")
    for name in ("example", "20260101T000000Z-mine"):
        (reports / name).mkdir()

    done = evidence.record(report(reports, "--json", "render", "--keep", "2"))

    left = {path.name for path in reports.iterdir() if path.is_dir() and not path.is_symlink()}
    assert left == {NAME, "20260314T150925Z-5", "example", "20260101T000000Z-mine"}
    assert len(json.loads(done.stdout)["dropped"]) == len(["2", "3", "4"])
    assert "20260314T150922Z-2" not in (reports / "index.html").read_text(encoding="utf-8")


def test_whoever_is_asked_for_stays(reports: Path, evidence: Door) -> None:
    """An old run that was just rendered, the one it is compared with and the target of `latest` are not dropped."""
    for number in range(1, 5):
        made_run(reports, name=f"20260314T15092{number}Z-{number}")

    asked = ("--run", "20260314T150921Z-1", "--since", "20260314T150922Z-2", "--keep", "1")
    evidence.record(report(reports, "render", *asked))

    left = {path.name for path in reports.glob("2*")}
    assert left == {NAME, "20260314T150921Z-1", "20260314T150922Z-2"}
    assert (reports / "20260314T150921Z-1" / bundle.PAGE).is_file()


def test_archive_elsewhere_is_left_alone(
    reports: Path, tmp_path_factory: pytest.TempPathFactory, evidence: Door
) -> None:
    """Of a folder that is not among the runs only that run is touched: nothing beside it is dropped or replaced."""
    archive = tmp_path_factory.mktemp("archive")
    for number in range(1, 4):
        made_run(archive, name=f"20260314T15092{number}Z-{number}")
    (archive / "index.html").write_text("somebody's own", encoding="utf-8")
    (archive / ".holiday.dropped").mkdir()
    before = {path.name for path in archive.iterdir()}

    evidence.record(report(reports, "render", "--run", str(archive / "20260314T150921Z-1"), "--keep", "1"))

    assert {path.name for path in archive.iterdir()} == before
    assert (archive / "index.html").read_text(encoding="utf-8") == "somebody's own"
    assert (archive / "20260314T150921Z-1" / bundle.PAGE).is_file()
