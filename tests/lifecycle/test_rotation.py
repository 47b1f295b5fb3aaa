"""Rotation keeps exactly the promised snapshots, whatever happened in between.

Twice: the plan as a function against an oracle that works another way, over long and hostile histories; and the
real command on real files over simulated months.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup.rotation import DAILY, MONTHLY, TIERS, WEEKLY, Plan, Policy, Snapshot, plan
from fixtures.contract import Contract
from fixtures.evidence import Door, door
from fixtures.keeper import Keeper
from fixtures.oracle import Known, must_keep
from fixtures.services import CONTRACT

pytestmark = pytest.mark.control("BAK-02")

PROMISED = CONTRACT.backup
POLICY = Policy(
    daily=PROMISED.whole("keep_daily"),
    weekly=PROMISED.whole("keep_weekly"),
    monthly=PROMISED.whole("keep_monthly"),
    last=PROMISED.whole("keep_last"),
)
DAY = timedelta(days=1)
BEGIN = datetime.fromisoformat(PROMISED.text("simulated_from"))


def expected(snapshots: list[Snapshot], now: datetime, policy: Policy = POLICY) -> dict[str, set[str]]:
    """What the oracle keeps."""
    known = [Known(one.name, one.created, one.verified, one.pinned) for one in snapshots]
    return must_keep(known, now, daily=policy.daily, weekly=policy.weekly, monthly=policy.monthly, last=policy.last)


def standing(decided: Plan, snapshots: list[Snapshot], now: datetime) -> dict[str, set[str]]:
    """What the plan keeps for a period or among the last: without what merely stays."""
    counted = {one.name for one in snapshots if one.verified and not one.pinned and one.created <= now + 5 * MINUTE}
    return {tier: set(decided.keep[tier]) & counted for tier in TIERS}


MINUTE = timedelta(minutes=1)


def after(decided: Plan, snapshots: list[Snapshot]) -> list[Snapshot]:
    """What is there once the plan is carried out."""
    left = []
    for one in snapshots:
        tiers = {tier for tier in TIERS if one.name in decided.keep[tier]}
        tiers |= {tier for tier in one.tiers if one.name not in decided.drop[tier]}
        if tiers:
            left.append(replace(one, tiers=frozenset(tiers)))
    return left


def snapshot(created: datetime) -> Snapshot:
    """One snapshot, named by its time as the real ones are."""
    return Snapshot(f"balades_{created:%Y%m%d_%H%M%S}", created)


# -- histories over many days: what happens on each day -------------------------------------------


@dataclass(frozen=True)
class History:
    """When snapshots succeed, and which are odd."""

    name: str
    missed: tuple[tuple[int, int], ...] = ()  # spans of days without a snapshot
    per_day: int = 1
    odd: str = ""  # a flag that every 13th snapshot has
    ahead_on: int = -1  # the day on which the clock is 30 days ahead
    offset: timedelta = timedelta(0)  # at which hour they are taken


HISTORIES = (
    History("every day"),
    History("one missed week", missed=((100, 107),)),
    History("failing for two months", missed=((300, 360),)),
    History("failing for most of the time", missed=tuple((day, day + 5) for day in range(0, 790, 6))),
    History("five a day", per_day=5),
    # 02:30 does not exist, or exists twice, on the days on which clocks change; in UTC it is an hour as any
    History("at half past two, local clocks change twice a year", offset=timedelta(minutes=30)),
    History("at midnight", offset=timedelta(hours=-2)),
    History("one in thirteen unverified", odd="verified"),
    History("one in thirteen pinned", odd="pinned"),
    History("the clock 30 days ahead on one day", ahead_on=200),
)


def live_through(history: History, days: int) -> Iterator[tuple[datetime, list[Snapshot], Plan, list[Snapshot]]]:
    """Simulate day by day; yield each publish: the time, what was there, the plan, what is left."""
    there: list[Snapshot] = []
    number = 0
    for day in range(days):
        for turn in range(history.per_day):
            now = BEGIN + history.offset + day * DAY + turn * timedelta(hours=3)
            clock = now + 30 * DAY if day == history.ahead_on else now
            if any(first <= day < last for first, last in history.missed):
                continue
            number += 1
            is_odd = number % 13 == 0
            fresh = snapshot(clock)
            if is_odd and history.odd:
                fresh = replace(fresh, verified=history.odd != "verified", pinned=history.odd == "pinned")
            there = [*there, fresh]
            decided = plan(there, POLICY, clock)
            left = after(decided, there)
            yield clock, there, decided, left
            there = left


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.name)
def test_plan_equals_the_oracle_after_each_day(history: History, evidence: Door) -> None:
    """Over 800 days the plan keeps what an independent oracle keeps, checked after every single snapshot."""
    wrong = []
    publishes = 0

    for now, there, decided, _ in live_through(history, PROMISED.whole("simulated_days")):
        publishes += 1
        if standing(decided, there, now) != expected(there, now):
            wrong.append((now, standing(decided, there, now), expected(there, now)))
    evidence.saw(f"history: {history.name}", f"{publishes} publishes compared, {len(wrong)} differ")

    assert publishes > 0
    assert wrong == []


def test_steady_state_is_the_promised_number(evidence: Door) -> None:
    """After 800 undisturbed days there are 7 daily, 4 weekly and 12 monthly snapshots."""
    *_, (_, _, _, left) = live_through(HISTORIES[0], PROMISED.whole("simulated_days"))
    counts = {tier: len([one for one in left if tier in one.tiers]) for tier in TIERS}
    evidence.saw("counts after the last day", str(counts))

    assert counts == {DAILY: POLICY.daily, WEEKLY: POLICY.weekly, MONTHLY: POLICY.monthly}


def test_failing_months_drop_nothing(evidence: Door) -> None:
    """While nothing new succeeds, planning again on each of 60 days drops nothing at all."""
    *_, (now, _, _, left) = live_through(HISTORIES[0], 400)
    dropped = [plan(left, POLICY, now + day * DAY).drop for day in range(60)]
    evidence.saw("drops on each of 60 days", str(dropped[-1]))

    assert [drops for drops in dropped if any(drops.values())] == []


def test_half_the_rows_suspends_rotation(evidence: Door) -> None:
    """While the newest snapshot holds less than half the rows, nothing is dropped; without that, something is."""
    *_, (now, there, _, _) = live_through(HISTORIES[0], 40)
    fine = plan(there, POLICY, now)
    shrunk = plan([*there[:-1], replace(there[-1], shrunk=True)], POLICY, now)
    evidence.saw("plan", f"{shrunk.suspended}; otherwise {fine.drop}")

    assert any(fine.drop.values()), "the history must hold something to drop"
    assert not any(shrunk.drop.values())
    assert shrunk.suspended is not None


# -- properties over arbitrary histories -----------------------------------------------------------

moments = st.integers(min_value=0, max_value=900 * 1440).map(lambda minutes: BEGIN + minutes * MINUTE)
tier_sets = st.sets(st.sampled_from(TIERS), min_size=1).map(frozenset)
snapshots = st.lists(
    st.builds(
        Snapshot,
        name=st.text("abcdef0123456789", min_size=4, max_size=4),
        created=moments,
        verified=st.booleans(),
        pinned=st.sampled_from((False, False, False, True)),
        tiers=tier_sets,
    ),
    max_size=40,
    unique_by=(lambda one: one.name,),
)
policies = st.builds(
    Policy,
    daily=st.integers(0, 10),
    weekly=st.integers(0, 6),
    monthly=st.integers(0, 14),
    last=st.integers(1, 5),
)


@given(snapshots, policies, moments)
def test_any_history_equals_the_oracle(there: list[Snapshot], policy: Policy, now: datetime) -> None:
    """For any set of snapshots, policy and time, the plan keeps what the oracle keeps."""
    decided = plan(there, policy, now)
    door.saw("plan", f"{len(there)} snapshots, {policy}: keeps {decided.keep}")

    assert standing(decided, there, now) == expected(there, now, policy)


@given(snapshots, policies, moments)
def test_newest_good_one_always_stays(there: list[Snapshot], policy: Policy, now: datetime) -> None:
    """The newest verified snapshot that is not of the future is kept, whatever the policy."""
    good = [one for one in there if one.verified and not one.pinned and one.created <= now + 5 * MINUTE]
    decided = plan(there, policy, now)
    newest = max(good, key=lambda one: (one.created, one.name), default=None)
    door.saw("newest", f"{newest}")

    assert newest is None or newest.name in decided.keep[DAILY]


@given(snapshots, policies, moments)
def test_pinned_and_future_stay_where_they_are(there: list[Snapshot], policy: Policy, now: datetime) -> None:
    """A pinned snapshot, and one dated in the future, is dropped from no tier."""
    decided = plan(there, policy, now)
    special = {one.name for one in there if one.pinned or one.created > now + 5 * MINUTE}
    door.saw("drops", f"{decided.drop}; special {special}")

    assert [name for tier in TIERS for name in decided.drop[tier] if name in special] == []


@given(snapshots, policies, moments)
def test_unverified_evicts_nothing(there: list[Snapshot], policy: Policy, now: datetime) -> None:
    """With the unverified snapshots taken away, the same verified ones are kept: they take no place."""
    verified = [one for one in there if one.verified]
    with_them, without = plan(there, policy, now), plan(verified, policy, now)
    door.saw("kept", f"{with_them.keep}")

    assert standing(with_them, verified, now) == standing(without, verified, now)


@given(snapshots, policies, moments, st.integers(0, 1000))
def test_planning_again_changes_nothing(there: list[Snapshot], policy: Policy, now: datetime, later: int) -> None:
    """Once a plan is carried out, planning again then drops nothing, and neither does planning later."""
    left = after(plan(there, policy, now), there)
    again = plan(left, policy, now)
    present = [one for one in left if one.created <= now + 5 * MINUTE]
    much_later = plan(present, policy, now + later * DAY)
    door.saw("drops", f"{again.drop} {much_later.drop}")

    assert not any(again.drop.values())
    assert not any(much_later.drop.values())
    assert after(again, left) == left


# -- the real command on real files ------------------------------------------------------------------


def test_real_files_equal_the_oracle(keeper: Keeper, contract: Contract) -> None:
    """After simulated months of the real command, with failing days among them, the oracle's snapshots are there."""
    length, gap = contract.backup.whole("real_days"), contract.backup.whole("real_failing_days")
    middle = length // 2
    unreadable = contract.backup.whole("unreadable")

    codes = keeper.python("days", BEGIN.isoformat(), "0", str(middle))
    before = keeper.look()
    keeper.shell("mkdir /srv/data/gone; mv /srv/data/balades.db* /srv/data/gone")
    failed = keeper.python("days", BEGIN.isoformat(), str(middle), str(middle + gap))
    during = keeper.look()
    keeper.shell("mv /srv/data/gone/* /srv/data; rmdir /srv/data/gone")
    codes += keeper.python("days", BEGIN.isoformat(), str(middle + gap), str(length))
    left = keeper.look()

    taken = [BEGIN + day * DAY for day in range(length) if not middle <= day < middle + gap]
    oracle = expected([snapshot(moment) for moment in taken], taken[-1])
    assert (codes, failed) == ([0] * (length - gap), [unreadable] * gap)
    assert during.kept() == before.kept(), "nine failing days must cost nothing"
    assert {tier: left.names(tier) for tier in TIERS} == oracle
    assert left.faults() == []


