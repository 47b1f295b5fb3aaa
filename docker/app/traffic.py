"""The requests of visitors: those being served, and of those that ended, how many, how, and after how long.

Questions about the site's health do not count: the gate alone asks five a second.
"""

import time
from bisect import bisect_left
from collections import Counter
from typing import Any

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds, each an upper bound
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))
OTHER = "other"  # a stranger's word never becomes a label


class Traffic:
    """Requests in flight, in the order in which they came; and the sums of those that ended."""

    def __init__(self) -> None:
        self._since: dict[object, float] = {}
        self.served: Counter[tuple[str, str]] = Counter()  # by method and class of status
        self.took = [0] * (len(BUCKETS) + 1)  # by bucket, the last without a bound
        self.took_s = 0.0

    def enter(self, request: object) -> None:
        """Count one in."""
        self._since[request] = time.monotonic()

    def leave(self, request: object, method: str, status: int) -> None:
        """Count one out; status 0 is one that ended without an answer."""
        took = time.monotonic() - self._since.pop(request)
        self.served[method if method in METHODS else OTHER, f"{status // 100}xx" if status else OTHER] += 1
        self.took[bisect_left(BUCKETS, took)] += 1
        self.took_s += took

    def seen(self) -> dict[str, Any]:
        """Return how many are in flight, and for how long the oldest has been."""
        oldest = next(iter(self._since.values()), None)
        age = 0.0 if oldest is None else time.monotonic() - oldest
        return {"in_flight": len(self._since), "oldest_s": round(age, 3)}
