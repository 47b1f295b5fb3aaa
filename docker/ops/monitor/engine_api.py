"""The engine's own interface, over its socket: `docker` itself costs a process and a tenth of a second a question."""

import hashlib
import http.client
import json
import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

DEFAULT = "unix:///var/run/docker.sock"
DEADLINE_S = 5.0
_STDERR, _FRAME_HEAD = 2, 8


class EngineSilent(Exception):  # noqa: N818  # says what happened
    """The engine gave no answer; says where it was asked and what happened."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"the Docker engine at {address} does not answer: {reason}")


class NotThere(Exception):  # noqa: N818  # says what happened
    """The engine knows no such thing."""


class _Line(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("engine", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Api:
    """Questions to one engine, over one connection."""

    def __init__(self, address: str | None = None, deadline_s: float = DEADLINE_S) -> None:
        self.address = address or find()
        self._deadline_s = deadline_s
        self._line: http.client.HTTPConnection | None = None

    def get(self, path: str, **query: Any) -> Any:
        """Ask; a list or dict as value of the query goes as JSON. Raises EngineSilent or NotThere."""
        told = {key: json.dumps(value) if isinstance(value, dict | list) else value for key, value in query.items()}
        return self._read(self._ask("GET", f"{path}?{urlencode(told)}" if told else path))

    def events(self, **query: Any) -> list[dict[str, Any]]:
        """Give what the engine still remembers of what happened."""
        told = {key: json.dumps(value) if isinstance(value, dict | list) else value for key, value in query.items()}
        try:
            return [self._read(line) for line in self._ask("GET", f"/events?{urlencode(told)}").splitlines()]
        except NotThere:
            raise EngineSilent(self.address, "who answers there knows no events, so it is no engine") from None

    def run_in(self, container: str, argv: list[str]) -> tuple[int, bytes, str]:
        """Run a command in a container as its own user; return its exit code and what it wrote."""
        asked = {"AttachStdout": True, "AttachStderr": True, "Cmd": argv}
        made = self._read(self._ask("POST", f"/containers/{quote(container)}/exec", asked))["Id"]
        stream = self._ask("POST", f"/exec/{made}/start", {"Detach": False, "Tty": False})
        out, err = _parted(stream)
        code = self.get(f"/exec/{made}/json")["ExitCode"]
        return (1 if code is None else int(code)), out, err.decode(errors="replace")

    def close(self) -> None:
        """Let go of the connection."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def _read(self, content: bytes) -> Any:
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise EngineSilent(self.address, "who answers there does not answer in JSON, so it is no engine") from None

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        try:
            if self._line is None:
                self._line = _connect(self.address, self._deadline_s)
            headers = {"Content-Type": "application/json"} if body is not None else {}
            self._line.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = self._line.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise EngineSilent(self.address, reason) from error
        if answer.status == http.client.NOT_FOUND:
            raise NotThere(path)
        if answer.status >= http.client.BAD_REQUEST:
            said = content[:200].decode(errors="replace")
            raise EngineSilent(self.address, f"{method} {path} got {answer.status}: {said}")
        return content


def find() -> str:
    """Return where the engine is, as the docker command finds it: DOCKER_HOST, the chosen context, the default."""
    if host := os.environ.get("DOCKER_HOST"):
        return host
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        chosen = os.environ.get("DOCKER_CONTEXT") or json.loads((folder / "config.json").read_text())["currentContext"]
        meta = folder / "contexts" / "meta" / hashlib.sha256(chosen.encode()).hexdigest() / "meta.json"
        return str(json.loads(meta.read_text())["Endpoints"]["docker"]["Host"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError):
        return DEFAULT


def _connect(address: str, deadline_s: float) -> http.client.HTTPConnection:
    try:
        where = urlsplit(address)
        port = where.port or 2375
    except ValueError as error:
        raise EngineSilent(address, f"that is no address: {error}") from error
    if where.scheme == "unix":
        return _Line(where.path, deadline_s)
    if where.scheme in ("tcp", "http") and not os.environ.get("DOCKER_TLS_VERIFY"):
        return http.client.HTTPConnection(where.hostname or "", port, timeout=deadline_s)
    raise EngineSilent(address, "the monitor asks over unix:// and over tcp:// without TLS")


def _parted(stream: bytes) -> tuple[bytes, bytes]:
    """Take stdout and stderr apart, which come in frames over one connection."""
    parts = {1: bytearray(), _STDERR: bytearray()}
    at = 0
    while at + _FRAME_HEAD <= len(stream):
        kind, length = stream[at], int.from_bytes(stream[at + 4 : at + _FRAME_HEAD], "big")
        at += _FRAME_HEAD
        parts.setdefault(kind, bytearray()).extend(stream[at : at + length])
        at += length
    return bytes(parts[1]), bytes(parts[_STDERR])
