"""What a killed restore can have left outside the backups folder; whoever holds the lock may remove it."""

import re
from collections.abc import Iterator
from pathlib import Path

from .errors import writing
from .exchange import BESIDE
from .settings import DATABASE, Settings

_IN_DATA = re.compile(rf"\.\.?{re.escape(DATABASE)}\..*(restored|part)")  # what is being made there, by its hidden name
_IN_UPLOADS = re.compile(r"\.[0-9a-f]{64}\.restoring")
_ASIDE = re.compile(rf"({re.escape(DATABASE)}\.damaged_\d{{8}}_\d{{6}})({'|'.join(BESIDE)})")


def sweep(settings: Settings) -> None:
    """Remove it."""
    with writing("what a killed restore left"):
        for path in (*_of_data(settings.data), *_of_uploads(settings.uploads)):
            path.unlink(missing_ok=True)


def _of_data(folder: Path) -> Iterator[Path]:
    for path in list(folder.iterdir()):
        aside = _ASIDE.fullmatch(path.name)
        if _IN_DATA.fullmatch(path.name) or (aside and _is_second_name(path, aside)):
            yield path


def _is_second_name(path: Path, aside: re.Match[str]) -> bool:
    """Whether it is a second name of what still belongs to the live database: its own file was never moved aside.

    One that is no such name is all that is left of a database whose file was lost: it stays.
    """
    live = path.with_name(DATABASE)
    beside = path.with_name(f"{DATABASE}{aside[2]}")
    own = path.with_name(aside[1])
    return live.exists() and not own.exists() and beside.exists() and beside.samefile(path)


def _of_uploads(folder: Path) -> Iterator[Path]:
    yield from (path for path in folder.rglob(".*.restoring") if _IN_UPLOADS.fullmatch(path.name))
