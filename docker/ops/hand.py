"""The deployer's hand in the app's container: Python starts there once for all that is asked, as visitors wait."""

import json
import socket
import subprocess
import tempfile
import threading
from types import TracebackType
from typing import Any, Self

from ops.errors import StackError

ANSWER_WITHIN_S = 10.0  # the start of Python on a busy machine included
_SESSION = ("python3", "-S", "-m", "app.drain", "session")


class Hand:
    """A session of `app.drain`, begun when something is asked; it ends with its container, or with us."""

    def __init__(self, container: str) -> None:
        self.container = container
        self._one_at_a_time = threading.Lock()
        self._session: _Session | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.withdraw()

    def reach_in(self) -> None:
        """Begin a session and wait for nothing: it gets ready beside what else there is to do."""
        with self._one_at_a_time:
            self._session_now()

    def ask(self, *words: str) -> dict[str, Any]:
        """Ask one thing. Raises StackError where no app runs, and with its reason where it was not done."""
        with self._one_at_a_time:
            answer = self._answer(" ".join(words))
        if "error" not in answer:
            return answer
        raise StackError(f"{self.container} does not `{words[0]}`: {answer['error']}", _next_step(answer["error"]))

    def withdraw(self) -> None:
        """End the session."""
        with self._one_at_a_time:
            session, self._session = self._session, None
            if session:
                session.end()

    def _session_now(self) -> "_Session":
        """The session; one that ended with a former life of the app is begun anew."""
        if self._session is not None and self._session.has_ended():
            self._session.end()
            self._session = None
        if self._session is None:
            self._session = _Session(self.container)
        return self._session

    def _answer(self, words: str) -> dict[str, Any]:
        session = self._session_now()
        try:
            return session.ask(words)
        except (OSError, ValueError):
            self._session = None
            return {"error": session.end() or "no answer came"}


def _next_step(error: str) -> str:
    if "/opened" in error:
        return "move state/app/opened below MONSITE_ROOT away, the site does without; then run this again"
    if error.startswith("usage: "):
        return "it is of a release before sessions; ./stack up brings the stack to this checkout's release, once"
    return "./stack logs app shows more"


class _Session:
    """One process, and the line to it."""

    def __init__(self, container: str) -> None:
        self._ours, theirs = socket.socketpair()
        self._ours.settimeout(ANSWER_WITHIN_S)
        self._answers = self._ours.makefile("rb")
        self._told = tempfile.TemporaryFile()  # noqa: SIM115 - closed by end()
        with theirs:
            self._process = subprocess.Popen(
                ["docker", "exec", "--interactive", container, *_SESSION],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self._told,
                start_new_session=True,
            )

    def ask(self, words: str) -> dict[str, Any]:
        """Return the answer. Raises OSError and ValueError where none comes."""
        self._ours.sendall(f"{words}\n".encode())
        answer: dict[str, Any] = json.loads(self._answers.readline())
        return answer

    def has_ended(self) -> bool:
        """Whether nobody is there any more to answer."""
        return self._process.poll() is not None

    def end(self) -> str:
        """End it; return what it said beside its answers."""
        self._answers.close()
        self._ours.close()
        try:
            self._process.wait(ANSWER_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        with self._told:
            self._told.seek(0)
            return self._told.read().decode(errors="replace").strip()[-300:]
