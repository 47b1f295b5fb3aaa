"""Which report vouches for which images: the rule by itself, one thing wrong at a time."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fixtures.evidence import door
from ops.vouching import objections

pytestmark = pytest.mark.promise("what nobody vouches for does not go live")

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
IMAGES = {"gate": "sha256:1", "app": "sha256:2", "backup": "sha256:3"}


def results(verdict: str = "PASS", exit_code: int = 0, **run: Any) -> dict[str, Any]:
    """What a run that vouches for these images wrote down, with something changed."""
    ended = (NOW - timedelta(hours=1)).isoformat()
    return {
        "verdict": verdict,
        "exit_code": exit_code,
        "run": {"use": "test", "ended": ended, "commit": "c0ffee", "images": IMAGES, **run},
    }


def judge(told: dict[str, Any], *, same_commit: bool = True) -> list[str]:
    """Ask what speaks against it."""
    found = objections(told, IMAGES, same_commit=same_commit, now=NOW)
    door.saw(f"objections to {json.dumps(told)}", "; ".join(found) or "none")
    return found


def test_whole_fresh_report_of_these_images_vouches() -> None:
    """Nothing speaks against a run of the suite that passed, within the day, on these images and this code."""
    assert judge(results()) == []


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (results(verdict="BROKEN", exit_code=1), "its verdict is BROKEN"),
        (results(verdict="INCOMPLETE", exit_code=3), "its verdict is INCOMPLETE"),
        (results(exit_code=3), "its verdict is PASS"),
        (results(use="verify"), "it is a report of `verify`"),
        (results(ended=(NOW - timedelta(hours=24, seconds=1)).isoformat()), "older than 24 h"),
        (results(ended=(NOW + timedelta(hours=1)).isoformat()), "still to come"),
        (results(images={**IMAGES, "app": "sha256:9"}), "other images of app"),
        (results(images={"app": "sha256:2"}), "other images of gate, backup"),
        (results(images=None), "other images of gate, app, backup"),
    ],
)
def test_one_thing_wrong_is_told(told: dict[str, Any], why: str) -> None:
    """A verdict, use, age or image that is not as it must be is the one objection, in words."""
    (objection,) = judge(told)

    assert why in objection


def test_report_of_other_code_does_not_vouch() -> None:
    """A run on another commit's code is refused though the images are these."""
    (objection,) = judge(results(), same_commit=False)

    assert "c0ffee" in objection
