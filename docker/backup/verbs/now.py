"""now: take a verified snapshot, then rotate."""

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from .. import answers, errors, health, manifest, notices, objects, rotation, snapshot, status
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
        status.publish_failure(settings, work.now, log, news, failed)
        raise
    run |= {"outcome": "success", "finished": work.moment().isoformat(timespec="seconds")}
    lost = health.read_status(settings.status).get("lost_history")
    uploads = notices.record_of(work.now, made.name, taken.uploads)
    news = status.News(
        last_run=run,
        incidents=tuple(_incidents(taken.uploads, decided.suspended)),
        uploads=uploads,
        loss_told=not args.scheduled,
    )
    published = status.try_to_publish(settings, work.now, log, news)
    warned = [notices.of_loss(lost)] if lost else []
    warned += [*uploads["warnings"], *_of_suspended(decided.suspended), *published]
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
        "gone_from_uploads": list(taken.uploads.gone),
        "closed_uploads": list(taken.uploads.closed),
        "differing_uploads": list(taken.uploads.differing),
        "lost_history": lost,
        "pinned": made.pinned,
        "duration_s": work.elapsed(),
        "rotation": {**asdict(applied), "suspended": decided.suspended},
        "warnings": warned,
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
    return f"{answer['name']}  {size}, {rows} rows, {answers.uploads(answer['uploads'])}"


def _of_suspended(reason: str | None) -> list[str]:
    return [] if reason is None else [notices.of_suspended(reason)]


def _incidents(uploads: objects.Collected, suspended: str | None) -> Iterator[status.Incident]:
    kinds = {
        "uploads-missing": objects.Collected((), uploads.missing),
        "uploads-gone": objects.Collected((), (), gone=uploads.gone),
        "uploads-closed": objects.Collected((), (), closed=uploads.closed),
        "uploads-differ": objects.Collected((), (), differing=uploads.differing),
    }
    for kind, found in kinds.items():
        for message in notices.of_uploads(found):
            yield kind, message
    for message in _of_suspended(suspended):
        yield "shrunk", message
