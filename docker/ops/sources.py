"""What a person may name to restore from: `latest`, a snapshot, or a file of this host."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ops.errors import Exit, StackError

NAME = re.compile(r"balades_\d{8}_\d{6}(\.db\.(zst|gz))?")


@dataclass(frozen=True)
class Source:
    """A source in the keeper's words."""

    args: tuple[str, ...]
    file: Path | None  # to be fed on stdin
    manifest: Path | None = None  # to be fed before it


def parse(wanted: str) -> Source:
    """Understand what was named. Raises StackError when it is none of the three."""
    if wanted == "latest" or NAME.fullmatch(wanted):
        return Source((wanted,), None)
    path = Path(wanted)
    if not os.path.isfile(wanted):  # noqa: PTH113  # unlike Path's, this takes a name that is too long for a no
        raise StackError(
            f"{wanted!r} is neither `latest`, nor a snapshot's name, nor a file",
            "./stack backup list shows the snapshots; a file is given by its path",
            Exit.USAGE,
        )
    args = ("-", f"--filename={path.name}")
    beside = str(path.with_name(f"{path.name.split('.', 1)[0]}.json"))
    if not os.path.isfile(beside):  # noqa: PTH113  # as above
        return Source(args, path)
    return Source((*args, f"--manifest-bytes={os.stat(beside).st_size}"), path, Path(beside))  # noqa: PTH116
