"""Each token is a file that one service can read, and stands nowhere else."""

import pytest

from fixtures.engine_facts import container, image_facts
from fixtures.evidence import Door
from fixtures.redaction import redact
from fixtures.services import CONTRACT, Service
from fixtures.wait import wait_for

pytestmark = pytest.mark.control("RUN-19")
LOG_LINES = 1000  # of a stack that has run for a year nobody reads more at noon

ENGINE_LAG_S = 10
SECRETS = "/run/secrets"
OWNER_READS = "400"
USES = {"metrics_token": ("GET", "/api/metrics"), "write_token": ("POST", "/api/walks")}
TOKENS = sorted(name for promised in CONTRACT.services.values() for name in promised.secrets)


def spoken(name: str) -> str:
    """A secret's name, as people say it."""
    return name.replace("_", " ")


def lines_with(token: str, log: str) -> list[str]:
    """Give the lines that have the token, without it."""
    assert token, "there must be a token to look for"
    return [redact(line, {token}).text for line in log.splitlines() if token in line]


@pytest.mark.live
@pytest.mark.parametrize("name", TOKENS)
def test_token_is_not_in_the_environment(service: Service, name: str) -> None:
    """No variable of the container has the token as, or within, its value."""
    token = service.stack.token(name)
    assert token, "there must be a token to look for"

    assert [variable for variable, value in service.facts.environment.items() if token in value] == []


@pytest.mark.live
@pytest.mark.parametrize("name", TOKENS)
def test_token_is_not_in_the_image(service: Service, name: str) -> None:
    """No variable or label of the image has the token."""
    token = service.stack.token(name)
    image = image_facts(service.facts.image)

    assert [key for key, value in (*image.environment.items(), *image.labels.items()) if token in value] == []


@pytest.mark.live
def test_token_is_mounted_in_the_app_alone(service: Service) -> None:
    """Only the app is given the secrets, read-only."""
    given = sorted((one.path, one.writable) for one in service.mounts if "/secrets" in one.source + one.path)

    assert given == [(f"{SECRETS}/{name}", False) for name in service.promised.secrets]


@pytest.mark.live
def test_token_is_readable_by_its_owner_alone(service: Service) -> None:
    """A secret's file is 0400 and the service user's; where none is given, none can be found."""
    found = service.host.run("stat --format='%a %u:%g %n' /run/secrets/* 2>/dev/null; true").stdout.splitlines()

    assert found == [f"{OWNER_READS} 1001:1001 {SECRETS}/{name}" for name in service.promised.secrets]


@pytest.mark.live
@pytest.mark.parametrize("name", TOKENS)
def test_token_is_not_in_what_was_logged(service: Service, evidence: Door, name: str) -> None:
    """Whatever the service logged last, the token is not in it."""
    token = service.stack.token(name)
    log = container(service.container).logs(tail=LOG_LINES).decode("utf-8", errors="backslashreplace")
    leaks = lines_with(token, evidence.saw("engine logs", log, subject=service.container))

    assert not leaks, f"log of {service.name}: {len(leaks)} of its lines have the {spoken(name)}, such as {leaks[0]}"


@pytest.mark.parametrize("name", TOKENS)
def test_token_is_not_in_the_log_of_its_use(service: Service, name: str) -> None:
    """The service's log has the line of a request that carried the token, and not the token."""
    token = service.stack.token(name)
    method, path = USES[name]
    service.stack.client.call(method, path, headers={"Authorization": f"Bearer {token}"})

    # or it would say nothing; a line is printed before the engine has it
    wait_for(
        f"the log of {method} {path}",
        lambda: path in service.stack.service("app").logs(),
        ENGINE_LAG_S,
        story=service.stack.story,
    )
    leaks = lines_with(token, service.logs())
    assert not leaks, f"log of {service.name}: {len(leaks)} of its lines have the {spoken(name)}, such as {leaks[0]}"
