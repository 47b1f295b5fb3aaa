"""One service cannot starve the host or its neighbours: each limit as configured, and as the kernel enforces it."""

import os

import pytest

from fixtures.contract import Contract
from fixtures.services import Service
from fixtures.wait import wait_for

pytestmark = pytest.mark.live

MIB = 1 << 20
ROUNDING = 0.001  # the kernel keeps cpu shares in whole microseconds


@pytest.mark.control("RUN-06")
def test_memory_is_limited(service: Service) -> None:
    """The engine was told the promised memory, with no swap on top."""
    facts = service.facts
    promised = service.promised.memory_mib * MIB

    assert (facts.memory, facts.memory_swap) == (promised, promised)


@pytest.mark.control("RUN-06")
def test_memory_limit_is_in_force(service: Service) -> None:
    """The control group stops the service at the promised memory, with no swap on top."""
    limits = service.limits()

    assert (limits.memory, limits.swap) == (service.promised.memory_mib * MIB, 0)


@pytest.mark.control("RUN-07")
def test_cpu_is_limited(service: Service) -> None:
    """The engine was told the promised share of processors, and the control group enforces it."""
    promised = pytest.approx(min(service.promised.cpus, os.cpu_count() or 1), abs=ROUNDING)

    assert service.facts.cpus == promised
    assert service.limits().cpus == promised


@pytest.mark.control("RUN-08")
def test_processes_are_limited(service: Service) -> None:
    """The engine was told the promised number of processes, and the control group enforces it."""
    assert service.facts.pids == service.promised.pids
    assert service.limits().pids == service.promised.pids


@pytest.mark.control("RUN-16")
def test_open_files_are_limited(service: Service) -> None:
    """The engine was told the promised number of open files."""
    assert service.facts.nofile == (service.promised.nofile, service.promised.nofile)


@pytest.mark.control("RUN-16")
def test_open_files_limit_is_in_force(service: Service) -> None:
    """Every live process is held to the promised number of open files."""
    processes = service.processes()

    assert {one.open_files for one in processes} == {(service.promised.nofile, service.promised.nofile)}


@pytest.mark.control("RUN-17")
def test_service_comes_back_after_crash_and_reboot(service: Service) -> None:
    """The engine restarts the service after a crash and after a reboot, unless somebody stopped it."""
    assert service.facts.restart == service.promised.restart


@pytest.mark.control("LOG-01")
def test_container_log_is_bounded(service: Service, contract: Contract) -> None:
    """The engine's own log of the service cannot fill the disk."""
    facts = service.facts

    assert facts.log_driver in {"json-file", "local"}
    assert facts.log_options == {
        "max-size": f"{contract.stack.log_max_mb}m",
        "max-file": str(contract.stack.log_files),
    }


@pytest.mark.control("HLT-05")
def test_service_gets_its_time_to_stop(service: Service) -> None:
    """The engine waits as long as promised before it kills a stopping service."""
    assert service.facts.stop_grace_s == service.promised.stop_grace_s


@pytest.mark.control("HLT-01")
def test_engine_asks_for_health_as_promised(service: Service) -> None:
    """The engine asks for health at the promised interval, with the promised patience."""
    asked = service.facts.health_check
    promised = service.promised.health

    assert asked is not None
    assert (asked.interval_s, asked.timeout_s, asked.retries, asked.start_s) == (
        promised.interval_s,
        promised.timeout_s,
        promised.retries,
        promised.start_s,
    )


@pytest.mark.control("HLT-01")
def test_service_becomes_healthy(service: Service, contract: Contract) -> None:
    """The service becomes healthy in time after `up`, and its last probe did not fail."""

    def well() -> bool:
        facts = service.facts
        return (facts.status, facts.health, facts.failing_streak) == ("running", "healthy", 0)

    stack = service.stack
    wait_for(
        f"{service.container} is running, healthy, 0 probes failing", well, contract.recovery.ready_s, story=stack.story
    )
