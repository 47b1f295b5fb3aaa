"""How a switch ends: what goes with the app follows it, the records say what runs, the history has its line."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ops import container, files, history, journal, keeper, release, releases, running
from ops.compose import Compose
from ops.errors import Ending, StackError
from ops.journal import Entry
from ops.release import Release
from ops.settings import Settings

FOLLOW = ("backup", "drill")
SWITCHES = ("deploy", "rollback")


def line(entry: Entry, outcome: str, code: int, detail: str = "") -> dict[str, Any]:
    """Put it into the words of the history."""
    ended = datetime.now(UTC)
    return {
        "verb": entry.verb,
        "id": entry.id,
        "actor": entry.actor,
        "began": entry.began,
        "ended": ended.isoformat(timespec="milliseconds"),
        "from": entry.from_,
        "to": entry.to,
        "snapshot": entry.snapshot,
        **entry.about,
        "outcome": outcome,
        "code": int(code),
        "seconds": round((ended - datetime.fromisoformat(entry.began)).total_seconds(), 2),
        "detail": detail,
    }


def close(settings: Settings, entry: Entry, outcome: str, code: Ending, detail: str = "") -> None:
    """Write the line, then end the journal: killed in between, the line is found and not written twice."""
    history.append(settings, line(entry, outcome, code, detail))
    journal.close(settings)


def follow(wanted: Compose) -> None:
    """Bring what runs beside the app to the same release; the gate stays, for its exchange would cost visitors."""
    wanted.run("up", "--detach", "--no-build", "--no-deps", *FOLLOW)


def record(compose: Compose, live: Release) -> None:
    """Let the records say what runs now: this release, and the gate of an earlier one where that stayed."""
    settings = compose.settings
    gate = container.inspect(compose.container("gate")).image
    others = releases.recorded(settings) if gate != live.images["gate"].id else []
    known = [one.images["gate"] for one in others if one.images["gate"].id == gate]
    if known:
        runs = replace(live, images={**live.images, "gate": known[0]})
        files.publish(release.pointer(settings), release.document(runs))
    else:
        release.make_current(settings, releases.folder(settings) / f"{live.id}.json")
    running.record(settings, live)


def spared(settings: Settings, *more: str | None) -> set[str]:
    """The releases whose images must stay: what lived and can be gone back to, and what is named."""
    lived = history.lived(history.read(settings).lines)
    return {one["to"] for one in lived[-releases.KEPT :]} | {name for name in more if name}


def to_let_go(lines: list[dict[str, Any]], pinned: set[str]) -> list[str]:
    """Name the pinned snapshots of deploys and rollbacks that no way back to a kept release needs any more; pure."""
    switched = [one for one in lines if one.get("outcome") in history.LIVE]  # before a rollback there was data too
    needed = {str(one.get("snapshot")) for some in (history.lived(lines), switched) for one in some[-releases.KEPT :]}
    ours = {str(one.get("snapshot")) for one in lines if one.get("verb") in SWITCHES}
    return sorted((ours - needed) & pinned)


def let_go(compose: Compose) -> None:
    """Take the pins off snapshots that were kept for a way back; one that stays pinned is met again the next time."""
    with suppress(StackError, OSError):
        _, document = keeper.call(compose, ["list"])
        pinned = {one["name"] for one in document.get("snapshots", []) if one.get("pinned")}
        for name in to_let_go(history.read(compose.settings).lines, pinned):
            keeper.call(compose, ["unpin", name])
