"""What the deployer and the site tell each other in `state/`: the flag `draining`, and the mark `opened`.

The flag asks the site to take no new traffic; it names the deploy and runs out by itself, so that a dead deployer
never leaves the site closed. The mark is the site's answer: from its moment on a site that started under the flag
of that deploy may have acknowledged a write. Both come by rename. Standard library only, and little of it.
"""

import contextlib
import json
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

SCHEMA = 1
FLAG = "draining"
MARK = "opened"
LONGEST = timedelta(minutes=10)  # a flag of a longer life is none: a clock was set, or a hand slipped
_DEPLOY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_FILE_BYTES = 4096


class Damaged(Exception):  # noqa: N818 - read where it is raised, the name says enough
    """A file is there, and is not what its writer writes; the message is what was seen."""


class Flag(NamedTuple):
    """The flag as it was read."""

    deploy: str
    until: datetime

    def stands(self) -> bool:
        """Tell whether it counts now."""
        now = datetime.now(UTC)
        return now < self.until <= now + LONGEST


class Mark(NamedTuple):
    """Which site opened, when, and under the flag of which deploy."""

    deploy: str
    version: str
    at: str


def names_deploy(text: str) -> bool:
    """Tell whether this can be the id of a deploy."""
    return _DEPLOY.fullmatch(text) is not None


def read(state: Path) -> Flag | None:
    """Return the flag, run out or not; None where there is none. Raises Damaged."""
    content = _content(state / FLAG)
    if content is None:
        return None
    try:
        flag = Flag(str(content["deploy"]), datetime.fromisoformat(content["until"]))
        if not names_deploy(flag.deploy) or flag.until.tzinfo is None:
            raise ValueError(f"deploy {flag.deploy!r}, until {content['until']!r}")
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(f"{state / FLAG}: {type(error).__name__}: {error}") from None
    return flag


def raise_flag(state: Path, deploy: str, seconds: float) -> Flag:
    """Ask the site to take no new traffic for so long; raises OSError."""
    flag = Flag(deploy, datetime.now(UTC) + timedelta(seconds=seconds))
    _write(state / FLAG, {"schema": SCHEMA, "deploy": deploy, "until": flag.until.isoformat(timespec="milliseconds")})
    return flag


def lower_flag(state: Path) -> None:
    """Let the site take traffic again; raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        (state / FLAG).unlink()
    _sync(state)


def read_mark(state: Path) -> Mark | None:
    """Return the mark of the last site that opened; None where none did. Raises Damaged."""
    content = _content(state / MARK)
    if content is None:
        return None
    try:
        return Mark(str(content["deploy"]), str(content["version"]), str(content["at"]))
    except (KeyError, TypeError) as error:
        raise Damaged(f"{state / MARK}: {type(error).__name__}: {error}") from None


def leave_mark(state: Path, deploy: str, version: str) -> Mark:
    """Record that a site opened, before it does; raises OSError."""
    mark = Mark(deploy, version, datetime.now(UTC).isoformat(timespec="milliseconds"))
    _write(state / MARK, {"schema": SCHEMA, **mark._asdict()})
    return mark


def _content(path: Path) -> dict[str, Any] | None:
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_FILE_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise Damaged(f"{path}: {error}") from None
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise Damaged(f"{path} is no object of schema {SCHEMA}")
    return content


def _write(path: Path, content: dict[str, Any]) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(json.dumps(content).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
