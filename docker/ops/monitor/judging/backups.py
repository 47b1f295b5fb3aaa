"""Rules for what the keeper of the snapshots published."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from ops import words
from ops.monitor.checks import Check, unknown
from ops.monitor.facts import Facts, Unseen
from ops.monitor.thresholds import Limit, Limits

_HOUR_S, _DAY_S = 3600.0, 86400.0
CLOSED_STEP = "./stack up gives the folders back to 1001; a damaged status/backup.json may be moved away"
_NOW = "./stack backup now takes one at once, and says why when it cannot"
_DRILL = "./stack backup drill tries one out at once, and says why when it cannot"


def judge(facts: Facts, limits: Limits) -> Iterator[Check]:
    """Judge the backups by what is known of them."""
    backups = facts.backups
    if isinstance(backups, Unseen):
        reason = Unseen(f"nobody knows, their state cannot be read: {backups.reason}")
        yield unknown("backup.published", "backups", limits["backup.published"], reason, CLOSED_STEP)
        return
    known, now = backups.known, facts.at
    if not known:
        yield _nothing_yet(facts, limits["backup.published"])
        return
    found = [
        _published(known, now, limits["backup.published"]),
        _newest(known, now, limits["backup.newest"]),
        _outcome("backup.run", "the last snapshot", known.get("last_run"), limits, _NOW),
        _outcome("drill.run", "the last drill", known.get("drill"), limits, _DRILL),
        _drill_age(known, facts, limits["drill.age"]),
        _lost(known, limits["backup.history"]),
        _uploads(known, limits["backup.uploads"]),
    ]
    yield from found
    for tier in ("weekly", "monthly"):
        if made := backups.newest_of_tier.get(tier):
            yield _tier(tier, made, now, float(known["max_age_hours"]), limits[f"backup.{tier}"])
    yield _well(known, found, limits["backup.well"])


def _nothing_yet(facts: Facts, limit: Limit) -> Check:
    """A keeper that has just started has not yet published anything."""
    keeper = None if isinstance(facts.containers, Unseen) else facts.containers.get("backup")
    started = keeper.started if keeper is not None else None
    young = started is not None and facts.at - started < timedelta(seconds=limit.warning or 0)
    text = "the keeper has published nothing yet"
    return Check("backup.published", "backups", "nothing", limit, "ok" if young else "warning", text, _NOW)


def _published(known: Mapping[str, Any], now: datetime, limit: Limit) -> Check:
    age = round((now - datetime.fromisoformat(known["updated"])).total_seconds(), 1)
    status = limit.grade(abs(age))
    text = f"the keeper published its state {_told(timedelta(seconds=age), 'ago')}"
    hint = "" if status == "ok" else "./stack logs backup shows what keeps it; ./stack up mends its folders"
    return Check("backup.published", "backups", age, limit, status, text, hint)


def _told(span: timedelta, past: str) -> str:
    """Say how long ago something was; what is still to come counts as far from now all the same."""
    return f"{words.span(abs(span))} {past if span >= timedelta(0) else 'in the future'}"


def _newest(known: Mapping[str, Any], now: datetime, limit: Limit) -> Check:
    allowed = float(known["max_age_hours"])
    held = replace(
        limit,
        warning=round(allowed * limit.factors["warning_ages"], 3),
        critical=round(allowed * limit.factors["critical_ages"], 3),
    )
    newest = known.get("newest")
    if not newest:
        return Check("backup.newest", "backups", "none", held, "critical", "there is no verified snapshot", _NOW)
    span = now - datetime.fromisoformat(newest["created"])
    age = round(span.total_seconds() / _HOUR_S, 3)
    status = held.grade(abs(age))
    text = f"the newest snapshot, {newest['name']}, is {_told(span, 'old')}"
    return Check("backup.newest", "backups", age, held, status, text, "" if status == "ok" else _NOW)


def _outcome(name: str, what: str, record: Any, limits: Limits, hint: str) -> Check:
    limit = limits[name]
    if not record:
        return Check(name, "backups", "none yet", limit, "ok", f"{what} is still to come")
    outcome = str(record.get("outcome"))
    if outcome == "failure":
        return Check(name, "backups", outcome, limit, "warning", f"{what} failed: {record.get('error')}", hint)
    return Check(name, "backups", outcome, limit, "ok", f"{what} went well")


def _drill_age(known: Mapping[str, Any], facts: Facts, limit: Limit) -> Check:
    days = limit.factors["warning_intervals"] * facts.drill_interval_s / _DAY_S
    held = replace(limit, warning=round(days, 3))
    passed = [one["at"] for one in known.get("drills") or [] if one.get("outcome") == "success"]
    if not passed:
        keeper = None if isinstance(facts.containers, Unseen) else facts.containers.get("backup")
        created = keeper.created if keeper is not None else None
        age = (facts.at - created).total_seconds() / _DAY_S if created is not None else 0.0
        status = held.grade(age)
        text = "no drill is due yet" if status == "ok" else f"no drill has ever passed, in {age:.0f} days"
        return Check("drill.age", "backups", "none", held, status, text, "" if status == "ok" else _DRILL)
    span = facts.at - max(datetime.fromisoformat(at) for at in passed)
    age = round(span.total_seconds() / _DAY_S, 3)
    status = held.grade(abs(age))
    text = f"the newest drill that passed was {_told(span, 'ago')}"
    return Check("drill.age", "backups", age, held, status, text, "" if status == "ok" else _DRILL)


def _lost(known: Mapping[str, Any], limit: Limit) -> Check:
    lost = known.get("lost_history")
    if not lost:
        return Check("backup.history", "backups", "whole", limit, "ok", "no snapshot has vanished")
    text = f"every snapshot up to {lost.get('newest')} is gone from the backups folder, missed since {lost.get('at')}"
    hint = "put back what another disk holds of it; else `./stack backup now` takes note of it"
    return Check("backup.history", "backups", "lost", limit, "warning", text, hint)


def _uploads(known: Mapping[str, Any], limit: Limit) -> Check:
    warnings = (known.get("uploads") or {}).get("warnings") or []
    if not warnings:
        return Check("backup.uploads", "uploads", "whole", limit, "ok", "every upload is as it was sent")
    return Check("backup.uploads", "uploads", "not whole", limit, "warning", str(warnings[0]), _NOW)


def _tier(tier: str, made: datetime, now: datetime, allowed_hours: float, limit: Limit) -> Check:
    seldom = limit.factors["warning_ages"] * allowed_hours * _HOUR_S / _DAY_S
    held = replace(limit, warning=max(limit.warning or 0.0, round(seldom, 3)))
    age = round((now - made).total_seconds() / _DAY_S, 3)
    status = held.grade(abs(age))
    text = f"the newest {tier} snapshot is {_told(now - made, 'old')}"
    hint = "" if status == "ok" else "./stack backup rotate --dry-run says what is promoted, and why"
    return Check(f"backup.{tier}", "backups", age, held, status, text, hint)


def _well(known: Mapping[str, Any], others: list[Check], limit: Limit) -> Check:
    """Pass on what the keeper finds wrong, where no check of ours has said it already."""
    reasons = known.get("reasons") or []
    if known.get("healthy") or any(check.status != "ok" for check in others):
        return Check("backup.well", "backups", "well", limit, "ok", "the keeper finds nothing else wrong")
    text = f"the keeper says: {'; '.join(map(str, reasons)) or 'unhealthy'}"
    return Check("backup.well", "backups", "ill", limit, "warning", text, _NOW)
