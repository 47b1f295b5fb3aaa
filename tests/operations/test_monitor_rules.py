"""The monitor's rules as a table: what was seen, and what it must be called; each threshold from both of its sides."""

import re
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fixtures import homes
from fixtures.evidence import Door
from fixtures.monitored import PROMISED
from fixtures.run import CHECKOUT
from ops.monitor import thresholds
from ops.monitor.checks import CODES, Check, worst
from ops.monitor.facts import (
    Answer,
    Backups,
    Container,
    Database,
    Deploys,
    Disk,
    Errors,
    Facts,
    Folders,
    Owner,
    Resources,
    Silent,
    Site,
    Size,
    Unseen,
    Work,
)
from ops.monitor.judge import judge

pytestmark = pytest.mark.control("MON-01")

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LONG_AGO = NOW - 30 * DAY
LIMITS = thresholds.load()
MIB = 1 << 20
FLOOR, DATABASE, DISK = 64 * MIB, 100 * MIB, 4096 * MIB
AGE = 26.0  # hours that the keeper allows
Change = Callable[[Facts], Facts]


def container(service: str, **seen: Any) -> Container:
    """A service that has been well for a month."""
    used = Resources(40 * MIB, 256 * MIB, 10, 128, 10**12, 0)
    well = {"status": "running", "health": "healthy", "created": LONG_AGO, "started": LONG_AGO, "resources": used}
    return Container(service, f"monsite-{service}-1", **{**well, **seen})


KNOWN: dict[str, Any] = {
    "schema": 1,
    "updated": (NOW - 10 * SECOND).isoformat(),
    "healthy": True,
    "reasons": [],
    "max_age_hours": AGE,
    "newest": {"name": "balades_20261122_110000", "created": (NOW - HOUR).isoformat(), "tier": "daily"},
    "last_run": {"outcome": "success", "error": None},
    "lost_history": None,
    "uploads": {"warnings": []},
    "drill": {"at": (NOW - DAY).isoformat(), "outcome": "success"},
    "drills": [{"at": (NOW - DAY).isoformat(), "outcome": "success"}],
}
WELL = Facts(
    at=NOW,
    project="monsite",
    root="/srv/monsite",
    disk_floor=FLOOR,
    drill_interval_s=(7 * DAY).total_seconds(),
    containers={name: container(name) for name in ("gate", "app", "backup", "drill")},
    site=Site("http://127.0.0.1:3000", Answer(200, "", 1.0), Answer(200, "healthy", 10.0), Answer(200, "ready", 5.0)),
    folders=Folders(
        database=Database(DATABASE, 1001, 0o600, 1001, 0o700, 4 * MIB),
        disks=(Disk(("data", "uploads", "backups", "logs"), 2048 * MIB, DISK, 900, 1000),),
        sizes={"uploads": Size(5 * MIB, whole=True)},
        errors=Errors(0, ""),
        heals=(),
        draining=None,
    ),
    backups=Backups(KNOWN, {"daily": NOW - HOUR, "weekly": NOW - 3 * DAY, "monthly": NOW - 20 * DAY}),
    deploys=Deploys(journal=None, last=None, work=None, ever_up=True),
)


# -- what differs from a stack that is well


def service(name: str, **seen: Any) -> Change:
    """One service is seen otherwise."""

    def change(facts: Facts) -> Facts:
        assert isinstance(facts.containers, Mapping)
        return replace(facts, containers={**facts.containers, name: container(name, **seen)})

    return change


def using(**used: Any) -> Change:
    """The app uses something else."""
    return service("app", resources=replace(Resources(40 * MIB, 256 * MIB, 10, 128, 10**12, 0), **used))


def site(**seen: Any) -> Change:
    """The site answers otherwise."""
    assert WELL.site is not None
    other = replace(WELL.site, **seen)
    return lambda facts: replace(facts, site=other)


def folders(**seen: Any) -> Change:
    """Something else lies in the folders."""
    assert isinstance(WELL.folders, Folders)
    other = replace(WELL.folders, **seen)
    return lambda facts: replace(facts, folders=other)


def database(**seen: Any) -> Change:
    """The database's file is otherwise."""
    return folders(database=replace(Database(DATABASE, 1001, 0o600, 1001, 0o700, 4 * MIB), **seen))


