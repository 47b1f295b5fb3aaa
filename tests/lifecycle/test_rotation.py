"""Rotation keeps exactly the promised snapshots, whatever happened in between.

Twice: the plan as a function against an oracle that works another way, over long and hostile histories; and the
real command on real files over the same ones.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backup.rotation import DAILY, MONTHLY, TIERS, WEEKLY, Plan, Policy, Snapshot, plan
from fixtures import measured
from fixtures.contract import Contract
from fixtures.evidence import Door, door
from fixtures.histories import DAY, HISTORIES, Event, History, everything
from fixtures.keeper import Keeper, Shelf
from fixtures.oracle import AHEAD, Known, Numbers, must_keep, must_stand
from fixtures.services import CONTRACT

pytestmark = pytest.mark.control("BAK-02")

PROMISED = CONTRACT.backup
NUMBERS = Numbers(
    daily=PROMISED.whole("keep_daily"),
    weekly=PROMISED.whole("keep_weekly"),
    monthly=PROMISED.whole("keep_monthly"),
    last=PROMISED.whole("keep_last"),
)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
BEGIN = datetime.fromisoformat(PROMISED.text("simulated_from"))


def policy_of(numbers: Numbers) -> Policy:
    """The product's word for it."""
    return Policy(daily=numbers.daily, weekly=numbers.weekly, monthly=numbers.monthly, last=numbers.last)


POLICY = policy_of(NUMBERS)


def known(snapshots: Iterable[Snapshot]) -> list[Known]:
    """The oracle's word for them."""
    return [Known(one.name, one.created, one.verified, one.pinned, one.safety, one.tiers) for one in snapshots]


def standing(decided: Plan, snapshots: list[Snapshot], now: datetime) -> dict[str, set[str]]:
    """What the plan keeps for a period or among the last: without what merely stays."""
    counted = {
        one.name
        for one in snapshots
        if one.verified and not one.pinned and not one.safety and one.created <= now + AHEAD
    }
    return {tier: set(decided.keep[tier]) & counted for tier in TIERS}


def after(decided: Plan, snapshots: list[Snapshot]) -> list[Snapshot]:
    """What is there once the plan is carried out."""
    left = []
    for one in snapshots:
        tiers = {tier for tier in TIERS if one.name in decided.keep[tier]}
        tiers |= {tier for tier in one.tiers if one.name not in decided.drop[tier]}
        if tiers:
            left.append(replace(one, tiers=frozenset(tiers)))
    return left


def tiers_of(snapshots: Iterable[Snapshot]) -> dict[str, set[str]]:
    """The names per tier."""
    there = list(snapshots)
    return {tier: {one.name for one in there if tier in one.tiers} for tier in TIERS}


def snapshot(created: datetime) -> Snapshot:
    """One snapshot, named by its time as the real ones are."""
    return Snapshot(f"balades_{created:%Y%m%d_%H%M%S}", created)


# -- histories over many days ------------------------------------------------------------------------


@dataclass(frozen=True)
class Day:
    """What one event led to: without a publish nothing is planned."""

    event: Event
    published: str | None
    there: list[Snapshot]  # with what was just published, before the rotation
    decided: Plan | None
    left: list[Snapshot]  # after the rotation, and after what came of the snapshot that day


def live_through(events: Iterable[Event]) -> Iterator[Day]:
    """Follow the events with the plan as a function."""
    there: list[Snapshot] = []
    for event in events:
        if event.do == "fail":
            yield Day(event, None, there, None, there)
            continue
        fresh = free(event.at, there)
        there = [*there, replace(fresh, pinned=event.do == "pin")]
        decided = plan(there, policy_of(event.policy), event.at)
        left = after(decided, there)
        if event.do == "spoil":
            left = [replace(one, verified=False) if one.name == fresh.name else one for one in left]
        if event.do in ("restore", "regret"):
            copy = free(event.at + MINUTE, left)
            left = [*left, replace(copy, safety=True, pinned=event.do == "restore")]
        yield Day(event, fresh.name, there, decided, left)
        there = left


