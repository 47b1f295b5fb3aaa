"""What can heal itself does, and what cannot waits for a person.

Each test finds the stack of this file well and leaves it well.
"""

import json

import pytest

from fixtures.contract import Contract
from fixtures.services import CONTRACT, Service
from fixtures.stack import Stack
from fixtures.wait import clock, wait_for


@pytest.mark.control("HLT-02")
def test_lost_database_is_not_replaced_by_an_empty_one(patient: Stack, contract: Contract) -> None:
    """An app that restarts without its database stays unhealthy and makes no new one, until it is restored."""
    promised = patient.write_walks(2)
    before = patient.read_walks()
    snapshot = patient.take_snapshot()
    patient.lose_database()
    app = patient.service("app")
    restarts = app.facts.restarts

    app.signal("KILL", app.main_process().pid)
    wait_for("the restart", lambda: app.facts.restarts > restarts, contract.recovery.killed_s)
    patient.wait_until_alive(within=contract.recovery.killed_s)
    status, answer = patient.ask_app("/api/health")
    left = patient.as_root("sh", "-c", "ls /srv/data | wc -l").stdout.split()
    patient.restore(snapshot)
    patient.wait_until_health("healthy", within=contract.recovery.repaired_s)

    assert (status, json.loads(answer)["error"], left) == (500, "database_missing", ["0"])
    assert patient.read_walks() == before
    assert [walk for walk in promised if walk not in before] == []


@pytest.mark.promise("a frozen site heals itself without the engine's socket")
def test_frozen_app_is_healed(patient: Stack, contract: Contract) -> None:
    """An app whose processes stand still is ended by its own probe and answers again in time, its data whole."""
    before = patient.read_walks()
    app = patient.service("app")
    program = app.main_process()
    started = app.facts.started

    app.signal("STOP", program.pid)
    frozen_at = clock()
    assert not patient.answers(), "it must really be frozen, or nothing was healed"
    wait_for("the frozen app to be replaced", lambda: app.facts.started != started, contract.recovery.frozen_s)
    patient.wait_until_ready(within=contract.recovery.frozen_s - (clock() - frozen_at))

    assert patient.read_walks() == before


@pytest.mark.control("HLT-04")
@pytest.mark.parametrize("name", CONTRACT.stack.services)
def test_killed_service_comes_back(patient: Stack, contract: Contract, name: str) -> None:
    """A service whose main process is killed is restarted once, and is healthy again in time."""
    service: Service = patient.service(name)
    restarts = service.facts.restarts

    service.signal("KILL", service.main_process().pid)
    wait_for("the restart", lambda: service.facts.restarts > restarts, contract.recovery.killed_s)
    patient.wait_until_health("healthy", service=name, within=contract.recovery.killed_s)

    assert service.facts.restarts == restarts + 1
