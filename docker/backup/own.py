"""The job `init`: make the folders 1001's, once, before anything else starts.

It runs as root with CHOWN and DAC_READ_SEARCH alone. Without FOWNER only an owner may change a mode, so what
has a wrong one is root's for a moment, between two chowns. Children go before their parents: while a folder's
top is not yet 1001's, its content may not be either, and the next start goes on from there.
"""

import errno
import json
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

_OWNER = 1001
_ROOT = 0


@dataclass(frozen=True)
class Rule:
    """The modes of one folder; None leaves a mode as it is."""

    name: str
    folder: int
    folders_inside: int | None = None
    files: int | None = None


RULES = (
    Rule("data", 0o700, folders_inside=0o700, files=0o600),
    Rule("uploads", 0o750),
    Rule("logs", 0o750),
    Rule("backups", 0o700, folders_inside=0o700),
    Rule("status", 0o750),
    Rule("state", 0o750),
    Rule("scratch", 0o700),
    Rule("secrets", 0o700, files=0o400),
)


@dataclass
class Report:
    """What was done, and what could not be."""

    changed: dict[str, int] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)  # links and special files: nothing of ours
    refused: list[str] = field(default_factory=list)


def own(root: Path, report: Report) -> None:
    """Go through the folders that are mounted."""
    for rule in RULES:
        top = root / rule.name
        if top.is_dir() and not top.is_symlink():
            report.changed[rule.name] = sum(_settle(path, mode, report) for path, mode in _walk(top, rule))


def _walk(top: Path, rule: Rule) -> Iterator[tuple[Path, int | None]]:
    """Yield everything beneath and the folder itself, children before parents, through no link."""
    for folder, folders, files in os.walk(top, topdown=False, followlinks=False):
        here = Path(folder)
        for name in files:
            yield here / name, rule.files
        for name in folders:
            if (here / name).is_symlink():
                yield here / name, None
        yield here, rule.folder if here == top else rule.folders_inside


def _settle(path: Path, mode: int | None, report: Report) -> bool:
    """Give one entry its owner and mode; tell whether anything differed."""
    try:
        seen = path.lstat()
        if not (stat.S_ISREG(seen.st_mode) or stat.S_ISDIR(seen.st_mode)):
            report.skipped.append(str(path))
            return False
        wrong_mode = mode is not None and stat.S_IMODE(seen.st_mode) != mode
        wrong_owner = (seen.st_uid, seen.st_gid) != (_OWNER, _OWNER)
        if not wrong_mode and not wrong_owner:
            return False
        # Through a descriptor, so that nothing can be exchanged for a link between the look and the change.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if wrong_mode and mode is not None:
                os.fchown(descriptor, _ROOT, _ROOT)
                os.fchmod(descriptor, mode)
            os.fchown(descriptor, _OWNER, _OWNER)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return False  # a running site removes its own files while we look
    except OSError as refused:
        if refused.errno == errno.ELOOP:
            report.skipped.append(str(path))
            return False
        report.refused.append(f"{path}: {refused.strerror}")
        return False
    return True


def main() -> int:
    """Do it, and say in one line what was done."""
    report = Report()
    own(Path(os.environ.get("MONSITE_OWN", "/srv")), report)
    line = {
        "ts": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "level": "error" if report.refused else "info",
        "service": "init",
        "event": "ownership",
        "run": f"init-{os.getpid()}",
        "changed": report.changed,
        "skipped": report.skipped[:20],
        "refused": report.refused[:20],
    }
    if report.refused:
        line["hint"] = "the file system must let root change owners: no NFS with root_squash, no read-only mount"
    print(json.dumps(line, ensure_ascii=False), flush=True)
    return 1 if report.refused else 0


if __name__ == "__main__":
    sys.exit(main())
