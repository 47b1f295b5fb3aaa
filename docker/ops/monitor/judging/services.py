"""Rules for the services' containers."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from ops.monitor.checks import Check, unknown
from ops.monitor.facts import Container, Facts, Resources, Unseen
from ops.monitor.thresholds import Limit, Limits, Status

_CAN_WAIT = "drill"  # without it the site serves and the keeper keeps


def judge(facts: Facts, limits: Limits) -> Iterator[Check]:
    """Judge each service."""
    if isinstance(facts.containers, Unseen):
        return
    for container in facts.containers.values():
        yield _state(container, limits["service.state"])
        if container.status == "missing":
            continue
        yield _restarts(container, facts.at, limits["service.restarts"])
        if container.status == "running":
            yield _health(container, facts.at, limits["service.health"])
            yield from _resources(container, limits)


def _state(container: Container, limit: Limit) -> Check:
    status: Status = "ok" if container.status == "running" else "critical"
    text = f"{container.service} is {container.status}"
    hint = ""
    if status != "ok":
        status = "warning" if container.service == _CAN_WAIT else "critical"
        hint = f"./stack up starts what does not run: {container.service}"
        if container.status in ("exited", "restarting", "dead"):
            text += f", exit code {container.exit_code}{', out of memory' if container.oom_killed else ''}"
        if container.status == "paused":
            hint = f"docker unpause {container.name}"
    return Check("service.state", container.service, container.status, limit, status, text, hint)


def _health(container: Container, now: datetime, limit: Limit) -> Check:
    status: Status = "ok" if container.health in ("healthy", "") else "warning"
    text = f"{container.service} is {container.health or 'without a check'}"
    young = container.started is not None and now - container.started < timedelta(seconds=limit.factors["starting_s"])
    if container.health == "starting":
        status = "ok" if young else "warning"
        text += "" if young else " for too long"
    if container.health == "unhealthy":
        status = "critical" if container.service in ("gate", "app") else "warning"
        text += f": {_short(container.probe)}" if container.probe else ""
    hint = "" if status == "ok" else f"./stack logs {container.service} shows why"
    return Check("service.health", container.service, container.health or "none", limit, status, text, hint)


def _restarts(container: Container, now: datetime, limit: Limit) -> Check:
    """See through a loop: each life may look healthy, or never live long enough to be called anything else."""
    window = timedelta(seconds=limit.factors["window_s"])
    recent = container.restarts if container.started is not None and now - container.started < window else 0
    if recent:
        lives = [at for at in container.deaths if now - at < window]
        lasted = now - container.created if container.created is not None else window
        # since somebody last started it; how many of them were recent is known of a young container or by its deaths
        recent = container.restarts if lasted < window else max(1, min(container.restarts, len(lives)))
    status = limit.grade(recent)
    if status == "critical":
        text = f"{container.service} restarts again and again: {recent} times within {window.seconds // 60} min"
    elif recent:
        text = f"{container.service} was restarted by itself, {container.restarts} times in all"
    else:
        text = f"{container.service} did not restart of late"
    hint = "" if status == "ok" else f"./stack logs {container.service} shows why it ended"
    return Check("service.restarts", container.service, recent, limit, status, text, hint)


def _resources(container: Container, limits: Limits) -> Iterator[Check]:
    used = container.resources
    if used is None:
        return
    if isinstance(used, Unseen):
        yield unknown("service.memory", container.service, limits["service.memory"], used)
        return
    yield _oom(container, used, limits["service.oom_kills"])
    yield from _share(container, "service.memory", "memory", used.memory, used.memory_limit, limits)
    yield from _share(container, "service.pids", "processes", used.pids, used.pids_limit, limits)


def _oom(container: Container, used: Resources, limit: Limit) -> Check:
    count = used.oom_kills
    status = limit.grade(count)
    counted = "1 process was" if count == 1 else f"{count} processes were"
    text = f"{container.service}: {counted} ended for want of memory since it started"
    hint = "" if status == "ok" else f"./stack restart {container.service} sets it back, once the cause is found"
    return Check("service.oom_kills", container.service, count, limit, status, text, hint)


def _share(container: Container, name: str, what: str, used: int, most: int | None, limits: Limits) -> Iterator[Check]:
    if not most:
        return
    share = round(used / most, 3)
    status = limits[name].grade(share)
    text = f"{container.service} uses {share:.0%} of its {what}"
    hint = "" if status == "ok" else f"./stack logs {container.service} shows what it does"
    yield Check(name, container.service, share, limits[name], status, text, hint)


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 160 else flat[:157] + "..."
