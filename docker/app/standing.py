"""How the site stands, for people: what /status shows. No path, no name of a host, no word of an error's own."""

import math
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from . import disks, news
from .errors import PUBLIC_MESSAGE, Code
from .health import Health
from .news import News, Tier
from .settings import Settings

# The marks of the drawn axis, evenly apart: between two of them an age lies where its logarithm does.
AXIS = {"1 h": 3600.0, "1 d": 86_400.0, "1 wk": 604_800.0, "1 mo": 2_592_000.0, "1 y": 31_536_000.0}
SILENT_S = 900  # the backup service tells its state every half minute, but for the minutes that a snapshot takes
DRILLS_SHOWN = 5


@dataclass(frozen=True)
class Part:
    """One service, in a word and a sentence."""

    name: str
    state: str  # well, ill, late or unknown: the colour and the sign
    word: str
    sentence: str


@dataclass(frozen=True)
class Shelf:
    """One tier: its newest snapshot on the axis."""

    name: str
    count: int
    newest: datetime | None
    read: datetime | None
    late: bool
    at: float  # percent of the axis
    due_at: float


@dataclass(frozen=True)
class Standing:
    """Everything on the page."""

    parts: tuple[Part, ...]
    shelves: tuple[Shelf, ...]
    drills: tuple[news.Drill, ...]
    disks: tuple[disks.Disk, ...]
    known: News | None


async def look(settings: Settings, health: Health) -> Standing:
    """Look at the site, and at what the backup service told last."""
    try:
        known = news.read(settings.status)
    except news.Unreadable:
        known = None
    return Standing(
        parts=(await _site(settings, health), _backups(known), _drill(known)),
        shelves=tuple(_shelf(tier) for tier in known.tiers) if known else (),
        drills=known.drills[:DRILLS_SHOWN] if known else (),
        disks=disks.look(settings),
        known=known,
    )


def position(seconds: float) -> float:
    """Return where an age lies on the axis, in percent."""
    marks = list(AXIS.values())
    for index, (low, high) in enumerate(pairwise(marks)):
        if seconds < high:
            share = math.log(max(seconds, low) / low) / math.log(high / low)
            return round(100 * (index + share) / (len(marks) - 1), 2)
    return 100.0


async def _site(settings: Settings, health: Health) -> Part:
    answer = await health.healthy()
    if answer.status == 200:
        return Part("Site", "well", "Well", f"Version {settings.version} reads and writes.")
    sentence, _, _ = PUBLIC_MESSAGE[Code(answer.body["error"])].partition(". ")
    return Part("Site", "ill", "Not well", sentence.removesuffix(".") + ".")


def _backups(known: News | None) -> Part:
    name = "Backups"
    if known is None:
        return Part(name, "unknown", "Unknown", "What the backup service last told cannot be read.")
    if news.age(known.updated) > SILENT_S:
        return Part(name, "late", "Silent", "The backup service has told nothing for a while.")
    if not known.healthy:
        return Part(name, "ill", "Not well", "The backup service reports a fault; its operator can read which.")
    return Part(name, "well", "Well", "Snapshots are taken, and each was checked before it counted.")


def _drill(known: News | None) -> Part:
    name = "Drill"
    if known is None:
        return Part(name, "unknown", "Unknown", "Drills are told by the backup service too.")
    if not known.drills:
        return Part(name, "unknown", "None yet", "Once a week the site is started on a snapshot, beside this one.")
    if known.drills[0].passed:
        return Part(name, "well", "Passed", "The last time, the site came up on a snapshot.")
    return Part(name, "ill", "Failed", "The last time, the site did not come up on a snapshot.")


def _shelf(tier: Tier) -> Shelf:
    age = None if tier.newest is None else news.age(tier.newest)
    due = tier.due.total_seconds()
    return Shelf(
        name=tier.name,
        count=tier.count,
        newest=tier.newest,
        read=tier.read,
        late=age is None or age > due,
        at=0.0 if age is None else position(age),
        due_at=position(due),
    )
