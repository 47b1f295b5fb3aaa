"""No secret leaves with the report: each is blotted out of every file of the bundle, marked, and counted."""

import hashlib
import html
import json
from pathlib import Path
from typing import Any

import pytest

from fixtures import redaction
from fixtures.evidence import Door
from fixtures.made_run import made_run, write
from fixtures.report import bundle, document

pytestmark = pytest.mark.control("REP-06")

TOKEN = "Zm9vYmFyYmF6cXV4LXRoaXMtaXMtbm90LXJlYWw_-xyz"  # noqa: S105  # like one, and none
BODY = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ"
CANARIES = {
    "bearer token": f"Authorization: Bearer {TOKEN}",
    "write token": f"WRITE_TOKEN={TOKEN}",
    "basic credentials": "authorization: basic Y2FuYXJ5OnRoYXQtc2luZ3M",
    "private key": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{BODY}\n-----END OPENSSH PRIVATE KEY-----",
    "private key cut short": f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}",
    "in JSON": json.dumps({"Env": [f"MONSITE_TOKEN={TOKEN}"], "session_key": TOKEN}),
    "in JSON within JSON": json.dumps({"answer": json.dumps({"api_key": TOKEN})}),
    "in HTML": html.escape(json.dumps({"password": TOKEN})),
}
SINGING = [word.encode() for word in (TOKEN, BODY, "Y2FuYXJ5OnRoYXQtc2luZ3M")]


def plant(folder: Path, words: str) -> list[str]:
    """Put words into a run as they may come there, past the evidence door; name the files."""
    (inspected,) = [
        path for path in (folder / "evidence").glob("*.json") if "test_IMG-04[app]" in path.read_text(encoding="utf-8")
    ]
    record = json.loads(inspected.read_text(encoding="utf-8"))
    record["looks"][0] |= {"command": "docker inspect app", "output": words, "sha256": sha256(words)}
    inspected.write_text(json.dumps(record), encoding="utf-8")
    told = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    for one in told["controls"]:
        for on in one["subjects"]:
            for test in on["tests"]:
                if test["evidence"] == f"evidence/{inspected.name}":
                    test["looks"][0]["sha256"] = sha256(words)
    told["because"].append(words)
    write(folder, told)
    texts: dict[str, Any] = {
        "logs/monsite-t1/app.log": f"{{}}\n\n{words}\n",
        "engineers.html": f"<html><pre>{words}</pre></html>",
        "benchmarks/speed.json": json.dumps({"seen": [{"deep": words}]}),
        "collected/broken.json": f'{{"cut": {json.dumps(words)}',
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return [f"evidence/{inspected.name}", "results.json", *texts]


def sha256(text: str) -> str:
    """Hash an answer as the evidence door does."""
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("words", CANARIES.values(), ids=CANARIES)
def test_no_canary_is_in_any_file(tmp_path: Path, evidence: Door, words: str) -> None:
    """A secret that came past the evidence door into any file of the run is in no file of its bundle."""
    folder = made_run(tmp_path)
    plant(folder, words)
    there = [path for path in folder.rglob("*") if path.is_file() and sings(path)]

    bundle.render(folder, bundle.Wish())

    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    evidence.saw("bytes searched", "\n".join(f"{path.name}: {len(raw)}" for path, raw in sorted(files.items())))
    assert len(there) >= len(["evidence", "results", "log", "page", "figures", "broken"]), "they must have been there"
    assert [str(path.relative_to(folder)) for path in files if sings(path)] == []
    assert [str(path.relative_to(folder)) for path, raw in files.items() if redaction.suspicious(raw)] == []


def sings(path: Path) -> bool:
    """Tell whether a file has a canary."""
    raw = path.read_bytes()
    return any(one in raw for one in SINGING)


def test_each_is_marked_and_counted(tmp_path: Path, evidence: Door) -> None:
    """Where a secret was stands a mark with its kind; the results count them by file, the evidence its own as well."""
    folder = made_run(tmp_path)
    names = plant(folder, CANARIES["write token"])
    before = document.load(folder).redacted

    made = bundle.render(folder, bundle.Wish())

    told = json.loads(evidence.read(folder / "results.json"))
    assert dict(made.blotted) == dict.fromkeys(names, 1)
    assert told["redactions"] == dict.fromkeys(names, 1)
    assert document.load(folder).redacted == before + len(names)
    for name in names:
        assert redaction.mark("write token") in (folder / name).read_text(encoding="utf-8"), name


def test_evidence_is_still_proof(tmp_path: Path, evidence: Door) -> None:
    """After a secret was taken out of an answer, the sha256 beside it, and in the results, is that of what is left."""
    folder = made_run(tmp_path)
    (name, *_) = plant(folder, CANARIES["bearer token"])

    bundle.render(folder, bundle.Wish())

    (look,) = json.loads(evidence.read(folder / name))["looks"]
    assert look["sha256"] == sha256(look["output"])
    assert look["sha256"] in (folder / "results.json").read_text(encoding="utf-8")
    assert sha256(CANARIES["bearer token"]) not in (folder / "results.json").read_text(encoding="utf-8")


def test_bundle_without_a_secret_keeps_its_files(tmp_path: Path, evidence: Door) -> None:
    """What has no secret and nothing that acts is taken over byte by byte; a second time changes nothing at all."""
    folder = made_run(tmp_path)
    before = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    made = bundle.render(folder, bundle.Wish())
    once = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    bundle.render(folder, bundle.Wish())
    twice = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    evidence.saw("files", "\n".join(sorted(twice)))
    assert dict(made.blotted) == {}
    assert {name: once[name] for name in before} == before
    assert twice == once


def test_files_that_would_act_are_plain_to_read(tmp_path: Path, evidence: Door) -> None:
    """Escape sequences, turned reading directions and bytes that are no text are shown as marks, the values kept."""
    acting = "\x1b[2J\u202e\x9b"
    folder = made_run(tmp_path)
    (folder / "logs").mkdir()
    (folder / "logs" / "app.log").write_bytes(acting.encode() + b"\xff\n")
    (folder / "noted.json").write_text(json.dumps({"said": acting}, ensure_ascii=False), encoding="utf-8")

    bundle.render(folder, bundle.Wish())

    log, noted = evidence.read(folder / "logs" / "app.log"), evidence.read(folder / "noted.json")
    assert log == "␛[2J⟨U+202E⟩⟨U+009B⟩⟨byte FF⟩\n"
    assert noted.isascii()
    assert json.loads(noted) == {"said": acting}
