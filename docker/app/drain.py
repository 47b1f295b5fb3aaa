"""The deployer's hand inside the container: `python3 -S -m app.drain on DEPLOY SECONDS | off | look | session`.

`on` and `off` set the flag; `look` says in one JSON line what a stop would cut off: requests being served, what waits
to be taken, and bytes of answers that the kernel still holds for slow readers, which end with the container's network.
`session` does the same for each line that comes on stdin: Python starts once, for visitors wait meanwhile.
"""

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from . import flag
from .flag import Damaged
from .probe import PORT, RECORD, ask

STATE = RECORD.parent
TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
LISTENING = "0A"
ANSWER_WITHIN_S = 2.0
LIFE = f"SECONDS: above 0, at most {flag.LONGEST.total_seconds():.0f}"
USAGE = f"usage: python3 -S -m app.drain on DEPLOY SECONDS | off | look | session\n{LIFE}"


class NotUnderstood(Exception):  # noqa: N818 - read where it is raised, the name says enough
    """These are no words of this door."""


class Unseen(Exception):  # noqa: N818 - read where it is raised, the name says enough
    """The site did not say what it is serving."""


def main(argv: Sequence[str]) -> int:
    """Do what is asked; 0 done, 1 not done with the reason on stderr, 2 not understood."""
    if list(argv) == ["session"]:
        return session()
    try:
        _say(do(argv))
    except NotUnderstood:
        print(USAGE, file=sys.stderr)
        return 2
    except (Damaged, OSError, Unseen) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def session() -> int:
    """Answer each line with one of JSON, which names an error where there was one; end when nobody asks any more."""
    for line in sys.stdin:
        try:
            _say(do(line.split()))
        except NotUnderstood:
            _say({"error": f"not understood: {line.strip()[:80]!r}"})
        except (Damaged, OSError, Unseen) as error:
            _say({"error": str(error)})
    return 0


def do(words: Sequence[str]) -> dict[str, Any]:
    """Do one thing, and return what is to be said of it. Raises NotUnderstood, Damaged, Unseen, OSError."""
    match words:
        case ["on", deploy, seconds] if flag.names_deploy(deploy) and _is_a_life(seconds):
            raised = flag.raise_flag(STATE, deploy, float(seconds))
            return {"draining": True, "deploy": deploy, "until": raised.until.isoformat(timespec="milliseconds")}
        case ["off"]:
            flag.lower_flag(STATE)
            return {"draining": False}
        case ["look"]:
            return look()
    raise NotUnderstood


def look() -> dict[str, Any]:
    """Return what is in flight, what is unsent, and where flag and mark stand."""
    answer = ask("/api/traffic", ANSWER_WITHIN_S)
    if answer is None or answer[0] != 200:
        raise Unseen(f"/api/traffic answered {answer or f'nothing within {ANSWER_WITHIN_S} s'}")
    mark = flag.read_mark(STATE)
    tables = _tables()
    return {
        **json.loads(answer[1]),
        "unsent_bytes": sum(unsent(table) for table in tables),
        "unread": sum(unread(table) for table in tables),
        "draining": _stands(),
        "opened": None if mark is None else mark._asdict(),
    }


def unsent(table: str) -> int:
    """Sum, in one of the kernel's tables of connections, the bytes that peers of the site have not acknowledged."""
    return sum(sent for sent, _ in _queues(table, listening=False))


def unread(table: str) -> int:
    """Sum what the site has yet to take: connections that wait to be accepted, and bytes that wait to be read."""
    return sum(come for listening in (True, False) for _, come in _queues(table, listening=listening))


def _queues(table: str, *, listening: bool) -> Iterator[tuple[int, int]]:
    """Yield what waits to be sent and to be taken, of the sockets of the site's port."""
    for row in table.splitlines()[1:]:
        _, local, _, state, queues, *_ = row.split()
        if local.endswith(f":{PORT:04X}") and (state == LISTENING) is listening:
            sent, _, come = queues.partition(":")
            yield int(sent, 16), int(come, 16)


def _tables() -> list[str]:
    found = [TABLES[0].read_text()]
    with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
        found.append(TABLES[1].read_text())
    return found


def _stands() -> bool:
    """Tell whether the flag counts, as the site sees it: a damaged one does not."""
    try:
        seen = flag.read(STATE)
    except Damaged as damaged:
        print(f"warning: {damaged}", file=sys.stderr)
        return False
    return seen is not None and seen.stands()


def _is_a_life(text: str) -> bool:
    try:
        return 0 < float(text) <= flag.LONGEST.total_seconds()
    except ValueError:
        return False


def _say(told: dict[str, Any]) -> None:
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
