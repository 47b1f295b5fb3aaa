"""A report that anybody changed is found out: every byte of every file, the manifest's and the signature's too."""

import base64
import contextlib
import html
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fixtures.evidence import Door
from fixtures.made_run import made_run
from fixtures.report import bundle, manifest, signing
from fixtures.report.errors import Exit, ReportError
from fixtures.report.manifest import NAME, SIGNATURE, SIGNER
from fixtures.report.verify import Judged, verify
from fixtures.run import CHECKOUT
from fixtures.wait import wait_for

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


@pytest.mark.parametrize("order", [1, -1])
def test_key_that_stands_twice_is_tried_by_each_line(signed: Path, signers: Path, evidence: Door, order: int) -> None:
    """A signers' file with an expired and a good line of the same key vouches for it; the first alone does not."""
    name, key = signers.read_text(encoding="utf-8").strip().split(" ", 1)
    expired, good = f'a@example.org valid-before="20200101" {key}', f"{name} {key}"
    both, alone = (signed.parent / one for one in (f"both{order}", f"alone{order}"))
    both.write_text("\n".join([expired, good][::order]) + "\n", encoding="utf-8")
    alone.write_text(f"{expired}\n", encoding="utf-8")

    judged, doubted = verify(signed, both), verify(signed, alone)

    assert f"signed by {WHO}" in told(evidence, judged)
    assert "expired" in told(evidence, doubted)
    assert not doubted.whole


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
    found = told(evidence, verify(copy, signers))
    assert "does not vouch for" in found
    assert not verify(copy, signers).whole


def test_unsigned_bundle_says_so(tmp_path: Path, signers: Path, evidence: Door) -> None:
    """A bundle without a signature is told to be one, and is refused where the signers' file asks for one."""
    folder = bundle.render(made_run(tmp_path), bundle.Wish()).page.parent

    assert "not signed: who could change a file" in told(evidence, verify(folder))
    asked = verify(folder, signers)
    assert "not signed, so nobody vouches for it" in told(evidence, asked)
    assert "CHANGED" not in told(evidence, asked), "nothing was"
    assert (asked.whole, asked.faults) == (False, ())


def by_hand_typed() -> list[str]:
    """The three commands of the documentation, with a name and a signers' file that are there."""
    return [one.replace("/path/to/SIGNERS", "../signers").replace("PRINCIPAL", WHO) for one in signing.BY_HAND]


def by_hand(folder: Path, evidence: Door) -> list[int]:
    """Type the three commands of the documentation in a bundle's folder; give their exit codes."""
    return [evidence.run("bash", "-c", command, cwd=folder).code for command in by_hand_typed()]


def test_three_commands_need_nothing_of_this_project(signed: Path, copy: Path, signers: Path, evidence: Door) -> None:
    """Three commands of any system find the untouched bundle good, and each the change that is its own to find."""
    shutil.copy(signers, copy.parent / "signers")

    assert by_hand(signed, evidence) == [0, 0, 0]
    (copy / "results.json").write_text("{}", encoding="utf-8")
    (copy / "more.json").write_text("{}", encoding="utf-8")
    assert by_hand(copy, evidence) == [0, 1, 1]
    lines(lambda those: those[1:])(copy)
    assert by_hand(copy, evidence)[0] != 0


def test_third_command_sees_what_is_no_file(copy: Path, signers: Path, evidence: Door) -> None:
    """A link or a pipe that was added, and a link in the place of a file with the same words, are seen by the third."""
    shutil.copy(signers, copy.parent / "signers")
    assert by_hand(copy, evidence) == [0, 0, 0]
    (copy / "more.html").symlink_to("/etc/hostname")
    assert by_hand(copy, evidence) == [0, 0, 1]
    (copy / "more.html").unlink()
    os.mkfifo(copy / "evidence" / "pipe")
    assert by_hand(copy, evidence) == [0, 0, 1]
    (copy / "evidence" / "pipe").unlink()
    link(copy)
    assert by_hand(copy, evidence) == [0, 0, 1]


@pytest.mark.parametrize("file", ["README.md", bundle.PAGE])
def test_documented_commands_are_these(signed: Path, evidence: Door, file: str) -> None:
    """The three commands stand in the README and on the page as they are proven here."""
    text = html.unescape(evidence.read((signed if file == bundle.PAGE else CHECKOUT) / file))

    assert [one for one in signing.BY_HAND if one not in text] == []


