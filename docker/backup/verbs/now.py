"""now: take a verified snapshot, then rotate."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from .. import answers, errors, health, manifest, rotation, snapshot, status
from ..errors import BackupError
from ..work import Work


def now(args: argparse.Namespace, work: Work) -> int:
    """Do it, and publish how it went, whichever way it went."""
    settings, repository, log = work.settings, work.repository, work.log
    kind = manifest.SCHEDULED if args.scheduled else manifest.MANUAL
    started = work.now.isoformat(timespec="seconds")
    run = {"outcome": "failure", "started": started, "finished": started, "error": None, "hint": None}
    try:
        with repository.locked(args.verb):
            taken = snapshot.take(work, snapshot.Request(kind, pinned=args.pin, accept_shrink=args.accept_shrink))
            made = taken.made
            decided, applied = _rotate(work, made)
    except errors.Busy:
        log.event("snapshot-end", outcome="busy", level="warning")
        raise
    except Exception as failed:
        told = errors.as_told(failed)
        log.event("snapshot-end", outcome="failure", level="error", error=told.message, hint=told.hint)
        run |= {"finished": work.moment().isoformat(timespec="seconds"), "error": told.message, "hint": told.hint}
        news = status.News(last_run=run, incidents=(("snapshot-failed", told.message),))
        status.try_to_publish(settings, work.now, log, news)
        raise
    run |= {"outcome": "success", "finished": work.moment().isoformat(timespec="seconds")}
    lost = health.read_status(settings.status).get("lost_history")
    incidents = tuple(_incidents(taken, decided.suspended))
    news = status.News(last_run=run, incidents=incidents, loss_told=not args.scheduled)
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
        "gone_from_uploads": list(taken.gone_from_uploads),
        "lost_history": lost,
        "pinned": made.pinned,
        "duration_s": work.elapsed(),
        "rotation": {**asdict(applied), "suspended": decided.suspended},
    }
    log.event("snapshot-end", **answer)
    if not args.scheduled:
        answers.give(args, answer, _text(answer))
    return errors.OK


def _rotate(work: Work, made: manifest.Manifest) -> tuple[rotation.Plan, rotation.Applied]:
    try:
        decided = rotation.plan(work.repository.for_plan(), work.settings.policy, work.now)
        return decided, rotation.apply(decided, work.repository)
    except BackupError as failed:
        failed.message = f"{made.name} was taken and is verified, but the rotation after it failed: {failed.message}"
        raise


def _text(answer: dict[str, Any]) -> str:
    size, rows = answers.size(answer["bytes"]), sum(answer["rows"].values())
    lines = [f"{answer['name']}  {size}, {rows} rows, {answer['uploads']} uploads"]
    if missing := answer["missing"]:
        lines.append(f"lost uploads, named by rows and found nowhere: {', '.join(missing)}")
    if gone := answer["gone_from_uploads"]:
        lines.append(f"{_gone(gone)}; `./stack restore {answer['name']}` puts them back")
    if lost := answer["lost_history"]:
        lines.append(f"warning: {health.told_of_loss(lost['newest'])}, and this one begins anew")
    if suspended := answer["rotation"]["suspended"]:
        lines.append(f"rotation is suspended: {suspended} (`backup now --accept-shrink` if that is meant)")
    return "\n".join(lines)


def _gone(paths: Sequence[str]) -> str:
    return f"{len(paths)} uploads are gone from uploads/ and whole in the backups: {', '.join(paths[:5])}"


def _incidents(taken: snapshot.Taken, suspended: str | None) -> Iterator[status.Incident]:
    if missing := taken.made.missing:
        yield "uploads-missing", f"{len(missing)} uploads are nowhere whole: {', '.join(missing[:5])}"
    if taken.gone_from_uploads:
        yield "uploads-gone", f"{_gone(taken.gone_from_uploads)}; a restore puts them back"
    if suspended is not None:
        yield "shrunk", f"{suspended}; nothing is dropped until `backup now --accept-shrink` says it is meant"
