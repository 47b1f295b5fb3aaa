"""Docker's named volumes instead of folders: the same promises."""

from collections.abc import Iterator

import pytest

from fixtures.deploys import DEPLOY_S, deploy, live
from fixtures.kinds import good
from fixtures.made_releases import Make
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


def test_release_goes_live_and_back_on_volumes(volumes_stack: Stack, make_release: Make) -> None:
    """On named volumes a release that changes the schema goes live, and back with its data."""
    promised = volumes_stack.write_walks(2)
    deploy(volumes_stack, make_release(volumes_stack, good(2)), watch_s=0)
    as_deployed = [live(volumes_stack), volumes_stack.read_walks()]
    volumes_stack.write_walks(1)

    volumes_stack.run("rollback", "--with-data", "--watch-seconds", "0", within=DEPLOY_S)

    assert as_deployed == ["good-2", promised]
    assert [live(volumes_stack), volumes_stack.read_walks()] == ["own", promised]
    assert list((volumes_stack.root / "data").iterdir()) == []


def _is_ill(stack: Stack) -> bool:
    return stack.run("status", "--json", expect=None).code != 0
