"""The live database as it lies there: whole, private, with room beside it. Only looked at."""

import pytest

from fixtures.contract import Contract
from fixtures.snapshots import inside
from fixtures.stack import Stack

pytestmark = pytest.mark.live

CHECK_S = 3600  # of a large database
SCHEMA = "from app.schema import VERSION; print(VERSION)"
FILES = "cd /srv/data && for name in . balades.db balades.db-*; do stat --format='%n %a %u:%g' -- $name; done; true"


@pytest.mark.deep
@pytest.mark.control("VOL-05")
def test_database_is_intact(stack: Stack) -> None:
    """SQLite finds every page of the live database sound, every reference kept, and the schema that the app knows."""
    wanted = int(stack.exec("app", "python3", "-c", SCHEMA).stdout)

    seen = inside(stack, "database", within=CHECK_S)

    assert seen == {"integrity_check": [["ok"]], "foreign_key_check": [], "user_version": [[wanted]]}


@pytest.mark.control("VOL-06")
def test_database_is_private(stack: Stack, contract: Contract) -> None:
    """The database and what SQLite keeps beside it are the app's alone, and nobody else may enter their folder."""
    owner = f"{contract.stack.uid}:{contract.stack.gid}"
    lines = stack.exec("app", "sh", "-c", FILES).stdout.splitlines()
    seen = {name: (mode, whose) for name, mode, whose in map(str.split, lines)}

    assert {".", "balades.db"} <= set(seen)
    assert seen == {name: ("700" if name == "." else "600", owner) for name in seen}


@pytest.mark.control("VOL-07")
@pytest.mark.parametrize("disk", ["data", "backups"])
def test_disk_has_room(stack: Stack, contract: Contract, disk: str) -> None:
    """The disk has room for the database and the largest backup several times over, and names to give."""
    seen = inside(stack, "room")
    free = seen["disks"][disk]
    needed = contract.backup.number("headroom") * (seen["database"] + seen["largest_backup"])
    names = contract.backup.number("headroom_files") * free["files"]  # 0: it does not count them

    assert free["free"] >= needed, f"{disk}: {free['free']} bytes are free, {needed:.0f} are needed"
    assert free["files_free"] >= names, f"{disk}: {free['files_free']} names are free, {names:.0f} are needed"
