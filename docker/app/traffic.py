"""The requests that are being served: how many, and since when the oldest. Questions about the site do not count."""

import time
from typing import Any


class Traffic:
    """Requests in flight, in the order in which they came."""

    def __init__(self) -> None:
        self._since: dict[object, float] = {}

    def enter(self, request: object) -> None:
        """Count one in."""
        self._since[request] = time.monotonic()

    def leave(self, request: object) -> None:
        """Count one out."""
        del self._since[request]

    def seen(self) -> dict[str, Any]:
        """Return how many are in flight, and for how long the oldest has been."""
        oldest = next(iter(self._since.values()), None)
        age = 0.0 if oldest is None else time.monotonic() - oldest
        return {"in_flight": len(self._since), "oldest_s": round(age, 3)}
