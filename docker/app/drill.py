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
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from . import scratch
from .rehearsal import LINE_CHARS, Failed, Rehearsal, detail
from .scratch import ANSWER, REQUEST, SCRATCH, TAKEN

BEAT = Path("/tmp/drill-beat")  # noqa: S108 - a tmpfs of this container alone, fresh with each start
TURN_S = 0.2
FROZEN_S = 10  # without a turn; the longest step of one is a question
LEVELS = ("debug", "info", "warning", "error")


class Withdrawn(Exception):  # noqa: N818
    """Whoever asked no longer wants to know."""


class Drill:
    """The loop: one request at a time, and an answer to each."""

    def __init__(self, deadline_s: float, least: str) -> None:
        self._deadline_s = deadline_s
        self._least = LEVELS.index(least)
        self._life = os.urandom(6).hex()
        self._stopping = False
        self._rehearsal: Rehearsal | None = None
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
        if self._rehearsal is not None:
            self._rehearsal.kill()

    def _settle_former_life(self) -> None:
        """Answer what a killed life left half-done, and clear what it left."""
        taken = scratch.id_in(TAKEN)
        if taken is not None and taken == scratch.id_in(REQUEST) and taken != scratch.id_in(ANSWER):
            error = "the service drill ended in the middle of it: killed, or out of memory"
            scratch.reserve()
            scratch.publish({**scratch.blank(taken), "error": error})
            self._say("drill_end", level="error", run=taken, outcome="failure", error=error)
        scratch.clear()

    def _look_for_work(self) -> None:
        asked = scratch.id_in(REQUEST)
        if asked is None and scratch.read(REQUEST):
            self._complain("request.json is none of the keeper's")
        if asked in (None, self._last, scratch.id_in(ANSWER)):
            return
        self._last = asked
        scratch.reserve()
        scratch.write(TAKEN, json.dumps({"id": asked}).encode())
        self._say("drill_start", run=asked)
        answer = scratch.blank(asked)
        try:
            self._rehearsal = Rehearsal(self._deadline_s, lambda: self._turn(asked))
            self._rehearsal.run(answer)
            answer["outcome"] = "success"
        except Withdrawn:
            self._say("drill_end", level="warning", run=asked, outcome="withdrawn")
            scratch.clear()
            return
        except (Failed, OSError) as failed:
            seen = f"{failed}{detail(answer['log'])}"[:LINE_CHARS]
            answer["error"] = "the service drill was stopped in the middle of it" if self._stopping else seen
            answer["judged"] = isinstance(failed, Failed) and not self._stopping
        scratch.publish(answer)
        scratch.clear()
        well = answer["outcome"] == "success"
        left_out = ("id", "log") if well else ("id",)
        told = {name: value for name, value in answer.items() if name not in left_out}
        self._say("drill_end", level="info" if well else "error", run=asked, **told)

    def _complain(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            self._say("no_work", level="error", error=trouble, hint="`./stack up` gives scratch/ to 1001; free space")

    def _turn(self, asked: str) -> None:
        """Show that this service is alive, and look whether it is to go on."""
        _beat()
        with contextlib.suppress(FileNotFoundError):
            os.utime(TAKEN)
        if self._stopping:
            raise Failed
        if scratch.id_in(REQUEST) != asked:
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
