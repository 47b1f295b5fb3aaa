"""test: build what the suite starts, then become pytest."""

import os
import sys
from collections.abc import Sequence

from ops.settings import CHECKOUT


def become_pytest(args: Sequence[str]) -> None:
    """Replace this process by pytest on the checkout. Its exit code is the verb's.

    The suite's stacks have settings of their own: those of the operator's shell are left out.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MONSITE_")}
    os.chdir(CHECKOUT)
    os.execve(sys.executable, [sys.executable, "-m", "pytest", *args], environment)
