"""The backup service is healthy while its newest verified snapshot is fresh, and says at once when a run fails."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backup.schedule import Job, Schedule, proof_due, retry_after
from backup.settings import from_environment
from fixtures.contract import Contract
from fixtures.evidence import Door
from fixtures.keeper import Keeper

MINUTE = timedelta(minutes=1)


@pytest.mark.control("HLT-03")
def test_health_follows_the_age_of_the_snapshot(keeper: Keeper, contract: Contract) -> None:
    """A minute before the promised age the service is healthy, a minute after it is not; no file's own date counts."""
    taken = datetime.fromisoformat(keeper.backup("now", "--json").json()["created"])
    limit = taken + timedelta(hours=contract.backup.number("max_age_hours"))

    before = keeper.backup("health", "--at", (limit - MINUTE).isoformat())
    keeper.shell("touch -d '+30 hours' /srv/backups/*/*")
    after = keeper.backup("health", "--at", (limit + MINUTE).isoformat(), expect=contract.exit_codes.failed)

    assert before.stdout == "healthy\n"
    assert f"{contract.backup.number('max_age_hours')} h old" in after.stdout


@pytest.mark.control("HLT-03")
def test_health_without_any_snapshot_is_bad(keeper: Keeper, contract: Contract) -> None:
    """Without a snapshot the service is unhealthy, however well its process runs."""
    told = keeper.backup("health", expect=contract.exit_codes.failed).stdout

    assert told == "unhealthy: there is no verified snapshot yet\n"


@pytest.mark.control("BAK-08")
def test_failed_run_is_loud(keeper: Keeper, contract: Contract) -> None:
    """A failed run leaves one log line of its outcome, an incident for the host, and an unhealthy service."""
    keeper.backup("now")
    keeper.damage_source("gone")

    failed = keeper.backup("now", "--scheduled", expect=contract.exit_codes.unreadable)

    lines = [json.loads(line) for line in failed.stdout.splitlines()]
    status = json.loads(keeper.shell("cat /srv/status/backup.json"))
    assert [line["outcome"] for line in lines if line["event"] == "snapshot-end"] == ["failure"]
    assert [one["kind"] for one in status["incidents"]] == ["snapshot-failed"]
    assert (status["healthy"], status["last_run"]["outcome"]) == (False, "failure")
    assert "the last run failed" in keeper.backup("health", expect=contract.exit_codes.failed).stdout
    assert status["newest"] is not None, "the snapshot before is still there, and told"


@pytest.mark.control("RST-05")
def test_failed_drill_is_told_everywhere(keeper: Keeper, contract: Contract) -> None:
    """A drill that fails is recorded with its reason, shown in the list, and makes the service unhealthy."""
    name = keeper.backup("now", "--json").json()["name"]
    assert keeper.backup("health").stdout == "healthy\n"
    keeper.python("flip", f"/srv/backups/daily/{name}.db.zst")

    refused = keeper.backup("drill", "--json", expect=contract.exit_codes.damaged)

    status = json.loads(keeper.shell("cat /srv/status/backup.json"))
    (listed,) = keeper.backup("list", "--json").json()["snapshots"]
    assert name in refused.json()["error"]
    assert (status["drill"]["name"], status["drill"]["outcome"], status["drill"]["judged"]) == (name, "failure", True)
    assert status["drills"] == [status["drill"]]
    assert [one["kind"] for one in status["incidents"]] == ["drill-failed"]
    assert listed["drill"]["outcome"] == "failure"
    assert "the last drill failed" in keeper.backup("health", expect=contract.exit_codes.failed).stdout


@pytest.mark.control("RST-05")
def test_unanswered_drill_judges_no_snapshot(keeper: Keeper, contract: Contract) -> None:
    """A drill that nobody answers is a failed run with its code and incident, and no verdict on the snapshot."""
    keeper.backup("now")

    keeper.backup("drill", expect=contract.exit_codes.unrehearsed)

    status = json.loads(keeper.shell("cat /srv/status/backup.json"))
    (listed,) = keeper.backup("list", "--json").json()["snapshots"]
    assert (status["drill"]["outcome"], status["drill"]["judged"]) == ("failure", False)
    assert [one["kind"] for one in status["incidents"]] == ["drill-failed"]
    assert "the last drill failed" in keeper.backup("health", expect=1).stdout
    assert listed["drill"] is None
    assert "drill" not in keeper.backup("list").stdout


NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
WEEK, DAY, HOUR = timedelta(days=7), timedelta(days=1), timedelta(hours=1)

