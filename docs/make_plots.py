"""Draw what backups cost as the database grows, from the figures of a benchmark run, and print them as a table.

usage: .venv/bin/python docs/make_plots.py [RUN_FOLDER]

Reads benchmarks/backup-cost-*.json of the run (default: reports/latest), which `-m benchmark` writes, and writes
docs/pictures/backup-cost.svg. Figures of a rehearsal are refused.
"""

import json
import sys
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from fixtures import contract as promises  # noqa: E402  # found beside this script's folder
from fixtures.figures import Chart, Line, draw  # noqa: E402

PICTURE = CHECKOUT / "docs" / "pictures" / "backup-cost.svg"
VERBS = ("restore", "snapshot", "verify")
HEAD = "| database | snapshot | verify | restore | anonymous memory, most | WAL at 50 commits/s |"


def read(run: Path) -> list[dict[str, Any]]:
    """Read the figures of a run, each size the contract names, or say what is missing."""
    wanted = sorted(promises.load().campaigns["cost_mb"])
    paths = sorted((run / "benchmarks").glob("backup-cost-*.json"))
    figures: list[dict[str, Any]] = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    if [one["mb"] for one in figures] != wanted:
        sys.exit(
            f"error: {run}: figures of {[one['mb'] for one in figures]} MB, wanted {wanted}\n"
            "hint: .venv/bin/pytest -m benchmark tests/benchmarks/test_backup_speed.py -k cost"
        )
    if any(one["rehearsal"] for one in figures):
        sys.exit(f"error: {run}: a rehearsal (--size-mb)\nhint: run the benchmark without it, on a quiet machine")
    return figures


def memory(one: dict[str, Any]) -> float:
    """The most of all three commands."""
    return max(float(one[verb]["anonymous_mib"]) for verb in VERBS)


def charts(figures: list[dict[str, Any]], promised_mib: float) -> list[Chart]:
    """Put the figures into three charts."""
    times = [Line(verb, [(one["mb"], one[verb]["seconds"]) for one in figures]) for verb in VERBS]
    most = Line("anonymous memory", [(one["mb"], memory(one)) for one in figures])
    wal = Line("WAL", [(one["mb"], one["wal_mib"]) for one in figures])
    return [
        Chart("Seconds", "MB of database", times),
        Chart("Memory, MiB at most", "MB of database", [most], promised_mib, f"promised: {promised_mib:g} MiB"),
        Chart("WAL during a snapshot, MiB", "MB of database", [wal]),
    ]


def table(figures: list[dict[str, Any]]) -> str:
    """Put the figures into Markdown."""
    rows = [HEAD, "| ---: " * 6 + "|"]
    for one in figures:
        seconds = " | ".join(f"{one[verb]['seconds']:.1f} s" for verb in ("snapshot", "verify", "restore"))
        rows.append(f"| {one['mb']:,} MB | {seconds} | {memory(one):.0f} MiB | {one['wal_mib']:.1f} MiB |")
    return "\n".join(rows)


def main(argv: list[str]) -> None:
    """Draw and print."""
    run = Path(argv[0]) if argv else CHECKOUT / "reports" / "latest"
    figures = read(run)
    promised = promises.load().campaigns.number("anonymous_mib")
    description = "What backups cost as the database grows from 10 to 2,000 MB: seconds, memory, WAL"
    PICTURE.write_text(draw(charts(figures, promised), description), encoding="utf-8")
    print(table(figures))


if __name__ == "__main__":
    main(sys.argv[1:])
