"""deploy and rollback: from one recorded release to another without a failed request, and back by itself.

The story: settle what is open, look, back up, try the candidate, switch while the gate holds the visitors, watch,
let the rest follow, write it down.
"""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.markup import escape

from ops import (
    candidate,
    claims,
    container,
    history,
    journal,
    keeper,
    outcome,
    preflight,
    releases,
    roots,
    settle,
    switch,
    traffic,
    vouching,
)
from ops.actor import actor
from ops.compose import Compose
from ops.errors import DeployError, Ending, Exit, StackError, ending, in_words
from ops.hand import Hand
from ops.journal import Entry, Phase
from ops.patience import to_the_end
from ops.release import Release
from ops.switch import Stuck, Times, Two, Unquiet
from ops.ui import Ui
from ops.vouching import Vouched

SHORT_S = 2.0  # a request that is younger ends while the gate drains
LOOK_S = 0.5
SICK_LOOKS = 4  # in a row, while it is watched


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


@dataclass
class _Story:
    """One deploy, as far as it has come."""

    wish: Wish
    ui: Ui
    two: Two
    former: Release
    wanted: Release
    found: preflight.Found
    entry: Entry
    times: Times = field(default_factory=Times)
    start_s: float = 0.0  # of the candidate

    @property
    def settings(self) -> Any:
        """Of the stack."""
        return self.two.wanted.settings


def deploy(compose: Compose, ui: Ui, wish: Wish) -> int:
    """Carry the wish out. Return 0 when the release is live; raise DeployError with what ended it otherwise."""
    settings = compose.settings
    claims.check_project(compose)
    if releases.current(settings) is None:
        raise DeployError(
            f"there is no stack in {settings.root} to deploy to", "./stack up starts one", Ending.PREFLIGHT
        )
    with roots.locked(settings, wish.verb):
        _settle(compose, ui, wish)
        former = releases.current(settings)
        if former is None:
            raise DeployError("nothing was ever started here", "./stack up starts it", Ending.PREFLIGHT)
        wanted, vouched, data_from = _choose(compose, wish, former)
        if _is_live(compose, wanted, wish) and not wish.with_data:
            ui.say(f"Release {wanted.id} is live already; nothing was done.")
            ui.emit({"outcome": "live", "code": 0, "release": wanted.id, "changed": False})
            return Ending.LIVE
        two = Two(releases.bound(compose, former), releases.bound(compose, wanted))
        with ui.step("Look whether everything is ready"):
            preflight.check_release(wanted)
            found = preflight.check(two.wanted, ill_too=wish.verb == "rollback")
        entry = _entry(wish, former, wanted, found, vouched, data_from)
        story = _Story(wish, ui, two, former, wanted, found, entry)
        if wish.dry_run:
            return _show_plan(story, vouched)
        return _carry_out(story)


def _settle(compose: Compose, ui: Ui, wish: Wish) -> None:
    """Settle what is open, unless nothing is to be changed: then nobody can plan yet."""
    if not wish.dry_run:
        try:
            settle.settle_before(compose, ui)
        except StackError as error:
            raise switch.is_down(error) from error
    elif cut_short := journal.read(compose.settings):
        raise DeployError(
            f"{cut_short.verb} {cut_short.id} was cut short while {cut_short.phase}: what is live is not settled",
            "the next command that changes anything settles it first: this one without --dry-run, or ./stack restart",
            Ending.PREFLIGHT,
        )


def _choose(compose: Compose, wish: Wish, former: Release) -> tuple[Release, Vouched, str | None]:
    """The release to go to, who vouches for it, and the snapshot whose data comes with it."""
    settings = compose.settings
    if wish.verb == "deploy":
        wanted = releases.choose(settings, wish.release)
        if _is_live(compose, wanted, wish):
            return wanted, Vouched(None, None, None), None
        return wanted, vouching.expect(settings, wanted, wish.report, wish.without_report), None
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
        return wanted, vouched, None
    # The snapshot before what took its place has its last data; what went down on it never came to live.
    after = lived[lived.index(target) + 1 :]
    after = after or [line for line in lines if line["outcome"] == "down" and line["to"] == former.id][-1:]
    if not after or not after[0].get("snapshot"):
        raise DeployError(
            f"the history names no snapshot of {wanted.id} from before another release took its place",
            "./stack rollback leaves the data as it is; ./stack restore NAME brings a snapshot back",
            Ending.USAGE,
        )
    return wanted, vouched, str(after[0]["snapshot"])


