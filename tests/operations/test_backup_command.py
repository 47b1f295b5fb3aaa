"""The snapshots as an operator handles them: taken, listed, read again, rotated, tried out, unpinned."""

import re
import shutil
import signal
from pathlib import Path

import pytest

from fixtures.contract import Contract
from fixtures.engine_facts import engine
from fixtures.evidence import Completed, Door
from fixtures.launches import at_work, in_terminal, launch, pretend_docker, standing_still
from fixtures.services import CONTRACT
from fixtures.snapshots import flip_stored_bit, shelf_of
from fixtures.stack import Stack
from fixtures.wait import clock, rest, wait_for
from ops import chart

TIERS = ("daily", "weekly", "monthly")
MARKS = chart.GOOD + chart.PINNED + chart.NOT_COUNTED + "23456789" + chart.MANY
LAST_TICK = chart.TICKS[-1][1]
ESCAPE = "\x1b"
CODES = CONTRACT.exit_codes
TAKE_THE_LOCK = "import fcntl; fcntl.flock(open('/srv/backups/.lock'), fcntl.LOCK_EX | fcntl.LOCK_NB)"

pytestmark = pytest.mark.promise("an operator sees and handles every snapshot by one command")


@pytest.fixture(autouse=True)
def keeper_is_free(module_stack: Stack) -> None:
    """Wait until the keeper is free: after a drill that failed the schedule begins one by itself."""
    wait_for(
        "the keeper to be free",
        lambda: module_stack.exec("backup", "python3", "-c", TAKE_THE_LOCK).code == 0,
        CONTRACT.drill.number("own_within_s"),
    )


def lines_of(done: Completed, first_word: str) -> list[str]:
    """Give the lines of the output that begin with a word."""
    return [line for line in done.stdout.splitlines() if line.split(" ")[0] == first_word]


def stored(stack: Stack) -> set[str]:
    """Give the names of the snapshots that stand in the folder of all."""
    return shelf_of(stack).names("daily")


# -- the list


def test_list_tells_what_is_known_of_each_snapshot(module_stack: Stack, contract: Contract) -> None:
    """`backup list` gives each snapshot's tiers, age, size, rows and last reading in one row, newest first."""
    module_stack.write_walks(2)
    begun = clock()
    names = [module_stack.take_snapshot() for _ in range(2)]
    known = {one["name"]: one for one in module_stack.run("backup", "list", "--json").json()["snapshots"]}

    listed = module_stack.run("backup", "list")
    oldest = clock() - begun + contract.operations.number("list_seconds")

    rows = {name: lines_of(listed, name)[0].split() for name in names}
    for name in names:
        letters, age, unit, *size_and_rows = rows[name][1:]
        assert letters == "".join(tier[0] for tier in known[name]["tiers"])
        assert (int(age) <= oldest, unit) == (True, "s")
        assert size_and_rows[2] == str(known[name]["rows"])
        assert size_and_rows[-1] == "manual"
    assert listed.stdout.index(names[1]) < listed.stdout.index(names[0])


def test_list_draws_a_mark_for_every_age(module_stack: Stack) -> None:
    """`backup list` draws one line per tier with as many snapshots on it as the tier holds, over an axis up to 1 y."""
    module_stack.take_snapshot()
    known = module_stack.run("backup", "list", "--json").json()["snapshots"]

    listed = module_stack.run("backup", "list")

    drawn = {tier: lines_of(listed, tier)[0].split()[1] for tier in TIERS}
    counted = {tier: sum(int(sign) if sign.isdigit() else 1 for sign in drawn[tier] if sign in MARKS) for tier in TIERS}
    assert counted == {tier: sum(tier in one["tiers"] for one in known) for tier in TIERS}
    assert "1 h" in listed.stdout
    assert "1 y" in listed.stdout


@pytest.mark.parametrize("hours", [hours for hours, _ in chart.TICKS])
def test_age_stands_over_its_own_label(evidence: Door, hours: float) -> None:
    """A snapshot of exactly the age of a label on the axis is drawn over that label's tick and first letter."""
    label = dict(chart.TICKS)[hours]
    line, axis, labels, _ = chart.draw({"daily": [chart.Mark(hours, chart.GOOD)]})
    evidence.saw(f"the chart of one snapshot that is {hours} h old", "\n".join((line, axis, labels)))
    at = line.index(chart.GOOD)

    assert axis[at] == "┼"
    assert labels[at:].startswith(label)


