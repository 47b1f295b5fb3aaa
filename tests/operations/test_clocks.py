"""Clocks agree, and every stamp says which time it means."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from fixtures.contract import Contract
from fixtures.engine_facts import container
from fixtures.evidence import Door
from fixtures.services import Service

pytestmark = [pytest.mark.control("MON-04"), pytest.mark.live]

LINES = 50


def test_service_has_the_host_s_time(service: Service, contract: Contract) -> None:
    """The service's clock is the host's, within the promised difference."""
    allowed = contract.operations.number("clock_s")
    before = time.time()
    told = float(service.output("date", "+%s.%N"))
    after = time.time()

    assert before - allowed <= told <= after + allowed


def test_stamps_of_the_log_are_utc(service: Service, contract: Contract, evidence: Door) -> None:
    """The service's newest log lines are stamped in UTC, with its offset or as seconds since 1970; none is ahead."""
    text = container(service.container).logs(tail=LINES).decode("utf-8", errors="backslashreplace")
    lines = evidence.saw(f"engine logs --tail {LINES}", text, subject=service.container).splitlines()
    stamps = [moment_of(json.loads(line)["ts"]) for line in lines]
    ahead = datetime.now(UTC) + timedelta(seconds=contract.operations.number("clock_s"))

    assert [str(stamp) for stamp in stamps if stamp.utcoffset() != timedelta(0)] == []
    assert [str(stamp) for stamp in stamps if stamp > ahead] == []


def moment_of(stamp: str | float) -> datetime:
    """Read a stamp; one in seconds is UTC by what it is."""
    return datetime.fromisoformat(stamp) if isinstance(stamp, str) else datetime.fromtimestamp(stamp, UTC)
