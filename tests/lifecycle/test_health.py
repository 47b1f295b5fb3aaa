"""Health means that the site works: each injury shows by its name, and each repair shows.

The stack of this file is hurt and mended again and again; each test finds it well and leaves it well.
"""

import json
from dataclasses import dataclass

import pytest

from fixtures.contract import Contract
from fixtures.stack import Stack


@dataclass(frozen=True)
class Injury:
    """What can happen to a database file, and how an operator undoes it."""

    hurt: str  # a shell line, as root, in the stack's data folder
    mend: str
    error: str  # what health must call it

    def __str__(self) -> str:
        return self.error


INJURIES = [
    # somebody moved the file away; the app still holds it open
    pytest.param(
        Injury("mkdir ../away; mv balades.db* ../away", "mv ../away/* .; rmdir ../away", "database_missing"),
        id="gone",
    ),
    # the disk returned something else than was written
    pytest.param(
        Injury(
            "cp -a balades.db ../kept; head -c 8192 /dev/urandom | dd of=balades.db conv=notrunc status=none",
            "dd if=../kept of=balades.db conv=notrunc status=none; rm ../kept",
            "database_damaged",
        ),
        id="garbage",
    ),
    # a backup tool or an administrator took the right to write
    pytest.param(
        Injury("chmod 0400 balades.db*; chmod 0500 .", "chmod 0700 .; chmod 0600 balades.db*", "database_readonly"),
        id="read-only",
    ),
    # somebody copied the file as root: every read is answered, every write fails
    pytest.param(
        Injury(
            "chown 0:0 balades.db*; chmod 0644 balades.db*",
            "chown 1001:1001 balades.db*; chmod 0600 balades.db*",
            "database_readonly",
        ),
        id="root-owned",
    ),
]


def in_data_folder(stack: Stack, line: str) -> None:
    """Do something to the database's folder as root."""
    stack.as_root("sh", "-euc", f"cd /srv/data; {line}")


@pytest.mark.control("HLT-02")
@pytest.mark.parametrize("injury", INJURIES)
def test_injured_database_shows_and_heals(patient: Stack, contract: Contract, injury: Injury) -> None:
    """An injured database turns the app unhealthy in time and by its name, and its repair turns it back."""
    written = patient.write_walks(2)
    patience = contract.services["app"].health.until_unhealthy_s + contract.recovery.unhealthy_margin_s

    in_data_folder(patient, injury.hurt)
    try:
        patient.wait_until_health("unhealthy", within=patience)
        status, answer = patient.ask_app("/api/health")
    finally:
        in_data_folder(patient, injury.mend)
    patient.wait_until_health("healthy", within=contract.recovery.repaired_s)

    assert (status, json.loads(answer)["error"]) == (500, injury.error)
    assert [walk for walk in written if walk not in patient.read_walks()] == []
