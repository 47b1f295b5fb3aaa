"""Starts the site: `python3 -m app`."""

import gc
import logging
import os
import signal
import sys
from typing import NoReturn

import uvicorn  # type: ignore[import-not-found]  # Debian's; not among the host's packages

from .errors import BadSetting

PORT = 3000
BACKSTOP = 3600  # connections, below the 4,096 descriptors; the front answers long before that
FINISH_WITHIN_S = 20  # for what is in flight; the container has 25 s in all


def main() -> int:
    """Serve until told to stop; 0 after a clean stop."""
    os.umask(0o077)  # the database, its WAL, the uploads and the logs are nobody else's
    gc.disable()  # what is loaded stays: looking through it again and again takes a tenth of the start
    try:
        from .app import app, log
        from .logs import Bridge
    except BadSetting as error:
        print(f"error: {error}", file=sys.stderr)
        print("hint: correct it in docker/.env and run ./stack up again", file=sys.stderr)
        return 2
    gc.freeze()
    gc.enable()
    logging.getLogger().addHandler(Bridge(log))
    config = uvicorn.Config(
        app,
        host="0.0.0.0",  # noqa: S104 - the container's own network; the gate is the only one on it
        port=PORT,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips="*",  # only the gate reaches this port, and it writes the address it saw
        limit_concurrency=BACKSTOP,
        timeout_graceful_shutdown=FINISH_WITHIN_S,
    )
    # uvicorn ends by raising the signal it caught once more; told to stop and stopped is no failure
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, lambda *_: None)
    server = uvicorn.Server(config)
    server.run()
    return 0 if server.started else 1


def end(code: int) -> NoReturn:
    """End at once: everything is closed, and while the interpreter tidies up for 80 ms a deploy's visitors wait."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    end(main())
