"""The contract is read whole or refused whole."""

from pathlib import Path

import pytest

from fixtures import contract as promises
from fixtures.evidence import Door

pytestmark = pytest.mark.promise("a typing error in the contract never weakens a check")

GOOD = promises.FILE.read_text(encoding="utf-8")


def test_contract_describes_every_service(evidence: Door) -> None:
    """The contract loads, and gives each of the four services and the job its limits."""
    evidence.read(promises.FILE)
    contract = promises.load()

    assert sorted(contract.services) == ["app", "backup", "drill", "gate"]
    assert sorted(contract.jobs) == ["init"]


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        # blanks and doubles
        ('bind = "127.0.0.1"', 'bind = " "', "stack.bind is blank"),
        ('services = ["gate", "app", "backup", "drill"]', 'services = ["gate", "gate"]', "names gate twice"),
        ("memory_mib = 192", "memory_mib = 192\nmemory_mib = 65", "contract.toml: Cannot overwrite a value"),
        # names that nobody reads
        ("pids = 64", "pidz = 64", "[services.gate]: unknown key pidz"),
        ("[recovery]", "[recoverie]", "the file: unknown key recoverie"),
        ("[services.backup]", "[services.bakcup]", "stack.services lists gate, app, backup, drill"),
        # another kind of value than the one that is compared
        ("cpus = 0.5", 'cpus = "0.5"', "services.gate.cpus is '0.5', expected a number"),
        ("nofile = 1024", "nofile = true", "services.backup.nofile is True, expected a whole number"),
        ("image_mb = 95", "image_mb = nan", "services.gate.image_mb is not a number"),
        ("schema = 1", "schema = 2", "this suite reads schema 1"),
        # a limit that is no longer there
        ("stop_grace_s = 25", "", "[services.app]: missing stop_grace_s"),
    ],
)
def test_contract_with_a_fault_is_refused(right: str, wrong: str, complaint: str, evidence: Door) -> None:
    """A contract with an unknown, double, blank, missing or mistyped word is refused by its name."""
    assert GOOD.count(right) >= 1, "the fault must really be put in"
    faulty = GOOD.replace(right, wrong, 1)

    with pytest.raises(promises.ContractError) as refusal:
        promises.parse(faulty, Path("contract.toml").name)

    assert complaint in evidence.saw(f"parse with {wrong!r}", str(refusal.value), subject="contract.toml")


def test_missing_key_of_an_open_table_is_named(evidence: Door) -> None:
    """A test that asks for a threshold nobody wrote is told which there are."""
    table = promises.Table("site", {"p99_s": 2.0})

    with pytest.raises(promises.ContractError) as refusal:
        table.number("p9_s")

    assert "known: p99_s" in evidence.saw("read site.p9_s", str(refusal.value), subject="contract.toml")
