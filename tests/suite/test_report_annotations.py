"""What CI shows beside its log is what the results say, and none of it is a command or markup of somebody else's."""

import os
import re
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from fixtures.evidence import Door
from fixtures.hostile import HOSTILE
from fixtures.made_run import made_run
from fixtures.report import annotations, document
from fixtures.report.visible import visible
from fixtures.run import CHECKOUT

pytestmark = pytest.mark.promise("CI shows what keeps a run from green, and what to do")

NOTE = re.compile(r"::(error|warning|notice) (?:file=([^,:]*),)?title=([^,:]*)::(.*)")
SHOWN = 500


@pytest.mark.parametrize("words", HOSTILE.values(), ids=HOSTILE)
def test_notes_are_one_line_each_whatever_they_tell(tmp_path: Path, evidence: Door, words: str) -> None:
    """Each control that keeps the run from green has one note with its state; hostile words stay within it."""
    told = document.load(made_run(tmp_path, words[:SHOWN]))

    lines = evidence.saw("annotations", annotations.notes(told)).splitlines()

    notes = [NOTE.fullmatch(line) for line in lines]
    assert None not in notes, "a line that is no note would be a command of somebody else's"
    titles = [unquote(note[3]) for note in notes if note]
    assert [one.split(" on ")[0] for one in titles[:4]] == [
        "RUN-01 broken",
        "RUN-02 error",
        "NET-01 waived",
        "LOG-01 not-run",
    ]
    assert " ".join(visible(words[:SHOWN]).split()) in " ".join(" ".join(unquote(line) for line in lines).split())


@pytest.mark.parametrize("words", HOSTILE.values(), ids=HOSTILE)
def test_summary_has_no_markup_of_others(tmp_path: Path, evidence: Door, words: str) -> None:
    """The summary names verdict, counts, what is broken and what to do; a word of the run is never Markdown or HTML."""
    told = document.load(made_run(tmp_path, words[:SHOWN]))

    text = evidence.saw("summary", annotations.summary(told))

    assert text.startswith("## BROKEN\n")
    assert "| proven | 3 |" in text
    assert r"| RUN\-01 | app " in text
    assert "Mend it" in text
    assert re.search(r"(?<!\\)[<>`\[\]!]", text) is None, "unescaped markup"
    assert len({line.count("|") - line.count(r"\|") for line in text.splitlines() if line.startswith("| ")}) == 2


def test_workflow_calls_it(tmp_path: Path, evidence: Door) -> None:
    """The command of the workflow, typed as it stands there, writes notes to its log and a summary to its file."""
    workflow = evidence.read(CHECKOUT / ".github" / "workflows" / "ci.yml")
    (line,) = re.findall(r"run: \.venv/bin/python (-m fixtures\.report .*)", workflow)
    folder = made_run(tmp_path)
    (tmp_path / "latest").symlink_to(folder.name)
    summary = tmp_path / "summary.md"
    script = line.replace("fixtures.report", f"fixtures.report --reports {tmp_path}")

    environment = {"PATH": os.environ["PATH"], "GITHUB_STEP_SUMMARY": str(summary)}
    done = evidence.run("sh", "-c", f"{sys.executable} {script}", cwd=CHECKOUT, env=environment)

    assert done.code == 0, done.told()
    assert done.stdout.startswith("::error file=tests/made.py,title=RUN-01 broken on app plain::reason plain%0Aremedy")
    assert summary.read_text(encoding="utf-8").startswith("## BROKEN")
