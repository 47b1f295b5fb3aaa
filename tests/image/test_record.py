"""The bill of materials that each image carries, Debian's own record, which scanners read: it tells of every file."""

import re
from collections.abc import Iterable

import pytest

from fixtures.contract import Contract
from fixtures.image_files import image_contents, image_files, image_text
from fixtures.services import Service

pytestmark = pytest.mark.control("SUP-01")

RECORD = "/var/lib/dpkg"
COMPILED = re.compile(r"(.*)/__pycache__/([^/]+)\.cpython-\d+\.pyc")


def one_way(path: str) -> str:
    """Spell a path as the image has it: its /bin, /lib and /sbin lead into /usr."""
    return re.sub(r"^/(bin|sbin|lib|lib64)/", r"/usr/\1/", path)


def source(path: str) -> str:
    """Give the source of what Python compiled at build time, and any other file as it is."""
    return one_way(COMPILED.sub(r"\1/\2.py", path))


def packaged(image: str) -> dict[str, set[str]]:
    """Every path that the record names, by the package that brought it."""
    lists = image_contents(image, f"{RECORD}/info")
    return {
        path.rpartition("/")[2].removesuffix(".list"): {one_way(line) for line in body.decode().splitlines()}
        for path, body in lists.items()
    }


def every(paths: Iterable[set[str]]) -> set[str]:
    """All of them."""
    return set().union(*paths)


def test_every_file_is_of_a_recorded_package(service: Service, contract: Contract) -> None:
    """No file of the image lies outside the record, but the site's own code and the few that the build makes."""
    image = service.facts.image
    known = every(packaged(image).values()) | set(contract.stack.unpackaged)
    own = ("/app/", f"{RECORD}/")

    files = [one.path for one in image_files(image) if one.kind != "folder" and not one.path.startswith(own)]
    strangers = [path for path in files if source(path) not in known]
    assert not strangers, f"{service.name}: expected files of recorded packages alone, seen: {', '.join(strangers)}"


def test_every_recorded_file_is_there(service: Service) -> None:
    """The record names no file that the image does not have."""
    image = service.facts.image
    there = {one_way(one.path) for one in image_files(image)} | {"/."}

    gone = sorted(every(packaged(image).values()) - there)
    assert not gone, f"{service.name}: recorded and expected, not seen: {', '.join(gone)}"


def test_record_has_a_version_and_files_of_each_package(service: Service) -> None:
    """Each package that the record names has a version and a list of its files, and each list a package."""
    image = service.facts.image
    named = re.findall(
        r"^Package: (\S+)$(?:\n.+$)*?\nVersion: \S+$", image_text(image, f"{RECORD}/status"), re.MULTILINE
    )

    assert sorted(named) == sorted(packaged(image)), f"{service.name}: expected one list of files for each package"
