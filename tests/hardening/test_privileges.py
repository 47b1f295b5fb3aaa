"""No privilege is left to win: two witnesses, the engine's configuration and the kernel's record."""

import json

import pytest

from fixtures.engine_facts import engine
from fixtures.evidence import Door
from fixtures.services import Job, Service, on_host
from fixtures.verdicts import not_applicable

pytestmark = pytest.mark.live

SECCOMP_FILTER = 2  # the kernel's word for "a filter is in force"
APPARMOR_PROFILE = "docker-default"
CONFINED = (APPARMOR_PROFILE, f"{APPARMOR_PROFILE} (enforce)")


@pytest.mark.control("RUN-03")
def test_engine_drops_every_capability(service: Service) -> None:
    """The engine was told to drop all capabilities and to add none."""
    facts = service.facts

    assert (facts.cap_drop, facts.cap_add) == (("ALL",), ())


@pytest.mark.control("RUN-03")
def test_kernel_gives_no_capability(service: Service) -> None:
    """No live process holds, may take, inherit or ever regain a capability."""
    processes = service.processes()

    assert [
        one
        for one in processes
        if one.cap_effective | one.cap_permitted | one.cap_inherited | one.cap_ambient | one.cap_bounding
    ] == []


@pytest.mark.control("RUN-04")
def test_engine_forbids_new_privileges(service: Service) -> None:
    """The engine was told that no process may gain privileges."""
    assert "no-new-privileges:true" in service.facts.security_opt


@pytest.mark.control("RUN-04")
def test_kernel_forbids_new_privileges(service: Service) -> None:
    """Every live process carries the kernel's mark that executing a file can add no privilege."""
    processes = service.processes()

    assert [one for one in processes if not one.no_new_privs] == []


@pytest.mark.control("RUN-05")
def test_not_privileged(service: Service) -> None:
    """The container does not run privileged."""
    assert service.facts.privileged is False


@pytest.mark.control("RUN-09")
def test_engine_keeps_its_seccomp_profile(service: Service) -> None:
    """The engine was not told to leave the system call filter out."""
    assert [option for option in service.facts.security_opt if option.startswith("seccomp")] == []


@pytest.mark.control("RUN-09")
def test_kernel_filters_system_calls(service: Service) -> None:
    """Every live process runs under a system call filter."""
    processes = service.processes()

    assert [one for one in processes if one.seccomp != SECCOMP_FILTER] == []


@pytest.mark.control("RUN-10")
def test_apparmor_confines(service: Service, evidence: Door) -> None:
    """The engine was told to confine the container by its AppArmor profile, and the kernel enforces it."""
    options = evidence.saw("engine info SecurityOptions", json.dumps(engine().info()["SecurityOptions"]))
    if "name=apparmor" not in options:
        not_applicable("the engine's kernel has no AppArmor: docker info names none")

    assert confinement(service.facts.apparmor, on_host(f"cat /proc/{service.pid()}/attr/current")) == CONFINED


@pytest.mark.promise("a container without AppArmor is seen where the engine has it")
@pytest.mark.parametrize(
    ("profile", "current"),
    [
        ("unconfined", "unconfined\n"),
        ("", "unconfined\n"),
        (APPARMOR_PROFILE, f"{APPARMOR_PROFILE} (complain)\n"),
        (APPARMOR_PROFILE, "unconfined\n"),
    ],
)
def test_every_way_out_of_apparmor_shows(evidence: Door, profile: str, current: str) -> None:
    """What engine and kernel say of an unconfined container is not what the check accepts: shown on their words."""
    evidence.saw("documents", f"{profile!r}, {current!r}", subject="document")

    assert confinement(APPARMOR_PROFILE, f"{APPARMOR_PROFILE} (enforce)\n") == CONFINED
    assert confinement(profile, current) != CONFINED


def confinement(profile: str, current: str) -> tuple[str, str]:
    """Put together what the engine was told and what the kernel says of process 1."""
    return profile, current.strip()


@pytest.mark.control("RUN-11")
def test_own_process_table(service: Service) -> None:
    """The container does not see the host's processes."""
    assert service.facts.pid_mode == ""


@pytest.mark.control("RUN-12")
def test_own_shared_memory(service: Service) -> None:
    """The container shares no memory segments with anybody."""
    assert service.facts.ipc_mode == "private"


@pytest.mark.control("RUN-13")
def test_own_names_users_and_control_groups(service: Service) -> None:
    """The container has its own host name, user and control group namespaces, and no parent group of its choice."""
    facts = service.facts

    assert (facts.uts_mode, facts.userns_mode, facts.cgroupns_mode, facts.cgroup_parent) == ("", "", "private", "")


@pytest.mark.control("RUN-14")
def test_no_host_device(service: Service) -> None:
    """No device of the host is handed in."""
    assert service.facts.devices == ()


@pytest.mark.control("RUN-15")
def test_engine_is_out_of_reach(service: Service) -> None:
    """Neither an engine's socket nor an engine's address is inside."""
    facts = service.facts
    sockets = ("docker.sock", "containerd.sock", "podman.sock")

    assert [mount for mount in facts.mounts if (mount.source + mount.path).endswith(sockets)] == []
    assert "DOCKER_HOST" not in facts.environment


@pytest.mark.promise("children that nobody waits for are reaped")
def test_process_1_reaps(service: Service) -> None:
    """Process 1 is a small init, not the program."""
    first = service.pid()
    names = {one.pid: one.name for one in service.processes()}

    assert service.facts.init
    assert names[first] in {"docker-init", "tini"}


@pytest.mark.promise("the one job that is root can do one thing, and is over")
def test_job_has_only_its_capabilities(job: Job) -> None:
    """The job may do what it is there for and nothing else, and can gain nothing."""
    facts = job.facts

    assert (facts.cap_drop, facts.cap_add) == (("ALL",), job.promised.capabilities)
    assert (facts.privileged, facts.read_only, facts.network_mode) == (False, True, "none")
    assert "no-new-privileges:true" in facts.security_opt


@pytest.mark.promise("the one job that is root can do one thing, and is over")
def test_job_is_over(job: Job) -> None:
    """The job ended well and is not started again."""
    facts = job.facts

    assert (facts.status, facts.exit_code, facts.restart) == (
        "exited",
        job.promised.exit_code,
        job.promised.restart,
    )