@pytest.mark.parametrize(
    ("name", "times"),
    [
        pytest.param("d", 1_200, id="deeper than Python goes"),
        pytest.param("f" * 250, 20, id="farther than a path goes"),
    ],
)
def test_endless_folders_are_a_fault(copy: Path, evidence: Door, name: str, times: int) -> None:
    """Folders deeper than Python or the system can follow are named, by `verify` and where a bundle is made anew."""
    try:
        with contextlib.chdir(copy):
            for _ in range(times):
                Path(name).mkdir()
                os.chdir(name)
            Path("file").write_text("", encoding="utf-8")
        judged = verify(copy)
        with pytest.raises(ReportError) as anew:
            bundle.render(copy, bundle.Wish())
        for one in (NAME, SIGNATURE, SIGNER):
            (copy / one).unlink()
        with pytest.raises(ReportError) as fresh:
            bundle.render(copy, bundle.Wish())
    finally:
        subprocess.run(["rm", "-rf", "--", str(copy)], check=True)  # Python's own way gives up

    assert not judged.whole
    assert f"{name}/{name}" in told(evidence, judged)
    assert "was changed since it was made" in str(anew.value)
    assert "than a bundle can hold" in str(fresh.value)


def test_names_do_not_act_on_a_terminal(copy: Path, evidence: Door) -> None:
    """A file's name that would clear the screen, or pass for a line of the answer, is shown in one inert line."""
    name = "\x1b[2Jno\nunchanged: each of 9 files is what MANIFEST says\n"
    (copy / name).write_bytes(b"")

    judged = verify(copy)

    lines = told(evidence, judged).split("\n")
    assert [one for one in lines if one.startswith("unchanged") or "\x1b" in one] == []
    assert lines[0].startswith("␛[2Jno␊unchanged")
    assert judged.faults[0] == f"{name} is not in {NAME}", "to a program it is told as it is"


def trust(folder: Path, principal: str, signed: Path) -> Path:
    """Write a signers' file that gives the key this name."""
    file = folder / "signers-of-my-own"
    file.write_text(f"{principal} {(signed / SIGNER).read_text(encoding='utf-8')}", encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("principal", "by"),
    [("*", ""), ("*@example.org", ""), (f"*,{WHO}", WHO), (WHO, WHO)],
)
def test_pattern_is_nobodys_name(signed: Path, tmp_path: Path, evidence: Door, principal: str, by: str) -> None:
    """Where the signers' file trusts a key under any name, its fingerprint is told and no person is."""
    judged = verify(signed, trust(tmp_path, principal, signed))

    seen = told(evidence, judged)
    assert judged.whole
    assert judged.signed is not None
    assert judged.signed.principal == by
    assert f"signed by {by} with" in seen if by else "trusted under any name" in seen
    assert "SHA256:" in seen
    assert "signed by *" not in seen


# -- made anew


