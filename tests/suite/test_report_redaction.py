"""Known secrets and the kinds that are named here are blotted out of every file of the bundle, marked, and counted."""

import hashlib
import html
import json
from pathlib import Path
from typing import Any

import pytest

from fixtures.evidence import Door
from fixtures.made_run import made_run, write
from fixtures.redaction import mark
from fixtures.report import bundle, document, leaks
from fixtures.run import CHECKOUT

pytestmark = pytest.mark.control("REP-06")

TOKEN = "Zm9vYmFyYmF6cXV4LXRoaXMtaXMtbm90LXJlYWw_-xyz"  # noqa: S105  # like one, and none
BODY = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ"
CANARIES = {
    "bearer token": f"Authorization: Bearer {TOKEN}",
    "write token": f"WRITE_TOKEN={TOKEN}",
    "basic credentials": "authorization: basic Y2FuYXJ5OnRoYXQtc2luZ3M",
    "private key": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{BODY}\n-----END OPENSSH PRIVATE KEY-----",
    "private key cut short": f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}",
    "private key in a log": (
        f"app-1  | -----BEGIN PRIVATE KEY-----\napp-1  | {BODY}\napp-1  | -----END PRIVATE KEY-----"
    ),
    "private key in a log cut short": f"app-1  | -----BEGIN PRIVATE KEY-----\napp-1  | {BODY}\napp-1  | {BODY}",
    "private key quoted": f"> -----BEGIN EC PRIVATE KEY-----\n> {BODY}\n> -----END EC PRIVATE KEY-----",
    "private key in colours": (
        "\x1b[36mapp-1  | \x1b[0m-----BEGIN PRIVATE KEY-----\n"
        f"\x1b[36mapp-1  | \x1b[0m{BODY}\n\x1b[36mapp-1  | \x1b[0m-----END PRIVATE KEY-----"
    ),
    "private key in HTML": f"-----BEGIN PRIVATE KEY-----<br>{BODY}<br/>-----END PRIVATE KEY-----",
    "private key among others": f"-----BEGIN PRIVATE KEY-----\n(1) {BODY}\n[2] {BODY}\n-----END PRIVATE KEY-----",
    "private key of PGP": (
        f"-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: 1\n\n{BODY}\n=abcd\n-----END PGP PRIVATE KEY BLOCK-----"
    ),
    "rest of a private key that the door took": (
        f"app-1  | ‹redacted private key›| {BODY}\napp-1  | {BODY}\napp-1  | -----END PRIVATE KEY-----"
    ),
    "rest of a private key cut short": f"app-1  | ‹redacted private key›| {BODY}\napp-1  | {BODY}",
    "short bearer token": "Authorization: Bearer Kanaria4",
    "token that is sent": "Authorization: Token Kanaria4",
    "URL with a dollar": "postgres://site:$Kanaria1@db.invalid/site",
    "URL with a dash": "redis://:-Kanaria1@cache.invalid",
    "password with a dollar": "password=$x!Kanaria",
    "password in bytes": "{'password': b'Kanaria'}",
    "password in XML": "<password>Kanaria!</password>",
    "token by name and value": json.dumps([{"name": "METRICS_TOKEN", "value": "Kanaria-4"}]),
    "in JSON": json.dumps({"Env": [f"MONSITE_TOKEN={TOKEN}"], "session_key": TOKEN}),
    "in JSON within JSON": json.dumps({"answer": json.dumps({"api_key": TOKEN})}),
    "in HTML": html.escape(json.dumps({"password": TOKEN})),
    "variable of a cloud": "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bKanariaEXAMPLEKEY",
    "variable with signs": "DJANGO_SECRET_KEY=k0-&x(Kanaria#1=2)",
    "short variable": "DEPLOY_TOKEN=Kanaria",
    "short password with a sign": "password=Kanaria!",
    "password in YAML": "db_password: Kanaria2",
    "password of words": json.dumps({"password": "p@ss, Kanaria"}),
    "password of words in JSON within JSON": json.dumps({"told": json.dumps({"password": "p@ss, Kanaria"})}),
    "URL": "postgres://site:Kan@ria-Kanaria@db.invalid:5432/site",
    "header": "X-Api-Key: Kanaria-1234",
    "cookies": "Cookie: theme=dark; sid=Kanaria",
    "cookie that is set": "Set-Cookie: sid=Kanaria; Path=/; HttpOnly",
    "option": "login --registry-token Kanaria",
    "option in a list": json.dumps(["login", "--password", "Kanaria"]),
    "code host": f"ghp_Kanaria{'1a' * 15}",
    "code host, fine": f"github_pat_Kanaria{'1a' * 15}",
    "other code host": f"glpat-Kanaria{'1a' * 7}",
    "chat": "xoxb-123456789012-Kanaria",
    "key of a cloud": "AKIAKANARIEKANARIE12",
    "web token": "eyJhbGciOiJIUzI1NiJ9.eyJLYW5hcmlhIjoxfQ.Kanaria-that-signs",
    "rest of a web token that the door took": "token=‹redacted write token›.eyJLYW5hcmlhIjoxfQ.Kanaria-that-signs",
    "rest of a password that the door took": "password=‹redacted write token›!Kanaria",
    "basic credentials alone": "sent: Basic Y2FuYXJ5OnRoYXQtc2luZ3M=",
    "private key in a list": json.dumps(
        ["-----BEGIN PRIVATE KEY-----", BODY, "QUJD", "-----END PRIVATE KEY-----"], indent=1
    ),
}
SINGING = [
    word.encode() for word in (TOKEN, BODY, "Y2FuYXJ5OnRoYXQtc2luZ3M", "Kanaria", "KANARIE", "eyJLYW5hcmlhIjoxfQ")
]
HARMLESS = [
    "sha256:3e7371bfa98d0e83d232d7b33e7371bfa98d0e83d232d7b33e7371bfa98d0e83",
    "write_token: {file: /srv/monsite/secrets/write_token}",
    "TOKEN_FILE=/x MONSITE_TOKEN=/run/secrets/monsite/write_token",
    'head += f"Authorization: Bearer {token}"',
    "token = self.stack.token()",
    "secret = base64.b64encode(noise)",
    "token=token, password=password, password: None",
    "token_missing: no bearer token was sent",
    "login [--token TOKEN] the --password is asked for, basic credentials are not",
    "/etc/passwd:root:x:0:0\npasswd: files systemd",
    "Set-Cookie is not sent; tcp://0.0.0.0:2375 and http://127.0.0.1:3000/a@b",
    "test_results_tell_no_secret: REP-01",
    "password=$PASSWORD token=${TOKEN} secret=$(cat file) postgres://site:$PASSWORD@db:5432/site",
    "the bearer carries it; Authorization: Token TOKEN; <th>password</th><td>token</td> <token>none</token>",
    '{"name": "METRICS_TOKEN", "value": "/run/secrets/metrics_token"}',
    "‹redacted private key›\nweb-1  | all is well\n-----END CERTIFICATE-----",
]


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
    assert [str(path.relative_to(folder)) for path, raw in files.items() if leaks.suspicious(raw)] == []