def _is_live(compose: Compose, wanted: Release, wish: Wish) -> bool:
    """Whether this release runs and serves: the app, what follows it, and the gate where that is wished for too."""
    now = releases.current(compose.settings)
    runs_on = {"app": "app", "backup": "backup", "drill": "app", **({"gate": "gate"} if wish.with_gate else {})}
    seen = {name: container.inspect(compose.container(name)) for name in runs_on}
    same = all(seen[name].runs and seen[name].image == wanted.images[image].id for name, image in runs_on.items())
    return bool(now and now.id == wanted.id and same and switch.ask(compose.settings.url, "/api/health")[0] == 200)


def _entry(
    wish: Wish, former: Release, wanted: Release, found: preflight.Found, vouched: Vouched, data_from: str | None
) -> Entry:
    began = journal.now()
    return Entry(
        id=journal.new_id(),
        verb=wish.verb,
        from_=former.id,
        to=wanted.id,
        from_image=found.app_image,
        to_image=wanted.images["app"].id,
        actor=actor(),
        began=began,
        phase=Phase.DRAINING,
        snapshot="",
        at=began,
        data_from=data_from,
        about={
            "from_images": releases.image_ids(former),
            "to_images": releases.image_ids(wanted),
            "commit": wanted.source.commit,
            "report": vouched.report,
            "report_sha256": vouched.sha256,
            "without_report": vouched.without,
        },
    )


def _show_plan(story: _Story, vouched: Vouched) -> int:
    former, wanted = story.former, story.wanted
    proven = (
        f"vouched for by {vouched.report}"
        if vouched.report
        else f"without a report: {vouched.without or 'live before'}"
    )
    lines = [
        f"Would {story.wish.verb} [bold]{escape(wanted.id)}[/] in the place of {escape(former.id)}, {escape(proven)}",
        *story.found.checks,
        "Then: a verified snapshot; the candidate on a copy of it; the switch, while the gate holds the visitors; "
        f"a watch of {story.wish.watch_s:.0f} s",
        *(
            [f"The data of {story.entry.data_from} would come back; what was written since would be gone"]
            if story.entry.data_from
            else []
        ),
        *_about_the_gate(story),
        "Nothing was changed.",
    ]
    story.ui.say(*lines)
    story.ui.emit(
        {"outcome": "planned", "code": 0, "from": former.id, "to": wanted.id, "report": vouched.report}
        | {
            "without_report": vouched.without,
            "database_bytes": story.found.database_bytes,
            "data_from": story.entry.data_from,
        }
        | {"gate_differs": _gate_differs(story)}
    )
    return Ending.LIVE


def _carry_out(story: _Story) -> int:
    """Back up, try, switch, watch; each way that this ends has its line in the history."""
    ui = story.ui
    try:
        with ending(Ending.PREFLIGHT):
            _back_up(story)
        with ending(Ending.REJECTED):
            _try_candidate(story)
        with to_the_end(ui, f"The {story.wish.verb}"):
            with ending(Ending.REJECTED):
                _switch(story)
            unfinished = _watch(story) or _finish(story)
    except DeployError as ended:
        outcomes = {
            Ending.PREFLIGHT: "preflight-failed",
            Ending.BUSY: "preflight-failed",
            Ending.REJECTED: "rejected",
            Ending.ROLLED_BACK: "rolled-back",
            Ending.DOWN: "down",
        }
        said = outcomes.get(Ending(ended.code), "failed")
        _write_down(story, said, ended)
        ended.document = _document(story, said, ended.code)
        raise
    except KeyboardInterrupt:
        interrupted = DeployError("interrupted before the switch", "the live site was not touched", Ending.REJECTED)
        _write_down(story, "rejected", interrupted)
        raise interrupted from None
    _tell(story, unfinished)
    return Ending.LIVE


