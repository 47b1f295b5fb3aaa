"""test and verify: become the parent of pytest, and believe no end of it that left no results behind."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ops import child, report
from ops.errors import Exit, StackError, in_words
from ops.settings import CHECKOUT

INCOMPLETE = 3  # of the suite's own exit codes: something was not looked at
USAGE = 2
PYTEST_USAGE = 4
NOT_A_RUN = {"-h", "--help", "-V", "--version", "--co", "--collect-only", "--fixtures", "--markers", "--cache-show"}


@contextmanager
def nothing_broken() -> Iterator[None]:
    """Let what fails around the suite end with 3, "not all was looked at": its 1 says that a promise is broken."""
    try:
        yield
    except (StackError, OSError) as error:
        told = in_words(error)
        raise StackError(told.message, told.hint, INCOMPLETE if told.code == Exit.FAILED else told.code) from error


@dataclass(frozen=True)
class Ended:
    """How a run of the suite ended."""

    code: int
    results: Path | None  # what its ledger wrote; None: it was asked for no run


def run(
    args: Sequence[str],
    environment: Mapping[str, str] | None = None,
    out: int | None = None,
    checkout: Path = CHECKOUT,
) -> Ended:
    """Run pytest on the checkout, its words to `out`; return the exit code that its ledger wrote down.

    0 pass, 1 broken, 2 wrong usage or internal error, 3 incomplete. Raises StackError (3) where pytest ended without
    having written results, whatever code it ended with. The suite's stacks have settings of their own: without an
    environment given, those of the operator's shell are left out.
    """
    reports = Path(os.environ.get("SUITE_REPORTS", checkout / "reports"))
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}"
    results = reports / run_id / "results.json"
    if environment is None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MONSITE_")}
    _expect_room(reports)
    # options in a shell would choose the tests, and nobody would see them in the command
    ours = {name: value for name, value in environment.items() if name != "PYTEST_ADDOPTS"}
    code = child.run([sys.executable, "-m", "pytest", *args], {**ours, "SUITE_RUN": run_id}, out, checkout)
    begun = (results.parent / "collected").is_dir()
    if not begun and NOT_A_RUN & set(args):
        return Ended(code, None)
    if code == PYTEST_USAGE or (code == USAGE and not begun):
        return Ended(USAGE, None)
    written = _written(results)
    if code != written:
        raise StackError(
            f"pytest ended with {code} and left {'no results' if written is None else f'results that say {written}'}: "
            "what it had not yet looked at is not known",
            f"look for what ended it (out of memory, a signal, os._exit) in {results.parent}, then run it again",
            INCOMPLETE,
        )
    return Ended(code, results)


def bundle(ended: Ended, keep: int) -> int:
    """Make the report of a run that has ended; give the code of the whole, in which a verdict of broken stays."""
    if ended.results is None:
        return ended.code
    code = report.make(ended.results.parent.parent, ["--run", ended.results.parent.name, "--keep", str(keep)])
    return ended.code if code == Exit.OK or ended.code == Exit.FAILED else USAGE


def _expect_room(reports: Path) -> None:
    """Refuse a run that could not say what it found."""
    try:
        reports.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=reports).close()
    except OSError as error:
        raise StackError(
            f"nothing can be written to {reports}: {error.strerror}: nothing was looked at",
            "make it a folder that you may write to, or name another one in SUITE_REPORTS",
            INCOMPLETE,
        ) from error


def _written(results: Path) -> int | None:
    try:
        return int(json.loads(results.read_text(encoding="utf-8"))["exit_code"])
    except FileNotFoundError:
        return None
