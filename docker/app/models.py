"""What goes in and out: the fields a visitor may send, the filters of the list, and a walk as it is shown.

Input is validated here and nowhere else; what the database holds is parsed into these types again, so
a damaged row is noticed where it is read and never half shown.
"""

import unicodedata
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

PER_PAGE = 12
TURNING = "\u202a\u202b\u202d\u202e"  # they make the text after them read backwards, beyond their own field
MAX_ID = 2**53  # what JSON readers can hold without rounding; far from what SQLite would refuse


class Difficulty(StrEnum):
    """How hard a walk is."""

    EASY = "easy"
    MODERATE = "moderate"
    HARD = "hard"


def _printable(text: str) -> str:
    for sign in text:
        if (unicodedata.category(sign) == "Cc" and sign not in "\n\t") or sign in TURNING:
            raise ValueError("control characters are not allowed")
    return text


def _one_line(text: str) -> str:
    if "\n" in text or "\t" in text:
        raise ValueError("line breaks and tabs are not allowed here")
    return _printable(text)


def _unix_lines(value: Any) -> Any:
    return value.replace("\r\n", "\n") if isinstance(value, str) else value


def _blank_is_absent(value: Any) -> Any:
    """Treat a form field left empty as not sent."""
    return None if isinstance(value, str) and not value.strip() else value


BLANK = BeforeValidator(_blank_is_absent)


def Line(low: int, high: int) -> Any:  # noqa: N802 - it makes a type
    """Make the type of a single line of text."""
    return Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=low, max_length=high),
        AfterValidator(_one_line),
    ]


class WalkFields(BaseModel):
    """A walk as it is sent: every field but walked_on is required, and none beside these is taken."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)

    title: Line(1, 120) = Field(examples=["Around the lake of Annecy"])  # type: ignore[valid-type]
    summary: Line(0, 500) = Field(default="", examples=["Flat, shady and never far from a swim."])  # type: ignore[valid-type]
    description: Annotated[
        str,
        StringConstraints(strip_whitespace=True, max_length=20_000),
        AfterValidator(_printable),
        BeforeValidator(_unix_lines),
    ] = ""
    region: Line(1, 80) = Field(examples=["Haute-Savoie"])  # type: ignore[valid-type]
    difficulty: Annotated[Difficulty, Field(strict=False)]
    distance_km: float = Field(ge=0.1, le=500, examples=[12.5])
    duration_min: int = Field(ge=1, le=10_000, examples=[210])
    ascent_m: int = Field(ge=0, le=9_000, examples=[340])
    walked_on: date | None = Field(default=None, examples=["2026-05-17"])


class Filters(BaseModel):
    """What the list may be narrowed by; a blank value is no filter, as a form sends it."""

    model_config = ConfigDict(allow_inf_nan=False, frozen=True)

    q: Annotated[Annotated[str, Field(max_length=100)] | None, BLANK] = None
    region: Annotated[Annotated[str, Field(max_length=80)] | None, BLANK] = None
    difficulty: Annotated[Difficulty | None, BLANK] = None
    max_km: Annotated[Annotated[float, Field(gt=0, le=500)] | None, BLANK] = None
    page: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    per_page: Annotated[int, Field(ge=1, le=100)] = PER_PAGE

    def narrows(self) -> bool:
        """Say whether any filter is set."""
        return any((self.q, self.region, self.difficulty, self.max_km))


@dataclass(frozen=True)
class Attachment:
    """A photo or a document of a walk."""

    id: int
    url: str
    type: str  # the content type it is served with
    bytes: int
    sha256: str
    name: str  # what the visitor called it; text, never a path
    width: int | None
    height: int | None
    created: datetime


@dataclass(frozen=True)
class Walk:
    """A walk as it is shown."""

    id: int
    title: str
    summary: str
    description: str
    region: str
    difficulty: Difficulty
    distance_km: float
    duration_min: int
    ascent_m: int
    walked_on: date | None
    created: datetime
    updated: datetime
    images: tuple[Attachment, ...] = field(default=())
    documents: tuple[Attachment, ...] = field(default=())


@dataclass(frozen=True)
class WalkPage:
    """One page of the list."""

    items: tuple[Walk, ...]
    total: int
    page: int
    pages: int


@dataclass(frozen=True)
class Failure:
    """How every error of the API looks."""

    error: str
    message: str
    request: str


def folded(text: str) -> str:
    """Return the text without case and accents, as the search compares it."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in plain if not unicodedata.combining(sign))
