"""verify and drill: whether what is stored can still be read, and lived on."""

import argparse
from typing import Any

from .. import answers, drill, errors, status, verify
from ..work import Work

# What says something about the question or the moment, and nothing about the snapshot.
_NO_DRILL = (errors.Usage, errors.NoSuchSnapshot, errors.Busy)
_VERDICTS = (errors.Damaged, errors.Unrehearsed)  # what is said of the snapshot itself
_DAMAGED = (
    "what is whole in no tier no longer counts and is never restored; `./stack backup now` takes a whole one, "
    "`./stack backup list` shows which are left"
)
_MENDED = (
    "all of it was mended from what another tier holds whole, and every snapshot counts; `./stack backup verify` again "
    "shows whether it stays so: a disk that damages files is to be replaced"
)


def verify_all(args: argparse.Namespace, work: Work) -> int:
    """Read every byte of one snapshot or of all."""
    repository = work.repository
    with repository.locked(args.verb):
        names = [repository.find(args.name).name] if args.name else repository.names()
        if not names:
            raise errors.NoSuchSnapshot(f"{repository.root}: there is no snapshot", "take one: `./stack backup now`")
        found = verify.verify(work, names)
    by_name = found.by_name()
    measured = {"bytes_read": found.bytes_read, "duration_s": work.elapsed()}
    summary = {
        "at": work.now.isoformat(timespec="seconds"),
        "checked": len(names),
        "damaged": len(by_name),
        **measured,
    }
    hint = (_MENDED if found.all_mended else _DAMAGED) if by_name else None
    news = status.News(
        verified=None if args.name else summary,
        checked=names,
        incidents=(("damaged", "; ".join(one["reason"] for one in by_name)),) if by_name else (),
    )
    warned = status.try_to_publish(work.settings, work.now, work.log, news)
    work.log.event("verify-end", level="error" if found.findings else "info", **summary)
    answer = {
        "outcome": "damaged" if found.findings else "ok",
        "checked": len(names),
        "damaged": [{"name": finding.name, "reason": finding.reason} for finding in found.findings],
        "damaged_by_name": by_name,
        "hint": hint,
        **measured,
        "warnings": warned,
    }
    if not args.scheduled:
        counted = f"{len(names)} snapshots checked, {answers.size(found.bytes_read)} read, {len(by_name)} damaged"
        lines = [counted, *(f"{one['name']}: {one['reason']}" for one in by_name)]
        answers.give(args, answer, "\n".join([*lines, f"hint: {hint}"] if hint else lines))
    return errors.Damaged.code if found.findings else errors.OK


def rehearse(args: argparse.Namespace, work: Work) -> int:
    """Bring one snapshot back in scratch/ and let the site start on it; record how it went."""
    record: dict[str, Any] = {
        "at": work.now.isoformat(timespec="seconds"),
        "name": None,
        "outcome": "failure",
        "judged": True,
        "error": None,
        "duration_s": 0.0,
        "boot_s": None,
        "rows": None,
    }
    try:
        with work.repository.locked(args.verb):
            stored = drill.choose(work, args.name)
            record["name"] = stored.name
            work.log.event("drill-start", snapshot=stored.name)
            done = drill.drill(work, stored)
    except Exception as failed:
        work.log.event("drill-end", level="error", outcome="failure", snapshot=record["name"], error=str(failed))
        if not isinstance(failed, _NO_DRILL):
            error = errors.as_told(failed).message
            judged = isinstance(failed, _VERDICTS) and not isinstance(failed, errors.Unanswered)
            record |= {"judged": judged, "error": error, "duration_s": work.elapsed()}
            news = status.News(drill=record, incidents=(("drill-failed", error),))
            status.publish_failure(work.settings, work.now, work.log, news, failed)
        raise
    rows = dict(done.made.rows)
    record |= {"outcome": "success", "duration_s": work.elapsed(), "boot_s": done.boot_s, "rows": rows}
    news = status.News(drill=record, checked=[stored.name])
    warned = status.try_to_publish(work.settings, work.now, work.log, news)
    answer = {
        "outcome": "success",
        "name": stored.name,
        "rows": rows,
        "schema": done.schema,
        "walks": done.walks,
        "boot_s": done.boot_s,
        "duration_s": record["duration_s"],
        "uploads_checked": done.uploads_checked,
        "warnings": warned,
    }
    work.log.event("drill-end", **answer)
    if not args.scheduled:
        text = (
            f"{stored.name}  the site was well on it after {done.boot_s:.1f} s: {answers.counts(rows)}, "
            f"{answers.uploads(done.uploads_checked)} whole"
        )
        answers.give(args, answer, text)
    return errors.OK
