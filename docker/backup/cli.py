"""The command line: verbs, options, and the codes and words with which each of them ends."""

import argparse
import json
import sys
import traceback
from datetime import UTC, datetime

from . import answers, errors, health, progress
from .errors import BackupError
from .settings import Settings, from_environment

_CODES = """exit codes:
  0 done            1 failed, or (health) not healthy        2 usage
  3 no such snapshot      4 damaged: refused, nothing changed      5 database missing or unreadable
  6 no space        7 stop the site and run again with --cold; nothing was changed
  8 the snapshot's schema is newer than the site's       75 busy: something else holds the lock
  9 the site's image does not start on this snapshot, or cannot migrate it; nothing was changed"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m backup",
        description="Take, keep, check and bring back snapshots of the site.",
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(
        name: str, text: str, *, json_too: bool = True, clock: bool = False, long: bool = False
    ) -> argparse.ArgumentParser:
        added = verbs.add_parser(
            name,
            help=text,
            description=text,
            epilog=_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if json_too:
            added.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
        if long:
            added.add_argument("--progress", action="store_true", help="tell on stderr how far it is, as JSON lines")
        if clock:
            added.add_argument("--at", metavar="ISO", type=_moment, help="pretend this is the time; for tests only")
        return added

    verb("run", "Take snapshots on schedule until stopped (what the container does).", json_too=False)
    verb("health", "Say whether the backups are well; 0 if so, 1 if not.", json_too=False, clock=True)
    now = verb("now", "Take a verified snapshot, then rotate.", clock=True, long=True)
    now.add_argument("--pin", action="store_true", help="keep this one until `unpin` takes the pin off")
    now.add_argument(
        "--accept-shrink",
        action="store_true",
        help="the database is meant to hold less than half the rows it did: let rotation go on",
    )
    verb("list", "Show the snapshots there are.", clock=True)
    check = verb(
        "verify", "Read every byte of one snapshot, or of all, and mark what is damaged.", clock=True, long=True
    )
    check.add_argument("name", nargs="?", metavar="NAME")
    drill = verb(
        "drill",
        "Bring a snapshot back in scratch/ and let the site start on it; the newest verified one without NAME.",
        clock=True,
        long=True,
    )
    drill.add_argument("name", nargs="?", metavar="NAME")
    for scheduled in (now, check, drill):
        scheduled.add_argument("--scheduled", action="store_true", help=argparse.SUPPRESS)
    rotate = verb("rotate", "Promote and drop as the policy says.", clock=True)
    rotate.add_argument("--dry-run", action="store_true", help="only say what would happen, and why")
    unpin = verb("unpin", "Take the pin off a snapshot; rotation drops a restore's safety copy then.", clock=True)
    unpin.add_argument("name", metavar="NAME")
    restore = verb(
        "restore", "Verify a snapshot and bring it back: the running site sees old or new.", clock=True, long=True
    )
    restore.add_argument(
        "source", metavar="SOURCE", help="latest, a name, a path inside the container, or - for bytes on stdin"
    )
    restore.add_argument("--filename", metavar="NAME", help="what the bytes on stdin are called")
    restore.add_argument(
        "--manifest-bytes",
        metavar="N",
        type=int,
        default=0,
        help="so many bytes on stdin are its manifest",
    )
    restore.add_argument("--dry-run", action="store_true", help="verify and plan, change nothing")
    restore.add_argument("--cold", action="store_true", help="exchange the file; the site must be stopped")
    restore.add_argument(
        "--to", metavar="PATH", help="write the verified database there (- is stdout), not into the site"
    )
    restore.add_argument(
        "--allow-missing", action="store_true", help="go on although uploads are lost; they are listed"
    )
    keep = verb("keep", "Copy the quiet database to data/balades.db.backup, checked; the site must be stopped.")
    keep.add_argument("--dry-run", action="store_true", help="only say whether a deploy could: owner, room, soundness")
    keep.add_argument("--wait", action="store_true", help="begin when a line comes on stdin; without one do nothing")
    back = verb("put-back", "Let the kept copy, or the snapshot NAME, be the live database; the site must be stopped.")
    back.add_argument("name", nargs="?", metavar="NAME")
    lay = verb("lay-out", "Lay the snapshot NAME out in scratch/candidate/; without NAME remove what lies there.")
    lay.add_argument("name", nargs="?", metavar="NAME")
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
        return _work(args, settings, at or datetime.now(UTC))
    except BackupError as refused:
        return _fail(args, refused)
    except Exception as defect:
        traceback.print_exc()
        return _fail(args, errors.as_told(defect))
    except KeyboardInterrupt:
        print("error: interrupted\nhint: nothing half-done is left; run it again", file=sys.stderr)
        return 130


def _work(args: argparse.Namespace, settings: Settings, now: datetime) -> int:
    # Here, so that the health check needs none of it.
    from .commands import VERBS
    from .logs import Log, channel
    from .repository import Repository
    from .work import Work

    log = Log(channel(own_stdout=getattr(args, "scheduled", False)), settings.log_level)
    told = progress.on_stderr() if getattr(args, "progress", False) else progress.SILENT
    return VERBS[args.verb](args, Work(settings, Repository(settings.backups), now, log, told))


def _fail(args: argparse.Namespace, refused: BackupError) -> int:
    if getattr(args, "json", False):
        failed = {"outcome": "failure", "code": refused.code, "error": refused.message, "hint": refused.hint}
        print(json.dumps(failed | refused.known, ensure_ascii=False, default=str))
    else:
        answers.warn(refused.known)
    print(f"error: {refused.message}\nhint: {refused.hint}", file=sys.stderr)
    return refused.code


def _health(settings: Settings, now: datetime) -> int:
    found = health.check(settings, now)
    print("healthy" if not found else "unhealthy: " + "; ".join(found))
    return 1 if found else errors.OK
