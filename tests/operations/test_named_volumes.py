"""Docker's named volumes instead of folders: the same promises."""

from collections.abc import Iterator

import pytest

from fixtures.stack import Stack, own_lifetime
from fixtures.wait import wait_for

pytestmark = pytest.mark.promise("the data may live in named volumes")

NOTICED_S = 5  # the site's health is at most a second old


@pytest.fixture
def volumes_stack(request: pytest.FixtureRequest, images: dict[str, str]) -> Iterator[Stack]:
    """A stack that keeps its data in volumes, running."""
    del images
    with own_lifetime(request.config, start=False) as stack:
        stack.settings["MONSITE_VOLUMES"] = "named"
        stack.up()
        yield stack


def test_volumes_outlive_the_containers_and_a_lost_database(volumes_stack: Stack) -> None:
    """On named volumes data survives `down` and `up`, and a lost database comes back from the newest snapshot."""
    written = volumes_stack.write_walks(3)
    volumes_stack.take_snapshot()
    volumes_stack.down()
    volumes_stack.up()
    after_the_restart = volumes_stack.read_walks()
    volumes_stack.exec("app", "sh", "-c", "rm /srv/data/balades.db*")
    wait_for("the loss to be real, or a restore that does nothing passes", lambda: _is_ill(volumes_stack), NOTICED_S)

    volumes_stack.restore("latest")

    assert after_the_restart == written
    assert volumes_stack.read_walks() == written
    assert list((volumes_stack.root / "data").iterdir()) == []


def _is_ill(stack: Stack) -> bool:
    return stack.run("status", "--json", expect=None).code != 0
