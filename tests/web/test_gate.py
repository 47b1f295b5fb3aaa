"""What the gate says by itself, without the app behind it, is protected like everything else."""

import pytest
import requests

from fixtures.engine_facts import engine
from fixtures.stack import Stack

PROTECTIONS = {
    "Content-Security-Policy",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "Referrer-Policy",
    "Cross-Origin-Opener-Policy",
    "Cross-Origin-Resource-Policy",
    "Permissions-Policy",
}
TOO_LARGE = b"x" * 65_000_000  # above what the gate lets through at all

pytestmark = pytest.mark.control("WEB-01")


def told_and_missing(answer: requests.Response) -> tuple[int, set[str], bool]:
    """Give the status, the protections that are missing, and whether the server names itself."""
    return answer.status_code, PROTECTIONS - set(answer.headers), "Server" in answer.headers


def test_gate_protects_its_own_answers(own_stack: Stack) -> None:
    """The gate's own 200, its 413 and its 502 without an app carry every protection and do not name the server."""
    alive = own_stack.client.get("/gate/live")
    refused = own_stack.client.post("/api/walks", data=TOO_LARGE, token=True)
    engine().containers.get(own_stack.service("app").container).stop()
    alone = own_stack.client.get("/api/live")

    assert told_and_missing(alive) == (requests.codes.ok, set(), False)
    assert told_and_missing(refused) == (requests.codes.request_entity_too_large, set(), False)
    assert told_and_missing(alone) == (requests.codes.bad_gateway, set(), False)
