"""How many processors this container may really use: its cgroup's quota, not what the machine has.

Threads beyond the quota win nothing: they use it up sooner, and then all of them are stopped for the rest
of each period.
"""

import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def processors(root: Path = _CGROUPS) -> float:
    """Return the quota in processors, of cgroups of either version; without one, those we may run on."""
    there = float(len(os.sched_getaffinity(0)))
    quota = _of_version_2(root) or _of_version_1(root)
    return min(there, quota) if quota is not None else there


def _of_version_2(root: Path) -> float | None:
    words = _words(root / "cpu.max")
    return _share(words[0], words[1]) if len(words) == 2 else None


def _of_version_1(root: Path) -> float | None:
    quota, period = _words(root / "cpu" / "cpu.cfs_quota_us"), _words(root / "cpu" / "cpu.cfs_period_us")
    return _share(quota[0], period[0]) if quota and period else None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except OSError:
        return []  # the other version, or no cgroups at all


def _share(quota: str, period: str) -> float | None:
    """Both versions write what means "no limit" so that it is no positive number."""
    return int(quota) / int(period) if quota.isdecimal() and int(period) > 0 else None
