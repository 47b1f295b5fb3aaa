"""What the tests of the reports need from the system's archive: a browser, and a reader of what it prints."""

import os
import shutil
from pathlib import Path

from ops.engine import install_packages
from ops.ui import Ui

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
READER = "pdftotext"


def ensure(ui: Ui) -> None:
    """Install what is missing where we may; where not, the tests that need it say what to type."""
    missing = [] if any(map(shutil.which, BROWSERS)) else ["chromium"]
    missing += [] if shutil.which(READER) else ["poppler-utils"]
    if missing and os.geteuid() == 0 and Path("/etc/debian_version").is_file():
        with ui.step(f"Install {' and '.join(missing)} from the system's archive"):
            install_packages(*missing)
