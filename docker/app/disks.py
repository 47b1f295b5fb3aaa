"""The space that is left, once for each disk the site writes to."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from .settings import Settings


@dataclass(frozen=True)
class Disk:
    """One file system, named by what the site keeps on it."""

    holds: tuple[str, ...]
    free: int
    size: int


def look(settings: Settings) -> tuple[Disk, ...]:
    """Return the disks; a folder that cannot be asked is left out."""
    found: dict[int, Disk] = {}
    for name, device, seen in _asked(settings):
        known = found.get(device)
        holds = (name,) if known is None else (*known.holds, name)
        found[device] = Disk(holds, seen.f_bavail * seen.f_frsize, seen.f_blocks * seen.f_frsize)
    return tuple(found.values())


def _asked(settings: Settings) -> Iterator[tuple[str, int, os.statvfs_result]]:
    for name, folder in (("database", settings.data), ("uploads", settings.uploads), ("logs", settings.logs)):
        try:
            yield name, folder.stat().st_dev, os.statvfs(folder)
        except OSError:
            continue
