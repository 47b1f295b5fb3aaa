"""Where deploys stand: the open journal, the newest line of the history, and who has the lock."""

import contextlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ops.monitor import inside, shapes
from ops.monitor.facts import Deploys, Unseen, Work
from ops.settings import Settings

_HOLDER = re.compile(r"\./stack (?P<verb>[a-z-]+).*?, process (?P<pid>\d+)(?:, since (?P<since>\S+))?")
_TAIL_BYTES = 65536
_LOCKS = Path("/proc/locks")


def look(settings: Settings, locks: Path = _LOCKS) -> Deploys:
    """Read what ./stack wrote down; nothing is locked for it, so no verb is ever told that we were at work."""
    state = settings.root / "state"
    return Deploys(
        journal=_journal(state / "deploy.json"),
        last=_last_line(state / "history.jsonl"),
        work=_holder(state / "lock", locks),
        ever_up=(state / "running.json").exists(),
    )


def _journal(path: Path) -> Mapping[str, Any] | Unseen | None:
    try:
        told = inside.parse(inside.tail(path, inside.STATUS_BYTES))
    except FileNotFoundError:
        return None
    except OSError as refused:
        return Unseen(f"{path}: {refused.strerror}")
    except ValueError:
        return Unseen(f"{path}: it is damaged")
    unfit = shapes.fault(told, shapes.JOURNAL)
    return Unseen(f"{path}: {unfit}") if unfit else told


def _last_line(path: Path) -> Mapping[str, Any] | Unseen | None:
    """Return the newest whole line; a last one that a crash cut short counts for nothing."""
    try:
        lines = inside.tail(path, _TAIL_BYTES).splitlines()
    except FileNotFoundError:
        return None
    except OSError as refused:
        return Unseen(f"{path}: {refused.strerror}")
    for line in reversed(lines):
        with contextlib.suppress(ValueError):
            told = inside.parse(line)
            unfit = shapes.fault(told, shapes.DEED)
            return Unseen(f"{path}: in its last line {unfit}") if unfit else told
    return Unseen(f"{path}: it is damaged") if lines else None


def _holder(path: Path, locks: Path) -> Work | None:
    """Return who has the lock, by the kernel's own table: trying the lock would keep others from it."""
    try:
        inode = path.stat().st_ino
        match = _HOLDER.search(path.read_text(encoding="utf-8", errors="replace"))
        held = {int(line.split()[4]) for line in locks.read_text().splitlines() if _is_of(line, inode)}
    except (OSError, ValueError, IndexError):
        return None
    if match is None or int(match["pid"]) not in held:
        return None
    try:
        since = datetime.fromisoformat(match["since"] or "").astimezone(UTC)
    except (ValueError, OverflowError):
        since = datetime.now(UTC)
    return Work(match["verb"], int(match["pid"]), since)


def _is_of(line: str, inode: int) -> bool:
    """Tell whether a line such as `1: FLOCK ADVISORY WRITE 4242 fe:00:1234 0 EOF` is of a file."""
    return " FLOCK " in line and "->" not in line and line.split()[5].rpartition(":")[2] == str(inode)
