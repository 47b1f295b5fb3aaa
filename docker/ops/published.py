"""What the keeper last published of the backups, for `status` and for a start that makes good what failed."""

import errno
import json
import os
from typing import Any

from rich.markup import escape

from ops import words
from ops.compose import Compose, run

GOOD = "green"
BAD = "red"


def read(compose: Compose) -> tuple[dict[str, Any], str | None]:
    """Return what the keeper last published, nothing where it has not yet; and why that cannot be read, if so.

    It is read as the keeper sees it; while that does not run, as we do.
    """
    path = compose.settings.root / "status" / "backup.json"
    done = run(["docker", "exec", compose.container("backup"), "cat", "/srv/status/backup.json"], check=False)
    if done.code and done.stderr.startswith("cat: "):
        reason = done.stderr.strip().rsplit(": ", 1)[1]
        return {}, None if reason == os.strerror(errno.ENOENT) else f"{path}: {reason}"
    try:
        document = json.loads(path.read_text(encoding="utf-8") if done.code else done.stdout)
    except FileNotFoundError:
        return {}, None
    except OSError as refused:
        return {}, f"{path}: {refused.strerror}"
    except ValueError:
        return {}, f"{path}: it is damaged"
    return (document, None) if isinstance(document, dict) else ({}, f"{path}: it is damaged")


def tell(state: dict[str, Any]) -> list[str]:
    """Say which snapshot is the newest, how the last drill went and what is to be known of the backups."""
    newest = state.get("newest")
    seen = f", seen {words.age(state['updated'])} ago" if "updated" in state else ""
    taken = f"{escape(words.visible(newest['name']))}, {words.age(newest['created'])} old" if newest else "none known"
    told = [f"snapshot  {taken}{seen}"]
    if drill := state.get("drill"):
        passed = f"[{GOOD}]passed[/]" if drill.get("outcome") == "success" else f"[{BAD}]failed[/]"
        why = f": {escape(words.visible(str(drill['error'])))}" if drill.get("error") else ""
        name = escape(words.visible(str(drill.get("name"))))
        told.append(f"drill     {passed} {words.age(drill['at'])} ago with {name}{why}")
    ill = [*state.get("reasons", []), *state.get("warnings", [])]
    return [*told, *(f"backups   [{BAD}]{escape(words.visible(str(reason)))}[/]" for reason in ill)]


def tell_of_closed(closed: str) -> str:
    """Say that nobody knows, and what to do."""
    return (
        f"backups   [{BAD}]nobody knows, their state cannot be read: {escape(closed)}[/]; "
        "./stack up gives the folders back to 1001; a damaged status/backup.json may be moved away"
    )
