"""How a switch ends: what goes with the app follows it, the records say what runs, the history has its line."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ops import container, files, history, journal, release, releases, running
from ops.compose import Compose
from ops.errors import Ending
from ops.journal import Entry
from ops.release import Release
from ops.settings import Settings

FOLLOW = ("backup", "drill")


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
    known = [one.images["gate"] for one in (live, *releases.recorded(settings)) if one.images["gate"].id == gate]
    if known and gate != live.images["gate"].id:
        runs = replace(live, images={**live.images, "gate": known[0]})
        files.publish(release.pointer(settings), release.document(runs))
    else:
        release.make_current(settings, releases.folder(settings) / f"{live.id}.json")
    running.record(settings, live)


def spared(settings: Settings, *more: str | None) -> set[str]:
    """The releases whose images must stay: what lived and can be gone back to, and what is named."""
    lived = history.lived(history.read(settings).lines)
    return {one["to"] for one in lived[-releases.KEPT :]} | {name for name in more if name}
