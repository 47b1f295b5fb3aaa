"""Wait until the whole stack is well, by asking it; Compose's own --wait lasts a health interval longer."""

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ops.compose import Compose, run
from ops.errors import StackError
from ops.release import SERVICES

DEADLINE_S = 60.0
PAUSE_S = 0.1
NEXT_STEP = {  # by what the site's health says
    "database_missing": "./stack restore latest brings the newest snapshot back",
    "database_damaged": "./stack restore latest brings the newest snapshot back; the damaged file is kept",
    "database_unreadable": "./stack up gives the folders back to 1001; then look for what changed their owner or mode",
    "database_readonly": "./stack up gives the folders back to 1001; then look for what changed their owner or mode",
    "disk_full": "free space on the file system of MONSITE_ROOT",
    "schema_mismatch": "run the release that wrote this database, or restore a snapshot of this release",
}

_BACKUP_STEP = (
    "the site itself is well; ./stack backup now takes a snapshot at once, ./stack backup drill tries one out, "
    "and each says why when it cannot"
)


@dataclass(frozen=True)
class State:
    """What the engine says of one service's container."""

    service: str
    status: str  # running, exited, restarting …, or "missing"
    health: str  # healthy, unhealthy, starting, or "" without a check
    restarts: int
    exit_code: int
    started: str


def states(compose: Compose) -> list[State]:
    """Return the state of every service of the topology, whether its container exists or not."""
    names = [compose.container(service) for service in SERVICES]
    done = run(["docker", "container", "inspect", *names], check=False)
    found: dict[str, Any] = {entry["Name"].lstrip("/"): entry for entry in json.loads(done.stdout or "[]")}
    return [_state(service, found.get(compose.container(service))) for service in SERVICES]


def wait_until_well(compose: Compose) -> None:
    """Return when the site is well and so is the keeper of the snapshots.

    Raises StackError naming the service that is not, with its state and its last log lines.
    """
    wait_until_site_well(compose)
    _wait(compose, "backup", lambda: _keeper_health(compose))


def wait_until_site_well(compose: Compose) -> None:
    """Return when the site answers its health with 200 through the gate.

    Raises StackError with what it answered instead, the app's state and its last log lines.
    """
    _wait(compose, "app", lambda: site_health(compose.settings.url))


def _wait(compose: Compose, service: str, ask: Callable[[], str]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    before = {state.service: state.restarts for state in states(compose)}
    while (seen := ask()) != "healthy":
        _give_up_on_the_dead(compose, {service, "gate"}, before)
        if time.monotonic() > deadline:
            raise _unwell(compose, service, seen, f"is not well after {DEADLINE_S:.0f} s: {seen}")
        time.sleep(PAUSE_S)


def site_health(url: str, timeout: float = 2.0) -> str:
    """Return "healthy", or what the site said instead: its error, its status, or why there was no answer."""
    parts = urlsplit(url)
    line = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        line.request("GET", "/api/health")
        answer = line.getresponse()
        body = json.loads(answer.read(65536))
        return str(body.get("error") or body.get("status"))
    except (OSError, http.client.HTTPException) as error:
        return f"no answer ({error or type(error).__name__})"
    except json.JSONDecodeError:
        return f"status {answer.status}"
    finally:
        line.close()


def _keeper_health(compose: Compose) -> str:
    done = run(["docker", "exec", compose.container("backup"), "python3", "-m", "backup", "health"], check=False)
    return "healthy" if done.code == 0 else (done.stdout + done.stderr).strip() or f"exit code {done.code}"


def _give_up_on_the_dead(compose: Compose, concerned: set[str], before: dict[str, int]) -> None:
    """Stop waiting when a service that the answer needs has ended, or keeps ending while we wait."""
    for state in states(compose):
        restarts = state.restarts - before[state.service]
        if state.service in concerned and (state.status in ("exited", "dead", "missing") or restarts >= 3):
            seen = f"is {state.status} with exit code {state.exit_code}, restarted {restarts} times while waited for"
            raise _unwell(compose, state.service, "", seen)


def _unwell(compose: Compose, service: str, answer: str, seen: str) -> StackError:
    logs = run(["docker", "logs", "--tail", "12", compose.container(service)], check=False)
    tail = (logs.stdout + logs.stderr).strip()
    return StackError(
        f"service {service} {seen}\nits last log lines:\n{tail}",
        _BACKUP_STEP
        if service == "backup"
        else NEXT_STEP.get(
            answer, f"./stack logs {service} shows more; ./stack down stops what runs and keeps the data"
        ),
    )


def _state(service: str, entry: Any) -> State:
    if entry is None:
        return State(service, "missing", "", 0, 0, "")
    state = entry["State"]
    health = state.get("Health", {}).get("Status", "")
    return State(service, state["Status"], health, entry["RestartCount"], state["ExitCode"], state["StartedAt"])
