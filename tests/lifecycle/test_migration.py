"""A snapshot from before a change of the schema: brought to the site's own beside the running site, or refused."""

from pathlib import Path

import pytest
import requests

from fixtures.contract import Contract
from fixtures.drills import backups_status, drill, left_in_scratch
from fixtures.engine_facts import container
from fixtures.evidence import Door
from fixtures.load import readers
from fixtures.releases import run_release, with_migration
from fixtures.snapshots import refused_and_unharmed, send_picture
from fixtures.stack import Stack
from fixtures.walks import new_walk

ONE_COLUMN_MORE = "ALTER TABLE walks ADD COLUMN season TEXT NOT NULL DEFAULT 'any';"
CURSED = "cursed"  # the region that the migration below cannot take
# It loses every walk for good, then fails; where there is no such region it does neither.
DESTROYS_AND_FAILS = """
DELETE FROM walks WHERE EXISTS (SELECT 1 FROM walks WHERE region = 'cursed');
CREATE TABLE seasons (walk_id INTEGER PRIMARY KEY, season TEXT NOT NULL) STRICT;
COMMIT;
BEGIN;
INSERT INTO seasons SELECT 1, NULL WHERE NOT EXISTS (SELECT 1 FROM walks);
"""


def schema_of(stack: Stack) -> int:
    """The schema version that the stack's database has now, as a snapshot of it tells."""
    version: int = stack.run("backup", "now", "--json").json()["user_version"]
    return version


@pytest.mark.control("RST-03")
def test_older_snapshot_is_migrated_beside_the_running_site(own_stack: Stack, evidence: Door, tmp_path: Path) -> None:
    """A snapshot of the release before is restored into the running new one, every row kept, no visitor noticing."""
    own_stack.write_walks(3)
    send_picture(own_stack)
    promised = own_stack.read_walks()
    older = schema_of(own_stack)
    name = own_stack.take_snapshot()
    run_release(own_stack, with_migration(tmp_path, ONE_COLUMN_MORE))
    own_stack.write_walks(1)
    running = own_stack.identity()

    with readers(own_stack, 2) as statuses:
        report = own_stack.restore(name)

    evidence.saw("answers during the restore", f"{len(statuses)}, of which 200: {statuses.count(requests.codes.ok)}")
    assert (report["mode"], report["migrated"]) == ("hot", {"from": older, "to": older + 1})
    assert own_stack.read_walks() == promised
    assert (len(statuses) > 0, set(statuses)) == (True, {requests.codes.ok})
    assert own_stack.identity() == running
    assert left_in_scratch(own_stack) == []
    assert own_stack.write_walk() in own_stack.read_walks()
    assert schema_of(own_stack) == older + 1


@pytest.mark.control("RST-03")
def test_migration_that_destroys_and_fails_hurts_only_its_copy(
    own_stack: Stack, contract: Contract, tmp_path: Path
) -> None:
    """A snapshot on which the site's migration loses rows and then fails is refused; the live database stays whole."""
    own_stack.write_walks(2)
    cursed = own_stack.client.post("/api/walks", json={**new_walk(), "region": CURSED}, token=True)
    name = own_stack.take_snapshot()
    own_stack.client.delete(f"/api/walks/{cursed.json()['id']}", token=True).raise_for_status()
    run_release(own_stack, with_migration(tmp_path, DESTROYS_AND_FAILS))
    newest = own_stack.take_snapshot()

    refused_and_unharmed(
        own_stack,
        "restore",
        name,
        code=contract.exit_codes.unrehearsed,
        words=(name, "does not start on it", "nothing was changed"),
    )

    assert left_in_scratch(own_stack) == []
    drill(own_stack, name, expect=contract.exit_codes.unrehearsed)
    assert (backups_status(own_stack)["drill"]["name"], backups_status(own_stack)["healthy"]) == (name, False)
    assert drill(own_stack, newest)["schema"] == schema_of(own_stack)


@pytest.mark.control("RST-03")
def test_snapshot_of_a_newer_release_is_refused(own_stack: Stack, contract: Contract, tmp_path: Path) -> None:
    """A snapshot that a newer release wrote is refused by the older one, which stays as it was and goes on."""
    run_release(own_stack, with_migration(tmp_path, ONE_COLUMN_MORE))
    own_stack.write_walks(2)
    newer = own_stack.take_snapshot()
    container(own_stack.service("app").container).stop()
    # the older release cannot open the newer one's database: it begins with one of its own
    own_stack.as_root("sh", "-c", "rm -rf /srv/data/* /srv/state/app/*")
    run_release(own_stack, None)
    own_stack.write_walks(1)

    refused_and_unharmed(
        own_stack, "restore", newer, code=contract.exit_codes.newer, words=(newer, "start the newer site first")
    )

    assert own_stack.write_walk() in own_stack.read_walks()
