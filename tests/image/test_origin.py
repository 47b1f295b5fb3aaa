"""Where an image comes from, and that nothing secret came along."""

import hashlib
import json
import re
from typing import Any

import pytest

from fixtures import recorded
from fixtures.engine_facts import engine, image_facts
from fixtures.evidence import Door
from fixtures.image_files import image_contents, image_text
from fixtures.redaction import find
from fixtures.services import Service
from fixtures.stack import Stack

PINNED = re.compile(r"\S+@sha256:[0-9a-f]{64}")
PACKAGES = "/var/lib/dpkg/status"
READ_IN = ("/app", "/etc")


@pytest.fixture
def base(stack: Stack) -> dict[str, Any]:
    """What the release record says of the base that its images start from."""
    found: dict[str, Any] = recorded.release(stack)["base"]
    return found


def packages(image: str) -> dict[str, str]:
    """The installed packages of an image with their versions, as `dpkg-query -W` names them."""
    found = {}
    for block in image_text(image, PACKAGES).split("\n\n"):
        said = dict(re.findall(r"^([A-Z][A-Za-z-]*): (.*)$", block, re.MULTILINE))
        if said:
            several = said.get("Multi-Arch") == "same"
            found[f"{said['Package']}:{said['Architecture']}" if several else said["Package"]] = said["Version"]
    return found


@pytest.mark.control("IMG-02")
def test_base_is_what_was_built_or_pinned(base: dict[str, Any]) -> None:
    """The base is the very file system that was built from the signed archive, or an image pinned by its digest."""
    seen = image_facts(base["id"])
    installed = sorted(packages(base["id"]).items(), key=lambda one: one[0].partition(":")[0])
    listed = "".join(f"{name}\t{version}\n" for name, version in installed)
    built = {
        "layers": (f"sha256:{seen.labels.get('monsite.base.rootfs.sha256')}",),
        "packages": seen.labels.get("monsite.base.packages.sha256"),
    }
    here = {"layers": seen.layers, "packages": hashlib.sha256(listed.encode()).hexdigest()}

    assert PINNED.fullmatch(base["tag"]) or here == built, f"base {base['tag']}: {here}, recorded when built: {built}"


@pytest.mark.control("IMG-02")
def test_packages_are_those_of_the_base(service: Service, base: dict[str, Any]) -> None:
    """What the image has of the base's packages is of the base's version: it was made from this base and no other."""
    known, here = packages(base["id"]), packages(service.facts.image)
    common = sorted(set(known) & set(here))

    assert "libc6" in {name.partition(":")[0] for name in common}
    assert {name: here[name] for name in common} == {name: known[name] for name in common}


@pytest.mark.live
@pytest.mark.control("IMG-03")
def test_no_secret_in_how_the_image_was_made(service: Service, evidence: Door) -> None:
    """No step of the image's history, variable or label holds what looks like a secret, or the write token."""
    token = service.stack.token()
    image = service.facts.image
    made = evidence.saw("engine history", json.dumps(engine().images.get(image).history(), indent=1), subject=image)
    seen = image_facts(image)
    settings = [f"{name}={value}" for name, value in (*seen.environment.items(), *seen.labels.items())]
    texts = {"history": made, "variables and labels": "\n".join(settings)}

    assert {place: found for place, text in texts.items() if (found := find(text))} == {}
    assert [place for place, text in texts.items() if token in text] == []


@pytest.mark.control("IMG-03")
def test_no_secret_in_the_image_s_files(service: Service) -> None:
    """No file of the code or of the settings in the image holds what looks like a secret, or the write token."""
    token = service.stack.token()
    files = image_contents(service.facts.image, *READ_IN)
    texts = {path: body.decode("utf-8", errors="replace") for path, body in files.items()}

    assert any(path.startswith("/app/") for path in texts), "there must be code"
    assert {path: found for path, text in texts.items() if (found := find(text))} == {}
    assert [path for path, text in texts.items() if token in text] == []
