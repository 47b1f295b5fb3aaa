"""The auditors' page: what it says, that it says all, and that nothing of it is more than text.

Most pages here are of a run that never was (fixtures/made_run.py), with every state, so that each is looked at.
"""

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures.contract import Contract
from fixtures.controls import CONTROLS
from fixtures.evidence import Door
from fixtures.hostile import HOSTILE
from fixtures.made_run import GAPS, ON, made_catalogue, made_run, write
from fixtures.markup import parse
from fixtures.report import document, page, samples
from fixtures.report.crosswalk import ProfileError
from fixtures.report.document import DocumentError
from fixtures.report.excerpt import excerpt, names
from fixtures.report.page import LONGEST
from fixtures.report.visible import visible
from fixtures.results import State
from fixtures.subjects import subject_of
from fixtures.wait import clock

ACTS = {"script", "iframe", "object", "embed", "link", "form", "base", "img", "video", "audio", "input", "button"}
HIDES = {"details", "dialog", "template", "noscript"}
ANSWER_CHARS = 20_000
A_MOMENT_S = 5.0
KNOWN = """
html head meta title style body header nav main section article footer div span p h1 h2 h3 h4 ol ul li dl dt dd
table caption thead tbody tr th td figure figcaption pre code b em br a abbr svg symbol use path circle rect text
"""
QUESTIONS = (
    "What was tested, when, and by whom?",
    "Was anything left out?",
    "Did a restore really work, and how long did it take?",
    "Which exceptions exist, and until when?",
    "How do I know that the checks can fail?",
    "Has this file been changed since?",
)


def on_a_sample(control: document.Control) -> document.Control:
    """The control, judged on a sample of a host."""
    (on,) = control.subjects
    return dataclasses.replace(control, subjects=(dataclasses.replace(on, subject=samples.SUBJECT),))


@pytest.fixture
def rendered(tmp_path: Path, evidence: Door) -> Callable[..., str]:
    """A page of made-up words; what came is on record."""

    def make(words: str = "plain", **asked: Any) -> str:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        text = page.render(document.load(made_run(folder, words)), **asked)
        evidence.saw(f"render a run of {words[:60]!r}", text[:20_000], subject="report.html")
        return text

    return make


@pytest.mark.promise("an auditor finds every answer and all evidence on one page")
def test_page_answers_the_six_questions(rendered: Callable[..., str]) -> None:
    """Each question of an auditor stands on the page with its answer, and leads to a section that exists."""
    text = rendered()
    seen = parse(text)

    answered = re.findall(r"<dt>(.*?)</dt>\s*<dd>.*?<a href=\"#([a-z]+)\">(.+?)</a>", text, re.S)
    assert [question for question, _, _ in answered] == list(QUESTIONS)
    assert {section for _, section, _ in answered} <= seen.ids.keys()
    assert "14 March 2026, 15:09 to 15:21 UTC" in seen.words
    assert "NET-01 of gate plain until 2026-05-20" in seen.words


@pytest.mark.promise("an auditor finds every answer and all evidence on one page")
def test_every_verdict_shows_its_evidence(tmp_path: Path, evidence: Door) -> None:
    """Each verdict that was looked at shows what was expected, command, answer, time, image and sha256."""
    run = document.load(made_run(tmp_path))
    text = page.render(run)
    evidence.saw("render", text, subject="report.html")

    looked = [on for one in run.controls for on in one.subjects for test in on.tests if test.looks]
    blocks = re.findall(r'<div class="evidence .*?</div>', text, re.S)
    assert len({on.subject for on in looked}) > 3
    shas = {look.sha256 for one in run.controls for on in one.subjects for look in on.tests[0].looks}
    assert shas <= set(re.findall(r"<code>([0-9a-f]{64})</code>", text))
    assert len(blocks) >= len(shas)
    for block in blocks:
        if "never looked" not in block:
            assert re.search(r"\$ engine inspect plain</b>\n.*Privileged", block, re.S), block
            assert re.search(r"2026-03-14 15:09:26 UTC.*image abababababab.*sha256 <code>", block, re.S), block
    assert text.count('class="expected"><span>Expected</span> The engine was told so plain.') >= len(ON) - len(GAPS)


