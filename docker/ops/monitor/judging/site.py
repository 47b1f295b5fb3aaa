"""Rules for the site as a visitor meets it."""

from collections.abc import Iterator
from datetime import datetime

from ops.health import NEXT_STEP
from ops.monitor.checks import Check, unknown
from ops.monitor.facts import Answer, Facts, Folders, Silent, Unseen
from ops.monitor.thresholds import Limit, Limits

_OK = 200


def judge(facts: Facts, limits: Limits) -> Iterator[Check]:
    """Judge the gate, the site's own health, its time, and whether it takes traffic."""
    site = facts.site
    if site is None:
        return
    yield _gate(site.gate, _runs(facts, "gate"), limits["site.gate"])
    yield _health(site.health, _runs(facts, "app"), limits["site.health"])
    if isinstance(site.health, Answer):
        yield _time(site.health, limits["site.time"])
    yield _ready(site.ready, facts, limits["site.ready"])


def _runs(facts: Facts, service: str) -> bool:
    """Tell whether a service runs; where it does not, a check of its own says so, with the next step."""
    return isinstance(facts.containers, Unseen) or facts.containers[service].status == "running"


def _gate(answer: Answer | Silent, gate_runs: bool, limit: Limit) -> Check:
    if isinstance(answer, Answer) and answer.status == _OK:
        return Check("site.gate", "site", "answers", limit, "ok", "the gate answers")
    told = answer.reason if isinstance(answer, Silent) else f"the gate answers {answer.status}"
    hint = "./stack logs gate shows why" if gate_runs else ""
    return Check("site.gate", "site", "silent", limit, "critical", told, hint)


def _health(answer: Answer | Silent | Unseen, app_runs: bool, limit: Limit) -> Check:
    if isinstance(answer, Unseen):
        return unknown("site.health", "site", limit, answer)
    if isinstance(answer, Silent):
        hint = "the app heals itself when frozen, within 45 s; ./stack logs app" if app_runs else ""
        return Check("site.health", "site", "silent", limit, "critical", answer.reason, hint)
    if answer.status == _OK:
        return Check("site.health", "site", "healthy", limit, "ok", "the site is well")
    said = answer.said or f"status {answer.status}"
    hint = NEXT_STEP.get(said, "./stack logs app shows why" if app_runs else "")
    return Check("site.health", "site", said, limit, "critical", f"the site says {said}", hint)


def _time(answer: Answer, limit: Limit) -> Check:
    status = limit.grade(answer.ms)
    hint = "" if status == "ok" else "./stack monitor --watch shows what the services are busy with"
    return Check("site.time", "site", answer.ms, limit, status, f"the site answers after {answer.ms:.0f} ms", hint)


def _ready(answer: Answer | Silent | Unseen, facts: Facts, limit: Limit) -> Check:
    if isinstance(answer, Unseen):
        return unknown("site.ready", "site", limit, answer)
    if isinstance(answer, Silent):
        return Check("site.ready", "site", "silent", limit, "critical", answer.reason, "./stack logs app shows why")
    if answer.status == _OK:
        return Check("site.ready", "site", "ready", limit, "ok", "the site takes requests")
    said = answer.said or f"status {answer.status}"
    text = f"the gate holds every request: the app says {said}{_until(facts)}"
    hint = NEXT_STEP.get(said, "./stack up settles a deploy that was cut short; ./stack logs app")
    return Check("site.ready", "site", said, limit, "critical", text, hint)


def _until(facts: Facts) -> str:
    flag = facts.folders.draining if isinstance(facts.folders, Folders) else None
    if flag is None or isinstance(flag, Unseen):
        return ""
    try:
        until = datetime.fromisoformat(str(flag.get("until")))
    except ValueError:
        return ""
    return f" until {until:%H:%M:%S} UTC"
