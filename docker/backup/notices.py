"""What whoever asks must be told although all went well: each of it worded here, and nowhere else."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from .answers import uploads
from .objects import Collected

_SHOWN = 5


def of_loss(lost: Mapping[str, Any]) -> str:
    """Say that all snapshots before are gone, and what to do."""
    return (
        f"every snapshot up to {lost.get('newest')} is gone from the backups folder, missed since {lost.get('at')}. If "
        "nobody meant that: find what emptied the folder, and put back what another disk holds of it; else "
        "`./stack backup now` takes note of it"
    )


def record_of(at: datetime, snapshot: str, uploads: Collected) -> dict[str, Any]:
    """Give what is published of the files that rows name."""
    return {
        "at": at.isoformat(timespec="seconds"),
        "snapshot": snapshot,
        "missing": len(uploads.missing),
        "gone": len(uploads.gone),
        "closed": len(uploads.closed),
        "differing": len(uploads.differing),
        "warnings": list(of_uploads(uploads)),
    }


def of_uploads(collected: Collected) -> Iterator[str]:
    """Say which files that rows name are not in uploads/ as they were sent, and what to do."""
    back = "whole in the backups: `./stack restore latest` puts back what is not there as it was sent"
    if missing := collected.missing:
        yield f"{_counted(missing)} nowhere whole; put the file back into uploads/: {_names(missing)}"
    if gone := collected.gone:
        yield f"{_counted(gone)} gone from uploads/ and {back}: {_names(gone)}"
    if closed := collected.closed:
        yield f"{_counted(closed)} closed to the keeper, which `./stack up` may mend, and {back}: {_names(closed)}"
    if differing := collected.differing:
        yield f"{_counted(differing)} not as sent, the content in uploads/ differs, and {back}: {_names(differing)}"


def of_suspended(reason: str) -> str:
    """Say that rotation drops nothing."""
    return f"nothing is dropped: {reason}; `./stack backup now --accept-shrink` if that is meant"


def _counted(paths: Sequence[str]) -> str:
    return f"{uploads(len(paths))} {'is' if len(paths) == 1 else 'are'}"


def _names(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return f"{', '.join(paths[:_SHOWN])}{more}"
