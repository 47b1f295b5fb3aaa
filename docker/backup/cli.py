"""The verbs, their answers for people and for machines, and their exit codes."""

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from . import errors, health, manifest
from .errors import BackupError
from .repository import Repository, Stored
from .settings import Settings, from_environment

_CODES = """exit codes:
  0 done            1 failed, or (health) not healthy        2 usage
  3 no such snapshot      4 damaged: refused, nothing changed      5 database missing or unreadable
  6 no space        7 stop the site and run again with --cold; nothing was changed
  8 the snapshot's schema is newer than the site's       75 busy: something else holds the lock"""

Answer = tuple[dict[str, Any], str]  # the same twice: for --json, and as text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m backup",
        description="Take, keep, check and bring back snapshots of the site.",
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, text: str, *, json_too: bool = True, clock: bool = False) -> argparse.ArgumentParser:
        added = verbs.add_parser(
            name,
            help=text,
            description=text,
            epilog=_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if json_too:
            added.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
        if clock:
            added.add_argument("--at", metavar="ISO", type=_moment, help="pretend this is the time; for tests only")
        return added

    verb("run", "Take snapshots on schedule until stopped (what the container does).", json_too=False)
    verb("health", "Say whether the backups are well; 0 if so, 1 if not.", json_too=False, clock=True)
    now = verb("now", "Take a verified snapshot, then rotate.", clock=True)
    now.add_argument("--pin", action="store_true", help="keep this one until it is removed by hand")
    now.add_argument(
        "--accept-shrink",
        action="store_true",
        help="the database is meant to hold less than half the rows it did: let rotation go on",
    )
    now.add_argument("--scheduled", action="store_true", help=argparse.SUPPRESS)
    verb("list", "Show the snapshots there are.")
    check = verb("verify", "Read every byte of one snapshot, or of all, and mark what is damaged.")
    check.add_argument("name", nargs="?", metavar="NAME")
    rotate = verb("rotate", "Promote and drop as the policy says.", clock=True)
    rotate.add_argument("--dry-run", action="store_true", help="only say what would happen, and why")
    restore = verb("restore", "Verify a snapshot and bring it back: the running site sees old or new.")
    restore.add_argument(
        "source", metavar="SOURCE", help="latest, a name, a path inside the container, or - for bytes on stdin"
    )
    restore.add_argument("--filename", metavar="NAME", help="what the bytes on stdin are called")
    restore.add_argument("--dry-run", action="store_true", help="verify and plan, change nothing")
    restore.add_argument("--cold", action="store_true", help="exchange the file; the site must be stopped")
    restore.add_argument(
        "--to", metavar="PATH", help="write the verified database there (- is stdout), not into the site"
    )
    restore.add_argument(
        "--allow-missing", action="store_true", help="go on although uploads are lost; they are listed"
    )
    return parser


def _moment(text: str) -> datetime:
    try:
        given = datetime.fromisoformat(text)
    except ValueError as wrong:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2026-11-22T02:00:00Z") from wrong
    return given if given.tzinfo else given.replace(tzinfo=UTC)


def main(argv: list[str]) -> int:
    """Run one verb; whatever goes wrong leaves as an error, a hint and a code."""
    args = _parser().parse_args(argv)
    at: datetime | None = getattr(args, "at", None)
    try:
        settings = from_environment()
        if args.verb == "run":
            from .schedule import Schedule

            return Schedule(settings).run()
        if args.verb == "health":
            return _health(settings, at or datetime.now(UTC))
        return _VERBS[args.verb](args, settings, at or datetime.now(UTC))
    except BackupError as refused:
        return _fail(args, refused)
    except Exception as defect:
        traceback.print_exc()
        return _fail(args, BackupError(f"{type(defect).__name__}: {defect}", _DEFECT))
    except KeyboardInterrupt:
        print("error: interrupted\nhint: nothing half-done is left; run it again", file=sys.stderr)
        return 130


_DEFECT = "this is a defect of the backup itself: please report it with the lines above"


def _fail(args: argparse.Namespace, refused: BackupError) -> int:
    if getattr(args, "json", False):
        failed = {"outcome": "failure", "code": refused.code, "error": refused.message, "hint": refused.hint}
        print(json.dumps(failed | refused.known, ensure_ascii=False, default=str))
    print(f"error: {refused.message}\nhint: {refused.hint}", file=sys.stderr)
    return refused.code


def _answer(args: argparse.Namespace, answer: Answer) -> None:
    machine, text = answer
    print(json.dumps(machine, ensure_ascii=False) if args.json else text)


def _health(settings: Settings, now: datetime) -> int:
    found = health.check(settings, now)
    print("healthy" if not found else "unhealthy: " + "; ".join(found))
    return 1 if found else errors.OK


def _now(args: argparse.Namespace, settings: Settings, now: datetime) -> int:
    from . import rotation, snapshot, status
    from .logs import Log, channel

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
        hint = failed.hint if isinstance(failed, BackupError) else _DEFECT
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
    text = f"{made.name}  {_size(made.bytes)}, {sum(made.rows.values())} rows, {len(made.uploads)} uploads"
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
    rows = [_row(snapshot, now) for snapshot in stored]
    answer = {"snapshots": rows, "strays": strays}
    lines = [_line(row) for row in rows] or ["no snapshot yet"]
    lines += [f"{stray}  has no manifest: not counted, not touched" for stray in strays]
    _answer(args, (answer, "\n".join(lines)))
    return errors.OK


def _row(stored: Stored, now: datetime) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": stored.name,
        "tiers": list(stored.tiers),
        "verified": stored.verified,
        "problem": stored.problem,
    }
    made = stored.manifest
    if made is not None:
        row |= {
            "created": made.created.isoformat(),
            "age_hours": round((now - made.created).total_seconds() / 3600, 2),
            "kind": made.kind,
            "pinned": made.pinned,
            "bytes": made.bytes,
            "raw_bytes": made.raw_bytes,
            "rows": sum(made.rows.values()),
            "user_version": made.user_version,
            "uploads": len(made.uploads),
            "missing": list(made.missing),
        }
    return row