def free(moment: datetime, there: list[Snapshot]) -> Snapshot:
    """A snapshot of that second, or of the next that has no name yet."""
    names = {one.name for one in there}
    while (one := snapshot(moment)).name in names:
        moment += SECOND
    return one


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.name)
def test_plan_equals_the_oracle_after_each_day(history: History, evidence: Door) -> None:
    """Over 800 days the plan leaves what an independent oracle leaves, checked after every single snapshot."""
    wrong = []
    publishes = 0

    for day in live_through(history.events(BEGIN, PROMISED.whole("simulated_days"), NUMBERS)):
        if day.decided is None:
            continue
        publishes += 1
        expected = must_stand(known(day.there), day.event.at, day.event.policy)
        found = tiers_of(after(day.decided, day.there))
        if found != expected:
            wrong.append((day.event, found, expected))
    evidence.saw(f"history: {history.name}", f"{publishes} publishes compared, {len(wrong)} differ")

    assert publishes > 0
    assert wrong[:1] == [], f"{len(wrong)} of {publishes} publishes differ; the first:"


def every_day(days: int) -> list[Day]:
    """So many undisturbed days."""
    return list(live_through(HISTORIES[0].events(BEGIN, days, NUMBERS)))


def test_steady_state_is_the_promised_number(evidence: Door) -> None:
    """After 800 undisturbed days there are 7 daily, 4 weekly and 12 monthly snapshots."""
    left = every_day(PROMISED.whole("simulated_days"))[-1].left
    counts = {tier: len(names) for tier, names in tiers_of(left).items()}
    evidence.saw("counts after the last day", str(counts))

    assert counts == {DAILY: POLICY.daily, WEEKLY: POLICY.weekly, MONTHLY: POLICY.monthly}


def test_failing_months_drop_nothing(evidence: Door) -> None:
    """While nothing new succeeds, planning again on each of 60 days drops nothing at all."""
    last = every_day(400)[-1]
    dropped = [plan(last.left, POLICY, last.event.at + day * DAY).drop for day in range(60)]
    evidence.saw("drops on each of 60 days", str(dropped[-1]))

    assert [drops for drops in dropped if any(drops.values())] == []


def test_half_the_rows_suspends_rotation(evidence: Door) -> None:
    """While the newest snapshot holds less than half the rows, nothing is dropped; without that, something is."""
    last = every_day(40)[-1]
    fine = plan(last.there, POLICY, last.event.at)
    shrunk = plan([*last.there[:-1], replace(last.there[-1], shrunk=True)], POLICY, last.event.at)
    evidence.saw("plan", f"{shrunk.suspended}; otherwise {fine.drop}")

    assert any(fine.drop.values()), "the history must hold something to drop"
    assert not any(shrunk.drop.values())
    assert shrunk.suspended is not None


def test_unpinned_safety_copy_goes_with_its_reason(evidence: Door) -> None:
    """A restore's safety copy stays while it is pinned; unpinned it is dropped, and the reason says so."""
    last = every_day(10)[-1]
    copy = replace(snapshot(last.event.at + MINUTE), safety=True, pinned=True)
    pinned = plan([*last.left, copy], POLICY, last.event.at)
    unpinned = plan([*last.left, replace(copy, pinned=False)], POLICY, last.event.at)
    evidence.saw("reasons", f"{pinned.keep[DAILY][copy.name]}; {unpinned.drop[DAILY]}")

    assert pinned.keep[DAILY][copy.name] == ("pinned",)
    assert unpinned.drop[DAILY] == {copy.name: "a restore's safety copy whose pin was taken off"}


# -- properties over arbitrary histories -----------------------------------------------------------

# An example that takes long tells of the machine's other work, and nothing of rotation.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

