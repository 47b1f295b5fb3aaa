"""The report's command: whole or not at all, one message for each trouble, codes that are documented."""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import random
import re
import shlex
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
from fixtures.report.errors import Exit, ReportError
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
OLD, NEW = bundle.Wish(), bundle.Wish(profile="cis")
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


def bundle_of(run: Path, old: str) -> str:
    """Say whose bundle is there: the one before, or the one that was asked for, whole; anything else in full."""
    manifested = (run / manifest.NAME).read_text(encoding="utf-8")
    return "; ".join(verify(run).faults) or ("old" if manifested == old else "new")


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
            bundle.render(run, NEW)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_killed_at_any_step_it_leaves_a_whole_bundle(reports: Path, evidence: Door) -> None:
    """Killed with -9 before any of its changes, rendering leaves the old bundle or the new one, and nothing between."""
    run = reports / NAME
    states: list[str] = []
    shutil.rmtree(run / "evidence")
    told = json.loads((run / "results.json").read_text(encoding="utf-8"))
    write(run, {**told, "controls": [], "promises": []})
    killed = True
    while killed:
        bundle.render(run, OLD)
        old = (run / manifest.NAME).read_text(encoding="utf-8")
        killed = killed_before(len(states) + 1, run)
        states.append(bundle_of(run, old))
    bundle.mend(reports)
    evidence.saw(f"{len(states)} renderings", "\n".join(states))

    assert len(states) > len(bundle.MADE), "each file that is made is a change, or this proves nothing"
    assert [one for one in states if one not in ("new", "old")] == []
    assert (states[0], states[-1]) == ("old", "new")
    assert [path.name for path in reports.glob(".*")] == []


def test_killed_at_any_moment_it_leaves_a_whole_bundle(reports: Path, seed: int, evidence: Door) -> None:
    """Killed with -9 at random moments, the command leaves the old bundle or the new one, and the next one works."""
    chance = random.Random(seed)  # noqa: S311  # no secret hangs on it
    begun = clock()
    assert report(reports, "render").code == Exit.OK
    takes = clock() - begun
    states: list[str] = []
    for _ in range(KILLS):
        bundle.render(reports / NAME, OLD)
        old = (reports / NAME / manifest.NAME).read_text(encoding="utf-8")
        render = typed(reports, "render", "--profile", str(NEW.profile))
        with subprocess.Popen(render, cwd=CHECKOUT, stdout=subprocess.DEVNULL) as process:
            rest(chance.uniform(0.3, 1.0) * takes, "the moment of the kill")
            process.send_signal(signal.SIGKILL)
        states.append(bundle_of(reports / NAME, old))
    evidence.saw(f"{KILLS} kills within {takes:.1f} s", "\n".join(states))

    assert [one for one in states if one not in ("new", "old")] == []
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


@pytest.mark.parametrize(
    ("number", "code", "hint"),
    [
        (errno.ENOSPC, Exit.NO_SPACE, "make room there"),
        (errno.EDQUOT, Exit.NO_SPACE, "make room there"),
        (errno.EFBIG, Exit.FAILED, "ulimit -f"),
        (errno.EROFS, Exit.FAILED, "mounted read-only"),
        (errno.EACCES, Exit.FAILED, "run it as somebody who may"),
        (errno.EIO, Exit.FAILED, "mend that"),
    ],
)
def test_full_disk_leaves_the_old_bundle(
    reports: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    evidence: Door,
    number: int,
    code: Exit,
    hint: str,
) -> None:
    """When the disk fails in the middle, the old bundle stands, nothing is left beside it, and it says what to do."""
    bundle.render(reports / NAME, OLD)
    before = (reports / NAME / bundle.PAGE).stat()

    def full(path: Path, _: str) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(bundle, "_put", full)
    ended = command.main(["--reports", str(reports), "render"])

    told = evidence.saw("render", capsys.readouterr().err)
    assert (ended, hint in told) == (code, True)
    assert (reports / NAME / bundle.PAGE).stat().st_ino == before.st_ino
    assert verify(reports / NAME).whole
    assert [path.name for path in reports.glob(".*")] == []


