"""A restore brings back exactly what a snapshot promised, or changes nothing and says why."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from fixtures.contract import Contract
from fixtures.evidence import Door
from fixtures.load import readers
from fixtures.services import CONTRACT
from fixtures.snapshots import (
    Exported,
    canonical,
    export,
    flip_bit,
    flip_stored_bit,
    in_utf16,
    other_database,
    refused_and_unharmed,
    send_picture,
    with_pragma,
)
from fixtures.stack import Stack
from fixtures.wait import wait_for

CODES = CONTRACT.exit_codes
EMPTY_THE_LOG = "import sqlite3; sqlite3.connect('/srv/data/balades.db').execute('PRAGMA wal_checkpoint(TRUNCATE)')"


@pytest.mark.control("RST-01")
def test_restore_brings_back_exactly_what_was_promised(module_stack: Stack, contract: Contract) -> None:
    """After losing database and uploads the stack serves what was there at the snapshot, digest by digest."""
    module_stack.write_walks(5)
    picture = send_picture(module_stack)
    promised, walks = canonical(module_stack), module_stack.read_walks()
    module_stack.take_snapshot()
    late = module_stack.write_walks(2)  # after the snapshot: must not come back
    module_stack.lose_uploads()
    assert module_stack.client.get(f"/uploads/{picture}").status_code != requests.codes.ok
    module_stack.lose_database()
    # the loss must be real, or a restore that does nothing passes
    wait_for("the site to miss its database", lambda: not module_stack.is_ready(), contract.recovery.ready_s)

    report = module_stack.restore("latest")

    module_stack.wait_until_ready(within=contract.recovery.ready_s)
    assert canonical(module_stack) == promised
    assert module_stack.read_walks() == walks
    assert [walk for walk in late if walk in module_stack.read_walks()] == []
    assert module_stack.client.get(f"/uploads/{picture}").status_code == requests.codes.ok
    assert report["uploads_put_back"] == len(promised["uploads"]) > 0
    assert module_stack.write_walks(1)[0] in module_stack.read_walks()


@pytest.mark.control("RST-01")
def test_snapshot_is_known_again_as_a_file(module_stack: Stack, tmp_path: Path) -> None:
    """A snapshot's payload given as a file of the host, under any name, is known for the snapshot it is."""
    module_stack.write_walks(1)
    promised = canonical(module_stack)
    name = module_stack.take_snapshot()
    file = tmp_path / "copied-elsewhere.db.zst"
    file.write_bytes(export(module_stack, name).stored)
    module_stack.write_walks(1)
    assert canonical(module_stack) != promised

    report = module_stack.restore(str(file))

    assert (report["outcome"], report["source"], report["signed"]) == ("restored", name, True)
    assert canonical(module_stack) == promised


@pytest.mark.promise("an old backup brought by hand can be restored")
def test_file_without_manifest_is_accepted_as_unsigned(module_stack: Stack, tmp_path: Path) -> None:
    """A whole database in a .db.gz that we never made is restored, and said to be unsigned."""
    module_stack.write_walks(1)
    promised = canonical(module_stack)
    old = with_pragma(export(module_stack, module_stack.take_snapshot()).raw, "incremental_vacuum")
    module_stack.write_walks(1)
    file = tmp_path / "from-the-attic.db.gz"
    # an own byte, so that its digest is none of a snapshot's
    file.write_bytes(gzip.compress(with_pragma(old, "application_id = 7")))

    report = module_stack.restore(str(file))

    assert (report["source"], report["signed"], report["created"]) == (file.name, False, None)
    assert canonical(module_stack) == promised


@pytest.mark.control("RST-04")
def test_restore_is_reversible(module_stack: Stack, contract: Contract) -> None:
    """What a restore replaced is kept as a pinned snapshot, which brings it back, and as a file beside the database."""
    name = module_stack.take_snapshot()
    module_stack.write_walks(2)
    replaced = canonical(module_stack)
    report = module_stack.restore(name)
    assert canonical(module_stack) != replaced

    listed = {one["name"]: one for one in module_stack.run("backup", "list", "--json").json()["snapshots"]}
    kept = module_stack.as_root("stat", "--format=%u %a %s", f"/srv/{report['kept']}").stdout.split()
    module_stack.restore(report["safety"])

    assert (listed[report["safety"]]["pinned"], listed[report["safety"]]["kind"]) == (True, "safety")
    assert (kept[0], f"0o{kept[1]}") == (str(contract.stack.uid), contract.backup.text("database_mode"))
    assert canonical(module_stack) == replaced


@pytest.fixture
def brought(module_stack: Stack, tmp_path: Path) -> Path:
    """A database from elsewhere with its manifest beside it, of a snapshot that the stack does not have any more."""
    module_stack.write_walks(1)
    name = module_stack.take_snapshot()
    file = tmp_path / f"{name}.db"
    file.write_bytes(export(module_stack, name).raw)
    manifest = module_stack.as_root("cat", f"/srv/backups/daily/{name}.json").stdout
    file.with_suffix(".json").write_text(manifest, encoding="utf-8")
    module_stack.as_root("sh", "-c", f"rm /srv/backups/*/{name}.*")
    return file


@pytest.mark.control("RST-03")
@pytest.mark.parametrize("signed", [True, False], ids=["with its manifest", "without"])
def test_file_counts_as_signed_with_its_manifest_beside_it(module_stack: Stack, brought: Path, signed: bool) -> None:
    """A file of the host is proven by the manifest that lies beside it; without one it is restored as unsigned."""
    promised = canonical(module_stack)
    if not signed:
        brought.with_suffix(".json").unlink()
    module_stack.write_walks(1)

    report = module_stack.restore(str(brought))

    assert (report["outcome"], report["signed"]) == ("restored", signed)
    assert canonical(module_stack) == promised


