"""How far a run is, for whoever asked for it: one JSON line on stderr per look, a few a second.

A phase says at once that it begins; after that its lines are spaced, so that no work is ever slowed by telling.
"""

import json
import sys
import threading
import time
from collections.abc import Callable

_SPACED_S = 0.2

Tell = Callable[[str], None]


class Step:
    """One phase of a run, in bytes."""

    def __init__(self, phase: str, total: int | None, tell: Tell | None) -> None:
        self._phase = phase
        self._total = total
        self._tell = tell
        self._done = 0
        self._told_at = float("-inf")
        self.reach(0)

    def reach(self, done: int, total: int | None = None) -> None:
        """Say how much is done by now, and of how much where only now that is known."""
        self._done = done
        self._total = total if total is not None else self._total
        now = time.monotonic()
        if self._tell is None or now - self._told_at < _SPACED_S:
            return
        self._told_at = now
        seen = {"phase": self._phase, "done": self._done, "total": self._total}
        self._tell(json.dumps({"progress": seen}))

    def advance(self, count: int) -> None:
        """Add to what is done."""
        self.reach(self._done + count)


class Progress:
    """Begins the phases; two may be under way at once, each in its own thread."""

    def __init__(self, tell: Tell | None = None) -> None:
        self._tell = tell

    def begin(self, phase: str, total: int | None = None) -> Step:
        """Begin a phase: copy, check, compress, prove, read, unpack, boot, save or exchange."""
        return Step(phase, total, self._tell)


SILENT = Progress()


def on_stderr() -> Progress:
    """Tell it to a launcher that reads along; a line is never torn by another thread's."""
    lock = threading.Lock()

    def tell(line: str) -> None:
        with lock:
            print(line, file=sys.stderr, flush=True)

    return Progress(tell)