def _line(row: dict[str, Any]) -> str:
    if "created" not in row:
        return f"{row['name']}  {'+'.join(row['tiers']):<22}  {row['problem']}"
    state = "verified" if row["verified"] else f"NOT VERIFIED {row['problem'] or ''}".strip()
    marks = "".join([" pinned" if row["pinned"] else "", f" {row['kind']}"])
    return (
        f"{row['name']}  {'+'.join(row['tiers']):<22}  {row['age_hours']:>8.1f} h  "
        f"{_size(row['bytes']):>9}  {row['rows']:>8} rows  {state}{marks}"
    )


def _size(count: int) -> str:
    return f"{count / 1024 / 1024:.1f} MiB" if count >= 1024 * 1024 else f"{count / 1024:.1f} KiB"


def _verify(args: argparse.Namespace, settings: Settings, now: datetime) -> int:
    from . import status, verify
    from .logs import Log, channel

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
    from . import rotation, status

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
    from . import status
    from .logs import Log, channel

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
        if not expected:
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
    from . import compress, restore, source

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
        return written, f"{args.to}: {restore.rows_text(verified.described.rows)}"
    decided = restore.plan(settings, repository, verified, cold=args.cold, allow_missing=args.allow_missing)
    answer: dict[str, Any] = {"outcome": "planned", **decided.as_answer(), "safety": None, "kept": None}
    if args.dry_run:
        answer["duration_s"] = round(time.monotonic() - began, 3)
        return answer, _restore_text(answer)
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
    return answer, _restore_text(answer)


def _restore_text(answer: dict[str, Any]) -> str:
    from .restore import rows_text

    lines = [
        f"{answer['outcome']} ({answer['mode']}): {answer['source']}, {rows_text(answer['rows'])}",
        f"made {answer['created']}" if answer["signed"] else "unsigned: it came without a manifest of ours",
    ]
    if answer["lost"] is not None and answer["outcome"] == "restored":
        lines.append(f"replaced: {rows_text(answer['lost']['rows_now'])}")
    if answer["uploads_put_back"]:
        lines.append(f"{answer['uploads_put_back']} uploads put back")
    if answer["uploads_lost"]:
        lines.append(f"uploads lost: {', '.join(answer['uploads_lost'])}")
    if answer["cold_because"]:
        lines.append(f"cold, because: {'; '.join(answer['cold_because'])}")
    if answer["safety"]:
        lines.append(f"what was there before: snapshot {answer['safety']}, and {answer['kept']}")
    elif answer["kept"]:
        lines.append(f"what was there before could not be read; its files were moved aside: {answer['kept']}")
    return "\n".join(lines)


_VERBS: dict[str, Callable[[argparse.Namespace, Settings, datetime], int]] = {
    "now": _now,
    "list": _list,
    "verify": _verify,
    "rotate": _rotate,
    "restore": _restore,
}
