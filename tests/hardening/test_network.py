"""Who can reach what: one published address, an app without a way out, a backup without a network."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from fixtures.contract import Contract
from fixtures.drills import left_in_scratch
from fixtures.engine_facts import network_facts
from fixtures.services import Service
from fixtures.stack import Stack

TAKEN = "taken.json"  # in scratch/ while the site is started on a copy
WITHOUT_NETWORK = ("backup", "drill")
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3).close()
except OSError as error:
    sys.exit(f"refused: {error}")
print("connected")
"""


def connect(service: Service, address: str, port: int) -> str:
    """Try to connect from within a service; say how it ended."""
    done = service.exec("python3", "-S", "-c", CONNECT, address, str(port))
    assert done.code in (0, 1), f"the attempt itself must run: {done.told()}"
    return (done.stdout + done.stderr).strip()


@contextmanager
def host_listener() -> Iterator[int]:
    """Listen on every address of this host; give the port."""
    with socket.create_server(("0.0.0.0", 0)) as server:  # noqa: S104  # being reachable is its purpose
        yield int(server.getsockname()[1])


@pytest.mark.live
@pytest.mark.control("NET-01")
def test_only_declared_ports_are_published(service: Service, contract: Contract) -> None:
    """The service publishes what the contract says, on the contract's address and the stack's own port."""
    published = [(one.container_port, one.host_ip, one.host_port) for one in service.facts.published]

    assert published == [(port, contract.stack.bind, service.stack.port) for port in service.promised.published]


@pytest.mark.control("NET-01")
def test_published_port_is_closed_to_others(stack: Stack) -> None:
    """From another network namespace the published port is refused, while the host's own address answers."""
    gate = stack.service("gate")
    host_seen_from_the_gate = network_facts(stack.network("edge")).gateway

    assert requests.codes.ok == stack.client.get("/api/live").status_code
    assert "refused" in connect(gate, host_seen_from_the_gate, stack.port)


@pytest.mark.live
@pytest.mark.control("NET-02")
def test_only_declared_ports_listen(service: Service, contract: Contract) -> None:
    """Nothing in the container listens but what the contract names; in a drill, also the site that it starts."""
    drilling = service.name == "drill" and TAKEN in left_in_scratch(service.stack)
    meanwhile = set(contract.drill.texts("listening")) if drilling else set()

    assert sorted(set(service.listening()) - meanwhile) == sorted(service.promised.listening)


@pytest.mark.live
@pytest.mark.control("NET-03")
def test_networks_are_the_declared_ones(service: Service) -> None:
    """The service is in the networks that the contract names, none of them the host's or the default one."""
    facts = service.facts
    expected = tuple(sorted(service.stack.network(name) for name in service.promised.networks)) or ("none",)

    assert facts.networks == expected
    assert facts.network_mode not in {"default", "bridge", "host"}


@pytest.mark.live
@pytest.mark.control("NET-05")
def test_published_port_needs_no_privilege(service: Service, contract: Contract) -> None:
    """No port below 1024 of the host is taken."""
    assert [one for one in service.facts.published if one.host_port < contract.stack.first_free_port] == []


@pytest.mark.live
@pytest.mark.control("NET-04")
@pytest.mark.parametrize("name", WITHOUT_NETWORK)
def test_service_has_no_network(stack: Stack, name: str) -> None:
    """The service has the loopback interface and no other."""
    service = stack.service(name)

    assert service.interfaces() == ("lo",)
    assert service.facts.network_mode == "none"


@pytest.mark.control("NET-04")
@pytest.mark.parametrize("name", WITHOUT_NETWORK)
def test_service_reaches_nobody(stack: Stack, name: str) -> None:
    """A service without a network cannot reach what listens in one of the stack's networks."""
    with stack.listener("edge") as (address, port):
        assert "refused" in connect(stack.service(name), address, port)


@pytest.mark.promise("an app that was taken over cannot call out")
def test_app_has_no_way_out(stack: Stack) -> None:
    """The app cannot reach an address beyond its own network; the very same attempt from the gate succeeds."""
    with stack.listener("edge") as (address, port):
        from_the_gate = connect(stack.service("gate"), address, port)
        from_the_app = connect(stack.service("app"), address, port)

    assert from_the_gate == "connected", "the control must succeed, or the refusal means nothing"
    assert "refused" in from_the_app


@pytest.mark.promise("an app that was taken over cannot call out")
def test_app_cannot_reach_the_host(stack: Stack) -> None:
    """The app cannot reach what listens on the host, by the host's address in either network; the gate can.

    A network marked internal does not see to this by itself: the host has an address in it.
    """
    seen_from_edge = network_facts(stack.network("edge")).gateway
    seen_from_inner = network_facts(stack.network("inner")).gateway

    with host_listener() as port:
        from_the_gate = connect(stack.service("gate"), seen_from_edge, port)
        from_the_app = [connect(stack.service("app"), one, port) for one in (seen_from_inner, seen_from_edge)]

    assert from_the_gate == "connected", "the control must succeed, or the refusal means nothing"
    assert [answer for answer in from_the_app if "refused" not in answer] == []


@pytest.mark.live
@pytest.mark.promise("an app that was taken over cannot call out")
def test_inner_network_is_closed(stack: Stack) -> None:
    """The app's only network is marked as one that leads nowhere, and only gate and app are in it."""
    inner = network_facts(stack.network("inner"))

    assert inner.internal
    assert inner.members == tuple(stack.service(name).container for name in ("app", "gate"))
