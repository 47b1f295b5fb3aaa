"""backup now and list: the keeper's own commands, called in its container."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Column, Table

from ops import claims, health
from ops.compose import Compose
from ops.errors import Exit, StackError
from ops.lifecycle import age
from ops.ui import Ui


@dataclass(frozen=True)
class Snapshot:
    """One snapshot as the keeper lists it."""

    name: str
    tiers: tuple[str, ...]  # where it lies: daily, weekly, monthly
    created: str | None  # UTC; None when its manifest cannot be read
    bytes: int | None  # of the payload
    rows: int | None  # of all tables
    kind: str | None  # scheduled, manual or safety
    pinned: bool
    problem: str | None  # why it does not count, None when verified

    @classmethod
    def parse(cls, entry: dict[str, Any]) -> "Snapshot":
        """Read one entry of the keeper's list."""
        return cls(
            name=entry["name"],
            tiers=tuple(entry["tiers"]),
            created=entry.get("created"),
            bytes=entry.get("bytes"),
            rows=entry.get("rows"),
            kind=entry.get("kind"),
            pinned=bool(entry.get("pinned")),
            problem=None if entry["verified"] else str(entry.get("problem") or "not verified"),
        )


def call(compose: Compose, args: Sequence[str], source: Path | None = None) -> tuple[int, dict[str, Any]]:
    """Run one command of the keeper with --json and return its exit code and document.

    `source` is a file to feed on stdin. Where the service does not run, a container of its own is made
    for the one command. The keeper's words on stderr are passed on as they are.
    Raises StackError when the stack was never started or the answer is not JSON.
    """
    claims.check_project(compose)
    state = next(entry for entry in health.states(compose) if entry.service == "backup")
    if state.status == "running":
        argv = ["docker", "exec", "--interactive", compose.container("backup")]
    elif (compose.settings.root / "state" / "releases").is_dir():
        argv = [*compose.argv, "run", "--rm", "--no-deps", "--no-TTY", "--interactive", "backup"]
    else:
        raise StackError(
            f"there is no stack in {compose.settings.root}: it was never started",
            "./stack up starts one; MONSITE_ROOT names another folder",
        )
    argv += ["python3", "-m", "backup", *args, "--json"]
    stdin: Any = source.open("rb") if source else subprocess.DEVNULL
    try:
        done = subprocess.run(
            argv,
            stdin=stdin,
            capture_output=True,
            text=True,
            check=False,
            env=compose.environment,
            start_new_session=True,  # Ctrl-C ends the launcher between two steps, never the keeper in one
        )
    finally:
        if source:
            stdin.close()
    if done.returncode and not (done.stdout + done.stderr).strip():
        raise StackError(
            f"the backup service ended with exit code {done.returncode} and said nothing",
            "137 is a kill, most often for memory: ./stack status shows restarts, ./stack logs backup the rest",
        )
    try:
        document: dict[str, Any] = json.loads(done.stdout or "{}")
    except json.JSONDecodeError:
        raise StackError(
            f"the backup service answered {done.stdout[:200]!r}, expected JSON", "./stack logs backup shows more"
        ) from None
    if done.returncode and document.get("outcome") in (None, "failure"):
        sys.stderr.write(done.stderr)
    return done.returncode, document


def now(compose: Compose, ui: Ui, *, pin: bool, accept_shrink: bool) -> int:
    """Take a verified snapshot. Return the keeper's exit code."""
    flags = [*(["--pin"] if pin else []), *(["--accept-shrink"] if accept_shrink else [])]
    with ui.step("Take a snapshot and verify it") as step:
        code, document = call(compose, ["now", *flags])
        step.well = code == Exit.OK
    if code == Exit.OK:
        ui.say(f"{document['name']}, {_size(document['bytes'])}, verified")
        if missing := document["missing"]:
            ui.say(f"[red]{len(missing)} uploads that its rows name are nowhere:[/] {escape(', '.join(missing[:5]))}")
        if suspended := document["rotation"]["suspended"]:
            ui.say(f"[red]Nothing is dropped:[/] {escape(suspended)}. If that is meant: backup now --accept-shrink")
    ui.emit(document)
    return code


def show(compose: Compose, ui: Ui) -> int:
    """List the snapshots, newest first. Return the keeper's exit code."""
    code, document = call(compose, ["list"])
    snapshots = [Snapshot.parse(entry) for entry in document.get("snapshots", [])]
    if snapshots and not ui.as_json:
        ui.out.print(_table(snapshots))
    elif code == Exit.OK:
        ui.say("There is no snapshot yet; ./stack backup now takes one.")
    ui.emit(document)
    return code


def _table(snapshots: Sequence[Snapshot]) -> Table:
    name = Column("snapshot", no_wrap=True)
    table = Table(name, "tiers", "age", "size", "rows", "taken", "state", box=None, pad_edge=False)
    for snapshot in snapshots:
        state = "verified" if snapshot.problem is None else f"[red]{escape(snapshot.problem)}[/]"
        table.add_row(
            snapshot.name,
            ", ".join(snapshot.tiers),
            age(snapshot.created) if snapshot.created else "–",
            _size(snapshot.bytes) if snapshot.bytes is not None else "–",
            str(snapshot.rows) if snapshot.rows is not None else "–",
            f"{snapshot.kind or '–'}{', pinned' if snapshot.pinned else ''}",
            state,
        )
    return table


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
