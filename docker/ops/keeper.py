"""The keeper of the snapshots, called in its container: one command, its exit code, its answer."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any

from ops import claims, health, roots
from ops.compose import Compose
from ops.errors import Exit, StackError
from ops.progress import Heard
from ops.sources import Source
from ops.ui import Step

LOOK_EVERY_S = 0.1
KEEPERS_CODES = set(Exit) - {Exit.INTERRUPTED}
_BLOCK = 64 * 1024


def call(
    compose: Compose, args: Sequence[str], step: Step | None = None, source: Source | None = None
) -> tuple[int, dict[str, Any]]:
    """Run one command of the keeper with --json and return its exit code and document.

    `step` shows how far it has come; `source` may have a file to feed on stdin. The keeper's words on stderr are
    passed on as they are. Raises StackError as run() does, and when the answer is not JSON.
    """
    with tempfile.TemporaryFile() as answer:
        code, words = run(compose, [*args, "--json"], answer, step, source)
        answer.seek(0)
        text = answer.read().decode("utf-8", errors="replace")
    try:
        document: dict[str, Any] = json.loads(text or "{}" if code else text)
    except json.JSONDecodeError:
        raise StackError(
            f"the backup service answered {text[:200]!r}, expected JSON", "./stack logs backup shows more"
        ) from None
    if code and document.get("outcome") in (None, "failure"):
        sys.stderr.write(words)
    return code, document


@contextmanager
def ready(compose: Compose, verb: str) -> Iterator[Callable[[], tuple[int, dict[str, Any]]]]:
    """Start a command of the keeper that waits for the word, because starting takes longer than what it does.

    Yields what gives it the word and returns its code and document. Without the word, a launcher that was killed
    included, it ends and has done nothing.
    """
    argv = [*_door(compose), "python3", "-m", "backup", verb, "--wait", "--json"]
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as told:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=answer,
            stderr=told,
            env=compose.environment,
            start_new_session=True,
            pass_fds=roots.held(),
        )

        def go() -> tuple[int, dict[str, Any]]:
            process.communicate(b"go\n")
            answer.seek(0)
            told.seek(0)
            try:
                return process.returncode, json.loads(answer.read())
            except ValueError:
                words = told.read().decode(errors="replace").strip()[-300:]
                raise StackError(
                    f"the keeper ended `{verb}` with exit code {process.returncode} and said {words or 'nothing'}",
                    "./stack logs backup shows more",
                ) from None

        try:
            yield go
        finally:
            if process.poll() is None and process.stdin is not None:
                process.stdin.close()
                process.wait()


def run(
    compose: Compose, args: Sequence[str], answer: IO[bytes], step: Step | None = None, source: Source | None = None
) -> tuple[int, str]:
    """Run one command of the keeper, its stdout into `answer`. Return its exit code and what it said on stderr.

    Where the service does not run, a container of its own is made for the one command. The command has a
    session of its own and speaks into files: neither Ctrl-C nor the launcher's death reaches the keeper.
    Raises StackError when the stack was never started, and when the command was ended from outside.
    """
    display = step.display if step else None
    argv = [*_door(compose), "python3", "-m", "backup", *args]
    if display and display.wanted and args[0] in ("now", "verify", "restore", "drill"):
        argv.append("--progress")
    words = []
    with tempfile.TemporaryFile() as told, _fed(source) as stdin, _goes_on_by_itself(args[0]):
        process = subprocess.Popen(
            argv,
            stdin=stdin,
            stdout=answer,
            stderr=told,
            env=compose.environment,
            start_new_session=True,
            pass_fds=roots.held(),
        )
        tail = _Tail(told.fileno())
        ended = False
        while not ended:
            ended = _ended(process)
            for line in tail.lines(last=ended):
                heard = Heard.parse(line)
                if heard is None:
                    words.append(line)
                elif display:
                    display.hear(heard)
    said = "".join(line for line in words if not _is_event(line))
    _expect_an_end_of_its_own(args, process.returncode, said, os.fstat(answer.fileno()).st_size)
    return process.returncode, said


def _door(compose: Compose) -> list[str]:
    claims.check_project(compose)
    state = next(entry for entry in health.states(compose) if entry.service == "backup")
    if state.status == "running":
        return ["docker", "exec", "--interactive", compose.container("backup")]
    if (compose.settings.root / "state" / "releases").is_dir():
        return [*compose.argv, "run", "--rm", "--no-deps", "--no-TTY", "--interactive", "backup"]
    raise StackError(
        f"there is no stack in {compose.settings.root}: it was never started",
        "./stack up starts one; MONSITE_ROOT names another folder",
    )


@contextmanager
def _fed(source: Source | None) -> Iterator[IO[bytes]]:
    """Open what the keeper reads: nothing, a file, or a file with its manifest before it.

    The two are joined by a process of its own, which outlives the launcher as the keeper's command does.
    """
    with open((source and source.file) or os.devnull, "rb") as file:  # noqa: PTH123  # devnull is no Path
        if source is None or source.manifest is None:
            yield file
            return
        join = ["cat", str(source.manifest), "-"]
        ours, theirs = os.pipe()
        process = subprocess.Popen(join, stdin=file, stdout=theirs, start_new_session=True)
        os.close(theirs)
        try:
            with os.fdopen(ours, "rb") as both:
                yield both
        finally:
            process.wait()


@contextmanager
def _goes_on_by_itself(verb: str) -> Iterator[None]:
    """Say, on Ctrl-C at any moment from the keeper's start on, that it is only the launcher that ends."""
    try:
        yield
    except KeyboardInterrupt:
        raise StackError(
            f"interrupted; the backup service goes on with `{verb}` by itself",
            "./stack backup list and ./stack status show what came of it",
            Exit.INTERRUPTED,
        ) from None


def _ended(process: "subprocess.Popen[bytes]") -> bool:
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=LOOK_EVERY_S)
        return True
    return False


def _expect_an_end_of_its_own(args: Sequence[str], code: int, said: str, answered: int) -> None:
    """A kill has no code on the keeper's list, and the engine's own refusals have none either."""
    if code in KEEPERS_CODES and (code == Exit.OK or said.strip() or answered):
        return
    last = said.strip().splitlines()[-3:]
    changes = args[0] == "restore" and not {"--dry-run", "--to"} & set(args)
    whole = "the database is the old or the new one, whole: run the same command again; " if changes else ""
    raise StackError(
        f"the backup service ended with exit code {code} and said {' '.join(last) or 'nothing'}",
        f"{whole}137 is a kill, most often for memory: ./stack status shows restarts, ./stack logs backup the rest",
    )


def _is_event(line: str) -> bool:
    """Tell whether a line is one of the keeper's log, which it writes to stderr where it has no container's log."""
    return line.startswith("{") and '"event"' in line


class _Tail:
    """Reads a file that another process is writing; by position, because the two share the file's offset."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._position = 0
        self._rest = b""

    def lines(self, *, last: bool) -> list[str]:
        """Return the lines that have come since, whole; when it is the last look, the unfinished one too."""
        while block := os.pread(self._descriptor, _BLOCK, self._position):
            self._position += len(block)
            self._rest += block
        *whole, self._rest = self._rest.splitlines(keepends=True) or [b""]
        if last or self._rest.endswith(b"\n"):
            whole.append(self._rest)
            self._rest = b""
        return [line.decode("utf-8", errors="replace") for line in whole if line]
