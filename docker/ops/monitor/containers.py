"""The services' containers: what the engine says of each, and what the kernel counts."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ops.errors import Exit, StackError
from ops.monitor.cgroups import resources
from ops.monitor.engine_api import Api, NotThere
from ops.monitor.facts import Container, Resources
from ops.release import SERVICES
from ops.settings import Settings

_TOKEN = "/run/secrets/write_token"  # noqa: S105  # where the app finds it; a path, not a secret
_REMEMBERED = timedelta(minutes=10)  # the engine forgets sooner: it keeps some hundred events
_NANO = 1_000_000_000
_PROBE_CHARS = 300


def look(api: Api, settings: Settings, now: datetime) -> dict[str, Container]:
    """Ask for every service of the topology, whether its container exists or not.

    Raises EngineSilent without an answer, StackError where the containers are of a stack under another root.
    """
    deaths = _deaths(api, settings.project, now)
    found = {}
    for service in SERVICES:
        name = f"{settings.project}-{service}-1"
        try:
            told = api.get(f"/containers/{name}/json")
        except NotThere:
            found[service] = Container(service, name, "missing")
            continue
        _refuse_stranger(told, settings)
        found[service] = _container(service, name, told, deaths.get(service, ()))
    return found


def again(containers: Mapping[str, Container]) -> dict[str, Container]:
    """Read a second time what the kernel counts."""
    return {name: replace(one, resources=resources(one.pid)) if one.pid else one for name, one in containers.items()}


def with_cpu(before: Mapping[str, Container], after: Mapping[str, Container], seconds: float) -> dict[str, Container]:
    """Add which share of its processors each container used between two looks."""
    return {name: replace(one, cpu_share=_share(before.get(name), one, seconds)) for name, one in after.items()}


def _share(before: Container | None, after: Container, seconds: float) -> float | None:
    if before is None or before.started != after.started or seconds <= 0:
        return None
    first, second = before.resources, after.resources
    if not isinstance(first, Resources) or not isinstance(second, Resources):
        return None
    return max(0, second.cpu_ns - first.cpu_ns) / _NANO / seconds / (after.cpus or 1.0)


def _container(service: str, name: str, told: dict[str, Any], deaths: tuple[datetime, ...]) -> Container:
    state, limits = told["State"], told["HostConfig"]
    probes = (state.get("Health") or {}).get("Log") or []
    return Container(
        service=service,
        name=name,
        status=state["Status"],
        health=(state.get("Health") or {}).get("Status", ""),
        probe=probes[-1]["Output"].strip()[:_PROBE_CHARS] if probes and probes[-1]["ExitCode"] else "",
        restarts=told["RestartCount"],
        exit_code=state["ExitCode"],
        oom_killed=state["OOMKilled"],
        created=moment(told["Created"]),
        started=moment(state["StartedAt"]),
        deaths=deaths,
        pid=state["Pid"],
        cpus=_cpus(limits),
        resources=resources(state["Pid"]) if state["Pid"] else None,
    )


def _deaths(api: Api, project: str, now: datetime) -> dict[str, tuple[datetime, ...]]:
    """Return when containers of this project ended, as far as the engine remembers."""
    ours = {"type": ["container"], "event": ["die"], "label": [f"com.docker.compose.project={project}"]}
    asked = {"since": f"{(now - _REMEMBERED).timestamp():.6f}", "until": f"{now.timestamp():.6f}"}  # later would wait
    found: dict[str, list[datetime]] = {}
    for event in api.events(**asked, filters=ours):
        service = event["Actor"]["Attributes"].get("com.docker.compose.service", "")
        found.setdefault(service, []).append(datetime.fromtimestamp(event["time"], UTC))
    return {service: tuple(sorted(times)) for service, times in found.items()}


def _refuse_stranger(told: dict[str, Any], settings: Settings) -> None:
    """Raise StackError when the containers of this name keep their data under another root."""
    for mount in told["Mounts"]:
        if mount["Destination"] == _TOKEN and (root := Path(mount["Source"]).parents[1]) != settings.root:
            raise StackError(
                f"project {settings.project} keeps its data in {root}, not in {settings.root}",
                "set MONSITE_ROOT to that folder, or MONSITE_PROJECT to the stack that is meant",
                Exit.USAGE,
            )


def _cpus(limits: dict[str, Any]) -> float:
    if limits.get("NanoCpus"):
        return float(limits["NanoCpus"]) / _NANO
    return float(limits["CpuQuota"]) / float(limits["CpuPeriod"]) if limits.get("CpuQuota") else 0.0


def moment(text: str) -> datetime | None:
    """Read an engine's time, which has more digits than Python takes; None for the one that stands for never."""
    if text.startswith("0001-"):
        return None
    head, _, _ = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(head).replace(tzinfo=UTC) if len(head) == len("2026-01-01T00:00:00") else None
