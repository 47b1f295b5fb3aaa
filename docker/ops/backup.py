"""backup now, list, verify, rotate, drill, unpin: the keeper's own commands, called in its container."""

from collections.abc import Sequence
from typing import Any

from rich.markup import escape

from ops import keeper, words
from ops.compose import Compose
from ops.errors import Exit
from ops.snapshots import Snapshot, view
from ops.ui import Ui


def now(compose: Compose, ui: Ui, *, pin: bool, accept_shrink: bool) -> int:
    """Take a verified snapshot. Return the keeper's exit code."""
    flags = [*(["--pin"] if pin else []), *(["--accept-shrink"] if accept_shrink else [])]
    code, document = _step(compose, ui, "Take a snapshot and verify it", ["now", *flags])
    if code == Exit.OK:
        ui.say(f"{document['name']}, {words.size(document['bytes'])}, verified: {words.rows(document['rows'])}")
    ui.emit(document)
    return code


def show(compose: Compose, ui: Ui) -> int:
    """List the snapshots, newest first. Return the keeper's exit code."""
    code, document = keeper.call(compose, ["list"])
    snapshots = [Snapshot.parse(entry) for entry in document.get("snapshots", [])]
    if snapshots:
        ui.say(*view(snapshots, document.get("strays", [])))
    elif code == Exit.OK:
        ui.say("There is no snapshot yet; ./stack backup now takes one.")
    ui.emit(document)
    return code


def verify(compose: Compose, ui: Ui, name: str | None) -> int:
    """Read every byte of one snapshot or of all. Return the keeper's exit code: 4 when something is damaged."""
    what = f"Read every byte of {name}" if name else "Read every byte of every snapshot"
    code, document = _step(compose, ui, what, ["verify", *_named(name)])
    if "checked" in document:
        read = f", {words.size(document['bytes_read'])} read" if document.get("bytes_read") is not None else ""
        damaged = document["damaged_by_name"]
        ui.say(f"{document['checked']} checked{read}, {len(damaged)} damaged")
        for one in damaged:
            ui.say(f"[red]{escape(one['name'])}:[/] {escape(one['reason'])}")
        if damaged:
            ui.say(f"[yellow]hint:[/] {escape(document['hint'])}")
    ui.emit(document)
    return code


def rotate(compose: Compose, ui: Ui, *, dry_run: bool) -> int:
    """Promote and drop as the policy says, or only say so. Return the keeper's exit code."""
    what = "Plan what to keep and what to drop" if dry_run else "Promote and drop as the policy says"
    code, document = _step(compose, ui, what, ["rotate", *(["--dry-run"] if dry_run else [])])
    if code == Exit.OK:
        ui.say(*_reasons("keep", document["keep"]), *_reasons("drop", document["drop"]))
        if document["suspended"]:
            ui.say(f"[red]Nothing is dropped:[/] {escape(document['suspended'])}")
        if dry_run:
            ui.say("Nothing was changed; ./stack backup rotate does it.")
    ui.emit(document)
    return code


def drill(compose: Compose, ui: Ui, name: str | None) -> int:
    """Restore a snapshot into scratch and start the site on it. Return the keeper's exit code: 9 when it fails."""
    what = f"Start the site on {name or 'the newest snapshot'}, beside the live one"
    code, document = _step(compose, ui, what, ["drill", *_named(name)])
    if code == Exit.OK:
        ui.say(
            f"{document['name']} can be restored: {words.rows(document['rows'])}; "
            f"uploads found whole: {document['uploads_checked']}"
        )
        ui.say(f"The site started on it in {document['boot_s']:.1f} s; the drill took {document['duration_s']:.1f} s")
    ui.emit(document)
    return code


def unpin(compose: Compose, ui: Ui, name: str) -> int:
    """Let rotation drop a snapshot that was pinned. Return the keeper's exit code."""
    code, document = _step(compose, ui, f"Unpin {name}", ["unpin", name])
    if code == Exit.OK:
        state = "is no longer pinned" if document["was_pinned"] else "was not pinned"
        ui.say(f"{name} {state}: rotation drops it when nothing else keeps it.")
    ui.emit(document)
    return code


def _step(compose: Compose, ui: Ui, what: str, args: Sequence[str]) -> tuple[int, dict[str, Any]]:
    with ui.step(what) as step:
        code, document = keeper.call(compose, args, step)
        step.well = code == Exit.OK
    ui.warn_of(document)
    return code, document


def _named(name: str | None) -> list[str]:
    return [name] if name else []


def _reasons(verb: str, tiers: dict[str, dict[str, Any]]) -> list[str]:
    """Return one line per snapshot and tier; a reason is a text, or several."""
    return [
        escape(f"{verb} {tier:<8} {name}  {why if isinstance(why, str) else ', '.join(why)}")
        for tier, names in tiers.items()
        for name, why in sorted(names.items(), reverse=True)
    ]
