"""Which snapshots stay, which go, and why.

`plan` is pure: it sees names and times, and answers with reasons. It counts periods that *hold* a verified
snapshot and never looks at ages, so while backups fail nothing grows old enough to be dropped. `apply` does
what the plan says, manifest before payload, and removes upload objects only when no manifest names them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the plan needs nothing but the standard library, and the health check imports it often
    from .repository import Repository

DAILY, WEEKLY, MONTHLY = "daily", "weekly", "monthly"
TIERS = (DAILY, WEEKLY, MONTHLY)
TOLERANCE = timedelta(minutes=5)  # clocks of one host step a little; more than this is the future


@dataclass(frozen=True)
class Policy:
    """How many periods each tier keeps, and how many of the newest whatever their day."""

    daily: int = 7
    weekly: int = 4
    monthly: int = 12
    last: int = 3


@dataclass(frozen=True)
class Snapshot:
    """What the plan knows of a snapshot; the time is the manifest's own."""

    name: str
    created: datetime
    verified: bool = True
    pinned: bool = False
    shrunk: bool = False  # less than half the rows of the one before it
    safety: bool = False  # what a restore replaced: pinned until somebody says it is not needed any more
    tiers: frozenset[str] = frozenset({DAILY})


@dataclass(frozen=True)
class Plan:
    """Per tier: what to keep there and why, and what to remove from there and why."""

    keep: Mapping[str, Mapping[str, tuple[str, ...]]]
    drop: Mapping[str, Mapping[str, str]]
    suspended: str | None  # why nothing may be dropped now


_PERIODS: dict[str, tuple[str, Callable[[datetime], str]]] = {
    DAILY: ("day", lambda created: f"{created:%Y-%m-%d}"),
    WEEKLY: ("week", lambda created: f"{created:%G-W%V}"),
    MONTHLY: ("month", lambda created: f"{created:%Y-%m}"),
}


def plan(snapshots: Iterable[Snapshot], policy: Policy, now: datetime) -> Plan:
    """Decide for each tier; the newest verified snapshot of a period stands for the period."""
    newest_first = sorted(snapshots, key=lambda s: (s.created, s.name), reverse=True)
    future = {s.name for s in newest_first if s.created > now + TOLERANCE}
    counted = [s for s in newest_first if s.verified and not (s.pinned or s.safety or s.name in future)]
    keep: dict[str, dict[str, list[str]]] = {tier: {} for tier in TIERS}

    for place, snapshot in enumerate(counted[: policy.last], start=1):
        keep[DAILY].setdefault(snapshot.name, []).append(f"last {place}")
    for tier, periods in ((DAILY, policy.daily), (WEEKLY, policy.weekly), (MONTHLY, policy.monthly)):
        label, period_of = _PERIODS[tier]
        seen: set[str] = set()
        for snapshot in counted:
            period = period_of(snapshot.created)
            if period in seen:
                continue
            if len(seen) == periods:
                break
            seen.add(period)
            keep[tier].setdefault(snapshot.name, []).append(f"{label} {period}")

    for snapshot in newest_first:
        for reason in _stays(snapshot, counted, future, policy):
            for tier in snapshot.tiers:
                keep[tier].setdefault(snapshot.name, []).append(reason)

    suspended = None
    if counted and counted[0].shrunk:
        suspended = f"{counted[0].name} holds less than half the rows of the one before it"
    drop: dict[str, dict[str, str]] = {tier: {} for tier in TIERS}
    if suspended is None:
        for snapshot in newest_first:
            for tier in snapshot.tiers:
                if snapshot.name not in keep[tier]:
                    drop[tier][snapshot.name] = _why_dropped(snapshot, tier)
    return Plan(
        keep={tier: {name: tuple(why) for name, why in names.items()} for tier, names in keep.items()},
        drop=drop,
        suspended=suspended,
    )


def _stays(snapshot: Snapshot, counted: list[Snapshot], future: set[str], policy: Policy) -> Iterable[str]:
    """Why a snapshot that takes no place in any period stays where it is all the same."""
    if snapshot.pinned:
        yield "pinned"
    if snapshot.name in future:
        yield "dated in the future: neither counted nor dropped"
    if snapshot.safety and not counted:
        yield "a restore's safety copy: kept while there is no other verified one"
    if (
        not snapshot.safety
        and not snapshot.verified
        and len([s for s in counted if s.created > snapshot.created]) < policy.last
    ):
        yield f"not verified: kept until {policy.last} verified ones are newer"


def _why_dropped(snapshot: Snapshot, tier: str) -> str:
    if snapshot.safety:
        return "a restore's safety copy whose pin was taken off"
    if not snapshot.verified:
        return "not verified, and enough verified ones are newer"
    label, period_of = _PERIODS[tier]
    return f"{label} {period_of(snapshot.created)} is held by a newer one or is past the number kept"


@dataclass(frozen=True)
class Applied:
    """What a rotation did."""

    linked: tuple[str, ...]  # tier/name
    dropped: tuple[str, ...]  # tier/name
    objects_removed: int


def apply(decided: Plan, repository: "Repository") -> Applied:
    """Promote first, so that no moment exists in which a kept snapshot is in no tier; then drop."""
    from . import objects  # here, so that the plan and the health check load none of it

    linked = [
        f"{tier}/{name}" for tier in TIERS for name in sorted(decided.keep[tier]) if repository.promote(name, tier)
    ]
    dropped = []
    for tier in TIERS:
        for name in sorted(decided.drop[tier]):
            repository.remove(name, tier)
            dropped.append(f"{tier}/{name}")
    removed = objects.remove_unnamed(repository) if decided.suspended is None else 0
    return Applied(tuple(linked), tuple(dropped), removed)