def test_file_that_grows_too_large_is_told(reports: Path, evidence: Door) -> None:
    """Where files may not grow as large as the page, the page is named, with what sets that limit."""
    limited = f"ulimit -f 24; exec {shlex.join(typed(reports, 'render'))}"  # KiB, fewer than the page has

    done = run_quietly(["bash", "-c", limited], within=120, cwd=CHECKOUT)

    told = complaint(done, evidence)
    assert (done.code, f"{bundle.PAGE}: File too large" in told, "ulimit -f" in told) == (Exit.FAILED, True, True)
    assert not (reports / NAME / manifest.NAME).exists()
    assert [path.name for path in reports.glob(".*")] == []


def test_every_file_is_on_the_disk_before_the_exchange(
    reports: Path, monkeypatch: pytest.MonkeyPatch, evidence: Door
) -> None:
    """Each file that was written anew, in whatever folder, and each folder are flushed before the bundle is there."""
    run = reports / NAME
    (run / "logs").mkdir()
    (run / "logs" / "app.log").write_text("password=Kanaria!", encoding="utf-8")
    flushed: set[tuple[int, int]] = set()

    def fsync(descriptor: int) -> None:
        seen = os.fstat(descriptor)
        flushed.add((seen.st_dev, seen.st_ino))

    before = {path.stat().st_ino for path in run.rglob("*") if path.is_file()}
    monkeypatch.setattr(os, "fsync", fsync)
    bundle.render(run, OLD)

    parts = {path: path.stat() for path in (run, *run.rglob("*"))}
    missed = [
        str(path.relative_to(reports))
        for path, seen in parts.items()
        if (seen.st_dev, seen.st_ino) not in flushed and seen.st_ino not in before
    ]
    evidence.saw("fsync", f"{len(flushed)} flushed, of {len(parts)}; not flushed: {missed}")
    assert "‹redacted" in (run / "logs" / "app.log").read_text(encoding="utf-8"), "it must have been written anew"
    assert missed == []


def test_closed_run_stays_closed(reports: Path, evidence: Door) -> None:
    """Folders of a run that nobody else may look into are as closed in its bundle."""
    run = reports / NAME
    (run / "logs").mkdir()
    (run / "logs" / "app.log").write_text("", encoding="utf-8")
    modes = {run: 0o700, run / "evidence": 0o750, run / "logs": 0o2755}
    for path, mode in modes.items():
        path.chmod(mode)

    bundle.render(run, OLD)

    evidence.saw("modes", ", ".join(f"{path.name} {path.stat().st_mode:o}" for path in modes))
    assert {path: path.stat().st_mode & 0o7777 for path in modes} == modes


# -- each trouble


def test_what_another_user_left_is_told(reports: Path, monkeypatch: pytest.MonkeyPatch, evidence: Door) -> None:
    """A half-made bundle that cannot be removed, since root's report was killed, is named with the way to remove it."""
    stage = reports / f".{NAME}.rendering"
    stage.mkdir()
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)

    with pytest.raises(ReportError) as refusal:
        bundle.render(reports / NAME, OLD)

    told = evidence.saw("refusal", str(refusal.value))
    assert told.startswith(f"{stage} is in the way: ")
    assert told.endswith(f"; sudo rm -r {stage}")


def test_only_what_was_left_of_runs_is_removed(reports: Path, evidence: Door) -> None:
    """Of what ends as a half-made bundle does, only that of runs is removed; other hidden folders are somebody's."""
    for name in (".holiday.former", ".holiday.rendering", f".{NAME}.former", f".{NAME}.rendering"):
        (reports / name).mkdir()

    bundle.mend(reports)

    left = sorted(path.name for path in reports.glob(".*"))
    evidence.saw("left", f"{left}")
    assert left == [".holiday.former", ".holiday.rendering"]


