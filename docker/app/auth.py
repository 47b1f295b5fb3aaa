"""Reading is public; writing needs the token of the secret file `write_token`.

The file is read anew for each write, so a token that was written over in place counts at once; one that was
renamed into place counts after `./stack restart app`, for a mounted file stays the one it was. It is
compared in constant time and appears in no log.
"""

import hmac

from starlette.requests import Request

from .errors import Code, Problem
from .settings import Settings


def require_token(request: Request, settings: Settings) -> None:
    """Raise Problem unless the request carries the write token as a bearer."""
    try:
        expected = (settings.secrets / "write_token").read_bytes().strip()
    except OSError as error:
        raise Problem(
            Code.TOKEN_MISSING, detail=str(error), hint="`./stack up` makes secrets/write_token and mounts it"
        ) from None
    if not expected:
        raise Problem(Code.TOKEN_MISSING, detail="write_token is empty", hint="write a long random token into it")
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), expected):
        raise Problem(Code.UNAUTHORIZED, "Writing needs a valid token: Authorization: Bearer <token>.")
