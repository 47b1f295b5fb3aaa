"""The container's health check, and its self-heal: `python3 -m app.probe`.

Docker calls a container unhealthy and leaves it at that. So the probe, which runs inside, ends a site
that no longer answers, and the restart policy brings up a new one: no engine socket is needed.
Only silence counts. An answered 500 (a full disk, a lost database) would be the same after a restart,
and a restart loop on top would not help. Standard library only, and little of it: this runs every 5 s.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

PORT = 3000
LIVE_WITHIN_S = 1.0
HEALTH_WITHIN_S = 1.5  # with the above and the start of Python below the 3 s Docker waits
TERM_AFTER = 3  # misses in a row
KILL_AFTER = 5
HEALS = 5  # in WINDOW_S: then the cause is not one a restart cures
WINDOW_S = 600
GIVEN_UP = -1_000_000_000  # from here no count reaches a threshold; the first answer ends it
MISSES = Path("/tmp/probe-misses")  # noqa: S108 - a tmpfs of this container alone, fresh with each start
RECORD = Path(os.environ.get("MONSITE_STATE", "/srv/state")) / "heal.json"


def ask(path: str, within: float) -> tuple[int, str] | None:
    """Return status and body, or None where no answer came in time."""
    ends = time.monotonic() + within
    answer = b""
    try:
        with socket.create_connection(("127.0.0.1", PORT), timeout=within) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n".encode())
            while True:
                connection.settimeout(max(0.01, ends - time.monotonic()))
                piece = connection.recv(4096)
                if not piece:
                    break
                answer += piece
    except OSError:
        return None
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if len(words) < 3 or not words[1].isdigit():
        return None
    return int(words[1]), body.decode(errors="replace")


def main() -> int:
    """Ask, count and heal; 0 is healthy."""
    if ask("/api/live", LIVE_WITHIN_S) is None:
        misses = _count()
        print(f"no answer from /api/live; {heal(misses, time.time())}")
        return 1
    with contextlib.suppress(FileNotFoundError):
        MISSES.unlink()
    health = ask("/api/health", HEALTH_WITHIN_S)
    if health is None:
        print("no answer from /api/health in time")
        return 1
    status, body = health
    print(body)
    return 0 if status == 200 else 1


def heal(misses: int, now: float) -> str:
    """End every process of the container when the silence lasts; returns what was done."""
    if misses < 0:
        return "given up: restarts did not help, look into it"
    if misses == TERM_AFTER:
        recent = [at for at in _heals() if now - at < WINDOW_S]
        if len(recent) >= HEALS:
            _remember(GIVEN_UP)
            return f"given up: {HEALS} restarts in {WINDOW_S} s did not help, look into it"
        note = _record([*recent, now])
        os.kill(-1, signal.SIGTERM)
        return f"{misses} in a row, TERM sent to all{note}"
    if misses == KILL_AFTER:
        os.kill(-1, signal.SIGKILL)
        return f"{misses} in a row, KILL sent to all"
    return f"{misses} in a row"


def _count() -> int:
    try:
        misses = int(MISSES.read_text()) + 1
    except (OSError, ValueError):
        misses = 1
    _remember(misses)
    return misses


def _remember(misses: int) -> None:
    with contextlib.suppress(OSError):
        MISSES.write_text(str(misses))


def _heals() -> list[float]:
    try:
        return [float(at) for at in json.loads(RECORD.read_bytes())["heals"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _record(heals: list[float]) -> str:
    """Publish the times by rename; a record that cannot be kept is no reason to stay frozen."""
    part = RECORD.with_name("heal.json.part")
    try:
        part.write_text(json.dumps({"schema": 1, "heals": heals}) + "\n")
        part.replace(RECORD)
    except OSError as error:
        return f" (not recorded: {error})"
    return ""


if __name__ == "__main__":
    sys.exit(main())
