"""Bring the database and the uploads back: verify first, keep what was, return it when the site stays ill."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.markup import escape

from ops import backup, health, roots
from ops.compose import Compose, run
from ops.errors import Exit, StackError
from ops.ui import Ui

COLD_NEEDED = 7  # the keeper's code for: nothing was changed, stop the app and ask again with --cold
NAME = re.compile(r"balades_\d{8}_\d{6}(\.db\.(zst|gz))?")


def restore(compose: Compose, ui: Ui, wanted: str, *, dry_run: bool, cold: bool, allow_missing: bool) -> int:
    """Restore `latest`, a snapshot by name, or a file of this host. Return the exit code.

    Hot when the live database can take it, cold when it cannot or `cold` is set. When the site does not get
    well on what was restored, the safety snapshot comes back the same way and the code is 1.
    Raises StackError when the file is missing or the stack has no containers.
    """
    source, args = _source(wanted)
    args += ["--allow-missing"] if allow_missing else []
    if dry_run:
        code, document = backup.call(compose, ["restore", *args, "--dry-run"], source)
        _tell(ui, document, serving=True)
        ui.emit(document)
        return code
    with roots.locked(compose.settings, "restore"):
        serving = _serving(compose)
        code, document = _bring_back(compose, ui, source, args, cold=cold)
        if code == Exit.OK and serving:
            try:
                with ui.step("Wait until the site is well"):
                    health.wait_until_site_well(compose)
            except StackError as illness:
                raise _undo(compose, ui, document, illness) from illness
    _tell(ui, document, serving=serving)
    ui.emit(document)
    return code


def _source(wanted: str) -> tuple[Path | None, list[str]]:
    if wanted == "latest" or NAME.fullmatch(wanted):
        return None, [wanted]
    path = Path(wanted)
    if not os.path.isfile(wanted):  # noqa: PTH113  # unlike Path's, this takes a name that is too long for a no
        raise StackError(
            f"{wanted!r} is neither `latest`, nor a snapshot's name, nor a file",
            "./stack backup list shows the snapshots; a file is given by its path",
            Exit.USAGE,
        )
    return path, ["-", f"--filename={path.name}"]


def _bring_back(
    compose: Compose, ui: Ui, source: Path | None, args: list[str], *, cold: bool
) -> tuple[int, dict[str, Any]]:
    if not cold:
        with ui.step("Verify the snapshot and restore it into the live database") as step:
            code, document = backup.call(compose, ["restore", *args], source)
            step.well = code == Exit.OK
        if code != COLD_NEEDED:
            return code, document
        ui.say(f"A cold restore is needed: {', '.join(document['cold_because'])}")
    with ui.step("Verify the snapshot") as step:
        code, document = backup.call(compose, ["restore", *args, "--dry-run"], source)
        step.well = code in (Exit.OK, COLD_NEEDED)
    if code not in (Exit.OK, COLD_NEEDED):
        return code, document
    with _without_the_app(compose, ui), ui.step("Put the snapshot in place") as step:
        code, document = backup.call(compose, ["restore", *args, "--cold"], source)
        step.well = code == Exit.OK
    return code, document


@contextmanager
def _without_the_app(compose: Compose, ui: Ui) -> Iterator[None]:
    """Keep the app stopped; Ctrl-C waits, or the app would start beside an exchange that is under way."""
    if not _serving(compose):
        yield
        return
    app = compose.container("app")
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ui.step("Stop the app"):
            run(["docker", "stop", app])
        yield
    finally:
        with ui.step("Start the app"):
            run(["docker", "start", app])
        signal.signal(signal.SIGINT, handler)


def _serving(compose: Compose) -> bool:
    """Tell whether the app's container is up, or tries to be."""
    app = next(state for state in health.states(compose) if state.service == "app")
    return app.status in ("running", "restarting", "paused")


def _undo(compose: Compose, ui: Ui, document: dict[str, Any], illness: StackError) -> StackError:
    """Bring the safety snapshot back, and return the error that says how that went."""
    safety = document.get("safety")
    if not safety:
        return StackError(
            f"the site is not well on {document.get('source')}, and the former database was too damaged to keep as "
            f"a snapshot: {illness.message}",
            f"its files are kept: {document.get('kept')}; ./stack backup list shows what else can be restored",
        )
    code, _ = _bring_back(compose, ui, None, [safety], cold=False)
    if code != Exit.OK:
        return StackError(
            f"the site is not well on {document.get('source')}, and bringing {safety} back failed with code {code}",
            f"./stack restore {safety} --cold",
        )
    return StackError(
        f"the site was not well on {document.get('source')}, so the former database is back from {safety}: "
        f"{illness.message}",
        "./stack backup list shows the snapshots; choose another with ./stack restore NAME",
    )


def _tell(ui: Ui, document: dict[str, Any], *, serving: bool) -> None:
    outcome = document.get("outcome")
    if outcome not in ("restored", "planned"):
        return
    verb = "Restored" if outcome == "restored" else "Would restore"
    made = f" of {document['created']}" if document["created"] else ""
    ui.say(f"{verb} {escape(document['source'])}{made} ({document['mode']}): {_rows(document['rows'])}")
    if not document.get("signed", True):
        ui.say("It came without a manifest: its integrity was checked, its origin cannot be.")
    if lost := document.get("lost"):
        since = lost["since"] or "it was made"
        ui.say(f"Not in it: what was written after {since}. Until now there were {_rows(lost['rows_now'])}.")
    if document.get("uploads_put_back"):
        ui.say(f"Missing uploads that were put back: {document['uploads_put_back']}")
    if missing := document.get("uploads_lost"):
        ui.say(f"Uploads that its rows name and that are nowhere to be found: {escape(', '.join(missing[:5]))}")
    if document.get("safety"):
        ui.say(f"The former database is kept as snapshot {document['safety']}, pinned.")
    if document.get("kept"):
        ui.say(f"The former database file is {document['kept']}")
    if outcome == "restored" and not serving:
        ui.say("The site is not running; ./stack up starts it.")


def _rows(rows: dict[str, int]) -> str:
    return ", ".join(f"{count} {table}" for table, count in rows.items() if table != "heartbeat")
