"""DEP-01: what nobody vouches for does not go live.

Each refused report is the good one with one thing changed; that one is taken, so none is refused for another reason.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.contract import Contract
from fixtures.deploys import lines
from fixtures.evidence import Door
from fixtures.kinds import good
from fixtures.made_releases import MadeRelease, maker, own
from fixtures.report.manifest import NAME, SIGNATURE
from fixtures.stack import Stack
from fixtures.vouching import Vouching, new_key, trust

pytestmark = pytest.mark.control("DEP-01")

Report = Callable[["Case"], Path]


@pytest.fixture(scope="module")
def release(module_stack: Stack) -> Iterator[MadeRelease]:
    """A release that is recorded and not live."""
    with maker() as make:
        yield make(module_stack, good(2))


class Case:
    """What a report is made of."""

    def __init__(self, stack: Stack, release: MadeRelease, contract: Contract, folder: Path) -> None:
        """Make the keys; the folder is the test's own."""
        self.folder = folder
        self.good = Vouching.of(release)
        self.live = own(stack)
        self.max_age_hours = contract.deploy.number("report_max_age_hours")
        self.key, self.strange = new_key(folder, "key"), new_key(folder, "strange")
        self.signers = trust(self.key, folder)


@pytest.fixture
def case(module_stack: Stack, release: MadeRelease, contract: Contract, tmp_path: Path) -> Case:
    """The parts of a report on this release."""
    return Case(module_stack, release, contract, tmp_path)


def changed(case: Case) -> Path:
    """Change one word of a page after it was listed."""
    bundle = case.good.bundle(case.folder, case.key)
    page = bundle / "report.html"
    page.write_text(page.read_text(encoding="utf-8").replace("proven", "Proven", 1), encoding="utf-8")
    return bundle


def without(name: str) -> Report:
    """Take a file out of a good one."""

    def make(case: Case) -> Path:
        bundle = case.good.bundle(case.folder, case.key)
        (bundle / name).unlink()
        return bundle

    return make


def made(**differs: object) -> Report:
    """Make one that is signed, and says one thing that is not so."""
    return lambda case: replace(case.good, **differs).bundle(case.folder, case.key)  # type: ignore[arg-type]


def older(case: Case) -> Path:
    """Make one that is a few minutes too old."""
    return replace(case.good, hours_old=case.max_age_hours + 0.1).bundle(case.folder, case.key)


def of_the_live_image(case: Case) -> Path:
    """Make one of the app that is live."""
    images = {**case.good.images, "app": case.live.images["app"]}
    return replace(case.good, images=images).bundle(case.folder, case.key)


REFUSED = [
    # nobody looked at it, or found it wanting
    pytest.param(lambda case: case.folder / "none", "none", id="no report"),
    pytest.param(made(broken="RUN-01"), "verdict", id="broken control"),
    # somebody looked at something else, or too long ago
    pytest.param(older, "older than 24 h", id="too old"),
    pytest.param(of_the_live_image, "other images of app", id="other image"),
    pytest.param(made(commit="5" * 40), "commit 555555555555", id="other commit"),
    # it is not as it was made
    pytest.param(changed, "report.html was changed", id="changed page"),
    pytest.param(without(NAME), f"{NAME} is missing", id="no manifest"),
    # nobody who is trusted says so
    pytest.param(lambda case: case.good.bundle(case.folder), "not signed", id="not signed"),
    pytest.param(without(SIGNATURE), f"{SIGNATURE} is missing", id="signature removed"),
    pytest.param(
        lambda case: case.good.bundle(case.folder, case.strange),
        "signers does not vouch for",
        id="signed by a stranger",
    ),
]


@pytest.mark.parametrize(("report", "complaint"), REFUSED)
def test_release_that_nobody_vouches_for_is_refused(
    report: Report, complaint: str, module_stack: Stack, release: MadeRelease, case: Case, contract: Contract
) -> None:
    """Deploy refuses, names what is wrong with the report and the next step, and changes nothing."""
    before, known = module_stack.identity(), lines(module_stack)
    argv = ("--release", release.id, "--report", str(report(case)), "--watch-seconds", "0")
    trusting = {"MONSITE_SIGNERS": str(case.signers)}

    done = module_stack.run("deploy", *argv, expect=contract.deploy.whole("preflight"), env=trusting)

    assert done.stderr.startswith("error: ")
    assert complaint in done.stderr
    assert "\nhint: " in done.stderr
    assert module_stack.identity() == before
    assert lines(module_stack) == known


def test_release_without_any_report_is_refused(module_stack: Stack, release: MadeRelease, contract: Contract) -> None:
    """Without a report, and with none of its own that looked at these images, deploy refuses and changes nothing."""
    before = module_stack.identity()

    done = module_stack.run("deploy", "--release", release.id, expect=contract.deploy.whole("preflight"))

    assert "no report" in done.stderr
    assert "--without-report REASON" in done.stderr
    assert module_stack.identity() == before


@pytest.mark.parametrize("reason", ["", "   "])
def test_blank_reason_is_none(module_stack: Stack, release: MadeRelease, contract: Contract, reason: str) -> None:
    """The way round a report asks for a reason: a blank one is refused."""
    argv = ("--release", release.id, "--without-report", reason)
    done = module_stack.run("deploy", *argv, expect=None)

    assert done.code in (contract.deploy.whole("usage"), contract.deploy.whole("preflight"))
    assert "reason" in done.stderr.lower()


def test_report_that_vouches_is_taken(module_stack: Stack, release: MadeRelease, case: Case, evidence: Door) -> None:
    """The report of which each refused one differs by one thing is taken: the plan names it, and changes nothing."""
    before = module_stack.identity()
    report = case.good.bundle(case.folder, case.key)
    trusting = {"MONSITE_SIGNERS": str(case.signers)}

    plan = module_stack.run(
        "deploy", "--release", release.id, "--report", str(report), "--dry-run", "--json", env=trusting
    ).json()

    assert (plan["outcome"], plan["to"], plan["report"]) == ("planned", release.id, str(report))
    assert module_stack.identity() == before
    evidence.saw("containers after the plan", str(module_stack.identity()))
