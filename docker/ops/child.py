"""A command that this one becomes the parent of, to its end."""

import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

PR_SET_PDEATHSIG = 1  # of linux/prctl.h
_LIBC = ctypes.CDLL(None)  # loaded here: between fork and exec nothing may be


def run(argv: Sequence[str], environment: Mapping[str, str], out: int | None, folder: Path) -> int:
    """Run it to its end; Ctrl-C reaches both of us, and it is the child that ends orderly and says so.

    However this process ends, SIGKILL included, the child is ended too.
    """
    parent = os.getpid()
    child: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if child is not None and number != signal.SIGINT:
            child.send_signal(number)

    def die_with_parent() -> None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before that was said
            os._exit(1)

    # a handler, not SIG_IGN, which the child would inherit
    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        child = subprocess.Popen(argv, cwd=folder, env=environment, stdout=out, preexec_fn=die_with_parent)
        return child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