def test_dropping_waits_for_its_turn(reports: Path, monkeypatch: pytest.MonkeyPatch, evidence: Door) -> None:
    """Old runs are dropped by one report at a time."""
    held: list[bool] = []

    def drop(where: Path, *_: object) -> tuple[str, ...]:
        descriptor = os.open(where, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.append(True)
        else:
            held.append(False)
        finally:
            os.close(descriptor)
        return ()

    monkeypatch.setattr(retention, "drop", drop)

    ended = command.main(["--reports", str(reports), "render", "--keep", "1"])

    evidence.saw("the lock was held", f"{held}, ended with {ended}")
    assert (ended, held) == (Exit.OK, [True])


def test_closed_run_is_not_dropped(reports: Path, monkeypatch: pytest.MonkeyPatch, evidence: Door) -> None:
    """A run that somebody closed to others counts as one that did not end: it stays, and spoils no other's report."""
    closed = made_run(reports, name="20260314T150921Z-1")
    looked = Path.is_file

    def is_file(path: Path) -> bool:
        if path.parent == closed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return looked(path)

    monkeypatch.setattr(Path, "is_file", is_file)
    ended = command.main(["--reports", str(reports), "--json", "render", "--keep", "1"])
    page = (reports / bundle.INDEX).read_text(encoding="utf-8")

    evidence.saw("all runs", page)
    assert (ended, closed.is_dir()) == (Exit.OK, True)
    assert f"{closed.name}/results.json: Permission denied" in page


def test_trouble_after_the_exchange_claims_nothing(
    reports: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], evidence: Door
) -> None:
    """What fails once the bundle is there does not say that all is as it was: it says that the bundle is made."""

    def fail(reports: Path) -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(reports))

    monkeypatch.setattr(bundle, "overview", fail)
    ended = command.main(["--reports", str(reports), "render"])

    told = evidence.saw("render", capsys.readouterr().err)
    assert ended == Exit.FAILED
    assert f"{reports / NAME / bundle.PAGE} is made" in told
    assert "as it was" not in told


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (("render", "--run", "19990101T000000Z-1"), Exit.USAGE, "there is no run 19990101T000000Z-1"),
        (("render", "--since", "yesterday"), Exit.USAGE, "there is no run yesterday"),
        (("render", "--since", NAME), Exit.USAGE, "which is not before"),
        (("render", "--run", "x" * 5_000), Exit.USAGE, "File name too long"),
        (("render", "--key", "x" * 5_000), Exit.USAGE, "File name too long"),
        (("render", "--profile", "pci"), Exit.USAGE, "pci"),
        (("render", "--key", "/nonexistent"), Exit.USAGE, "/nonexistent: no such key"),
        (("render", "--key", "/etc/hostname"), Exit.FAILED, "/etc/hostname"),
        (("verify", "/nonexistent"), Exit.USAGE, "/nonexistent: no such folder"),
        (("verify", "--signers", "/nonexistent"), Exit.USAGE, "/nonexistent: no such file"),
        (("verify", "--signers", "/dev/stdin"), Exit.USAGE, "/dev/stdin: no plain file"),
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
        pytest.param(edit("results.json", '{"schema": 2}'), "lacks run", id="nothing in it"),
        pytest.param(lambda run: shutil.rmtree(run / "evidence"), "it is the evidence of", id="no evidence"),
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


def test_name_that_no_manifest_can_hold_is_told_by_its_place(reports: Path, evidence: Door) -> None:
    """A file whose name cannot be listed is named where it lies, not where the bundle would have been made."""
    (reports / NAME / "one\ntwo").write_text("", encoding="utf-8")

    done = report(reports, "render")

    told = complaint(done, evidence)
    assert (done.code, str(reports / NAME) in told, ".rendering" in told) == (Exit.FAILED, True, False)


def test_number_of_runs_below_none_is_refused(reports: Path, evidence: Door) -> None:
    """To keep less than no run is refused, and nothing is dropped."""
    made_run(reports, name="20260314T150921Z-1")

    done = evidence.record(report(reports, "render", "--keep=-1"))

    assert done.code == Exit.USAGE, done.told()
    assert "invalid" in done.stderr
    assert (reports / "20260314T150921Z-1").is_dir()


