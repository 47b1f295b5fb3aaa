"""What runs is what was put there: no container was changed, added or taken away past `./stack up`."""

import json
from collections import Counter

import pytest

from fixtures import recorded
from fixtures.engine_facts import PROJECT_LABEL, SERVICE_LABEL, engine
from fixtures.evidence import Door
from fixtures.services import Service
from fixtures.stack import Stack

pytestmark = [pytest.mark.control("RUN-20"), pytest.mark.live]

CONFIG_LABEL = "com.docker.compose.config-hash"
ONE_OFF_LABEL = "com.docker.compose.oneoff"


def test_container_is_as_up_made_it(service: Service) -> None:
    """The container has the image and the configuration that `up` recorded."""
    facts = service.facts
    seen = {"config": facts.labels[CONFIG_LABEL], "image": facts.image}

    assert seen == recorded.containers(service.stack).get(service.name), f"{service.name} is not as it was recorded"


def test_no_container_was_added_or_lost(stack: Stack, evidence: Door) -> None:
    """The project has the containers that `up` recorded and no other; the services run, the jobs are over."""
    found = engine().containers.list(all=True, sparse=True, filters={"label": f"{PROJECT_LABEL}={stack.name}"})
    lasting = [one.attrs for one in found if one.attrs["Labels"].get(ONE_OFF_LABEL) != "True"]
    states = sorted((one["Labels"][SERVICE_LABEL], one["State"]) for one in lasting)
    evidence.saw(f"engine ps --all of project {stack.name}", json.dumps(states), subject=stack.name)
    jobs = stack.contract.stack.jobs

    made = Counter((name, "exited" if name in jobs else "running") for name in recorded.containers(stack))

    seen = Counter(states)
    assert seen == made, (
        f"seen and not recorded: {sorted((seen - made).elements())}; "
        f"recorded and not seen: {sorted((made - seen).elements())}; `./stack up` brings back what was recorded"
    )
