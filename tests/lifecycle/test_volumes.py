"""What people wrote outlives the containers."""

import pytest

from fixtures.engine_facts import ContainerGone
from fixtures.stack import Stack

MINIATURE = bytes.fromhex(  # a whole PNG of one pixel
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060"
    "000000050001a5f645400000000049454e44ae426082"
)


@pytest.mark.control("VOL-02")
def test_data_outlives_the_containers(own_stack: Stack) -> None:
    """After `down` and `up` the new containers serve the same walks, pictures and snapshots, and take new ones."""
    own_stack.write_walks(3)
    number = own_stack.read_walks()[0]["id"]
    sent = own_stack.client.post(
        f"/api/walks/{number}/images", files={"file": ("p.png", MINIATURE, "image/png")}, token=True
    )
    sent.raise_for_status()
    snapshot = own_stack.take_snapshot()
    walks, token, identity = own_stack.read_walks(), own_stack.token(), own_stack.identity()

    own_stack.down()
    with pytest.raises(ContainerGone):
        own_stack.identity()
    own_stack.up()

    assert own_stack.read_walks() == walks
    assert own_stack.token() == token
    assert snapshot in {one["name"] for one in own_stack.run("backup", "list", "--json").json()["snapshots"]}
    assert {one[1] for one in own_stack.identity()}.isdisjoint({one[1] for one in identity})
    assert own_stack.write_walk() in own_stack.read_walks()


@pytest.mark.control("VOL-02")
def test_database_lies_on_the_host(stack: Stack) -> None:
    """The file that the app has open is the one in the stack's data folder on the host."""
    inside = stack.exec("app", "stat", "--format=%d:%i", "/srv/data/balades.db").stdout.strip()
    on_host = stack.as_root("stat", "--format=%d:%i", "/srv/data/balades.db").stdout.strip()

    assert inside == on_host != ""
