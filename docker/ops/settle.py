"""Settle what a killed deploy or rollback left open, before anything else changes the stack."""

from enum import Enum

from ops import candidate, container, history, journal, outcome, releases, switch, traffic
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


def plan(phase: Phase, *, well: bool, opened: bool, schema_changes: bool) -> Act:
    """Decide by how far it came, whether the wanted app is well, and whether it ever opened to visitors; pure."""
    if phase is Phase.COMMITTED:
        return Act.FORWARD
    if phase is not Phase.STARTED:
        return Act.BACK  # nothing of the wanted release has run, or it was decided before
    if well:
        return Act.FORWARD
    return Act.LEAVE if opened and schema_changes else Act.BACK


def settle(compose: Compose, ui: Ui) -> str | None:
    """End an open switch, and say how in the history. Return the outcome; None where nothing was open.

    The caller holds the lock. Raises StackError when neither release could be brought to serve; the journal is
    then still open, unless only somebody's choice can help.
    """
    settings = compose.settings
    if candidate.left_behind(compose):
        candidate.clear(compose)
    entry = journal.read(settings)
    if entry is None:
        return None
    ended = [line["outcome"] for line in history.read(settings).lines if line.get("id") == entry.id]
    if ended and ended[-1] != "down":
        journal.close(settings)  # killed between its last two steps
        return None
    former, wanted = _release(compose, entry.from_), _release(compose, entry.to)
    two = Two(_bound(compose, former), _bound(compose, wanted))
    with ui.step(f"Settle {entry.verb} {entry.id}, which was cut short while {entry.phase}") as step:
        step.well = False
        done = _carry_out(two, entry, former, wanted)
        step.well = True
    ui.warn(f"{entry.verb} {entry.id} from {entry.from_} to {entry.to} was cut short; it is {done}")
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


def _carry_out(two: Two, entry: Entry, former: Release, wanted: Release) -> str:
    settings = two.wanted.settings
    seen = container.inspect(two.app)
    well = entry.phase is Phase.STARTED and seen.image == entry.to_image and _gets_well(two)
    opened = entry.phase is Phase.STARTED and seen is not container.MISSING and traffic.opened_by(two.app) == entry.id
    act = plan(entry.phase, well=well, opened=opened, schema_changes=entry.schema_changes)
    if act is Act.FORWARD:
        entry = journal.write(settings, entry, Phase.COMMITTED)
        switch.start(two.wanted)
        switch.wait_well(two, switch.BACK_S)
        traffic.Flag(two.app, entry.id).lift()
        switch.until_open(two.url, switch.BACK_S)
        outcome.follow(two.wanted)
        outcome.record(two.wanted, wanted)
        outcome.close(settings, entry, "settled-forward", Ending.LIVE)
        return "settled-forward"
    try:
        switch.undo(two, entry, Times())
    except Stuck as stuck:
        outcome.record(two.wanted, wanted)
        outcome.close(settings, entry, "down", Ending.DOWN, stuck.message)
        raise
    outcome.record(two.former, former)
    outcome.close(settings, entry, "settled-back", Ending.ROLLED_BACK)
    return "settled-back"


def _gets_well(two: Two) -> bool:
    try:
        switch.wait_well(two, switch.DECIDED_S)
    except StackError:
        return False
    return True


def _bound(compose: Compose, one: Release) -> Compose:
    return Compose(compose.settings, compose.engine, releases.variables(one))


def _release(compose: Compose, name: str) -> Release:
    return releases.choose(compose.settings, name)
