"""What a look costs: through the open shell, by plain testinfra, by the SDK; and CIS section 5 beside a shell loop."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import testinfra  # type: ignore[import-untyped]

from fixtures.contract import Contract
from fixtures.engine_facts import ContainerFacts, container, container_facts
from fixtures.evidence import Door, run_quietly
from fixtures.run import publish
from fixtures.stack import Stack
from fixtures.wait import clock

pytestmark = pytest.mark.benchmark

THERE = "/etc/passwd"
OURS_EACH = 10  # looks of ours beside one of each of the others, which take so much longer
MS = 1000
SHELL_WITHIN_S = 60


@dataclass(frozen=True)
class Check:
    """One container check of CIS section 5, both ways."""

    number: str
    key: str  # what a shell asks `docker inspect` for
    well: str  # shell pattern of the answers that pass
    ours: Callable[[ContainerFacts], bool]


SECTION_5 = (
    Check("5.4", "{{.HostConfig.CapAdd}}", "'[]'|'<no value>'", lambda one: not one.cap_add),
    Check("5.5", "{{.HostConfig.Privileged}}", "false", lambda one: not one.privileged),
    Check("5.10", '{{if eq .HostConfig.NetworkMode "host"}}host{{end}}', "''", lambda one: one.network_mode != "host"),
    Check("5.11", "{{.HostConfig.Memory}}", "[1-9]*", lambda one: one.memory > 0),
    Check("5.12", "{{.HostConfig.NanoCpus}}", "[1-9]*", lambda one: one.cpus > 0),
    Check("5.13", "{{.HostConfig.ReadonlyRootfs}}", "true", lambda one: one.read_only),
    Check("5.15", "{{.HostConfig.RestartPolicy.Name}}", "on-failure", lambda one: one.restart == "on-failure"),
    Check("5.16", "{{.HostConfig.PidMode}}", "''", lambda one: one.pid_mode == ""),
    Check("5.17", "{{.HostConfig.IpcMode}}", "private|none", lambda one: one.ipc_mode in {"private", "none"}),
    Check("5.18", "{{.HostConfig.Devices}}", "'[]'|'<no value>'", lambda one: not one.devices),
    Check("5.19", "{{.HostConfig.Ulimits}}", "*nofile*", lambda one: one.nofile[1] > 0),
    Check(
        "5.20",
        "{{range .Mounts}}{{.Propagation}}{{end}}",
        "''|*rprivate",
        lambda one: all(mount.propagation in {"", "private", "rprivate"} for mount in one.mounts),
    ),
    Check("5.21", "{{.HostConfig.UTSMode}}", "''", lambda one: one.uts_mode == ""),
    Check(
        "5.22",
        "{{.HostConfig.SecurityOpt}}",
        "*seccomp*",
        lambda one: any("seccomp" in option for option in one.security_opt),
    ),
    Check("5.25", "{{.HostConfig.CgroupParent}}", "''", lambda one: one.cgroup_parent == ""),
    Check(
        "5.26",
        "{{.HostConfig.SecurityOpt}}",
        "*no-new-privileges:true*",
        lambda one: "no-new-privileges:true" in one.security_opt,
    ),
    Check("5.29", "{{.HostConfig.PidsLimit}}", "[1-9]*", lambda one: one.pids > 0),
    Check("5.31", "{{.HostConfig.UsernsMode}}", "''", lambda one: one.userns_mode == ""),
    Check(
        "5.32",
        '{{range .Mounts}}{{if eq .Source "/var/run/docker.sock"}}socket{{end}}{{end}}',
        "''",
        lambda one: not any(mount.source == "/var/run/docker.sock" for mount in one.mounts),
    ),
)


def shell_loop(names: tuple[str, ...]) -> str:
    """Write what a shell script does: one `docker inspect` for each check of each container."""
    lines = [
        f"case \"$(docker inspect --format '{check.key}' {name})\" in {check.well}) echo {check.number} {name} pass;; "
        f"*) echo {check.number} {name} fail;; esac"
        for check in SECTION_5
        for name in names
    ]
    return "\n".join(lines)


def through_the_door(names: tuple[str, ...]) -> str:
    """Judge the same by the typed facts of each container, which is looked at once."""
    facts = {name: container_facts(name) for name in names}
    verdicts = [
        f"{check.number} {name} {'pass' if check.ours(facts[name]) else 'fail'}"
        for check in SECTION_5
        for name in names
    ]
    return "\n".join(verdicts)


def timed(what: Callable[[], object]) -> float:
    """Give the milliseconds that it takes."""
    begun = clock()
    what()
    return (clock() - begun) * MS


@pytest.mark.promise("a look into a container takes 3 ms, a twentieth of plain testinfra's time")
def test_look_is_cheap(module_stack: Stack, contract: Contract, evidence: Door, pytestconfig: pytest.Config) -> None:
    """In the median a recorded look with both identity checks takes at most 3 ms, a twentieth of plain testinfra's."""
    app = module_stack.service("app")
    plain = testinfra.get_host(f"docker://{app.container}")
    sdk = container(app.container)
    ways: dict[str, Callable[[], object]] = {
        "ours": lambda: app.host.file(THERE).exists,
        "plain testinfra": lambda: plain.file(THERE).exists,
        "SDK exec": lambda: sdk.exec_run(["/bin/sh", "-c", f"test -e {THERE}"]),
    }
    for way in ways.values():
        way()  # the first one opens what stays open
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(contract.evidence.whole("checks") // OURS_EACH):
        took["ours"] += [timed(ways["ours"]) for _ in range(OURS_EACH)]
        for name in ("plain testinfra", "SDK exec"):
            took[name].append(timed(ways[name]))
    median = {name: round(statistics.median(each), 3) for name, each in took.items()}
    figures = {
        "median_ms": median,
        "looks": {name: len(each) for name, each in took.items()},
        "times_plain": round(median["plain testinfra"] / median["ours"], 1),
        "times_sdk": round(median["SDK exec"] / median["ours"], 1),
    }
    evidence.saw("benchmark look", publish(pytestconfig, "look", figures))

    assert median["ours"] <= contract.evidence.number("check_ms")
    assert median["plain testinfra"] / median["ours"] >= contract.evidence.number("check_ratio")


@pytest.mark.promise("CIS section 5 over a whole stack costs a fraction of a shell loop's time, with the same verdicts")
def test_section_5_is_cheaper_than_a_shell_loop(
    module_stack: Stack, contract: Contract, evidence: Door, pytestconfig: pytest.Config
) -> None:
    """The container checks of CIS section 5 through the door say what a shell loop says, in a tenth of its time."""
    names = module_stack.containers()
    script = shell_loop(names)
    took: dict[str, list[float]] = {"ours": [], "shell loop": []}
    said: dict[str, str] = {}
    for _ in range(contract.evidence.whole("section_5_rounds")):
        begun = clock()
        said["shell loop"] = run_quietly(["sh", "-c", script], within=SHELL_WITHIN_S).stdout.strip()
        took["shell loop"].append((clock() - begun) * MS)
        begun = clock()
        said["ours"] = through_the_door(names)
        took["ours"].append((clock() - begun) * MS)
    median = {name: round(statistics.median(each), 1) for name, each in took.items()}
    figures = {
        "containers": len(names),
        "checks": len(SECTION_5),
        "median_ms": median,
        "times_shell": round(median["shell loop"] / median["ours"], 1),
    }
    evidence.saw("benchmark section 5", publish(pytestconfig, "section-5", figures))

    assert said["ours"] == said["shell loop"]
    assert median["shell loop"] / median["ours"] >= contract.evidence.number("section_5_ratio")
