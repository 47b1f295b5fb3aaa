"""What people wrote outlives the containers."""

import pytest

from fixtures.engine_facts import ContainerGone
from fixtures.snapshots import MINIATURE
from fixtures.stack import Stack


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
