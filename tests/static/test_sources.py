"""Where the parts come from: nothing is installed that was not checked first."""

import re

import pytest

from fixtures.evidence import Door
from fixtures.run import CHECKOUT

LOCKS = sorted(path.name for path in CHECKOUT.glob("requirements*.lock"))
PAST_THE_ARCHIVE = (
    r"\bpip3? install|\bnpm\b|\bcurl\b|\bwget\b"
    r"|trusted=yes|allow-insecure\S*|allow-unauthenticated|no-check-gpg|AllowUnauthenticated"
)
DOCKERFILES = sorted(str(path.relative_to(CHECKOUT)) for path in CHECKOUT.glob("docker/*/Dockerfile"))


@pytest.mark.control("SUP-02")
@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_is_pinned_and_hashed(evidence: Door, name: str) -> None:
    """Each requirement of the lock has one version and at least one sha256, and no host of its own."""
    text = evidence.read(CHECKOUT / name).replace("\\\n", " ")
    entries = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]

    assert len(entries) > 1, "a lock without entries locks nothing"
    assert [
        one for one in entries if not re.match(r"[A-Za-z0-9._-]+(\[.*\])?==\S+.*--hash=sha256:[0-9a-f]{64}", one)
    ] == []
    assert "://" not in "".join(entries)


@pytest.mark.control("SUP-02")
@pytest.mark.parametrize("name", [*DOCKERFILES, "docker/base/build.sh"])
def test_images_install_from_the_signed_archive_alone(evidence: Door, name: str) -> None:
    """Nothing is installed past the signed archive: no pip, npm or download, no unsigned package or list."""
    text = evidence.read(CHECKOUT / name)
    past_it = re.findall(PAST_THE_ARCHIVE, text)

    assert re.search(r"apt-get install|mmdebstrap", text), f"{name} installs nothing; where do its packages come from?"
    assert not past_it, f"{name}: expected the signed archive alone, seen: {', '.join(past_it)}"


@pytest.mark.control("IMG-06")
@pytest.mark.parametrize("name", DOCKERFILES)
def test_files_are_copied_not_added(evidence: Door, name: str) -> None:
    """No Dockerfile uses ADD, which would also download and unpack."""
    added = re.findall(r"^\s*ADD\b.*", evidence.read(CHECKOUT / name), re.MULTILINE | re.IGNORECASE)

    assert not added, f"{name}: expected COPY, seen: {'; '.join(added)}"


@pytest.mark.control("IMG-08")
@pytest.mark.parametrize("name", DOCKERFILES)
def test_package_lists_are_fetched_and_removed_in_one_step(evidence: Door, name: str) -> None:
    """Each step that refreshes the package lists also installs and removes them."""
    steps = re.findall(r"^\s*RUN (?:.*\\\n)*.*$", evidence.read(CHECKOUT / name), re.MULTILINE)
    refreshing = [step for step in steps if "apt-get update" in step]
    alone = [step for step in refreshing if "apt-get install" not in step or "rm -rf /var/lib/apt/lists" not in step]

    assert refreshing, f"{name}: no step refreshes the package lists; from where does it install?"
    assert not alone, f"{name}: expected update, install and removal of the lists in one RUN, seen: {'; '.join(alone)}"
