"""What must be true before a deploy begins; each refusal says what was seen and the next step."""

import http.client
from dataclasses import dataclass
from typing import Any

from ops import container, keeper, releases, switch
from ops.compose import Compose
from ops.errors import DeployError, Ending, Exit, StackError
from ops.hand import Hand
from ops.release import Release

NEEDED = ("gate", "app", "backup")


@dataclass(frozen=True)
class Found:
    """The stack as it stands."""

    app_image: str  # that runs, whatever the record says
    schema: int | None
    database_bytes: int
    checks: tuple[str, ...]  # what was looked at, in words


def check_release(one: Release) -> None:
    """Raise DeployError when the engine no longer has what is to be deployed."""
    if gone := releases.absent(one):
        raise _failed(
            f"release {one.id} is recorded, and the engine no longer has its images: {', '.join(gone)}",
            "./stack build makes the release of this checkout",
        )


def check(compose: Compose, *, ill_too: bool) -> Found:
    """Look at the stack. `ill_too` lets a rollback go on where the site is not well: that is what it mends."""
    done = compose.run("config", "--quiet", check=False)
    if done.code:
        raise _failed(f"Compose refuses its configuration: {done.stderr.strip()}", "correct docker/.env or the overlay")
    states = {name: container.inspect(compose.container(name)) for name in NEEDED}
    down = [name for name, seen in states.items() if not seen.runs and not (ill_too and name == "app")]
    if down:
        told = ", ".join(f"{name} is {states[name].told()}" for name in down)
        raise _failed(f"not everything runs: {told}", "./stack up starts it")
    if states["app"] is container.MISSING:
        raise _failed("there is no app to go on from", "./stack up starts the stack")
    status, health = switch.ask(compose.settings.url, "/api/health")
    if status != http.client.OK and not ill_too:
        raise _failed(
            f"the site is not well: /api/health answers {status or 'nothing'} {health.get('error', '')}",
            "./stack status says what to do; ./stack rollback goes back to the release before",
        )
    kept = _ask_keeper(compose, ill_too=ill_too)
    with Hand(compose.container("app")) as hand:
        switch.answers(hand, ill_too=ill_too and status != http.client.OK)
    checks = (
        "Compose takes the configuration",
        f"gate, app and backup run; the site answers {status or 'nothing'}",
        f"the database is whole, 1001's and writable, {kept.get('bytes', 0)} bytes, with room for two copies",
    )
    schema = kept.get("user_version")
    return Found(states["app"].image, schema if isinstance(schema, int) else None, int(kept.get("bytes", 0)), checks)


def _ask_keeper(compose: Compose, *, ill_too: bool) -> dict[str, Any]:
    code, document = keeper.call(compose, ["keep", "--dry-run"])
    if code == Exit.OK or (ill_too and code != Exit.NO_SPACE):
        return document
    if code == Exit.USAGE:
        raise _failed(
            "the keeper that runs is of a release that could not be deployed from",
            "./stack up brings the stack to this checkout's release, once",
        )
    raise _failed(f"the keeper refuses: {document.get('error')}", str(document.get("hint")))


def _failed(message: str, hint: str) -> DeployError:
    return DeployError(message, hint, Ending.PREFLIGHT)


def in_words(error: StackError) -> str:
    """One line of it."""
    return error.message.splitlines()[0]
