"""Build the images once, by what goes into them, and keep a record of each release."""

import fcntl
import hashlib
import json
import os
import subprocess
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from ops import compose, files
from ops.engine import install_packages
from ops.errors import StackError
from ops.settings import CHECKOUT, DOCKER, Settings
from ops.ui import Ui

IMAGES = ("gate", "app", "backup")
SERVICES = (*IMAGES, "drill")  # the drill runs on the image of the app
BASE_TAG = "monsite/base:trixie"


@dataclass(frozen=True)
class Source:
    """The last commit that changed certain folders of the checkout."""

    commit: str  # with "-dirty" behind it when the folders differ from it; "unknown" outside of git
    created: str  # the commit's time, RFC 3339 UTC, so that a rebuild of the same inputs is the same image


@dataclass(frozen=True)
class Image:
    """One built image."""

    tag: str
    id: str
    source: Source


@dataclass(frozen=True)
class Release:
    """Images that belong together."""

    id: str
    version: str
    source: Source  # of the whole of docker/
    base: Image
    images: dict[str, Image]  # by name

    @property
    def variables(self) -> dict[str, str]:
        """What compose.yaml asks for."""
        return _variables(self.images, self.version)


def build(settings: Settings, ui: Ui, *, refresh: bool, install: bool) -> Release:
    """Build what is missing or changed, and return the release.

    `refresh` builds the base and every image anew, with the Debian archive's packages of today.
    Raises StackError with the builder's last words.
    """
    version = str(tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"])
    with _one_builder_at_a_time(ui):
        base = _base(settings, ui, refresh=refresh, install=install)
        recipes = [_recipe(name, version, base) for name in IMAGES]
        known = ids(*(tag for recipe in recipes for tag in (recipe.tag, recipe.latest)))
        missing = [recipe for recipe in recipes if refresh or recipe.tag not in known]
        if missing:
            names = ", ".join(recipe.service for recipe in missing)
            with ui.step(f"Build the images {names}"), ThreadPoolExecutor() as pool:
                list(pool.map(partial(_bake, fresh=refresh), missing))
            known |= ids(*(recipe.tag for recipe in missing))
        for recipe in recipes:
            _call_it(recipe.latest, recipe.tag, known)
        images = {recipe.service: _pinned(recipe, known[recipe.tag]) for recipe in recipes}
        pinned = ids(*(image.tag for image in images.values()))
        for recipe in recipes:
            _call_it(images[recipe.service].tag, recipe.tag, known | pinned)
    digest = hashlib.sha256("".join(images[name].id for name in IMAGES).encode()).hexdigest()
    source = _source(DOCKER)
    commit, _, dirty = source.commit.partition("-")
    name = "-".join(part for part in (commit[:12], dirty, digest[:8]) if part)
    return Release(name, version, source, base, images)


def record(settings: Settings, release: Release) -> Path:
    """Write the release record below `state/releases/` by rename, and return its path."""
    folder = settings.root / "state" / "releases"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{release.id}.json"
    files.publish(path, document(release))
    return path


def document(release: Release) -> dict[str, object]:
    """A release as it is recorded."""
    return {"schema": 1, "recorded": datetime.now(UTC).isoformat(timespec="seconds"), **asdict(release)}


def pointer(settings: Settings) -> Path:
    """Where it stands which release runs."""
    return settings.root / "state" / "current.json"


def make_current(settings: Settings, recorded: Path) -> None:
    """Let `state/current.json` point at the record of the release that runs."""
    link = pointer(settings)
    unfinished = link.with_suffix(".tmp")
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(recorded.relative_to(link.parent))
    unfinished.replace(link)


def current(settings: Settings) -> dict[str, str]:
    """Return what compose.yaml asks for, of the release that runs; nothing before the first `up`."""
    path = pointer(settings)
    try:
        with understood(path):
            recorded = json.loads(path.read_text(encoding="utf-8"))
            images = {name: Image(**image) for name, image in recorded["images"].items()}
            return _variables(images, recorded["version"])
    except FileNotFoundError:
        return {}


@contextmanager
def understood(path: Path) -> Iterator[None]:
    """Raise StackError where the block finds that a record is damaged."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as damage:
        raise StackError(
            f"{path.resolve()} is no record of a release ({type(damage).__name__}: {damage})",
            "move that file away; ./stack build records the release of this checkout anew, ./stack up what runs",
        ) from damage


def _variables(images: dict[str, Image], version: str) -> dict[str, str]:
    chosen = {f"MONSITE_{name.upper()}_IMAGE": image.tag for name, image in images.items()}
    return {**chosen, "MONSITE_VERSION": version}


def _base(settings: Settings, ui: Ui, *, refresh: bool, install: bool) -> Image:
    external = settings.values["STACK_BASE_IMAGE"]
    if external:
        with ui.step(f"Fetch the base image {external}"):
            compose.run(["docker", "pull", "--quiet", external])
        id_ = compose.run(["docker", "image", "inspect", "--format", "{{.Id}}", external]).stdout.strip()
        return Image(external, id_, Source(external, "1970-01-01T00:00:00+00:00"))
    source = _source(DOCKER / "base")
    inputs = _digest(DOCKER / "base")
    tag = f"{BASE_TAG}-{inputs[:12]}"  # checkouts that differ do not take each other's base away
    known = ids(tag, BASE_TAG)
    if refresh or tag not in known:
        _ensure_mmdebstrap(ui, install=install)
        with ui.step("Build the base from the signed Debian archive"):
            compose.run([str(DOCKER / "base" / "build.sh"), tag, inputs])
        known |= ids(tag)
    _call_it(BASE_TAG, tag, known)
    return Image(tag, known[tag], source)


def _ensure_mmdebstrap(ui: Ui, *, install: bool) -> None:
    if compose.run(["sh", "-c", "command -v mmdebstrap"], check=False).code == 0:
        return
    if not install or os.geteuid() != 0 or not Path("/etc/debian_version").is_file():
        raise StackError(
            "mmdebstrap is not installed, so the base image cannot be built",
            "as root: apt-get install mmdebstrap; or set STACK_BASE_IMAGE to a Debian 13 image pinned by digest",
        )
    with ui.step("Install mmdebstrap from the Debian archive"):
        install_packages("mmdebstrap", "debian-archive-keyring")


@dataclass(frozen=True)
class _Recipe:
    """How one image is to be built, and the tag that names its inputs."""

    service: str
    tag: str
    arguments: dict[str, str]
    source: Source

    @property
    def latest(self) -> str:
        """The image's name for people and for tools that outlive it."""
        return f"monsite/{self.service}:latest"


def _recipe(service: str, version: str, base: Image) -> _Recipe:
    folder = DOCKER / service
    source = _source(folder, DOCKER / "base")
    stamp = f"{_digest(folder)} {base.id} {version} {source.commit}"
    tag = f"monsite/{service}:{hashlib.sha256(stamp.encode()).hexdigest()[:12]}"
    labels = {"VERSION": version, "REVISION": source.commit, "CREATED": source.created}
    return _Recipe(service, tag, {"BASE": base.tag, **labels}, source)


def _pinned(recipe: _Recipe, id_: str) -> Image:
    """Name an image by what it is: the tag of its inputs moves on when they are built anew, and a release stays."""
    return Image(f"monsite/{recipe.service}:id-{id_.removeprefix('sha256:')[:12]}", id_, recipe.source)


def _bake(recipe: _Recipe, *, fresh: bool) -> None:
    arguments = [part for key, value in recipe.arguments.items() for part in ("--build-arg", f"{key}={value}")]
    flags = ["--no-cache"] if fresh else []
    compose.run(["docker", "build", *flags, *arguments, "--tag", recipe.tag, str(DOCKER / recipe.service)])


def _call_it(name: str, tag: str, known: dict[str, str]) -> None:
    """Give an image a second name, where it does not have it yet."""
    if known.get(name) != known[tag]:
        compose.run(["docker", "tag", tag, name])


def ids(*tags: str) -> dict[str, str]:
    """Return the ids of the images that exist, by tag or id; one question for all."""
    told = compose.run(
        ["docker", "image", "inspect", "--format", "{{.Id}} {{.Id}}{{range .RepoTags}} {{.}}{{end}}", *tags],
        check=False,
    ).stdout
    answers = [line.split() for line in told.splitlines() if line]  # an empty one stands for an image that is not there
    return {name: id_ for id_, *names in answers for name in names if name in tags}


def _digest(folder: Path) -> str:
    """Return the sha256 over the names, modes and contents of everything a build context holds."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            executable = "x" if path.stat().st_mode & 0o100 else "-"
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{path.relative_to(folder)} {executable} {content}\n".encode())
    return total.hexdigest()


def _source(*folders: Path) -> Source:
    commit = _git("log", "-1", "--format=%H %ct", "--", *map(str, folders))
    if not commit:
        return Source("unknown", "1970-01-01T00:00:00+00:00")
    sha, seconds = commit.split()
    dirty = "-dirty" if _git("status", "--porcelain", "--", *map(str, folders)) else ""
    return Source(sha + dirty, datetime.fromtimestamp(int(seconds), UTC).isoformat(timespec="seconds"))


def _git(*args: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-c", f"safe.directory={CHECKOUT}", "-C", str(CHECKOUT), *args],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""  # no git on the machine: a checkout from an archive builds all the same
    return done.stdout.strip() if done.returncode == 0 else ""


@contextmanager
def _one_builder_at_a_time(ui: Ui) -> Iterator[None]:
    with (DOCKER / "base" / "build.sh").open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with ui.step("Wait for another build of this checkout"):
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
