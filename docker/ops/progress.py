"""What the keeper tells of a step under way, and the bar that a person sees of it."""

import json
import time
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.status import Status

BAR_AFTER_S = 1.0  # a step that is done sooner needs none
PHASES = {
    "copy": "copy the database",
    "check": "check the copy",
    "compress": "compress it",
    "prove": "read it back and compare",
    "read": "read every byte",
    "unpack": "unpack it",
    "boot": "start the site on it",
    "save": "save what is there",
    "exchange": "exchange the database",
}


@dataclass(frozen=True)
class Heard:
    """One line of the keeper's `--progress`."""

    phase: str
    done: int  # bytes
    total: int | None  # bytes; None when nobody knows

    @classmethod
    def parse(cls, line: str) -> "Heard | None":
        """Read a line of the keeper's stderr; None when it is no progress."""
        try:
            told = json.loads(line)["progress"]
            return cls(str(told["phase"]), int(told["done"]), None if told["total"] is None else int(told["total"]))
        except (ValueError, KeyError, TypeError):
            return None


class Display:
    """A spinner for a step; a bar in its place once the step has lasted and something is known of it."""

    def __init__(self, what: str, console: Console) -> None:
        self._what = what
        self._begun = time.monotonic()
        self._console = console
        self._status = Status(escape(what), console=console)
        self._bar: Progress | None = None

    def __enter__(self) -> "Display":
        self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()
        if self._bar:
            self._bar.stop()

    @property
    def wanted(self) -> bool:
        """Whether anybody would see a bar."""
        return self._console.is_terminal

    def hear(self, heard: Heard) -> None:
        """Show how far the step has come."""
        if time.monotonic() - self._begun < BAR_AFTER_S:
            return
        if self._bar is None:
            self._status.stop()
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                DownloadColumn(binary_units=True),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            )
            self._bar.add_task("")
            self._bar.start()
        (task,) = self._bar.tasks
        text = f"{escape(self._what)}: {PHASES.get(heard.phase, heard.phase)}"
        self._bar.update(task.id, description=text, completed=heard.done, total=heard.total)
