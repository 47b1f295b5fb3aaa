"""now: take a verified snapshot, then rotate."""

import argparse
from dataclasses import asdict
from typing import Any

from .. import answers, errors, manifest, rotation, snapshot, status
from ..errors import DEFECT, BackupError
from ..work import Work


def now(args: argparse.Namespace, work: Work) -> int:
    """Do it, and publish how it went, whichever way it went."""
    settings, repository, log = work.settings, work.repository, work.log
    kind = manifest.SCHEDULED if args.scheduled else manifest.MANUAL
    started = work.now.isoformat(timespec="seconds")
    run = {"outcome": "failure", "started": started, "finished": started, "error": None, "hint": None}
    try:
        with repository.locked(args.verb):
            made = snapshot.take(work, snapshot.Request(kind, pinned=args.pin, accept_shrink=args.accept_shrink))
            decided, applied = _rotate(work, made)
    except errors.Busy:
        log.event("snapshot-end", outcome="busy", level="warning")
        raise
    except Exception as failed:
        error = failed.message if isinstance(failed, BackupError) else f"{type(failed).__name__}: {failed}"
        hint = failed.hint if isinstance(failed, BackupError) else DEFECT
        log.event("snapshot-end", outcome="failure", level="error", error=error, hint=hint)
        run |= {"finished": work.moment().isoformat(timespec="seconds"), "error": error, "hint": hint}
        status.try_to_publish(settings, work.now, log, status.News(last_run=run, incident=("snapshot-failed", error)))
        raise
    run |= {"outcome": "success", "finished": work.moment().isoformat(timespec="seconds")}
    news = status.News(last_run=run, incident=_incident(made, decided.suspended))
    status.try_to_publish(settings, work.now, log, news)
    answer: dict[str, Any] = {
        "outcome": "success",
        "name": made.name,
        "created": made.created.isoformat(),
        "path": f"{rotation.DAILY}/{made.payload}",
        "bytes": made.bytes,
        "raw_bytes": made.raw_bytes,
        "rows": dict(made.rows),
        "user_version": made.user_version,
        "uploads": len(made.uploads),
        "missing": list(made.missing),
        "pinned": made.pinned,
        "duration_s": work.elapsed(),
        "rotation": {**asdict(applied), "suspended": decided.suspended},
    }
    log.event("snapshot-end", **answer)
    if not args.scheduled:
        answers.give(args, answer, _text(made, decided.suspended))
    return errors.OK


def _rotate(work: Work, made: manifest.Manifest) -> tuple[rotation.Plan, rotation.Applied]:
    try:
        decided = rotation.plan(work.repository.for_plan(), work.settings.policy, work.now)
        return decided, rotation.apply(decided, work.repository)
    except BackupError as failed:
        failed.message = f"{made.name} was taken and is verified, but the rotation after it failed: {failed.message}"
        raise


def _text(made: manifest.Manifest, suspended: str | None) -> str:
    text = f"{made.name}  {answers.size(made.bytes)}, {sum(made.rows.values())} rows, {len(made.uploads)} uploads"
    if made.missing:
        text += f"\nlost uploads, named by rows and found nowhere: {', '.join(made.missing)}"
    if suspended:
        text += f"\nrotation is suspended: {suspended} (`backup now --accept-shrink` if that is meant)"
    return text


def _incident(made: manifest.Manifest, suspended: str | None) -> tuple[str, str] | None:
    if made.missing:
        return "uploads-missing", f"{len(made.missing)} uploads are nowhere whole: {', '.join(made.missing[:5])}"
    if suspended is not None:
        return "shrunk", f"{suspended}; nothing is dropped until `backup now --accept-shrink` says it is meant"
    return None
