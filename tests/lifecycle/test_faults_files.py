"""A file that is no snapshot, given by hand: refused by its name, whatever it is."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.contract import Contract
from fixtures.services import CONTRACT
from fixtures.snapshots import refused_and_unharmed
from fixtures.stack import Stack
from fixtures.wrong_ways import Bench, lend_bench

pytestmark = pytest.mark.control("RST-03")

LONGEST_NAME = 255


def directory(folder: Path) -> str:
    """A folder with the name of a snapshot's file."""
    (folder / "folder.db.zst").mkdir()
    return "folder.db.zst"


def wrong_ending(folder: Path) -> str:
    """A picture."""
    (folder / "holiday.jpeg").write_bytes(b"\xff\xd8\xff\xe0 and so on")
    return "holiday.jpeg"


def longest_name(folder: Path) -> str:
    """Text under the longest name that a file can have."""
    name = "x" * (LONGEST_NAME - len(".db")) + ".db"
    (folder / name).write_text("a letter\n" * 900)
    return name


def too_long_name(folder: Path) -> str:
    """A name that no file can have."""
    del folder
    return "x" * 4 * LONGEST_NAME + ".db"


def other_format(folder: Path) -> str:
    """A gzip file that calls itself something else."""
    (folder / "renamed.db.zst").write_bytes(gzip.compress(b"SQLite format 3\x00" + bytes(9000)))
    return "renamed.db.zst"


@pytest.mark.parametrize(
    ("make", "code", "reason"),
    [
        (directory, CONTRACT.exit_codes.usage, "neither `latest`, nor a snapshot's name, nor a file"),
        (wrong_ending, CONTRACT.exit_codes.usage, "the ending tells no format"),
        (too_long_name, CONTRACT.exit_codes.usage, "neither `latest`, nor a snapshot's name, nor a file"),
        (longest_name, CONTRACT.exit_codes.damaged, "no SQLite database"),
        (other_format, CONTRACT.exit_codes.damaged, "renamed.db.zst"),
    ],
)
def test_what_is_no_snapshot_is_refused(
    module_stack: Stack, tmp_path: Path, make: Callable[[Path], str], code: int, reason: str
) -> None:
    """A folder, a picture, a name too long or a wrong format is refused by name; data and site stay as they were."""
    name = make(tmp_path)

    refused_and_unharmed(module_stack, "restore", str(tmp_path / name), code=code, words=(name[:40], reason))


def test_unreadable_file_is_named(bench: Bench, contract: Contract) -> None:
    """A file that the keeper may not read is refused by its name, with the reason and a next step."""
    bench.shell("umask 777; : > /srv/scratch/locked.db")

    refused = bench.backup("restore", "/srv/scratch/locked.db", expect=contract.exit_codes.usage)

    assert "/srv/scratch/locked.db: Permission denied" in refused.stderr
    assert "defect" not in refused.stderr


@pytest.mark.parametrize("pack", ["zstd -q -o /srv/scratch/bomb.db.zst", "gzip > /srv/scratch/bomb.db.gz"])
def test_file_that_swells_is_stopped_in_time(images: dict[str, str], contract: Contract, pack: str) -> None:
    """A small file that unpacks to more than the disk holds is stopped while there is room, and leaves nothing."""
    swollen = contract.faults.whole("swollen_mib")
    with lend_bench(
        images["backup"], mount={"backups": f"size={contract.faults.whole('cramped_backups_mib')}m"}
    ) as bench:
        bench.python("make_database", str(contract.backup.whole("small_bytes")))
        bench.backup("now")
        before, rows = bench.look().kept(), bench.rows()
        bench.shell(f"head -c {swollen}M /dev/zero | {pack}")

        refused = bench.backup("restore", pack.split()[-1], expect=contract.exit_codes.no_space)

        assert f"after unpacking {pack.split()[-1]} needs" in refused.stderr
        assert (bench.look().kept(), bench.rows()) == (before, rows)
        assert [path for path in bench.look().files if path.startswith(".staging/")] == []
