"""One start of the site on the copy in scratch/: it must come to be well, count its walks, and stop when told to."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from typing import IO, Any

from . import scratch
from .probe import ask

TMP = "/tmp"  # noqa: S108 - a tmpfs of this container alone
LOOK_S = 0.05  # between two questions to a site that starts
ANSWER_WITHIN_S = 1.5  # as the site's own probe waits
END_WITHIN_S = 20  # the site finishes what is in flight, and here nothing is
LOG_LINES, LINE_CHARS = 10, 500
OPENING = "database_locked"  # the one error that passes: a long migration is still under way


class Failed(Exception):  # noqa: N818 - read where it is raised, the name says enough
    """The site did not pass; the message is what was seen."""


class Rehearsal:
    """The site's one life on the copy."""

    def __init__(self, deadline_s: float, turn: Callable[[], None]) -> None:
        self._deadline_s = deadline_s
        self._turn = turn  # called again and again while it lasts; what it raises ends it
        self._site: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        """End the site at once: it works on a copy, and nothing of it is worth waiting for."""
        if self._site is not None:
            self._site.kill()

    def run(self, answer: dict[str, Any]) -> None:
        """Start the site, ask it, end it; what is seen goes into the answer, also when this raises."""
        environment = _prepare()
        began = time.monotonic()
        ends = began + self._deadline_s
        # Nameless, and not in scratch/: a full disk is what it may tell of.
        with os.fdopen(os.open(TMP, os.O_TMPFILE | os.O_RDWR, 0o600), "w+b") as said:
            site = self._site = subprocess.Popen(
                [sys.executable, "-m", "app"],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env=environment,
            )
            try:
                answer["schema"] = self._until_well(site, ends)
                answer["boot_s"] = round(time.monotonic() - began, 3)
                answer["walks"] = _walks()
                self._until_ended(site)
            finally:
                answer["boot_s"] = answer["boot_s"] or round(time.monotonic() - began, 3)
                site.kill()
                site.wait()
                self._site = None
                answer["log"] = _last_lines(said)

    def _until_well(self, site: subprocess.Popen[bytes], ends: float) -> int:
        """Wait for the site's health; returns the schema version it speaks of."""
        seen = "no answer from /api/health"
        while time.monotonic() < ends:
            self._turn()
            if (code := site.poll()) is not None:
                raise Failed(f"the site ended with exit code {code} while it started")
            health = ask("/api/health", ANSWER_WITHIN_S)
            if health is not None:
                status, body = health[0], _json(health[1])
                if status == 200:
                    return _number(body, "schema")
                error = body.get("error")
                seen = f"/api/health answered {status} {error}"
                if error != OPENING:
                    raise Failed(seen)
            time.sleep(LOOK_S)
        raise Failed(f"the site was not well within {self._deadline_s:g} s: {seen}")

    def _until_ended(self, site: subprocess.Popen[bytes]) -> None:
        site.terminate()
        ends = time.monotonic() + END_WITHIN_S
        while (code := site.poll()) is None:
            self._turn()
            if time.monotonic() > ends:
                raise Failed(f"the site did not end within {END_WITHIN_S} s of being told to")
            time.sleep(LOOK_S)
        if code != 0:
            raise Failed(f"the site ended with exit code {code} when it was told to stop")


def _prepare() -> dict[str, str]:
    """Make the folders that the site wants beside its data; returns its environment."""
    shutil.rmtree(scratch.SITE, ignore_errors=True)
    folders = {name: scratch.SITE / name for name in ("uploads", "logs", "status", "state", "secrets")}
    for folder in folders.values():
        folder.mkdir(mode=0o700, parents=True)
    scratch.write(folders["secrets"] / "write_token", os.urandom(32).hex().encode())
    return {
        **os.environ,
        **{f"MONSITE_{name.upper()}": str(folder) for name, folder in folders.items()},
        "MONSITE_DATA": str(scratch.DATA),
        "MONSITE_DISK_FLOOR_MB": "1",  # how much must stay free is the keeper's to say, before it asks
        "MONSITE_LOG_LEVEL": "info",
    }


def _walks() -> int:
    answer = ask("/api/walks", ANSWER_WITHIN_S)
    if answer is None or answer[0] != 200:
        raise Failed(f"/api/walks answered {answer[0] if answer else 'nothing'}, though the site calls itself well")
    return _number(_json(answer[1]), "total")


def _json(body: str) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Failed(f"the site answered no JSON object: {body[:LINE_CHARS]!r}")
    return value


def _number(body: dict[str, Any], key: str) -> int:
    value = body.get(key)
    if not isinstance(value, int):
        raise Failed(f"the site answered {key} {value!r}, expected a number")
    return value


def _last_lines(said: IO[bytes]) -> list[str]:
    said.seek(max(0, said.seek(0, os.SEEK_END) - scratch.ANSWER_BYTES))
    lines = said.read().decode(errors="replace").splitlines()
    return [line[:LINE_CHARS] for line in lines[-LOG_LINES:]]


def detail(lines: list[str]) -> str:
    """Find what the site itself says of its trouble; its health shows strangers no more than a word."""
    for line in reversed(lines):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return f" ({json.loads(line)['detail']})"
    return ""
