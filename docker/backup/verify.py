"""Read every byte of what is stored, write down what is found, and mend what another tier holds whole."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import compress, objects
from .errors import Damaged, reading
from .manifest import Manifest
from .progress import Step
from .repository import Copy, Stored
from .work import Work

_HINT = "another tier may hold it whole"


@dataclass(frozen=True)
class Finding:
    """One file of a snapshot or upload, what is wrong with it, and what was done about it."""

    name: str  # of the snapshot, or of the upload
    fault: str
    path: Path | None = None  # None where the fault is of no single file
    tier: str | None = None  # the one that holds it; None where it is not one tier's
    done: str | None = None
    mended: bool = False  # it was made whole again

    @property
    def reason(self) -> str:
        """Put it into words."""
        return _told([self])


@dataclass(frozen=True)
class Verification:
    """What was found, and how much was read for it."""

    findings: tuple[Finding, ...]
    bytes_read: int

    @property
    def all_mended(self) -> bool:
        """Whether what was found is whole again."""
        return all(found.mended for found in self.findings)

    def by_name(self) -> list[dict[str, Any]]:
        """Give each snapshot or upload once; what is the same in several tiers is said once, of all of them."""
        told: dict[str, dict[tuple[object, ...], list[Finding]]] = {}
        for found in self.findings:
            alike = found.fault, found.done, found.path and found.path.name
            told.setdefault(found.name, {}).setdefault(alike, []).append(found)
        return [
            {
                "name": name,
                "tiers": list(dict.fromkeys(found.tier for same in alike.values() for found in same if found.tier)),
                "reason": "; ".join(_told(same) for same in alike.values()),
            }
            for name, alike in told.items()
        ]


def _told(same: Sequence[Finding]) -> str:
    """Put one fault of the same file in several tiers into words."""
    first = same[0]
    path = first.path
    if path is not None and len(same) > 1:
        tiers = ",".join(str(found.tier) for found in same)
        path = path.parent.with_name(f"{{{tiers}}}") / path.name
    fault = first.fault if path is None else f"{path}: {first.fault}"
    return fault if first.done is None else f"{fault}; {first.done}"


def verify(work: Work, names: list[str]) -> Verification:
    """Check payloads and objects; mark the snapshots that are whole in no tier, unmark those that are whole again.

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
        found = _Reading(step)
        of_this = list(_of_snapshot(work, one, found))
        read += found.bytes
        findings += of_this
        told = "; ".join(finding.reason for finding in of_this) or None
        work.log.event("verified", level="info" if told is None else "error", snapshot=one.name, reason=told)
    for sha256, upload in sorted(named.items()):
        reason = objects.fault_of(repository, sha256)
        read += upload.bytes
        step.advance(upload.bytes)
        if reason is not None:
            done = None
            if (path := repository.objects / sha256).is_file():
                objects.set_aside(path)
                done = "it was set aside"
            finding = Finding(f"upload {upload.path}", reason, done=done)
            findings.append(finding)
            work.log.event("verified", level="error", upload=upload.path, reason=finding.reason)
    return Verification(tuple(findings), read)


class _Reading:
    """Reads payloads, each file once whatever its names are, and counts the bytes."""

    def __init__(self, step: Step) -> None:
        self.bytes = 0
        self._step = step
        self._known: dict[tuple[int, int], str | None] = {}

    def fault_of(self, path: Path, made: Manifest) -> str | None:
        """Say what is wrong with a payload of the right size, if anything."""
        seen = path.stat()
        key = seen.st_dev, seen.st_ino
        if key not in self._known:
            try:
                with reading(path.name, _HINT):
                    self._known[key] = self._read(path, made)
            except Damaged as damaged:
                self._known[key] = damaged.message.removeprefix(f"{path.name}: ")
        return self._known[key]

    def _read(self, path: Path, made: Manifest) -> str | None:
        digest = compress.sha256_of(path)
        self.bytes += made.bytes
        self._step.advance(made.bytes)
        if digest != made.sha256:
            return "its sha256 is not the one in its manifest"
        if compress.digest_of_unpacked(path, made.payload) != made.raw_sha256:
            return "it does not unpack to the database that was checked"
        return None


def _of_snapshot(work: Work, stored: Stored, found: _Reading) -> Iterator[Finding]:
    """Judge what each tier holds by itself; what is damaged in one is replaced by what is whole in another."""
    made = stored.manifest
    if made is None:
        yield Finding(stored.name, stored.problem or "it has no manifest")
        return
    copies = work.repository.copies(stored)
    faults = {copy.tier: copy.problem or found.fault_of(copy.path, made) for copy in copies}
    whole = next((copy.path for copy in copies if faults[copy.tier] is None), None)
    for copy in copies:
        if (fault := faults[copy.tier]) is not None:
            done = None if whole is None else _mended(work, copy, whole)
            yield Finding(stored.name, fault, copy.path, copy.tier, done, mended=whole is not None)
    told = [(copy.tier, copy.manifest_problem) for copy in copies if copy.manifest_problem is not None]
    if told or made.verified != (whole is not None):
        work.repository.rewrite(replace(made, verified=whole is not None))
    for tier, problem in told:
        done = "written anew from what another tier holds"
        yield Finding(stored.name, problem, tier=tier, done=done, mended=True)


def _mended(work: Work, damaged: Copy, whole: Path) -> str:
    work.repository.mend(damaged, whole)
    return f"replaced by {os.path.relpath(whole, work.repository.root)}, which is whole"