PROOFS = (
    # what was published of the last one, when the oldest snapshot was made, and when the next is due
    ("no snapshot yet", None, None, None),
    ("never drilled, a new site", None, NOW, NOW + HOUR),
    ("never drilled, an old site", None, NOW - 3 * DAY, NOW - 3 * DAY + HOUR),
    ("drilled a day ago", {"at": NOW - DAY, "outcome": "success"}, NOW - 9 * DAY, NOW + 6 * DAY),
    ("drilled a month ago", {"at": NOW - 30 * DAY, "outcome": "success"}, NOW - 40 * DAY, NOW - 23 * DAY),
    ("failed a minute ago", {"at": NOW - MINUTE, "outcome": "failure"}, NOW - 9 * DAY, NOW),
    ("by a clock that was ahead", {"at": NOW + 30 * DAY, "outcome": "success"}, NOW - 9 * DAY, NOW - 9 * DAY + HOUR),
    ("verified, which has no outcome", {"at": NOW - DAY, "damaged": 1}, NOW - 9 * DAY, NOW + 6 * DAY),
    ("published by another hand", {"at": "yesterday"}, NOW - DAY, NOW - DAY + HOUR),
)


@pytest.mark.control("RST-05")
@pytest.mark.parametrize(("last", "oldest", "due"), [case[1:] for case in PROOFS], ids=[case[0] for case in PROOFS])
def test_proof_is_due_by_what_was_published(
    evidence: Door, last: dict[str, Any] | None, oldest: datetime | None, due: datetime | None
) -> None:
    """The weekly look at every byte and the drill follow from their last records: no restart skips or doubles one."""
    record = None if last is None else {key: str(value) for key, value in last.items()}
    found = proof_due(record, oldest, WEEK, NOW)
    evidence.saw("due", f"{record}, oldest {oldest}: {found}")

    assert found == due


@pytest.mark.control("RST-05")
def test_failing_drill_holds_up_no_snapshot(evidence: Door) -> None:
    """Each kind of run waits for its own next try: a drill that fails again and again delays no snapshot."""
    snapshot, drill = Job("now", lambda now: now), Job("drill", lambda now: now)
    for _ in range(3):
        drill.note(1)
    waits = snapshot.wait_for(NOW), drill.wait_for(NOW)
    evidence.saw("waits", str(waits))

    assert waits[0] == timedelta(0)
    assert waits[1] is not None
    assert retry_after(2) < waits[1] <= retry_after(3)


RUN = """
import contextlib, signal, subprocess, sys, time
begun = subprocess.Popen([sys.executable, "-m", "backup", "run"], stdout=subprocess.PIPE)
begun.stdout.readline()
with contextlib.suppress(subprocess.TimeoutExpired):
    sys.exit(f"ended by itself with {begun.wait(0.3)}")
asked = time.monotonic()
begun.send_signal(signal.SIGTERM)
print(begun.wait(), time.monotonic() - asked)
"""


@pytest.mark.promise("the keeper ends within a second whatever it is doing")
def test_schedule_does_not_wait_for_a_dead_drill(keeper: Keeper, contract: Contract) -> None:
    """Told to stop while a dead drill's mark lies in scratch/, the schedule ends at once and leaves it to the next."""
    keeper.shell("mkdir /srv/scratch/data; : > /srv/scratch/taken.json; : > /srv/scratch/data/balades.db")

    code, took = keeper.run("python3", "-c", RUN).stdout.split()

    assert (int(code), float(took) < contract.backup.number("ends_within_s")) == (0, True)
    assert keeper.shell("ls /srv/scratch/data") == "balades.db\n"


@pytest.mark.promise("whoever looks without the lock survives what leaves meanwhile")
def test_schedule_survives_a_look_that_fails(evidence: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that ends in an error is logged and followed by the next; the loop of the keeper does not end."""
    schedule = Schedule(from_environment({}))
    looks: list[int] = []

    def look() -> timedelta:
        looks.append(len(looks))
        if len(looks) > 1:
            schedule.stopping.set()
            return timedelta(0)
        raise FileNotFoundError("it left meanwhile")

    monkeypatch.setattr(schedule, "_step", look)
    monkeypatch.setattr(schedule, "_tidy", lambda: None)
    monkeypatch.setattr("backup.schedule._LOOK_EVERY", timedelta(0))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    code = schedule.run()
    evidence.saw("looks", str(looks))

    assert (code, looks) == (0, [0, 1])
