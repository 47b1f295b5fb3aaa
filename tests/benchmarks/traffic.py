"""Steady visitors of a site, each answer with its status and wait: for what must hold while something else happens."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests

from fixtures.client import Client
from fixtures.stack import Stack
from fixtures.wait import clock
from fixtures.walks import new_walk

PAUSE_S = 0.02  # busy, yet not so that the machine has no time for what is tried beside it
PATIENCE_S = 60


@dataclass
class Traffic:
    """What visitors of one kind got."""

    statuses: Counter[int] = field(default_factory=Counter)  # 0: no answer
    waits: list[float] = field(default_factory=list)

    def failed(self) -> int:
        """Answers that were none, or of a fault."""
        return sum(count for status, count in self.statuses.items() if status not in (200, 201))

    def figures(self) -> dict[str, Any]:
        """Give what is published."""
        longest = round(max(self.waits, default=0.0), 3)
        return {"statuses": dict(self.statuses), "failed": self.failed(), "longest_s": longest}


@contextmanager
def traffic(stack: Stack, visitors: int) -> Iterator[dict[str, Traffic]]:
    """Let as many read as write until the block ends."""
    over = threading.Event()
    seen = {"read": Traffic(), "write": Traffic()}
    asks: dict[str, Callable[[Client], requests.Response]] = {
        "read": lambda visitor: visitor.get("/api/walks", within=PATIENCE_S),
        "write": lambda visitor: visitor.post("/api/walks", json=new_walk(), token=True, within=PATIENCE_S),
    }

    def visit(kind: str) -> None:
        visitor = stack.visitor()
        while not over.wait(PAUSE_S):
            begun = clock()
            try:
                status = asks[kind](visitor).status_code
            except (requests.ConnectionError, requests.Timeout):
                status = 0
            seen[kind].statuses[status] += 1
            seen[kind].waits.append(clock() - begun)

    threads = [threading.Thread(target=visit, args=(kind,)) for kind in seen for _ in range(visitors)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join()
