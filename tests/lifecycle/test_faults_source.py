"""The live database is not as it should be: what the operator is told, and that nothing stored suffers."""

import pytest

from fixtures.contract import Contract
from fixtures.snapshots import canonical, shelf_of
from fixtures.stack import Stack
from fixtures.wait import wait_for
from fixtures.wrong_ways import Bench


@pytest.mark.control("BAK-07")
def test_missing_database_is_named_and_brought_back(module_stack: Stack, contract: Contract) -> None:
    """Without a database `backup now` names the file and the way back, keeps what is stored, and that way works."""
    module_stack.write_walks(2)
    module_stack.take_snapshot()
    promised, before = canonical(module_stack), shelf_of(module_stack).kept()
    module_stack.lose_database()
    wait_for("the site to miss its database", lambda: not module_stack.is_ready(), contract.recovery.ready_s)

    refused = module_stack.run("backup", "now", "--json", expect=contract.exit_codes.unreadable)
    kept = shelf_of(module_stack).kept()
    module_stack.restore("latest")
    module_stack.wait_until_ready(within=contract.recovery.ready_s)

    assert "/srv/data/balades.db: there is no database" in refused.stderr
    assert "./stack restore latest" in refused.stderr
    assert kept == before
    assert canonical(module_stack) == promised


@pytest.mark.control("BAK-07")
def test_database_locked_exclusively_is_refused(bench: Bench, contract: Contract) -> None:
    """While something holds the database exclusively, snapshot and restore say so and change nothing."""
    name = bench.backup("now", "--json").json()["name"]
    before, rows = bench.look().kept(), bench.rows()
    with bench.app() as app:
        app.sql("PRAGMA locking_mode = EXCLUSIVE")
        app.sql("INSERT INTO walks (body) VALUES ('kept')")

        snapshot = bench.backup("now", expect=contract.exit_codes.unreadable)
        hot = bench.backup("restore", name, expect=contract.exit_codes.cold_needed)
        cold = bench.backup("restore", name, "--cold", expect=contract.exit_codes.busy)
        kept = bench.look().kept()

    assert "/srv/data/balades.db: database is locked" in snapshot.stderr
    assert "something holds it exclusively" in snapshot.stderr
    assert "database is locked" in hot.stderr
    assert "still connected" in cold.stderr
    assert kept == before
    assert bench.rows() == rows + 1
    assert bench.backup("now", "--json").json()["rows"]["walks"] == rows + 1


@pytest.mark.control("BAK-03")
def test_held_write_lock_does_not_hinder_a_snapshot(bench: Bench) -> None:
    """A snapshot taken while somebody is in the middle of a write holds what was there before it, and no half of it."""
    rows = bench.rows()
    with bench.app() as app:
        app.sql("BEGIN IMMEDIATE")
        app.sql("INSERT INTO walks (body) VALUES ('not yet')")

        taken = bench.backup("now", "--json").json()
        app.sql("COMMIT")

    assert taken["rows"]["walks"] == rows
    assert bench.rows() == rows + 1
