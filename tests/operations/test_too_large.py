"""Which databases are too large to be copied while visitors wait: the rule by itself."""

import pytest

from fixtures.evidence import door
from ops.acts import too_large

pytestmark = pytest.mark.promise("a deploy is noticed by nobody")


def judge(seconds: float, size: int) -> str | None:
    """Ask whether a deploy would go on after a snapshot like this."""
    why = too_large({"duration_s": seconds, "raw_bytes": size})
    door.saw(f"a snapshot of {size} bytes that took {seconds} s", why or "it may go on")
    return why


@pytest.mark.parametrize("seconds", [0.05, 5.4, 22.0])
def test_database_that_is_copied_in_time_may_be_deployed(seconds: float) -> None:
    """Where a snapshot took no longer than the gate can hold its visitors for, the deploy goes on."""
    assert judge(seconds, 514_957_312) is None


@pytest.mark.parametrize("seconds", [22.1, 300.0])
def test_database_that_takes_longer_is_refused_before_anybody_waits(seconds: float) -> None:
    """Where a snapshot took longer, the refusal names the size of the database and the time that was seen."""
    why = judge(seconds, 5_149_573_120) or ""

    assert "5149573120 bytes" in why
    assert f"took {seconds:.0f} s" in why