@pytest.mark.promise("an auditor finds every answer and all evidence on one page")
def test_evidence_is_two_clicks_away(tmp_path: Path, evidence: Door) -> None:
    """The overview leads to each control, each control to the files of its evidence, and each of them is there."""
    folder = made_run(tmp_path)
    run = document.load(folder)
    text = page.render(run)
    seen = parse(text)
    evidence.saw("links", "\n".join(seen.values("a", "href")), subject="report.html")

    links = seen.values("a", "href")
    overview = text.partition('<section id="overview">')[2].partition("</section>")[0]
    assert [f"#{one.id}" for one in run.controls] == [
        one for one in parse(overview).values("a", "href") if "-" in one[:5]
    ]
    assert {one[1:] for one in links if one.startswith("#")} <= seen.ids.keys()
    files = {one for one in links if one.startswith("evidence/")}
    assert files == {test.evidence for test in run.tests.values() if test.evidence}
    assert all((folder / one).is_file() for one in files)


@pytest.mark.promise("a reader of the report is shown every state as it is")
def test_page_takes_its_states_from_the_results(tmp_path: Path, evidence: Door) -> None:
    """Whatever state results.json gives to a control, the page gives to it, and to no other."""
    run = document.load(made_run(tmp_path))
    told = {}
    for state in State:
        turned = [dataclasses.replace(one, state=state) if one.id == "BAK-01" else one for one in run.controls]
        text = page.render(dataclasses.replace(run, controls=tuple(turned)))
        told[str(state)] = dict(re.findall(r'<article id="([A-Z]{3}-\d\d)" class="control ([a-z-]+)">', text))
    evidence.saw("states", json.dumps(told, indent=1), subject="report.html")

    as_given = {one.id: str(one.state) for one in run.controls}
    assert told == {str(state): as_given | {"BAK-01": str(state)} for state in State}


@pytest.mark.promise("a reader of the report is shown every state as it is")
@pytest.mark.parametrize("verdict", ["PASS", "BROKEN", "INCOMPLETE", "ERROR"])
def test_headline_is_the_verdict(verdict: str, tmp_path: Path, evidence: Door) -> None:
    """The first heading is the word of the verdict, with its own shape."""
    run = dataclasses.replace(document.load(made_run(tmp_path)), verdict=verdict)
    text = page.render(run)
    evidence.saw(verdict, text.partition("<main>")[2][:1500], subject="report.html")

    shape = {"PASS": "proven", "BROKEN": "broken", "INCOMPLETE": "not-run", "ERROR": "error"}[verdict]
    assert re.findall(r"<h1>(.*?)</h1>", text) == [verdict.capitalize()]
    assert f'<section id="verdict" class="verdict {shape}">' in text


@pytest.mark.promise("an auditor finds every answer and all evidence on one page")
def test_containers_are_named_at_the_start_and_at_the_end(tmp_path: Path, evidence: Door) -> None:
    """A container that was replaced is named as both, one that went or came as what it is."""
    run = document.load(made_run(tmp_path))
    first = document.Container("ab" * 32, "2026-03-14T15:09:00.123456789Z", 0)
    second = document.Container("ef" * 32, "2026-03-14T15:11:00.123456789Z", 2)
    about = dataclasses.replace(
        run.about,
        containers_start={"stays": first, "turns": first, "goes": first},
        containers_end={"stays": first, "turns": second, "comes": second},
    )
    shown = page.render(dataclasses.replace(run, about=about)).partition('id="tested"')[2].partition("</section>")[0]
    rows = [" ".join(parse(row).words.split()) for row in re.findall(r"<tr>(.*?)</tr>", shown, re.S)]
    evidence.saw("containers", "\n".join(rows), subject="report.html")

    assert rows[1:] == [
        "staysabababababab2026-03-14 15:09:00 UTC the same",
        "turnsabababababab2026-03-14 15:09:00 UTC efefefefefef, started 2026-03-14 15:11:00 UTC, restarts: 0, then 2",
        "goesabababababab2026-03-14 15:09:00 UTC gone",
        "comesnot there yetefefefefefef, started 2026-03-14 15:11:00 UTC",
    ]