def test_list_fits_a_terminal_and_needs_no_colour(module_stack: Stack, contract: Contract) -> None:
    """Piped into a file, `backup list` has no line wider than the terminal and no control character."""
    module_stack.run("backup", "now", "--pin")
    columns = contract.operations.whole("columns")
    listed = module_stack.run("backup", "list", env={"COLUMNS": str(columns)})

    assert [line for line in listed.stdout.splitlines() if len(line.rstrip()) > columns] == []
    assert ESCAPE not in listed.stdout


def test_narrow_terminal_cuts_no_name(module_stack: Stack) -> None:
    """In a terminal narrower than the table every snapshot still has its whole name."""
    name = module_stack.take_snapshot()

    listed = module_stack.run("backup", "list", env={"COLUMNS": "20"})

    assert lines_of(listed, name) != []


@pytest.mark.parametrize("flags", [(), ("--json",)], ids=["text", "json"])
def test_terminal_without_unicode_is_no_failure(module_stack: Stack, flags: tuple[str, ...]) -> None:
    """Where the terminal's encoding lacks a sign of the list, it is left out, and the list is shown."""
    name = module_stack.take_snapshot()

    listed = module_stack.run("backup", "list", *flags, env={"PYTHONIOENCODING": "ascii"})

    assert name in listed.stdout


@pytest.mark.parametrize("flags", [(), ("--json",)], ids=["text", "json"])
def test_reader_that_leaves_is_no_failure(module_stack: Stack, flags: tuple[str, ...]) -> None:
    """Whoever reads the list only in part, as `head` does, does not make it fail."""
    module_stack.take_snapshot()
    with launch(module_stack, "backup", "list", *flags) as launched:
        assert launched.process.stdout is not None
        launched.process.stdout.close()
        code = launched.process.wait(timeout=60)
        launched.process.stdout = None

    assert code == CODES.ok


# -- reading again


def test_verify_reads_all_or_one(module_stack: Stack) -> None:
    """`backup verify` reads every snapshot, or the one that is named, and says how many."""
    name = module_stack.take_snapshot()
    count = len(stored(module_stack))

    everything = module_stack.run("backup", "verify", "--json").json()
    one = module_stack.run("backup", "verify", name)

    assert (everything["outcome"], everything["checked"], everything["damaged"]) == ("ok", count, [])
    assert "1 checked" in one.stdout
    assert "0 damaged" in one.stdout


def test_verify_names_what_is_damaged(module_stack: Stack) -> None:
    """A stored snapshot with one flipped bit is found by name, with its own exit code, and `list` then warns of it."""
    name = module_stack.take_snapshot()
    flip_stored_bit(module_stack, name)
    try:
        told = module_stack.run("backup", "verify", expect=CODES.damaged)
        found = module_stack.run("backup", "verify", name, "--json", expect=CODES.damaged).json()
        listed = module_stack.run("backup", "list")
    finally:
        flip_stored_bit(module_stack, name)
        module_stack.run("backup", "verify", name, expect=None)

    assert len(lines_of(told, f"{name}:")) == 1
    assert f"hint: {found['hint']}" in " ".join(told.stdout.split())
    assert "`./stack backup now` takes a whole one" in found["hint"]
    assert {finding["name"] for finding in found["damaged"]} == {name}, "one finding for each tier that holds it"
    assert "NO" in lines_of(listed, name)[0]
    assert lines_of(listed, f"{name}:") != []


# -- rotation and pins


def test_rotation_says_why_before_it_does(module_stack: Stack) -> None:
    """`backup rotate --dry-run` gives a reason for every snapshot of every tier and changes nothing."""
    module_stack.take_snapshot()
    before = shelf_of(module_stack).kept()

    told = module_stack.run("backup", "rotate", "--dry-run")
    plan = module_stack.run("backup", "rotate", "--dry-run", "--json").json()

    planned = [(tier, name) for part in ("keep", "drop") for tier, names in plan[part].items() for name in names]
    said = re.findall(r"^(?:keep|drop) (\w+) +(\S+)  \S", told.stdout, re.MULTILINE)
    assert sorted(said) == sorted(planned)
    assert shelf_of(module_stack).kept() == before


def test_rotation_by_hand_changes_nothing_twice(module_stack: Stack) -> None:
    """`backup rotate` after a snapshot, which rotates by itself, finds nothing left to do."""
    module_stack.take_snapshot()
    before = stored(module_stack)

    done = module_stack.run("backup", "rotate", "--json").json()

    assert done["outcome"] == "applied"
    assert stored(module_stack) == before


