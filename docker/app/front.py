"""What every request passes first and every answer last: an id, the headers, the access line, the net.

Plain ASGI, because it runs for each request. Nothing that goes wrong inside gets past it: the visitor
sees an id, the log has the stack under the same id.
"""

import asyncio
import contextlib
import secrets
import time

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import doors, failures
from .doors import Doors
from .errors import Code
from .logs import Log, request_id
from .traffic import Traffic

IN_FLIGHT = 1800  # answered at once beyond that; each takes a descriptor, and there are 4,096
PATH_LENGTH = 200
HEALTH_PATHS = frozenset(("/api/live", "/api/ready", "/api/health"))
QUESTIONS = HEALTH_PATHS | {"/api/traffic"}  # answered by a closed site too, and no traffic themselves
STEADY = ("/status", "/api/metrics", "/static/")  # answered by a closed site too: nothing of a walk is in them
CLIENT_LEFT = 499
HEAR_OUT_BYTES = 64 * 1024 * 1024  # what the gate lets through
HEAR_OUT_S = 10

PAGE_POLICY = (
    b"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
DATA_POLICY = b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)


class Front:
    """The outermost layer of the site."""

    def __init__(self, app: ASGIApp, log: Log, doors: Doors, traffic: Traffic) -> None:
        self._app = app
        self._log = log
        self._doors = doors
        self._traffic = traffic
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        passage = Passage(self._log, scope, receive, send)
        if scope["path"] in QUESTIONS:
            await passage.run(self._guarded)
            return
        self._traffic.enter(passage)
        try:
            await passage.run(self._served)
        finally:
            self._traffic.leave(passage, scope["method"], passage.status)

    async def _served(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._doors.closed and not scope["path"].startswith(STEADY) and self._doors.draining():
            await failures.answer(scope, Code.CLOSED, headers=doors.RETRY_AFTER)(scope, receive, send)
            return
        await self._guarded(scope, receive, send)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._in_flight >= IN_FLIGHT:
            await failures.answer(scope, Code.OVERLOADED, headers=doors.RETRY_AFTER)(scope, receive, send)
            return
        self._in_flight += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._in_flight -= 1


class Passage:
    """One request on its way through."""

    def __init__(self, log: Log, scope: Scope, receive: Receive, send: Send) -> None:
        self._log = log
        self._scope = scope
        self._receive = receive
        self._send = send
        self._body_to_come = scope["method"] not in ("GET", "HEAD")
        self._id = secrets.token_hex(8)  # always ours: an id from outside could claim another's log lines
        self._status = 0
        self._bytes = 0

    @property
    def status(self) -> int:
        """What was answered; 0 where nothing was."""
        return self._status

    async def run(self, app: ASGIApp) -> None:
        """Pass the request in, whatever comes of it out, and leave one line."""
        request_id.set(self._id)
        began = time.perf_counter()
        method = self._scope["method"]
        if method not in ("GET", "HEAD"):  # a write that never ends must have left a trace
            self._log.access("request_started", **self._who())
        # the pages know GET alone; the server leaves out the body of what was asked by HEAD
        scope = {**self._scope, "method": "GET"} if method == "HEAD" else self._scope
        try:
            await app(scope, self._ask, self._answer)
        except ClientDisconnect:
            self._status = CLIENT_LEFT
        except Exception as error:
            self._log.error("unexpected", error, **self._who())
            if self._status == 0:
                await failures.answer(scope, Code.INTERNAL)(scope, self._ask, self._answer)
        finally:
            note = self._log.debug if self._scope["path"] in HEALTH_PATHS else self._log.access
            duration = round((time.perf_counter() - began) * 1000, 1)
            note("request", **self._who(), status=self._status, bytes=self._bytes, ms=duration)

    async def _ask(self) -> Message:
        message = await self._receive()
        self._body_to_come = message["type"] == "http.request" and message.get("more_body", False)
        return message

    async def _answer(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._dress(message)
            if self._body_to_come:
                await self._hear_out()
        elif message["type"] == "http.response.body":
            self._bytes += len(message.get("body", b""))
        await self._send(message)

    async def _hear_out(self) -> None:
        """Read and drop the rest of a body that was refused, within bounds.

        The connection closes behind the answer; closed upon a gate that is still sending, it would be reset,
        and the visitor would read of a bad gateway instead of the reason.
        """
        dropped = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEAR_OUT_S):
                while self._body_to_come and dropped < HEAR_OUT_BYTES:
                    dropped += len((await self._ask()).get("body", b""))

    def _dress(self, message: Message) -> None:
        headers: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
        present = dict(headers)
        if b"content-security-policy" not in present:
            page = present.get(b"content-type", b"").startswith(b"text/html")
            headers.append((b"content-security-policy", PAGE_POLICY if page else DATA_POLICY))
        if b"cache-control" not in present:
            headers.append((b"cache-control", b"no-store" if self._status >= 400 else b"no-cache"))
        headers.extend(ALWAYS)
        headers.append((b"x-request-id", self._id.encode()))
        message["headers"] = headers

    def _who(self) -> dict[str, str]:
        """Name the request by method, path and address; the query stays out, it is the visitor's own."""
        client = self._scope.get("client")
        return {
            "method": self._scope["method"],
            "path": self._scope["path"][:PATH_LENGTH],
            "client": client[0] if client else "",
        }