@pytest.mark.promise("a reader of the report is shown every state as it is")
def test_answer_that_is_not_well_does_not_read_like_one(tmp_path: Path, evidence: Door) -> None:
    """A restore beyond its time is called too late; the mark of an answer is told in words that are true of it."""
    shown = page.render(document.load(made_run(tmp_path))).partition('id="answers"')[2].partition("</section>")[0]
    evidence.saw("answers", shown, subject="report.html")

    assert "Yes, but too late, in 71.5 s at most" in shown
    assert set(re.findall(r'aria-label="(.*?)"', shown)) == {"well", "with a reservation"}


@pytest.mark.promise("a reader of the report is shown every state as it is")
def test_narrow_run_does_not_read_like_a_whole_one(tmp_path: Path, evidence: Door) -> None:
    """A run that was asked for less says so in its verdict and its answers, and names what it did not judge."""
    run = document.load(made_run(tmp_path))
    less = [
        dataclasses.replace(one, decides=False, state=State.NOT_RUN, reason="not of this use", subjects=())
        if one.id in ("RST-01", "NET-01")
        else one
        for one in run.controls
    ]
    done = dataclasses.replace(run.completeness, filters=(), left_out=(), missing=(), uncollected={})
    said = parse(page.render(dataclasses.replace(run, verdict="PASS", completeness=done, controls=tuple(less)))).words
    evidence.saw("narrow", said, subject="report.html")

    assert "that this run was asked for hold, 1 under an accepted exception. 2 more are not of this run." in said
    assert "By intention: 2 controls not of this run" in said
    assert "Not looked at" in said
    assert "was not asked for them (not of this use): NET-01, RST-01." in said
    assert "Nothing was left out" not in said


@pytest.mark.promise("a reader of the report is shown every state as it is")
def test_what_nobody_looked_at_is_told_once_for_all(tmp_path: Path, evidence: Door) -> None:
    """Many controls that one filter left out share a row; a few have one each; none is told how to be mended."""
    run = document.load(made_run(tmp_path))
    ids = [one.id for one in run.controls[:7]]
    unseen = [
        dataclasses.replace(one, state=State.NOT_RUN, reason=f"left out by {'a' if number < 5 else 'b'}", subjects=())
        for number, one in enumerate(run.controls[:7])
    ]
    whole = dataclasses.replace(run, controls=(*(dataclasses.replace(one, gap="", decides=True) for one in unseen),))
    shown = page.render(whole).partition('<section id="exceptions">')[2].partition("<h3>")[0]
    rows = [row for row in re.findall(r"<tr>(.*?)</tr>", shown, re.S) if "left out by" in row]
    evidence.saw("exceptions", shown, subject="report.html")

    assert [re.findall(r'<a href="#([^"]+)"', row) for row in rows] == [ids[:5], ids[5:6], ids[6:]]
    assert ["left out by a" in row for row in rows] == [True, False, False]
    assert "Remedy" not in "".join(rows)


@pytest.mark.promise("a reader of the report is shown every state as it is")
def test_whole_run_with_a_sample_of_a_host_is_not_called_complete(tmp_path: Path, evidence: Door) -> None:
    """A pass that judged a sample of a host says in its verdict and its answers that this host was not judged."""
    run = document.load(made_run(tmp_path))
    of_host = next(one for one in run.controls if one.id == "HST-05")
    paper = on_a_sample(of_host)
    done = dataclasses.replace(run.completeness, filters=(), left_out=(), missing=(), uncollected={})
    whole = dataclasses.replace(
        run,
        verdict="PASS",
        completeness=dataclasses.replace(done, reported=done.catalogue),
        controls=tuple(paper if one is of_host else one for one in run.controls),
    )
    said = parse(page.render(whole)).words
    evidence.saw("sample", said, subject="report.html")

    assert "No check was left out, but 1 control was judged on a sample, not this host." in said
    assert "No check, but 1 control judged on a sample of a host" in said
    assert "Nothing was left out" not in said