def disk(free: float, total: int = DISK, free_names: int = 900) -> Change:
    """The disk is otherwise."""
    return folders(disks=(Disk(("data",), int(free), total, free_names, 1000),))


def known(**seen: Any) -> Change:
    """The keeper published something else."""
    return lambda facts: replace(facts, backups=Backups({**KNOWN, **seen}, {"daily": NOW - HOUR}))


def newest(age: timedelta) -> Change:
    """The newest snapshot is so old."""
    return known(newest={"name": "balades_x", "created": (NOW - age).isoformat(), "tier": "daily"})


def tier(name: str, age: timedelta) -> Change:
    """The newest snapshot of a tier is so old."""
    return lambda facts: replace(facts, backups=Backups(KNOWN, {name: NOW - age}))


def deploys(**seen: Any) -> Change:
    """Deploys stand otherwise."""
    return lambda facts: replace(facts, deploys=replace(facts.deploys, **seen))


def both(*changes: Change) -> Change:
    """Several at once."""

    def change(facts: Facts) -> Facts:
        for one in changes:
            facts = one(facts)
        return facts

    return change


def at(name: str, level: str) -> float:
    """The number of a threshold, which the file of thresholds owns."""
    number = getattr(LIMITS[name], level)
    assert isinstance(number, int | float), f"{name} has no {level}"
    return float(number)


def factor(name: str, key: str) -> float:
    """A number by which a threshold is reckoned."""
    return LIMITS[name].factors[key]


WINDOW = timedelta(seconds=factor("service.restarts", "window_s"))
STARTING = timedelta(seconds=factor("service.health", "starting_s"))
HEALED = timedelta(seconds=factor("heals.recent", "window_s"))
TOLD = timedelta(seconds=factor("deploy.last", "recent_s"))
EXCUSED = timedelta(seconds=factor("work", "excused_s"))
SCARCE = factor("disk.free", "warning_floors") * FLOOR + factor("disk.free", "warning_databases") * DATABASE
FULL = factor("disk.free", "critical_floors") * FLOOR
BIG = 64 * 1024 * MIB
MISSED = timedelta(hours=AGE * factor("backup.newest", "warning_ages"))
GONE = timedelta(hours=AGE * factor("backup.newest", "critical_ages"))
UNDRILLED = timedelta(days=7 * factor("drill.age", "warning_intervals"))
DIED = NOW - 20 * SECOND
JOURNAL = {"schema": 1, "id": "d-1", "verb": "deploy", "phase": "stopped"}
UP = Work("up", 4242, NOW - EXCUSED + SECOND)
LONG_UP = Work("up", 4242, NOW - EXCUSED)
OUTCOME = {"verb": "deploy", "ended": NOW.isoformat()}

