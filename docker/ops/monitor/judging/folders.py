"""Rules for what lies under MONSITE_ROOT: the database's file, the disks, the logs of errors and of heals."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from ops import words
from ops.health import NEXT_STEP
from ops.monitor.checks import Check, unknown
from ops.monitor.facts import Database, Disk, Errors, Facts, Folders, Owner, Unseen
from ops.monitor.thresholds import Limit, Limits

_OWNER = 1001
_WRITABLE, _ENTERED = 0o600, 0o700


def judge(facts: Facts, limits: Limits) -> Iterator[Check]:
    """Judge the folders."""
    folders = facts.folders
    if isinstance(folders, Unseen):
        yield unknown("database.file", "database", limits["database.file"], folders, "./stack up starts what is down")
        return
    yield _database(folders.database, facts.root, limits["database.file"])
    if isinstance(folders.database, Database):
        yield _wal(folders.database, limits["database.wal"])
    for name, owner in folders.owners.items():
        yield _owner(name, owner, facts.root, limits["folders.owner"])
    for disk in folders.disks:
        yield from _disk(disk, folders, facts, limits)
    yield _errors(folders.errors, limits["errors.recent"])
    yield _heals(folders.heals, facts.at, limits["heals.recent"])


def _database(seen: Database | Unseen | None, root: str, limit: Limit) -> Check:
    if isinstance(seen, Unseen):
        return unknown("database.file", "database", limit, seen, NEXT_STEP["database_unreadable"])
    found = _of_file(seen)
    if found == "whole":
        return Check("database.file", "database", found, limit, "ok", "the database's file is there, and 1001's")
    step = "database_missing" if seen is None else "database_readonly"
    text = f"{root}/data/balades.db is {found}"
    return Check("database.file", "database", found, limit, "critical", text, NEXT_STEP[step])


def _of_file(seen: Database | None) -> str:
    if seen is None:
        return "missing"
    if seen.uid != _OWNER or seen.folder_uid != _OWNER:
        return f"owned by {seen.uid}, its folder by {seen.folder_uid}"
    if seen.mode & _WRITABLE != _WRITABLE or seen.folder_mode & _ENTERED != _ENTERED:
        return f"of mode {seen.mode:04o}, its folder {seen.folder_mode:04o}"
    return "empty" if seen.bytes == 0 and seen.wal_bytes == 0 else "whole"


def _owner(name: str, seen: Owner | Unseen | None, root: str, limit: Limit) -> Check:
    if isinstance(seen, Unseen):
        return unknown("folders.owner", name, limit, seen, NEXT_STEP["database_unreadable"])
    if seen is None:
        hint = "look where it went; ./stack up makes an empty one"
        return Check("folders.owner", name, "missing", limit, "critical", f"{root}/{name} is missing", hint)
    told = f"{seen.uid}, mode {seen.mode:04o}"
    if seen.uid == _OWNER and seen.mode & _ENTERED == _ENTERED:
        return Check("folders.owner", name, told, limit, "ok", f"{name} is 1001's")
    text = f"{root}/{name} is of {told}"
    return Check("folders.owner", name, told, limit, "warning", text, "./stack up gives the folders back to 1001")


def _wal(seen: Database, limit: Limit) -> Check:
    status = limit.grade(seen.wal_bytes)
    text = f"the database has {words.size(seen.bytes)}, its WAL {words.size(seen.wal_bytes)}"
    hint = "" if status == "ok" else "./stack restart app folds it into the database; something holds an old reader"
    return Check("database.wal", "database", seen.wal_bytes, limit, status, text, hint)


def _disk(disk: Disk, folders: Folders, facts: Facts, limits: Limits) -> Iterator[Check]:
    subject = "+".join(disk.folders)
    limit = _reckoned(limits["disk.free"], disk, folders, facts)
    status = limit.grade(disk.free)
    text = f"{words.size(disk.free)} of {words.size(disk.total)} are free for {subject}"
    hint = "" if status == "ok" else f"free space on the file system of {facts.root}"
    yield Check("disk.free", subject, disk.free, limit, status, text, hint)
    if disk.names:
        share = round(disk.free_names / disk.names, 4)
        grade = limits["disk.names"].grade(share)
        told = f"{share:.0%} of the disk's names are free for {subject}"
        yield Check("disk.names", subject, share, limits["disk.names"], grade, told, "" if grade == "ok" else hint)


def _reckoned(limit: Limit, disk: Disk, folders: Folders, facts: Facts) -> Limit:
    """Set the numbers by the floor that the site itself keeps to, the size of the database, and the disk's."""
    factors = limit.factors
    database = folders.database.bytes if isinstance(folders.database, Database) else 0
    needed = factors["warning_floors"] * facts.disk_floor + factors["warning_databases"] * database
    warning = max(needed, factors["warning_share"] * disk.total)
    return replace(limit, warning=int(warning), critical=int(factors["critical_floors"] * facts.disk_floor))


def _errors(seen: Errors | Unseen, limit: Limit) -> Check:
    if isinstance(seen, Unseen):
        return unknown("errors.recent", "app", limit, seen, NEXT_STEP["database_unreadable"])
    status = limit.grade(seen.count)
    text = f"{seen.count} errors were logged in 15 min" + (f", mostly {seen.most}" if seen.most else "")
    return Check("errors.recent", "app", seen.count, limit, status, text, "" if status == "ok" else "./stack logs app")


def _heals(seen: tuple[datetime, ...] | Unseen, now: datetime, limit: Limit) -> Check:
    if isinstance(seen, Unseen):
        return unknown("heals.recent", "app", limit, seen)
    window = timedelta(seconds=limit.factors["window_s"])
    count = len([at for at in seen if abs(now - at) < window])
    status = limit.grade(count)
    if seen:
        text = f"the app healed itself {words.span(now - max(seen))} ago, {count} times in 10 min"
    else:
        text = "the app never had to heal itself"
    return Check("heals.recent", "app", count, limit, status, text, "" if status == "ok" else "./stack logs app")
