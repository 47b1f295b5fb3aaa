"""Nothing in the stack runs as root.

The evidence is the kernel's record of each live process. `docker exec … id` would start a new process and
report on that one instead.
"""

import pytest

from fixtures.contract import Contract
from fixtures.services import Service

pytestmark = [pytest.mark.control("RUN-01"), pytest.mark.live]


def test_every_process_is_the_service_user(service: Service, contract: Contract) -> None:
    """Every live process, the reaping process 1 included, holds the service's uid and gid in all four slots."""
    expected = ((contract.stack.uid,) * 4, (contract.stack.gid,) * 4)

    processes = service.processes()

    assert [one for one in processes if (one.uids, one.gids) != expected] == []


def test_no_process_has_another_group(service: Service, contract: Contract) -> None:
    """No live process is in a group beside the service's own."""
    processes = service.processes()

    assert [one for one in processes if set(one.groups) - {contract.stack.gid}] == []


def test_engine_is_told_a_number(service: Service, contract: Contract) -> None:
    """The engine was told uid and gid as numbers, which no passwd file of an image can bend."""
    assert service.facts.user == f"{contract.stack.uid}:{contract.stack.gid}"
