"""What every step of one command needs at hand."""

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .logs import Log
from .progress import Progress
from .repository import Repository
from .settings import Settings


@dataclass(frozen=True)
class Work:
    """One command at work: on which folders, when it began, and whom it tells."""

    settings: Settings
    repository: Repository
    now: datetime  # when it began; --at pretends another time
    log: Log
    progress: Progress
    began: float = field(default_factory=time.monotonic)

    def elapsed(self) -> float:
        """Return the seconds since it began."""
        return round(time.monotonic() - self.began, 3)

    def moment(self) -> datetime:
        """Return the time by now, on the clock that `now` is of."""
        return self.now + timedelta(seconds=time.monotonic() - self.began)
