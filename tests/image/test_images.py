"""The built images: who they run as, what is in them, what they weigh."""

import re
import shlex
from datetime import UTC, datetime

import pytest

from fixtures import homes, recorded
from fixtures.contract import Contract
from fixtures.engine_facts import ImageFacts, image_facts
from fixtures.evidence import Door
from fixtures.image_files import ImageFile, image_files, image_text
from fixtures.run import CHECKOUT
from fixtures.services import Service

MEGABYTE = 1_000_000
LABELS = "org.opencontainers.image."
SET_ID = 0o6000
OTHERS_WRITE = 0o022
SECRET_NAMES = re.compile(r"\.git|\.env.*|.*\.(db|sqlite|pem|key)")


@pytest.fixture
def image(service: Service) -> str:
    """The digest of the image that the service runs from."""
    return service.facts.image


def facts(image: str) -> ImageFacts:
    """Look at the image."""
    return image_facts(image)


def files(image: str) -> tuple[ImageFile, ...]:
    """List the files of the image, and know that the list is whole."""
    found = image_files(image)
    assert "/usr/bin/sh" in {one.path for one in found}, "the shell is known to be there: the list is not whole"
    return found


@pytest.mark.live
@pytest.mark.control("IMG-01")
def test_user_is_a_number(image: str, contract: Contract) -> None:
    """The image names its user by numbers, and it is not root."""
    assert facts(image).user == f"{contract.stack.uid}:{contract.stack.gid}"


@pytest.mark.control("IMG-04")
def test_no_file_lends_its_owner(image: str) -> None:
    """No file of the image is setuid or setgid."""
    assert [one for one in files(image) if one.kind == "file" and one.mode & SET_ID] == []


@pytest.mark.control("IMG-05")
def test_no_tool_for_an_intruder(image: str, contract: Contract) -> None:
    """No compiler, package manager, downloader or the like is in the image."""
    tools = set(contract.stack.forbidden_tools)

    assert [one.path for one in files(image) if one.kind != "folder" and one.name in tools] == []


@pytest.mark.live
@pytest.mark.control("IMG-05")
def test_image_is_small(service: Service) -> None:
    """The unpacked image is within its size."""
    assert facts(service.facts.image).size <= service.promised.image_mb * MEGABYTE


@pytest.mark.control("IMG-05")
def test_image_holds_the_allowed_packages(service: Service, contract: Contract) -> None:
    """The Debian packages that the image says it holds, each with its version, are the allowed ones, and no other."""
    record = image_text(service.facts.image, "/var/lib/dpkg/status")
    packages = re.findall(r"^Package: (\S+)$", record, re.MULTILINE)
    versions = re.findall(r"^Version: (\S+)$", record, re.MULTILINE)

    assert sorted(packages) == sorted(contract.packages.texts(service.promised.image)), f"packages of {service.name}"
    assert len(packages) == len(versions)


@pytest.mark.live
@pytest.mark.control("IMG-07")
def test_image_has_a_health_check(image: str) -> None:
    """The image brings a health check of its own, so that it is watched where no Compose file is."""
    check = facts(image).health_check

    assert check is not None
    assert check.command[0] == "CMD"


@pytest.mark.live
@pytest.mark.promise("stopping reaches the program")
def test_program_is_started_without_a_shell(image: str) -> None:
    """The image starts its program directly: a shell in between would swallow the signal to stop."""
    started = facts(image)
    first = (*started.entrypoint, *started.command)[0]

    assert first.rpartition("/")[2] not in {"sh", "dash", "bash"}


@pytest.mark.live
@pytest.mark.control("IMG-09")
def test_image_says_where_it_comes_from(service: Service) -> None:
    """The image's labels name version, commit and the commit's time in UTC: those of the stack's release record."""
    labels = facts(service.facts.image).labels
    release = recorded.release(service.stack)
    source = release["images"][service.promised.image]["source"]
    said = {name: labels[f"{LABELS}{name}"] for name in ("version", "revision", "created")}

    assert re.fullmatch(r"\d+\.\d+\.\d+", labels[f"{LABELS}version"])
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?|unknown", labels[f"{LABELS}revision"])
    assert datetime.fromisoformat(labels[f"{LABELS}created"]).tzinfo == UTC
    assert said == {"version": release["version"], "revision": source["commit"], "created": source["created"]}


@pytest.mark.control("IMG-10")
def test_code_is_roots_and_fixed(image: str) -> None:
    """All code belongs to root, and nobody else may write it."""
    code = [one for one in files(image) if one.path.startswith("/app/")]

    assert any(one.name.endswith(".py") or one.name == "Caddyfile" for one in code), "there must be code"
    assert [f"{one.path}: {one.uid}:{one.gid}" for one in code if (one.uid, one.gid) != (0, 0)] == []
    assert [one for one in code if one.kind != "link" and one.mode & OTHERS_WRITE] == []


@pytest.mark.control("IMG-10")
def test_code_comes_without_secrets_and_data(image: str) -> None:
    """No repository, settings file, database or key lies beside the code."""
    code = [one for one in files(image) if one.path.startswith("/app/")]

    assert [one.path for one in code if SECRET_NAMES.fullmatch(one.name)] == []


@pytest.mark.live
@pytest.mark.control("SUP-04")
def test_stack_runs_the_recorded_release(service: Service) -> None:
    """The running image is the one that the release record of this stack names."""
    assert service.facts.image == recorded.release(service.stack)["images"][service.promised.image]["id"]


@pytest.mark.control("SUP-04")
def test_no_image_is_fetched_in_place_of_a_built_one(docker_compose_command: str, evidence: Door) -> None:
    """Compose may pull the image of no service and no job: where the built one is missing, nothing starts."""
    argv = [*shlex.split(docker_compose_command), "--env-file", "/dev/null", "-f", "docker/compose.yaml", "config"]
    resolved = evidence.run(*argv, "--format", "json", env=homes.environment(), cwd=CHECKOUT).json()["services"]

    assert {name: one.get("pull_policy") for name, one in resolved.items()} == dict.fromkeys(resolved, "never") != {}
