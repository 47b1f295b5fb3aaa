"""What was asked of a deploy or rollback, and which release, who vouches for it and whose data that means."""

from dataclasses import dataclass
from pathlib import Path

from ops import container, history, releases, switch, vouching
from ops.compose import Compose
from ops.errors import DeployError, Ending
from ops.release import Release
from ops.vouching import Vouched


@dataclass(frozen=True)
class Wish:
    """What was asked for."""

    verb: str = "deploy"
    release: str | None = None
    report: Path | None = None
    without_report: str | None = None
    steps: int = 1  # rollback: how many releases back
    with_data: bool = False  # rollback: the data of then too
    with_gate: bool = False
    dry_run: bool = False
    wait_s: float = 60.0
    watch_s: float = 30.0


@dataclass(frozen=True)
class Choice:
    """What the wish comes to."""

    wanted: Release
    vouched: Vouched
    data_from: str | None  # the snapshot whose data comes with the release


def choose(compose: Compose, wish: Wish, former: Release) -> Choice:
    """Choose what the wish means. Raises DeployError where there is no such release, or nobody vouches for it."""
    settings = compose.settings
    if wish.verb == "deploy":
        wanted = releases.choose(settings, wish.release)
        if is_live(compose, wanted, wish):
            return Choice(wanted, Vouched(None, None, None), None)
        return Choice(wanted, vouching.expect(settings, wanted, wish.report, wish.without_report), None)
    lines = history.read(settings).lines
    lived = history.lived(lines)
    before = lived[:-1] if lived and lived[-1]["to"] == former.id else lived
    if len(before) < wish.steps:
        raise DeployError(
            f"there is no release {wish.steps} before {former.id}: the history knows {len(before)}",
            "./stack history shows what was live; ./stack deploy --release ID goes to any recorded release",
            Ending.USAGE,
        )
    target = before[-wish.steps]
    wanted = releases.choose(settings, target["to"])
    # It has served before: that, and what it was deployed with, vouches for it.
    vouched = Vouched(
        target.get("report"), target.get("report_sha256"), wish.without_report or target.get("without_report")
    )
    if not wish.with_data:
        return Choice(wanted, vouched, None)
    # The snapshot before what took its place has its last data; what went down on it never came to live.
    after = lived[lived.index(target) + 1 :]
    after = after or [line for line in lines if line["outcome"] == "down" and line["to"] == former.id][-1:]
    if not after or not after[0].get("snapshot"):
        raise DeployError(
            f"the history names no snapshot of {wanted.id} from before another release took its place",
            "./stack rollback leaves the data as it is; ./stack restore NAME brings a snapshot back",
            Ending.USAGE,
        )
    return Choice(wanted, vouched, str(after[0]["snapshot"]))


def is_live(compose: Compose, wanted: Release, wish: Wish) -> bool:
    """Whether this release runs and serves: the app, what follows it, and the gate where that is wished for too."""
    now = releases.current(compose.settings)
    runs_on = {"app": "app", "backup": "backup", "drill": "app", **({"gate": "gate"} if wish.with_gate else {})}
    seen = {name: container.inspect(compose.container(name)) for name in runs_on}
    same = all(seen[name].runs and seen[name].image == wanted.images[image].id for name, image in runs_on.items())
    return bool(now and now.id == wanted.id and same and switch.ask(compose.settings.url, "/api/health")[0] == 200)
