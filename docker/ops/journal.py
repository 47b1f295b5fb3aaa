"""The journal of a switch under way: present means open, and whoever comes next settles it first."""

import json
import secrets
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from ops import files
from ops.errors import StackError
from ops.settings import Settings


class Phase(StrEnum):
    """How far a switch has come; each is written down before what it names is begun."""

    DRAINING = "draining"
    STOPPED = "stopped"
    KEPT = "kept"
    STARTED = "started"
    COMMITTED = "committed"
    ROLLING_BACK = "rolling-back"


@dataclass(frozen=True)
class Entry:
    """One switch."""

    id: str
    verb: str  # deploy or rollback
    from_: str  # release
    to: str
    from_image: str  # of the app
    to_image: str
    actor: str
    began: str
    phase: Phase
    snapshot: str  # the verified backup taken before
    at: str
    data_from: str | None = None  # rollback --with-data: the snapshot whose data comes with the release
    schema_changes: bool = True  # whether the former code could not read what the new one leaves
    data_back: bool = False  # rolling back: the kept copy is to come back
    data_is_back: bool = False  # and it has
    about: dict[str, Any] = field(default_factory=dict)  # what the line of the history will quote

    def document(self) -> dict[str, Any]:
        """As it stands in the file."""
        told = asdict(self)
        return {"schema": 1, "from": told.pop("from_"), **told}


def new_id() -> str:
    """Name a switch so that its file, its flag and its line in the history can be found together."""
    return f"d-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def now() -> str:
    """The time, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def path(settings: Settings) -> Path:
    """Where it lies."""
    return settings.root / "state" / "deploy.json"


def write(settings: Settings, entry: Entry, phase: Phase, **changes: Any) -> Entry:
    """Note the next phase; return the entry as it is then."""
    changed = replace(entry, phase=phase, at=now(), **changes)
    files.publish(path(settings), changed.document())
    return changed


def read(settings: Settings) -> Entry | None:
    """Return the open entry, if there is one. Raises StackError when nobody can tell what it says."""
    try:
        document = json.loads(path(settings).read_text(encoding="utf-8"))
        document.pop("schema")
        return Entry(from_=document.pop("from"), phase=Phase(document.pop("phase")), **document)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as damage:
        raise StackError(
            f"{path(settings)} cannot be understood ({damage}): a switch was under way, nobody knows how far",
            "look what runs (docker ps) and whether the site is well (./stack status); then move that file away",
        ) from damage


def close(settings: Settings) -> None:
    """End it; the history has its line by then."""
    files.remove(path(settings))
