"""The catalogue checks itself: against the tests, the CIS ledger and the README, and against its own typing errors."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures import cis, controls, homes, sabotage
from fixtures.controls import CONTROLS
from fixtures.evidence import Door, door
from fixtures.run import CHECKOUT
from fixtures.stack import LAUNCHER

pytestmark = pytest.mark.promise("nothing that the suite claims to look at is quietly missing")

GOOD = controls.FILE.read_text(encoding="utf-8")
GOOD_LEDGER = cis.FILE.read_text(encoding="utf-8")
LEDGER = cis.load()
MEASURING = {"benchmarks", "torture"}  # not of the gate: a control that only they serve is not looked at
# What is judged otherwise than the rest; a word in the catalogue silences nobody by itself.
EXCEPTIONS = {
    "advisory": {"HST-05", "HST-06", "HST-08"},
    "gap": {
        *("SUP-03", "BAK-11", "BAK-12", "LOG-04"),
    },
    "not_applicable_when": {"RUN-10"},
}
# The numbering of the benchmark: how many checks each of its sections has.
SECTIONS = {"1.1": 18, "1.2": 2, "2": 18, "3": 24, "4": 12, "5": 32, "6": 2, "7": 9}
BENCHMARK = [f"{section}.{number}" for section, count in SECTIONS.items() for number in range(1, count + 1)]


def marked(path: Path) -> Iterator[str]:
    """Every control that a file of tests names in a mark."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "control":
            yield from (one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str))


def test_every_judged_control_has_a_test(evidence: Door) -> None:
    """Each control that is no gap has a test in the gate, and no test names another."""
    files = [path for path in (CHECKOUT / "tests").rglob("test_*.py") if not MEASURING & set(path.parts)]
    named = {path.relative_to(CHECKOUT): sorted(set(marked(path))) for path in files}
    evidence.saw("controls by file", "\n".join(f"{path}: {', '.join(those)}" for path, those in sorted(named.items())))
    judged = {name for name, control in CONTROLS.items() if control.gap is None}

    served = {control for those in named.values() for control in those}
    assert served == judged, (
        f"without a test: {sorted(judged - served)}; no control that is judged: {sorted(served - judged)}"
    )


@pytest.mark.parametrize("word", EXCEPTIONS)
def test_exceptions_are_the_known_ones(word: str, evidence: Door) -> None:
    """Those controls alone are advisory, gaps, or may not apply of which that was decided."""
    evidence.read(controls.FILE)

    assert {name for name, control in CONTROLS.items() if getattr(control, word)} == EXCEPTIONS[word]


def test_no_number_of_a_family_is_missing(evidence: Door) -> None:
    """Each family counts from 01 without a hole: a control that is dropped leaves one."""
    evidence.read(controls.FILE)
    families = Counter(control.family for control in CONTROLS.values())

    assert list(CONTROLS) == [
        f"{name}-{number:02d}" for name, count in families.items() for number in range(1, count + 1)
    ]


def test_ledger_answers_every_check_of_the_benchmark(evidence: Door) -> None:
    """Each of the 117 core checks of the benchmark is answered, once, in its order."""
    evidence.read(cis.FILE)

    assert list(LEDGER) == BENCHMARK


def test_ledger_and_catalogue_name_each_other(evidence: Door) -> None:
    """A control maps to a check of the benchmark exactly where that check names the control."""
    ledger = {(control, check.id) for check in LEDGER.values() for control in check.controls}
    catalogue = {(control.id, number) for control in CONTROLS.values() for number in control.mappings.get("cis", ())}
    evidence.saw("pairs", "\n".join(f"{control} {number}" for control, number in sorted(ledger | catalogue)))

    assert sorted(ledger ^ catalogue) == []


def test_readme_counts_what_there_is(evidence: Door) -> None:
    """The README's table of families and its figures of the benchmark are those of the files."""
    readme = evidence.read(CHECKOUT / "README.md")
    families = Counter(control.family for control in CONTROLS.values())
    gaps = Counter(control.family for control in CONTROLS.values() if control.gap)
    kinds = Counter(check.kind for check in LEDGER.values())
    told = [
        *(f"| `{name}` | {count} | {gaps[name] or '–'} |" for name, count in families.items()),
        f"{len(CONTROLS)} controls, {gaps.total()} of them gaps",
        f"{len(LEDGER)} core checks of docker-bench-security 1.6.0: {kinds['automated']} are judged by controls, "
        f"{kinds['attested']} a person must show, {kinds['not-applicable']} do not apply",
    ]

    flat = " ".join(readme.split())
    assert [one for one in told if one not in flat] == []


def test_every_sabotage_finds_what_it_changes(evidence: Door) -> None:
    """Each edit of a sabotage stands once in its file: moved code is noticed before a trial runs in vain."""
    edits = [(control, edit) for control, one in sabotage.load().items() for edit in one.edits]
    found = {
        f"{control}: {edit.old.strip()}, in {edit.file}": (CHECKOUT / edit.file).read_text().count(edit.old)
        for control, edit in edits
    }
    evidence.saw("how often each edit stands in its file", "\n".join(f"{name}: {n}" for name, n in found.items()))

    assert found
    assert {name: times for name, times in found.items() if times != 1} == {}


