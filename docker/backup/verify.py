"""Read every byte of what is stored, and write down what is found."""

from dataclasses import dataclass, replace

from . import compress, objects
from .errors import BackupError
from .progress import Step
from .repository import Repository, Stored
from .work import Work


@dataclass(frozen=True)
class Finding:
    """One snapshot or upload, and what is wrong with it."""

    name: str
    reason: str


@dataclass(frozen=True)
class Verification:
    """What was found, and how much was read for it."""

    findings: tuple[Finding, ...]
    bytes_read: int


def verify(work: Work, names: list[str]) -> Verification:
    """Check payloads and objects; mark the snapshots that are damaged, unmark those that are whole again.

    A damaged object is a damaged upload and does not make the database beside it worth less: the object is
    set aside, so that the next snapshot takes a new one from uploads/ if the file there is whole.
    """
    repository = work.repository
    stored = [repository.look(name) for name in names]
    named = {  # one object serves many snapshots and is read once
        upload.sha256: upload for one in stored if one.manifest is not None for upload in one.manifest.uploads
    }
    sizes = [one.manifest.bytes for one in stored if one.manifest is not None]
    step = work.progress.begin("read", sum(sizes) + sum(upload.bytes for upload in named.values()))
    findings, read = [], 0
    for one in stored:
        reason, count = _of_snapshot(repository, one, step)
        read += count
        if one.manifest is not None and one.manifest.verified != (reason is None):
            repository.rewrite(replace(one.manifest, verified=reason is None))
        if reason is not None:
            findings.append(Finding(one.name, reason))
        work.log.event("verified", level="info" if reason is None else "error", snapshot=one.name, reason=reason)
    for sha256, upload in sorted(named.items()):
        reason = objects.fault_of(repository, sha256)
        read += upload.bytes
        step.advance(upload.bytes)
        if reason is not None:
            if (path := repository.objects / sha256).is_file():
                objects.set_aside(path)
                reason += ", and set aside"
            findings.append(Finding(f"upload {upload.path}", reason))
            work.log.event("verified", level="error", upload=upload.path, reason=reason)
    return Verification(tuple(findings), read)


def _of_snapshot(repository: Repository, stored: Stored, step: Step) -> tuple[str | None, int]:
    manifest, read = stored.manifest, 0
    if manifest is None:
        return stored.problem, read
    try:
        for payload in repository.copies(stored):
            digest = compress.sha256_of(payload)
            read += manifest.bytes
            step.advance(manifest.bytes)
            if digest != manifest.sha256:
                return f"{payload}: its sha256 is not the one in its manifest", read
            if compress.digest_of_unpacked(payload, manifest.payload) != manifest.raw_sha256:
                return f"{payload}: it does not unpack to the database that was checked", read
    except BackupError as wrong:
        return wrong.message, read
    return None, read