@pytest.mark.control("REP-05")
def test_sample_of_a_host_is_called_one(tmp_path: Path, evidence: Door) -> None:
    """What was judged on a sample of a host is tagged wherever it stands, counted beside the verdict, and no proof."""
    run = document.load(made_run(tmp_path))
    of_host = next(one for one in run.controls if one.id == "HST-05")
    real = dataclasses.replace(of_host, state=State.PROVEN, mappings={"cis": ("2.99",)})
    paper = on_a_sample(real)
    pages = {
        one: page.render(dataclasses.replace(run, controls=(*run.controls[:-1], control)))
        for one, control in (("host", real), ("sample", paper))
    }
    said = {one: " ".join(parse(text).words.split()) for one, text in pages.items()}
    evidence.saw("render", said["sample"][:20_000], subject="report.html")
    verdict = pages["sample"].partition('<section id="verdict"')[2].partition("</section>")[0]
    left_out = pages["sample"].partition('<section id="completeness">')[2].partition("</section>")[0]
    article = pages["sample"].partition('<article id="HST-05"')[2].partition("</article>")[0]

    assert samples.TAG not in said["host"]
    assert f"1 of the {len(run.controls)} controls, 0 of them deciding, were {samples.TAG}" in verdict
    assert [samples.TAG.capitalize() in left_out, "HST-05" in left_out] == [True, True]
    assert article.count(samples.TAG) == len(["tag", "subject", "row", "the other row"])
    assert "2.99 (HST-05" not in said["host"]
    assert f"2.99 (HST-05 {samples.TAG})" in said["sample"]
    assert f"controls of the host were {samples.TAG}" in said["sample"].partition("What this report does not say")[2]


@pytest.mark.control("REP-05")
def test_sample_is_known_by_the_name_that_the_suite_gives_it(request: pytest.FixtureRequest, evidence: Door) -> None:
    """A test of the host tier, in a run that verifies no host, is recorded under the name that the page looks for."""
    named = subject_of(request.node, {"REP-05": CONTROLS["HST-01"]})

    assert evidence.saw("subject of a check of the host", named) == samples.SUBJECT