def offered(*verb: str) -> set[str]:
    """The verbs that the launcher says it has."""
    told = door.run(str(LAUNCHER), *verb, "--help", env=homes.environment(), cwd=CHECKOUT).stdout
    return set(re.findall(r"^\W{1,3}([a-z]+)  ", told, re.MULTILINE))


def test_remedies_name_commands_that_exist() -> None:
    """Each ./stack command that a remedy tells people to type is one that the launcher has."""
    typed = {name: re.findall(r"\./stack ([a-z]+)(?: ([a-z]+))?", one.remedy) for name, one in CONTROLS.items()}
    verbs, of_backup = offered(), offered("backup")

    told = [(name, verb, below) for name, those in typed.items() for verb, below in those]
    unknown = [one for one in told if one[1] not in verbs or (one[1] == "backup" and one[2] not in of_backup)]
    assert len(told) > len(verbs), "remedies are known to name commands"
    assert not unknown, f"expected verbs of ./stack --help, seen: {unknown}"


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        # doubles
        ("[controls.IMG-02]", "[controls.IMG-01]", "Cannot declare ('controls', 'IMG-01') twice"),
        ('tier = "image"', 'tier = "image"\ntier = "static"', "Cannot overwrite a value"),
        ('cis = ["4.1"]', 'cis = ["4.1", "4.1"]', "controls.IMG-01.mappings.cis names 4.1 twice"),
        # blanks
        ('why = "Without a numeric', 'why = ""\n#', "controls.IMG-01.why is blank"),
        # unknown, and missing
        ("remedy = ", "remedies = ", "[controls.IMG-01]: unknown key remedies"),
        ("severity = ", "# severity = ", "[controls.IMG-01]: missing severity"),
        ("schema = 1", "schema = 2", "this suite reads schema 1"),
        ("[controls.IMG-01]", "[controls.IMG-1]", "controls.IMG-1: an id is three capitals"),
        ('tier = "image"', 'tier = "picture"', "controls.IMG-01.tier: picture is not among static, image"),
        ('severity = "high"', 'severity = "severe"', "controls.IMG-01.severity: severe is not among low, medium"),
        ('cis = ["4.1"]', 'cjs = ["4.1"]', "controls.IMG-01.mappings: cjs is not among cis, nist80053"),
        (
            'tier = "image"',
            'tier = "image"\ncollateral = ["IMG-99"]',
            "controls.IMG-01.collateral: IMG-99 is not among",
        ),
        (
            'tier = "image"',
            'tier = "image"\ncollateral = ["IMG-01"]',
            "controls.IMG-01.collateral: IMG-01 is not among",
        ),
        ('tier = "image"', 'tier = "image"\nadvisory = "yes"', "IMG-01.advisory is 'yes', expected true or false"),
    ],
)
def test_catalogue_with_a_fault_is_refused(right: str, wrong: str, complaint: str, evidence: Door) -> None:
    """A catalogue with an unknown, double, blank, missing or mistyped word is refused by its name and place."""
    assert GOOD.count(right) >= 1, "the fault must really be put in"

    with pytest.raises(controls.ControlsError) as refusal:
        controls.parse(GOOD.replace(right, wrong, 1), controls.FILE.name)

    told = evidence.saw(f"parse with {wrong!r}", str(refusal.value), subject=controls.FILE.name)
    assert told.startswith("controls.toml: ")
    assert complaint in told


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ('kind = "automated"', 'kind = "automatic"', "checks.1.1.1.kind: automatic is not among automated, attested"),
        ('controls = ["HST-08"]', 'controls = ["HST-99"]', "checks.1.1.1.controls: HST-99 is not in the catalogue"),
        # judged by nobody, or only by a gap
        ('controls = ["HST-08"]', "", "checks.1.1.1 is automated; controls that judge it: none"),
        ('controls = ["HST-08"]', 'controls = ["LOG-04"]', "checks.1.1.1 is automated; controls that judge it: none"),
        (
            'kind = "automated"',
            'kind = "not-applicable"',
            "checks.1.1.1 is not-applicable; controls that judge it: HST-08",
        ),
        # shown by nobody
        ('who = "the operator', '# who = "the operator', "checks.1.2.1 is attested: who and how belong"),
        ('["HST-08"]', '["HST-08"]\nhow = "by looking"', "checks.1.1.1 is automated: who and how belong"),
    ],
)
def test_ledger_with_a_fault_is_refused(right: str, wrong: str, complaint: str, evidence: Door) -> None:
    """A ledger that claims what nothing shows is refused by the check's number."""
    assert GOOD_LEDGER.count(right) >= 1, "the fault must really be put in"

    with pytest.raises(cis.CisError) as refusal:
        cis.parse(GOOD_LEDGER.replace(right, wrong, 1), cis.FILE.name)

    assert complaint in evidence.saw(f"parse with {wrong!r}", str(refusal.value), subject=cis.FILE.name)
