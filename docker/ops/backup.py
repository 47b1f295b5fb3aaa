"""backup now, list, verify, rotate: the keeper's own commands, called in its container."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from ops import health
from ops.compose import Compose
from ops.errors import Exit, StackError
from ops.lifecycle import age
from ops.ui import Ui


def call(compose: Compose, args: Sequence[str], source: Path | None = None) -> tuple[int, dict[str, Any]]:
    """Run one command of the keeper with --json and return its exit code and document.

    `source` is a file to feed on stdin. Where the service does not run, a container of its own is made
    for the one command. The keeper's words on stderr are passed on as they are.
    """
    state = next(entry for entry in health.states(compose) if entry.service == "backup")
    if state.status == "running":
        argv = ["docker", "exec", "--interactive", compose.container("backup")]
    else:
        argv = [*compose.argv, "run", "--rm", "--no-deps", "--no-TTY", "--interactive", "backup"]
    argv += ["python3", "-m", "backup", *args, "--json"]
    stdin: Any = source.open("rb") if source else subprocess.DEVNULL
    try:
        done = subprocess.run(argv, stdin=stdin, capture_output=True, text=True, check=False, env=compose.environment)
    finally:
        if source:
            stdin.close()
    try:
        document: dict[str, Any] = json.loads(done.stdout or "{}")
    except json.JSONDecodeError:
        raise StackError(
            f"the backup service answered {done.stdout[:200]!r}, expected JSON",
            "./stack logs backup shows more",
        ) from None
    if done.returncode and not document.get("outcome"):
        sys.stderr.write(done.stderr)
    return done.returncode, document


def now(compose: Compose, ui: Ui, *, pin: bool) -> int:
    """Take a verified snapshot. Return the keeper's exit code."""
    with ui.step("Take a snapshot and verify it"):
        code, document = call(compose, ["now", *(["--pin"] if pin else [])])
    if code == Exit.OK:
        ui.say(f"{document['name']}, {_size(document)}, verified")
    ui.emit(document)
    return code


def show(compose: Compose, ui: Ui) -> int:
    """List the snapshots, newest first. Return the keeper's exit code."""
    code, document = call(compose, ["list"])
    table = Table("tier", "snapshot", "age", "size", "rows", "verified", "pinned", box=None, pad_edge=False)
    for entry in document.get("snapshots", []):
        marks = ("yes" if entry["verified"] else "NO", "yes" if entry["pinned"] else "")
        table.add_row(entry["tier"], entry["name"], age(entry["created"]), _size(entry), str(entry["rows"]), *marks)
    if code == Exit.OK and not ui.as_json:
        ui.out.print(table if table.row_count else "no snapshot yet; ./stack backup now takes one")
    ui.emit(document)
    return code


def _size(entry: dict[str, Any]) -> str:
    size = float(entry["bytes"])
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
