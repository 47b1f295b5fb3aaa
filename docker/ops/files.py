"""Small files that outlive a power cut and are never seen half-written."""

import json
import os
from pathlib import Path
from typing import Any

from ops.roots import sync_folder


def publish(path: Path, document: dict[str, Any]) -> None:
    """Write a document by rename."""
    unfinished = path.with_name(f".{path.name}.part")
    with unfinished.open("w", encoding="utf-8") as file:
        file.write(json.dumps(document, indent=2, sort_keys=True) + "\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """Take a file away so that it stays away."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)
