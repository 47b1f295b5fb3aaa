"""Visitors at once, as cheap as Python can have them: on two CPUs a heavy client would measure itself."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from fixtures.wait import clock

DEADLINE_S = 120
LENGTH = b"content-length:"


@dataclass(frozen=True)
class Burst:
    """What a number of visitors got."""

    statuses: dict[int, int]
    seconds: float
    waits: tuple[float, ...]  # of each request, ascending

    @property
    def per_second(self) -> float:
        """Answers in a second."""
        return len(self.waits) / self.seconds

    def percentile(self, share: float) -> float:
        """The wait that this share of the requests did not exceed."""
        return self.waits[min(len(self.waits) - 1, int(len(self.waits) * share))]


def read_for(url: str, path: str, *, visitors: int, seconds: float) -> Burst:
    """Let visitors read one address again and again until the time is over."""
    ends = clock() + seconds
    return asyncio.run(_burst(url, lambda _: _request("GET", url, path), visitors, lambda _: clock() < ends))


def post_each(url: str, path: str, token: str, *, visitors: int, times: int, body: Callable[[], bytes]) -> Burst:
    """Let each visitor write a number of times."""
    headers = f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    return asyncio.run(_burst(url, lambda _: _request("POST", url, path, headers, body()), visitors, times.__gt__))


def _request(method: str, url: str, path: str, headers: str = "", body: bytes = b"") -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n{headers}{length}\r\n".encode() + body


async def _burst(url: str, request: Callable[[int], bytes], visitors: int, more: Callable[[int], bool]) -> Burst:
    address = urlsplit(url)
    statuses: Counter[int] = Counter()
    waits: list[float] = []

    async def visit() -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        done = 0
        while more(done):
            begun = clock()
            writer.write(request(done))
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            at = head.index(LENGTH) + len(LENGTH)
            await reader.readexactly(int(head[at : head.index(b"\r\n", at)]))
            statuses[int(head.split(None, 2)[1])] += 1
            waits.append(clock() - begun)
            done += 1
        writer.close()
        await writer.wait_closed()

    begun = clock()
    async with asyncio.timeout(DEADLINE_S):
        await asyncio.gather(*(visit() for _ in range(visitors)))
    return Burst(dict(statuses), clock() - begun, tuple(sorted(waits)))
