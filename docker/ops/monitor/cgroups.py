"""What the kernel counts of a container, from the files of its control group, version 1 or 2."""

from collections.abc import Iterable
from pathlib import Path

from ops.monitor.facts import Resources, Unseen

ROOT = Path("/sys/fs/cgroup")
_PAGE_CACHE = ("inactive_file", "active_file")  # the kernel takes it back whenever it wants to


def resources(pid: int, root: Path = ROOT, proc: Path = Path("/proc")) -> Resources | Unseen:
    """Read what the group of a container's first process uses."""
    try:
        groups = _groups((proc / str(pid) / "cgroup").read_text().splitlines(), root)
        return _version_2(groups[""]) if "memory" not in groups else _version_1(groups)
    except (OSError, ValueError, KeyError, IndexError) as error:
        return Unseen(f"the control group of process {pid} cannot be read: {error}")


def _groups(lines: Iterable[str], root: Path) -> dict[str, Path]:
    """Return the folder of each controller; that of version 2 has no name."""
    found = {}
    for line in lines:
        _, names, path = line.split(":", 2)
        if not names:
            found[""] = root / path.lstrip("/")
        for name in filter(None, names.split(",")):
            found[name] = root / name / path.lstrip("/")
    return found


def _version_1(groups: dict[str, Path]) -> Resources:
    memory, pids = groups["memory"], groups["pids"]
    stat = _pairs(memory / "memory.stat")
    used = _number(memory / "memory.usage_in_bytes") - sum(stat.get(f"total_{name}", 0) for name in _PAGE_CACHE)
    limit = _number(memory / "memory.limit_in_bytes")
    return Resources(
        memory=max(0, used),
        memory_limit=limit if limit < 1 << 60 else None,
        pids=_number(pids / "pids.current"),
        pids_limit=_limit(pids / "pids.max"),
        cpu_ns=_number(groups["cpuacct"] / "cpuacct.usage"),
        oom_kills=_pairs(memory / "memory.oom_control").get("oom_kill", 0),
    )


def _version_2(group: Path) -> Resources:
    stat = _pairs(group / "memory.stat")
    used = _number(group / "memory.current") - sum(stat.get(name, 0) for name in _PAGE_CACHE)
    return Resources(
        memory=max(0, used),
        memory_limit=_limit(group / "memory.max"),
        pids=_number(group / "pids.current"),
        pids_limit=_limit(group / "pids.max"),
        cpu_ns=_pairs(group / "cpu.stat")["usage_usec"] * 1000,
        oom_kills=_pairs(group / "memory.events")["oom_kill"],
    )


def _number(path: Path) -> int:
    return int(path.read_text())


def _limit(path: Path) -> int | None:
    text = path.read_text().strip()
    return None if text == "max" else int(text)


def _pairs(path: Path) -> dict[str, int]:
    return {name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())}
