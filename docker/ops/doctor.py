"""Say what this machine has and lacks, and the command that mends each lack. Changes nothing."""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass

from rich.markup import escape
from rich.table import Table

from ops import engine, roots
from ops.errors import Exit, StackError
from ops.settings import Settings
from ops.ui import Ui


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    what: str
    well: bool
    seen: str
    mend: str  # a command, or "" when well


def examine(settings: Settings, ui: Ui) -> int:
    """Show every finding; return 0 when nothing is missing, else 1."""
    os.environ["PATH"] += f":{engine.SBIN}"
    looks: list[Callable[[Settings], Finding]] = [_python, _engine, _compose, _base, _space, _root]
    findings = [look(settings) for look in looks]
    table = Table("", "what", "seen", "mend it with", box=None, pad_edge=False)
    for finding in findings:
        mark = "[green]✓[/]" if finding.well else "[red]✗[/]"
        table.add_row(mark, finding.what, escape(finding.seen), escape(finding.mend))
    if not ui.as_json:
        ui.out.print(table)
    well = all(finding.well for finding in findings)
    ui.emit({"well": well, "findings": [asdict(finding) for finding in findings]})
    return Exit.OK if well else Exit.FAILED


def _python(_: Settings) -> Finding:
    return Finding("Python 3.11 or newer", True, sys.version.split()[0], "")


def _engine(_: Settings) -> Finding:
    what = "Docker engine 20.10 or newer"
    if not shutil.which("docker"):
        return Finding(what, False, "not installed", "./stack up installs it as root; or apt-get install docker.io")
    answer = engine.ask()
    if answer.version is None:
        seen = answer.complaint.splitlines()[0] if answer.complaint else "no answer"
        denied = "permission denied" in answer.complaint.lower()
        return Finding(what, False, seen, engine.JOIN_GROUP if denied else "./stack up starts it as root")
    return Finding(what, engine.is_recent(answer.version), answer.version, "")


def _compose(_: Settings) -> Finding:
    what = "Compose 2.20 or newer"
    try:
        argv, version = engine.find_compose()
    except StackError as error:
        return Finding(what, False, error.message, error.hint)
    return Finding(what, True, f"{version} ({' '.join(argv)})", "")


def _base(settings: Settings) -> Finding:
    what = "a way to make the base image"
    if settings.values["STACK_BASE_IMAGE"]:
        return Finding(what, True, settings.values["STACK_BASE_IMAGE"], "")
    found = shutil.which("mmdebstrap")
    return Finding(what, bool(found), found or "no mmdebstrap", "" if found else "apt-get install mmdebstrap")


def _space(settings: Settings) -> Finding:
    try:
        roots.check_space(settings)
    except StackError as error:
        return Finding("free disk space", False, error.message, error.hint)
    return Finding("free disk space", True, "enough", "")


def _root(settings: Settings) -> Finding:
    existing = settings.root
    while not existing.exists():
        existing = existing.parent
    writable = os.access(existing, os.W_OK)
    mend = "" if writable else f"sudo install -d -o $USER {settings.root}, or set MONSITE_ROOT"
    return Finding("a folder for the data", writable, str(settings.root), mend)
