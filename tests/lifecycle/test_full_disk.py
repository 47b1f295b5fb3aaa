"""A disk that fills up under the site: a clear answer, nothing lost, and well again once there is space."""

import json
import os
from collections.abc import Iterator

import pytest
import requests

from fixtures.contract import Contract
from fixtures.evidence import run_quietly
from fixtures.stack import Stack
from fixtures.walks import new_walk

pytestmark = pytest.mark.promise("a full disk costs nothing but the writes it cannot take")

DISK_MIB = 320  # above what a start needs, small enough to fill


@pytest.fixture
def cramped_stack(idle_stack: Stack) -> Iterator[Stack]:
    """A running stack whose root is a small disk of its own."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(idle_stack.root)]
    assert run_quietly(mount, within=10).code == 0
    try:
        idle_stack.up()
        yield idle_stack
        idle_stack.down()
    finally:
        # lazily: a container that a red test left may still hold it
        assert run_quietly(["umount", "--lazy", str(idle_stack.root)], within=10).code == 0


def test_full_disk_is_survived(cramped_stack: Stack, contract: Contract) -> None:
    """On a full disk the site says disk_full, still reads, refuses writes and backups, and recovers with space."""
    stack = cramped_stack
    promised = stack.write_walks(3)
    patience = contract.services["app"].health.until_unhealthy_s + contract.recovery.unhealthy_margin_s

    stack.as_root("sh", "-c", "head -c 400M /dev/zero >/srv/filler || true")
    stack.wait_until_health("unhealthy", within=patience)
    _, answer = stack.ask_app("/api/health")
    refused = stack.client.post("/api/walks", json=new_walk(), token=True)
    read_while_full = stack.read_walks()
    backup = stack.run("backup", "now", "--json", expect=None)
    stack.as_root("rm", "/srv/filler")
    stack.wait_until_health("healthy", within=contract.recovery.repaired_s)

    assert json.loads(answer)["error"] == "disk_full"
    assert (refused.status_code, refused.json()["error"]) == (requests.codes.insufficient_storage, "disk_full")
    assert backup.code == contract.exit_codes.no_space
    assert read_while_full == promised
    assert stack.write_walk() in stack.read_walks()
    assert [walk for walk in promised if walk not in stack.read_walks()] == []
