"""What reports and their tests need from the system's archive: ssh-keygen, a browser, a reader of what it prints."""

import os
import shutil
from pathlib import Path

from ops.engine import install_packages
from ops.ui import Ui

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
READER = "pdftotext"
PROGRAMS = {READER: "poppler-utils", "ssh-keygen": "openssh-client"}


def ensure(ui: Ui) -> None:
    """Install what is missing where we may; where not, the tests that need it say what to type."""
    missing = [] if any(map(shutil.which, BROWSERS)) else ["chromium"]
    missing += [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    if missing and os.geteuid() == 0 and Path("/etc/debian_version").is_file():
        with ui.step(f"Install {' and '.join(missing)} from the system's archive"):
            install_packages(*missing)