RULES: tuple[tuple[str, str, Change, str], ...] = (
    # -- the engine
    ("silent engine", "engine.answers", lambda facts: replace(facts, containers=Unseen("dead")), "unknown"),
    # -- containers: what runs, and what only looks as if
    ("app down", "service.state app", service("app", status="exited", exit_code=137), "critical"),
    ("app paused", "service.state app", service("app", status="paused"), "critical"),
    ("app missing", "service.state app", service("app", status="missing"), "critical"),
    ("keeper down", "service.state backup", service("backup", status="exited"), "critical"),
    ("drill down", "service.state drill", service("drill", status="exited"), "warning"),
    ("app unhealthy", "service.health app", service("app", health="unhealthy"), "critical"),
    ("keeper unhealthy", "service.health backup", service("backup", health="unhealthy"), "warning"),
    ("just started", "service.health app", service("app", health="starting", started=NOW - STARTING + SECOND), "ok"),
    ("starts for ever", "service.health app", service("app", health="starting", started=NOW - STARTING), "warning"),
    # a loop, seen through: by a young container's count, by the deaths that an old one's engine remembers
    ("one restart", "service.restarts app", service("app", restarts=1, started=NOW - WINDOW + SECOND), "warning"),
    ("long ago", "service.restarts app", service("app", restarts=9, started=NOW - WINDOW), "ok"),
    ("young loop", "service.restarts app", service("app", restarts=3, started=DIED, created=NOW - MINUTE), "critical"),
    ("not yet", "service.restarts app", service("app", restarts=2, started=DIED, created=NOW - MINUTE), "warning"),
    ("old loop", "service.restarts app", service("app", restarts=3, started=DIED, deaths=(DIED,) * 3), "critical"),
    ("old scars", "service.restarts app", service("app", restarts=3, started=DIED, deaths=(DIED,)), "warning"),
    ("between lives", "service.state app", service("app", status="restarting", restarts=3), "critical"),
    # the kernel's own counts
    ("a child died", "service.oom_kills app", using(oom_kills=int(at("service.oom_kills", "warning"))), "warning"),
    ("no child died", "service.oom_kills app", using(oom_kills=0), "ok"),
    ("memory below", "service.memory app", using(memory=int(at("service.memory", "warning") * 256 * MIB) - MIB), "ok"),
    (
        "memory tight",
        "service.memory app",
        using(memory=int(at("service.memory", "warning") * 256 * MIB) + MIB),
        "warning",
    ),
    ("memory out", "service.memory app", using(memory=256 * MIB), "critical"),
    ("pids below", "service.pids app", using(pids=int(at("service.pids", "warning") * 128)), "ok"),
    ("pids tight", "service.pids app", using(pids=int(at("service.pids", "warning") * 128) + 1), "warning"),
    ("pids out", "service.pids app", using(pids=128), "critical"),
    ("group unread", "service.memory app", service("app", resources=Unseen("closed")), "unknown"),
    # -- the site
    ("gate silent", "site.gate", site(gate=Silent("refused")), "critical"),
    ("gate ill", "site.gate", site(gate=Answer(502, "", 1.0)), "critical"),
    ("not asked", "site.health", site(gate=Silent("refused"), health=Unseen("the gate is silent")), "unknown"),
    ("frozen", "site.health", site(health=Silent("no answer")), "critical"),
    ("ill", "site.health", site(health=Answer(500, "database_readonly", 9.0)), "critical"),
    ("slow", "site.time", site(health=Answer(200, "healthy", at("site.time", "warning"))), "warning"),
    ("quick", "site.time", site(health=Answer(200, "healthy", at("site.time", "warning") - 1)), "ok"),
    ("held", "site.ready", site(ready=Answer(503, "draining", 9.0)), "critical"),
    # -- the database, its WAL and the disk
    ("file gone", "database.file", folders(database=None), "critical"),
    ("root's", "database.file", database(uid=0), "critical"),
    ("root's folder", "database.file", database(folder_uid=0), "critical"),
    ("read-only", "database.file", database(mode=0o400), "critical"),
    ("closed folder", "database.file", database(folder_mode=0o500), "critical"),
    ("empty", "database.file", database(bytes=0, wal_bytes=0), "critical"),
    ("out of sight", "database.file", folders(database=Unseen("closed")), "unknown"),
    ("folders unseen", "database.file", lambda facts: replace(facts, folders=Unseen("closed")), "unknown"),
    ("uploads gone from the root", "folders.owner uploads", folders(owners={"uploads": None}), "critical"),
    ("uploads root's", "folders.owner uploads", folders(owners={"uploads": Owner(0, 0o700)}), "warning"),
    ("backups closed", "folders.owner backups", folders(owners={"backups": Owner(1001, 0o500)}), "warning"),
    ("logs open wide", "folders.owner logs", folders(owners={"logs": Owner(1001, 0o755)}), "ok"),
    ("uploads unseen", "folders.owner uploads", folders(owners={"uploads": Unseen("closed")}), "unknown"),
    ("WAL below", "database.wal", database(wal_bytes=int(at("database.wal", "warning")) - 1), "ok"),
    ("WAL large", "database.wal", database(wal_bytes=int(at("database.wal", "warning"))), "warning"),
    ("WAL vast", "database.wal", database(wal_bytes=int(at("database.wal", "critical"))), "critical"),
    ("large and fine", "database.file", database(bytes=8 * 1024 * MIB), "ok"),
    ("space", "disk.free data", disk(SCARCE), "ok"),
    ("scarce", "disk.free data", disk(SCARCE - 1), "warning"),
    ("nearly full", "disk.free data", disk(FULL), "warning"),
    ("full", "disk.free data", disk(FULL - 1), "critical"),
    ("big, space", "disk.free data", disk(factor("disk.free", "warning_share") * BIG, BIG), "ok"),
    ("big, scarce", "disk.free data", disk(factor("disk.free", "warning_share") * BIG - 1, BIG), "warning"),
    ("names", "disk.names data", disk(DISK, free_names=int(at("disk.names", "warning") * 1000)), "ok"),
    ("few names", "disk.names data", disk(DISK, free_names=int(at("disk.names", "warning") * 1000) - 1), "warning"),
    ("no names", "disk.names data", disk(DISK, free_names=0), "critical"),
    # -- what the app logged, and how often it had to heal itself
    ("few errors", "errors.recent", folders(errors=Errors(int(at("errors.recent", "warning")) - 1, "x")), "ok"),
    ("many errors", "errors.recent", folders(errors=Errors(int(at("errors.recent", "warning")), "x")), "warning"),
    ("log closed", "errors.recent", folders(errors=Unseen("closed")), "unknown"),
    ("healed", "heals.recent", folders(heals=(NOW - HEALED + SECOND,)), "warning"),
    ("healed long ago", "heals.recent", folders(heals=(NOW - HEALED,)), "ok"),
    ("heals in vain", "heals.recent", folders(heals=(DIED,) * int(at("heals.recent", "critical"))), "critical"),
    ("heals yet to come", "heals.recent", folders(heals=(NOW + HEALED,) * 9), "ok"),
    ("heals damaged", "heals.recent", folders(heals=Unseen("damaged")), "unknown"),
    # -- backups
    ("state closed", "backup.published", lambda facts: replace(facts, backups=Unseen("closed")), "unknown"),
    (
        "silent keeper",
        "backup.published",
        known(updated=(NOW - timedelta(seconds=at("backup.published", "warning"))).isoformat()),
        "warning",
    ),
    (
        "busy keeper",
        "backup.published",
        known(updated=(NOW - timedelta(seconds=at("backup.published", "warning") - 1)).isoformat()),
        "ok",
    ),
    # what is dated far ahead hides as much as what is old
    ("published ahead", "backup.published", known(updated=(NOW + DAY).isoformat()), "warning"),
    ("newest ahead", "backup.newest", newest(-GONE), "critical"),
    (
        "drilled ahead",
        "drill.age",
        known(drills=[{"at": (NOW + UNDRILLED).isoformat(), "outcome": "success"}]),
        "warning",
    ),
    ("weekly ahead", "backup.weekly", tier("weekly", timedelta(days=-at("backup.weekly", "warning"))), "warning"),
    ("nothing published", "backup.published", lambda facts: replace(facts, backups=Backups({})), "warning"),
    (
        "nothing published yet",
        "backup.published",
        both(lambda facts: replace(facts, backups=Backups({})), service("backup", started=NOW - MINUTE)),
        "ok",
    ),
    ("fresh", "backup.newest", newest(MISSED - MINUTE), "ok"),
    ("stale", "backup.newest", newest(MISSED), "warning"),
    ("still stale", "backup.newest", newest(GONE - MINUTE), "warning"),
    ("very stale", "backup.newest", newest(GONE), "critical"),
    ("none", "backup.newest", known(newest=None), "critical"),
    ("weekly fresh", "backup.weekly", tier("weekly", timedelta(days=at("backup.weekly", "warning")) - HOUR), "ok"),
    ("weekly stale", "backup.weekly", tier("weekly", timedelta(days=at("backup.weekly", "warning"))), "warning"),
    ("monthly fresh", "backup.monthly", tier("monthly", timedelta(days=at("backup.monthly", "warning")) - HOUR), "ok"),
    ("monthly stale", "backup.monthly", tier("monthly", timedelta(days=at("backup.monthly", "warning"))), "warning"),
    (
        "weekly seldom",
        "backup.weekly",
        lambda facts: replace(facts, backups=Backups({**KNOWN, "max_age_hours": 744}, {"weekly": NOW - 10 * DAY})),
        "ok",
    ),
    ("failing", "backup.run", known(last_run={"outcome": "failure", "error": "no space"}), "warning"),
    ("none run yet", "backup.run", known(last_run=None), "ok"),
    ("unhealthy for another reason", "backup.well", known(healthy=False, reasons=["x is not whole"]), "warning"),
    (
        "unhealthy for a reason told",
        "backup.well",
        known(healthy=False, reasons=["the last run failed"], last_run={"outcome": "failure"}),
        "ok",
    ),
    ("emptied", "backup.history", known(lost_history={"newest": "balades_x", "at": "then"}), "warning"),
    ("uploads gone", "backup.uploads", known(uploads={"warnings": ["1 upload is gone"]}), "warning"),
    ("drill failed", "drill.run", known(drill={"at": NOW.isoformat(), "outcome": "failure"}), "warning"),
    ("drill due", "drill.age", known(drills=[{"at": (NOW - UNDRILLED).isoformat(), "outcome": "success"}]), "warning"),
    (
        "drilled",
        "drill.age",
        known(drills=[{"at": (NOW - UNDRILLED + MINUTE).isoformat(), "outcome": "success"}]),
        "ok",
    ),
    ("never drilled", "drill.age", known(drill=None, drills=[]), "warning"),
    ("young", "drill.age", both(known(drill=None, drills=[]), service("backup", created=NOW - DAY)), "ok"),
    # -- deploys
    ("cut short", "deploy.journal", deploys(journal=JOURNAL), "critical"),
    ("cut short, decided", "deploy.journal", deploys(journal={**JOURNAL, "phase": "committed"}), "warning"),
    ("under way", "deploy.journal", deploys(journal=JOURNAL, work=Work("deploy", 4242, NOW)), "ok"),
    ("journal damaged", "deploy.journal", deploys(journal=Unseen("damaged")), "unknown"),
    ("live", "deploy.last", deploys(last={**OUTCOME, "outcome": "live"}), "ok"),
    ("rejected", "deploy.last", deploys(last={**OUTCOME, "outcome": "rejected"}), "ok"),
    ("rolled back", "deploy.last", deploys(last={**OUTCOME, "outcome": "rolled-back"}), "warning"),
    (
        "rolled back long ago",
        "deploy.last",
        deploys(last={"verb": "deploy", "ended": (NOW - TOLD).isoformat(), "outcome": "rolled-back"}),
        "ok",
    ),
    ("failed", "deploy.last", deploys(last={**OUTCOME, "outcome": "failed"}), "warning"),
    (
        "left down",
        "deploy.last",
        both(deploys(last={**OUTCOME, "outcome": "down"}), site(health=Silent("no answer"))),
        "critical",
    ),
    ("was down, serves", "deploy.last", deploys(last={**OUTCOME, "outcome": "down"}), "ok"),
    ("history damaged", "deploy.last", deploys(last=Unseen("damaged")), "unknown"),
    # -- what a verb at work explains, for as long as it may take
    ("stopped by up", "service.state app", both(service("app", status="exited"), deploys(work=UP)), "warning"),
    ("up hangs", "service.state app", both(service("app", status="exited"), deploys(work=LONG_UP)), "critical"),
    ("held by a deploy", "site.ready", both(site(ready=Answer(503, "draining", 1.0)), deploys(work=UP)), "warning"),
    ("full all the same", "disk.free data", both(disk(FULL - 1), deploys(work=UP)), "critical"),
    (
        "exchanged",
        "database.wal",
        both(database(wal_bytes=int(at("database.wal", "warning"))), deploys(work=Work("restore", 4242, NOW - SECOND))),
        "ok",
    ),
)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("service.state drill", service("drill", status="missing")),
        ("service.health backup", service("backup", health="unhealthy")),
        ("service.restarts app", service("app", restarts=1, started=NOW - SECOND)),
        ("service.state app", service("app", status="exited")),
        ("site.time", site(health=Answer(200, "healthy", 9000.0))),
        ("site.health", site(gate=Silent("refused"), health=Unseen("the gate is silent"))),
    ],
)
def test_verb_at_work_explains_warnings_too(evidence: Door, name: str, change: Change) -> None:
    """Whatever a verb at work stops and starts is a warning that names it, so that no alert is raised of it."""
    check = found(judge(both(change, deploys(work=UP))(WELL), LIMITS), name)
    evidence.saw(f"judge {name}", f"{check.status}: {check.text}; during {check.during or 'nothing'}")

    assert (check.status, check.during) == ("warning", "up")


