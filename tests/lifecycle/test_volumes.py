"""What people wrote outlives the containers."""

import pytest

from fixtures.engine_facts import ContainerGone
from fixtures.snapshots import MINIATURE
from fixtures.stack import Stack

# lays down so many MiB as SQLite does for an index or a rebuilt table
SORT = """
import sqlite3, sys
database = sqlite3.connect(":memory:", isolation_level=None)
database.execute("PRAGMA temp_store = FILE")
database.execute("CREATE TEMP TABLE work (body BLOB)")
for _ in range(int(sys.argv[1])):
    database.execute("INSERT INTO work VALUES (randomblob(1048576))")
print(database.execute("SELECT count(*) FROM work").fetchone()[0])
"""


@pytest.mark.control("VOL-02")
def test_data_outlives_the_containers(module_stack: Stack) -> None:
    """After `down` and `up` the new containers serve the same walks, pictures and snapshots, and take new ones."""
    module_stack.write_walks(3)
    number = module_stack.read_walks()[0]["id"]
    sent = module_stack.client.post(
        f"/api/walks/{number}/images", files={"file": ("p.png", MINIATURE, "image/png")}, token=True
    )
    sent.raise_for_status()
    snapshot = module_stack.take_snapshot()
    walks, token, identity = module_stack.read_walks(), module_stack.token(), module_stack.identity()

    module_stack.down()
    with pytest.raises(ContainerGone):
        module_stack.identity()
    module_stack.up()

    assert module_stack.read_walks() == walks
    assert module_stack.client.get(sent.json()["url"]).content == MINIATURE
    assert module_stack.token() == token
    assert snapshot in {one["name"] for one in module_stack.run("backup", "list", "--json").json()["snapshots"]}
    assert {one[1] for one in module_stack.identity()}.isdisjoint({one[1] for one in identity})
    assert module_stack.write_walk() in module_stack.read_walks()


@pytest.mark.control("VOL-02")
def test_database_lies_on_the_host(module_stack: Stack) -> None:
    """The file that the app has open is the one in the stack's data folder on the host."""
    inside = module_stack.exec("app", "stat", "--format=%d:%i", "/srv/data/balades.db").stdout.strip()
    on_host = module_stack.as_root("stat", "--format=%d:%i", "/srv/data/balades.db").stdout.strip()

    assert inside == on_host != ""


@pytest.mark.promise("a migration may sort more than fits into /tmp")
@pytest.mark.parametrize("name", ["app", "drill", "backup"])
def test_sorting_has_the_room_of_the_disk(module_stack: Stack, name: str) -> None:
    """Where SQLite runs it can lay down more intermediate work than the service's /tmp holds, and leaves none."""
    beyond_mib = 2 * module_stack.contract.services[name].tmp_mib
    before = module_stack.as_root("ls", "-AR", "/srv").stdout.count("etilqs")

    written = module_stack.exec(name, "python3", "-c", SORT, str(beyond_mib))

    assert (written.code, written.stdout.strip()) == (0, str(beyond_mib))
    assert module_stack.as_root("ls", "-AR", "/srv").stdout.count("etilqs") == before == 0
