"""What the surroundings decide: folders, limits and the log level, read once from the environment.

A misspelt number stops the start with the variable's name, because a limit that silently fell back to
its default is a limit nobody chose.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import BadSetting

LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True)
class Settings:
    """Everything the site takes from outside, with the defaults of `.env.example`."""

    data: Path  # holds the database
    uploads: Path  # images/, documents/, .incoming/
    logs: Path
    status: Path  # written by the backup service, read here
    state: Path  # markers and counters of this service
    secrets: Path
    upload_max_bytes: int
    image_max_pixels: int
    log_level: str
    log_max_bytes: int
    disk_floor_bytes: int  # below this much free space the site calls itself sick
    version: str

    @property
    def database(self) -> Path:
        """The one SQLite file."""
        return self.data / "balades.db"


def read(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings; raises BadSetting on the first value that cannot be meant."""
    env = os.environ if environment is None else environment
    level = env.get("MONSITE_LOG_LEVEL", "info").lower()
    if level not in LOG_LEVELS:
        raise BadSetting("MONSITE_LOG_LEVEL", level, f"use one of {', '.join(LOG_LEVELS)}")
    return Settings(
        data=Path(env.get("MONSITE_DATA", "/srv/data")),
        uploads=Path(env.get("MONSITE_UPLOADS", "/srv/uploads")),
        logs=Path(env.get("MONSITE_LOGS", "/srv/logs")),
        status=Path(env.get("MONSITE_STATUS", "/srv/status")),
        state=Path(env.get("MONSITE_STATE", "/srv/state")),
        secrets=Path(env.get("MONSITE_SECRETS", "/run/secrets")),
        upload_max_bytes=_positive(env, "MONSITE_UPLOAD_MAX_MB", 10) * 1024 * 1024,
        image_max_pixels=_positive(env, "MONSITE_IMAGE_MAX_MEGAPIXELS", 40) * 1_000_000,
        log_level=level,
        log_max_bytes=_positive(env, "MONSITE_LOG_MAX_MB", 10) * 1024 * 1024,
        disk_floor_bytes=_positive(env, "MONSITE_DISK_FLOOR_MB", 64) * 1024 * 1024,
        version=env.get("MONSITE_VERSION", "dev"),
    )


def _positive(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name, str(default))
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise BadSetting(name, text, "use a whole number above zero, without a unit")
    return int(text)
