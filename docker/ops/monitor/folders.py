"""What lies under MONSITE_ROOT, looked at from the host or, where that may not look, from within one container."""

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ops.monitor import inside, shapes
from ops.monitor.engine_api import Api, EngineSilent, NotThere
from ops.monitor.facts import Backups, Container, Database, Disk, Errors, Folders, Owner, Size, Unseen
from ops.settings import Settings

RECENT_S = 900  # of the error log
_INSIDE = ("/srv", "/srv/state")
_SOURCE = Path(inside.__file__)
_NAME_TIME = "balades_%Y%m%d_%H%M%S"


@dataclass(frozen=True)
class Seen:
    """What lies in the folders, and what the keeper published there."""

    folders: Folders | Unseen
    backups: Backups | Unseen


def look(settings: Settings, api: Api, containers: Mapping[str, Container] | Unseen, now: datetime) -> Seen:
    """Look at every folder once."""
    root = str(settings.root)
    on_host = settings.values["MONSITE_VOLUMES"] == "folders"
    if on_host and os.geteuid() == 0:
        return parse(_here(root, now), root)
    where = _open_one(containers)
    if where is None:
        if on_host:
            return parse(_here(root, now), root)
        reason = "neither app nor backup runs, and only they see the volumes"
        return Seen(Unseen(reason), Unseen(reason))
    argv = ["python3", "-S", "-I", "-c", _SOURCE.read_text(), *_INSIDE, str(RECENT_S)]
    try:
        code, out, err = api.run_in(where.name, argv)
        told = json.loads(out) if code == 0 else None
    except (EngineSilent, NotThere, ValueError, KeyError, TypeError, RecursionError) as failed:
        code, told, err = 1, None, str(failed)
    if told is None:
        reason = f"{where.name} could not be looked into: {(err.strip().splitlines() or [f'exit code {code}'])[-1]}"
        return Seen(Unseen(reason), Unseen(reason))
    try:
        return parse({**told, **_of_host(settings.root, told, on_host=on_host)}, root)
    except (AttributeError, KeyError, TypeError) as strange:
        reason = f"{where.name} tells of its folders in another form: {strange!r}"
        return Seen(Unseen(reason), Unseen(reason))


def parse(told: Mapping[str, Any], root: str) -> Seen:
    """Turn what was told into types."""
    return Seen(
        Folders(
            database=_database(told["database"], root),
            disks=_disks(told["disks"]),
            sizes={name: Size(size["bytes"], size["whole"]) for name, size in told["sizes"].items()},
            errors=_errors(told["errors"], root),
            heals=_heals(told["heals"], root),
            owners={name: _owner(one, f"{root}/{name}") for name, one in told["owners"].items()},
            draining=_closed(told["draining"], f"{root}/state/app/draining") or told["draining"],
        ),
        _backups(told, root),
    )


def _of_host(root: Path, told: Mapping[str, Any], *, on_host: bool) -> dict[str, Any]:
    """Return what the host sees of the folders from without; a volume that a container has not is none that is gone."""
    if on_host:
        return {"disks": inside.disks(root), "owners": inside.owners(root)}
    return {"owners": {name: owner for name, owner in told["owners"].items() if owner is not None}}


def _here(root: str, now: datetime) -> dict[str, Any]:
    return inside.look(Path(root), Path(root) / "state" / "app", RECENT_S, now.timestamp())


def _open_one(containers: Mapping[str, Container] | Unseen) -> Container | None:
    if isinstance(containers, Unseen):
        return None
    running = [containers[name] for name in ("app", "backup") if containers[name].status == "running"]
    return running[0] if running else None


def _closed(told: Any, path: str) -> Unseen | None:
    return Unseen(f"{path}: {told['closed']}") if isinstance(told, dict) and "closed" in told else None


def _database(told: Any, root: str) -> Database | Unseen | None:
    if told is None:
        return None
    return _closed(told, f"{root}/data/balades.db") or Database(**told)


def _owner(told: Any, path: str) -> Owner | Unseen | None:
    return None if told is None else _closed(told, path) or Owner(**told)


def _errors(told: Any, root: str) -> Errors | Unseen:
    path = f"{root}/logs/error.log"
    return _closed(told, path) or (Unseen(f"{path}: not there") if told is None else Errors(**told))


def _heals(told: Any, root: str) -> tuple[datetime, ...] | Unseen:
    path = f"{root}/state/app/heal.json"
    if closed := _closed(told, path):
        return closed
    try:
        return tuple(datetime.fromtimestamp(at, UTC) for at in ([] if told is None else told["heals"]))
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return Unseen(f"{path}: it is damaged")


def _disks(told: Mapping[str, Any]) -> tuple[Disk, ...]:
    found: dict[int, Disk] = {}
    for name, disk in told.items():
        before = found.get(disk["device"])
        facts = (disk["free"], disk["total"], disk["free_names"], disk["names"])
        found[disk["device"]] = Disk((*(before.folders if before else ()), name), *facts)
    return tuple(found.values())


def _backups(told: Mapping[str, Any], root: str) -> Backups | Unseen:
    if closed := _closed(told["backup"], f"{root}/status/backup.json"):
        return closed
    known = told["backup"]
    if known is None:
        return Backups({}, _newest_of_tier(told["tiers"], {}))
    if unfit := shapes.fault(known, shapes.PUBLISHED):
        return Unseen(f"{root}/status/backup.json: {unfit}")
    return Backups(known, _newest_of_tier(told["tiers"], known))


def _newest_of_tier(names: Mapping[str, str], known: Mapping[str, Any]) -> dict[str, datetime]:
    """Return when the newest snapshot of each tier was made: as published, else by its name, which says it."""
    told = known.get("newest_of")
    if told is not None:
        made = {tier: told[tier]["created"] for tier in inside.TIERS if told.get(tier)}
        return {tier: datetime.fromisoformat(at).astimezone(UTC) for tier, at in made.items()}
    found = {}
    for tier, name in names.items():
        with contextlib.suppress(ValueError):  # a name with a suffix of its own, such as a safety copy
            found[tier] = datetime.strptime(name.removesuffix(".json"), _NAME_TIME).replace(tzinfo=UTC)
    return found
