"""The manifest of a snapshot: what it holds, how it was checked, and a digest of itself.

A payload without its manifest does not exist; a manifest that does not equal its own digest is not believed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

from .errors import Damaged

SCHEMA = 1
NAME_FORMAT = "balades_%Y%m%d_%H%M%S"

SCHEDULED, MANUAL, SAFETY = "scheduled", "manual", "safety"


@dataclass(frozen=True)
class Upload:
    """One file that a row of the database names."""

    path: str  # relative to uploads/
    sha256: str  # its object in backups/objects/
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """Everything a restore must find again."""

    name: str
    created: datetime  # UTC, the second in which the command began, or the next one that was free
    kind: str  # scheduled, manual or safety (taken by a restore, of what it is about to replace)
    pinned: bool
    verified: bool
    shrunk: bool
    payload: str  # file name beside the manifest
    compression: str
    bytes: int
    sha256: str  # of the payload as stored
    raw_bytes: int
    raw_sha256: str  # of the database inside
    page_size: int
    user_version: int
    schema_sha256: str
    rows: Mapping[str, int]
    uploads: tuple[Upload, ...]
    missing: tuple[str, ...]  # paths that a row names and that were nowhere to be found
    checks: Mapping[str, str]
    tools: Mapping[str, str]
    duration_s: float
    run: str

    def to_json(self) -> str:
        """Return the text that is stored, its digest last."""
        body = {"schema": SCHEMA, **asdict(self), "created": self.created.isoformat()}
        return json.dumps({**body, "digest": _digest(body)}, indent=1, ensure_ascii=False) + "\n"


def name_of(created: datetime) -> str:
    """Return the name of a snapshot of that second."""
    return created.astimezone(UTC).strftime(NAME_FORMAT)


def parse(text: str, subject: str) -> Manifest:
    """Read a stored manifest; any other byte than those written is refused."""
    try:
        body: dict[str, Any] = json.loads(text)
        digest = body.pop("digest")
        if digest != _digest(body):
            raise ValueError("its content does not match its own digest")
        if body.pop("schema") != SCHEMA:
            raise ValueError("it is of another schema")
        body["created"] = datetime.fromisoformat(body["created"])
        body["uploads"] = tuple(Upload(**upload) for upload in body["uploads"])
        body["missing"] = tuple(body["missing"])
        if set(body) != {field.name for field in fields(Manifest)}:
            raise ValueError("its fields are not those of a manifest")
        manifest = Manifest(**body)
    except (ValueError, KeyError, TypeError, AttributeError) as wrong:
        raise Damaged(
            f"manifest {subject}: {wrong}",
            "use another snapshot (`./stack backup list`); the payload beside it can still be tried by its path",
        ) from wrong
    return manifest


def _digest(body: Mapping[str, Any]) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