@pytest.mark.control("REP-05")
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_words_are_text(kind: str, rendered: Callable[..., str]) -> None:
    """Whatever stands in names, commands, answers, reasons and exceptions adds no element, attribute or target."""
    words = HOSTILE[kind]
    plain, seen = parse(rendered()), parse(rendered(words))

    shown = visible(words)[: LONGEST // 4]
    assert shown[:30] in seen.words
    assert (seen.tags - plain.tags, plain.tags - seen.tags) == (Counter(), Counter()), "elements came or went"
    assert {name for _, name, _ in seen.attributes} == {name for _, name, _ in plain.attributes}
    assert not [value for value in seen.values("a", "href") if not re.match(r"#|evidence/|[a-z]+\.[a-z]+$", value)]
    assert seen.depth == plain.depth


@pytest.mark.control("REP-05")
def test_page_is_whole_without_a_script(rendered: Callable[..., str]) -> None:
    """No element acts, asks for anything or hides anything, and the policy forbids all but the page's own style."""
    text = rendered()
    seen = parse(text)

    policy = [value for value in seen.values("meta", "content") if "default-src" in value]
    assert set(seen.tags) - set(KNOWN.split()) == set()
    assert not set(seen.tags) & (ACTS | HIDES)
    assert not [name for _, name, _ in seen.attributes if name.startswith("on") or name in ("src", "style", "hidden")]
    assert [re.sub(r"'sha256-[^']+'", "'sha256-…'", one) for one in policy] == [
        "default-src 'none'; style-src 'sha256-…'; base-uri 'none'; form-action 'none'"
    ]
    assert not re.search(r"url\(|@import|https?://", text.partition("<style>")[2].partition("</style>")[0])
    assert [number for number in seen.depth.values() if number] == []
    assert [name for name, times in seen.ids.items() if times > 1] == []


@pytest.mark.promise("a page of a real run is light and soon there")
def test_answers_of_any_length_leave_the_page_small(rendered: Callable[..., str], contract: Contract) -> None:
    """Answers, names and reasons of a megabyte each make a page of less than one."""
    assert len(rendered("long " * 200_000).encode()) <= contract.report.whole("catalogue_bytes")


@pytest.mark.promise("an auditor finds every answer and all evidence on one page")
def test_line_of_a_megabyte_is_told_whole_elsewhere(tmp_path: Path, evidence: Door) -> None:
    """Of an endless line the page shows a part, with the sha256 of the whole and a link to where it lies."""
    line = f"{HOSTILE['script']}{HOSTILE['long line']}"
    folder = made_run(tmp_path, line)
    run = document.load(folder)
    text = page.render(run)
    evidence.saw("render", text[:20_000], subject="report.html")
    control = next(one for one in run.controls if one.id == "RUN-01")
    red = control.subjects[0].tests[0]
    (look,) = red.looks
    article = text.partition(f'<article id="{control.id}"')[2].partition("</article>")[0]

    assert line in look.output
    assert line in red.message
    assert line not in text
    assert f'<code>{look.sha256}</code> · <a class="file" href="{red.evidence}">' in article
    assert f'<code>{page.sha256(red.message)}</code> · whole in <a href="results.json">' in article
    assert line in json.loads((folder / str(red.evidence)).read_text(encoding="utf-8"))["looks"][0]["output"]


@pytest.mark.promise("a reader of the report is shown every state as it is")
def test_counts_of_tests_are_of_those_that_reported(tmp_path: Path, evidence: Door) -> None:
    """The number of tests beside the verdict is of those that reported; how many were found is told too."""
    run = document.load(made_run(tmp_path))
    done = dataclasses.replace(run.completeness, collected=1590, reported_tests=1587)
    said = {
        name: parse(page.render(dataclasses.replace(run, completeness=one)).partition('id="answers"')[0]).words
        for name, one in (("part", done), ("whole", dataclasses.replace(done, reported_tests=1590)))
    }
    evidence.saw("verdicts", json.dumps(said), subject="report.html")

    assert "by 1,587 tests that reported, of 1,590 that were found." in said["part"]
    assert "by 1,590 tests that reported. " in said["whole"]


@pytest.mark.promise("a reader of the report is shown every state as it is")
def test_verdict_that_promises_decide_is_explained_beside_it(tmp_path: Path, evidence: Door) -> None:
    """Beside the counts of the controls stand those of the promises, and how many gaps there are."""
    run = document.load(made_run(tmp_path))
    promised = {**dict.fromkeys(map(str, State), 0), "proven": 7, "broken": 2, "not-run": 1}
    told = dataclasses.replace(run, counts={**run.counts, "promises": promised})
    said = " ".join(parse(page.render(told).partition('id="answers"')[0]).words.split())
    evidence.saw("verdict", said, subject="report.html")

    assert "Of the product's 10 promises, 7 are proven, 2 broken, 1 not run." in said
    assert "“Not applicable” is never counted as proven; 1 is a gap of this release, each named." in said


@pytest.mark.promise("a page of a real run is light and soon there")
def test_page_of_the_whole_catalogue_is_small(tmp_path: Path, contract: Contract, evidence: Door) -> None:
    """Every control on every service, each with an answer of many kilobytes, makes a page of less than a megabyte."""
    text = page.render(document.load(made_catalogue(tmp_path, ANSWER_CHARS)))
    evidence.saw("page", f"{len(text.encode())} bytes\n{text[:5_000]}", subject="report.html")

    assert text.count("<article ") == len(CONTROLS)
    assert len(text.encode()) <= contract.report.whole("catalogue_bytes")


@pytest.mark.promise("what an excerpt shows is what its control speaks of")
def test_excerpt_shows_the_lines_that_are_spoken_of(evidence: Door) -> None:
    """Of a long answer the lines with the control's own names are shown, and a sign where others are left out."""
    answer = json.dumps({"Args": ["x"] * 40, "Privileged": False, "Binds": None, "CapDrop": ["ALL"]}, indent=1)
    wanted = names("docker inspect: CapDrop, CapAdd", "HostConfig.Privileged is false")
    seen = excerpt(answer, wanted, 60)
    evidence.saw("excerpt", seen.text, subject="an answer")

    assert wanted == {"CapDrop", "CapAdd", "Privileged"}
    assert seen.text.split("\n") == ["⋮", ' "Privileged": false,', "⋮", ' "CapDrop": [', '  "ALL"', " ]", "⋮"]
    assert (seen.whole, seen.lines) == (False, answer.count("\n") + 1)


@pytest.mark.promise("what an excerpt shows is what its control speaks of")
def test_no_name_takes_the_room_of_another(evidence: Door) -> None:
    """Where one name stands on a hundred lines and another on one, the excerpt shows both."""
    answer = "\n".join([*(f"Groups: {number}" for number in range(100)), "CapEff: 0"])
    seen = excerpt(answer, names("/proc: CapEff, Groups", ""), 60)
    evidence.saw("excerpt", seen.text, subject="an answer")

    assert seen.text.split("\n")[:2] == ["Groups: 0", "Groups: 1"]
    assert seen.text.split("\n")[-2:] == ["⋮", "CapEff: 0"]


@pytest.mark.promise("a page of a real run is light and soon there")
def test_names_of_a_megabyte_are_soon_found(evidence: Door) -> None:
    """A control whose words are a megabyte long keeps nobody waiting."""
    begun = clock()
    found = names(f"docker inspect: CapDrop {'x' * 1_000_000}", "x" * 1_000_000)
    took_s = clock() - begun
    evidence.saw("names", f"{sorted(found)} in {took_s:.3f} s", subject="a control")

    assert found == {"CapDrop"}
    assert took_s < A_MOMENT_S


@pytest.mark.promise("a reader of the report is shown every state as it is")
def test_changes_are_named(tmp_path: Path, evidence: Door) -> None:
    """Beside an earlier run every control and promise that moved, came or went is named, and every exception."""
    before = document.load(made_run(tmp_path, name="before"))
    moved = [
        dataclasses.replace(one, state=State.BROKEN) if one.id == "IMG-04" else one for one in before.controls[:-1]
    ]
    now = dataclasses.replace(before, controls=tuple(moved), waivers=())
    told = (
        parse(page.render(now, since=before))
        .words.partition("Changes since the last report")[2]
        .partition("Proof of")[0]
    )
    same = parse(page.render(before, since=before)).words
    evidence.saw("changes", told, subject="report.html")

    said = " ".join(told.split())
    assert "IMG-04 title IMG-04provenbroken" in said
    assert "HST-05 title HST-05brokenno longer among them" in said
    assert "Exceptions that went: NET-01 of gate plain." in said
    assert "RUN-01" not in said
    assert "Nothing has changed since run before" in same


@pytest.mark.promise("a reader of the report is shown every state as it is")
def test_change_is_named_wherever_it_is(tmp_path: Path, evidence: Door) -> None:
    """A promise that broke, or a control that is broken on another subject than it was, is a change that is named."""
    now = document.load(made_run(tmp_path))
    (promise,) = now.promises
    red = next(one for one in now.controls if one.id == "RUN-01")
    app, backup = red.subjects
    turned = dataclasses.replace(
        red,
        subjects=(dataclasses.replace(app, state=backup.state), dataclasses.replace(backup, state=app.state)),
    )
    earlier = {
        "promise": dataclasses.replace(now, promises=(dataclasses.replace(promise, state=State.PROVEN),)),
        "no promise": dataclasses.replace(now, promises=()),
        "subjects": dataclasses.replace(now, controls=tuple(turned if one is red else one for one in now.controls)),
    }
    said = {
        name: " ".join(
            parse(page.render(now, since=before))
            .words.partition("Changes since the last")[2]
            .partition("Proof")[0]
            .split()
        )
        for name, before in earlier.items()
    }
    evidence.saw("changes", json.dumps(said, indent=1), subject="report.html")

    assert "promise promise plainprovenbroken" in said["promise"]
    assert "promise promise plainnot among thembroken" in said["no promise"]
    assert "RUN-01 title RUN-01, on app plainprovenbroken" in said["subjects"]
    assert "RUN-01 title RUN-01, on backup plainbrokenproven" in said["subjects"]


@pytest.mark.promise("a framework's profile shows its requirements, and never says that they are met")
def test_profile_shows_one_house(rendered: Callable[..., str]) -> None:
    """`nist` shows both of its publications with each requirement's controls; a requirement without proof is named."""
    said = " ".join(parse(rendered(profile="nist")).words.split())

    assert "NIST80053, 1" in said
    assert "NIST800190, 1" in said
    assert "CIS, 1" not in said
    assert "gives evidence relevant to" in said
    assert not re.search(r"\b(complian|certif|satisfied by)", said)


@pytest.mark.promise("a framework's profile shows its requirements, and never says that they are met")
def test_what_is_not_all_proven_is_marked_among_the_frameworks(tmp_path: Path, evidence: Door) -> None:
    """A requirement bears the shape of what does not apply beside what is proven, and a star for a sample of a host."""
    run = document.load(made_run(tmp_path))
    proven, absent, of_host = (
        dataclasses.replace(next(one for one in run.controls if one.id == name), mappings={"cis": mapped}, state=state)
        for name, mapped, state in (
            ("BAK-01", ("1.1", "1.2"), State.PROVEN),
            ("BAK-11", ("1.2", "1.3", "1.4"), State.NOT_APPLICABLE),
            ("HST-05", ("1.1", "1.5"), State.PROVEN),
        )
    )
    shown = page.render(dataclasses.replace(run, controls=(proven, absent, on_a_sample(of_host))))
    mapped = shown.partition('<section id="frameworks">')[2].partition('<section id="changes">')[0]
    evidence.saw("frameworks", mapped, subject="report.html")
    cells = re.findall(r'<td class="some">(.*?)</td>', mapped)
    listed = re.findall(r'<span class="whole">(.*?)</span>', mapped)

    assert [parse(one).words.strip() for one in cells] == ["4", "2*"]
    assert ["not-applicable" in one for one in cells] == [True, False]
    assert [parse(one).words.strip() for one in listed[:5]] == ["1.1*,", "1.2,", "1.3,", "1.4,", "1.5*."]
    assert ["not-applicable" in one for one in listed[:5]] == [False, True, True, True, False]
    assert f"* where some of it was {samples.TAG}" in mapped
    assert "<b>1.3, 1.4</b> (" in mapped


@pytest.mark.promise("a framework's profile shows its requirements, and never says that they are met")
def test_unknown_profile_is_refused(rendered: Callable[..., str], evidence: Door) -> None:
    """A framework that the run does not know is an error that names those it does."""
    with pytest.raises(ProfileError, match=r"--profile pci.*known: cis, nist, nist800190, nist80053") as refused:
        rendered(profile="pci")

    evidence.saw("--profile pci", str(refused.value), subject="report.html")


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "no results": (lambda run: (run / "results.json").unlink(), r"results\.json: no such file: .*run `\./stack test`"),
    "no JSON": (lambda run: (run / "results.json").write_text("{"), r"results\.json: not JSON .*untouched copy"),
    "no UTF-8": (lambda run: (run / "results.json").write_bytes(b"\xff"), r"results\.json: not JSON .*untouched copy"),
    "a list": (lambda run: (run / "results.json").write_text("[]"), r"schema is None, this release reads"),
    "a newer schema": (lambda run: _with(run, schema=99), r"schema is 99, this release reads .*release that made it"),
    "a verdict gone": (lambda run: _without(run, "verdict"), r"lacks verdict.*untouched copy"),
    "a state of its own": (
        lambda run: _with(run, controls=_stated(run, "green")),
        r"state is 'green', expected one of broken",
    ),
    "evidence gone": (
        lambda run: next((run / "evidence").iterdir()).unlink(),
        r"evidence of tests/made.*untouched copy",
    ),
    "evidence changed": (lambda run: _reworded(run), r"its answer is not the one whose sha256 stands beside it"),
    "evidence elsewhere": (lambda run: _with(run, controls=_strayed(run)), r"lies outside the run's folder"),
}


