"""A report that anybody changed is found out: every byte of every file, the manifest's and the signature's too."""

import base64
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.evidence import Door
from fixtures.made_run import made_run
from fixtures.report import bundle, manifest, signing
from fixtures.report.errors import ReportError
from fixtures.report.manifest import NAME, SIGNATURE, SIGNER
from fixtures.report.verify import Judged, verify
from fixtures.run import CHECKOUT

pytestmark = pytest.mark.control("REP-03")

TRIALS = 1000
WHO = "operator@example.org"


def new_key(folder: Path) -> Path:
    """Make a key as an operator would."""
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    return key


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A signed bundle; the signers' file and the key lie beside it."""
    folder = tmp_path_factory.mktemp("signed")
    key = new_key(folder)
    public = " ".join(key.with_suffix(".pub").read_text(encoding="utf-8").split()[:2])
    (folder / "signers").write_text(f"{WHO} {public}\n", encoding="utf-8")
    return bundle.render(made_run(folder), bundle.Wish(key=key)).page.parent


@pytest.fixture
def copy(signed: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copytree(signed, tmp_path / "copy"))


@pytest.fixture
def signers(signed: Path) -> Path:
    """Whose keys are trusted."""
    return signed.parent / "signers"


def told(evidence: Door, judged: Judged) -> str:
    """Record what was found."""
    return evidence.saw("report verify", "\n".join(judged.lines()))


def test_manifest_covers_every_file(signed: Path, evidence: Door) -> None:
    """The manifest names every file of the bundle but itself and its signature, and no other."""
    listed = manifest.read(evidence.read(signed / NAME))
    files = {str(path.relative_to(signed)) for path in signed.rglob("*") if path.is_file()}

    assert listed.faults == ()
    assert set(listed.digests) == files - {NAME, SIGNATURE}
    assert {bundle.PAGE, "results.json", "junit.xml", "results.sarif", SIGNER} <= set(listed.digests)


def test_signature_names_who_signed(signed: Path, signers: Path, evidence: Door) -> None:
    """An untouched bundle is found whole; the signers' file gives the name of the one who signed it."""
    judged = verify(signed, signers)

    assert judged.whole, told(evidence, judged)
    assert f"signed by {WHO}" in told(evidence, judged)


def test_any_changed_byte_is_found(copy: Path, seed: int, evidence: Door) -> None:
    """Of 1,000 bytes changed at random, one at a time, in any file, each is found, and the file is named."""
    chance = random.Random(seed)  # noqa: S311  # no secret hangs on it
    files = sorted(path for path in copy.rglob("*") if path.is_file())
    missed, changed = [], set()
    for _ in range(TRIALS):
        path = chance.choice(files)
        whole = path.read_bytes()
        at, other = chance.randrange(len(whole)), chance.randrange(1, 256)
        path.write_bytes(whole[:at] + bytes([whole[at] ^ other]) + whole[at + 1 :])
        name = str(path.relative_to(copy))
        if not any(name in fault for fault in verify(copy).faults):
            missed.append(f"{name} at {at}: {whole[at]} became {whole[at] ^ other}")
        changed.add(name)
        path.write_bytes(whole)
    evidence.saw(f"{TRIALS} changes", f"seed {seed}, in {len(changed)} files, not found: {missed}")

    assert len(changed) == len(files)
    assert missed == []
    assert verify(copy).whole


def test_page_of_which_one_byte_changed_is_named(copy: Path, evidence: Door) -> None:
    """One byte of report.html, changed after signing, is found, and the page is named."""
    page = copy / bundle.PAGE
    raw = page.read_bytes()
    page.write_bytes(raw[:-1] + b" ")

    found = told(evidence, verify(copy))

    assert raw[-1:] != b" ", "the byte must really differ"
    assert f"{bundle.PAGE} was changed: sha256 " in found, f"{bundle.PAGE}: expected to be named, seen: {found}"


def remove(name: str) -> Callable[[Path], None]:
    """Take a file away."""
    return lambda copy: (copy / name).unlink()


def write(name: str) -> Callable[[Path], None]:
    """Put a file there."""

    def put(copy: Path) -> None:
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_bytes(b"")

    return put


