"""Who gives the command: the user, and who used sudo to become it."""

import getpass
import os


def actor() -> str:
    """Return a name for the history; nobody has to prove it."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a number of no user, as in some containers
        user = "unknown"
    beside = [f"uid {os.getuid()}", *(f"by sudo of {sudo}" for sudo in [os.environ.get("SUDO_USER")] if sudo)]
    return f"{user} ({', '.join(beside)})"
