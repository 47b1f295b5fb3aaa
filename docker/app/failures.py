"""How a request ends that could not be served: JSON under /api/, a page elsewhere, an id in both."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from . import pages
from .errors import PUBLIC_MESSAGE, STATUS, Code, Problem
from .logs import Log, request_id
from .models import Failure

NOT_FOUND = "There is nothing at this address."


def answer(scope: Scope, code: Code, message: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """Make the answer to a request that failed."""
    text = message or PUBLIC_MESSAGE[code]
    status = STATUS[code]
    if code is Code.UNAUTHORIZED:
        headers = {"WWW-Authenticate": 'Bearer realm="balades"', **(headers or {})}
    if scope["path"].startswith("/api/"):
        return pages.as_json(Failure(code.value, text, request_id.get()), status, headers)
    return pages.page("error.html", status, headers, status=status, message=text, request=request_id.get())


class Handlers:
    """What FastAPI calls for the errors it knows."""

    def __init__(self, log: Log) -> None:
        self._log = log

    async def problem(self, request: Request, error: Exception) -> Response:
        """Answer one of our own."""
        if not isinstance(error, Problem):
            raise error
        if error.status >= 500:
            self._log.error(
                "request_failed",
                error=error.code.value,
                method=request.method,
                path=request.url.path[:200],
                detail=error.detail,
                hint=error.hint,
            )
        return answer(request.scope, error.code, error.message)

    async def http(self, request: Request, error: Exception) -> Response:
        """Answer what the router refused."""
        if not isinstance(error, HTTPException):
            raise error
        if error.status_code == 405:
            allowed = ", ".join(_allowed(request))
            return answer(request.scope, Code.METHOD_NOT_ALLOWED, f"This address takes {allowed}.", {"Allow": allowed})
        if error.status_code == 404:
            return answer(request.scope, Code.NOT_FOUND, NOT_FOUND)
        return answer(request.scope, Code.INVALID_REQUEST, "The request cannot be understood.")

    async def invalid(self, request: Request, error: Exception) -> Response:
        """Answer values that do not fit; an id that can be none is simply not found."""
        if not isinstance(error, RequestValidationError):
            raise error
        found = error.errors()
        if any(one["loc"][0] == "path" for one in found):
            return answer(request.scope, Code.NOT_FOUND, NOT_FOUND)
        return answer(request.scope, Code.INVALID_REQUEST, said(found))


def _allowed(request: Request) -> list[str]:
    """Return every method this address takes; the router itself stops at the first route it finds."""
    found: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return sorted(found | {"HEAD"} if "GET" in found else found)


def said(found: Sequence[Any]) -> str:
    """Say in a sentence which fields do not fit and why, without repeating what was sent."""
    parts = []
    for one in found[:10]:
        name = ".".join(str(step) for step in one["loc"] if step != "query")
        parts.append(f"{name or 'body'}: {one['msg'].removeprefix('Value error, ')}")
    return "; ".join(parts)