def lines(change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    """Change the lines of the manifest."""

    def put(copy: Path) -> None:
        path = copy / NAME
        path.write_text("".join(change(path.read_text(encoding="utf-8").splitlines(keepends=True))), encoding="utf-8")

    return put


def link(copy: Path) -> None:
    """Put a link to the same words in the place of a file."""
    away = copy.parent / "away.html"
    (copy / bundle.PAGE).rename(away)
    (copy / bundle.PAGE).symlink_to(away)


def older(copy: Path) -> None:
    """Give the signature the version 0, which ssh-keygen takes for a good one."""
    path = copy / SIGNATURE
    head, *body, tail, end = path.read_text(encoding="utf-8").split("\n")
    raw = bytearray(base64.b64decode("".join(body)))
    raw[9] = 0
    text = base64.b64encode(bytes(raw)).decode()
    rows = [text[at : at + signing.COLUMNS] for at in range(0, len(text), signing.COLUMNS)]
    path.write_text("\n".join([head, *rows, tail, end]), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        # files that come and go
        pytest.param(write("evidence/more.json"), f"evidence/more.json is not in {NAME}", id="file added"),
        pytest.param(write("new/.hidden"), f"new/.hidden is not in {NAME}", id="hidden file in a new folder"),
        pytest.param(remove("results.json"), "results.json is missing", id="file removed"),
        pytest.param(remove(SIGNATURE), f"{SIGNATURE} is missing", id="signature removed"),
        pytest.param(remove(SIGNER), f"{SIGNER} is missing", id="signer removed"),
        pytest.param(remove(NAME), f"{NAME} is missing", id="manifest removed"),
        pytest.param(link, f"{bundle.PAGE} is no plain file", id="file became a link"),
        # the manifest itself
        pytest.param(lines(lambda those: those[1:]), "is not in MANIFEST", id="line removed"),
        pytest.param(lines(lambda those: those[::-1]), "its lines are not in order", id="lines in another order"),
        pytest.param(lines(lambda those: [*those, those[0]]), "names", id="line twice"),
        pytest.param(lines(lambda those: [*those, "comment\n"]), "is 'comment', expected 64", id="line of words"),
        pytest.param(lines(lambda those: [*those, f"{'0' * 64}  ../signers\n"]), "../signers is missing", id="outside"),
        pytest.param(lines(lambda those: [one.upper() for one in those]), "expected 64 hex", id="other letters"),
        # the signature
        pytest.param(older, "version 0", id="signature of version 0"),
        pytest.param(lambda copy: shutil.copy(copy / NAME, copy / SIGNATURE), "does not begin", id="no signature"),
    ],
)
def test_change_is_found(copy: Path, evidence: Door, change: Callable[[Path], None], says: str) -> None:
    """Whatever is added, removed or exchanged in a signed bundle is found and named, also without the signers' file."""
    change(copy)

    judged = verify(copy)

    assert not judged.whole
    assert says in told(evidence, judged)


def test_bundle_signed_by_another_is_refused(copy: Path, signers: Path, tmp_path: Path, evidence: Door) -> None:
    """A bundle that a stranger changed, listed and signed anew is whole by itself, and refused by the signers' file."""
    key = new_key(tmp_path)
    (copy / "results.json").write_text("{}", encoding="utf-8")
    signing.announce(copy, key)
    (copy / NAME).write_text(manifest.make(copy), encoding="utf-8")
    signing.sign(copy, key)

    assert verify(copy).whole, "by itself it is a good bundle, or this proves nothing"
    assert "does not vouch for" in told(evidence, verify(copy, signers))


def test_unsigned_bundle_says_so(tmp_path: Path, signers: Path, evidence: Door) -> None:
    """A bundle without a signature is told to be one, and is refused where the signers' file asks for one."""
    folder = bundle.render(made_run(tmp_path), bundle.Wish()).page.parent

    assert "not signed: who could change a file" in told(evidence, verify(folder))
    assert not verify(folder, signers).whole


COMMANDS = (
    f"ssh-keygen -Y verify -f ../signers -I {WHO} -n {signing.NAMESPACE} -s {SIGNATURE} < {NAME}",
    f"sha256sum --check --strict --quiet {NAME}",
    f"find . -type f ! -path ./{NAME} ! -path ./{SIGNATURE} -printf '%P\\n'"
    f" | LC_ALL=C sort | diff - <(cut -c67- {NAME})",
)


def by_hand(folder: Path, evidence: Door) -> list[int]:
    """Type the three commands of the documentation in a bundle's folder; give their exit codes."""
    return [evidence.run("bash", "-c", command, cwd=folder).code for command in COMMANDS]


def test_three_commands_need_nothing_of_this_project(signed: Path, copy: Path, signers: Path, evidence: Door) -> None:
    """Three commands of any system find the untouched bundle good, and each the change that is its own to find."""
    shutil.copy(signers, copy.parent / "signers")

    assert by_hand(signed, evidence) == [0, 0, 0]
    (copy / "results.json").write_text("{}", encoding="utf-8")
    (copy / "more.json").write_text("{}", encoding="utf-8")
    assert by_hand(copy, evidence) == [0, 1, 1]
    lines(lambda those: those[1:])(copy)
    assert by_hand(copy, evidence)[0] != 0


def test_documented_commands_are_these(evidence: Door) -> None:
    """The three commands stand in the README as they are proven here."""
    readme = evidence.read(CHECKOUT / "README.md")
    typed = [one.replace("../signers", "SIGNERS").replace(WHO, "PRINCIPAL") for one in COMMANDS]

    assert [one for one in typed if one not in readme] == []


def test_verify_takes_the_standard_library_alone(signed: Path, evidence: Door) -> None:
    """A Python without any package judges a bundle."""
    bare = [sys.executable, "-S", "-m", "fixtures.report", "verify", str(signed)]
    done = evidence.run(*bare, cwd=CHECKOUT, env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"})

    assert done.code == 0, done.told()
    assert "unchanged" in done.stdout


@pytest.fixture
def without_keygen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nobody installed ssh-keygen."""
    monkeypatch.setenv("PATH", "/nonexistent")


@pytest.mark.usefixtures("without_keygen")
def test_missing_keygen_is_named(signed: Path, evidence: Door) -> None:
    """Where ssh-keygen is missing, that is said, with the package that has it, and nothing is called good."""
    with pytest.raises(ReportError) as missing:
        verify(signed)

    assert "openssh-client" in evidence.saw("report verify", str(missing.value))


def test_name_that_no_line_can_hold_is_refused(tmp_path: Path, evidence: Door) -> None:
    """A file whose name would make two lines of one is refused before a manifest is written."""
    (tmp_path / "two\nlines").write_text("", encoding="utf-8")

    with pytest.raises(ReportError) as refusal:
        manifest.make(tmp_path)

    assert "cannot stand in a manifest" in evidence.saw("manifest", str(refusal.value))
