"""Small files that outlive a power cut and are never seen half-written."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from ops.roots import sync_folder


def publish(path: Path, document: dict[str, Any]) -> None:
    """Write a document by rename."""
    write(path, json.dumps(document, indent=2, sort_keys=True) + "\n")


def write(path: Path, text: str, *, mode: int | None = None) -> None:
    """Write a text by rename; of two processes that do it at once each writes its own, and one file stays.

    Without a mode the umask decides.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with unfinished.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()  # there only where it was not put in place
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """Take a file away so that it stays away."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)