def test_link_to_a_run_is_not_another_run(reports: Path, evidence: Door) -> None:
    """A run to which somebody put a link is listed once."""
    (reports / "2026-newest").symlink_to(NAME)

    done = evidence.record(report(reports, "render"))

    assert done.code == Exit.OK, done.told()
    listed = (reports / "index.html").read_text(encoding="utf-8")
    assert [f"{name}/report.html" in listed for name in (NAME, "2026-newest")] == [True, False]


@pytest.mark.parametrize("harm", [True, False])
def test_reader_who_leaves_changes_no_verdict(reports: Path, evidence: Door, harm: bool) -> None:
    """Where nobody reads what is told, the exit code is the same, and no complaint is made of it."""
    evidence.record(report(reports, "render"))
    if harm:
        (reports / NAME / "results.json").write_text("{}", encoding="utf-8")
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(typed(reports, "verify"), stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writing)

    evidence.saw("verify, unread", f"exit {done.returncode}\n{done.stderr}")
    assert (done.returncode, done.stderr) == (Exit.CHANGED if harm else Exit.OK, "")


@pytest.mark.parametrize("verb", ["render", "verify"])
@pytest.mark.parametrize("reason", ["no latest", "latest is gone"])
def test_missing_newest_run_is_told(reports: Path, evidence: Door, verb: str, reason: str) -> None:
    """Where there is no newest run, the command that makes one is told."""
    if reason == "no latest":
        (reports / "latest").unlink()
    else:
        shutil.rmtree(reports / NAME)

    done = report(reports, verb)

    assert "hint: ./stack test makes one" in complaint(done, evidence)
    assert done.code == Exit.USAGE


def began(run: Path, started: str) -> Path:
    """Let a run have begun at another time."""
    told = json.loads((run / "results.json").read_text(encoding="utf-8"))
    write(run, {**told, "run": {**told["run"], "started": started}})
    return run


@pytest.mark.parametrize("days", [0, 1])
def test_changes_are_told_since_an_earlier_run_alone(reports: Path, evidence: Door, days: int) -> None:
    """A run that began at the same moment, or later, is no earlier one: nothing is compared with it."""
    since = began(made_run(reports, name="20260314T150927Z-2"), f"2026-03-{14 + days}T15:09:26+00:00")

    refused = report(reports, "render", "--since", since.name)

    assert "which is not before" in complaint(refused, evidence)
    assert refused.code == Exit.USAGE
    began(since, "2026-03-14T15:09:25+00:00")
    assert report(reports, "render", "--since", since.name).code == Exit.OK


def test_changes_are_told_since_an_unchanged_run_alone(reports: Path, evidence: Door) -> None:
    """A run that its own manifest calls changed is no run to tell what changed since: 4, and nothing is made."""
    since = began(made_run(reports, name="20260314T150925Z-2"), "2026-03-14T15:09:25+00:00")
    bundle.render(since, OLD)
    assert report(reports, "render", "--since", since.name).code == Exit.OK
    results = since / "results.json"
    results.write_text(results.read_text(encoding="utf-8").replace("limited by", "limited of"), encoding="utf-8")
    (reports / NAME / manifest.NAME).unlink()

    refused = report(reports, "render", "--since", since.name)

    assert f"{since} was changed since it was made: results.json" in complaint(refused, evidence)
    assert refused.code == Exit.CHANGED
    assert not (reports / NAME / manifest.NAME).exists()


def test_run_within_a_bundle_is_not_rendered_there(reports: Path, evidence: Door) -> None:
    """A run that lies in another one's bundle is refused, since that bundle would be a changed one after it."""
    made_run(reports / NAME / "within")
    bundle.render(reports / NAME, OLD)

    refused = report(reports, "render", "--run", str(reports / NAME / "within" / NAME))

    assert f"lies in the bundle {reports / NAME}" in complaint(refused, evidence)
    assert refused.code == Exit.USAGE
    assert verify(reports / NAME).whole


