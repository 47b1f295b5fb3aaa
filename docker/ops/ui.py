"""What a person sees while a verb works: steps with their duration on stderr, results on stdout."""

import io
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from rich.console import Console, RenderableType
from rich.markup import escape

from ops.errors import DeployError, StackError
from ops.progress import Display


class _Paper(Console):
    """A console whose reader may leave early, as `head` does: that is no failure of what was done."""

    def on_broken_pipe(self) -> None:
        """Write on into nothing; the exit code stays that of the verb."""
        discard(self.file)


class _Words(_Paper):
    """A console for what is said beside the result: one that takes no more words ends nothing that is under way."""

    def print(self, *objects: Any, **how: Any) -> None:
        """Say it, or go on without."""
        try:
            super().print(*objects, **how)
        except OSError:
            discard(self.file)


@dataclass
class Step:
    """A step under way; whoever takes it may say that it did not go well."""

    well: bool = True
    display: Display | None = None  # None when nothing is to be shown


@dataclass
class Ui:
    """How loud to be. `as_json` keeps stdout for one JSON document."""

    quiet: bool = False
    as_json: bool = False
    out: Console = field(default_factory=lambda: _Paper(highlight=False, soft_wrap=True))
    err: Console = field(default_factory=lambda: _Words(stderr=True, highlight=False, soft_wrap=True))

    @contextmanager
    def step(self, what: str) -> Iterator[Step]:
        """Show that `what` is under way, then how it ended and how long it took. Nothing when quiet."""
        if self.quiet:
            yield Step()
            return
        begun = time.monotonic()
        with Display(what, self.err) as display:
            step = Step(display=display)
            yield step
        mark = "[green]✓[/]" if step.well else "[red]✗[/]"
        self.err.print(f"{mark} {escape(what)}, {time.monotonic() - begun:.1f} s")

    def say(self, *lines: RenderableType) -> None:
        """Print lines of the result for people; left out when JSON was asked for."""
        if not self.as_json and not self.quiet:
            for line in lines:
                self.out.print(line)

    def warn(self, text: str) -> None:
        """Say on stderr what a person must know although the verb goes on."""
        self.err.print(f"[yellow]{escape(text)}[/]")

    def warn_of(self, document: dict[str, Any]) -> None:
        """Say what the keeper's answer warns of; it is well-worded there, and stands in the JSON too."""
        for warning in document.get("warnings") or ():
            self.warn(f"warning: {warning}")

    def relay(self, words: str, code: int) -> None:
        """Pass an error on that another command has put into words."""
        sys.stderr.write(words)
        told = dict(line.split(": ", 1) for line in words.splitlines() if line.startswith(("error: ", "hint: ")))
        self.emit({"outcome": "failure", "code": code, "error": told.get("error"), "hint": told.get("hint")})

    def emit(self, document: dict[str, Any]) -> None:
        """Print the result for machines, if that was asked for."""
        if self.as_json:
            try:
                sys.stdout.write(json.dumps(document, sort_keys=True) + "\n")
                sys.stdout.flush()
            except BrokenPipeError:
                discard(sys.stdout)

    def complain(self, error: StackError) -> None:
        """Say what went wrong and the next step, on stderr."""
        self.err.print(f"[red]error:[/] {escape(error.message)}")
        self.err.print(f"[yellow]hint:[/] {escape(error.hint)}")

    def fail(self, error: StackError) -> None:
        """Say what went wrong and the next step, on stderr; as JSON too when that was asked for."""
        self.complain(error)
        known = error.document if isinstance(error, DeployError) else {}
        self.emit({**known, "error": error.message, "hint": error.hint, "code": error.code})


def show_any_text() -> None:
    """Put a question mark for what the terminal's encoding lacks, rather than end on it."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started this
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  # to the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def discard(stream: IO[str]) -> None:
    """Let whatever is still to be written to a stream go nowhere."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, stream.fileno())
    os.close(nothing)
