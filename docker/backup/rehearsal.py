"""Let the site itself start on a database, in the service `drill`, which sees scratch/ and nothing else.

It proves that a snapshot is one that the site can live on, and brings an older schema to the site's own. The door
is a few files, each published by rename; docker/app/drill.py stands behind it. Whoever calls holds the lock of the
backups folder, so there is one rehearsal at a time.
"""

import json
import secrets
import shutil
import sqlite3
import stat
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import database
from .disk import expect_room
from .errors import Unanswered, Unrehearsed, writing
from .logs import Log
from .progress import Progress, Step
from .settings import DATABASE, Settings

_TAKEN_WITHIN_S = 10.0  # the loop behind the door turns five times a second; a restart of it takes longer
_SILENT_S = 10.0  # without a sign of life, which comes at least every other second
_GIVEN_UP_WITHIN_S = 3.0
_LOOK_S = 0.05
_ANSWER_BYTES = 64 * 1024
_NOTHING_CHANGED = "nothing was changed; `./stack logs drill` shows what it said"
_CUT_SHORT = "nothing was changed, and nothing is known of the snapshot: try again; `./stack logs drill` shows why"
_NOBODY = "`./stack up` starts the service drill, `./stack restart drill` one that stands still; nothing was changed"


@dataclass(frozen=True)
class Rehearsed:
    """A database on which the site has started and stopped."""

    schema: int  # the site's own version, which the database has now
    walks: int | None  # as the site counted them
    boot_s: float  # until the site was well
    raw: Path  # one file without a WAL, in scratch/ until clear()


class _Pulse:
    """Watches a file that somebody touches as long as they live."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = -1
        self._changed = time.monotonic()

    def silent_s(self) -> float:
        """Return for how long nobody has touched it; raises FileNotFoundError when it is gone."""
        touched = self._path.stat().st_mtime_ns
        if touched != self._seen:
            self._seen, self._changed = touched, time.monotonic()
        return time.monotonic() - self._changed


def rehearse(settings: Settings, raw: Path, log: Log, progress: Progress) -> Rehearsed:
    """Start and stop the site on a copy of `raw`; call clear() when the copy has served.

    Raises Unrehearsed when the site does not start on it or nobody answers, and leaves scratch/ empty then.
    """
    clear(settings)
    step = progress.begin("boot")
    given = settings.scratch / "data" / DATABASE
    asked = f"{log.run}-{secrets.token_hex(4)}"
    expect_room(settings.scratch, raw.stat().st_size + settings.floor_bytes, "starting the site on a copy")
    log.event("rehearsal-start", request=asked, bytes=raw.stat().st_size)
    try:
        with writing(str(given)):
            given.parent.mkdir(mode=0o700)
            shutil.copyfile(raw, given)
            _publish(settings.scratch / "request.json", {"id": asked, "asked": datetime.now(UTC).isoformat()})
        answer = _answer(settings.scratch, asked, step)
        if answer.get("outcome") != "success":
            if not answer.get("judged"):
                raise Unanswered(str(answer.get("error")), _CUT_SHORT)
            refused = Unrehearsed(f"the site does not start on it: {answer.get('error')}", _NOTHING_CHANGED)
            refused.known = {"drill_log": answer.get("log")}
            raise refused
        version = _settle(given)
        if version != answer["schema"]:
            raise Unrehearsed(
                f"the site says its schema is version {answer['schema']}, the database {version}", _NOTHING_CHANGED
            )
    except BaseException as failed:
        log.event("rehearsal-end", level="warning", request=asked, outcome="failure", error=str(failed))
        clear(settings)
        raise
    done = Rehearsed(version, answer["walks"], answer["boot_s"], given)
    log.event("rehearsal-end", request=asked, outcome="success", schema=version, walks=done.walks, boot_s=done.boot_s)
    return done


def clear(settings: Settings, hurried: Callable[[], bool] = lambda: False) -> None:
    """Take back what was asked, and remove the copy once nobody works on it.

    Whoever is in a hurry leaves the copy to the next call while somebody may still be at work on it.
    """
    scratch = settings.scratch
    with writing(str(scratch)):
        (scratch / "request.json").unlink(missing_ok=True)  # first: without it nobody begins anew
        if not _is_given_up(scratch / "taken.json", hurried):
            return
        (scratch / "answer.json").unlink(missing_ok=True)
        shutil.rmtree(scratch / "data", ignore_errors=True)


def _publish(path: Path, document: dict[str, str]) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(document), encoding="utf-8")
    part.rename(path)


def _answer(scratch: Path, asked: str, step: Step) -> dict[str, Any]:
    """Wait for the answer to this request, as long as somebody shows to be at work on it."""
    nobody = Unanswered("the service drill does not answer", _NOBODY)
    ends = time.monotonic() + _TAKEN_WITHIN_S
    pulse: _Pulse | None = None
    while (answer := _read(scratch / "answer.json")).get("id") != asked:
        step.reach(0)
        if pulse is None:
            if _read(scratch / "taken.json").get("id") == asked:
                pulse = _Pulse(scratch / "taken.json")
            elif time.monotonic() > ends:
                raise nobody
        else:
            try:
                silent = pulse.silent_s()
            except FileNotFoundError:  # done, and the answer stands there since; or it was given up
                if (answer := _read(scratch / "answer.json")).get("id") == asked:
                    return answer
                raise nobody from None
            if silent > _SILENT_S:
                raise Unanswered(f"the service drill began and shows no sign of life for {silent:.0f} s", _NOBODY)
        time.sleep(_LOOK_S)
    return answer


def _read(path: Path) -> dict[str, Any]:
    """Read what the other side published; what is not there, or no object, says nothing."""
    try:
        with path.open("rb") as file:
            value = json.loads(file.read(_ANSWER_BYTES))
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _settle(path: Path) -> int:
    """Fold everything into the one file; returns its schema version."""
    try:
        # The other side is not trusted with more than this file: it must not lead to another one of ours.
        if not (stat.S_ISDIR(path.parent.lstat().st_mode) and stat.S_ISREG(path.lstat().st_mode)):
            raise Unrehearsed(f"{path}: is no file any more", _NOTHING_CHANGED)
        with closing(database.connect(path, "rw")) as left:
            if left.execute("PRAGMA journal_mode=DELETE").fetchone() != ("delete",):
                raise Unrehearsed(f"{path}: the site still holds it", _NOTHING_CHANGED)
            return int(left.execute("PRAGMA user_version").fetchone()[0])
    except (sqlite3.Error, OSError) as wrong:
        raise Unrehearsed(f"{path}: the site left it unreadable: {wrong}", _NOTHING_CHANGED) from wrong


def _is_given_up(taken: Path, hurried: Callable[[], bool]) -> bool:
    """Wait for whoever still works on the request before; the dead are not waited for longer than need be."""
    pulse = _Pulse(taken)
    try:
        while pulse.silent_s() < _GIVEN_UP_WITHIN_S:
            if hurried():
                return False
            time.sleep(_LOOK_S)
    except FileNotFoundError:
        pass
    return True
