"""Whose is it: refuse to take over containers or folders that are not this stack's."""

import json
from pathlib import Path

from ops.compose import Compose, run
from ops.errors import Exit, StackError
from ops.roots import FOLDERS
from ops.settings import Settings

TOKEN = "/run/secrets/write_token"  # noqa: S105  # where the app finds it; a path, not a secret


def check_project(compose: Compose) -> None:
    """Raise StackError when a stack of this name keeps its data under another root.

    Its containers would be recreated on an empty folder, and the site would write there.
    """
    done = run(["docker", "container", "inspect", compose.container("app")], check=False)
    expected = (compose.settings.root / "secrets" / "write_token").resolve()
    for container in json.loads(done.stdout or "[]"):
        for mount in container["Mounts"]:
            if mount["Destination"] == TOKEN and Path(mount["Source"]).resolve() != expected:
                raise StackError(
                    f"project {compose.settings.project} keeps its data in {Path(mount['Source']).parents[1]}, "
                    f"not in {compose.settings.root}",
                    "set MONSITE_ROOT to that folder, or MONSITE_PROJECT and MONSITE_PORT for a stack of its own",
                    Exit.USAGE,
                )


def check_root(settings: Settings) -> None:
    """Raise StackError when the root holds folders of our names that no start of ours has made.

    `init` would give everything in them to 1001.
    """
    if (settings.root / "state").is_dir():
        return
    strangers = [name for name in FOLDERS if (settings.root / name).exists()]
    if strangers:
        raise StackError(
            f"{settings.root} was never a stack's and holds {', '.join(strangers)} already",
            f"choose another MONSITE_ROOT; if these are a stack's own, say so with: mkdir {settings.root}/state",
            Exit.USAGE,
        )
