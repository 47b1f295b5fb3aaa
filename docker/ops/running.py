"""The record of what `up` made, so that `verify` finds what was changed past it."""

from ops import files
from ops.compose import run
from ops.release import Release
from ops.settings import Settings

_LABELS = ("service", "config-hash", "image")
_TOLD = "\t".join(f'{{{{.Label "com.docker.compose.{label}"}}}}' for label in _LABELS)


def record(settings: Settings, release: Release) -> None:
    """Write down, by rename, the containers that now are the stack.

    Each is told by its image and by the digest that Compose made of its configuration.
    """
    ours = ("label=com.docker.compose.project=" + settings.project, "label=com.docker.compose.oneoff=False")
    filters = [part for one in ours for part in ("--filter", one)]
    lines = run(["docker", "ps", "--all", *filters, "--format", _TOLD]).stdout.splitlines()
    containers = {
        service: {"config": config, "image": image} for service, config, image in (line.split("\t") for line in lines)
    }
    document = {"schema": 1, "release": release.id, "project": settings.project, "containers": containers}
    files.publish(settings.root / "state" / "running.json", document)
