"""Figures as Prometheus reads them: the text format, version 0.0.4. Pure: what is told stands elsewhere."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Sample:
    """One number, and what it is of."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    suffix: str = ""  # of a histogram's parts


@dataclass(frozen=True)
class Family:
    """Samples of one name."""

    name: str
    kind: str  # counter, gauge or histogram
    about: str
    samples: tuple[Sample, ...]


def render(families: Iterable[Family]) -> bytes:
    """Write them down; a family without a sample is left out, for nothing is known of it."""
    lines = []
    for family in families:
        if not family.samples:
            continue
        about = family.about.replace("\\", r"\\").replace("\n", r"\n")
        lines += [f"# HELP {family.name} {about}", f"# TYPE {family.name} {family.kind}"]
        lines += [f"{family.name}{one.suffix}{_labels(one.labels)} {_number(one.value)}" for one in family.samples]
    return ("\n".join(lines) + "\n").encode()


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_quoted(value)}"' for name, value in labels.items()) + "}"


def _quoted(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))
