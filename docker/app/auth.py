"""Reading is public; writing needs the token of the secret file `write_token`, the metrics that of `metrics_token`.

The file is read anew for each request that needs it, so a token that was written over in place counts at once; one
that was renamed into place counts after `./stack restart app`, for a mounted file stays the one it was. It is
compared in constant time and appears in no log.
"""

import hmac
from dataclasses import dataclass

from starlette.requests import Request

from .errors import Code, Problem
from .settings import Settings


@dataclass(frozen=True)
class Door:
    """What is locked, and the secret that opens it."""

    secret: str
    needs: str
    off: str  # what is said while there is no such secret


WRITING = Door(
    "write_token",
    "Writing needs a valid token: Authorization: Bearer <token>.",
    "Writing is switched off until the operator provides a write token.",
)
METRICS = Door(
    "metrics_token",
    "The metrics need a token of their own: Authorization: Bearer <token>.",
    "The metrics are switched off until the operator provides a metrics token.",
)


def require_token(request: Request, settings: Settings, door: Door) -> None:
    """Raise Problem unless the request carries this door's token as a bearer."""
    try:
        expected = (settings.secrets / door.secret).read_bytes().strip()
    except OSError as error:
        hint = f"`./stack up` makes secrets/{door.secret} and mounts it"
        raise Problem(Code.TOKEN_MISSING, door.off, detail=str(error), hint=hint) from None
    if not expected:
        hint = "write a long random token into it"
        raise Problem(Code.TOKEN_MISSING, door.off, detail=f"{door.secret} is empty", hint=hint)
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), expected):
        raise Problem(Code.UNAUTHORIZED, door.needs)
