"""Where things lie and what was asked for, read once from the environment and checked."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from .errors import Usage
from .logs import LEVELS
from .rotation import Policy

DATABASE = "balades.db"
COMPRESSIONS = ("zstd", "gzip")
GRACE = timedelta(hours=2)  # how late a scheduled snapshot may be before the service turns unhealthy


@dataclass(frozen=True)
class Settings:
    """Everything the commands take from outside."""

    data: Path
    uploads: Path
    backups: Path
    status: Path
    scratch: Path  # shared with the service `drill`, and with nobody else
    interval: timedelta
    drill_interval: timedelta  # between two looks at every byte, each followed by a drill
    compression: str  # one of COMPRESSIONS
    policy: Policy
    floor_bytes: int  # free space below this makes the service unhealthy, and stops an unpacking
    log_level: str  # events below it are not written
    version: str

    @property
    def database(self) -> Path:
        """The live database."""
        return self.data / DATABASE

    @property
    def max_age(self) -> timedelta:
        """The age at which the newest snapshot is too old."""
        return self.interval + GRACE


def from_environment(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings; a value that cannot be meant is an error, never a default."""
    return Settings(
        data=Path(environ.get("MONSITE_DATA", "/srv/data")),
        uploads=Path(environ.get("MONSITE_UPLOADS", "/srv/uploads")),
        backups=Path(environ.get("MONSITE_BACKUPS", "/srv/backups")),
        status=Path(environ.get("MONSITE_STATUS", "/srv/status")),
        scratch=Path(environ.get("MONSITE_SCRATCH", "/srv/scratch")),
        interval=timedelta(hours=_number(environ, "MONSITE_BACKUP_INTERVAL_HOURS", 24.0, above=0.0)),
        drill_interval=timedelta(hours=_number(environ, "MONSITE_DRILL_INTERVAL_HOURS", 168.0, above=0.0)),
        compression=_one_of(environ, "MONSITE_BACKUP_COMPRESSION", "zstd", COMPRESSIONS),
        policy=Policy(
            daily=_whole(environ, "MONSITE_KEEP_DAILY", 7, least=0),
            weekly=_whole(environ, "MONSITE_KEEP_WEEKLY", 4, least=0),
            monthly=_whole(environ, "MONSITE_KEEP_MONTHLY", 12, least=0),
            last=_whole(environ, "MONSITE_KEEP_LAST", 3, least=1),
        ),
        floor_bytes=_whole(environ, "MONSITE_DISK_FLOOR_MB", 64, least=0) * 1024 * 1024,
        log_level=_one_of(environ, "MONSITE_LOG_LEVEL", "info", LEVELS),
        version=environ.get("MONSITE_VERSION") or "unknown",
    )


def _one_of(environ: Mapping[str, str], name: str, default: str, choices: tuple[str, ...]) -> str:
    text = environ.get(name) or default
    if text not in choices:
        raise Usage(f"{name} is {text!r}", f"use one of: {', '.join(choices)}")
    return text


def _number(environ: Mapping[str, str], name: str, default: float, *, above: float) -> float:
    text = environ.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not above < value < 1_000_000:
        raise Usage(f"{name} is {text!r}", f"use a number above {above:g}, such as {default:g}")
    return value


def _whole(environ: Mapping[str, str], name: str, default: int, *, least: int) -> int:
    text = environ.get(name) or str(default)
    if not text.isdecimal() or int(text) < least:
        raise Usage(f"{name} is {text!r}", f"use a whole number from {least}, such as {default}")
    return int(text)
