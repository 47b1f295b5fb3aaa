"""What runs is what was put there: no container was changed, added or taken away past `./stack up`."""

import json
from typing import Any

import pytest

from fixtures.engine_facts import PROJECT_LABEL, SERVICE_LABEL, engine
from fixtures.evidence import Door
from fixtures.services import Service
from fixtures.stack import Stack

pytestmark = [pytest.mark.control("RUN-20"), pytest.mark.live]

CONFIG_LABEL = "com.docker.compose.config-hash"
ONE_OFF_LABEL = "com.docker.compose.oneoff"


def recorded(stack: Stack, evidence: Door) -> dict[str, Any]:
    """Give what `up` wrote down of the containers it made."""
    containers: dict[str, Any] = json.loads(evidence.read(stack.root / "state" / "running.json"))["containers"]
    return containers


def test_container_is_as_up_made_it(service: Service, evidence: Door) -> None:
    """The container has the image and the configuration that `up` recorded."""
    facts = service.facts
    seen = {"config": facts.labels[CONFIG_LABEL], "image": facts.image}

    assert seen == recorded(service.stack, evidence)[service.name]


def test_no_container_was_added_or_lost(stack: Stack, evidence: Door) -> None:
    """The project has the containers that `up` recorded and no other; the services run, the jobs are over."""
    found = engine().containers.list(all=True, sparse=True, filters={"label": f"{PROJECT_LABEL}={stack.name}"})
    lasting = [one.attrs for one in found if one.attrs["Labels"].get(ONE_OFF_LABEL) != "True"]
    states = sorted((one["Labels"][SERVICE_LABEL], one["State"]) for one in lasting)
    evidence.saw(f"engine ps --all of project {stack.name}", json.dumps(states), subject=stack.name)
    jobs = stack.contract.stack.jobs

    assert states == sorted((name, "exited" if name in jobs else "running") for name in recorded(stack, evidence)), (
        "`./stack up` brings back what was recorded"
    )
