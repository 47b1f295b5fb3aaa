"""What was done to this stack, one JSON object a line, each holding the digest of the one before."""

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape

from ops import files, published, roots, words
from ops.errors import Exit, StackError
from ops.journal import now
from ops.settings import Settings
from ops.ui import Ui

Line = dict[str, Any]
FIELDS = (
    *("verb", "id", "actor", "began", "ended", "from", "to", "from_images", "to_images", "commit", "report"),
    *("report_sha256", "without_report", "snapshot", "outcome", "code", "seconds", "detail"),
)
LIVE = ("live", "settled-forward")  # what makes `to` the release that serves
FIRST = "0" * 64


@dataclass(frozen=True)
class Told:
    """The lines, and what is wrong with them."""

    lines: list[Line]
    faults: tuple[str, ...]


def path(settings: Settings) -> Path:
    """Where it lies."""
    return settings.root / "state" / "history.jsonl"


def head(settings: Settings) -> Path:
    """Where the newest line's number and digest stand: a chain alone does not show that its end was cut off."""
    return settings.root / "state" / "history.head"


def digest(line: Line) -> str:
    """The digest of a line, without itself."""
    rest = {key: value for key, value in line.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def parse(text: str) -> Told:
    """Read the lines and follow their chain; pure. The last, where it was cut short, is none."""
    lines: list[Line] = []
    faults = []
    previous = FIRST
    whole = text[: text.rfind("\n") + 1]
    for number, raw in enumerate(whole.splitlines(), start=1):
        try:
            line = json.loads(raw)
            expected = {"n": number_of(lines) + 1, "previous": previous, "sha256": digest(line)}
            wrong = [key for key, value in expected.items() if line.get(key) != value]
        except (ValueError, AttributeError):
            faults.append(f"line {number} is no record")
            continue
        if wrong:
            faults.append(f"line {number} was changed, or one before it is missing: {', '.join(wrong)}")
        lines.append(line)
        previous = str(line.get("sha256"))
    return Told(lines, tuple(faults))


def number_of(lines: list[Line]) -> int:
    """The number that the newest line bears; 0 without one."""
    told = lines[-1].get("n") if lines else 0
    return told if isinstance(told, int) else len(lines)


def missing(told: Told, newest: Line | None) -> tuple[str, ...]:
    """Say whether the line that was written last is gone, by what stands apart of it; pure."""
    if newest is None or newest.get("sha256") in [line.get("sha256") for line in told.lines]:
        return ()
    return (
        f"line {newest.get('n')} and perhaps some before it are missing: the newest one is {number_of(told.lines)}",
    )


def read(settings: Settings) -> Told:
    """Read it; nothing where nothing was done yet."""
    try:
        told = parse(path(settings).read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        told = Told([], ())
    try:
        return Told(told.lines, told.faults + missing(told, _newest(settings)))
    except (ValueError, TypeError, KeyError) as damage:
        return Told(told.lines, (*told.faults, f"{head(settings)} cannot be understood ({damage})"))


def _newest(settings: Settings) -> Line | None:
    """Read what stands apart of the newest line; None before the first. Raises what a damaged file leads to."""
    try:
        told = json.loads(head(settings).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return {"n": int(told["n"]), "sha256": str(told["sha256"])}


def append(settings: Settings, told: Line) -> Line:
    """Add a line, synced. One that a crash cut short is set aside first; one that is there already is not doubled."""
    file = path(settings)
    known = read(settings)
    for line in known.lines:
        if told.get("id") and (line.get("id"), line.get("outcome")) == (told["id"], told["outcome"]):
            return line
    _set_fragment_aside(file)
    last = _last(settings, known)
    line = {
        "schema": 1,
        "n": number_of([last]) + 1,
        **{key: told.get(key) for key in FIELDS},
        "previous": str(last.get("sha256")),
    }
    line["sha256"] = digest(line)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps(line, sort_keys=True) + "\n")
        out.flush()
        os.fsync(out.fileno())
    roots.sync_folder(file.parent)
    files.publish(head(settings), {"schema": 1, "n": line["n"], "sha256": line["sha256"]})
    return line


def _last(settings: Settings, known: Told) -> Line:
    """What the next line follows: where lines are missing, the one that was written last, so that it stays seen."""
    newest = None
    with suppress(ValueError, TypeError, KeyError):
        newest = _newest(settings)
    if newest and missing(known, newest):
        return newest
    return known.lines[-1] if known.lines else {"n": 0, "sha256": FIRST}


def _set_fragment_aside(file: Path) -> None:
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        return
    whole = raw.rfind(b"\n") + 1
    if whole == len(raw):
        return
    with file.with_name("history.fragments").open("ab") as aside:
        aside.write(raw[whole:] + b"\n")
        aside.flush()
        os.fsync(aside.fileno())
    os.truncate(file, whole)


def lived(lines: list[Line]) -> list[Line]:
    """Return the lines by which releases came to live, the one that serves now last; a rollback takes back; pure.

    Without a line of its own, what the first one came from stands there as a line that knows no more than its name.
    """
    stack: list[Line] = []
    for line in lines:
        if line.get("outcome") not in LIVE or not line.get("to"):
            continue
        if line.get("from") and (not stack or stack[-1]["to"] != line["from"]):
            stack.append({"to": line["from"], "to_images": line.get("from_images"), "outcome": "live"})
        known = [at for at, one in enumerate(stack) if one["to"] == line["to"]]
        if line.get("verb") == "rollback" and known:
            del stack[known[-1] + 1 :]
        elif not stack or stack[-1]["to"] != line["to"]:
            stack.append(line)
    return stack


def in_words(line: Line) -> list[str]:
    """Tell one line in two or three; one that nobody wrote so, as it stands."""
    try:
        return _in_words(line)
    except (KeyError, ValueError, TypeError):
        return [f"   ?  {escape(json.dumps(line, sort_keys=True))}"]


def _in_words(line: Line) -> list[str]:
    took = f" after {line['seconds']:.1f} s" if line["seconds"] is not None else ""
    colour = published.GOOD if line["code"] == Exit.OK else published.BAD
    head = f"{line['n']:>4}  {words.moment(line['ended'])}  {line['verb']}"
    how = f"[{colour}]{escape(str(line['outcome']))}[/] (code {line['code']}){took}"
    told = [f"{head}: {how}, by {escape(str(line['actor']))}"]
    way = [str(line[end]) for end in ("from", "to") if line[end]]
    told.append(f"      {escape(' → '.join(way))}" + (f", snapshot {line['snapshot']}" if line["snapshot"] else ""))
    without = f"without a report: {line['without_report']}" if line["without_report"] else ""
    told += [f"      {escape(more)}" for more in (without, str(line["detail"] or "")) if more]
    return told


def show(settings: Settings, ui: Ui, limit: int) -> int:
    """Show it, newest first. Return 1 when its chain is broken."""
    told = read(settings)
    shown = told.lines[::-1][:limit]
    for line in shown:
        ui.say(*in_words(line))
    if not shown:
        ui.say("Nothing was deployed, rolled back or restored yet.")
    ui.emit({"lines": shown, "faults": list(told.faults)})
    if told.faults:
        raise StackError(
            f"{path(settings)} is not what was written: {'; '.join(told.faults)}",
            "compare it with a copy you trust; deploying goes on from its last line",
            Exit.FAILED,
        )
    return Exit.OK


def happened(settings: Settings, line: Line) -> None:
    """Note something that began and ended now."""
    append(settings, {"began": now(), "ended": now(), "code": 0, **line})
