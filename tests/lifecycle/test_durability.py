"""Acknowledged means kept: neither a crash nor a stop loses a write."""

import pytest

from fixtures.contract import Contract
from fixtures.engine_facts import container, peek
from fixtures.evidence import Door
from fixtures.load import writers
from fixtures.services import CONTRACT
from fixtures.stack import Stack
from fixtures.wait import clock, wait_for


@pytest.mark.control("HLT-04")
def test_killed_app_loses_no_acknowledged_write(module_stack: Stack, contract: Contract, evidence: Door) -> None:
    """With writers at work the app is killed with -9; each walk it had acknowledged is there afterwards, whole."""
    app = module_stack.service("app")
    restarts = app.facts.restarts

    with writers(module_stack, contract.durability.writers) as acknowledged:
        enough = contract.durability.writes_before_kill
        wait_for("writes to be acknowledged", lambda: len(acknowledged) >= enough, 30)
        app.signal("KILL", app.main_process().pid)
        before_kill = len(acknowledged)
        module_stack.wait_until_ready(within=contract.recovery.killed_s)
        wait_for("writes after the crash", lambda: len(acknowledged) > before_kill + enough, 30)
    stored = {walk["id"]: walk for walk in module_stack.read_walks()}
    evidence.saw("sum", f"{len(acknowledged)} acknowledged, {before_kill} before the kill, {len(stored)} stored")

    assert app.facts.restarts == restarts + 1, "the app must really have been killed"
    assert [walk for walk in acknowledged if stored.get(walk["id"]) != walk] == []
    module_stack.take_snapshot()  # refuses a database that is not whole


@pytest.mark.control("HLT-05")
@pytest.mark.parametrize("name", CONTRACT.stack.services)
def test_stopping_is_graceful(module_stack: Stack, contract: Contract, name: str) -> None:
    """A stopped service ends by itself within its time, neither killed nor failed."""
    service = module_stack.service(name)
    one = container(service.container)
    begun = clock()

    one.stop()
    took = clock() - begun
    ended = service.facts
    one.start()
    module_stack.wait_until_ready(within=contract.recovery.ready_s)

    assert ended.exit_code in (0, 128 + 15)
    assert took < service.promised.stop_grace_s


@pytest.mark.control("HLT-05")
def test_stopped_app_leaves_one_whole_file(module_stack: Stack, contract: Contract) -> None:
    """A stopped app leaves nothing in the write-ahead log: the database file alone is the whole database."""
    module_stack.write_walks(1)
    one = container(module_stack.service("app").container)

    one.stop()
    log = module_stack.as_root("sh", "-c", "cd /srv/data; stat --format=%s balades.db-wal 2>/dev/null || echo gone")
    one.start()
    module_stack.wait_until_ready(within=contract.recovery.ready_s)

    assert log.stdout.strip() in {"0", "gone"}


@pytest.mark.control("VOL-04")
def test_database_runs_with_durable_settings(module_stack: Stack) -> None:
    """The app's own connection reported write-ahead logging, full sync, foreign keys and patience with locks."""
    opened = [line for line in module_stack.service("app").events() if line["event"] == "database_open"]
    reported = {(one["journal_mode"], one["synchronous"], one["foreign_keys"]) for one in opened}

    assert reported == {("wal", "FULL", 1)}
    assert min(one["busy_timeout"] for one in opened) >= module_stack.contract.durability.busy_timeout_ms


@pytest.mark.control("HLT-01")
def test_up_returns_a_stack_that_serves(module_stack: Stack) -> None:
    """Each container of the stack is there and runs, or is the job and is over."""
    names = [*CONTRACT.stack.services, *CONTRACT.stack.jobs]

    assert module_stack.containers() == tuple(sorted(f"{module_stack.name}-{name}-1" for name in names))
    assert [name for name in CONTRACT.stack.services if not peek(module_stack.service(name).container).running] == []
    assert module_stack.is_ready()
