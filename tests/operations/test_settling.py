"""What a switch that was cut short is settled to: decided by what was written down and asked, never by a clock."""

import io
import tarfile
from pathlib import Path

import pytest

from fixtures.evidence import door
from ops import journal, switch
from ops.compose import Compose
from ops.engine import Engine
from ops.journal import Entry, Phase
from ops.settings import Settings
from ops.settle import Act, is_over, plan
from ops.switch import Two
from ops.traffic import names

pytestmark = pytest.mark.promise("a deployer that is killed leaves the old release or the new one, whole")


@pytest.mark.parametrize(
    ("phase", "well", "opened", "schema_changes", "gone_back", "act"),
    [
        # nothing of the wanted release has run
        (Phase.DRAINING, False, False, True, False, Act.BACK),
        (Phase.STOPPED, False, False, True, False, Act.BACK),
        (Phase.KEPT, False, False, True, False, Act.BACK),
        # what was decided is carried out
        (Phase.COMMITTED, False, False, True, False, Act.FORWARD),
        (Phase.COMMITTED, True, True, False, False, Act.FORWARD),
        (Phase.ROLLING_BACK, False, False, True, False, Act.BACK),
        (Phase.ROLLING_BACK, True, True, False, False, Act.BACK),
        # it may have run: one that is well stays, opened or not
        (Phase.STARTED, True, False, True, False, Act.FORWARD),
        (Phase.STARTED, True, True, True, False, Act.FORWARD),
        # it is not well, and nobody was told of anything: code and data go back
        (Phase.STARTED, False, False, True, False, Act.BACK),
        (Phase.STARTED, False, False, False, False, Act.BACK),
        # it is not well and has served: its writes stay, so the code goes back only where it can read them
        (Phase.STARTED, False, True, False, False, Act.BACK),
        (Phase.STARTED, False, True, True, False, Act.LEAVE),
        # the former app is there again: that way is gone to its end, whatever could be written down of it
        (Phase.STARTED, False, True, True, True, Act.BACK),
        (Phase.COMMITTED, False, True, True, True, Act.BACK),
    ],
)
def test_open_switch_is_settled_by_what_is_known(
    phase: Phase, well: bool, opened: bool, schema_changes: bool, gone_back: bool, act: Act
) -> None:
    """Each phase, with what can be asked afterwards, leads to one act, and none loses an acknowledged write."""
    decided = plan(phase, well=well, opened=opened, schema_changes=schema_changes, gone_back=gone_back)
    known = f"well={well}, opened={opened}, schema_changes={schema_changes}, gone_back={gone_back}"
    door.saw(f"plan({phase}, {known})", decided.value)

    assert decided is act


@pytest.mark.parametrize(
    ("phase", "outcomes", "over"),
    [
        (Phase.COMMITTED, ["live"], True),
        (Phase.COMMITTED, ["settled-forward"], True),
        (Phase.ROLLING_BACK, ["rolled-back"], True),
        (Phase.ROLLING_BACK, ["down", "settled-back"], True),
        # no line, or one that was written while something was still to be done
        (Phase.COMMITTED, [], False),
        (Phase.STARTED, ["rejected"], False),
        (Phase.STARTED, ["rolled-back"], False),
        (Phase.STARTED, ["live"], False),
        (Phase.DRAINING, ["rejected"], False),
        (Phase.COMMITTED, ["down"], False),
        (Phase.COMMITTED, ["rolled-back"], False),
        (Phase.ROLLING_BACK, ["down"], False),
    ],
)
def test_line_ends_a_switch_only_where_it_fits(phase: Phase, outcomes: list[str], over: bool) -> None:
    """An open journal is closed unsettled only where its line tells of an end that its phase can have."""
    decided = is_over(phase, outcomes)
    door.saw(f"is_over({phase}, {outcomes})", str(decided))

    assert decided is over


def packed(content: bytes | None) -> bytes:
    """A mark as the engine hands it out; without content, a folder in its place."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("opened")
        member.type, member.size = (tarfile.DIRTYPE, 0) if content is None else (tarfile.REGTYPE, len(content))
        archive.addfile(member, io.BytesIO(content or b""))
    return out.getvalue()


@pytest.mark.parametrize(
    ("handed_out", "counts"),
    [
        (packed(b'{"schema": 1, "deploy": "d-1"}'), True),
        (packed(b'{"schema": 1, "deploy": "d-0"}'), False),
        (packed(b'{"schema": 1, "dep'), True),
        (packed(b"[]"), True),
        (packed(b'{"schema": 1}'), True),
        (packed(b'{"schema": 1, "deploy": null}'), True),
        (packed(None), True),
        (b"no archive", True),
        (b"", True),
    ],
    ids=["ours", "another's", "cut short", "a list", "no name", "no word", "a folder", "no archive", "nothing"],
)
def test_mark_that_cannot_be_read_counts_as_opened(handed_out: bytes, counts: bool) -> None:
    """Only a mark that names another switch says that nobody was served: data never goes back on doubt."""
    counted = names(handed_out, "d-1")
    door.saw("a mark of which d-1 is asked", f"{len(handed_out)} bytes, counts: {counted}")

    assert counted is counts


def test_committed_counts_as_opened(tmp_path: Path) -> None:
    """Once a switch is committed its app may have served without a mark, so nobody is asked, and data stays."""
    there = Settings({"MONSITE_ROOT": str(tmp_path), "MONSITE_PROJECT": "nobody"})
    neither = Compose(there, Engine("", (), ""), {})
    entry = Entry(
        id=journal.new_id(),
        verb="deploy",
        from_="a",
        to="b",
        from_image="sha256:a",
        to_image="sha256:b",
        actor="somebody",
        began=journal.now(),
        phase=Phase.COMMITTED,
        snapshot="",
        at=journal.now(),
    )

    served = switch.may_have_served(Two(neither, neither), entry)
    door.saw("may_have_served(committed)", str(served))

    assert served