def test_what_a_bundle_cannot_hold_is_told(reports: Path, evidence: Door) -> None:
    """Links, pipes and empty folders of a run, which no manifest can list, are told when they are left out."""
    run = reports / NAME
    (run / "within").mkdir()
    (run / "within" / "latest").symlink_to("nowhere")  # the suite's own, and no news
    (run / "within" / "newest").symlink_to("nowhere")
    (run / "logs" / "silent").mkdir(parents=True)
    os.mkfifo(run / "pipe")

    first = evidence.record(report(reports, "render"))
    second = evidence.record(report(reports, "--json", "render"))

    told = "left out: logs/silent (an empty folder), pipe (a special file), within/newest (a link)\n"
    assert told in first.stdout
    assert second.json()["left_out"] == []
    assert verify(run).whole


def test_nothing_is_left_out_unsaid(reports: Path, evidence: Door) -> None:
    """A run of plain files loses none of them, and nothing is told to be left out."""
    before = {str(path.relative_to(reports / NAME)) for path in (reports / NAME).rglob("*")}

    done = evidence.record(report(reports, "render"))

    assert "left out" not in done.stdout
    assert before <= {str(path.relative_to(reports / NAME)) for path in (reports / NAME).rglob("*")}


def test_damaged_run_is_named_beside_the_others(reports: Path, evidence: Door) -> None:
    """A damaged run keeps no other from being made; it is told as one that is not among all runs."""
    other = made_run(reports, name="20260314T150927Z-2")
    (other / "results.json").write_text("{", encoding="utf-8")

    done = evidence.record(report(reports, "--json", "render"))

    assert done.code == Exit.OK, done.told()
    assert [other.name in one for one in done.json()["unread"]] == [True]


def test_deep_json_is_told(reports: Path, evidence: Door) -> None:
    """A file of JSON nested deeper than Python reads, with a secret that must be taken out of it, is told."""
    deep = "[" * 100_000 + '"token=abcdefghijklmnopqrstuvwxyz"'
    (reports / NAME / "deep.json").write_text(deep, encoding="utf-8")

    done = report(reports, "render")

    assert "nested deeper" in complaint(done, evidence)
    assert not (reports / NAME / manifest.NAME).exists()


def test_changed_bundle_has_its_own_code(reports: Path, evidence: Door) -> None:
    """`verify` ends with 0 for a whole bundle and with the code for damaged for one that was changed, as does making it
    anew.
    """
    report(reports, "render")
    whole = report(reports, "verify")
    (reports / NAME / bundle.PAGE).write_text("PASS", encoding="utf-8")
    changed = evidence.record(report(reports, "--json", "verify"))
    anew = report(reports, "render")

    assert (whole.code, changed.code, anew.code) == (Exit.OK, Exit.CHANGED, Exit.CHANGED)
    assert changed.json()["whole"] is False
    assert changed.json()["faults"][0].startswith(f"{bundle.PAGE} was changed")
    assert f"{bundle.PAGE} was changed" in complaint(anew, evidence)


def test_unsigned_bundle_is_not_called_changed(reports: Path, tmp_path: Path, evidence: Door) -> None:
    """An unsigned bundle of which the signers' file asks who signed ends with 4 and its own reason."""
    (tmp_path / "signers").write_text("somebody ssh-ed25519 AAAA\n", encoding="utf-8")
    report(reports, "render")

    done = evidence.record(report(reports, "--json", "verify", "--signers", str(tmp_path / "signers")))

    assert done.code == Exit.CHANGED
    assert (done.json()["faults"], done.json()["doubt"]) == ([], "not signed, so nobody vouches for it")


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
    wishes = ["--profile", "cis", "--key", "key", "--open", "--json"]
    made = evidence.run(str(LAUNCHER), "report", *wishes, env=environment, cwd=tmp_path)
    judged = evidence.run(str(LAUNCHER), "report", "verify", "--json", env=environment, cwd=tmp_path)

    assert (made.code, made.json()["signed"]) == (Exit.OK, True), made.told()
    assert (judged.code, judged.json()["whole"]) == (Exit.OK, True), judged.told()
    assert str(reports / NAME / bundle.PAGE) in made.stderr, "where no browser opens, it says what to open"