def test_unpinned_snapshot_is_rotations_again(module_stack: Stack) -> None:
    """A pinned snapshot shows its pin until `backup unpin` takes it off."""
    name = module_stack.run("backup", "now", "--pin", "--json").json()["name"]
    pinned = lines_of(module_stack.run("backup", "list"), name)[0]

    done = module_stack.run("backup", "unpin", name)

    assert pinned.rstrip().endswith("*")
    assert "no longer pinned" in done.stdout
    assert "was not pinned" in module_stack.run("backup", "unpin", name).stdout
    assert "*" not in lines_of(module_stack.run("backup", "list"), name)[0]


# -- what was lost


def test_snapshot_after_a_loss_of_all_says_so(module_stack: Stack) -> None:
    """The first snapshot asked for after backups/ was emptied warns by the name of the newest that was known."""
    name = module_stack.take_snapshot()
    with standing_still(module_stack):  # it would take one by itself, at any moment
        module_stack.as_root("sh", "-c", "rm -rf /srv/backups/daily /srv/backups/weekly /srv/backups/monthly")

        module_stack.exec("backup", "python3", "-m", "backup", "now", "--scheduled")
        known = module_stack.run("status").stdout
        told = module_stack.run("backup", "now").stderr

    loss = f"every snapshot up to {name} is gone from the backups folder"
    assert (loss in known, "`./stack backup now` takes note of it" in known) == (True, True)
    assert f"warning: {loss}" in told
    assert "is gone" not in module_stack.run("backup", "now").stderr + module_stack.run("status").stdout


# -- the drill


def test_drill_starts_the_site_on_the_newest(module_stack: Stack) -> None:
    """`backup drill` starts the site on the newest snapshot beside the live one, says so, and `list` remembers."""
    module_stack.write_walks(1)
    name = module_stack.take_snapshot()
    before = module_stack.identity()

    told = module_stack.run("backup", "drill")
    listed = {one["name"]: one for one in module_stack.run("backup", "list", "--json").json()["snapshots"]}
    state = module_stack.run("status", expect=None)

    assert f"{name} can be restored" in told.stdout
    assert "The site started on it in " in told.stdout
    assert listed[name]["drill"]["outcome"] == "success"
    assert f"ago with {name}" in " ".join(lines_of(state, "drill"))
    assert module_stack.identity() == before


def test_failed_drill_is_tried_again_by_the_next_start(module_stack: Stack) -> None:
    """A drill that failed shows in `status` until `up`, which starts what it lacked and returns once one has passed."""
    module_stack.take_snapshot()
    engine().containers.get(module_stack.service("drill").container).stop()
    refused = module_stack.run("backup", "drill", "--json", expect=CODES.unrehearsed)
    failed = module_stack.run("status", expect=None)

    module_stack.up()

    assert (refused.json()["code"], "./stack up" in refused.stderr) == (CODES.unrehearsed, True)
    assert " failed " in lines_of(failed, "drill")[-1]
    assert " passed " in lines_of(module_stack.run("status", expect=None), "drill")[-1]


# -- for machines, and for nobody


VERBS = (
    ("now",),
    ("list",),
    ("verify",),
    ("rotate",),
    ("rotate", "--dry-run"),
    ("drill",),
)


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_json_is_all_that_stands_on_stdout(module_stack: Stack, verb: tuple[str, ...]) -> None:
    """With --json stdout holds one JSON object on one line, and nothing else."""
    done = module_stack.run("backup", *verb, "--json")

    assert isinstance(done.json(), dict)
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != ("list",)], ids=" ".join)
def test_quiet_says_nothing(module_stack: Stack, verb: tuple[str, ...]) -> None:
    """With --quiet a verb that goes well prints nothing at all."""
    done = module_stack.run("backup", *verb, "--quiet")

    assert (done.code, done.stdout, done.stderr) == (CODES.ok, "", "")


@pytest.mark.parametrize("verb", ["verify", "drill", "unpin"])
def test_unknown_name_is_refused_with_the_next_step(module_stack: Stack, verb: str) -> None:
    """A name that no snapshot has ends with its own code and says where the names stand, also as JSON."""
    done = module_stack.run("backup", verb, "balades_19990101_000000", "--json", expect=CODES.unknown)

    assert done.json()["code"] == CODES.unknown
    assert "balades_19990101_000000" in done.stderr
    assert "hint: " in done.stderr
    assert "backup list" in done.stderr


# -- how far it has come

SLOW_KEEPER = """
case "$*" in
  *"-m backup now"*--progress*)
    for done in 10 20 30 40; do
      echo '{"progress": {"phase": "compress", "done": '$done'000000, "total": 50000000}}' >&2
      sleep 0.6
    done
    echo 'a word of its own' >&2
    echo '{"outcome": "failure", "code": 6, "error": "full", "hint": "free some space"}'
    exit 6 ;;
  *"-m backup now"*)
    sleep 1.5
    echo '{"outcome": "failure", "code": 6, "error": "full", "hint": "free some space"}'
    exit 6 ;;
  *) exec REAL "$@" ;;
esac
"""


