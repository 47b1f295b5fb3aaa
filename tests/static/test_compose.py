"""The Compose files are complete: they resolve without a warning, and hold what the contract names."""

import json
import shlex
from typing import Any

import pytest

from fixtures import homes
from fixtures.contract import Contract
from fixtures.evidence import Completed, Door
from fixtures.run import CHECKOUT

PRODUCTION = "docker/compose.yaml"
OVERLAYS = ["", "docker/compose.test.yaml", "docker/compose.volumes.yaml"]


def resolve(compose: str, evidence: Door, overlay: str, *how: str) -> Completed:
    """Let Compose itself read the production file, with an overlay on top."""
    files = [part for name in (PRODUCTION, overlay) if name for part in ("-f", name)]
    # the suite's overlay asks for a root: it must never run on somebody's data by chance
    given = {"MONSITE_ROOT": "/nonexistent"} if "test" in overlay else {}
    argv = [*shlex.split(compose), "--env-file", "/dev/null", *files, "config", *how]
    return evidence.run(*argv, env={**homes.environment(), **given}, cwd=CHECKOUT)


@pytest.mark.control("DEP-06")
@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda name: name.rpartition("/")[2] or "production")
def test_files_resolve_without_a_warning(docker_compose_command: str, evidence: Door, overlay: str) -> None:
    """Compose accepts the files and has nothing to warn of, no unset variable among others."""
    done = resolve(docker_compose_command, evidence, overlay, "--quiet")

    assert (done.code, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.control("DEP-06")
def test_unset_variable_would_be_noticed(docker_compose_command: str, evidence: Door, tmp_path: Any) -> None:
    """The control: a file that asks for a variable which nobody sets does make Compose warn."""
    faulty = tmp_path / "faulty.yaml"
    faulty.write_text("services: {gate: {labels: {x: '${UNDEFINED_VAR}'}}}\n", encoding="utf-8")

    assert "UNDEFINED_VAR" in resolve(docker_compose_command, evidence, str(faulty), "--quiet").stderr


@pytest.mark.promise("nothing runs that the contract does not describe")
def test_services_are_the_contract_s(docker_compose_command: str, evidence: Door, contract: Contract) -> None:
    """The topology has the services and jobs of the contract, and no other."""
    topology = json.loads(resolve(docker_compose_command, evidence, "", "--format", "json").stdout)

    assert sorted(topology["services"]) == sorted([*contract.stack.services, *contract.stack.jobs])


@pytest.mark.promise("the suite proves what production runs")
def test_overlay_of_the_suite_adds_labels_alone(docker_compose_command: str, evidence: Door) -> None:
    """Laid over production, the suite's file changes no service but for one label."""
    plain, laid_over = (
        json.loads(resolve(docker_compose_command, evidence, overlay, "--format", "json").stdout)["services"]
        for overlay in OVERLAYS[:2]
    )

    assert {name: without_root(one) for name, one in laid_over.items()} == {
        name: without_root(one) for name, one in plain.items()
    }


def without_root(service: dict[str, Any]) -> dict[str, Any]:
    """Leave out what must differ: the label of the suite, and where the data lies."""
    mounts = [{**mount, "source": ""} for mount in service.get("volumes", [])]
    return {**service, "labels": {}, "volumes": mounts}
