"""`python3 -m backup <verb>`: the schedule of the container, its health check, and the commands."""

import os
import sys

from .cli import main

os.umask(0o077)  # whatever is made here is nobody else's to read
sys.exit(main(sys.argv[1:]))