@pytest.mark.control("RST-03")
def test_file_that_is_not_its_manifests_is_refused(module_stack: Stack, brought: Path) -> None:
    """A whole database beside the manifest of another one is refused; data and site stay as they were."""
    brought.write_bytes(with_pragma(brought.read_bytes(), "application_id = 4711"))
    words = (brought.name, "its manifest describes")

    refused_and_unharmed(module_stack, "restore", str(brought), code=CODES.damaged, words=words)


@pytest.mark.promise("a restore does not stop the running site")
def test_hot_restore_is_not_noticed(module_stack: Stack, evidence: Door) -> None:
    """While visitors read, a restore into the running site fails no request and restarts no container."""
    name = module_stack.take_snapshot()
    module_stack.write_walks(1)
    before = module_stack.identity()

    with readers(module_stack, count=2) as statuses:
        report = module_stack.restore(name)
    evidence.saw("answers during the restore", f"{len(statuses)}: {sorted(set(statuses))}; {report}")

    assert report["mode"] == "hot"
    assert set(statuses) == {requests.codes.ok}
    assert module_stack.identity() == before


REFUSALS = (
    # what is given, under which name, the code and a word of the reason
    ("truncated", "cut.db.zst", lambda one: one.stored[: len(one.stored) // 2], CODES.damaged, "cannot be unpacked"),
    ("one bit flipped", "flipped.db.zst", lambda one: flip_bit(one.stored), CODES.damaged, "cannot be unpacked"),
    ("empty", "nothing.db.gz", lambda _: b"", CODES.damaged, "empty"),
    ("no SQLite", "letter.db.gz", lambda _: gzip.compress(b"Dear all, " * 900), CODES.damaged, "no SQLite"),
    ("half a database", "half.db", lambda one: one.raw[: len(one.raw) // 2], CODES.damaged, "half.db"),
    ("another program's", "bookmarks.db", lambda _: other_database(), CODES.damaged, "not this site's"),
    ("of a newer site", "new.db", lambda one: with_pragma(one.raw, "user_version = 999"), CODES.newer, "version 999"),
)


@pytest.fixture(scope="module")
def whole(module_stack: Stack) -> Exported:
    """A whole snapshot, to be spoiled."""
    return export(module_stack, module_stack.take_snapshot())


@pytest.mark.control("RST-03")
@pytest.mark.parametrize(
    ("name", "made", "code", "reason"), [case[1:] for case in REFUSALS], ids=[case[0] for case in REFUSALS]
)
def test_bad_file_is_refused(
    module_stack: Stack,
    whole: Exported,
    tmp_path: Path,
    name: str,
    made: Callable[[Exported], bytes],
    code: int,
    reason: str,
) -> None:
    """A file that is no whole snapshot is refused by name and reason; data and site stay as they were."""
    file = tmp_path / name
    file.write_bytes(made(whole))

    refused_and_unharmed(module_stack, "restore", str(file), code=code, words=(name, reason))


@pytest.mark.control("RST-03")
def test_damaged_snapshot_is_refused(module_stack: Stack) -> None:
    """A stored snapshot with one bit flipped is refused by name and reason; data and site stay as they were."""
    name = module_stack.take_snapshot()
    flip_stored_bit(module_stack, name)

    refused_and_unharmed(module_stack, "restore", name, code=CONTRACT.exit_codes.damaged, words=(name, "sha256"))

    flip_stored_bit(module_stack, name)
    assert module_stack.restore(name)["source"] == name, "whole again, it is accepted: the bit was the reason"


@pytest.mark.promise("a database that cannot be read any more is replaced, and its files are kept")
def test_ruined_database_is_replaced_cold(module_stack: Stack, contract: Contract) -> None:
    """With the first page of the live database ruined, the restore goes the cold way and keeps the ruins aside."""
    module_stack.write_walks(1)
    promised = canonical(module_stack)
    module_stack.take_snapshot()
    # or the app would write the page again out of the log that it still has open
    module_stack.exec("app", "python3", "-c", EMPTY_THE_LOG)
    ruin = "dd if=/dev/urandom of=/srv/data/balades.db bs=4096 count=1 conv=notrunc; rm -f /srv/data/balades.db-*"
    module_stack.as_root("sh", "-c", ruin)

    report = module_stack.restore("latest")

    module_stack.wait_until_ready(within=contract.recovery.ready_s)
    assert (report["mode"], report["safety"]) == ("cold", None)
    assert module_stack.as_root("stat", f"/srv/{report['kept']}").code == 0
    assert canonical(module_stack) == promised


@pytest.mark.promise("a restore never leaves a site that is ill")
def test_other_encoding_is_restored_cold(module_stack: Stack, tmp_path: Path, contract: Contract) -> None:
    """A database in another text encoding, which no open connection could read on, is restored the cold way."""
    module_stack.write_walks(1)
    promised = canonical(module_stack)
    strange = tmp_path / "from-another-machine.db"
    strange.write_bytes(in_utf16(export(module_stack, module_stack.take_snapshot()).raw))
    module_stack.write_walks(1)

    report = module_stack.restore(str(strange))
    module_stack.wait_until_ready(within=contract.recovery.ready_s)

    assert (report["mode"], "UTF-16le" in " ".join(report["cold_because"])) == ("cold", True)
    assert canonical(module_stack) == promised
    assert module_stack.write_walk() in module_stack.read_walks()
