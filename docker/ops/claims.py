"""Whose is it: refuse to take over containers or folders that are not this stack's."""

import json
from pathlib import Path
from typing import Any

from ops.compose import Compose, run
from ops.errors import Exit, StackError
from ops.roots import FOLDERS
from ops.settings import Settings

TOKEN = "/run/secrets/write_token"  # noqa: S105  # where the app finds it; a path, not a secret


def check_project(compose: Compose) -> None:
    """Raise StackError when a stack of this name keeps its data under another root.

    Its containers would be recreated on an empty folder, and the site would write there.
    """
    root = _root_of(compose.container("app"))
    if root not in (None, compose.settings.root.resolve()):
        raise StackError(
            f"project {compose.settings.project} keeps its data in {root}, not in {compose.settings.root}",
            "set MONSITE_ROOT to that folder, or MONSITE_PROJECT and MONSITE_PORT for a stack of its own",
            Exit.USAGE,
        )


def check_sharing(compose: Compose) -> None:
    """Raise StackError when a stack of another name runs on this root: two would write one database."""
    form = '{{.Names}}\t{{.Label "com.docker.compose.project"}}'
    apps = run(["docker", "ps", "--all", "--filter", "label=com.docker.compose.service=app", "--format", form])
    told = [line.split("\t") for line in apps.stdout.splitlines()]
    others = [name for name, project in told if project != compose.settings.project]
    for name, root in _roots_of(others).items():
        if root == compose.settings.root.resolve():
            raise StackError(
                f"{compose.settings.root} is in use by container {name}",
                "set MONSITE_PROJECT to that stack's name, or MONSITE_ROOT and MONSITE_PORT for one of its own",
                Exit.USAGE,
            )


def holds_replaced(container: str) -> bool:
    """Tell whether a running container still has mounted what no longer stands at its place on the host."""
    mounts = [mount for mount in _mounts(container) if mount["Type"] == "bind"]
    inside = run(
        ["docker", "exec", container, "stat", "-c", "%i", *(mount["Destination"] for mount in mounts)], check=False
    )
    if inside.code:
        return False  # it does not run, so nothing holds it back from what is there now
    for mount, inode in zip(mounts, inside.stdout.split(), strict=True):
        try:
            if Path(mount["Source"]).stat().st_ino != int(inode):
                return True
        except PermissionError:
            continue  # inside a folder of 1001's, which only root could have replaced
    return False


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


def _root_of(container: str) -> Path | None:
    """Return the MONSITE_ROOT a container's token comes from; None without the container."""
    return _roots_of([container]).get(container)


def _roots_of(containers: list[str]) -> dict[str, Path]:
    """Return the MONSITE_ROOT that each container's token comes from, of those that have one."""
    return {
        name: Path(mount["Source"]).parents[1].resolve()
        for name, mounts in _mounts_of(containers).items()
        for mount in mounts
        if mount["Destination"] == TOKEN
    }


def _mounts(container: str) -> list[dict[str, Any]]:
    return _mounts_of([container]).get(container, [])


def _mounts_of(containers: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the mounts of each container that exists; one question for all."""
    if not containers:
        return {}
    ask = ["docker", "container", "inspect", "--format", '{"name": {{json .Name}}, "mounts": {{json .Mounts}}}']
    told = [json.loads(line) for line in run([*ask, *containers], check=False).stdout.splitlines() if line]
    return {one["name"].removeprefix("/"): one["mounts"] for one in told}
