"""The monitor's document where nothing could be looked at; it imports nothing of ours, for ./stack on bare Python."""

from datetime import datetime
from typing import Any

SCHEMA = 1
COULD_NOT_LOOK = 3


def document(message: str, hint: str, at: datetime) -> dict[str, Any]:
    """Give the form of every report, with one check that says why there is no other."""
    threshold = {"expected": "looked at", "sense": None, "warning": None, "critical": None}
    only = {"id": "monitor.look", "subject": "monitor", "value": None, "unit": "", "threshold": threshold}
    return {
        "schema": SCHEMA,
        "at": at.isoformat(timespec="milliseconds"),
        "project": None,
        "url": None,
        "status": "unknown",
        "code": COULD_NOT_LOOK,
        "checks": [{**only, "status": "unknown", "text": message, "hint": hint or None, "during": None}],
        "services": [],
        "site": None,
        "folders": None,
        "backups": None,
        "deploys": None,
        "took_ms": {"own": 0.0, "total": 0.0},
    }
