"""The service `drill`: starts the site on a database that the keeper lays into scratch/, and tells how it went.

The keeper has the snapshots and no site; this image has the site and must never see a snapshot store, the live
data or a network. Between them stand four files, each published by rename: the keeper's `data/balades.db` and
`request.json`, this service's `taken.json` (touched at every turn while it works, so that its death is seen) and
`answer.json`. A request that is taken away is given up; one that a former life of this service left half-done is
answered as failed and not tried again, for what ended that life may be the request itself.
`python3 -S -m app.drill`; with `health`, the container's health check.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from .probe import ask

SCRATCH = Path(os.environ.get("MONSITE_SCRATCH", "/srv/scratch"))
REQUEST, TAKEN, ANSWER = (SCRATCH / f"{name}.json" for name in ("request", "taken", "answer"))
RESERVED = SCRATCH / ".answer.part"
DATA, SITE = SCRATCH / "data", SCRATCH / "site"
BEAT = Path("/tmp/drill-beat")  # noqa: S108 - a tmpfs of this container alone, fresh with each start

TURN_S = 0.2
LOOK_S = 0.05  # between two questions to a site that starts
ANSWER_WITHIN_S = 1.5  # as the site's own probe waits
END_WITHIN_S = 20  # the site finishes what is in flight, and here nothing is
FROZEN_S = 10  # without a turn; the longest step of one is a question
LOG_LINES, LINE_CHARS = 10, 500
ANSWER_BYTES = 64 * 1024  # more than ten such lines take, whatever signs they hold
ID = re.compile(r"[\w.-]{1,80}", re.ASCII)
OPENING = "database_locked"  # the one error that passes: a long migration is still under way
LEVELS = ("debug", "info", "warning", "error")


class Failed(Exception):  # noqa: N818 - read where it is raised, the name says enough
    """The site did not pass; the message is what was seen."""


class Withdrawn(Exception):  # noqa: N818
    """Whoever asked no longer wants to know."""


class Drill:
    """The loop: one request at a time, and an answer to each."""

    def __init__(self, deadline_s: float, least: str) -> None:
        self._deadline_s = deadline_s
        self._least = LEVELS.index(least)
        self._life = os.urandom(6).hex()
        self._stopping = False
        self._site: subprocess.Popen[bytes] | None = None
        self._last = ""  # the id of the request that was begun last; none is tried twice
        self._trouble = ""  # said once, not at every turn

    def run(self) -> int:
        """Answer requests until told to stop."""
        for wanted in (signal.SIGTERM, signal.SIGINT):
            signal.signal(wanted, self._stop)
        self._say("started", deadline_s=self._deadline_s)
        work = self._settle_former_life
        while not self._stopping:
            _beat()
            try:
                work()
                work = self._look_for_work
            except OSError as trouble:  # scratch/ is full, read-only or gone: the health check tells, we go on
                self._complain(str(trouble))
            time.sleep(TURN_S)
        self._say("stopped")
        return 0

    def _stop(self, *_: object) -> None:
        self._stopping = True
        if self._site is not None:
            self._site.kill()  # it works on a copy: nothing of it is worth waiting for

    def _settle_former_life(self) -> None:
        """Answer what a killed life left half-done, and clear what it left."""
        taken = _id_in(TAKEN)
        if taken is not None and taken == _id_in(REQUEST) and taken != _id_in(ANSWER):
            error = "the service drill ended in the middle of it: killed, or out of memory"
            _reserve()
            _publish({**_blank(taken), "error": error})
            self._say("drill_end", level="error", run=taken, outcome="failure", error=error)
        _clear()

    def _look_for_work(self) -> None:
        asked = _id_in(REQUEST)
        if asked is None and _read(REQUEST):
            self._complain("request.json is none of the keeper's")
        if asked in (None, self._last, _id_in(ANSWER)):
            return
        self._last = asked
        # Room for the answer first: the site may fill the disk, and that is then to be told.
        _reserve()
        _write(TAKEN, json.dumps({"id": asked}).encode())
        self._say("drill_start", run=asked)
        answer = _blank(asked)
        try:
            self._rehearse(asked, answer)
            answer["outcome"] = "success"
        except Withdrawn:
            self._say("drill_end", level="warning", run=asked, outcome="withdrawn")
            _clear()
            return
        except (Failed, OSError) as failed:
            seen = f"{failed}{_detail(answer['log'])}"[:LINE_CHARS]
            answer["error"] = "the service drill was stopped in the middle of it" if self._stopping else seen
        _publish(answer)
        _clear()
        well = answer["outcome"] == "success"
        left_out = ("id", "log") if well else ("id",)
        told = {name: value for name, value in answer.items() if name not in left_out}
        self._say("drill_end", level="info" if well else "error", run=asked, **told)

    def _complain(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            self._say("no_work", level="error", error=trouble, hint="`./stack up` gives scratch/ to 1001; free space")

    # --- the site --------------------------------------------------------------------------------

    def _rehearse(self, asked: str, answer: dict[str, Any]) -> None:
        """Start the site on what lies in scratch/, ask it, end it; what is seen goes into the answer."""
        environment = _prepare()
        began = time.monotonic()
        ends = began + self._deadline_s
        # Nameless, and not in scratch/: a full disk is what it may tell of.
        with os.fdopen(os.open(BEAT.parent, os.O_TMPFILE | os.O_RDWR, 0o600), "w+b") as said:
            self._site = subprocess.Popen(
                [sys.executable, "-m", "app"],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env=environment,
            )
            try:
                answer["schema"] = self._until_well(asked, self._site, ends)
                answer["boot_s"] = round(time.monotonic() - began, 3)
                answer["walks"] = _walks()
                self._until_ended(asked, self._site)
            finally:
                answer["boot_s"] = answer["boot_s"] or round(time.monotonic() - began, 3)
                self._site.kill()
                self._site.wait()
                self._site = None
                answer["log"] = _last_lines(said)

    def _until_well(self, asked: str, site: subprocess.Popen[bytes], ends: float) -> int:
        """Wait for the site's health; returns the schema version it speaks of."""
        seen = "no answer from /api/health"
        while time.monotonic() < ends:
            self._turn(asked)
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

    def _until_ended(self, asked: str, site: subprocess.Popen[bytes]) -> None:
        site.terminate()
        ends = time.monotonic() + END_WITHIN_S
        while (code := site.poll()) is None:
            self._turn(asked)
            if time.monotonic() > ends:
                raise Failed(f"the site did not end within {END_WITHIN_S} s of being told to")
            time.sleep(LOOK_S)
        if code != 0:
            raise Failed(f"the site ended with exit code {code} when it was told to stop")

    def _turn(self, asked: str) -> None:
        """Show that this service is alive, and look whether it is to go on."""
        _beat()
        with contextlib.suppress(FileNotFoundError):
            os.utime(TAKEN)
        if self._stopping:
            raise Failed
        if _id_in(REQUEST) != asked:
            raise Withdrawn

    def _say(self, event: str, level: str = "info", run: str = "", **fields: object) -> None:
        """Write one JSON line, as the other services do."""
        if LEVELS.index(level) < self._least:
            return
        line = {
            "ts": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": level,
            "service": "drill",
            "event": event,
            "run": run or self._life,
            **fields,
        }
        print(json.dumps(line, ensure_ascii=False), flush=True)


