"""list, rotate, unpin: what stands there, and what may go."""

import argparse
from dataclasses import asdict, replace

from .. import answers, errors, health, rotation, status
from ..work import Work


def show(args: argparse.Namespace, work: Work) -> int:
    """List the snapshots, newest first, and what lies there without a manifest."""
    known = health.read_status(work.settings.status)
    rows = [answers.row(stored, work.now, known) for stored in work.repository.all()]
    strays = work.repository.strays()
    lines = [answers.line(row) for row in rows] or ["no snapshot yet"]
    lines += [f"{stray}  has no manifest: not counted, not touched" for stray in strays]
    answers.give(args, {"snapshots": rows, "strays": strays}, "\n".join(lines))
    return errors.OK


def rotate(args: argparse.Namespace, work: Work) -> int:
    """Do what the policy asks for, or only say it."""
    repository = work.repository
    with repository.locked(args.verb):
        decided = rotation.plan(repository.for_plan(), work.settings.policy, work.now)
        applied = None if args.dry_run else rotation.apply(decided, repository)
    warned = [] if applied is None else status.try_to_publish(work.settings, work.now, work.log)
    answer = {
        "outcome": "planned" if applied is None else "applied",
        "keep": decided.keep,
        "drop": decided.drop,
        "suspended": decided.suspended,
        "applied": None if applied is None else asdict(applied),
        "warnings": warned,
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
    answers.give(args, answer, "\n".join(lines) or "no snapshot yet")
    return errors.OK


def unpin(args: argparse.Namespace, work: Work) -> int:
    """Take the pin off, so that rotation may judge the snapshot like any other."""
    repository = work.repository
    with repository.locked(args.verb):
        stored = repository.find(args.name)
        made = stored.manifest
        if made is None:
            raise errors.Damaged(
                f"{stored.name}: {stored.problem}", "without a manifest it has no pin; it can only be removed by hand"
            )
        if made.pinned:
            repository.rewrite(replace(made, pinned=False))
            work.log.event("unpinned", snapshot=made.name, kind=made.kind)
    answer = {"outcome": "success", "name": made.name, "kind": made.kind, "was_pinned": made.pinned}
    answers.give(args, answer, f"{made.name}  {'no longer pinned' if made.pinned else 'was not pinned'}")
    return errors.OK
