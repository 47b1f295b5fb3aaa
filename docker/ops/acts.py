"""The acts of a deploy, in their order: back up, try, switch while the gate holds, watch, let the rest follow."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ops import candidate, container, keeper, outcome, preflight, releases, switch, traffic
from ops.errors import DeployError, Ending, Exit, StackError, in_words
from ops.hand import Hand
from ops.journal import Entry, Phase
from ops.story import Story
from ops.switch import Stuck, Unquiet

SHORT_S = 2.0  # a request that is younger ends while the gate drains
LOOK_S = 0.5
LONGEST_COPY_S = 22.0  # the gate gives up a held request after 30 s, and the start of the app wants its part
SICK_LOOKS = 4  # in a row, while it is watched


def back_up(story: Story) -> None:
    """Take the snapshot to go back to. Raises DeployError where there is none."""
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
    if story.wish.verb == "deploy" and (why := too_large(document)):
        raise DeployError(
            why, "./stack up goes to this checkout's release, with the site down meanwhile", Ending.PREFLIGHT
        )


def too_large(snapshot: Mapping[str, Any]) -> str | None:
    """Why visitors could not be held for so long; pure. The quiet copy takes as long as a snapshot at most."""
    if snapshot["duration_s"] <= LONGEST_COPY_S:
        return None
    return (
        f"the database of {snapshot['raw_bytes']} bytes is too large to be copied while the gate holds visitors: "
        f"a snapshot took {snapshot['duration_s']:.0f} s, and {LONGEST_COPY_S:.0f} s are the most"
    )


def try_candidate(story: Story) -> None:
    """Let the release show on a copy that it works. Raises DeployError where it does not."""
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


def exchange(story: Story) -> None:
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


def _wait_for_long_requests(story: Story, ends: float) -> None:
    """While the site serves, until no long request is under way: none is cut, and none holds the others up."""
    with story.times.of("wait"), Hand(story.two.app) as hand:
        if not switch.answers(hand, ill_too=story.wish.verb == "rollback"):
            return
        seen = traffic.wait_until_short(hand, max(0.0, ends - time.monotonic()), SHORT_S)
    if seen.oldest_s >= SHORT_S:
        raise DeployError(
            f"a long request is under way, and was still after {story.wish.wait_s:.0f} s: {seen.told()}; "
            "the live site was not touched",
            "wait until that upload or download has ended, or allow more time with --wait SECONDS",
            Ending.REJECTED,
        )


def _go_back(story: Story, failed: StackError) -> None:
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


def watch(story: Story) -> str | None:
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


def _watch_for_a_while(story: Story) -> None:
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


def finish(story: Story) -> str | None:
    """Let the rest follow, and write it down. Return why not, where that failed: the release is live all the same."""
    settings, ui = story.settings, story.ui
    try:
        with ui.step("Bring the backups and drills to the release"), story.times.of("follow"):
            outcome.follow(story.two.wanted)
            if story.wish.with_gate and story.gate_differs():
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
