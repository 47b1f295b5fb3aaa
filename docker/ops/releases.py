"""The recorded releases: found by id, read, put into Compose's words, and the oldest let go."""

import json
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ops import release
from ops.compose import Compose, run
from ops.errors import DeployError, Ending
from ops.release import Image, Release, Source
from ops.settings import Settings

KEPT = 5
_INPUTS = re.compile(r":[0-9a-f]{12}$")
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]*")
_CACHED = timedelta(days=1)


def folder(settings: Settings) -> Path:
    """Where the records lie."""
    return settings.root / "state" / "releases"


def parse(document: dict[str, Any]) -> Release:
    """Read a record."""
    return Release(
        id=document["id"],
        version=document["version"],
        source=Source(**document["source"]),
        base=_image(document["base"]),
        images={name: _image(image) for name, image in document["images"].items()},
    )


def _image(told: dict[str, Any]) -> Image:
    return Image(told["tag"], told["id"], Source(**told["source"]))


def recorded(settings: Settings) -> list[Release]:
    """Every recorded release, the newest first. Raises StackError where a record is damaged."""
    known = []
    for path in folder(settings).glob("*.json"):
        with release.understood(path):
            told = json.loads(path.read_text(encoding="utf-8"))
            known.append((str(told["recorded"]), parse(told)))
    return [one for _, one in sorted(known, key=lambda each: each[0], reverse=True)]


def _read(path: Path) -> Release:
    with release.understood(path):
        return parse(json.loads(path.read_text(encoding="utf-8")))


def choose(settings: Settings, wanted: str | None) -> Release:
    """Find a release by its id, or by how it begins; without one, the newest. Raises DeployError."""
    if wanted and _NAME.fullmatch(wanted):
        with suppress(FileNotFoundError):  # whatever state the other records are in
            return _read(folder(settings) / f"{wanted}.json")
    known = recorded(settings)
    if not known:
        raise DeployError(
            f"{folder(settings)} holds no release", "./stack build makes one, ./stack test proves it", Ending.PREFLIGHT
        )
    if wanted is None:
        return known[0]
    found = [one for one in known if one.id == wanted] or [one for one in known if one.id.startswith(wanted)]
    if len(found) != 1:
        what = f"begins {len(found)} releases" if found else "is no recorded release"
        names = ", ".join(one.id for one in known)
        raise DeployError(f"{wanted!r} {what}", f"known are: {names}", Ending.USAGE)
    return found[0]


def current(settings: Settings) -> Release | None:
    """The release that runs; None before the first `up`."""
    try:
        return _read(release.pointer(settings))
    except FileNotFoundError:
        return None


def absent(one: Release) -> list[str]:
    """Name the images of a release that the engine no longer has."""
    known = release.ids(*(image.id for image in one.images.values()))
    return [f"{name} {image.id[:19]}" for name, image in one.images.items() if image.id not in known]


def bound(compose: Compose, one: Release) -> Compose:
    """Compose with its present settings, and the images of this release."""
    return Compose(compose.settings, compose.engine, variables(one))


def variables(one: Release) -> dict[str, str]:
    """What compose.yaml asks for: each image by its tag where that still names it, else by its id."""
    known = release.ids(*(image.tag for image in one.images.values()))
    names = {name: image.tag if known.get(image.tag) == image.id else image.id for name, image in one.images.items()}
    chosen = {f"MONSITE_{name.upper()}_IMAGE": image for name, image in names.items()}
    return {**chosen, "MONSITE_VERSION": one.version}


def image_ids(one: Release) -> dict[str, str]:
    """The ids of its images, by name."""
    return {name: image.id for name, image in one.images.items()}


def retire(settings: Settings, spared: set[str]) -> list[str]:
    """Drop the records beyond the newest, and the names of their images that no other record has; return what went.

    An image goes with its last name, unless a container uses it: then the engine refuses, and its record stays too.
    """
    known = recorded(settings)
    kept = [one for at, one in enumerate(known) if at < KEPT or one.id in spared]
    named = {image.id for one in kept for image in one.images.values()}
    gone = []
    for one in known:
        if one in kept:
            continue
        ours = [image for image in one.images.values() if image.id not in named]
        done = [_forget(image) for image in ours]  # each, whatever came of the others
        if all(done):
            (folder(settings) / f"{one.id}.json").unlink(missing_ok=True)
            gone.append(one.id)
    return gone


def _forget(image: Image) -> bool:
    """Take the names of an image away; True when nothing of ours holds it any longer."""
    done = run(["docker", "image", "inspect", "--format", "{{json .}}", image.id], check=False)
    if done.code:
        return True
    told = json.loads(done.stdout)
    age = datetime.now(UTC) - datetime.fromisoformat(told["Created"][:19] + "+00:00")
    # By the name of its inputs another build of today would find it, that of another checkout too.
    built = [tag for tag in told["RepoTags"] if _INPUTS.search(tag)] if age > _CACHED else []
    if any(tag.endswith(":latest") for tag in told["RepoTags"]):
        built = []
    names = [tag for tag in told["RepoTags"] if tag == image.tag or tag in built]
    return not names or run(["docker", "image", "rm", *names], check=False).code == 0
