"""A file is what its content says: five kinds are kept, everything else leaves nothing behind."""

import hashlib
import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from fixtures.contract import Contract
from fixtures.engine_facts import container
from fixtures.services import CONTRACT
from fixtures.stack import Stack

KIB, MIB = 1024, 1024 * 1024
LIMIT = CONTRACT.site.whole("upload_max_mb") * MIB
MEGAPIXELS = CONTRACT.site.whole("image_max_megapixels")
DOCUMENT, IMAGE = "documents", "images"


def png(width: int, height: int, size: int = 0) -> bytes:
    """A PNG that says it has these measures, filled up to a size."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return start + b"\0" * (size - len(start))


def jpeg(width: int, height: int) -> bytes:
    """A JPEG whose frame header comes after a segment that must be skipped."""
    comment = b"\xff\xfe" + struct.pack(">H", 2 + 300) + b"c" * 300
    frame = b"\xff\xc2" + struct.pack(">HBHHB", 17, 8, height, width, 3) + b"\x01\x11\x00\x02\x11\x01\x03\x11\x01"
    return b"\xff\xd8" + comment + frame + b"\xff\xd9"


def webp(width: int, height: int) -> bytes:
    """A WebP of the extended form."""
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4)
    body += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", len(body)) + body


def gpx(prologue: str = "", inside: str = '<trk><trkseg><trkpt lat="45.9" lon="6.1"/></trkseg></trk>') -> bytes:
    """A track."""
    root = f'<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1" creator="t">{inside}</gpx>'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{prologue}{root}'.encode()


@dataclass(frozen=True)
class File:
    """Something to send, and what must become of it."""

    kind: str
    name: str
    content: bytes = field(repr=False)
    outcome: str  # the content type it is served with, or the error it meets
    status: int = requests.codes.created

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def send(stack: Stack, walk: dict[str, Any], kind: str, name: str, content: bytes) -> requests.Response:
    """Attach a file to a walk, as a form does."""
    files = {"file": (name, content, "application/octet-stream")}
    return stack.client.post(f"/api/walks/{walk['id']}/{kind}", files=files, token=True)


LISTING = """
import os
print("around", sorted(os.listdir("/srv")), sorted(os.listdir("/srv/data")))
for folder, _, names in os.walk("/srv/uploads"):
    for name in names:
        print(os.path.join(folder, name), os.stat(os.path.join(folder, name)).st_size)
"""


def stored(stack: Stack) -> set[str]:
    """Give every file in the folder of uploads, with its size, and what lies around that folder."""
    return set(stack.service("app").output("python3", "-S", "-c", LISTING).splitlines())


@pytest.fixture
def walk(stack: Stack) -> dict[str, Any]:
    """A walk of the test's own."""
    return stack.write_walk()


WELCOME = [
    File(IMAGE, "photo.jpg", jpeg(640, 480), "image/jpeg"),
    File(IMAGE, "photo.png", png(640, 480), "image/png"),
    File(IMAGE, "photo.webp", webp(640, 480), "image/webp"),
    # what it is counts, not how it is called
    File(IMAGE, "photo.gif", png(641, 480), "image/png"),
    File(IMAGE, "photo", jpeg(641, 480), "image/jpeg"),
    # as large as may be, in bytes and in pixels
    File(IMAGE, "largest.png", png(640, 480, LIMIT), "image/png"),
    File(IMAGE, "most-pixels.png", png(MEGAPIXELS * 1000, 1000), "image/png"),
    File(DOCUMENT, "map.pdf", b"%PDF-1.7\n%%EOF\n", "application/pdf"),
    File(DOCUMENT, "track.gpx", gpx(), "application/gpx+xml"),
    File(DOCUMENT, "track.xml", gpx("<!-- by hand -->"), "application/gpx+xml"),
]


