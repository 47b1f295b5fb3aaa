"""What a file is, judged by its content alone: its name and its declared type are never believed.

Nothing is decoded. An image tells its size in its header, which is read and compared; a GPX track is
walked through by expat with everything refused that could expand. Five kinds are known, all else is not.
"""

import struct
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO
from xml.parsers import expat

from .errors import Code, Problem

CONTENT_TYPES = {
    "jpg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "pdf": "application/pdf",
    "gpx": "application/gpx+xml",
}
GPX_DEPTH = 32  # elements within elements; a real track needs six


class Kind(StrEnum):
    """The two folders of uploads, in the singular."""

    IMAGE = "image"
    DOCUMENT = "document"


@dataclass(frozen=True)
class Sniffed:
    """What a file turned out to be."""

    kind: Kind
    ending: str
    width: int | None = None
    height: int | None = None


def sniff(path: Path, wanted: Kind, max_pixels: int) -> Sniffed:
    """Say what the file is; raises Problem where it is not of the wanted kind, or not acceptable."""
    with path.open("rb") as file:
        head = file.read(32)
        if wanted is Kind.IMAGE:
            return _image(file, head, max_pixels)
        return _document(file, head)


def _image(file: BinaryIO, head: bytes, max_pixels: int) -> Sniffed:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        ending, size = "png", _png_size(head)
    elif head.startswith(b"\xff\xd8\xff"):
        ending, size = "jpg", _jpeg_size(file)
    elif head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        ending, size = "webp", _webp_size(head)
    else:
        raise Problem(
            Code.UNSUPPORTED_TYPE, "This is not an image we take. JPEG, PNG and WebP are welcome, whatever the name."
        )
    if size is None or 0 in size:
        raise Problem(Code.UNACCEPTABLE_FILE, f"This {ending.upper()} file is damaged: its size cannot be read.")
    width, height = size
    if width * height > max_pixels:
        raise Problem(
            Code.UNACCEPTABLE_FILE,
            f"This image has {width:,} × {height:,} pixels; at most {max_pixels:,} in all are taken.",
        )
    return Sniffed(Kind.IMAGE, ending, width, height)


def _png_size(head: bytes) -> tuple[int, int] | None:
    if head[8:16] != b"\x00\x00\x00\x0dIHDR" or len(head) < 24:
        return None
    return struct.unpack(">II", head[16:24])


def _webp_size(head: bytes) -> tuple[int, int] | None:
    form = head[12:16]
    if form == b"VP8X" and len(head) >= 30:
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if form == b"VP8L" and len(head) >= 25 and head[20] == 0x2F:
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if form == b"VP8 " and len(head) >= 30 and head[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg_size(file: BinaryIO) -> tuple[int, int] | None:
    """Walk from segment to segment to the first frame header; entropy-coded data is never entered."""
    file.seek(2)
    while True:
        mark = file.read(2)
        if len(mark) < 2 or mark[0] != 0xFF:
            return None
        while mark[1] == 0xFF:  # fill bytes
            more = file.read(1)
            if not more:
                return None
            mark = b"\xff" + more
        code = mark[1]
        if code == 0x01 or 0xD0 <= code <= 0xD8:  # markers that stand alone
            continue
        length = int.from_bytes(file.read(2), "big")
        if length < 2 or code in (0xD9, 0xDA):  # the picture began, or ended, without a frame header
            return None
        if 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC):
            frame = file.read(5)
            if len(frame) < 5:
                return None
            height, width = struct.unpack(">HH", frame[1:])
            return width, height
        file.seek(length - 2, 1)


def _document(file: BinaryIO, head: bytes) -> Sniffed:
    if head.startswith(b"%PDF-"):
        return Sniffed(Kind.DOCUMENT, "pdf")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        _demand_gpx(file)
        return Sniffed(Kind.DOCUMENT, "gpx")
    raise Problem(Code.UNSUPPORTED_TYPE, "This is not a document we take. PDF and GPX are welcome, whatever the name.")


def _demand_gpx(file: BinaryIO) -> None:
    """Raise unless the file is well-formed XML with the root gpx and nothing that could expand."""
    parser = expat.ParserCreate(namespace_separator=" ")
    depth = 0

    def refuse(*_: object) -> int:
        raise Problem(Code.UNACCEPTABLE_FILE, "A GPX file with a document type or entities is not taken.")

    def enter(name: str, _: dict[str, str]) -> None:
        nonlocal depth
        if depth == 0 and name.rpartition(" ")[2] != "gpx":
            raise Problem(Code.UNSUPPORTED_TYPE, "This XML file is not GPX: its root element is not gpx.")
        depth += 1
        if depth > GPX_DEPTH:
            raise Problem(Code.UNACCEPTABLE_FILE, "This GPX file is nested too deeply.")

    def leave(_: str) -> None:
        nonlocal depth
        depth -= 1

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.UnparsedEntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    parser.StartElementHandler = enter
    parser.EndElementHandler = leave
    file.seek(0)
    try:
        while chunk := file.read(64 * 1024):
            parser.Parse(chunk, False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise Problem(Code.UNSUPPORTED_TYPE, f"This is not GPX: line {error.lineno} is not well-formed XML.") from None
    except (LookupError, ValueError):  # the declared encoding is none that Python knows
        raise Problem(Code.UNSUPPORTED_TYPE, "This is not GPX: its declared encoding is unknown.") from None
