"""The flag that holds the traffic, set in the app's container, and what the app still has in hand.

The flag has an end of its own: should this process die, the site opens by itself soon after.
"""

import io
import json
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ops import roots
from ops.errors import StackError
from ops.hand import Hand

AHEAD_S = 5  # how long the flag outlives whoever renews it
RENEWED_EVERY_S = 1.5
_SLOWNESS = 2
LOOK_EVERY_S = 0.05
OVER_THE_START_S = 25  # nobody can renew it while no app runs, and the new one must still find it
FLAG = "/srv/state/draining"
OPENED = "/srv/state/opened"


@dataclass(frozen=True)
class Seen:
    """What the app has in hand."""

    in_flight: int
    oldest_s: float
    unsent_bytes: int
    unread: int  # connections and bytes that the app has yet to take
    draining: bool

    @property
    def quiet(self) -> bool:
        """Nothing is under way, not even in the kernel."""
        return self.draining and not (self.in_flight or self.unsent_bytes or self.unread)

    def told(self) -> str:
        """In words."""
        kernel = f"{self.unsent_bytes} bytes unsent, {self.unread} unread"
        return f"{self.in_flight} requests, the oldest since {self.oldest_s:.1f} s; {kernel}"


def look(hand: Hand) -> Seen:
    """Ask the app. Raises StackError where it has no answer."""
    told = hand.ask("look")
    try:
        return Seen(
            in_flight=int(told["in_flight"]),
            oldest_s=float(told["oldest_s"]),
            unsent_bytes=int(told["unsent_bytes"]),
            unread=int(told["unread"]),
            draining=bool(told["draining"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StackError(
            f"{hand.container} does not say what it has in hand: {str(told)[:200]}", "./stack logs app shows more"
        ) from error


def may_have_opened(container: str, deploy: str) -> bool:
    """Whether the app that ran last may have served since this switch; asked of the folder, whether it runs or not.

    A mark that cannot be read counts as one: data never goes back on doubt.
    """
    argv = ["docker", "cp", f"{container}:{OPENED}", "-"]
    done = subprocess.run(argv, capture_output=True, check=False, start_new_session=True)
    if done.returncode:
        if b"Could not find" in done.stderr or b"no such file" in done.stderr.lower():
            return False
        raise StackError(
            f"{container}: nobody can tell whether it opened: {done.stderr.decode(errors='replace').strip()}",
            "./stack doctor checks the machine; then run this again",
        )
    return names(done.stdout, deploy)


def names(packed: bytes, deploy: str) -> bool:
    """Whether a mark, as the engine hands it out, names this switch, or nobody can tell what it names; pure."""
    try:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            member = archive.extractfile(archive.getmembers()[0])
            named = json.loads(member.read())["deploy"] if member else None
    except (tarfile.TarError, IndexError, ValueError, KeyError, TypeError):
        return True
    return not isinstance(named, str) or named == deploy


def lay_flag(container: str, deploy: str, seconds: float) -> None:
    """Put the flag before an app that does not run, so that it starts closed."""
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    told = json.dumps({"schema": 1, "deploy": deploy, "until": until.isoformat(timespec="milliseconds")}).encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo(FLAG.rpartition("/")[2])
        member.size, member.mode, member.uid, member.gid = len(told), 0o600, 1001, 1001
        archive.addfile(member, io.BytesIO(told))
    done = subprocess.run(
        ["docker", "cp", "-", f"{container}:{FLAG.rpartition('/')[0]}"],
        input=packed.getvalue(),
        capture_output=True,
        check=False,
        start_new_session=True,
        pass_fds=roots.held(),
    )
    if done.returncode:
        raise StackError(
            f"the flag that holds the traffic cannot be set in {container}: {done.stderr.decode(errors='replace')}",
            "./stack doctor checks the machine; then run this again",
        )


class Flag:
    """The flag of one switch, renewed until it is lifted."""

    def __init__(self, hand: Hand, deploy: str) -> None:
        self._hand = hand
        self._deploy = deploy
        self._seconds = AHEAD_S
        self._took = 0.0  # by the last time it was set
        self._one_at_a_time = threading.Lock()
        self._ended = threading.Event()

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Renew it beside the work; between two apps there is nobody to tell, and that is no failure."""
        thread = threading.Thread(target=self._renew, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.rest()
            thread.join()

    def rest(self) -> None:
        """Renew it no more."""
        self._ended.set()

    def reach(self, seconds: int) -> None:
        """Set it, and let it be renewed so far from now on. Raises StackError where no app runs."""
        with self._one_at_a_time:
            self._seconds = seconds
            self._set()

    def shorten(self) -> None:
        """Let it be renewed no further than usual from now on."""
        with self._one_at_a_time:
            self._seconds = AHEAD_S

    def lift(self) -> None:
        """Let the traffic in. Raises StackError where no app runs."""
        self.rest()
        with self._one_at_a_time:
            self._hand.ask("off")

    def _set(self) -> None:
        begun = time.monotonic()
        seconds = self._seconds + _SLOWNESS * self._took  # a machine that is slow now will be slow the next time
        self._hand.ask("on", self._deploy, f"{seconds:.1f}")
        self._took = time.monotonic() - begun

    def _renew(self) -> None:
        while not self._ended.wait(RENEWED_EVERY_S):
            with self._one_at_a_time:
                if not self._ended.is_set():
                    with suppress(StackError):
                        self._set()


def wait_until_short(hand: Hand, at_most_s: float, short_s: float) -> Seen:
    """Wait, while the site serves, until no request is long under way; return what was seen last."""
    ends = time.monotonic() + at_most_s
    while True:
        seen = look(hand)
        if seen.oldest_s < short_s or time.monotonic() > ends:
            return seen
        time.sleep(LOOK_EVERY_S)
