"""The pages: templates, how numbers and dates are written in them, and the two static files."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from . import news
from .models import Attachment, Failure, Filters, Walk, WalkPage

HERE = Path(__file__).parent
STATIC_TYPES = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_JSON: dict[type, TypeAdapter[Any]] = {
    kind: TypeAdapter(kind) for kind in (Walk, WalkPage, Attachment, Failure, dict[str, Any])
}


@dataclass(frozen=True)
class Static:
    """A file of static/, read once."""

    content: bytes
    type: str
    etag: str


def _read_static() -> dict[str, Static]:
    found = {}
    for path in sorted((HERE / "static").iterdir()):
        content = path.read_bytes()
        etag = hashlib.sha256(content).hexdigest()[:16]
        found[path.name] = Static(content, STATIC_TYPES[path.suffix], etag)
    return found


STATIC = _read_static()


def kilometres(value: float) -> str:
    """Write a distance: 12.5 km, 7 km."""
    return f"{value:.1f}".removesuffix(".0") + "\u202fkm"


def duration(minutes: int) -> str:
    """Write a duration: 45 min, 3 h, 3 h 20."""
    hours, rest = divmod(minutes, 60)
    if not hours:
        return f"{rest}\u202fmin"
    return f"{hours}\u202fh" + (f"\u202f{rest:02}" if rest else "")


def day(value: date) -> str:
    """Write a date: 17 May 2026."""
    return f"{value.day} {MONTHS[value.month - 1]} {value.year}"


def size(count: int) -> str:
    """Write a size: 830 kB, 2.4 MB, 81.8 GB."""
    if count < 1_000_000:
        return f"{max(1, round(count / 1000))}\u202fkB"
    if count < 1_000_000_000:
        return f"{count / 1_000_000:.1f}\u202fMB"
    return f"{count / 1_000_000_000:.1f}\u202fGB"


def age(of: datetime) -> str:
    """Write how long ago something was: 40 s, 12 min, 5 h, 3 d; from two of a unit on."""
    seconds = news.age(of)
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)}\u202f{unit}"
    return f"{int(seconds)}\u202fs"


def paragraphs(text: str) -> list[list[str]]:
    """Split a description at blank lines into paragraphs of lines; the template escapes each."""
    return [block.split("\n") for block in text.split("\n\n") if block.strip()]


def link(filters: Filters, page: int) -> str:
    """Return the address of another page of the same list."""
    values = {
        "q": filters.q,
        "region": filters.region,
        "difficulty": filters.difficulty.value if filters.difficulty else None,
        "max_km": f"{filters.max_km:g}" if filters.max_km else None,
        "page": page if page > 1 else None,
    }
    query = urlencode({name: value for name, value in values.items() if value is not None})
    return f"/?{query}" if query else "/"


def versioned(name: str) -> str:
    """Return the address of a static file that changes with its content."""
    return f"/static/{name}?v={STATIC[name].etag}"


ENVIRONMENT = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,  # every value is text; no template turns that off
    undefined=StrictUndefined,
    auto_reload=False,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.filters.update(age=age, kilometres=kilometres, duration=duration, day=day, size=size, paragraphs=paragraphs)
ENVIRONMENT.globals.update(link=link, versioned=versioned)


def page(name: str, code: int = 200, headers: Mapping[str, str] | None = None, **values: Any) -> Response:
    """Fill a template."""
    html = ENVIRONMENT.get_template(name).render(values)
    return Response(html, code, headers, "text/html")


def as_json(value: Any, code: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Write one of our types as JSON."""
    adapter = _JSON[dict[str, Any] if isinstance(value, dict) else type(value)]
    return Response(adapter.dump_json(value), code, headers, "application/json")


def static(request: Request, name: str) -> Response | None:
    """Return a static file; there are only those that were read at the start, so no name leads elsewhere."""
    file = STATIC.get(name)
    if file is None:
        return None
    headers = {"etag": f'"{file.etag}"', "cache-control": "public, max-age=86400"}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers=headers, media_type=file.type)
