"""`python -m ops`, which ./stack becomes once its environment stands."""

import os
import signal
from types import FrameType


def _leave(_number: int, _frame: FrameType | None) -> None:
    os._exit(130)  # what shells report for Ctrl-C; nothing has been begun that would have to be ended


# Python takes half a second to load what the launcher needs: until then Ctrl-C would show its insides.
handler = signal.getsignal(signal.SIGINT)
if handler is not signal.SIG_IGN:
    signal.signal(signal.SIGINT, _leave)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])  # ./stack held it back over its exec

from ops.cli import main  # noqa: E402  # only now can Ctrl-C come

signal.signal(signal.SIGINT, handler)
main()