@pytest.mark.parametrize("option", [("--run", NAME), ("--json",), ("--open",)])
def test_option_before_verify_is_refused(reports: Path, evidence: Door, option: tuple[str, ...]) -> None:
    """An option of `./stack report` before the word verify, which would be lost on it, is refused as wrong usage."""
    environment = {**homes.environment(), "SUITE_REPORTS": str(reports)}

    done = evidence.run(str(LAUNCHER), "report", *option, "verify", env=environment)

    assert done.code == Exit.USAGE, done.told()
    assert f"error: {option[0]} before `verify`" in done.stderr
    assert "\nhint: " in done.stderr


# -- which runs stay


@pytest.mark.parametrize(
    ("runs", "keep", "dropped"),
    [
        ("abc", 3, ""),
        ("abcd", 3, "a"),
        ("abcde", 1, "abcd"),
        # a capital is one that never ended, and may be going on: it stays however old it is
        ("abCd", 2, "a"),
        ("Abcde", 2, "bc"),
        ("aBcde", 1, "acd"),
        ("abcD", 3, ""),
        # a question mark follows one in which nothing was written for long: it was killed, and goes with those before
        ("aB?cde", 2, "aBc"),
        ("abcdE?", 2, "ab"),
        ("", 1, ""),
    ],
)
def test_the_newest_runs_stay(evidence: Door, runs: str, keep: int, dropped: str) -> None:
    """The newest so many runs that ended stay, and whatever is newer or may go on; older ones go, killed ones too."""
    there = [
        Run(f"{found.start()}{found[1]}", found[1].islower(), silent=found[2] == "?")
        for found in re.finditer(r"(\w)(\??)", runs)
    ]

    planned = retention.plan(there, keep)

    evidence.saw("plan", f"of {there} are dropped {planned}")
    assert [name[-1] for name in planned] == list(dropped)


def test_run_that_goes_on_stays(reports: Path, evidence: Door) -> None:
    """A run without results stays as long as something is written in it, at whatever depth; a day later it goes."""
    made_run(reports, name="20260314T150925Z-5")
    going, killed = (reports / f"20260314T15092{number}Z-{number}" for number in (1, 2))
    ancient = (reports.stat().st_mtime - 2 * retention.SILENT_S,) * 2
    for run in (going, killed):
        (run / "evidence").mkdir(parents=True)
        (run / "evidence" / "one.json").write_text("{}", encoding="utf-8")
        for path in (run / "evidence" / "one.json", run / "evidence", run):
            os.utime(path, ancient)
    os.utime(going / "evidence" / "one.json")

    dropped = retention.drop(reports, 1)

    evidence.saw("dropped", f"{dropped}")
    assert dropped == (killed.name, "20260314T150925Z-5")
    assert (going.is_dir(), killed.is_dir()) == (True, False)


@pytest.mark.parametrize("ended", [True, False])
def test_run_of_any_depth_is_dropped(reports: Path, evidence: Door, ended: bool) -> None:
    """A run with folders deeper than Python follows is dropped like any other, and spoils no other's report."""
    old = made_run(reports, name="20260314T150921Z-1")
    if not ended:
        (old / "results.json").unlink()
    with contextlib.chdir(old):
        for _ in range(1_200):
            Path("d").mkdir()
            os.chdir("d")

    try:
        done = evidence.record(report(reports, "render", "--keep", "1"))
        dropped = not old.exists()
    finally:
        subprocess.run(["rm", "-rf", "--", str(old)], check=True)  # pytest itself could not remove it

    assert done.code == Exit.OK, done.told()
    assert dropped is ended
    assert list(reports.glob(".*")) == []


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
    began(reports / "20260314T150922Z-2", "2026-03-14T15:09:22+00:00")

    asked = ("--run", "20260314T150921Z-1", "--since", "20260314T150922Z-2", "--keep", "1")
    done = evidence.record(report(reports, "render", *asked))

    assert done.code == Exit.OK, done.told()
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
