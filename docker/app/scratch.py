"""The files in scratch/ between the keeper and the service `drill`, each published by rename."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

SCRATCH = Path(os.environ.get("MONSITE_SCRATCH", "/srv/scratch"))
REQUEST, TAKEN, ANSWER = (SCRATCH / f"{name}.json" for name in ("request", "taken", "answer"))
RESERVED = SCRATCH / ".answer.part"
DATA, SITE = SCRATCH / "data", SCRATCH / "site"

ANSWER_BYTES = 64 * 1024  # more than the last lines of a site's log take, whatever signs they hold
ID = re.compile(r"[\w.-]{1,80}", re.ASCII)


def blank(asked: str) -> dict[str, Any]:
    """Return an answer that says nothing good yet."""
    return {
        "id": asked,
        "outcome": "failure",
        "error": None,
        "judged": False,  # whether the failure is the site's own, and not that of whoever was to start it
        "schema": None,
        "walks": None,
        "boot_s": 0.0,
        "log": [],
    }


def read(path: Path) -> bytes:
    """Return what stands there, and nothing where nothing stands."""
    try:
        with path.open("rb") as file:
            return file.read(ANSWER_BYTES)
    except FileNotFoundError:
        return b""


def id_in(path: Path) -> str | None:
    """Return the id of a request or an answer, or None where there is none that the keeper could have written."""
    try:
        value = json.loads(read(path))["id"]
    except (ValueError, KeyError, TypeError, OSError):
        return None
    return value if isinstance(value, str) and ID.fullmatch(value) else None


def write(path: Path, content: bytes) -> None:
    """Write a small file by rename."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def reserve() -> None:
    """Keep room for an answer: the site may fill the disk, and that is then to be told."""
    with RESERVED.open("wb") as file:
        file.write(b" " * ANSWER_BYTES)
        file.flush()
        os.fsync(file.fileno())  # a file system that allocates late would promise what it does not have


def publish(answer: dict[str, Any]) -> None:
    """Write the answer into the room that was kept for it; the spaces behind it mean nothing in JSON."""
    with RESERVED.open("r+b") as file:
        file.write(json.dumps(answer, ensure_ascii=False).encode())
        file.flush()
        os.fsync(file.fileno())
    RESERVED.replace(ANSWER)


def clear() -> None:
    """Remove what is this service's own; without taken.json the keeper knows that nothing runs here."""
    shutil.rmtree(SITE, ignore_errors=True)
    RESERVED.unlink(missing_ok=True)
    TAKEN.unlink(missing_ok=True)