moments = st.integers(min_value=0, max_value=900 * 1440).map(lambda minutes: BEGIN + minutes * MINUTE)
tier_sets = st.sets(st.sampled_from(TIERS), min_size=1).map(frozenset)
snapshots = st.lists(
    st.builds(
        Snapshot,
        name=st.text("abcdef0123456789", min_size=4, max_size=4),
        created=moments,
        verified=st.booleans(),
        pinned=st.sampled_from((False, False, False, True)),
        safety=st.sampled_from((False, False, False, True)),
        tiers=tier_sets,
    ),
    max_size=40,
    unique_by=(lambda one: one.name,),
)
numbers = st.builds(
    Numbers,
    daily=st.integers(0, 10),
    weekly=st.integers(0, 6),
    monthly=st.integers(0, 14),
    last=st.integers(1, 5),
)
policies = numbers.map(policy_of)
# What each day brings: how many days later, what is done, and a new policy now and then.
days = st.lists(
    st.tuples(
        st.sampled_from((1, 1, 1, 2, 7, 31)),
        st.sampled_from(("now", "now", "now", "fail", "spoil", "pin", "restore", "regret")),
        st.none() | numbers,
    ),
    min_size=1,
    max_size=40,
)


@UNHURRIED
@given(snapshots, numbers, moments)
def test_any_history_equals_the_oracle(there: list[Snapshot], policy: Numbers, now: datetime) -> None:
    """For any set of snapshots, policy and time, the plan keeps and leaves what the oracle keeps and leaves."""
    decided = plan(there, policy_of(policy), now)
    door.saw("plan", f"{len(there)} snapshots, {policy}: keeps {decided.keep}")

    assert standing(decided, there, now) == must_keep(known(there), now, policy)
    assert tiers_of(after(decided, there)) == must_stand(known(there), now, policy)


@UNHURRIED
@given(days)
def test_changed_policies_equal_the_oracle(lived: list[tuple[int, str, Numbers | None]]) -> None:
    """However often somebody changes the policy, each rotation leaves what the oracle leaves, the newest among it."""
    policy, at, events = NUMBERS, BEGIN, []
    for later, do, changed in lived:
        at, policy = at + later * DAY, changed or policy
        events.append(Event(at, do, policy))
    for day in live_through(events):
        door.saw("day", f"{day.event}: {tiers_of(day.left)}")
        if day.decided is None:
            assert day.left == day.there, "a failing day drops nothing"
            continue
        left = after(day.decided, day.there)
        assert tiers_of(left) == must_stand(known(day.there), day.event.at, day.event.policy)
        assert day.published in {one.name for one in left}


@UNHURRIED
@given(snapshots, policies, moments)
def test_newest_good_one_always_stays(there: list[Snapshot], policy: Policy, now: datetime) -> None:
    """The newest verified snapshot that is not of the future is kept, whatever the policy."""
    good = [one for one in there if one.verified and not (one.pinned or one.safety) and one.created <= now + AHEAD]
    decided = plan(there, policy, now)
    newest = max(good, key=lambda one: (one.created, one.name), default=None)
    door.saw("newest", f"{newest}")

    assert newest is None or newest.name in decided.keep[DAILY]


@UNHURRIED
@given(snapshots, policies, moments)
def test_pinned_and_future_stay_where_they_are(there: list[Snapshot], policy: Policy, now: datetime) -> None:
    """A pinned snapshot, and one dated in the future, is dropped from no tier."""
    decided = plan(there, policy, now)
    special = {one.name for one in there if one.pinned or one.created > now + AHEAD}
    door.saw("drops", f"{decided.drop}; special {special}")

    assert [name for tier in TIERS for name in decided.drop[tier] if name in special] == []


@UNHURRIED
@given(snapshots, policies, moments)
def test_unverified_evicts_nothing(there: list[Snapshot], policy: Policy, now: datetime) -> None:
    """With the unverified snapshots taken away, the same verified ones are kept: they take no place."""
    verified = [one for one in there if one.verified]
    with_them, without = plan(there, policy, now), plan(verified, policy, now)
    door.saw("kept", f"{with_them.keep}")

    assert standing(with_them, verified, now) == standing(without, verified, now)


@UNHURRIED
@given(snapshots, policies, moments, st.integers(0, 1000))
def test_planning_again_changes_nothing(there: list[Snapshot], policy: Policy, now: datetime, later: int) -> None:
    """Once a plan is carried out, planning again then drops nothing, and neither does planning later."""
    left = after(plan(there, policy, now), there)
    again = plan(left, policy, now)
    present = [one for one in left if one.created <= now + AHEAD]
    much_later = plan(present, policy, now + later * DAY)
    door.saw("drops", f"{again.drop} {much_later.drop}")

    assert not any(again.drop.values())
    assert not any(much_later.drop.values())
    assert after(again, left) == left