@pytest.mark.promise("a run's folder that is not whole is refused, with the next step")
@pytest.mark.parametrize("what", REFUSED)
def test_folder_that_is_not_whole_is_refused(what: str, tmp_path: Path, evidence: Door) -> None:
    """Nothing is rendered of what is missing, changed or newer; the error names file, sight and next step."""
    run = made_run(tmp_path)
    harm, told = REFUSED[what]
    harm(run)

    with pytest.raises(DocumentError, match=told) as refused:
        document.load(run)

    evidence.saw(what, str(refused.value), subject=str(run))


def _raw(run: Path) -> dict[str, Any]:
    raw: dict[str, Any] = json.loads((run / "results.json").read_text(encoding="utf-8"))
    return raw


def _with(run: Path, **changed: Any) -> None:
    write(run, _raw(run) | changed)


def _without(run: Path, name: str) -> None:
    write(run, {key: value for key, value in _raw(run).items() if key != name})


def _stated(run: Path, state: str) -> list[Any]:
    return [one | {"state": state} for one in _raw(run)["controls"]]


def _strayed(run: Path) -> list[Any]:
    controls: list[Any] = _raw(run)["controls"]
    controls[0]["subjects"][0]["tests"][0]["evidence"] = "../elsewhere.json"
    return controls


def _reworded(run: Path) -> None:
    file = next((run / "evidence").iterdir())
    file.write_text(file.read_text(encoding="utf-8").replace("false", "true"), encoding="utf-8")
