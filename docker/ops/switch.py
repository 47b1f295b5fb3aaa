"""The switch: drain, stop, keep, start, probe, commit; and the way back. The gate holds the visitors meanwhile."""

import http.client
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from ops import container, journal, keeper, traffic
from ops.compose import Compose, run
from ops.errors import DeployError, Ending, Exit, StackError
from ops.hand import Hand
from ops.journal import Entry, Phase

# Without an answer for so long, a request is held by the gate: the app itself takes milliseconds, and the gate's share
# of the processor comes anew every tenth of a second.
HELD_S = 0.1
DOORS = ("HEAD", "OPTIONS")  # one of what the gate takes for reads, one of what it takes for writes
# A request that is older is a slow one, and everybody would wait for its end: often a better moment comes.
QUICK_S = 0.25
BETTER_WITHIN_S = 5.0
DRAIN_S = 5.0  # then the visitors have waited long enough for somebody else's request
DECIDED_S = 18.0  # from the first held request: the gate gives up after 30, and the way back takes its time
PATIENCE, LEAST_S, MOST_S = 3.0, 6.0, 15.0  # for the start itself: times the candidate's, and within these
FAIR = 1.5  # times the candidate's, whatever was lost before: rather visitors who wait than a good release taken back
BACK_S = 25.0  # for the former app to be well again
SICK_FOR_S = 1.5  # an answer of health is kept for a second: this is another look
PAUSE_S = 0.03
LOOK_S = 0.5  # between two looks at the container, each a process of its own beside the one that starts
KILLED_AFTER_S = 2  # an app that never served has nothing to finish
LOOPS_AFTER = 2  # restarts: then it will not come up by itself
PASSES = "database_locked"  # said while a long migration is still under way


@dataclass
class Times:
    """How long each phase took, in milliseconds."""

    phases: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def of(self, phase: str) -> Iterator[None]:
        """Measure one, however it ends."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.phases[phase] = self.phases.get(phase, 0) + round((time.monotonic() - begun) * 1000)


@dataclass(frozen=True)
class Two:
    """The stack as it was and as it is to be: present settings, the images of either release."""

    former: Compose
    wanted: Compose

    @property
    def app(self) -> str:
        """The one container of the app, whichever release it is of."""
        return self.wanted.container("app")

    @property
    def url(self) -> str:
        """Where the site answers."""
        return self.wanted.settings.url


class Unquiet(StackError):  # noqa: N818 - the name says what is the case
    """Requests that would have been lost were under way to the end, or may have been; nothing was changed."""


class Stuck(StackError):  # noqa: N818
    """Neither forward nor back without losing what was acknowledged: somebody must choose."""


def forward(two: Two, entry: Entry, times: Times, start_s: float, came_to: Callable[[Entry], None]) -> None:
    """Go from the former app to the wanted one; return when it serves. Raises Unquiet with nothing changed.

    `start_s` is how long the candidate took to start: one that takes a multiple of it is waited for no longer, for the
    way back takes its time too and the gate holds for 30 s.

    `came_to` is told each phase once it is written down, and whatever else is raised: undo() goes back from there.
    """

    def reach(phase: Phase) -> None:
        came_to(journal.write(two.wanted.settings, entry, phase))

    with Hand(two.app) as hand, keeper.ready(two.former, "keep") as keep:
        try:
            serves = answers(hand, ill_too=entry.verb == "rollback")  # from here on it does so at once
        except StackError as silent:
            raise Unquiet(silent.message, silent.hint) from silent
        if serves:
            with times.of("wait"):
                traffic.wait_until_short(hand, BETTER_WITHIN_S, QUICK_S)
        reach(Phase.DRAINING)
        begun = time.monotonic()
        flag = traffic.Flag(hand, entry.id)
        with flag.renewed():
            if serves:
                with times.of("drain"):
                    _drain(two, hand, flag)
            with times.of("stop"):
                _replace_app(two, entry.to_image)
                hand.withdraw()
            if not serves:
                traffic.lay_flag(two.app, entry.id, traffic.OVER_THE_START_S)
            reach(Phase.STOPPED)
            with times.of("keep"):
                _expect_done("keep", keep())
            reach(Phase.KEPT)
            reach(Phase.STARTED)
            if entry.data_from:
                with times.of("data"):
                    _keeper(two.former, "put-back", entry.data_from)
            with times.of("start"):
                run(["docker", "start", two.app])
                hand.reach_in()
            flag.shorten()
            with times.of("probe"):
                _until_well(two, _decided_at(begun, time.monotonic(), start_s), restarts=0)
            with suppress(StackError):  # from here on it is to run out soon, should we be killed
                flag.reach(traffic.AHEAD_S)
            reach(Phase.COMMITTED)
            with times.of("open"), suppress(StackError):  # it is decided: what is not lifted runs out
                flag.lift()
    times.phases["hold"] = round((time.monotonic() - begun) * 1000)


def undo(two: Two, entry: Entry, times: Times) -> Entry:
    """Bring the former app back, with the former data where nobody can have been told of newer ones.

    Begun anew after a kill, it ends the same. Raises Stuck when that would lose acknowledged writes or the former
    code cannot read what is there; the wanted app is then left as it is. Raises StackError when it fails.

    A journal that takes no word keeps nobody down: begun anew from what it says, the way back ends the same too.
    """
    with times.of("back"):
        if entry.phase in (Phase.STARTED, Phase.COMMITTED):
            entry = _decide(two, entry)
        if entry.phase is Phase.ROLLING_BACK:
            two.former.run("up", "--no-start", "--no-build", "--no-deps", "app")
            if entry.data_back and not entry.data_is_back and not _was_back(two, entry):
                _keeper(two.former, "put-back")
                entry = _noted(two, entry, data_is_back=True)
        start(two.former)
        wait_well(two, BACK_S)
        open_up(two, entry)
        until_open(two.url, BACK_S)
    return entry


def start(compose: Compose) -> None:
    """Let the app of this release run; the engine's own work goes on should we be killed."""
    compose.run("up", "--detach", "--no-build", "--no-deps", "app")


