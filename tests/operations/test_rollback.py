"""A release that turned out to be no good is taken back: its code alone, or its code and the data of before."""

from collections.abc import Iterator

import pytest

from fixtures.contract import Contract
from fixtures.deploys import deploy, faults_of, lines, live
from fixtures.evidence import Door
from fixtures.kinds import good, same_schema
from fixtures.made_releases import MadeRelease, maker
from fixtures.mixed_load import stored, visitors
from fixtures.stack import Stack

pytestmark = pytest.mark.promise("a release can be taken back")


@pytest.fixture
def releases(own_stack: Stack) -> Iterator[dict[str, MadeRelease]]:
    """A stack on which one release was deployed after the other, by their names; the last changed the code alone."""
    kinds = (good(2), same_schema(2))
    with maker() as make:
        made = {kind.name: make(own_stack, kind) for kind in kinds}
        for one in made.values():
            deploy(own_stack, one, watch_s=0)
        yield made


def test_code_goes_back_alone_or_with_its_data(
    own_stack: Stack, releases: dict[str, MadeRelease], contract: Contract, seed: int, evidence: Door
) -> None:
    """A rollback of the code is noticed by nobody; one step further it takes the data of then, and names what goes."""
    pace = contract.deploy.number("visits_per_s")
    with visitors(own_stack, per_second=pace, seed=seed) as visits:
        own_stack.run("rollback", "--watch-seconds", "0", within=240)
    assert faults_of(own_stack, releases["good-2"], 2, visits) == []
    kept = stored(own_stack)

    refused = own_stack.run("rollback", "--watch-seconds", "0", expect=None, within=240)
    assert refused.code == contract.deploy.whole("rejected"), "the code before cannot read this schema"
    assert (live(own_stack), stored(own_stack)) == ("good-2", kept)
    own_stack.run("rollback", "--with-data", "--watch-seconds", "0", within=240)

    gone = stored(own_stack)
    evidence.saw("the database before and after", f"{len(kept.titles)} walks, {len(gone.titles)} walks")
    assert (live(own_stack), gone.schema, gone.titles) == ("own", 1, ())
    verbs = [(line["verb"], line["outcome"]) for line in lines(own_stack)]
    assert verbs == [("deploy", "live")] * 2 + [("rollback", "live"), ("rollback", "rejected"), ("rollback", "live")]
