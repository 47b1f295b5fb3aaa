"""What deploys rest on, when it is damaged: each file is told by its name, with the next step."""

from pathlib import Path

import pytest

from fixtures.contract import Contract
from fixtures.evidence import door
from fixtures.stack import Stack
from ops import release, releases
from ops.errors import DeployError, Ending, StackError, ending
from ops.release import Image, Release, Source
from ops.settings import Settings

pytestmark = pytest.mark.promise("each trouble has its own clear message with the next step")

SOURCE = Source("unknown", "1970-01-01T00:00:00+00:00")
IMAGE = Image("some/image:tag", "sha256:0", SOURCE)
WHOLE = Release("whole", "1", SOURCE, IMAGE, dict.fromkeys(release.IMAGES, IMAGE))
DAMAGE = ["", "{", "[]", "{}", '{"recorded": "now", "images": {}}', '{"recorded": "now", "images": {"app": null}}']


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a stack with one recorded release."""
    told = Settings({"MONSITE_ROOT": str(tmp_path)})
    release.record(told, WHOLE)
    return told


@pytest.mark.parametrize("text", DAMAGE)
def test_damaged_record_is_told_by_its_file(settings: Settings, text: str) -> None:
    """One damaged record is named when all are read; a release that is named itself is found all the same."""
    damaged = releases.folder(settings) / "damaged.json"
    damaged.write_text(text, encoding="utf-8")
    with pytest.raises(StackError) as told:
        releases.choose(settings, None)
    door.saw("choose the newest", f"{told.value.message}; {told.value.hint}")

    assert str(damaged) in told.value.message
    assert "./stack build" in told.value.hint
    assert releases.choose(settings, "whole") == WHOLE


@pytest.mark.parametrize("text", DAMAGE)
def test_damaged_record_of_what_is_live_is_told_by_its_file(settings: Settings, text: str) -> None:
    """Whoever asks what runs is told which file is damaged, and what makes it anew."""
    release.pointer(settings).write_text(text, encoding="utf-8")
    for ask in (release.current, releases.current):
        with pytest.raises(StackError) as told:
            ask(settings)
        door.saw("ask what runs", f"{told.value.message}; {told.value.hint}")
        assert str(release.pointer(settings)) in told.value.message
        assert "./stack up" in told.value.hint


@pytest.mark.parametrize(
    ("within", "code"),
    [(Ending.USAGE, Ending.PREFLIGHT), (Ending.PREFLIGHT, Ending.PREFLIGHT), (Ending.DOWN, Ending.DOWN)],
)
def test_defect_of_ours_is_nobodys_usage(within: Ending, code: Ending) -> None:
    """An error that nobody foresaw has a code of the list, two lines of words, and is not told as wrong usage."""
    with pytest.raises(DeployError) as told, ending(within):
        raise LookupError("nothing of the kind")
    door.saw(f"a defect within {within.name}", f"{told.value.message}; {told.value.hint}; {told.value.code}")

    assert told.value.code == code
    assert "LookupError: nothing of the kind" in told.value.message


@pytest.mark.parametrize(("verb", "flags"), [("rollback", ("--no-such-flag",)), ("deploy", ("--wait", "inf"))])
def test_wrong_usage_is_one_document_too(
    idle_stack: Stack, contract: Contract, verb: str, flags: tuple[str, ...]
) -> None:
    """Wrong flags beside --json give one document with the error, the next step and the code."""
    done = idle_stack.run(verb, *flags, "--json", expect=contract.deploy.whole("usage"))

    told = done.json()
    assert told["code"] == contract.deploy.whole("usage")
    assert flags[0] in told["error"]
    assert "--help" in told["hint"]
