"""A command that this one becomes the parent of, to its end."""

import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType


def run(argv: Sequence[str], environment: Mapping[str, str], out: int | None, folder: Path) -> int:
    """Run it to its end; Ctrl-C reaches both of us, and it is the child that ends orderly and says so."""
    child: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if child is not None and number != signal.SIGINT:
            child.send_signal(number)

    # a handler, not SIG_IGN, which the child would inherit
    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        child = subprocess.Popen(argv, cwd=folder, env=environment, stdout=out)
        return child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
