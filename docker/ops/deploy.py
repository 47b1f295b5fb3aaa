"""deploy and rollback: from one recorded release to another without a failed request, and back by itself.

The story: settle what is open, look, back up, try the candidate, switch while the gate holds the visitors, watch,
let the rest follow, write it down.
"""

from ops import acts, claims, history, journal, outcome, preflight, releases, roots, settle, switch, telling
from ops.compose import Compose
from ops.errors import DeployError, Ending, StackError, ending, in_words
from ops.patience import to_the_end
from ops.story import Story, new_entry
from ops.switch import Stuck, Two
from ops.ui import Ui
from ops.wish import Wish, choose, is_live


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
        choice = choose(compose, wish, former)
        wanted = choice.wanted
        if is_live(compose, wanted, wish) and not wish.with_data:
            ui.say(f"Release {wanted.id} is live already; nothing was done.")
            ui.emit({"outcome": "live", "code": 0, "release": wanted.id, "changed": False})
            return Ending.LIVE
        two = Two(releases.bound(compose, former), releases.bound(compose, wanted))
        with ui.step("Look whether everything is ready"):
            preflight.check_release(wanted)
            found = preflight.check(two.wanted, ill_too=wish.verb == "rollback")
        story = Story(wish, ui, two, former, choice, found, new_entry(wish, former, choice, found))
        return telling.plan(story) if wish.dry_run else _carry_out(story)


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


def _carry_out(story: Story) -> int:
    """Back up, try, switch, watch; each way that this ends has its line in the history."""
    ui = story.ui
    try:
        with ending(Ending.PREFLIGHT):
            acts.back_up(story)
        with ending(Ending.REJECTED):
            acts.try_candidate(story)
        with to_the_end(ui, f"The {story.wish.verb}"):
            with ending(Ending.REJECTED):
                acts.exchange(story)
            unfinished = acts.watch(story) or acts.finish(story)
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
        ended.document = story.document(said, ended.code)
        raise
    except KeyboardInterrupt:
        interrupted = DeployError("interrupted before the switch", "the live site was not touched", Ending.REJECTED)
        _write_down(story, "rejected", interrupted)
        raise interrupted from None
    telling.live(story, unfinished)
    return Ending.LIVE


def _write_down(story: Story, said: str, ended: DeployError) -> None:
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
