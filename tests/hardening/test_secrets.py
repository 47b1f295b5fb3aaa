"""The write token is a file that one service can read, and stands nowhere else."""

import pytest

from fixtures.engine_facts import container, image_facts
from fixtures.evidence import Door
from fixtures.redaction import redact
from fixtures.services import Service

pytestmark = pytest.mark.control("RUN-19")
LOG_LINES = 1000  # of a stack that has run for a year nobody reads more at noon

SECRETS = "/run/secrets"
OWNER_READS = "400"


def lines_with(token: str, log: str) -> list[str]:
    """Give the lines that have the token, without it."""
    assert token, "there must be a token to look for"
    return [redact(line, {token}).text for line in log.splitlines() if token in line]


@pytest.mark.live
def test_token_is_not_in_the_environment(service: Service) -> None:
    """No variable of the container has the write token as, or within, its value."""
    token = service.stack.token()
    assert token, "there must be a token to look for"

    assert [name for name, value in service.facts.environment.items() if token in value] == []


@pytest.mark.live
def test_token_is_not_in_the_image(service: Service) -> None:
    """No variable or label of the image has the write token."""
    token = service.stack.token()
    image = image_facts(service.facts.image)

    assert [name for name, value in (*image.environment.items(), *image.labels.items()) if token in value] == []


@pytest.mark.live
def test_token_is_mounted_in_the_app_alone(service: Service) -> None:
    """Only the app is given the secret, read-only."""
    given = [(one.path, one.writable) for one in service.mounts if "/secrets" in one.source + one.path]

    assert given == ([(f"{SECRETS}/write_token", False)] if service.name == "app" else [])


@pytest.mark.live
def test_token_is_readable_by_its_owner_alone(service: Service) -> None:
    """The secret's file is 0400 and the service user's; where none is given, none can be found."""
    found = service.host.run("stat --format='%a %u:%g %n' /run/secrets/* 2>/dev/null; true").stdout.splitlines()

    assert found == ([f"{OWNER_READS} 1001:1001 {SECRETS}/write_token"] if service.name == "app" else [])


@pytest.mark.live
def test_token_is_not_in_what_was_logged(service: Service, evidence: Door) -> None:
    """Whatever the service logged last, the write token is not in it."""
    token = service.stack.token()
    log = container(service.container).logs(tail=LOG_LINES).decode("utf-8", errors="backslashreplace")
    leaks = lines_with(token, evidence.saw("engine logs", log, subject=service.container))

    assert not leaks, f"log of {service.name}: {len(leaks)} of its lines have the write token, such as {leaks[0]}"


def test_token_is_not_in_the_log_of_its_use(service: Service) -> None:
    """The service's log has the line of a request that carried the write token, and not the token."""
    token = service.stack.token()
    service.stack.client.post("/api/walks", data=b"no walk", token=True)

    assert service.stack.service("app").logs().count("/api/walks"), "the request must be logged to say anything"
    leaks = lines_with(token, service.logs())
    assert not leaks, f"log of {service.name}: {len(leaks)} of its lines have the write token, such as {leaks[0]}"
