"""keep, put-back, lay-out: what `./stack deploy` asks for."""

import argparse
import sys
from typing import Any

from .. import answers, deploying, errors, leftovers
from ..work import Work


def keep(args: argparse.Namespace, work: Work) -> int:
    """Keep the quiet database, or only say whether that could be done."""
    if args.wait and not sys.stdin.readline():
        raise errors.Usage("nobody gave the word", "nothing was kept; `./stack deploy` gives it when the site is quiet")
    if args.dry_run:
        seen = deploying.look(work)
        answer: dict[str, Any] = {
            "outcome": "planned",
            "bytes": seen.bytes,
            "free_bytes": seen.free_bytes,
            "user_version": seen.described.user_version,
            "rows": dict(seen.described.rows),
        }
    else:
        answer = {"outcome": "kept", "bytes": deploying.keep(work), "duration_s": work.elapsed()}
    work.log.event("keep", **answer)
    answers.give(args, answer, f"{answer['outcome']}: {answers.size(answer['bytes'])}")
    return errors.OK


def put_back(args: argparse.Namespace, work: Work) -> int:
    """Let the kept copy, or a snapshot by name, be the live database; the site is stopped."""
    if args.name is None:
        described = deploying.put_back(work, None)
    else:
        with work.repository.locked(args.verb):
            leftovers.sweep(work.settings)
            described = deploying.put_back(work, deploying.snapshot(work, args.name))
    answer: dict[str, Any] = {
        "outcome": "restored",
        "source": args.name or "the kept copy",
        "user_version": described.user_version,
        "rows": dict(described.rows),
        "duration_s": work.elapsed(),
    }
    work.log.event("put-back", **answer)
    answers.give(args, answer, f"{answer['source']}: {answers.counts(described.rows)}")
    return errors.OK


def lay_out(args: argparse.Namespace, work: Work) -> int:
    """Lay a snapshot out for the candidate; without a name remove what one worked on."""
    if args.name is None:
        deploying.clear(work.settings)
        answer: dict[str, Any] = {"outcome": "cleared"}
        text = "cleared"
    else:
        with work.repository.locked(args.verb):
            described = deploying.lay_out(work, args.name)
        answer = {"outcome": "laid-out", "user_version": described.user_version, "rows": dict(described.rows)}
        text = f"{args.name}: {answers.counts(described.rows)}"
    work.log.event("lay-out", **answer)
    answers.give(args, answer, text)
    return errors.OK
