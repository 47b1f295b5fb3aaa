"""What lies in the stack's folders, looked at from where they are open: `python3 -c` of this text, with a folder.

Run as it is in a service's container where the launcher's user may not look (1001 owns the folders), and called
directly where it may. Standard library only; prints one JSON object; what cannot be read stands there as `closed`.
"""

import contextlib
import json
import math
import os
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Told = dict[str, Any] | None
DISKS = ("data", "uploads", "backups", "logs")
OWNED = ("uploads", "backups", "logs")  # by 1001; data is looked at more closely
SIZED = ("uploads", "backups", "logs")
TIERS = ("daily", "weekly", "monthly")
WALK_S = 0.03  # for the sizes of all folders: a count that takes longer is cut short, and says so
ERROR_TAIL = 256 * 1024  # bytes of error.log, from its end
EVENT_CHARS = 100
STATUS_BYTES = 256 * 1024
KEEPER = 1001


def look(root: Path, states: Path, recent_s: float, now: float) -> dict[str, Any]:
    """Return everything at once; `states` is where the app keeps its own notes."""
    ends = time.monotonic() + WALK_S
    return {
        "database": _told(_database, root / "data"),
        "disks": disks(root),
        "owners": owners(root),
        "sizes": {name: size for name in SIZED if (size := _size(root / name, ends)) is not None},
        "errors": _told(_errors, root / "logs" / "error.log", now - recent_s),
        "heals": _told(_note, states / "heal.json"),
        "draining": _told(_note, states / "draining"),
        "backup": _told(_published, root / "status"),
        "tiers": {tier: name for tier in TIERS if (name := _newest(root / "backups" / tier))},
    }


def disks(root: Path) -> dict[str, Any]:
    """Return the file system of each folder; whoever may look at the root may ask that."""
    return {name: disk for name in DISKS if (disk := _disk(root / name)) is not None}


def owners(root: Path) -> dict[str, Told]:
    """Return whose each folder is; null for one that is not there."""
    return {name: _told(_owner, root / name) for name in OWNED}


def _owner(folder: Path) -> Told:
    seen = folder.stat()
    return {"uid": seen.st_uid, "mode": stat.S_IMODE(seen.st_mode)}


def _told(ask: Callable[..., Told], *args: Any) -> Told:
    try:
        return ask(*args)
    except FileNotFoundError:
        return None
    except OSError as refused:
        return {"closed": refused.strerror or str(refused)}
    except ValueError:
        return {"closed": "it is damaged"}


def _database(folder: Path) -> Told:
    above = folder.stat()
    with contextlib.suppress(FileNotFoundError):
        file = (folder / "balades.db").stat()
        wal = 0
        with contextlib.suppress(FileNotFoundError):
            wal = (folder / "balades.db-wal").stat().st_size
        return {
            "bytes": file.st_size,
            "uid": file.st_uid,
            "mode": stat.S_IMODE(file.st_mode),
            "folder_uid": above.st_uid,
            "folder_mode": stat.S_IMODE(above.st_mode),
            "wal_bytes": wal,
        }
    next(folder.iterdir(), None)  # gone, or only out of sight?
    return None


def _disk(folder: Path) -> Told:
    try:
        seen, device = os.statvfs(folder), folder.stat().st_dev
    except OSError:
        return None
    return {
        "device": device,
        "free": seen.f_bavail * seen.f_frsize,
        "total": seen.f_blocks * seen.f_frsize,
        "free_names": seen.f_favail,
        "names": seen.f_files,
    }


def _size(folder: Path, ends: float) -> Told:
    total, waiting = 0, [str(folder)]
    while waiting:
        if time.monotonic() > ends:
            return {"bytes": total, "whole": False}
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            if total == 0 and not waiting:
                return None
    return {"bytes": total, "whole": True}


def _errors(path: Path, since: float) -> Told:
    events: dict[str, int] = {}
    try:
        lines = tail(path, ERROR_TAIL).splitlines()
    except FileNotFoundError:
        next(path.parent.iterdir(), None)  # none yet, or only out of sight?
        lines = []
    oldest = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since))
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            told = parse(line)
            if told["ts"] >= oldest:
                event = str(told["event"])[:EVENT_CHARS]
                events[event] = events.get(event, 0) + 1
    return {"count": sum(events.values()), "most": max(events, key=lambda one: events[one], default="")}


def tail(path: Path, most: int) -> bytes:
    """Return the last bytes of a file. Raises OSError for what is none: a pipe in its place would never end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    seen = os.fstat(descriptor)
    if not stat.S_ISREG(seen.st_mode):
        os.close(descriptor)
        raise OSError(0, "it is no file")
    with os.fdopen(descriptor, "rb") as file:
        file.seek(max(0, seen.st_size - most))
        return file.read(most)


def parse(text: bytes) -> dict[str, Any]:
    """Read a JSON object of finite numbers. Raises ValueError for anything else."""
    try:
        told = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(told, dict):
        raise ValueError("no object")
    return told


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _note(path: Path) -> Told:
    """Read what the app noted; where its folder is not to be seen, a missing note means nothing."""
    if not path.parent.is_dir():
        raise OSError(0, "its folder is not to be seen from here")
    return parse(tail(path, STATUS_BYTES))


def _published(folder: Path) -> Told:
    """Read what the keeper published. Root reads everything, so for it the keeper's own view decides."""
    path = folder / "backup.json"
    if os.geteuid() == 0 and not (_open_to_keeper(folder, 0o5) and _open_to_keeper(path, 0o4)):
        return {"closed": os.strerror(13)}
    return parse(tail(path, STATUS_BYTES))


def _open_to_keeper(path: Path, bits: int) -> bool:
    seen = path.stat()
    place = 6 if seen.st_uid == KEEPER else 3 if seen.st_gid == KEEPER else 0
    return (seen.st_mode >> place) & bits == bits


def _newest(folder: Path) -> str | None:
    try:
        names = [path.name for path in folder.glob("balades_*.json")]
    except OSError:
        return None
    return max(names, default=None)


if __name__ == "__main__":
    print(json.dumps(look(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), time.time())))
