"""Who ran the suite, as the report tells it: the user, who stood behind sudo, and whom git commits as."""

import getpass
import subprocess
from pathlib import Path

import pytest

from fixtures import about
from fixtures.evidence import Door

pytestmark = pytest.mark.promise("a report tells who made its run, as far as the machine knows")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout on a machine where root runs everything, and git knows nobody."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    monkeypatch.setattr(about, "CHECKOUT", tmp_path)
    for name in ("GITHUB_ACTOR", "SUDO_USER", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("USER", "root")
    return tmp_path


def identify(checkout: Path, key: str, value: str) -> None:
    """Tell git who commits here."""
    subprocess.run(["git", "-C", str(checkout), "config", key, value], check=True)


def test_unknown_identity_says_so(checkout: Path, evidence: Door) -> None:
    """Where git knows nobody, that is told beside the user."""
    evidence.saw("git config", evidence.run("git", "config", "--list", "--local", cwd=checkout).stdout)

    assert evidence.saw("actor", about.actor()) == "root (git identity not known)"


def test_person_behind_root_is_named(checkout: Path, monkeypatch: pytest.MonkeyPatch, evidence: Door) -> None:
    """Behind root stand the user who called sudo, and the name and address that git has for this checkout."""
    monkeypatch.setenv("SUDO_USER", "ada")
    identify(checkout, "user.name", "Ada Example")
    identify(checkout, "user.email", "ada@example.org")

    told = evidence.saw("actor", about.actor())

    assert told == "root (by sudo of ada, git identity Ada Example <ada@example.org>)"


@pytest.mark.usefixtures("checkout")
def test_ci_server_names_its_user(monkeypatch: pytest.MonkeyPatch, evidence: Door) -> None:
    """On a CI server it is the user there who ran it."""
    monkeypatch.setenv("GITHUB_ACTOR", "ada-at-ci")

    assert evidence.saw("actor", about.actor()) == "ada-at-ci"


@pytest.mark.usefixtures("checkout")
def test_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch, evidence: Door) -> None:
    """A user id that nobody gave a name is told as it is, and ends no run."""

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(getpass, "getuser", nobody)

    assert evidence.saw("actor", about.actor()).startswith("uid ")