def found(checks: list[Check], name: str) -> Check:
    """The one check of a name, such as `site.gate` or `service.state app`."""
    wanted, _, subject = name.partition(" ")
    (one,) = [check for check in checks if check.id == wanted and subject in ("", check.subject)]
    return one


def test_well_stack_is_well(evidence: Door) -> None:
    """Of a stack on which nothing is wrong every check is ok."""
    checks = judge(WELL, LIMITS)
    evidence.saw("judge", "\n".join(f"{check.id} {check.subject} {check.status}: {check.text}" for check in checks))

    assert [check for check in checks if check.status != "ok"] == []
    assert worst(checks) == "ok"


@pytest.mark.parametrize(("name", "change", "status"), [row[1:] for row in RULES], ids=[row[0] for row in RULES])
def test_rule(evidence: Door, name: str, change: Change, status: str) -> None:
    """What differs from a well stack is judged by its own check, with the value, and a next step where it is ill."""
    check = found(judge(change(WELL), LIMITS), name)
    evidence.saw(f"judge {name}", f"{check.status}: {check.text}; {check.hint}")

    assert check.status == status
    assert (check.value is None) == (status == "unknown")


def test_each_check_has_a_rule_and_each_rule_a_threshold(evidence: Door) -> None:
    """Every check of the file of thresholds has a row in the table above, and no row lacks a threshold."""
    told = {row[1].partition(" ")[0] for row in RULES}
    evidence.saw("checks with a row", ", ".join(sorted(told)))

    assert set(LIMITS) - {"work", "stack.there", "monitor.file"} == told