def wait_well(two: Two, within_s: float) -> None:
    """Return when the site is well. Raises StackError."""
    _until_well(two, time.monotonic() + within_s, restarts=container.inspect(two.app).restarts)


def until_open(url: str, within_s: float) -> None:
    """Return when the gate lets visitors through again. Raises StackError."""
    ends = time.monotonic() + within_s
    while ask(url, "/api/ready")[0] != http.client.OK:
        if time.monotonic() > ends:
            raise StackError(f"{url}/api/ready does not answer 200 after {within_s:.0f} s", "./stack logs app gate")
        time.sleep(PAUSE_S)


def ask(url: str, path: str) -> tuple[int, dict[str, Any]]:
    """Ask the site through the gate; 0 where there was no answer, and no words where they are not the app's."""
    parts = urlsplit(url)
    line = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=2.0)
    told: dict[str, Any] = {}
    try:
        line.request("GET", path)
        answer = line.getresponse()
        with suppress(ValueError):
            told = json.loads(answer.read(65536))
        return answer.status, told
    except (OSError, http.client.HTTPException):
        return 0, {}
    finally:
        line.close()


def answers(hand: Hand, *, ill_too: bool) -> bool:
    """Whether there is an app that says what it has in hand. Raises StackError where one runs and does not.

    `ill_too`: one that is frozen counts as none; to leave it is what a rollback is for.
    """
    if not container.inspect(hand.container).runs:
        return False
    try:
        traffic.look(hand)
    except StackError:
        if ill_too:
            return False
        raise
    return True


def open_up(two: Two, entry: Entry) -> None:
    """Let the traffic in, whoever holds it. Raises StackError where no app runs."""
    with Hand(two.app) as hand:
        traffic.Flag(hand, entry.id).lift()


def _drain(two: Two, hand: Hand, flag: traffic.Flag) -> None:
    """Return when the gate holds and nothing is under way. Raises Unquiet, with nothing changed."""
    seen = _hold(two, hand, flag)
    if seen.quiet:
        return
    flag.lift()
    journal.close(two.wanted.settings)
    raise Unquiet(
        f"the app did not get quiet within {DRAIN_S:.0f} s: {seen.told()}",
        "wait until that upload or download has ended, or allow more time with --wait SECONDS",
    )


def _hold(two: Two, hand: Hand, flag: traffic.Flag) -> traffic.Seen:
    """Raise the flag and wait until the gate holds and nothing is under way, for a while; return what was seen last.

    Where that is quiet the flag is set for long enough that the next app finds it: nobody can renew it meanwhile.
    """
    begun = time.monotonic()
    flag.reach(traffic.AHEAD_S)
    with ThreadPoolExecutor(len(DOORS)) as beside:
        while True:
            held = all(beside.map(lambda door: _is_held(two.url, door), DOORS))
            seen = traffic.look(hand)
            if held and seen.quiet:
                flag.reach(traffic.OVER_THE_START_S)
                seen = traffic.look(hand)  # again: what the gate had just sent on when it noticed has come by now
                if seen.quiet:
                    return seen
                flag.reach(traffic.AHEAD_S)
            if time.monotonic() - begun >= DRAIN_S:
                return seen if held else replace(seen, draining=False)  # of those who still come nobody is held


def _decided_at(begun: float, now: float, start_s: float) -> float:
    """Until when to wait for a start that is expected to take so long; a slow machine's is not taken for a bad one."""
    patience = min(max(PATIENCE * start_s, LEAST_S), MOST_S)
    return max(min(now + patience, begun + DECIDED_S), now + FAIR * start_s)


def _replace_app(two: Two, image: str) -> None:
    """Stop the app and have Compose make the new one, which does not start yet; Compose gets ready meanwhile."""
    with ThreadPoolExecutor(1) as beside:
        made = beside.submit(two.wanted.run, "up", "--no-start", "--no-build", "--no-deps", "app")
        run(["docker", "stop", two.app], check=False)  # Compose may have removed it the moment it had stopped
        made.result()
    if (seen := container.inspect(two.app)).runs:
        raise StackError(f"{two.app} does not stop: it is {seen.told()}", "./stack doctor checks the machine")
    if seen.image != image:
        raise StackError(
            f"{two.app} is of {seen.image[:19]}, and {image[:19]} is to run", "./stack logs app shows more"
        )


