"""The same run gives the same bundle, byte by byte, whoever renders it, where and when."""

import json
import os
import sys
from pathlib import Path

import pytest

from fixtures.evidence import Door
from fixtures.hostile import HOSTILE
from fixtures.made_run import made_run, write
from fixtures.run import CHECKOUT

pytestmark = pytest.mark.promise("the same run gives the same report")

PLACES = {
    "Paris": {"TZ": "Europe/Paris", "LANG": "C.UTF-8", "PYTHONHASHSEED": "1"},
    "Tokyo": {"TZ": "Asia/Tokyo", "LANG": "C", "LC_ALL": "C", "PYTHONHASHSEED": "2"},
}


def rendered(folder: Path, place: dict[str, str], evidence: Door) -> dict[str, bytes]:
    """Make the bundle of a run, and the page of all runs, in a process of its own; give every file."""
    since = made_run(folder, name="20260313T150926Z-1")
    told = json.loads((since / "results.json").read_text(encoding="utf-8"))
    told["run"]["started"] = "2026-03-13T15:09:26+00:00"
    write(since, told)
    run = made_run(folder, f"é {HOSTILE['terminal']} {HOSTILE['script']}")
    render = [sys.executable, "-m", "fixtures.report", "--reports", str(folder), "render", "--run", run.name]
    done = evidence.run(
        *render, "--profile", "cis", "--since", since.name, cwd=CHECKOUT, env={"PATH": os.environ["PATH"], **place}
    )
    assert done.code == 0, done.told()
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_two_places_give_the_same_bytes(tmp_path_factory: pytest.TempPathFactory, evidence: Door) -> None:
    """In two time zones, locales, folders and orders of hashing, every file of the bundle is the same."""
    first, second = (rendered(tmp_path_factory.mktemp(name), place, evidence) for name, place in PLACES.items())

    assert {"index.html", "20260314T150926Z-1/report.html", "20260314T150926Z-1/MANIFEST"} <= set(first)
    assert sorted(first) == sorted(second)
    assert [name for name in first if first[name] != second[name]] == []
