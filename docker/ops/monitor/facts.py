"""What one look at the stack saw; what could not be looked at is a value too, with its reason."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Unseen:
    """Something that could not be looked at."""

    reason: str


@dataclass(frozen=True)
class Silent:
    """Somebody who was asked and gave no answer in time."""

    reason: str


@dataclass(frozen=True)
class Resources:
    """What the control group of a container counts."""

    memory: int  # bytes that the kernel cannot take back: without the page cache
    memory_limit: int | None  # None: unlimited
    pids: int
    pids_limit: int | None
    cpu_ns: int  # used since the container started
    oom_kills: int  # processes that the kernel ended for want of memory, since the container started


@dataclass(frozen=True)
class Container:
    """One service's container, as the engine and its control group tell."""

    service: str
    name: str
    status: str  # running, exited, restarting …, or "missing"
    health: str = ""  # healthy, unhealthy, starting; empty without a check
    probe: str = ""  # what its last health check said
    restarts: int = 0  # by its restart policy, since somebody last started it
    exit_code: int = 0
    oom_killed: bool = False
    created: datetime | None = None
    started: datetime | None = None
    deaths: tuple[datetime, ...] = ()  # that the engine still remembers
    pid: int = 0  # its first process, on the host
    cpus: float = 0.0  # its limit; 0: unlimited
    resources: Resources | Unseen | None = None  # None: it does not run
    cpu_share: float | None = None  # of its limit, while the look lasted


@dataclass(frozen=True)
class Answer:
    """What came back over HTTP."""

    status: int
    said: str  # the one word of the body that matters
    ms: float


@dataclass(frozen=True)
class Site:
    """The site as a visitor meets it: through the gate."""

    url: str
    gate: Answer | Silent
    health: Answer | Silent | Unseen
    ready: Answer | Silent | Unseen


@dataclass(frozen=True)
class Database:
    """The live database's file."""

    bytes: int
    uid: int
    mode: int
    folder_uid: int
    folder_mode: int
    wal_bytes: int


@dataclass(frozen=True)
class Owner:
    """Whose a folder is."""

    uid: int
    mode: int


@dataclass(frozen=True)
class Disk:
    """A file system that holds some of the stack's folders."""

    folders: tuple[str, ...]
    free: int  # bytes
    total: int
    free_names: int
    names: int  # 0: it does not count them


@dataclass(frozen=True)
class Size:
    """How much lies in a folder."""

    bytes: int
    whole: bool  # False: there was more than was counted


@dataclass(frozen=True)
class Errors:
    """What the site logged as errors of late."""

    count: int
    most: str  # the event that came most often


@dataclass(frozen=True)
class Folders:
    """What lies under MONSITE_ROOT."""

    database: Database | Unseen | None
    disks: tuple[Disk, ...]
    sizes: Mapping[str, Size]
    errors: Errors | Unseen
    heals: tuple[datetime, ...] | Unseen  # restarts by the app's own probe
    draining: Mapping[str, Any] | Unseen | None  # the flag that keeps new requests at the gate
    owners: Mapping[str, Owner | Unseen | None] = field(default_factory=dict)  # None: the folder is not there


@dataclass(frozen=True)
class Backups:
    """What the keeper of the snapshots last published."""

    known: Mapping[str, Any]  # empty: nothing yet
    newest_of_tier: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """A changing verb of ./stack that has the lock now."""

    verb: str
    pid: int
    since: datetime


@dataclass(frozen=True)
class Deploys:
    """Where deploys stand."""

    journal: Mapping[str, Any] | Unseen | None
    last: Mapping[str, Any] | Unseen | None  # the newest line of the history
    work: Work | None
    ever_up: bool  # `up` has recorded what it made


@dataclass(frozen=True)
class Facts:
    """One look."""

    at: datetime
    project: str
    root: str
    disk_floor: int  # bytes below which the site calls itself ill
    drill_interval_s: float
    containers: Mapping[str, Container] | Unseen
    site: Site | None  # None: nothing was ever started, so there is nobody to ask
    folders: Folders | Unseen
    backups: Backups | Unseen
    deploys: Deploys
    own_ms: float = 0.0  # the look's own time, without what it waited for the site
    total_ms: float = 0.0
