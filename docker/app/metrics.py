"""The site in figures, for whoever holds the metrics token. What cannot be looked at is left out, never a zero."""

from collections.abc import Iterator
from itertools import accumulate

from . import disks, news, schema
from .doors import Doors
from .exposition import Family, Sample
from .health import Health
from .settings import Settings
from .store import Store
from .traffic import BUCKETS, Traffic


class Metrics:
    """Gathers them anew for each question."""

    def __init__(self, settings: Settings, health: Health, store: Store, traffic: Traffic, doors: Doors) -> None:
        self._settings = settings
        self._health = health
        self._store = store
        self._traffic = traffic
        self._doors = doors

    async def families(self) -> list[Family]:
        """Return everything there is to tell."""
        well = (await self._health.healthy()).status == 200
        return [*self._of_the_site(well), *self._of_requests(), *self._of_the_disk(), *self._of_the_backups()]

    def _of_the_site(self, well: bool) -> Iterator[Family]:
        version = {"version": self._settings.version, "schema": str(schema.VERSION)}
        yield _gauge("balades_info", "The version that runs, and the schema it needs.", Sample(1, version))
        yield _gauge("balades_uptime_seconds", "Since the site started.", Sample(self._health.uptime))
        yield _gauge("balades_healthy", "1 while the site is well: it writes, has space, the schema fits.", _flag(well))
        yield _gauge("balades_draining", "1 while a deploy asks the site to wait.", _flag(self._doors.draining()))

    def _of_requests(self) -> Iterator[Family]:
        served = sorted(self._traffic.served.items())
        yield _counter(
            "balades_requests_total",
            "Requests of visitors that ended, without the questions of health.",
            *(Sample(count, {"method": method, "status": status}) for (method, status), count in served),
        )
        counts = list(accumulate(self._traffic.took))
        bounds = [*map(repr, BUCKETS), "+Inf"]
        yield Family(
            "balades_request_duration_seconds",
            "histogram",
            "From the first byte of a request to the last of its answer.",
            (
                *(Sample(n, {"le": bound}, "_bucket") for bound, n in zip(bounds, counts, strict=True)),
                Sample(self._traffic.took_s, suffix="_sum"),
                Sample(counts[-1], suffix="_count"),
            ),
        )
        in_flight = self._traffic.seen()["in_flight"]
        yield _gauge("balades_requests_in_flight", "Being served now, this one included.", Sample(in_flight))
        written = Sample(self._store.written)
        yield _counter("balades_writes_total", "Changes of walks and attachments that were acknowledged.", written)

    def _of_the_disk(self) -> Iterator[Family]:
        path = self._settings.database
        for name, of, about in (
            ("balades_database_bytes", path, "Size of the database file."),
            ("balades_wal_bytes", path.with_name(f"{path.name}-wal"), "Size of its write-ahead log."),
        ):
            try:
                yield _gauge(name, about, Sample(of.stat().st_size))
            except OSError:
                continue
        free = [Sample(disk.free, {"holds": name}) for disk in disks.look(self._settings) for name in disk.holds]
        yield _gauge("balades_disk_free_bytes", "Space left for what is kept there.", *free)

    def _of_the_backups(self) -> Iterator[Family]:
        try:
            known = news.read(self._settings.status)
        except news.Unreadable:
            yield _gauge("balades_backup_known", "1 while the state of the backups can be read.", _flag(False))
            return
        yield _gauge("balades_backup_known", "1 while the state of the backups can be read.", _flag(True))
        yield _gauge("balades_backup_healthy", "1 while the backup service calls itself well.", _flag(known.healthy))
        told = Sample(news.age(known.updated))
        yield _gauge("balades_backup_told_seconds", "Since the backup service last told its state.", told)
        yield _gauge(
            "balades_snapshots",
            "Snapshots stored.",
            *(Sample(tier.count, {"tier": tier.name}) for tier in known.tiers),
        )
        yield _gauge(
            "balades_snapshot_age_seconds",
            "Age of the newest verified snapshot.",
            *(Sample(news.age(tier.newest), {"tier": tier.name}) for tier in known.tiers if tier.newest),
        )
        if known.free_bytes is not None:
            yield _gauge("balades_backup_free_bytes", "Space left for snapshots.", Sample(known.free_bytes))
        for last in known.drills[:1]:
            yield _gauge("balades_drill_passed", "1 where the last drill passed.", _flag(last.passed))
            yield _gauge("balades_drill_age_seconds", "Since the last drill.", Sample(news.age(last.at)))


def _gauge(name: str, about: str, *samples: Sample) -> Family:
    return Family(name, "gauge", about, samples)


def _counter(name: str, about: str, *samples: Sample) -> Family:
    return Family(name, "counter", about, samples)


def _flag(holds: bool) -> Sample:
    return Sample(int(holds))
