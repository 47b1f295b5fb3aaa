"""Bring the database and the uploads back: verify first, keep what was, return it when the site stays ill."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from ops import history, keeper, releases, restored, roots, settle, sources
from ops.actor import actor
from ops.compose import Compose
from ops.errors import Exit, StackError
from ops.journal import now as moment
from ops.patience import to_the_end
from ops.site import Site, seen_well
from ops.sources import Source
from ops.ui import Ui

Answer = tuple[int, dict[str, Any]]


@dataclass(frozen=True)
class Wish:
    """How a restore is to be done."""

    dry_run: bool
    cold: bool
    allow_missing: bool


def restore(compose: Compose, ui: Ui, wanted: str, wish: Wish) -> int:
    """Restore `latest`, a snapshot by name, or a file of this host. Return the exit code.

    Hot when the live database can take it, cold when it cannot or that is wished. When what came is not what was
    wanted, or the site does not get well on it, the safety snapshot comes back the same way and the code is 1.
    Raises StackError when the file is missing or the stack has no containers.
    """
    begun = time.monotonic()
    named = sources.parse(wanted, compose.settings.live)
    source = replace(named, args=(*named.args, *(["--allow-missing"] if wish.allow_missing else [])))
    if wish.dry_run:
        code, document = _ask(compose, ui, "Verify the snapshot and plan", source, "--dry-run")
        ui.say(*restored.plan(document))
        ui.emit(document)
        return code
    with roots.locked(compose.settings, "restore"):
        settle.settle_before(compose, ui)
        with to_the_end(ui, "The restore") as interruption, _noted(compose) as line:
            site = Site(compose, ui)
            code, document = _bring_back(compose, ui, site, source, cold=wish.cold)
            if code == Exit.OK:
                if illness := seen_well(site):
                    raise _undo(compose, ui, site, document, illness, "the site was not well on") from illness
            elif code == Exit.FAILED and document.get("safety"):
                wrong = StackError(str(document.get("error")), str(document.get("hint")))
                raise _undo(compose, ui, site, {"source": wanted, **document}, wrong, "what came back was not")
            else:
                site.resume()
            line |= {
                "outcome": "restored" if code == Exit.OK else None,
                "snapshot": document.get("source"),
                "code": code,
            }
            line |= {"detail": f"the former data is in {document.get('safety') or document.get('kept')}"}
    if code == Exit.OK:
        document |= restored.facts(document, compose, serving=site.serving, seconds=time.monotonic() - begun)
        ui.say(*restored.story(document))
    ui.emit(document)
    return Exit.INTERRUPTED if code == Exit.OK and interruption.came else code


@contextmanager
def _noted(compose: Compose) -> Iterator[dict[str, Any]]:
    """Write what was restored, or put back again, into the history; what was refused changed nothing."""
    now = releases.current(compose.settings)
    line: dict[str, Any] = {"verb": "restore", "actor": actor(), "began": moment(), "to": now.id if now else None}
    try:
        yield line
    except StackError as error:
        told = error.message.splitlines()[0]
        history.happened(compose.settings, line | {"outcome": "failed", "code": error.code, "detail": told})
        raise
    if line["outcome"] is not None:
        history.happened(compose.settings, line)


def _bring_back(compose: Compose, ui: Ui, site: Site, source: Source, *, cold: bool) -> Answer:
    """Exchange the database, hot where that is possible. A cold exchange that succeeds leaves the app stopped."""
    if cold:
        code, document = _ask(compose, ui, "Verify the snapshot", source, "--dry-run")
        if code != Exit.OK:
            return code, document
    else:
        what = "Verify the snapshot and restore it, if the running site can take it"
        code, document = _ask(compose, ui, what, source)
        if code != Exit.COLD_NEEDED:
            return code, document
        ui.say(f"The running site cannot take it: {', '.join(document.get('cold_because') or ['see above'])}")
    with site.stopped():
        return _ask(compose, ui, "Put the snapshot in place", source, "--cold")


def _ask(compose: Compose, ui: Ui, what: str, source: Source, *flags: str) -> Answer:
    with ui.step(what) as step:
        code, document = keeper.call(compose, ["restore", *source.args, *flags], step, source)
        step.well = code in (Exit.OK, Exit.COLD_NEEDED)
    ui.warn_of(document)
    return code, document


def _undo(compose: Compose, ui: Ui, site: Site, document: dict[str, Any], illness: StackError, seen: str) -> StackError:
    """Bring the safety snapshot back, and return the error that says how that went."""
    safety, source = document.get("safety"), document.get("source")
    if not safety:
        return StackError(
            f"{seen} {source}, and the former database was too damaged to keep as a snapshot: {illness.message}",
            f"its files are kept: {restored.former(document, compose)}; ./stack backup list shows what else "
            "can be restored",
        )
    code, _ = _bring_back(compose, ui, site, Source((safety,), None), cold=False)
    if code != Exit.OK:
        site.resume()
        return StackError(
            f"{seen} {source}, and bringing {safety} back failed with code {code}\nwhat was wrong: {illness.message}",
            f"./stack restore {safety} --cold",
        )
    still = seen_well(site)
    well = "it is well again" if site.serving else "it is down, as before"
    now = f"it is not well on that either: {still.message}" if still else well
    return StackError(
        f"{seen} {source}, so the former database is back from {safety}, and {now}\nwhat was wrong: {illness.message}",
        "./stack logs app shows what the site said"
        if still
        else "./stack backup list shows the snapshots; choose another with ./stack restore NAME",
    )