def every(folder: Path) -> dict[str, bytes]:
    """Give every file of a bundle."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_second_rendering_changes_no_byte(tmp_path: Path, signed: Path, evidence: Door) -> None:
    """A bundle that is made anew, signed or not, is the same, also where a secret was taken out of its evidence."""
    words = "token=abcdefghijklmnopqrstuvwxyz0123"
    folder = bundle.render(made_run(tmp_path, words), bundle.Wish()).page.parent
    once, once_signed = every(folder), every(signed)
    bundle.render(folder, bundle.Wish())
    bundle.render(signed, bundle.Wish(key=signed.parent / "key"))

    evidence.saw("files", "\n".join(sorted(once)))
    assert words not in str(once)
    assert every(folder) == once
    assert every(signed) == once_signed


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(write("evidence/more.json"), "evidence/more.json is not in MANIFEST", id="file added"),
        pytest.param(remove("junit.xml"), "junit.xml is missing", id="file removed"),
        pytest.param(link, "report.html is no plain file", id="file became a link"),
        pytest.param(lines(lambda those: those[1:]), "is not in MANIFEST", id="line removed"),
        pytest.param(lambda copy: (copy / "results.json").write_text("{}"), "results.json was changed", id="results"),
        pytest.param(remove(SIGNATURE), "MANIFEST.sig is missing", id="signature removed"),
        pytest.param(remove(SIGNER), "signer.pub is missing", id="signer removed"),
    ],
)
def test_changed_bundle_is_not_made_whole(
    copy: Path, signed: Path, evidence: Door, change: Callable[[Path], None], says: str
) -> None:
    """A bundle that differs from its manifest is not made anew: what differs is named, and all stays as it is."""
    change(copy)
    before = every(copy)

    with pytest.raises(ReportError) as refusal:
        bundle.render(copy, bundle.Wish(key=signed.parent / "key"))

    seen = evidence.saw("refusal", str(refusal.value))
    assert (says in seen, refusal.value.code) == (True, Exit.CHANGED)
    assert f"remove {NAME}" in refusal.value.hint
    assert every(copy) == before


def test_known_change_can_be_stood_for(copy: Path, evidence: Door) -> None:
    """Who removes manifest and signature by hand, as the refusal says, gets a bundle of what is there, unsigned."""
    (copy / "evidence" / "more.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ReportError) as refusal:
        bundle.render(copy, bundle.Wish())
    for name in (NAME, SIGNATURE, SIGNER):
        assert name in refusal.value.hint
        (copy / name).unlink()

    made = bundle.render(copy, bundle.Wish())

    judged = verify(copy)
    evidence.saw("report verify", "\n".join(judged.lines()))
    assert (judged.whole, judged.signed, made.signed) == (True, None, False)


def test_signature_is_not_lost_unseen(copy: Path, signed: Path, tmp_path: Path, evidence: Door) -> None:
    """A signed bundle is made anew with its own key alone, or after its signature was given up by hand."""
    before = every(copy)
    keys = {"is signed with ssh-ed25519 SHA256:": None, "/key is ssh-ed25519 SHA256:": new_key(tmp_path)}
    for says, key in keys.items():
        with pytest.raises(ReportError) as refusal:
            bundle.render(copy, bundle.Wish(key=key))
        seen = evidence.saw("refusal", str(refusal.value))
        assert (says in seen, refusal.value.code) == (True, Exit.USAGE)
        assert ("--key FILE" in refusal.value.hint, f"{SIGNATURE} and {SIGNER}" in refusal.value.hint) == (True, True)
    assert every(copy) == before

    bundle.render(copy, bundle.Wish(key=signed.parent / "key"))
    assert verify(copy).signed is not None
    for name in (SIGNATURE, SIGNER):
        (copy / name).unlink()
    bundle.render(copy, bundle.Wish())
    assert (verify(copy).whole, verify(copy).signed) == (True, None)


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An ssh-agent of its own, for as long as the test takes."""
    socket = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL) as process:
        wait_for("the agent's socket", socket.exists, within=10)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        yield
        process.terminate()


@pytest.mark.usefixtures("agent")
def test_key_of_an_agent_signs(tmp_path: Path, evidence: Door) -> None:
    """A key that ssh-agent alone holds signs when its public key is named; named as a file it leads there."""
    key = new_key(tmp_path)
    subprocess.run(["ssh-add", "-q", str(key)], check=True)
    key.unlink()
    run = made_run(tmp_path)
    with pytest.raises(ReportError) as refusal:
        bundle.render(run, bundle.Wish(key=key))
    assert f"--key {key}.pub" in evidence.saw("refusal", refusal.value.hint)

    bundle.render(run, bundle.Wish(key=key.with_suffix(".pub")))

    judged = verify(run, trust(tmp_path, WHO, run))
    assert f"signed by {WHO}" in told(evidence, judged)


def test_agent_without_the_key_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evidence: Door) -> None:
    """Where no agent holds the private key of a public one, what gives it to one is told."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    key = new_key(tmp_path)
    key.rename(tmp_path / "elsewhere")

    with pytest.raises(ReportError) as refusal:
        bundle.render(made_run(tmp_path), bundle.Wish(key=key.with_suffix(".pub")))

    evidence.saw("refusal", str(refusal.value))
    assert f"ssh-add {key}" in refusal.value.hint


def test_key_that_others_may_read_is_told(tmp_path: Path, evidence: Door) -> None:
    """A private key that others may read, which ssh-keygen refuses, comes with the command that mends it."""
    key = new_key(tmp_path)
    key.chmod(0o644)

    with pytest.raises(ReportError) as refusal:
        bundle.render(made_run(tmp_path), bundle.Wish(key=key))

    evidence.saw("refusal", str(refusal.value))
    assert refusal.value.hint.endswith(f"chmod 600 {key}")


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
