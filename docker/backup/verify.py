"""Read every byte of what is stored, and write down what is found."""

from dataclasses import dataclass

from . import compress
from .errors import BackupError
from .logs import Log
from .manifest import Manifest
from .repository import Repository, Stored
from .snapshot import digest_of_unpacked


@dataclass(frozen=True)
class Finding:
    """One snapshot, and what is wrong with it."""

    name: str
    reason: str


def verify(repository: Repository, names: list[str], log: Log) -> list[Finding]:
    """Check payloads and objects against the manifests; mark what is damaged, unmark what is whole again."""
    objects: dict[str, str | None] = {}  # one object serves many snapshots and is read once
    findings = []
    for name in names:
        stored = repository.look(name)
        reason = _of_snapshot(repository, stored, objects)
        if reason is not None:
            findings.append(Finding(name, reason))
        if stored.manifest is not None and stored.manifest.verified != (reason is None):
            repository.mark(stored.manifest, verified=reason is None)
        log.event("verified", level="info" if reason is None else "error", snapshot=name, reason=reason)
    return findings


def _of_snapshot(repository: Repository, stored: Stored, objects: dict[str, str | None]) -> str | None:
    try:
        payload = repository.payload(stored)
        manifest = stored.manifest
        if manifest is None:
            return stored.problem
        if compress.sha256_of(payload) != manifest.sha256:
            return f"{payload}: its sha256 is not the manifest's"
        if digest_of_unpacked(payload, manifest.payload) != manifest.raw_sha256:
            return f"{payload}: it does not unpack to the database that was checked"
        return _of_uploads(repository, manifest, objects)
    except BackupError as wrong:
        return wrong.message


def _of_uploads(repository: Repository, manifest: Manifest, objects: dict[str, str | None]) -> str | None:
    for upload in manifest.uploads:
        if upload.sha256 not in objects:
            objects[upload.sha256] = _of_object(repository, upload.sha256)
        if (reason := objects[upload.sha256]) is not None:
            return f"upload {upload.path}: {reason}"
    return None


def _of_object(repository: Repository, sha256: str) -> str | None:
    path = repository.objects / sha256
    if not path.is_file():
        return f"{path} is gone"
    if compress.sha256_of(path) != sha256:
        return f"{path} is damaged"
    return None
