"""What the operator may set: the shell first, docker/.env next, then the default. Checked here, once."""

import difflib
import ipaddress
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ops.errors import Exit, StackError

CHECKOUT = Path(__file__).resolve().parents[2]
DOCKER = CHECKOUT / "docker"
ENV_FILE = DOCKER / ".env"
LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)")


def _number(low: int, high: int) -> Callable[[str], bool]:
    return lambda value: value.isascii() and value.isdigit() and len(value) <= 9 and low <= int(value) <= high


def _choice(*choices: str) -> Callable[[str], bool]:
    return lambda value: value in choices


def _address(value: str) -> bool:
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    return getattr(address, "scope_id", None) is None


def _base_image(value: str) -> bool:
    return value == "" or bool(re.fullmatch(r"\S+@sha256:[0-9a-f]{64}", value))


@dataclass(frozen=True)
class Variable:
    """One setting."""

    default: str
    expects: str  # in words, for the error message
    accepts: Callable[[str], bool]


VARIABLES = {
    "MONSITE_PROJECT": Variable(
        "monsite",
        "lower-case letters, digits, - and _, a letter first",
        lambda value: bool(re.fullmatch(r"[a-z][a-z0-9_-]{0,40}", value)),
    ),
    "MONSITE_ROOT": Variable("var", "a folder", lambda value: value != "" and ":" not in value),
    "MONSITE_VOLUMES": Variable("folders", "folders or named", _choice("folders", "named")),
    "MONSITE_BIND": Variable("127.0.0.1", "an IP address", _address),
    "MONSITE_PORT": Variable("3000", "a TCP port from 1 to 65535", _number(1, 65535)),
    "MONSITE_OVERLAY": Variable("", "Compose files separated by colons", lambda _: True),
    "MONSITE_UPLOAD_MAX_MB": Variable("10", "1 to 50", _number(1, 50)),
    "MONSITE_IMAGE_MAX_MEGAPIXELS": Variable("40", "1 to 500", _number(1, 500)),
    "MONSITE_LOG_LEVEL": Variable(
        "info", "debug, info, warning or error", _choice("debug", "info", "warning", "error")
    ),
    "MONSITE_LOG_MAX_MB": Variable("10", "1 to 1000", _number(1, 1000)),
    "MONSITE_DISK_FLOOR_MB": Variable("64", "1 to 1000000", _number(1, 1_000_000)),
    "MONSITE_BACKUP_INTERVAL_HOURS": Variable("24", "1 to 744", _number(1, 744)),
    "MONSITE_DRILL_INTERVAL_HOURS": Variable("168", "1 to 8784", _number(1, 8784)),
    "MONSITE_DRILL_DEADLINE_S": Variable("120", "1 to 86400", _number(1, 86400)),
    "MONSITE_BACKUP_COMPRESSION": Variable("zstd", "zstd or gzip", _choice("zstd", "gzip")),
    "MONSITE_KEEP_DAILY": Variable("7", "1 to 1000", _number(1, 1000)),
    "MONSITE_KEEP_WEEKLY": Variable("4", "0 to 1000", _number(0, 1000)),
    "MONSITE_KEEP_MONTHLY": Variable("12", "0 to 1000", _number(0, 1000)),
    "MONSITE_KEEP_LAST": Variable("3", "1 to 1000", _number(1, 1000)),
    "MONSITE_KEEP_REPORTS": Variable("30", "1 to 1000", _number(1, 1000)),
    "MONSITE_SIGNERS": Variable("", "a file of trusted signers, or nothing", lambda _: True),
    "STACK_BASE_IMAGE": Variable("", "an image pinned by @sha256: and 64 hex digits, or nothing", _base_image),
}


@dataclass(frozen=True)
class Settings:
    """Every setting, checked; paths absolute."""

    values: dict[str, str]

    @property
    def project(self) -> str:
        """Compose project name."""
        return self.values["MONSITE_PROJECT"]

    @property
    def root(self) -> Path:
        """The folder of what outlives containers, by the one name under which the engine knows it."""
        return Path(os.path.realpath(CHECKOUT / Path(self.values["MONSITE_ROOT"]).expanduser()))

    @property
    def live(self) -> Path:
        """The live database, where the data lies in a folder."""
        return self.root / "data" / "balades.db"

    @property
    def bind(self) -> str:
        """Address that the gate publishes on."""
        return self.values["MONSITE_BIND"]

    @property
    def port(self) -> int:
        """TCP port that the gate publishes."""
        return int(self.values["MONSITE_PORT"])

    @property
    def url(self) -> str:
        """Where the site answers on this host; a wildcard address is asked through loopback."""
        address = ipaddress.ip_address(self.bind)
        if address.is_unspecified:
            address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
        host = f"[{address}]" if address.version == 6 else str(address)
        return f"http://{host}:{self.port}"

    @property
    def compose_files(self) -> list[Path]:
        """The topology, then whatever is laid over it, in order."""
        overlays = [CHECKOUT / part for part in self.values["MONSITE_OVERLAY"].split(":") if part]
        named = [DOCKER / "compose.volumes.yaml"] if self.values["MONSITE_VOLUMES"] == "named" else []
        return [DOCKER / "compose.yaml", *named, *overlays]


def load() -> Settings:
    """Read the settings.

    Raises StackError (exit 2) naming the file and line or the variable, what was seen and what is expected.
    """
    written = _read_env_file(ENV_FILE) if ENV_FILE.is_file() else {}
    values = {}
    for name, variable in VARIABLES.items():
        where = "the environment" if name in os.environ else str(ENV_FILE.relative_to(CHECKOUT))
        value = os.environ.get(name, written.get(name, variable.default))
        if not variable.accepts(value):
            raise StackError(
                f"{name} in {where} is {value!r}, expected {variable.expects}",
                f"correct it; the default is {variable.default!r} (see docker/.env.example)",
                Exit.USAGE,
            )
        values[name] = value
    for name in os.environ:
        if name.startswith("MONSITE_") and name not in VARIABLES:
            raise _unknown(name, "the environment")
    settings = Settings(values)
    for path in settings.compose_files:
        if not path.is_file():
            raise StackError(
                f"MONSITE_OVERLAY names {path}, which is not a file",
                "correct the path or empty it",
                Exit.USAGE,
            )
    return settings


def _read_env_file(path: Path) -> dict[str, str]:
    written: dict[str, str] = {}
    for number, raw in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        where = f"{path.relative_to(CHECKOUT)} line {number}"
        match = LINE.fullmatch(line)
        if not match:
            raise StackError(f"{where} is {line!r}, expected NAME=value", "see docker/.env.example", Exit.USAGE)
        name, value = match[1], match[2].strip().strip("'\"")
        if name not in VARIABLES:
            raise _unknown(name, where)
        if name in written:
            raise StackError(f"{where} sets {name} a second time", "keep one of the two lines", Exit.USAGE)
        written[name] = value
    return written


def _unknown(name: str, where: str) -> StackError:
    close = difflib.get_close_matches(name, VARIABLES, n=1, cutoff=0.75)
    meant = f"did you mean {close[0]}?" if close else "docker/.env.example lists every variable"
    return StackError(f"{where} sets {name}, which is no setting of monsite", meant, Exit.USAGE)