def _is_held(url: str, door: str) -> bool:
    """Whether the gate has noticed: it then keeps what we ask, as it keeps every visitor."""
    parts = urlsplit(url)
    line = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=HELD_S)
    try:
        line.request(door, "/held")  # no page of the site, and none of those that a sick site still shows
        line.getresponse()
    except TimeoutError:
        return True
    except (OSError, http.client.HTTPException):
        return False
    finally:
        line.close()
    return False


def _keeper(compose: Compose, *args: str) -> None:
    _expect_done(" ".join(args), keeper.call(compose, list(args)))


def _expect_done(what: str, answer: tuple[int, dict[str, Any]]) -> None:
    code, document = answer
    if code != Exit.OK:
        raise StackError(f"the keeper could not `{what}`: {document.get('error')}", str(document.get("hint")))


def _until_well(two: Two, ends: float, *, restarts: int) -> None:
    """Wait for the health of the app; one that ended, loops beyond `restarts` or stays sick is not waited for."""
    sick_since: float | None = None
    look_at = time.monotonic() + LOOK_S
    while True:
        status, told = ask(two.url, "/api/health")
        if status == http.client.OK:
            return
        answer = f"/api/health answers {status or 'nothing'} {told.get('error', '')}".strip()
        if "error" in told and told["error"] != PASSES:
            sick_since = sick_since or time.monotonic()
            if time.monotonic() - sick_since > SICK_FOR_S:
                raise _unwell(two, answer)
        else:
            sick_since = None
        if time.monotonic() > look_at:
            look_at = time.monotonic() + LOOK_S
            seen = container.inspect(two.app)
            if seen.status in ("created", "exited", "dead", "missing") or seen.restarts - restarts >= LOOPS_AFTER:
                raise _unwell(two, f"it is {seen.told()}")
        if time.monotonic() > ends:
            raise _unwell(two, f"it is not well in time: {answer}")
        time.sleep(PAUSE_S)


def _unwell(two: Two, why: str) -> StackError:
    return StackError(
        f"{two.app}: {why}\nits last log lines:\n{container.last_words(two.app)}", "./stack logs app shows more"
    )


def _decide(two: Two, entry: Entry) -> Entry:
    """Stop the wanted app, then ask whether it ever opened, and write down what follows from that."""
    seen = container.inspect(two.app)
    if seen is container.MISSING:
        two.former.run("up", "--no-start", "--no-build", "--no-deps", "app")
    if entry.phase is Phase.COMMITTED:
        _hold_if_it_answers(two, entry)
        run(["docker", "stop", two.app])
    else:
        run(["docker", "stop", "--time", str(KILLED_AFTER_S), two.app])
    opened = may_have_served(two, entry)
    if opened and entry.schema_changes and not gone_back(seen, entry):
        start(two.wanted)
        with suppress(StackError):
            open_up(two, entry)
        raise Stuck(
            f"release {entry.to} is not well, and it has served: going back to {entry.from_} would lose what was "
            f"written since {entry.began}, for the schema changed with it",
            f"mend it and deploy that; or give those writes up and bring code and data of {entry.snapshot} back: "
            "./stack rollback --with-data",
        )
    return _noted(two, entry, data_back=not opened)


def _hold_if_it_answers(two: Two, entry: Entry) -> None:
    """Let nobody be cut off who is being served by a release that is sick; one that is silent serves nobody."""
    with Hand(two.app) as hand, suppress(StackError):
        if answers(hand, ill_too=True):
            _hold(two, hand, traffic.Flag(hand, entry.id))


def _was_back(two: Two, entry: Entry) -> bool:
    """Whether the former app has served on the data of before, which could not be noted then."""
    run(["docker", "stop", two.app])
    return traffic.may_have_opened(two.app, entry.id)


def may_have_served(two: Two, entry: Entry) -> bool:
    """Whether somebody may have been told of a write since: the mark says so, or that it was to open."""
    return entry.phase is Phase.COMMITTED or traffic.may_have_opened(two.app, entry.id)


def gone_back(seen: container.Container, entry: Entry) -> bool:
    """Whether the way back was taken before: with the former app there anew, it is that one that has served."""
    return entry.from_image != entry.to_image and seen.image == entry.from_image


def _noted(two: Two, entry: Entry, **changes: Any) -> Entry:
    """Note how far the way back has come; where that cannot be written, know it at least."""
    try:
        return journal.write(two.former.settings, entry, Phase.ROLLING_BACK, **changes)
    except OSError:
        return replace(entry, phase=Phase.ROLLING_BACK, **changes)


def is_down(error: StackError) -> DeployError:
    """Say that neither release serves."""
    return DeployError(error.message, error.hint, Ending.DOWN)
