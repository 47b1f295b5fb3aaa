"""Who vouches for a release: a report of the suite that looked at these very images, whole, passing and fresh."""

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ops import releases, report
from ops.compose import run
from ops.errors import DeployError, Ending, StackError
from ops.release import Release
from ops.settings import CHECKOUT, Settings

FRESH = timedelta(hours=24)
_AHEAD = timedelta(minutes=5)  # clocks of two machines
_HINT = "./stack test proves this release; --without-report REASON deploys it all the same, and the history says so"


@dataclass(frozen=True)
class Vouched:
    """What the history will say."""

    report: str | None  # folder
    sha256: str | None  # of its manifest
    without: str | None  # the reason why there is none


def objections(results: Mapping[str, Any], images: Mapping[str, str], *, same_commit: bool, now: datetime) -> list[str]:
    """Say what keeps a run from vouching for these images; pure."""
    told = results["run"]
    ended = datetime.fromisoformat(told["ended"])
    found = []
    if results["verdict"] != "PASS" or results["exit_code"] != 0:
        found.append(f"its verdict is {results['verdict']}")
    if told["use"] != "test":
        found.append(f"it is a report of `{told['use']}`, which looks at what runs already")
    if now - ended > FRESH:
        found.append(f"it is of {told['ended']}, older than {FRESH.total_seconds() / 3600:.0f} h")
    if ended - now > _AHEAD:
        found.append(f"it says it ended at {told['ended']}, which is still to come")
    others = [name for name, id_ in images.items() if (told["images"] or {}).get(name) != id_]
    if others:
        found.append(f"it looked at other images of {', '.join(others)}")
    if not same_commit:
        found.append(f"it is of commit {str(told['commit'])[:12]}, whose docker/ is not that of the release")
    return found


def expect(settings: Settings, release: Release, named: Path | None, without: str | None) -> Vouched:
    """Find the report that vouches for a release. Raises DeployError with what keeps each from it."""
    if without is not None:
        return Vouched(None, None, without)
    folder = named.resolve() if named else _newest_of(release)
    if folder is None:
        raise DeployError(f"no report in {report.reports()} looked at release {release.id}", _HINT, Ending.PREFLIGHT)
    try:
        results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        found = objections(
            results,
            releases.image_ids(release),
            same_commit=_same_code(release.source.commit, results["run"]["commit"]),
            now=datetime.now(UTC),
        )
    except (OSError, ValueError, KeyError, TypeError) as damage:
        raise DeployError(f"{folder} holds no results that can be read: {damage}", _HINT, Ending.PREFLIGHT) from damage
    found += _changed(folder, settings.values["MONSITE_SIGNERS"])
    if found:
        why = "; ".join(found)
        raise DeployError(f"{folder} does not vouch for release {release.id}: {why}", _HINT, Ending.PREFLIGHT)
    manifest = (folder / "MANIFEST").read_bytes()
    return Vouched(str(folder), hashlib.sha256(manifest).hexdigest(), None)


def _newest_of(release: Release) -> Path | None:
    """The newest run that looked at these images; one that cannot be read did not."""
    wanted = releases.image_ids(release)
    found = []
    for path in report.reports().glob("*/results.json"):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))["run"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if told.get("images") == wanted and told.get("use") == "test":
            found.append((str(told.get("ended")), path.parent.resolve()))
    return max(found)[1] if found else None


def _changed(folder: Path, signers: str) -> list[str]:
    """Let the reports' own judge compare it with its manifest and signature."""
    argv = [sys.executable, "-m", "fixtures.report", "--json", "verify", str(folder)]
    trusted = ["--signers", str(CHECKOUT / Path(signers).expanduser())] if signers else []
    done = run([*argv, *trusted], environment={**os.environ, "PYTHONPATH": str(CHECKOUT)}, check=False)
    try:
        told = json.loads(done.stdout)
    except ValueError:
        return [f"it could not be verified: {done.stderr.strip()[-300:]}"]
    if told.get("whole"):
        return []
    return [*told.get("faults", ()), *(str(told[key]) for key in ("doubt", "error") if told.get(key))]


def _same_code(ours: str, theirs: str | None) -> bool:
    """Whether docker/ is the same in two commits; the images' own digests say more, where git can say nothing."""
    commit = ours.partition("-")[0]
    if theirs is None or commit == "unknown":
        return theirs is None and commit == "unknown"
    if commit == theirs:
        return True
    git = ["git", "-c", f"safe.directory={CHECKOUT}", "-C", str(CHECKOUT)]
    try:
        return run([*git, "diff", "--quiet", commit, theirs, "--", "docker"], check=False).code == 0
    except StackError:
        return False  # no git here
