"""What shares a stack runs on one worker, so that no worker starts a second one that idles beside it."""

import pytest

from fixtures.evidence import Door
from fixtures.pace import SHARED, scope_of


@pytest.mark.promise("the gate takes no longer than it must")
def test_shared_stack_is_on_one_worker(request: pytest.FixtureRequest, evidence: Door) -> None:
    """Each test that uses the shared stack goes where the others go that use it."""
    using = [item.nodeid for item in request.session.items if "stack" in getattr(item, "fixturenames", ())]
    scopes = {nodeid: scope_of(nodeid) for nodeid in (*using, request.node.nodeid)}
    evidence.saw("scopes", "\n".join(f"{nodeid}: {scope}" for nodeid, scope in sorted(scopes.items())))

    assert [nodeid for nodeid in using if scopes[nodeid] != SHARED] == [], "name these in fixtures/pace.py: LOOKS"
    assert scopes[request.node.nodeid] != SHARED
