"""Asked of a candidate from within its own container, where it has no network: this file's text is run there.

The image's own probe might say anything; these are our questions. One JSON line says what came of them.
"""

import http.client
import json
import sqlite3
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

PORT = 3000
TOKEN = Path("/run/secrets/write_token")
COUNTERS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")  # cgroup 2, cgroup 1
PASSES = "database_locked"  # said while a long migration is still under way
SICK_FOR_S = 1.5  # an answer is kept for a second: this is another look
WALK = {"title": "A candidate's first walk", "region": "Nowhere", "difficulty": "easy"} | {
    "distance_km": 1.0,
    "duration_min": 1,
    "ascent_m": 0,
}


def ask(method: str, path: str, body: str = "", **headers: str) -> tuple[int, str]:
    """Ask once; 0 where no answer came."""
    line = http.client.HTTPConnection("127.0.0.1", PORT, timeout=2.0)
    with closing(line):
        try:
            line.request(method, path, body or None, {**headers})
            answer = line.getresponse()
            return answer.status, answer.read(65536).decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            return 0, f"no answer ({error or type(error).__name__})"


def until_well(ends: float) -> dict[str, object]:
    """Wait for the health of a site that starts; one that is sick and stays so is not waited for."""
    sick_since: float | None = None
    seen = "no answer from /api/health"
    while time.monotonic() < ends:
        status, body = ask("GET", "/api/health")
        if status == 200:
            with suppress(ValueError):
                return dict(json.loads(body))
            raise Refused(f"/api/health answered no JSON: {body[:200]!r}")
        if status:
            seen = f"/api/health answered {status} {body[:200]}"
            if PASSES in body:
                sick_since = None
            else:
                sick_since = sick_since or time.monotonic()
                if time.monotonic() - sick_since > SICK_FOR_S:
                    raise Refused(seen)
        time.sleep(0.05)
    raise Refused(f"it was not well in time: {seen}")


class Refused(Exception):  # noqa: N818 - the name says what is the case
    """What speaks against it."""


def judge(database: str, within_s: float) -> dict[str, object]:
    """Health, schema, a write and its reading."""
    health = until_well(time.monotonic() + within_s)
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=2.0)) as opened:
        schema = int(opened.execute("PRAGMA user_version").fetchone()[0])
    if health.get("schema") != schema:
        raise Refused(f"it says its schema is version {health.get('schema')}, its database has {schema}")
    token = TOKEN.read_text(encoding="ascii").strip()
    sent = json.dumps(WALK)
    allowed = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    status, body = ask("POST", "/api/walks", sent, **allowed)
    if status != 201:
        raise Refused(f"it calls itself well and refuses a write: {status} {body[:200]}")
    status, read = ask("GET", f"/api/walks/{json.loads(body)['id']}")
    if status != 200 or json.loads(read).get("title") != WALK["title"]:
        raise Refused(f"what was written cannot be read: {status} {read[:200]}")
    return {"schema": schema, "version": health.get("version")}


def killed_for_memory() -> int:
    """How many processes of this container the kernel killed."""
    for path in COUNTERS:
        with suppress(OSError):
            told = dict(line.split()[:2] for line in Path(path).read_text().splitlines() if len(line.split()) > 1)
            return int(told.get("oom_kill", 0))
    return 0


def main() -> int:
    """Ask, and answer."""
    answer: dict[str, object] = {"error": None}
    try:
        answer |= judge(sys.argv[1], float(sys.argv[2]))
    except (Refused, OSError, ValueError, KeyError, TypeError, sqlite3.Error) as error:
        answer["error"] = str(error) or type(error).__name__
    answer["oom_kills"] = killed_for_memory()
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
