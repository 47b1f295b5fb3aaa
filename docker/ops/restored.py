"""What a restore did, for somebody who must know it at three in the morning."""

from datetime import UTC, datetime
from typing import Any

from rich.markup import escape

from ops import words
from ops.compose import Compose

Document = dict[str, Any]  # the keeper's answer


def plan(document: Document) -> list[str]:
    """Return what a restore would do; nothing when it was refused."""
    if document.get("outcome") != "planned":
        return []
    return [
        f"Would restore {_what(document)}",
        *_loss(document, "Would lose"),
        *_notes(document),
        *([f"The app would be stopped: {escape('; '.join(document['cold_because']))}"] if _cold(document) else []),
        "Nothing was changed.",
    ]


def facts(document: Document, compose: Compose, *, serving: bool, seconds: float) -> Document:
    """Return what the launcher adds to the answer: how long the whole took, and where the former file is."""
    return {
        "seconds": round(seconds, 2),
        "site": compose.settings.url if serving else None,
        "former_file": former(document, compose),
    }


def former(document: Document, compose: Compose) -> str | None:
    """Return where the former database lies on this host, or in which volume; None when there was none."""
    kept: str | None = document.get("kept")
    if kept is None:
        return None
    if compose.settings.values["MONSITE_VOLUMES"] == "named":
        return f"{kept.partition('/')[2]} in the volume {compose.settings.project}_data"
    return str(compose.settings.root / kept)


def story(document: Document) -> list[str]:
    """Return what was restored, what is lost, where the former database is, how long it took."""
    how = "with the app stopped" if _cold(document) else "while the site ran"
    took = f"It took {document['seconds']:.1f} s, {how if document['site'] else 'with the site down'}."
    return [
        f"Restored {_what(document)}",
        *_loss(document, "Lost"),
        *_notes(document),
        *_kept(document),
        f"{took} The site answers on {document['site']}" if document["site"] else f"{took} ./stack up starts it.",
    ]


def _what(document: Document) -> str:
    made = ""
    if document["created"]:
        made = f", made {words.moment(document['created'])}, {words.age(document['created'])} ago"
    return f"[bold]{escape(document['source'])}[/]{made}: {words.rows(document['rows'])}"


def _loss(document: Document, lost: str) -> list[str]:
    """Say which span of writing is gone, and how many rows where somebody could count them."""
    told = []
    if document["created"]:
        told.append(
            f"{lost}: what was written in the {words.age(document['created'])} "
            f"from {words.moment(document['created'])} to {words.moment(datetime.now(UTC).isoformat())}"
        )
    else:
        told.append(f"{lost}: what was written since that file was made; it came without a manifest that says when")
    if live := document.get("lost"):
        told.append(f"Rows before and after: {words.changes(live['rows_now'], document['rows'])}")
    else:
        problem = document.get("live_problem") or "it could not be read"
        told.append(f"How many rows that is nobody can count: {escape(problem)}")
    return told


def _notes(document: Document) -> list[str]:
    told = []
    if not document.get("signed", True):
        told.append("It came without a manifest: its integrity was checked, its origin cannot be.")
    if moved := document.get("migrated"):
        told.append(f"Its schema was brought from version {moved['from']} to {moved['to']} by the site's own image.")
    if document.get("uploads_put_back"):
        told.append(f"Missing uploads, put back: {document['uploads_put_back']}")
    aside = "to be moved aside" if document.get("outcome") == "planned" else "so moved aside"
    for was, now in (document.get("uploads_set_aside") or {}).items():
        told.append(f"[red]In the way of an upload, {aside}:[/] uploads/{escape(was)} to uploads/{escape(now)}")
    if missing := document.get("uploads_lost"):
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        told.append(f"[red]Uploads that its rows name and that are nowhere:[/] {escape(', '.join(missing[:5]))}{more}")
    return told


def _kept(document: Document) -> list[str]:
    told = []
    if document.get("safety"):
        told.append(
            f"The former database is kept as snapshot {document['safety']}, pinned (./stack restore brings it back, "
            "./stack backup unpin lets it go)"
        )
    if document["former_file"]:
        log_alone = document["former_file"].split(" in the volume ")[0].endswith(("-wal", "-shm", "-journal"))
        what = "The database file was gone; what lay beside it is kept" if log_alone else "The former database file"
        told.append(f"{what}: {escape(document['former_file'])}")
    return told or ["There was no former database file to keep."]


def _cold(document: Document) -> bool:
    return bool(document["mode"] == "cold")