# -- the real command on real files ------------------------------------------------------------------


def command_follows(keeper: Keeper, events: Iterable[Event], evidence: Door) -> tuple[Shelf, datetime]:
    """Let the real command live through the events; after each exactly the oracle's files must stand.

    Gives what stands at the end, and when that is.
    """
    lived = list(live_through(events))
    told = keeper.live_through([day.event.step() for day in lived])
    before: dict[str, set[str]] = {tier: set() for tier in TIERS}
    for day, found in zip(lived, told, strict=True):
        assert found["codes"] == CODES[day.event.do], day.event
        assert found["name"] == day.published, day.event
        stands = {tier: set(found["tiers"][tier]) for tier in TIERS}
        if day.event.do == "fail":
            assert stands == before, "a failing day must cost nothing"
            assert found["health"] == UNHEALTHY, day.event
        else:
            expected = must_stand(known(day.there), day.event.at, day.event.policy)
            if found.get("safety"):
                expected[DAILY].add(found["safety"])
            assert stands == expected, day.event
        before = stands
    spoiled = {day.published for day in lived if day.event.do == "spoil"}
    shelf = keeper.look()
    evidence.saw("events lived through", f"{len(lived)}; left {before}")

    assert {name for _, name, _ in shelf.faults()} <= spoiled
    assert {tier: shelf.names(tier) for tier in TIERS} == before
    return shelf, lived[-1].event.at


UNHEALTHY = CONTRACT.exit_codes.failed
UNREADABLE, DAMAGED = CONTRACT.exit_codes.unreadable, CONTRACT.exit_codes.damaged
# The exit codes of the commands of a day.
CODES = {
    "now": [0],
    "pin": [0],
    "spoil": [0, DAMAGED],
    "restore": [0, 0],
    "regret": [0, 0, 0],
    "fail": [UNREADABLE],
}


def test_real_files_equal_the_oracle(keeper: Keeper, contract: Contract, evidence: Door) -> None:
    """Whatever happens in two years, after each run of the real command exactly the oracle's files stand."""
    seed, count = contract.backup.whole("seed"), contract.backup.whole("real_events")

    days = PROMISED.whole("simulated_days")

    left, end = command_follows(keeper, everything(seed, BEGIN, days, count, NUMBERS), evidence)

    for one in left.snapshots:
        measured.snapshot(f"{days} simulated days", one["tier"], one["manifest"], end)


def test_failing_days_cost_nothing(keeper: Keeper, contract: Contract, evidence: Door) -> None:
    """Days on which the real command fails drop no file, and the service is unhealthy on each of them."""
    good = contract.backup.whole("real_good_days")
    span = (good, good + contract.backup.whole("real_failing_days"))

    command_follows(keeper, History("failing", failing=(span,)).events(BEGIN, span[1] + 1, NUMBERS), evidence)


@pytest.mark.torture
@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.name)
def test_real_files_follow_the_whole_history(keeper: Keeper, history: History, evidence: Door) -> None:
    """Over all 800 days of a history exactly the oracle's files stand after each run of the real command."""
    command_follows(keeper, history.events(BEGIN, PROMISED.whole("simulated_days"), NUMBERS), evidence)


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
    keeper.live_through([event.step() for event in HISTORIES[0].events(BEGIN, 12, NUMBERS)])
    before = keeper.look()
    at = (BEGIN + 11 * DAY).isoformat()
    tight = ["env", "MONSITE_KEEP_DAILY=2", "MONSITE_KEEP_LAST=1"]
    told = keeper.run(*tight, "python3", "-m", "backup", "rotate", "--dry-run", "--at", at).stdout

    assert keeper.look().kept() == before.kept()
    assert {name for name in before.names(DAILY) if name not in told} == set()
    assert "drop daily" in told
    assert f"day {BEGIN + 11 * DAY:%Y-%m-%d}" in told