def sings(path: Path) -> bool:
    """Tell whether a file has a canary."""
    raw = path.read_bytes()
    return any(one in raw for one in SINGING)


@pytest.mark.parametrize("words", CANARIES.values(), ids=CANARIES)
def test_what_is_blotted_out_is_no_more_a_secret(evidence: Door, words: str) -> None:
    """What is left of a text in which a secret was found has a mark, and nothing in which one is found again."""
    left = leaks.redact(words)
    evidence.saw("redact", left.text, subject="a text")

    assert left.count >= 1
    assert "‹redacted " in left.text
    assert [word for word in SINGING if word in left.text.encode()] == []
    assert leaks.redact(left.text).text == left.text


@pytest.mark.parametrize("words", HARMLESS)
def test_what_is_no_secret_stays(evidence: Door, words: str) -> None:
    """Paths, hashes, names of secrets, usage lines and source code stay as they are."""
    left = leaks.redact(words)
    evidence.saw("redact", left.text, subject="a text")

    assert (left.text, left.count) == (words, 0)


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
def test_wide_characters_hide_nothing(tmp_path: Path, evidence: Door, codec: str) -> None:
    """A file in UTF-16, with its mark or without, is read as the text that it shows, and its secret is taken out."""
    folder = made_run(tmp_path)
    (folder / "wide.txt").write_bytes("password=Kanaria!\nnothing else here\n".encode(codec))

    made = bundle.render(folder, bundle.Wish())

    text = evidence.read(folder / "wide.txt")
    assert text == f"password={mark(leaks.NAMED_KIND)}\nnothing else here\n"
    assert dict(made.blotted) == {"wide.txt": 1}


def test_secret_is_known_by_its_place_in_json(tmp_path: Path, evidence: Door) -> None:
    """Members by their name, items by the one before, and the lines of a key one by one are taken out; JSON stays."""
    key = ["-----BEGIN PRIVATE KEY-----", BODY, "QUJD", "-----END PRIVATE KEY-----", "after"]
    told = {"password": "Kanaria, too", "nested": {"argv": ["login", "--token", "Kanaria", "now"]}, "lines": key}
    folder = made_run(tmp_path)
    (folder / "settings.json").write_text(json.dumps(told), encoding="utf-8")

    made = bundle.render(folder, bundle.Wish())

    by_name, of_key = mark(leaks.NAMED_KIND), mark(leaks.KEY_KIND)
    assert json.loads(evidence.read(folder / "settings.json")) == {
        "password": by_name,
        "nested": {"argv": ["login", "--token", by_name, "now"]},
        "lines": [*[of_key] * 4, "after"],
    }
    assert dict(made.blotted) == {"settings.json": len(["password", "token"]) + len(key) - 1}


def test_reader_is_told_what_is_looked_for(tmp_path: Path, evidence: Door) -> None:
    """The page and the README name the same kinds of secrets, and say that no other is taken out."""
    folder = made_run(tmp_path)
    bundle.render(folder, bundle.Wish())

    told = [evidence.read(path) for path in (folder / bundle.PAGE, CHECKOUT / "README.md")]
    assert [leaks.LISTED in " ".join(text.split()) for text in told] == [True, True]
    assert ["of any other shape" in text for text in told] == [True, True]


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
        assert mark(leaks.NAMED_KIND) in (folder / name).read_text(encoding="utf-8"), name


def test_evidence_is_still_proof(tmp_path: Path, evidence: Door) -> None:
    """After a secret was taken out of an answer, its sha256, in every file that has one, is that of what is left."""
    folder = made_run(tmp_path)
    (name, *_) = plant(folder, CANARIES["bearer token"])
    for other in ("engineers.html", "noted.json"):  # one with a secret of its own, one without
        with (folder / other).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"told": f"sha256 {sha256(CANARIES['bearer token'])}"}))

    bundle.render(folder, bundle.Wish())

    (look,) = json.loads(evidence.read(folder / name))["looks"]
    assert look["sha256"] == sha256(look["output"])
    assert look["sha256"] in (folder / "results.json").read_text(encoding="utf-8")
    assert sha256(CANARIES["bearer token"]) not in (folder / "results.json").read_text(encoding="utf-8")
    for other in ("engineers.html", "noted.json"):
        text = (folder / other).read_text(encoding="utf-8")
        assert (sha256(CANARIES["bearer token"]) in text, look["sha256"] in text) == (False, True), other


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
