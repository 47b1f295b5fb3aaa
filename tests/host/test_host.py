"""The engine and the machine under it.

`./stack verify` judges the host of the stack. The gate runs on machines that promise nothing, so there the same
judgement is passed on a document of a sound host, which shows that it is passed, not what this machine is.
"""

import pytest

from fixtures import host_rules
from fixtures.contract import Contract
from fixtures.host import Host

pytestmark = pytest.mark.live


@pytest.mark.control("HST-01")
def test_versions_are_supported(host: Host, contract: Contract) -> None:
    """Engine, Compose and kernel are recent enough, and the engine is none that is known to be bad."""
    complaints = host_rules.old_versions(host.facts, contract.host)

    assert not complaints, "; ".join(complaints)


@pytest.mark.control("HST-02")
def test_engine_s_files_are_root_s(host: Host, contract: Contract) -> None:
    """The engine's sockets, units, settings, certificates and keys belong to root, and are closed to others."""
    complaints = host_rules.open_files(host.facts, contract.host)

    assert not complaints, "; ".join(complaints)


@pytest.mark.control("HST-03")
def test_only_named_people_control_the_engine(host: Host, contract: Contract) -> None:
    """Nobody is in the group docker but those whom the contract names."""
    complaints = host_rules.strangers(host.facts, contract.host)

    assert not complaints, "; ".join(complaints)


@pytest.mark.control("HST-04")
def test_engine_is_not_on_plain_tcp(host: Host) -> None:
    """The engine is not reached over TCP without a certificate."""
    complaints = host_rules.open_doors(host.facts)

    assert not complaints, "; ".join(complaints)


@pytest.mark.control("HST-05")
def test_engine_logs_and_lets_containers_live(host: Host, contract: Contract) -> None:
    """The engine logs at info, and its containers outlive its restart."""
    complaints = host_rules.quiet_or_fragile(host.facts, contract.host)

    assert not complaints, "; ".join(complaints)


@pytest.mark.control("HST-06")
def test_root_of_a_container_is_not_the_host_s(host: Host) -> None:
    """The engine remaps users, or runs without root."""
    complaints = host_rules.root_of_the_host(host.facts)

    assert not complaints, "; ".join(complaints)


@pytest.mark.control("HST-07")
def test_every_registry_needs_tls(host: Host, contract: Contract) -> None:
    """The engine takes no image from a registry without TLS, but from the host's own."""
    complaints = host_rules.plain_registries(host.facts, contract.host)

    assert not complaints, "; ".join(complaints)


@pytest.mark.control("HST-08")
def test_engine_s_folder_is_apart_and_watched(host: Host) -> None:
    """The engine's folder has a partition of its own, and each of its files is audited."""
    complaints = host_rules.shared_and_unwatched(host.facts)

    assert not complaints, "; ".join(complaints)
