"""One look at everything: the site is asked by a thread of its own while the rest is gathered."""

import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ops.monitor import containers, deploys, folders, visitor
from ops.monitor.engine_api import Api, EngineSilent
from ops.monitor.facts import Container, Facts, Silent, Site, Unseen
from ops.settings import Settings

_MIB = 1 << 20
_HOUR_S = 3600
_SITE_S = 4 * visitor.DEADLINE_S  # its three questions, each in time; a dripping answer would last for ever


@dataclass
class _Asked:
    """The site's answers, once they are there."""

    site: Site


def look(settings: Settings, before: Facts | None = None) -> Facts:
    """Gather the facts; what the processors did is counted since the look before, else while this one lasts.

    Raises StackError where the containers are of a stack under another root.
    """
    begun = time.perf_counter()
    nothing = Unseen("the site does not answer to its end")
    asked = _Asked(Site(settings.url, Silent(f"no whole answer within {_SITE_S:g} s"), nothing, nothing))

    def ask() -> None:
        asked.site = visitor.ask(settings.url)

    visit = threading.Thread(target=ask, daemon=True)
    visit.start()
    now = datetime.now(UTC)
    api = Api()
    found: dict[str, Container] | Unseen
    try:
        found = containers.look(api, settings, now)
    except EngineSilent as silent:
        found = Unseen(str(silent))
    except (AttributeError, KeyError, TypeError, ValueError) as strange:
        found = Unseen(f"the Docker engine at {api.address} answers in another form: {strange!r}")
    counted = time.perf_counter()
    seen = folders.look(settings, api, found, now)
    stands = deploys.look(settings)
    api.close()
    waited = time.perf_counter()
    visit.join(max(0.0, begun + _SITE_S - waited))
    waited = time.perf_counter() - waited
    if not isinstance(found, Unseen):
        former = before.containers if before is not None else Unseen("there is no look before")
        if before is None or isinstance(former, Unseen):
            found = containers.with_cpu(found, containers.again(found), time.perf_counter() - counted)
        else:
            found = containers.with_cpu(former, found, (now - before.at).total_seconds())
    facts = Facts(
        at=now,
        project=settings.project,
        root=str(settings.root),
        disk_floor=int(settings.values["MONSITE_DISK_FLOOR_MB"]) * _MIB,
        drill_interval_s=int(settings.values["MONSITE_DRILL_INTERVAL_HOURS"]) * _HOUR_S,
        containers=found,
        site=asked.site,
        folders=seen.folders,
        backups=seen.backups,
        deploys=stands,
    )
    total = time.perf_counter() - begun
    return replace(facts, own_ms=round((total - waited) * 1000, 1), total_ms=round(total * 1000, 1))