def test_stack_that_was_never_started_is_not_judged(evidence: Door) -> None:
    """Where nothing was ever started one check says so, as something that could not be looked at."""
    gone = {name: Container(name, name, "missing") for name in ("gate", "app")}
    checks = judge(replace(WELL, containers=gone, deploys=replace(WELL.deploys, ever_up=False)), LIMITS)
    evidence.saw("judge", "\n".join(f"{check.id} {check.status}: {check.text}" for check in checks))

    assert [(check.id, check.status) for check in checks] == [("stack.there", "unknown")]


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        # nothing judged is never well
        ((), 3),
        (("ok", "ok"), 0),
        (("ok", "warning"), 1),
        # what is certain comes first, then what nobody saw
        (("warning", "unknown"), 3),
        (("unknown", "critical", "warning"), 2),
    ],
)
def test_worst_decides_the_code(evidence: Door, statuses: tuple[thresholds.Status, ...], code: int) -> None:
    """The exit code is that of the worst check: critical before unknown, unknown before warning."""
    checks = [Check("a.b", "x", 1, LIMITS["site.gate"], status, "text") for status in statuses]
    evidence.saw("codes", f"{statuses}: {CODES[worst(checks)]}")

    assert CODES[worst(checks)] == code


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ("schema = 1", "schema = 2", "schema is 2, this monitor reads schema 1"),
        ('["site.gate"]', '["site.gates"]', "the file has an unknown check site.gates, lacks: site.gate"),
        ('["site.gate"]', "[site.gate]", "the file has an unknown check site, lacks: site.gate"),
        ('reason = "before', 'reasons = "before', "stack.there has an unknown key reasons, lacks: reason"),
        ('reason = "before', 'reason = ""\n# "', "stack.there gives no reason"),
        ('expected = "started"', "expected = 1", "stack.there has expected = 1, expected a text"),
        ('sense = "above"', 'sense = "over"', "service.restarts has sense = 'over', expected above or below"),
        ("starting_s = 60", "starting = 60", "service.health has an unknown factor starting, lacks: starting_s"),
        ("{ starting_s = 60 }", "60", "service.health.factors is 60, expected a table"),
        # a number that no rule would look at, and none where one is to be looked at
        ("factors = { warning_int", "warning = 9\nfactors = { warning_int", "drill.age has an unknown key warning"),
        ('expected = "whole"', 'expected = "whole"\nwarning = 9', "database.file has an unknown key warning"),
        ("warning = 1500", "", "site.time has neither warning nor critical"),
        ("warning = 1500", 'warning = "1500"', "site.time has warning = '1500', expected a number"),
        ("starting_s = 60", "starting_s = true", "service.health has starting_s = True, expected a number"),
        ("warning = 1500", "warning = nan", "site.time has warning = nan, expected a number"),
    ],
)
def test_faulty_thresholds_are_refused(evidence: Door, right: str, wrong: str, complaint: str) -> None:
    """A file of thresholds with an unknown or missing word is refused by the check's name."""
    text = evidence.read(thresholds.FILE)
    assert right in text, "the fault must really be put in"

    with pytest.raises(ValueError, match=complaint):
        thresholds.parse(text.replace(right, wrong, 1))