def _prepare() -> dict[str, str]:
    """Make the folders that the site wants beside its data; returns its environment."""
    shutil.rmtree(SITE, ignore_errors=True)
    folders = {name: SITE / name for name in ("uploads", "logs", "status", "state", "secrets")}
    for folder in folders.values():
        folder.mkdir(mode=0o700, parents=True)
    _write(folders["secrets"] / "write_token", os.urandom(32).hex().encode())
    return {
        **os.environ,
        **{f"MONSITE_{name.upper()}": str(folder) for name, folder in folders.items()},
        "MONSITE_DATA": str(DATA),
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
    said.seek(max(0, said.seek(0, os.SEEK_END) - ANSWER_BYTES))
    lines = said.read().decode(errors="replace").splitlines()
    return [line[:LINE_CHARS] for line in lines[-LOG_LINES:]]


def _detail(lines: list[str]) -> str:
    """Find what the site itself says of its trouble; its health shows strangers no more than a word."""
    for line in reversed(lines):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return f" ({json.loads(line)['detail']})"
    return ""


# --- the files between the keeper and this service -------------------------------------------------


def _blank(asked: str) -> dict[str, Any]:
    """Return an answer that says nothing good yet."""
    return {
        "id": asked,
        "outcome": "failure",
        "error": None,
        "schema": None,
        "walks": None,
        "boot_s": 0.0,
        "log": [],
    }


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(ANSWER_BYTES)
    except FileNotFoundError:
        return b""


def _id_in(path: Path) -> str | None:
    try:
        value = json.loads(_read(path))["id"]
    except (ValueError, KeyError, TypeError, OSError):
        return None
    return value if isinstance(value, str) and ID.fullmatch(value) else None


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def _reserve() -> None:
    with RESERVED.open("wb") as file:
        file.write(b" " * ANSWER_BYTES)
        file.flush()
        os.fsync(file.fileno())  # a file system that allocates late would promise what it does not have


def _publish(answer: dict[str, Any]) -> None:
    """Write the answer into the room that was kept for it; the spaces behind it mean nothing in JSON."""
    with RESERVED.open("r+b") as file:
        file.write(json.dumps(answer, ensure_ascii=False).encode())
        file.flush()
        os.fsync(file.fileno())
    RESERVED.replace(ANSWER)


def _clear() -> None:
    """Remove what is this service's own; without taken.json the keeper knows that nothing runs here."""
    shutil.rmtree(SITE, ignore_errors=True)
    RESERVED.unlink(missing_ok=True)
    TAKEN.unlink(missing_ok=True)


# --- health ----------------------------------------------------------------------------------------


def _beat() -> None:
    """Note the time of this turn, on the clock that nobody can set."""
    descriptor = os.open(BEAT, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(descriptor, f"{time.monotonic():020.3f}".encode(), 0)
    finally:
        os.close(descriptor)


def health() -> int:
    """Say whether the loop turns and can work; 0 is healthy."""
    try:
        since = time.monotonic() - float(BEAT.read_text())
        folder = SCRATCH.stat()
    except (OSError, ValueError) as error:
        print(f"unhealthy: {error}")
        return 1
    if since > FROZEN_S:
        print(f"unhealthy: the loop stands still since {since:.0f} s")
    elif folder.st_nlink == 0:
        print(f"unhealthy: {SCRATCH} was replaced under the running service; `./stack up` mounts the one there is now")
    elif not os.access(SCRATCH, os.W_OK | os.X_OK):
        print(f"unhealthy: {SCRATCH} cannot be written; `./stack up` gives it to 1001")
    else:
        print("healthy")
        return 0
    return 1


def main() -> int:
    """Run the loop, or its health check."""
    if sys.argv[1:] == ["health"]:
        return health()
    os.umask(0o077)  # copies of the database are nobody else's
    level = os.environ.get("MONSITE_LOG_LEVEL", "info").lower()
    deadline = os.environ.get("MONSITE_DRILL_DEADLINE_S", "120")
    if level not in LEVELS or not deadline.isdecimal() or int(deadline) == 0:
        print(f"error: MONSITE_LOG_LEVEL is {level!r}, MONSITE_DRILL_DEADLINE_S is {deadline!r}", file=sys.stderr)
        print(f"hint: use one of {', '.join(LEVELS)}, and a whole number of seconds above zero", file=sys.stderr)
        return 2
    return Drill(int(deadline), level).run()


if __name__ == "__main__":
    sys.exit(main())