@pytest.fixture
def slow_keeper(tmp_path: Path) -> dict[str, str]:
    """An environment in which a snapshot takes long, tells how far it has come, and fails."""
    return pretend_docker(tmp_path / "bin", SLOW_KEEPER.replace("REAL", str(shutil.which("docker"))))


def test_long_step_shows_a_bar(module_stack: Stack, slow_keeper: dict[str, str], contract: Contract) -> None:
    """In a terminal a step that lasts shows its phase and how much is done; the keeper's own words pass through."""
    shown = in_terminal(
        module_stack, "backup", "now", env=slow_keeper, columns=contract.operations.whole("columns"), within=60
    ).stderr

    assert "compress it" in shown
    assert re.search(r"28\.6/47\.7 MiB|38\.1/47\.7 MiB", shown) is not None
    assert "a word of its own" in shown
    assert '{"progress"' not in shown


def test_without_a_terminal_there_is_no_bar(module_stack: Stack, slow_keeper: dict[str, str]) -> None:
    """Piped, the same step is one line with its duration."""
    done = module_stack.run("backup", "now", env=slow_keeper, expect=CODES.no_space)

    assert re.fullmatch(r"✗ Take a snapshot and verify it, \d+\.\d s", done.stderr.strip()) is not None
    assert ESCAPE not in done.stderr


# -- at the same time, and cut short


@pytest.mark.control("BAK-09")
def test_backup_during_a_restore_is_told_who_is_at_work(module_stack: Stack) -> None:
    """While a restore has the backups, a snapshot asked for is refused as busy, with the holder's name."""
    name = module_stack.take_snapshot()
    with at_work(module_stack, "restore", name):
        refused = module_stack.run("backup", "now", "--json", expect=CODES.busy)
        listed = module_stack.run("backup", "list", "--json")

    assert refused.json()["code"] == CODES.busy
    assert "`restore` since 20" in refused.stderr
    assert name in listed.stdout


def test_killed_launcher_leaves_the_keeper_at_work(module_stack: Stack) -> None:
    """A launcher that is killed while a snapshot is taken does not take the snapshot with it."""
    before = stored(module_stack)
    with launch(module_stack, "backup", "now", "--pin") as launched:
        wait_for("the keeper at work", lambda: keeper_runs(module_stack), 20, every=0.01)
        launched.signal(signal.SIGKILL)
        launched.end()

    # nothing else is looked at meanwhile: what the keeper works on comes and goes under the look
    wait_for("the keeper to be done", lambda: not keeper_runs(module_stack), 20)
    assert len(stored(module_stack) - before) == 1
    assert module_stack.run("backup", "verify", "--json").json()["damaged"] == []


def keeper_runs(stack: Stack) -> bool:
    """Tell whether a snapshot asked for by hand is being taken."""
    listed = stack.exec("backup", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '").stdout
    return "-m backup now --pin" in listed


def test_interrupted_launcher_says_so_by_its_code(module_stack: Stack, tmp_path: Path) -> None:
    """Ctrl-C while the keeper works ends the launcher with the code that shells know, without a traceback."""
    begun = tmp_path / "begun"
    script = (
        f'case "$*" in *"-m backup now"*) touch {begun}; exec sleep 3 ;; *) exec {shutil.which("docker")} "$@" ;; esac'
    )
    with launch(module_stack, "backup", "now", env=pretend_docker(tmp_path / "bin", script)) as launched:
        wait_for("the keeper was called", begun.exists, 20)
        launched.signal(signal.SIGINT)
        done = launched.end()

    assert done.code == CODES.interrupted
    assert "Traceback" not in done.stderr
    assert "the backup service goes on with `now`" in done.stderr


@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.15, 0.3, 0.45, 0.6])
def test_interrupt_at_the_start_is_quiet(module_stack: Stack, after_s: float) -> None:
    """Ctrl-C while the launcher is still loading ends it in silence, as shells know it."""
    with launch(module_stack, "backup", "list") as launched:
        wait_for("./stack becomes the launcher proper", launched.loads_the_rest, 20, every=0.002)
        rest(after_s, "the launcher loads")
        launched.signal(signal.SIGINT)
        done = launched.end()

    came_too_late = LAST_TICK in done.stdout  # a fast machine has shown all by then, and only ends
    assert done.code in (CODES.interrupted, -signal.SIGINT, *([CODES.ok] if came_too_late else []))
    assert "Traceback" not in done.stderr
