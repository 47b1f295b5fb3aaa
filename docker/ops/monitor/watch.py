"""Look again and again: a terminal is redrawn, anything else gets one report after the other."""

import sys
import time
from collections.abc import Callable

from rich.console import RenderableType

from ops.errors import Exit
from ops.ui import Ui

_HOME, _REST_OF_LINE, _REST = "\x1b[H", "\x1b[K", "\x1b[J"


class Leaves(Exception):  # noqa: N818  # says what happened
    """Whoever read along has gone."""


def run(once: Callable[[], int], every_s: float) -> int:
    """Call `once` until Ctrl-C, which ends it with 130, or until nobody reads any more, with its last code."""
    code = 0
    try:
        while True:
            begun = time.monotonic()
            code = once()
            time.sleep(max(0.0, begun + every_s - time.monotonic()))
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except Leaves:
        return code


def show(ui: Ui, view: RenderableType) -> None:
    """Put a report where the last one was; where that cannot be done, below it. Raises Leaves without a reader."""
    with ui.out.capture() as drawn:
        ui.out.print(view, soft_wrap=False)
    text = drawn.get()
    if sys.stdout.isatty():
        text = _HOME + text.replace("\n", f"{_REST_OF_LINE}\n") + _REST
    else:
        text += "\n"
    put(text)


def put(text: str) -> None:
    """Write it out whole. Raises Leaves without a reader."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise Leaves from None
