"""Answers in words and numbers: how a snapshot is listed, how a restore tells what it did."""

import argparse
import json
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .repository import Stored


def give(args: argparse.Namespace, machine: Mapping[str, Any], text: str) -> None:
    """Print an answer: one object for machines, the same in words for people."""
    print(json.dumps(machine, ensure_ascii=False) if args.json else text)
    if not args.json:
        warn(machine)


def warn(machine: Mapping[str, Any]) -> None:
    """Say on stderr what an answer warns of; whoever reads JSON has it there."""
    for warning in machine.get("warnings") or ():
        print(f"warning: {warning}", file=sys.stderr)


def row(stored: Stored, now: datetime, status: Mapping[str, Any]) -> dict[str, Any]:
    """Give what is known of a snapshot: by its manifest, and by what was published of later looks at it."""
    known: dict[str, Any] = {
        "name": stored.name,
        "tiers": list(stored.tiers),
        "verified": stored.verified,
        "problem": stored.problem,
        "checked": (status.get("checked") or {}).get(stored.name),
        "drill": _newest_drill(stored.name, status),
    }
    made = stored.manifest
    if made is not None:
        known |= {
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
    return known


def _newest_drill(name: str, status: Mapping[str, Any]) -> dict[str, Any] | None:
    for record in reversed(status.get("drills") or []):
        if record.get("name") == name and record.get("judged", True):
            return {key: record.get(key) for key in ("at", "outcome", "duration_s")}
    return None


def line(row: dict[str, Any]) -> str:
    """Put one row of the list into words."""
    if "created" not in row:
        return f"{row['name']}  {'+'.join(row['tiers']):<22}  {row['problem']}"
    state = "verified" if row["verified"] else f"NOT VERIFIED {row['problem'] or ''}".strip()
    drill = "" if row["drill"] is None else f", drill {'passed' if row['drill']['outcome'] == 'success' else 'FAILED'}"
    marks = "".join([drill, " pinned" if row["pinned"] else "", f" {row['kind']}"])
    return (
        f"{row['name']}  {'+'.join(row['tiers']):<22}  {row['age_hours']:>8.1f} h  "
        f"{size(row['bytes']):>9}  {row['rows']:>8} rows  {state}{marks}"
    )


def size(count: int) -> str:
    """Give bytes in a unit that people read."""
    return f"{count / 1024 / 1024:.1f} MiB" if count >= 1024 * 1024 else f"{count / 1024:.1f} KiB"


def of_restore(answer: dict[str, Any]) -> str:
    """Tell what a restore did, or would do."""
    lines = [
        f"{answer['outcome']} ({answer['mode']}): {answer['source']}, {counts(answer['rows'])}",
        f"made {answer['created']}" if answer["signed"] else "unsigned: it came without a manifest of ours",
    ]
    if answer["lost"] is not None and answer["outcome"] == "restored":
        lines.append(f"replaced: {counts(answer['lost']['rows_now'])}")
    if answer["migrated"]:
        lines.append(f"migrated: schema version {answer['migrated']['from']} to {answer['migrated']['to']}")
    if put_back := answer["uploads_put_back"]:
        lines.append(f"{uploads(put_back)} put back")
    if aside := answer["uploads_set_aside"]:
        lines += [f"in the way of an upload, so moved aside: {was} to {now}" for was, now in aside.items()]
    if answer["uploads_lost"]:
        lines.append(f"uploads lost: {', '.join(answer['uploads_lost'])}")
    if answer["cold_because"]:
        lines.append(f"cold, because: {'; '.join(answer['cold_because'])}")
    if answer["safety"]:
        lines.append(f"what was there before: snapshot {answer['safety']}, and {answer['kept']}")
    elif answer["kept"]:
        lines.append(f"what was there before could not be read; its files were moved aside: {answer['kept']}")
    return "\n".join(lines)


def uploads(count: int) -> str:
    """Count them."""
    return "1 upload" if count == 1 else f"{count} uploads"


def counts(rows: Mapping[str, int]) -> str:
    """Give row counts for people."""
    return ", ".join(f"{count} {table}" for table, count in sorted(rows.items()))
