"""verify and drill: whether what is stored can still be read, and lived on."""

import argparse
from dataclasses import asdict
from typing import Any

from .. import answers, drill, errors, status, verify
from ..errors import BackupError
from ..work import Work

# What says something about the question or the moment, and nothing about the snapshot.
_NO_DRILL = (errors.Usage, errors.NoSuchSnapshot, errors.Busy)


def verify_all(args: argparse.Namespace, work: Work) -> int:
    """Read every byte of one snapshot or of all."""
    repository = work.repository
    with repository.locked(args.verb):
        names = [repository.find(args.name).name] if args.name else repository.names()
        if not names:
            raise errors.NoSuchSnapshot(f"{repository.root}: there is no snapshot", "take one: `./stack backup now`")
        found = verify.verify(work, names)
    measured = {"bytes_read": found.bytes_read, "duration_s": work.elapsed()}
    summary = {
        "at": work.now.isoformat(timespec="seconds"),
        "checked": len(names),
        "damaged": len(found.findings),
        **measured,
    }
    reasons = "; ".join(finding.reason for finding in found.findings)
    news = status.News(
        verified=None if args.name else summary,
        checked=names,
        incident=("damaged", reasons) if found.findings else None,
    )
    status.try_to_publish(work.settings, work.now, work.log, news)
    work.log.event("verify-end", level="error" if found.findings else "info", **summary)
    answer = {
        "outcome": "damaged" if found.findings else "ok",
        "checked": len(names),
        "damaged": [asdict(finding) for finding in found.findings],
        **measured,
    }
    lines = [f"{finding.name}: {finding.reason}" for finding in found.findings]
    if not args.scheduled:
        counted = f"{len(names)} snapshots checked, {answers.size(found.bytes_read)} read, {len(lines)} findings"
        answers.give(args, answer, "\n".join([counted, *lines]))
    return errors.Damaged.code if found.findings else errors.OK


def rehearse(args: argparse.Namespace, work: Work) -> int:
    """Bring one snapshot back in scratch/ and let the site start on it; record how it went."""
    record: dict[str, Any] = {
        "at": work.now.isoformat(timespec="seconds"),
        "name": None,
        "outcome": "failure",
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
            error = failed.message if isinstance(failed, BackupError) else f"{type(failed).__name__}: {failed}"
            record |= {"error": error, "duration_s": work.elapsed()}
            news = status.News(drill=record, incident=("drill-failed", error))
            status.try_to_publish(work.settings, work.now, work.log, news)
        raise
    rows = dict(done.made.rows)
    record |= {"outcome": "success", "duration_s": work.elapsed(), "boot_s": done.boot_s, "rows": rows}
    status.try_to_publish(work.settings, work.now, work.log, status.News(drill=record, checked=[stored.name]))
    answer = {
        "outcome": "success",
        "name": stored.name,
        "rows": rows,
        "schema": done.schema,
        "walks": done.walks,
        "boot_s": done.boot_s,
        "duration_s": record["duration_s"],
        "uploads_checked": done.uploads_checked,
    }
    work.log.event("drill-end", **answer)
    if not args.scheduled:
        text = (
            f"{stored.name}  the site was well on it after {done.boot_s:.1f} s: {answers.counts(rows)}, "
            f"{done.uploads_checked} uploads whole"
        )
        answers.give(args, answer, text)
    return errors.OK