@pytest.mark.promise("photos and documents of the known kinds are kept and served")
@pytest.mark.parametrize("file", WELCOME, ids=str)
def test_known_kind_is_kept_and_served_inert(stack: Stack, walk: dict[str, Any], file: File) -> None:
    """A file of a known kind is stored by its digest and served byte for byte, as that kind and unable to run."""
    answer = send(stack, walk, file.kind, file.name, file.content)
    attachment = answer.json()
    served = stack.client.get(attachment["url"])
    shown = stack.client.get(f"/api/walks/{walk['id']}").json()[file.kind]

    assert (answer.status_code, shown) == (requests.codes.created, [attachment])
    assert attachment["url"].startswith(f"/uploads/{file.kind}/{hashlib.sha256(file.content).hexdigest()}.")
    assert served.content == file.content
    assert served.headers["Content-Type"] == file.outcome
    assert served.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in served.headers["Content-Security-Policy"]
    assert served.headers["Content-Disposition"].startswith("inline;" if file.kind == IMAGE else "attachment;")


BOMB = "".join(f'<!ENTITY e{n} "&e{n - 1};&e{n - 1};&e{n - 1};&e{n - 1};&e{n - 1};">' for n in range(1, 20))
UNWELCOME = [
    # not what it says it is
    File(IMAGE, "page.png", b"<!doctype html><script>alert(1)</script>", "unsupported_type", 415),
    File(IMAGE, "drawing.svg", b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', "unsupported_type", 415),
    File(IMAGE, "map.pdf", b"%PDF-1.7\n", "unsupported_type", 415),
    File(DOCUMENT, "photo.png", png(640, 480), "unsupported_type", 415),
    File(DOCUMENT, "page.gpx", b"<html><body>gpx</body></html>", "unsupported_type", 415),
    File(DOCUMENT, "program.pdf", b"\x7fELF" + b"\0" * 60, "unsupported_type", 415),
    File(DOCUMENT, "cut.gpx", gpx()[:-3], "unsupported_type", 415),
    # a few bytes that would become gigabytes
    File(IMAGE, "giant.png", png(100_000, 100_000), "unacceptable_file", 422),
    File(IMAGE, "giant.jpg", jpeg(65_000, 65_000), "unacceptable_file", 422),
    File(IMAGE, "giant.webp", webp(16_000_000, 16_000_000), "unacceptable_file", 422),
    File(IMAGE, "one-row-more.png", png(MEGAPIXELS * 1000, 1001), "unacceptable_file", 422),
    File(DOCUMENT, "bomb.gpx", gpx(f'<!DOCTYPE gpx [<!ENTITY e0 "x">{BOMB}]>', "&e19;"), "unacceptable_file", 422),
    File(
        DOCUMENT,
        "outside.gpx",
        gpx('<!DOCTYPE gpx [<!ENTITY f SYSTEM "file:///etc/passwd">]>', "&f;"),
        "unacceptable_file",
        422,
    ),
    File(DOCUMENT, "deep.gpx", gpx(inside="<a>" * 50_000), "unacceptable_file", 422),
    # broken, empty, too large
    File(IMAGE, "cut.jpg", jpeg(640, 480)[:12], "unacceptable_file", 422),
    File(IMAGE, "flat.png", png(0, 480), "unacceptable_file", 422),
    File(IMAGE, "empty.png", b"", "unacceptable_file", 422),
    File(IMAGE, "large.png", png(640, 480, LIMIT + 1), "too_large", 413),
    File(DOCUMENT, "larger.pdf", b"%PDF-1.7\n" + b"\0" * (LIMIT + 2 * MIB), "too_large", 413),
]


@pytest.mark.promise("a file that is not what it should be is refused, and leaves nothing")
@pytest.mark.parametrize("file", UNWELCOME, ids=str)
def test_unwelcome_file_leaves_nothing(stack: Stack, walk: dict[str, Any], file: File) -> None:
    """A file that is of another kind, could explode, or is too large is refused with its reason and leaves nothing."""
    send(stack, walk, IMAGE, "kept.png", png(10, 10))
    before, files = stack.client.get(f"/api/walks/{walk['id']}").json(), stored(stack)

    answer = send(stack, walk, file.kind, file.name, file.content)

    assert (answer.status_code, answer.json()["error"]) == (file.status, file.outcome)
    assert stack.client.get(f"/api/walks/{walk['id']}").json() == before
    assert stored(stack) == files


@pytest.mark.promise("a file that is not what it should be is refused, and leaves nothing")
def test_unannounced_size_is_capped_too(stack: Stack, contract: Contract, walk: dict[str, Any]) -> None:
    """A stream that never says how long it is, is cut off at the limit and leaves nothing."""
    files = stored(stack)
    limit = contract.site.whole("upload_max_mb") * MIB
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="endless.png"\r\n\r\n' + png(10, 10)
    pieces = [head, *[b"\0" * 64 * KIB] * (limit // (64 * KIB) + 4)]

    answer = stack.client.post(
        f"/api/walks/{walk['id']}/images",
        data=iter(pieces),
        headers={"Content-Type": "multipart/form-data; boundary=b"},
        token=True,
    )

    assert (answer.status_code, answer.json()["error"]) == (413, "too_large")
    assert stored(stack) == files


FORMS = [
    pytest.param({"data": b"\x89PNG", "headers": {"Content-Type": "image/png"}}, id="no form"),
    pytest.param({"files": {"photo": ("a.png", png(1, 1))}}, id="another field"),
    pytest.param({"files": [("file", ("a.png", png(1, 1))), ("file", ("b.png", png(2, 2)))]}, id="two files"),
    pytest.param(
        {"data": b"--b\r\nnonsense", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, id="cut off"
    ),
    pytest.param({"data": b"x", "headers": {"Content-Type": "multipart/form-data"}}, id="no boundary"),
]


@pytest.mark.promise("a file that is not what it should be is refused, and leaves nothing")
@pytest.mark.parametrize("form", FORMS)
def test_misshapen_form_is_refused(stack: Stack, walk: dict[str, Any], form: dict[str, Any]) -> None:
    """A request that is no form with one file is refused with the way to do it, and leaves nothing."""
    files = stored(stack)

    answer = stack.client.post(f"/api/walks/{walk['id']}/images", token=True, **form)

    assert (answer.status_code, answer.json()["error"]) == (422, "invalid_request")
    assert stored(stack) == files


NAMES = [
    ("../../../data/balades.db", "balades.db"),
    ("..\\..\\windows\\photo.png", "photo.png"),
    ("/etc/passwd", "passwd"),
    ("..", ".."),
    ("photo\x1b[31m\u202egnp.exe", "photo[31mgnp.exe"),
    ("<b onclick=alert(1)>.png", "<b onclick=alert(1)>.png"),
    ("x" * 300 + ".png", "x" * 120),
    ("../", "unnamed"),
]


@pytest.mark.promise("path traversal in names is inert")
@pytest.mark.parametrize(("name", "kept"), NAMES, ids=[kept[:24] for _, kept in NAMES])
def test_name_of_a_file_is_text_and_never_a_path(stack: Stack, walk: dict[str, Any], name: str, kept: str) -> None:
    """Whatever a file is called, it lies under its digest in its folder; the name is shown as text."""
    content = png(10, 10, 200 + len(name))
    digest = hashlib.sha256(content).hexdigest()
    before = stored(stack)

    answer = send(stack, walk, IMAGE, name, content)
    served = stack.client.get(answer.json()["url"])
    page = stack.client.get(f"/walks/{walk['id']}").text

    assert (answer.status_code, answer.json()["name"]) == (201, kept)
    assert stored(stack) - before <= {f"/srv/uploads/images/{digest}.png {len(content)}"}
    assert served.content == content
    assert "<b onclick" not in page


PATHS = [
    "/uploads/images/..%2f..%2fdata%2fbalades.db",
    "/uploads/..%2fdata/balades.db",
    "/uploads/.incoming/x",
    "/uploads/images/" + "0" * 64 + ".png",
    "/uploads/images/",
    "/static/..%2fapp.py",
    "/static/..%5c..%5capp.py",
    "/static/%2fetc%2fpasswd",
]


@pytest.mark.promise("path traversal in names is inert")
@pytest.mark.parametrize("path", PATHS)
def test_address_leads_to_no_other_file(stack: Stack, path: str) -> None:
    """An address that climbs out of its folder, or names nothing, is answered with 404."""
    answer = stack.client.get(path)

    assert answer.status_code == 404
    assert [mark for mark in ("SQLite format", "root:x:", "import ") if mark in answer.text] == []


@pytest.mark.promise("uploads are stored by digest and never overwritten")
def test_same_content_is_stored_once_and_outlives_one_of_its_walks(stack: Stack, walk: dict[str, Any]) -> None:
    """Two walks with the same photo share one file, which stays while one of them needs it and then is not served."""
    other = stack.write_walk()
    content = png(12, 12, 333)

    urls = {send(stack, one, IMAGE, "a.png", content).json()["url"] for one in (walk, other)}
    url = urls.pop()
    stack.client.delete(f"/api/walks/{walk['id']}", token=True)
    needed = stack.client.get(url)
    stack.client.delete(f"/api/walks/{other['id']}", token=True)
    unneeded = stack.client.get(url)

    assert urls == set()
    assert (needed.status_code, needed.content, unneeded.status_code) == (200, content, 404)


@pytest.mark.promise("an attachment can be removed")
def test_removed_attachment_is_gone_and_the_rest_stays(stack: Stack, walk: dict[str, Any]) -> None:
    """Removing one photo leaves the walk and its other files as they were, also when asked from another walk."""
    other = stack.write_walk()
    gone = send(stack, walk, IMAGE, "a.png", png(13, 13)).json()
    kept = send(stack, walk, DOCUMENT, "a.gpx", gpx()).json()

    foreign = stack.client.delete(f"/api/walks/{other['id']}/attachments/{gone['id']}", token=True)
    own = stack.client.delete(f"/api/walks/{walk['id']}/attachments/{gone['id']}", token=True)

    now = stack.client.get(f"/api/walks/{walk['id']}").json()
    assert (foreign.status_code, own.status_code) == (404, 204)
    assert now == {**walk, "documents": [kept]}


@pytest.mark.promise("a file that is not what it should be is refused, and leaves nothing")
@pytest.mark.parametrize("kind", [IMAGE, DOCUMENT])
def test_file_for_no_walk_is_refused(stack: Stack, kind: str) -> None:
    """A file for a walk that does not exist is refused and leaves nothing."""
    files = stored(stack)

    answer = send(stack, {"id": 2**53}, kind, "a", png(14, 14))

    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
    assert stored(stack) == files


@pytest.mark.promise("uploads are stored by digest and never overwritten")
def test_start_clears_what_nobody_needs(module_stack: Stack, contract: Contract) -> None:
    """A start removes half-sent files and files no walk has named for a day; younger and needed ones stay."""
    walk = module_stack.write_walk()
    needed = send(module_stack, walk, IMAGE, "a.png", png(20, 20)).json()["sha256"]
    young, old = "1" * 64, "2" * 64
    module_stack.as_root(
        "sh",
        "-euc",
        f"cd /srv/uploads; touch images/{young}.png .incoming/half.part"
        f"; touch -d '2 days ago' images/{old}.png images/{needed}.png; chown 1001:1001 images/* .incoming/*",
    )

    container(module_stack.service("app").container).restart()
    module_stack.wait_until_ready(within=contract.recovery.ready_s)

    files = {line.split()[0].rpartition("/")[2] for line in stored(module_stack) if line.startswith("/srv/uploads/")}
    assert files == {f"{needed}.png", f"{young}.png"}
