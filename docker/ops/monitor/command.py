"""`./stack monitor`: which of the forms, how often, and how it ends."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from ops import words
from ops.errors import StackError
from ops.monitor import refused, thresholds, watch
from ops.monitor.checks import Check
from ops.monitor.facts import Facts
from ops.monitor.report import Report, take
from ops.settings import Settings
from ops.ui import Ui, discard

SHORTEST_S, LONGEST_S = 0.5, 3600.0


@dataclass(frozen=True)
class Wish:
    """How the report is wanted."""

    as_json: bool = False
    watch: bool = False
    interval_s: float | None = None
    check: bool = False
    prometheus: Path | None = None
    notify: str | None = None


DEFAULT_INTERVAL_S = 2.0


def run(load: Callable[[], Settings], ui: Ui, wish: Wish) -> int:
    """Look, tell, and return the exit code: 0 well, 1 warning, 2 critical, 3 could not look.

    However it goes, `--json` gives one document and `--check` one line.
    """
    try:
        _refuse_contradictions(wish)
        settings = load()
        if wish.watch:
            seen: list[Facts] = []  # the former look: processors are counted since then
            return watch.run(lambda: _once(settings, ui, wish, seen), wish.interval_s or DEFAULT_INTERVAL_S)
        return _once(settings, ui, wish, [])
    except StackError as error:
        return _refused(error, ui, wish)
    except Exception as fault:  # whatever it is, 1 would say that the stack works
        told = StackError(f"the monitor itself failed: {fault!r:.300}", "./stack doctor; if that is well, report this")
        return _refused(told, ui, wish)


def _once(settings: Settings, ui: Ui, wish: Wish, seen: list[Facts]) -> int:
    report = take(settings, seen.pop() if seen else None)
    seen.append(report.facts)
    told = 0
    if wish.notify is not None:
        from ops.monitor import notify

        told = notify.tell(report, settings, wish.notify, ui)
    if wish.prometheus is not None:
        report = _published(report, wish.prometheus, ui)
    _show(report, ui, wish)
    return max(report.code, told)


def _published(report: Report, path: Path, ui: Ui) -> Report:
    """Write the file. Where that fails everything else is told all the same, and that beside it."""
    from ops.monitor import prometheus

    try:
        prometheus.write(report, path)
    except StackError as error:
        ui.complain(error)
        limit = thresholds.load()["monitor.file"]
        failed = Check("monitor.file", "prometheus", None, limit, "unknown", error.message, error.hint)
        return replace(report, checks=(*report.checks, failed))
    return report


def _show(report: Report, ui: Ui, wish: Wish) -> None:
    if wish.as_json:
        from ops.monitor import as_json

        document = as_json.document(report)
        if wish.watch:
            watch.put(json.dumps(document, sort_keys=True) + "\n")
        else:
            ui.emit(document)
    elif wish.check:
        from ops.monitor import line

        ui.out.print(line.line(report), markup=False)
    else:
        from ops.monitor import table

        view = table.view(report)
        if wish.watch:
            watch.show(ui, view)
        else:
            ui.out.print(view, soft_wrap=False)


def _refused(error: StackError, ui: Ui, wish: Wish) -> int:
    told = StackError(words.visible(error.message), words.visible(error.hint))
    ui.complain(told)
    try:
        if wish.as_json:
            ui.emit(refused.document(told.message, told.hint, datetime.now(UTC)))
        if wish.check:
            from ops.monitor import line

            ui.out.print(line.refused(told.message), markup=False)
    except OSError as full:
        ui.complain(StackError(f"stdout cannot be written: {full.strerror}", "give it a place that takes it"))
        discard(sys.stdout)
    return refused.COULD_NOT_LOOK


def _refuse_contradictions(wish: Wish) -> None:
    if wish.notify is not None:
        from ops.monitor import notify

        notify.argv_of(wish.notify)
    if wish.check and (wish.as_json or wish.watch):
        raise StackError("--check is one line; --json and --watch are other forms", "choose one of them")
    if wish.interval_s is not None and not wish.watch:
        raise StackError("--interval is about --watch", "add --watch, or leave --interval away")
    if wish.interval_s is not None and not SHORTEST_S <= wish.interval_s <= LONGEST_S:
        raise StackError(
            f"--interval is {wish.interval_s:g}, expected {SHORTEST_S:g} to {LONGEST_S:g} seconds",
            "the default is every 2 s",
        )
