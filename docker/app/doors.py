"""Whether the site takes traffic: not while a deploy's flag stands, and a new life not before it has said so.

A site that finds the flag as it starts is *closed*: it gives and takes no walk, so that the deployer may still put the
former data back. It opens when the flag is lowered or has run out, and leaves its mark first: what was served
afterwards can be told from what was not by a file, and never by a clock.
"""

import asyncio
import time

from . import flag
from .flag import Damaged, Flag
from .logs import Log
from .settings import Settings

LOOK_EVERY_S = 0.05
RETRY_AFTER = {"retry-after": "2"}


class Doors:
    """Open, or closed since the start."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self._settings = settings
        self._log = log
        self._told: set[str] = set()  # trouble is said once, not at every look
        self._looked_at = time.monotonic()
        self._flag = self._look()
        self._stands = self._flag is not None
        self.closed = self._stands  # also under a flag that has run out: there is a mark to leave
        self._opened = asyncio.Event()
        if self._flag is None:
            self._opened.set()
        else:
            log.info("closed", deploy=self._flag.deploy, until=self._flag.until.isoformat())

    def draining(self) -> bool:
        """Tell whether new traffic is to wait; a closed site opens here when nothing holds it any longer."""
        now = time.monotonic()
        if now - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now
            seen = self._look()
            self._flag = seen or (self._flag if self.closed else None)
            self._stands = seen is not None and seen.stands()
            if self.closed and not self._stands:
                self._open()
        return self.closed or self._stands

    async def wait_until_open(self) -> None:
        """Return once the site serves: what a former version could still need must not be cleared before."""
        await self._opened.wait()

    def _look(self) -> Flag | None:
        try:
            return flag.read(self._settings.state)
        except Damaged as damaged:
            self._complain("flag_ignored", str(damaged), "remove the file; the site serves as if there were none")
            return None

    def _open(self) -> None:
        """Leave the mark, then open; a site that cannot leave it must not acknowledge a write."""
        if self._flag is None:
            return
        try:
            mark = flag.leave_mark(self._settings.state, self._flag.deploy, self._settings.version)
        except OSError as error:
            self._complain("mark_not_left", str(error), "let uid 1001 own state/app and give it space; then it opens")
            return
        self.closed = False
        self._opened.set()
        self._log.info("opened", deploy=mark.deploy)

    def _complain(self, event: str, detail: str, hint: str) -> None:
        if detail not in self._told:
            self._told.add(detail)
            self._log.error(event, detail=detail, hint=hint)