def test_tiers_share_one_file(keeper: Keeper) -> None:
    """A snapshot in two tiers is one file with two names: promoting it costs no space."""
    keeper.backup("now", "--at", BEGIN.isoformat())
    shelf = keeper.look()
    name = snapshot(BEGIN).name
    payload = shelf.snapshot(name)["payload"]

    assert len({shelf.files[f"{tier}/{payload}"]["inode"] for tier in TIERS}) == 1
    assert {tier: shelf.names(tier) for tier in TIERS} == {tier: {name} for tier in TIERS}


def test_dry_run_gives_reasons_and_changes_nothing(keeper: Keeper) -> None:
    """`rotate --dry-run` says for each snapshot why it is kept or dropped, and drops nothing."""
    for day in range(12):
        keeper.backup("now", "--at", (BEGIN + day * DAY).isoformat())
    before = keeper.look()
    at = (BEGIN + 11 * DAY).isoformat()
    tight = ["env", "MONSITE_KEEP_DAILY=2", "MONSITE_KEEP_LAST=1"]
    told = keeper.run(*tight, "python3", "-m", "backup", "rotate", "--dry-run", "--at", at).stdout

    assert keeper.look().kept() == before.kept()
    assert {name for name in before.names(DAILY) if name not in told} == set()
    assert "drop daily" in told
    assert f"day {BEGIN + 11 * DAY:%Y-%m-%d}" in told
