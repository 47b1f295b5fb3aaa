"""What a switch that was cut short is settled to: decided by what was written down and asked, never by a clock."""

import pytest

from fixtures.evidence import door
from ops.journal import Phase
from ops.settle import Act, plan

pytestmark = pytest.mark.promise("a deployer that is killed leaves the old release or the new one, whole")


@pytest.mark.parametrize(
    ("phase", "well", "opened", "schema_changes", "act"),
    [
        # nothing of the wanted release has run
        (Phase.DRAINING, False, False, True, Act.BACK),
        (Phase.STOPPED, False, False, True, Act.BACK),
        (Phase.KEPT, False, False, True, Act.BACK),
        # what was decided is carried out
        (Phase.COMMITTED, False, False, True, Act.FORWARD),
        (Phase.COMMITTED, True, True, False, Act.FORWARD),
        (Phase.ROLLING_BACK, False, False, True, Act.BACK),
        (Phase.ROLLING_BACK, True, True, False, Act.BACK),
        # it may have run: one that is well stays, opened or not
        (Phase.STARTED, True, False, True, Act.FORWARD),
        (Phase.STARTED, True, True, True, Act.FORWARD),
        # it is not well, and nobody was told of anything: code and data go back
        (Phase.STARTED, False, False, True, Act.BACK),
        (Phase.STARTED, False, False, False, Act.BACK),
        # it is not well and has served: its writes stay, so the code goes back only where it can read them
        (Phase.STARTED, False, True, False, Act.BACK),
        (Phase.STARTED, False, True, True, Act.LEAVE),
    ],
)
def test_open_switch_is_settled_by_what_is_known(
    phase: Phase, well: bool, opened: bool, schema_changes: bool, act: Act
) -> None:
    """Each phase, with what can be asked afterwards, leads to one act, and none loses an acknowledged write."""
    decided = plan(phase, well=well, opened=opened, schema_changes=schema_changes)
    door.saw(f"plan({phase}, well={well}, opened={opened}, schema_changes={schema_changes})", decided.value)

    assert decided is act
