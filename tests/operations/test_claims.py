"""A stack touches what is its own, and mounts what is there now."""

from collections.abc import Iterator

import pytest
import requests

from fixtures.services import CONTRACT
from fixtures.stack import Stack, own_lifetime

CODES = CONTRACT.exit_codes

pytestmark = pytest.mark.promise("nothing is taken over that is not this stack's")


@pytest.fixture
def idle_stack(request: pytest.FixtureRequest, images: dict[str, str]) -> Iterator[Stack]:
    """A stack that was not started."""
    del images
    with own_lifetime(request.config, start=False) as stack:
        yield stack


def test_root_of_somebody_else_is_refused(idle_stack: Stack) -> None:
    """A root that already holds folders of our names, made by no start of ours, is refused and stays as it is."""
    theirs = idle_stack.root / "data" / "letter"
    theirs.parent.mkdir()
    theirs.write_text("not ours")
    before = theirs.stat()

    done = idle_stack.run("up", expect=CODES.usage)

    assert "was never a stack's and holds data already" in done.stderr
    assert (theirs.stat(), sorted(idle_stack.root.iterdir())) == (before, [theirs.parent])


def test_running_stack_keeps_to_its_root_and_its_root_to_it(module_stack: Stack, idle_stack: Stack) -> None:
    """Neither another root under a running stack's name, nor its root under another name, is accepted."""
    module_stack.write_walks(1)
    written = module_stack.read_walks()
    idle_stack.settings["MONSITE_PROJECT"] = module_stack.name
    other_root = idle_stack.run("up", expect=CODES.usage)
    idle_stack.settings |= {"MONSITE_PROJECT": idle_stack.name, "MONSITE_ROOT": str(module_stack.root)}
    other_name = idle_stack.run("up", expect=CODES.usage)

    assert f"project {module_stack.name} keeps its data in {module_stack.root}" in other_root.stderr
    assert f"{module_stack.root} is in use by container {module_stack.service('app').container}" in other_name.stderr
    assert module_stack.read_walks() == written


def test_replaced_folder_and_lost_token_are_mounted_anew(module_stack: Stack) -> None:
    """After the backups were emptied by hand and the tokens removed, `up` uses the new folder and new tokens."""
    former = module_stack.token()
    former_of_metrics = module_stack.token("metrics_token")
    module_stack.as_root("sh", "-c", "rm -rf /srv/backups /srv/secrets/*_token && mkdir /srv/backups")

    module_stack.up()

    assert module_stack.token() != former
    assert module_stack.token("metrics_token") != former_of_metrics
    assert module_stack.write_walk() in module_stack.read_walks()
    assert module_stack.take_snapshot() in module_stack.run("backup", "list", "--json").stdout
    old = {"Authorization": f"Bearer {former}"}
    assert module_stack.client.post("/api/walks", json={}, headers=old).status_code == requests.codes.unauthorized
    old = {"Authorization": f"Bearer {former_of_metrics}"}
    assert module_stack.client.get("/api/metrics", headers=old).status_code == requests.codes.unauthorized
    new = {"Authorization": f"Bearer {module_stack.token('metrics_token')}"}
    assert module_stack.client.get("/api/metrics", headers=new).status_code == requests.codes.ok


def test_start_mends_owners_and_the_failed_backup(module_stack: Stack) -> None:
    """Data given to root fails the site and a backup by name; `up` gives it back and takes the snapshot that failed."""
    module_stack.as_root("chown", "-R", "0:0", "/srv/data")
    refused = module_stack.run("backup", "now", expect=None)

    module_stack.up()

    module_stack.wait_until_well()
    assert (refused.code, "Permission denied" in refused.stderr) == (CODES.unreadable, True), refused.told()
    assert module_stack.run("status", "--json").json()["backup"]["last_run"]["outcome"] == "success"
