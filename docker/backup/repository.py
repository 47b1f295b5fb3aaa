"""The backups folder: one lock, one staging area, three tiers, and the objects that uploads become.

Nothing here is ever half there. What is being made stands in `.staging/`. A manifest is staged under the name of
the tier it is bound for and moved in after its payload; it leaves the same way before its payload is
deleted. So a staged manifest always names the one payload that a killed run can have left alone, and the
next run, holding the lock, removes exactly that.
"""

import errno
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from . import manifest as manifests
from .disk import READ_ONLY, link_or_copy, sync_folder, write_synced
from .errors import NOT_THE_FILE, BackupError, Busy, Damaged, NoSuchSnapshot, writing
from .manifest import Manifest
from .rotation import DAILY, TIERS, TOLERANCE, Snapshot

_NAME = re.compile(r"balades_\d{8}_\d{6}")
_PAYLOAD_ENDINGS = (".db.zst", ".db.gz")
_PRIVATE_FOLDER = 0o700
_HOLDER_BYTES = 200
_USE_ANOTHER = "use another snapshot"


@dataclass(frozen=True)
class Stored:
    """One snapshot as it stands in the tiers."""

    name: str
    tiers: tuple[str, ...]
    manifest: Manifest | None  # None where no manifest of it can be believed
    problem: str | None  # what is wrong with it, if anything

    @property
    def verified(self) -> bool:
        """Whether it was checked when it was made and nothing has been found wrong since."""
        return self.manifest is not None and self.manifest.verified and self.problem is None


@dataclass(frozen=True)
class Copy:
    """What one tier holds of a snapshot."""

    tier: str
    path: Path  # of the payload
    manifest_problem: str | None  # what is wrong with this tier's own manifest, if anything
    problem: str | None  # what is wrong with the payload, as far as can be told without reading it