def blocks() -> dict[str, str]:
    """What the file says of each check, by its name."""
    _, *told = re.split(r"^(?=\[)", thresholds.FILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.match(r'\["(.+)"\]', one)[1]: one for one in told}  # type: ignore[index]  # else the test ends here


@pytest.mark.parametrize("name", LIMITS)
def test_check_without_a_threshold_is_refused(evidence: Door, name: str) -> None:
    """A file of thresholds that lacks one check is refused by its name, before anything is judged."""
    text = evidence.read(thresholds.FILE)

    with pytest.raises(ValueError, match=f"the file has no check {name}, seen: {len(LIMITS) - 1} others"):
        thresholds.parse(text.replace(blocks()[name], ""))


@pytest.mark.parametrize(
    ("name", "key"), [(name, key) for name, form in thresholds.FORMS.items() for key in sorted(form.needed)]
)
def test_check_without_a_key_is_refused(evidence: Door, name: str, key: str) -> None:
    """A check that lacks a key which its rule asks for is refused by the names of both."""
    text = evidence.read(thresholds.FILE)
    block = blocks()[name]

    with pytest.raises(ValueError, match=f"{name} has no key {key}, seen: "):
        thresholds.parse(text.replace(block, re.sub(rf"^{key} = .*\n", "", block, flags=re.MULTILINE)))


