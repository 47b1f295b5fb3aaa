"""What must come to its end once it was begun, whatever the terminal says meanwhile."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ops.ui import Ui

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class Interruption:
    """Whether somebody asked to stop."""

    came: bool = False


@contextmanager
def to_the_end(ui: Ui, what: str) -> Iterator[Interruption]:
    """Let Ctrl-C, a TERM and a lost terminal wait until `what` is done.

    Between stopping the app and starting it again nobody else would bring the site back.
    """
    interruption = Interruption()

    def note(number: int, _: object) -> None:
        interruption.came = True
        if number == signal.SIGHUP:  # the terminal is gone: what is printed must not end us
            nothing = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(nothing, descriptor)
        else:
            ui.warn(f"{what} is brought to its end first, so that nothing stays half-done; then this ends.")

    former = {number: signal.signal(number, note) for number in _SIGNALS}
    try:
        yield interruption
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
