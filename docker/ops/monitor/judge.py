"""Facts in, checks out: a pure function, so that every rule has a row in a table of its tests."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from ops.monitor.checks import Check, unknown
from ops.monitor.facts import Facts, Unseen
from ops.monitor.judging import backups, deploys, folders, services, site
from ops.monitor.thresholds import Limits

_EXCUSABLE = ("service.", "site.", "database.")  # what starting, stopping and exchanging things causes
_RESTORE = "database.wal"  # an exchange writes the whole database through it
ENGINE_STEP = "./stack doctor says what is missing"


def judge(facts: Facts, limits: Limits) -> list[Check]:
    """Judge everything that was seen, and say of everything else that it was not."""
    if _never_started(facts):
        nothing = Unseen(f"project {facts.project} was never started on {facts.root}")
        return [unknown("stack.there", "stack", limits["stack.there"], nothing, "./stack up starts it")]
    checks = [
        *_engine(facts, limits),
        *site.judge(facts, limits),
        *folders.judge(facts, limits),
        *services.judge(facts, limits),
        *backups.judge(facts, limits),
        *deploys.judge(facts, limits),
    ]
    return [_weighed(check, facts, limits) for check in checks]


def _engine(facts: Facts, limits: Limits) -> Iterator[Check]:
    limit = limits["engine.answers"]
    if isinstance(facts.containers, Unseen):
        yield unknown("engine.answers", "engine", limit, facts.containers, ENGINE_STEP)
    else:
        yield Check("engine.answers", "engine", "answers", limit, "ok", "the Docker engine answers")


def _never_started(facts: Facts) -> bool:
    gone = isinstance(facts.containers, Unseen) or all(one.status == "missing" for one in facts.containers.values())
    return gone and not facts.deploys.ever_up


def _weighed(check: Check, facts: Facts, limits: Limits) -> Check:
    """Excuse what a verb that is at work explains, for as long as such a verb may take."""
    work = facts.deploys.work
    if work is None or check.status == "ok" or not check.id.startswith(_EXCUSABLE):
        return check
    if check.id == _RESTORE and work.verb == "restore" and check.status == "warning":
        return replace(check, status="ok", during="restore")
    lasted = facts.at - work.since
    return check.excused(work.verb) if lasted < timedelta(seconds=limits["work"].factors["excused_s"]) else check