@pytest.mark.parametrize(("name", "key"), [(name, key) for name, limit in LIMITS.items() for key in limit.factors])
def test_check_without_a_factor_is_refused(evidence: Door, name: str, key: str) -> None:
    """A check that lacks a factor by which its rule reckons is refused by the names of both."""
    text = evidence.read(thresholds.FILE)
    block = blocks()[name]

    with pytest.raises(ValueError, match=f"{name} has no factor {key}, seen: "):
        thresholds.parse(text.replace(block, re.sub(rf"\b{key} = [\d.]+(, )?", "", block).replace(",  }", " }")))


@pytest.mark.parametrize(
    ("hurt", "told"),
    [
        (lambda text: text.replace("starting_s = 60", ""), ": service.health has no factor starting_s, seen: none"),
        (lambda text: text.replace('["site.gate"]', '["site.gates"]'), ": the file has an unknown check site.gates"),
        (lambda _: None, " cannot be read: No such file or directory"),
    ],
    ids=["factor", "check", "file"],
)
def test_monitor_with_faulty_thresholds_could_not_look(
    evidence: Door, tmp_path: Path, hurt: Callable[[str], str | None], told: str
) -> None:
    """With thresholds that are not whole the monitor judges nothing: it names file, fault and how to undo it."""
    shutil.copytree(CHECKOUT / "docker", tmp_path / "docker", ignore=shutil.ignore_patterns("__pycache__", ".env"))
    file = tmp_path / thresholds.FILE.relative_to(CHECKOUT)
    text = hurt(file.read_text(encoding="utf-8"))
    file.unlink() if text is None else file.write_text(text, encoding="utf-8")
    where = {**homes.environment(), "PYTHONPATH": str(tmp_path / "docker"), "MONSITE_ROOT": str(tmp_path / "root")}
    done = evidence.run(sys.executable, "-m", "ops", "monitor", "--json", env=where, cwd=tmp_path)

    (only,) = done.json()["checks"]
    assert done.code == done.json()["code"] == PROMISED.whole("could_not_look")
    assert only["text"].startswith(f"{file}{told}")
    assert f"git restore {file}" in only["hint"]
