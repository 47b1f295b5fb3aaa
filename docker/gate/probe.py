"""The gate's health check: does Caddy itself answer.

Whether an app stands behind it is the app's own health; a gate that is told to be sick with the app
would hide which of the two needs help. Runs on a minimal Python, hence plain sockets.
"""

import socket
import sys

ADDRESS = ("127.0.0.1", 3000)
QUESTION = b"GET /gate/live HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n"
DEADLINE_S = 2.0


def main() -> int:
    """Return 0 when the gate answers 200 in time, 1 with a reason on stdout when not."""
    try:
        with socket.create_connection(ADDRESS, timeout=DEADLINE_S) as line:
            line.sendall(QUESTION)
            answer = line.recv(64)
    except OSError as error:
        print(f"the gate does not answer on {ADDRESS[0]}:{ADDRESS[1]}: {error}")
        return 1
    if answer.startswith(b"HTTP/1.1 200 "):
        return 0
    print(f"the gate answers {answer[:32]!r}, not 200")
    return 1


if __name__ == "__main__":
    sys.exit(main())
