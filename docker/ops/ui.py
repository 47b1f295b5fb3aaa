"""What a person sees while a verb works: steps with their duration on stderr, results on stdout."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape

from ops.errors import StackError


@dataclass
class Step:
    """A step under way; whoever takes it may say that it did not go well."""

    well: bool = True


@dataclass
class Ui:
    """How loud to be. `as_json` keeps stdout for one JSON document."""

    quiet: bool = False
    as_json: bool = False
    out: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))
    err: Console = field(default_factory=lambda: Console(stderr=True, highlight=False, soft_wrap=True))

    @contextmanager
    def step(self, what: str) -> Iterator["Step"]:
        """Show that `what` is under way, then how it ended and how long it took. Nothing when quiet."""
        step = Step()
        if self.quiet:
            yield step
            return
        begun = time.monotonic()
        with self.err.status(escape(what)):
            yield step
        mark = "[green]✓[/]" if step.well else "[red]✗[/]"
        self.err.print(f"{mark} {escape(what)}, {time.monotonic() - begun:.1f} s")

    def say(self, text: str) -> None:
        """Print a line of the result for people; left out when JSON was asked for."""
        if not self.as_json and not self.quiet:
            self.out.print(text)

    def emit(self, document: dict[str, Any]) -> None:
        """Print the result for machines, if that was asked for."""
        if self.as_json:
            sys.stdout.write(json.dumps(document, ensure_ascii=False, sort_keys=True) + "\n")

    def fail(self, error: StackError) -> None:
        """Say what went wrong and the next step, on stderr; as JSON too when that was asked for."""
        self.err.print(f"[red]error:[/] {escape(error.message)}")
        self.err.print(f"[yellow]hint:[/] {escape(error.hint)}")
        self.emit({"error": error.message, "hint": error.hint, "code": error.code})
