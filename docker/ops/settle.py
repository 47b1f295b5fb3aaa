"""Settle what a killed deploy or rollback left open, before anything else changes the stack."""

from enum import Enum

from ops import candidate, container, history, journal, outcome, releases, switch, unfinished
from ops.compose import Compose
from ops.errors import Ending, StackError
from ops.journal import Entry, Phase
from ops.release import Release
from ops.switch import Stuck, Times, Two
from ops.ui import Ui


class Act(Enum):
    """What is to be done."""

    BACK = "back"
    FORWARD = "forward"
    LEAVE = "leave"


# Which lines of the history end a switch that had come so far; any other was written while something was still to do.
_ENDS = {
    Phase.COMMITTED: ("live", "settled-forward"),
    Phase.ROLLING_BACK: ("rolled-back", "settled-back"),
}


def plan(phase: Phase, *, well: bool, opened: bool, schema_changes: bool, gone_back: bool) -> Act:
    """Decide by how far it came, whether the wanted app is well, and whether it ever opened to visitors; pure.

    `gone_back`: the former app is there again, and the way back could not be written down.
    """
    if gone_back:
        return Act.BACK
    if phase is Phase.COMMITTED:
        return Act.FORWARD
    if phase is not Phase.STARTED:
        return Act.BACK  # nothing of the wanted release has run, or it was decided before
    if well:
        return Act.FORWARD
    return Act.LEAVE if opened and schema_changes else Act.BACK


def is_over(phase: Phase, outcomes: list[str]) -> bool:
    """Whether a switch was killed between its last two steps: the line that ends it, and the end of the journal; pure.

    The line must fit how far it came.
    """
    return bool(outcomes) and outcomes[-1] in _ENDS.get(phase, ())


def settle(compose: Compose, ui: Ui) -> str | None:
    """End an open switch, and say how in the history. Return the outcome; None where nothing was open.

    The caller holds the lock. What was committed is decided: it ends forward, and whoever is not well then is told of,
    for the verb that was asked for may be the one that mends it. Raises StackError when neither release could be
    brought to serve; the journal is then still open, unless only somebody's choice can help.
    """
    settings = compose.settings
    unfinished.put_right(compose)
    if candidate.left_behind(compose):
        candidate.clear(compose)
    entry = journal.read(settings)
    if entry is None:
        return None
    ended = [str(line.get("outcome")) for line in history.read(settings).lines if line.get("id") == entry.id]
    if is_over(entry.phase, ended):
        journal.close(settings)
        return None
    former, wanted = releases.choose(settings, entry.from_), releases.choose(settings, entry.to)
    two = Two(releases.bound(compose, former), releases.bound(compose, wanted))
    with ui.step(f"Settle {entry.verb} {entry.id}, which was cut short while {entry.phase}") as step:
        step.well = False
        done, illness = _carry_out(two, entry, former, wanted)
        step.well = illness is None
    ui.warn(f"{entry.verb} {entry.id} from {entry.from_} to {entry.to} was cut short; it is {done}")
    if illness is not None:
        ui.warn(f"{illness}\n./stack rollback goes back to {entry.from_}")
    return done


def settle_before(compose: Compose, ui: Ui) -> None:
    """Settle what is open before another verb; what only somebody's choice can end is told, and is no obstacle."""
    try:
        settle(compose, ui)
    except Stuck as stuck:
        ui.warn(f"{stuck.message}; {stuck.hint}")
    except StackError as error:
        where = journal.path(compose.settings)
        raise StackError(
            f"what was cut short could not be settled: {error.message}",
            f"{error.hint}; should nothing help, move {where} away and run ./stack up",
            error.code,
        ) from error


def _carry_out(two: Two, entry: Entry, former: Release, wanted: Release) -> tuple[str, str | None]:
    """Return the outcome, and what is not well all the same."""
    settings = two.wanted.settings
    seen = container.inspect(two.app)
    well = entry.phase is Phase.STARTED and seen.image == entry.to_image and _gets_well(two)
    opened = seen is not container.MISSING and entry.phase is Phase.STARTED and switch.may_have_served(two, entry)
    gone_back = entry.phase in (Phase.STARTED, Phase.COMMITTED) and switch.gone_back(seen, entry)
    act = plan(entry.phase, well=well, opened=opened, schema_changes=entry.schema_changes, gone_back=gone_back)
    if act is Act.FORWARD:
        entry = journal.write(settings, entry, Phase.COMMITTED)
        illness = _bring_forward(two, entry)
        outcome.record(two.wanted, wanted)
        code = Ending.LIVE if illness is None else Ending.DOWN
        outcome.close(settings, entry, "settled-forward", code, (illness or "").partition("\n")[0])
        return "settled-forward", illness
    try:
        switch.undo(two, entry, Times())
    except Stuck as stuck:
        outcome.record(two.wanted, wanted)
        outcome.close(settings, entry, "down", Ending.DOWN, stuck.message)
        raise
    outcome.record(two.former, former)
    outcome.close(settings, entry, "settled-back", Ending.ROLLED_BACK)
    return "settled-back", None


def _bring_forward(two: Two, entry: Entry) -> str | None:
    """Let the wanted release serve, and what follows it too; return what is in the way of that."""
    try:
        switch.start(two.wanted)
        switch.wait_well(two, switch.BACK_S)
        switch.open_up(two, entry)
        switch.until_open(two.url, switch.BACK_S)
        outcome.follow(two.wanted)
    except StackError as error:
        return f"release {entry.to} is not well: {error.message}"
    return None


def _gets_well(two: Two) -> bool:
    try:
        switch.wait_well(two, switch.DECIDED_S)
    except StackError:
        return False
    return True
