"""restore: verify a snapshot and bring it back, or write it elsewhere."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import answers, compress, errors, leftovers, notices, objects, restore, source, status
from ..work import Work

# Refusals that say something about the question and nothing about the backups: no incident.
_ASKED_WRONGLY = (errors.Usage, errors.NoSuchSnapshot, errors.ColdNeeded, errors.SchemaNewer, errors.Busy)

Answer = tuple[dict[str, Any], str]  # for --json, and as text


def bring_back(args: argparse.Namespace, work: Work) -> int:
    """Do it under the lock; what was refused for a reason of ours is an incident."""
    if args.to == "-" and args.json:
        raise errors.Usage("--to - and --json both want stdout", "use one of them, or --to PATH")
    log, settings = work.log, work.settings
    log.event("restore-start", source=args.source, cold=args.cold, dry_run=args.dry_run)
    try:
        with work.repository.locked(args.verb):
            leftovers.sweep(settings)
            answer, text = _locked(args, work)
    except Exception as failed:
        expected = isinstance(failed, _ASKED_WRONGLY)
        outcome = "cold-needed" if isinstance(failed, errors.ColdNeeded) else "failure"
        log.event("restore-end", level="warning" if expected else "error", outcome=outcome, error=str(failed))
        if not (expected or args.dry_run or args.source == "-"):
            news = status.News(incidents=(("restore-failed", str(failed)),))
            status.publish_failure(settings, work.now, log, news, failed)
        raise
    log.event("restore-end", **answer)
    if answer["outcome"] == "restored":
        ended = work.moment().isoformat(timespec="microseconds")
        restored = {"at": ended, "source": answer["source"], "rows": answer["rows"]}
        lost = objects.Collected((), tuple(answer["uploads_lost"]))
        news = status.News(last_restore=restored, uploads=notices.record_of(work.now, answer["source"], lost))
        answer["warnings"] = status.try_to_publish(settings, work.now, log, news)
    if args.to != "-":
        answers.give(args, answer, text)
    return errors.OK


def _locked(args: argparse.Namespace, work: Work) -> Answer:
    if args.to and args.to != "-":
        restore.expect_absent(Path(args.to))
    given = source.Given(sys.stdin.buffer, args.filename, args.manifest_bytes)
    verified = source.verify(work, source.find(work, args.source, given))
    if args.to == "-":
        for block in compress.blocks(verified.raw):
            sys.stdout.buffer.write(block)
        sys.stdout.buffer.flush()
        return {"outcome": "written", "to": args.to}, ""
    if args.to:
        restore.write_to(verified, Path(args.to))
        written = {"outcome": "written", "to": args.to, "rows": dict(verified.described.rows)}
        return written, f"{args.to}: {answers.counts(verified.described.rows)}"
    decided = restore.plan(work, verified, cold=args.cold, allow_missing=args.allow_missing)
    answer: dict[str, Any] = {
        "outcome": "planned",
        **decided.as_answer(),
        "safety": None,
        "kept": None,
        "exchange_s": None,
        "duration_s": work.elapsed(),
    }
    if args.dry_run:
        return answer, answers.of_restore(answer)
    try:
        if decided.cold_because and not args.cold:
            raise errors.ColdNeeded(
                f"{verified.source.shown}: cannot be restored into the running site: "
                + "; ".join(decided.cold_because),
                "stop the site and run again with --cold; nothing was changed",
            )
        done = restore.carry_out(work, decided)
    except errors.ColdNeeded as cold:
        cold.known = {**answer, "outcome": "cold-needed", "mode": restore.COLD}
        raise
    except restore.NotRestored as wrong:
        wrong.known = {**answer, "outcome": "failure", **asdict(wrong.done), "duration_s": work.elapsed()}
        raise
    answer |= {"outcome": "restored", **asdict(done), "duration_s": work.elapsed()}
    return answer, answers.of_restore(answer)
