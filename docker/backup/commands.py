"""What each verb does, from the lock to the answer; one object for machines, the same in words for people."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from . import answers, compress, errors, manifest, restore, rotation, snapshot, source, status, verify
from .errors import DEFECT, BackupError
from .logs import Log, channel
from .repository import Repository
from .settings import Settings

Answer = tuple[dict[str, Any], str]  # for --json, and as text


def _answer(args: argparse.Namespace, answer: Answer) -> None:
    machine, text = answer
    print(json.dumps(machine, ensure_ascii=False) if args.json else text)


def _now(args: argparse.Namespace, settings: Settings, now: datetime) -> int:
    log = Log(channel(own_stdout=args.scheduled), settings.log_level)
    began, kind = time.monotonic(), manifest.SCHEDULED if args.scheduled else manifest.MANUAL
    repository = Repository(settings.backups)
    started = now.isoformat(timespec="seconds")
    run = {"outcome": "failure", "started": started, "finished": started, "error": None, "hint": None}

    def finished() -> str:
        return (now + timedelta(seconds=time.monotonic() - began)).isoformat(timespec="seconds")

    try:
        with repository.locked():
            request = snapshot.Request(kind, pinned=args.pin, accept_shrink=args.accept_shrink)
            made = snapshot.take(settings, repository, request, now, log)
            decided = rotation.plan(repository.for_plan(), settings.policy, now)
            applied = rotation.apply(decided, repository)
    except errors.Busy:
        log.event("snapshot-end", outcome="busy", level="warning")
        raise
    except Exception as failed:
        error = failed.message if isinstance(failed, BackupError) else f"{type(failed).__name__}: {failed}"
        hint = failed.hint if isinstance(failed, BackupError) else DEFECT
        log.event("snapshot-end", outcome="failure", level="error", error=error, hint=hint)
        run |= {"finished": finished(), "error": error, "hint": hint}
        status.publish(settings, now, last_run=run, incident=("snapshot-failed", error))
        raise
    run |= {"outcome": "success", "finished": finished()}
    status.publish(settings, now, last_run=run, incident=_incident(made, decided.suspended))
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
        "duration_s": round(time.monotonic() - began, 3),
        "rotation": {**asdict(applied), "suspended": decided.suspended},
    }
    log.event("snapshot-end", **answer)
    text = f"{made.name}  {answers.size(made.bytes)}, {sum(made.rows.values())} rows, {len(made.uploads)} uploads"
    if made.missing:
        text += f"\nlost uploads, named by rows and found nowhere: {', '.join(made.missing)}"
    if decided.suspended:
        text += f"\nrotation is suspended: {decided.suspended} (`backup now --accept-shrink` if that is meant)"
    if not args.scheduled:
        _answer(args, (answer, text))
    return errors.OK


def _incident(made: manifest.Manifest, suspended: str | None) -> tuple[str, str] | None:
    if made.missing:
        return "uploads-missing", f"{len(made.missing)} uploads are nowhere whole: {', '.join(made.missing[:5])}"
    if suspended is not None:
        return "shrunk", f"{suspended}; nothing is dropped until `backup now --accept-shrink` says it is meant"
    return None


def _list(args: argparse.Namespace, settings: Settings, now: datetime) -> int:
    repository = Repository(settings.backups)
    stored = repository.all()
    strays = repository.strays()
    rows = [answers.row(snapshot, now) for snapshot in stored]
    answer = {"snapshots": rows, "strays": strays}
    lines = [answers.line(row) for row in rows] or ["no snapshot yet"]
    lines += [f"{stray}  has no manifest: not counted, not touched" for stray in strays]
    _answer(args, (answer, "\n".join(lines)))
    return errors.OK


def _verify(args: argparse.Namespace, settings: Settings, now: datetime) -> int:
    repository = Repository(settings.backups)
    with repository.locked():
        names = [repository.find(args.name).name] if args.name else repository.names()
        if not names:
            raise errors.NoSuchSnapshot(f"{settings.backups}: there is no snapshot", "take one: `./stack backup now`")
        findings = verify.verify(repository, names, Log(channel(own_stdout=False), settings.log_level))
    incident = ("damaged", "; ".join(finding.reason for finding in findings)) if findings else None
    status.publish(settings, now, incident=incident)
    answer = {
        "outcome": "damaged" if findings else "ok",
        "checked": len(names),
        "damaged": [asdict(finding) for finding in findings],
    }
    lines = [f"{finding.name}: {finding.reason}" for finding in findings]
    _answer(args, (answer, "\n".join([f"{len(names)} snapshots checked, {len(findings)} findings", *lines])))
    return errors.Damaged.code if findings else errors.OK


def _rotate(args: argparse.Namespace, settings: Settings, now: datetime) -> int:
    repository = Repository(settings.backups)
    with repository.locked():
        decided = rotation.plan(repository.for_plan(), settings.policy, now)
        applied = None if args.dry_run else rotation.apply(decided, repository)
    if applied is not None:
        status.publish(settings, now)
    answer = {
        "outcome": "planned" if applied is None else "applied",
        "keep": decided.keep,
        "drop": decided.drop,
        "suspended": decided.suspended,
        "applied": None if applied is None else asdict(applied),
    }
    lines = [
        f"keep {tier:<8} {name}  {', '.join(why)}"
        for tier, names in decided.keep.items()
        for name, why in sorted(names.items(), reverse=True)
    ]
    lines += [
        f"drop {tier:<8} {name}  {why}"
        for tier, names in decided.drop.items()
        for name, why in sorted(names.items(), reverse=True)
    ]
    if decided.suspended:
        lines.append(f"nothing is dropped: {decided.suspended}")
    _answer(args, (answer, "\n".join(lines) or "no snapshot yet"))
    return errors.OK


# Refusals that say something about the question and nothing about the backups: no incident.
_ASKED_WRONGLY = (errors.Usage, errors.NoSuchSnapshot, errors.ColdNeeded, errors.SchemaNewer, errors.Busy)


def _restore(args: argparse.Namespace, settings: Settings, now: datetime) -> int:
    if args.to == "-" and args.json:
        raise errors.Usage("--to - and --json both want stdout", "use one of them, or --to PATH")
    log = Log(channel(own_stdout=False), settings.log_level)
    repository = Repository(settings.backups)
    log.event("restore-start", source=args.source, cold=args.cold, dry_run=args.dry_run)
    try:
        with repository.locked():
            answer, text = _restore_locked(args, settings, repository, now, log)
    except Exception as failed:
        expected = isinstance(failed, _ASKED_WRONGLY)
        outcome = "cold-needed" if isinstance(failed, errors.ColdNeeded) else "failure"
        log.event("restore-end", level="warning" if expected else "error", outcome=outcome, error=str(failed))
        if not (expected or args.dry_run or args.source == "-"):
            status.publish(settings, now, incident=("restore-failed", str(failed)))
        raise
    log.event("restore-end", **answer)
    if answer["outcome"] == "restored":
        status.publish(settings, now)
    if args.to != "-":
        _answer(args, (answer, text))
    return errors.OK


def _restore_locked(
    args: argparse.Namespace, settings: Settings, repository: Repository, now: datetime, log: Any
) -> Answer:
    began = time.monotonic()
    found = source.find(settings, repository, args.source, args.filename, now, sys.stdin.buffer)
    verified = source.verify(settings, repository, found)
    if args.to == "-":
        for block in compress.blocks(verified.raw):
            sys.stdout.buffer.write(block)
        sys.stdout.buffer.flush()
        return {"outcome": "written", "to": args.to}, ""
    if args.to:
        restore.write_to(verified, Path(args.to))
        written = {"outcome": "written", "to": args.to, "rows": dict(verified.described.rows)}
        return written, f"{args.to}: {answers.counts(verified.described.rows)}"
    decided = restore.plan(settings, repository, verified, cold=args.cold, allow_missing=args.allow_missing)
    answer: dict[str, Any] = {"outcome": "planned", **decided.as_answer(), "safety": None, "kept": None}
    if args.dry_run:
        answer["duration_s"] = round(time.monotonic() - began, 3)
        return answer, answers.of_restore(answer)
    try:
        if decided.cold_because and not args.cold:
            raise errors.ColdNeeded(
                f"{verified.source.shown}: cannot be restored into the running site: "
                + "; ".join(decided.cold_because),
                "stop the site and run again with --cold; nothing was changed",
            )
        done = restore.carry_out(settings, repository, decided, now, log)
    except errors.ColdNeeded as cold:
        cold.known = {**answer, "outcome": "cold-needed", "mode": restore.COLD}
        raise
    answer |= {"outcome": "restored", "safety": done.safety, "kept": done.kept}
    answer["duration_s"] = round(time.monotonic() - began, 3)
    return answer, answers.of_restore(answer)


VERBS: dict[str, Callable[[argparse.Namespace, Settings, datetime], int]] = {
    "now": _now,
    "list": _list,
    "verify": _verify,
    "rotate": _rotate,
    "restore": _restore,
}