def _write_down(story: _Story, said: str, ended: DeployError) -> None:
    """Let records, history and journal say how it ended; where they cannot, what is open stays so and is settled."""
    settings = story.settings
    stuck = isinstance(ended.__cause__, Stuck)
    try:
        if ended.code == Ending.ROLLED_BACK:
            outcome.record(story.two.former, story.former)
        elif stuck:
            outcome.record(story.two.wanted, story.wanted)
        history.append(settings, outcome.line(story.entry, said, ended.code, ended.message.splitlines()[0]))
        if ended.code != Ending.DOWN or stuck:
            journal.close(settings)
    except Exception as failed:  # how it ended is true all the same, and must not be told as something else
        ended.message += f"\nthis could not be written down: {in_words(failed).message}"
        ended.hint += f"; make {journal.path(settings).parent} writable: the next command that changes settles it"
    if ended.code != Ending.DOWN:
        outcome.let_go(story.two.former)


def _back_up(story: _Story) -> None:
    with story.ui.step("Take a snapshot and verify it") as step, story.times.of("backup"):
        # Rotation counts days, not releases: without the pin it would be gone before a rollback asks for it.
        code, document = keeper.call(story.two.former, ["now", "--pin"], step)
        step.well = code == Exit.OK
    story.ui.warn_of(document)
    if code != Exit.OK:
        raise DeployError(
            f"there is no fresh snapshot to go back to: {document.get('error')}",
            str(document.get("hint")),
            Ending.BUSY if code == Exit.BUSY else Ending.PREFLIGHT,
        )
    story.entry = replace(story.entry, snapshot=document["name"])


def _try_candidate(story: _Story) -> None:
    on = story.entry.data_from or story.entry.snapshot
    with story.times.of("candidate"):
        try:
            passed = candidate.prove(story.two.former, story.ui, story.wanted, on)
        except DeployError as rejected:
            if story.wish.verb == "rollback" and not story.wish.with_data:
                rejected.hint = (
                    "where only the schema is in its way: ./stack rollback --with-data brings the data of then back "
                    "with it, and what was written since is lost"
                )
            raise
    story.start_s = passed.start_s
    story.entry = replace(
        story.entry, schema_changes=passed.schema != story.found.schema or bool(story.entry.data_from)
    )


def _switch(story: _Story) -> None:
    """Hold, exchange, open; when that fails go back in the same hold."""

    def came_to(entry: Entry) -> None:
        story.entry = entry

    ends = time.monotonic() + story.wish.wait_s
    with story.ui.step("Switch, while the gate holds the visitors") as step:
        step.well = False
        while True:
            _wait_for_long_requests(story, ends)
            try:
                switch.forward(story.two, story.entry, story.times, story.start_s, came_to)
                break
            except Unquiet as unquiet:
                if time.monotonic() > ends:
                    raise DeployError(
                        f"{unquiet.message}; the live site was not touched", unquiet.hint, Ending.REJECTED
                    ) from unquiet
            except Exception as failed:  # a defect of ours as well: nobody else would bring the site back
                _go_back(story, in_words(failed))
        step.well = True


def _wait_for_long_requests(story: _Story, ends: float) -> None:
    """While the site serves, until no long request is under way: none is cut, and none holds the others up."""
    if not container.inspect(story.two.app).runs:
        return
    with story.times.of("wait"), Hand(story.two.app) as hand:
        seen = traffic.wait_until_short(hand, max(0.0, ends - time.monotonic()), SHORT_S)
    if seen.oldest_s >= SHORT_S:
        raise DeployError(
            f"a long request is under way, and was still after {story.wish.wait_s:.0f} s: {seen.told()}; "
            "the live site was not touched",
            "wait until that upload or download has ended, or allow more time with --wait SECONDS",
            Ending.REJECTED,
        )


def _go_back(story: _Story, failed: StackError) -> None:
    """Bring the former release back, and raise the error that says so."""
    began = story.entry.phase in (Phase.STARTED, Phase.COMMITTED)
    story.ui.warn(f"{preflight.in_words(failed)}: going back to {story.former.id}")
    try:
        story.entry = switch.undo(story.two, story.entry, story.times)
    except Stuck as stuck:
        raise DeployError(f"{stuck.message}\nwhat was seen: {failed.message}", stuck.hint, Ending.DOWN) from stuck
    except Exception as worse:
        raise DeployError(
            f"the way back failed too: {in_words(worse).message}\nwhat was seen first: {failed.message}",
            f"./stack up tries again; the data is kept in data/balades.db.backup and in {story.entry.snapshot}",
            Ending.DOWN,
        ) from worse
    data = "code and data are" if story.entry.data_is_back else "the code is"
    what = "did not get well" if began else "was not started, for the switch failed"
    raise DeployError(
        f"release {story.wanted.id} {what}; {data} back at {story.former.id}, which serves\n"
        f"what was seen: {failed.message}",
        "mend what was seen, then ./stack build, ./stack test and deploy again",
        Ending.ROLLED_BACK,
    ) from failed


