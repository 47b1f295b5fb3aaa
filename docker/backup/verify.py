"""Read every byte of what is stored, and write down what is found."""

from dataclasses import dataclass

from . import compress
from .errors import BackupError
from .logs import Log
from .repository import Repository, Stored
from .snapshot import digest_of_unpacked


@dataclass(frozen=True)
class Finding:
    """One snapshot or upload, and what is wrong with it."""

    name: str
    reason: str


def verify(repository: Repository, names: list[str], log: Log) -> list[Finding]:
    """Check payloads and objects; mark the snapshots that are damaged, unmark those that are whole again.

    A damaged object is a damaged upload and does not make the database beside it worth less: the object is
    set aside, so that the next snapshot takes a new one from uploads/ if the file there is whole.
    """
    findings = []
    named: dict[str, str] = {}  # one object serves many snapshots and is read once
    for name in names:
        stored = repository.look(name)
        reason = _of_snapshot(repository, stored)
        if stored.manifest is not None:
            named |= {upload.sha256: upload.path for upload in stored.manifest.uploads}
            if stored.manifest.verified != (reason is None):
                repository.mark(stored.manifest, verified=reason is None)
        if reason is not None:
            findings.append(Finding(name, reason))
        log.event("verified", level="info" if reason is None else "error", snapshot=name, reason=reason)
    for sha256, upload in sorted(named.items()):
        reason = _of_object(repository, sha256)
        if reason is not None:
            findings.append(Finding(f"upload {upload}", reason))
            log.event("verified", level="error", upload=upload, reason=reason)
    return findings


def _of_snapshot(repository: Repository, stored: Stored) -> str | None:
    try:
        payload = repository.payload(stored)
        manifest = stored.manifest
        if manifest is None:
            return stored.problem
        if compress.sha256_of(payload) != manifest.sha256:
            return f"{payload}: its sha256 is not the one in its manifest"
        if digest_of_unpacked(payload, manifest.payload) != manifest.raw_sha256:
            return f"{payload}: it does not unpack to the database that was checked"
    except BackupError as wrong:
        return wrong.message
    return None


def _of_object(repository: Repository, sha256: str) -> str | None:
    path = repository.objects / sha256
    if not path.is_file():
        return f"{path} is gone"
    if compress.sha256_of(path) != sha256:
        repository.set_aside(path)
        return f"{path} is damaged, and set aside"
    return None