class Repository:
    """The folder and the moves that keep it whole."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.staging = root / ".staging"
        self.objects = root / "objects"

    # -- one at a time ---------------------------------------------------------------------------

    @contextmanager
    def locked(self, verb: str) -> Iterator[None]:
        """Hold the only lock, with an empty staging area; a killed holder frees it by dying."""
        with writing(f"backups folder {self.root}"):
            for folder in (self.root, self.staging, self.objects, *(self.root / tier for tier in TIERS)):
                folder.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
            descriptor = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as held:
                holder = os.pread(descriptor, _HOLDER_BYTES, 0).decode(errors="replace").strip()
                raise Busy(
                    f"{self.root}: {holder or 'another command'} is at work",
                    "wait until it has ended, then try again",
                ) from held
            with writing(f"backups folder {self.root}"):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"`{verb}` since {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}".encode(), 0)
            self.clear_staging()
            try:
                yield
            finally:
                self.clear_staging()
        finally:
            os.close(descriptor)

    def clear_staging(self) -> None:
        """Remove what a killed run left, and the one payload it may have left without a manifest."""
        with writing(f"staging area {self.staging}"):
            for entry in list(self.staging.iterdir()):
                tier, _, name = entry.name.removesuffix(".json").partition(".")
                if tier in TIERS and _NAME.fullmatch(name) and not self._manifest(name, tier).exists():
                    for ending in _PAYLOAD_ENDINGS:
                        (self.root / tier / f"{name}{ending}").unlink(missing_ok=True)
            for entry in list(self.staging.iterdir()):
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()

    # -- what is there -----------------------------------------------------------------------------

    def _manifest(self, name: str, tier: str) -> Path:
        return self.root / tier / f"{name}.json"

    def names(self) -> list[str]:
        """Return every name that has a manifest in some tier, newest first by name."""
        found = {path.stem for tier in TIERS for path in self._files(tier) if path.suffix == ".json"}
        return sorted((name for name in found if _NAME.fullmatch(name)), reverse=True)

    def _files(self, tier: str) -> list[Path]:
        """List a tier; a folder that cannot be looked into, or is no longer the one mounted, is not an empty one."""
        with writing(f"backups folder {self.root}"):
            if self.root.stat().st_nlink == 0:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.root))
            try:
                return list((self.root / tier).iterdir())
            except FileNotFoundError:
                if not os.access(self.root, os.R_OK | os.W_OK | os.X_OK):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self.root)) from None
                return []  # nothing was ever stored there

    def look(self, name: str) -> Stored:
        """Read one snapshot's manifest from the first tier where it can be believed."""
        tiers = tuple(tier for tier in TIERS if self._manifest(name, tier).exists())
        if not tiers:
            raise NoSuchSnapshot(f"no snapshot is named {name}", "`./stack backup list` shows the names there are")
        believed: Manifest | None = None
        problem: str | None = None
        for tier in tiers:
            try:
                found = self._read(name, tier)
                believed = believed or found
                self._expect_payload(found, tier)
            except BackupError as wrong:
                if self._manifest(name, tier).exists():  # else it has just been removed, by whoever holds the lock
                    problem = problem or wrong.message
            else:
                return Stored(name, tiers, found, None)
        if problem is None:
            return self.look(name)  # all that was seen has gone meanwhile: it may have come into another tier
        return Stored(name, tiers, believed, problem)

    def _read(self, name: str, tier: str) -> Manifest:
        path = self._manifest(name, tier)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as unreadable:
            raise Damaged(f"manifest {path}: {unreadable}", _USE_ANOTHER) from unreadable
        found = manifests.parse(text, str(path))
        if found.name != name:
            raise Damaged(f"manifest {path}: it is of another snapshot, {found.name}", _USE_ANOTHER)
        return found

    def _expect_payload(self, manifest: Manifest, tier: str) -> None:
        payload = self.root / tier / manifest.payload
        if (fault := _fault_of(payload, manifest.bytes)) is not None:
            raise Damaged(f"snapshot {payload}: {fault}", _USE_ANOTHER)

    def all(self) -> list[Stored]:
        """Return every snapshot, newest first by name; who looks without the lock may see one leave."""
        found = []
        for name in self.names():
            with suppress(NoSuchSnapshot):
                found.append(self.look(name))
        return found

    def payloads(self, stored: Stored) -> list[Path]:
        """Return the payloads of the right size, of each tier that has one; a file with several names only once."""
        copies = self.copies(stored)
        found: dict[tuple[int, int], Path] = {}
        for copy in copies:
            if copy.problem is None:
                seen = copy.path.stat()
                found.setdefault((seen.st_dev, seen.st_ino), copy.path)
        if not found:
            raise Damaged(f"snapshot {copies[0].path}: {copies[0].problem}", _USE_ANOTHER)
        return list(found.values())

    def copies(self, stored: Stored) -> list[Copy]:
        """Return what each tier holds of a snapshot whose manifest can be believed in one of them."""
        made = stored.manifest
        if made is None:
            raise Damaged(stored.problem or f"{stored.name}: no manifest", _USE_ANOTHER)
        found = []
        for tier in stored.tiers:
            path, manifest_problem = self.root / tier / made.payload, None
            try:
                self._read(stored.name, tier)
            except BackupError as wrong:
                manifest_problem = wrong.message
            found.append(Copy(tier, path, manifest_problem, _fault_of(path, made.bytes)))
        return found

    def find(self, given: str) -> Stored:
        """Find a snapshot by its name, with or without an ending or a tier before it."""
        name = given.rsplit("/", 1)[-1]
        for ending in (*_PAYLOAD_ENDINGS, ".db", ".json"):
            name = name.removesuffix(ending)
        if not _NAME.fullmatch(name):
            raise NoSuchSnapshot(
                f"{given!r} is no name of a snapshot",
                "names look like balades_20261122_020000; `./stack backup list` shows them",
            )
        return self.look(name)

    def newest(self, now: datetime) -> Stored | None:
        """Return the newest snapshot that counts."""
        found = max(self._counted(now), key=lambda pair: pair[0], default=None)
        return None if found is None else found[1]

    def newest_of(self, now: datetime) -> dict[str, Manifest]:
        """Return the newest snapshot that counts of each tier that has one."""
        found: dict[str, Manifest] = {}
        for _, stored in sorted(self._counted(now), key=lambda pair: pair[0]):
            if stored.manifest is not None:
                found |= dict.fromkeys(stored.tiers, stored.manifest)
        return found

    def oldest(self, now: datetime) -> datetime | None:
        """Return when the oldest snapshot that counts was made."""
        return min((created for created, _ in self._counted(now)), default=None)

    def _counted(self, now: datetime) -> Iterator[tuple[datetime, Stored]]:
        """Yield the verified snapshots that are not of the future and not a restore's safety copy.

        The safety copy is what a restore has just replaced: it must never be what `latest` means.
        """
        for stored in self.all():
            made = stored.manifest
            if made is None or not stored.verified or made.kind == manifests.SAFETY:
                continue
            if made.created <= now + TOLERANCE:
                yield made.created, stored

    def for_plan(self) -> list[Snapshot]:
        """Return what rotation may judge; a manifest that cannot be believed has no time, so it stays."""
        return [
            Snapshot(
                name=stored.name,
                created=stored.manifest.created,
                verified=stored.verified,
                pinned=stored.manifest.pinned,
                shrunk=stored.manifest.shrunk,
                safety=stored.manifest.kind == manifests.SAFETY,
                tiers=frozenset(stored.tiers),
            )
            for stored in self.all()
            if stored.manifest is not None
        ]

    def strays(self) -> list[str]:
        """Return payloads without a manifest, which no run of ours can have left; they are not touched."""
        return sorted(
            f"{tier}/{path.name}"
            for tier in TIERS
            for path in (self.root / tier).glob("balades_*")
            if path.suffix != ".json" and not self._manifest(_stem(path.name), tier).exists()
        )

    # -- publishing and removing --------------------------------------------------------------------

    def free_name(self, name: str) -> bool:
        """Whether nothing has this name yet, a stray payload included."""
        return not any(list((self.root / tier).glob(f"{name}.*")) for tier in TIERS)

    def publish(self, payload: Path, manifest: Manifest) -> None:
        """Move a finished payload in, then its manifest: the moment from which it exists."""
        with writing(f"snapshot {manifest.name}"):
            staged = self._stage_manifest(manifest, DAILY)
            payload.chmod(READ_ONLY)
            payload.rename(self.root / DAILY / manifest.payload)
            sync_folder(self.root / DAILY)
            staged.rename(self._manifest(manifest.name, DAILY))
            sync_folder(self.root / DAILY)

    def _stage_manifest(self, manifest: Manifest, tier: str) -> Path:
        staged = self.staging / f"{tier}.{manifest.name}.json"
        write_synced(staged, manifest.to_json().encode(), READ_ONLY)
        sync_folder(self.staging)  # after a power cut too it names the one payload that may stand alone
        return staged

    def promote(self, name: str, tier: str) -> bool:
        """Make a snapshot stand in another tier too; a hard link where the file system has them."""
        stored = self.look(name)
        made = stored.manifest
        if made is None or not stored.verified:
            return False  # it stays where it is, as it is
        target = self.root / tier / made.payload
        if self._manifest(name, tier).exists() and target.exists():
            return False
        with writing(f"{tier}/{name}"):
            staged = self._stage_manifest(made, tier)
            target.unlink(missing_ok=True)
            link_or_copy(self.payloads(stored)[0], target, through=self.staging / f"{name}.copy")
            sync_folder(self.root / tier)
            staged.rename(self._manifest(name, tier))
            sync_folder(self.root / tier)
        return True

    def mend(self, damaged: Copy, whole: Path) -> None:
        """Let a whole payload of another tier stand in the place of a damaged one, by rename."""
        with writing(str(damaged.path)):
            staged = self.staging / f"{damaged.path.name}.whole"
            link_or_copy(whole, staged, through=self.staging / f"{damaged.path.name}.copy")
            staged.rename(damaged.path)
            sync_folder(damaged.path.parent)

    def remove(self, name: str, tier: str) -> None:
        """Take a snapshot out of a tier: first its manifest, then its payload."""
        with writing(f"{tier}/{name}"):
            staged = self.staging / f"{tier}.{name}.json"
            self._manifest(name, tier).rename(staged)
            sync_folder(self.staging)
            sync_folder(self.root / tier)
            for ending in _PAYLOAD_ENDINGS:
                (self.root / tier / f"{name}{ending}").unlink(missing_ok=True)
            sync_folder(self.root / tier)
            staged.unlink()

    def rewrite(self, manifest: Manifest) -> None:
        """Write down what changed of a snapshot, its pin or what a verification found, in every tier that has it."""
        for tier in TIERS:
            if self._manifest(manifest.name, tier).exists():
                with writing(f"{tier}/{manifest.name}"):
                    staged = self._stage_manifest(manifest, tier)
                    staged.rename(self._manifest(manifest.name, tier))
                    sync_folder(self.root / tier)


def _fault_of(payload: Path, expected_bytes: int) -> str | None:
    """Say what is wrong with a payload, as far as can be told without reading it."""
    try:
        size = payload.stat().st_size
    except FileNotFoundError:
        return "the payload is gone"
    except OSError as refused:
        if refused.errno in NOT_THE_FILE:
            raise
        return f"cannot be read: {refused.strerror}"
    return None if size == expected_bytes else f"{size} bytes where its manifest says {expected_bytes}"


def _stem(file_name: str) -> str:
    return file_name.split(".", 1)[0]