def _watch(story: _Story) -> str | None:
    """Look at it for a while as visitors see it; one that gets sick goes back while nothing is lost by that.

    Return why not, where nobody could look: the release is live all the same, and a journal that stays open says so.
    """
    try:
        outcome.record(story.two.wanted, story.wanted)
        if story.wish.watch_s:
            _watch_for_a_while(story)
    except DeployError:
        raise
    except Exception as failed:
        told = in_words(failed).message
        story.ui.warn(f"the release is live, and nobody could watch it to the end: {told}")
        return told
    return None


def _watch_for_a_while(story: _Story) -> None:
    ends = time.monotonic() + story.wish.watch_s
    before = container.inspect(story.two.app).restarts
    sick = 0
    with story.ui.step(f"Watch it for {story.wish.watch_s:.0f} s") as step, story.times.of("watch"):
        while time.monotonic() < ends:
            status, told = switch.ask(story.two.url, "/api/health")
            sick = 0 if status == 200 else sick + 1
            restarts = container.inspect(story.two.app).restarts - before
            if sick >= SICK_LOOKS or restarts >= switch.LOOPS_AFTER:
                step.well = False
                seen = f"/api/health answers {status or 'nothing'} {told.get('error', '')}, {restarts} restarts"
                _go_back(story, StackError(f"it got sick after it was live: {seen}", "./stack logs app shows more"))
            time.sleep(LOOK_S)


def _finish(story: _Story) -> str | None:
    """Let the rest follow, and write it down. Return why not, where that failed: the release is live all the same."""
    settings, ui = story.settings, story.ui
    try:
        with ui.step("Bring the backups and drills to the release"), story.times.of("follow"):
            outcome.follow(story.two.wanted)
            if story.wish.with_gate and _gate_differs(story):
                story.two.wanted.run("up", "--detach", "--no-build", "--no-deps", "gate")
                switch.until_open(story.two.url, switch.BACK_S)
        outcome.record(story.two.wanted, story.wanted)
        outcome.close(settings, story.entry, "live", Ending.LIVE)
        releases.retire(settings, outcome.spared(settings, story.former.id, story.wanted.id))
        outcome.let_go(story.two.wanted)
    except Exception as failed:
        told = in_words(failed).message
        ui.warn(f"the release is live, and not everything has followed: {told}; the next command that changes goes on")
        return told
    return None


def _gate_differs(story: _Story) -> bool:
    return container.inspect(story.two.wanted.container("gate")).image != story.wanted.images["gate"].id


def _about_the_gate(story: _Story) -> list[str]:
    if story.wish.verb != "deploy" or not _gate_differs(story):
        return []
    if story.wish.with_gate:
        return ["The gate differs too and would be exchanged last: for about two seconds nobody is answered."]
    return ["The gate differs too and stays as it is: --with-gate exchanges it, for about two seconds without answers."]


def _tell(story: _Story, unfinished: str | None) -> None:
    hold = story.times.phases.get("hold", 0) / 1000
    deployed = story.wish.verb == "deploy"
    back = f"./stack {'rollback' if deployed else f'deploy --release {story.former.id}'} goes back."
    story.ui.say(
        f"Release [bold]{escape(story.wanted.id)}[/] is live; visitors waited {hold:.1f} s at most.",
        f"Before it: {escape(story.former.id)}, data in {story.entry.snapshot} and data/balades.db.backup; {back}",
        *_about_the_gate(story),
    )
    story.ui.emit({**_document(story, "live", Ending.LIVE), "unfinished": unfinished})


def _document(story: _Story, said: str, code: int) -> dict[str, Any]:
    entry = story.entry
    return {
        "outcome": said,
        "code": int(code),
        "changed": True,
        "id": entry.id,
        "from": entry.from_,
        "to": entry.to,
        "snapshot": entry.snapshot,
        "schema_changes": entry.schema_changes,
        "phases_ms": story.times.phases,
        **{key: entry.about[key] for key in ("report", "without_report")},
    }
