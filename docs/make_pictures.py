"""Make the README's pictures: a throw-away stack with sample walks, and the example report, as Chromium shows them.

usage: .venv/bin/python docs/make_pictures.py [REPORT.html]

Needs Chromium (`apt-get install chromium`). Writes docs/pictures/*.png.
"""

import math
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any

import requests

CHECKOUT = Path(__file__).resolve().parents[1]
PICTURES = CHECKOUT / "docs" / "pictures"
PORT = "3980"
URL = f"http://127.0.0.1:{PORT}"
CHROMIUM = [
    *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
WALKS: list[tuple[str, str, str, float, int, int, str]] = [
    (
        "Sentier des crêtes du Hohneck",
        "Vosges",
        "moderate",
        12.5,
        270,
        640,
        "Chaumes, rocks and a long view to the Alps.",
    ),
    ("Gorges de la Loue", "Jura", "easy", 7.2, 130, 180, "Along green water from Mouthier to the spring."),
    ("Tour du lac d'Allos", "Mercantour", "easy", 6.8, 150, 260, "The highest large lake of Europe, and marmots."),
    ("Pointe de la Galoppaz", "Bauges", "hard", 14.9, 390, 1180, "Steep woods, then a ridge above three lakes."),
    ("Sentier des douaniers, Ploumanac'h", "Bretagne", "easy", 9.4, 170, 120, "Pink granite from cove to cove."),
    (
        "Puy de Sancy par le val d'Enfer",
        "Auvergne",
        "hard",
        13.1,
        330,
        960,
        "Volcanic needles and the roof of the Massif.",
    ),
]


def ridges(seed: int, width: int = 960, height: int = 540) -> bytes:
    """Draw a landscape of receding ridges; return a PNG."""
    dice = random.Random(seed)  # noqa: S311  # scenery, not secrets
    top, bottom = [(dice.randrange(150, 230), dice.randrange(170, 225), dice.randrange(210, 250)) for _ in range(2)]
    layers = []
    for depth in range(5):
        waves = [(dice.uniform(0.002, 0.02), dice.uniform(0, 6.3), dice.uniform(8, 40)) for _ in range(4)]
        base = height * (0.38 + 0.13 * depth)
        shade = 150 - 28 * depth
        colour = (shade - 40 + dice.randrange(30), shade + 10, shade - 10 + dice.randrange(40))
        edge = [base + sum(a * math.sin(f * x + p) for f, p, a in waves) for x in range(width)]
        layers.append((edge, bytes(max(0, min(255, part)) for part in colour)))
    rows = bytearray()
    for y in range(height):
        sky = bytes(int(a + (b - a) * y / height) for a, b in zip(top, bottom, strict=True))
        rows.append(0)
        for x in range(width):
            rows += next((colour for edge, colour in reversed(layers) if y >= edge[x]), sky)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    compressed = zlib.compress(bytes(rows), 6)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", compressed) + chunk(b"IEND", b"")


def seed_site(token: str) -> None:
    """Write the sample walks, each with a picture."""
    headers = {"Authorization": f"Bearer {token}"}
    for number, (title, region, difficulty, km, minutes, ascent, summary) in enumerate(WALKS):
        walk: dict[str, Any] = {"title": title, "region": region, "difficulty": difficulty, "distance_km": km}
        walk |= {"duration_min": minutes, "ascent_m": ascent, "summary": summary, "walked_on": f"2026-0{number + 4}-12"}
        made = requests.post(f"{URL}/api/walks", json=walk, headers=headers, timeout=10)
        made.raise_for_status()
        files = {"file": (f"view-{number}.png", ridges(number), "image/png")}
        where = f"{URL}/api/walks/{made.json()['id']}/images"
        requests.post(where, files=files, headers=headers, timeout=30).raise_for_status()


def shoot(address: str, name: str, width: int, height: int) -> None:
    """Photograph one page."""
    with tempfile.TemporaryDirectory() as profile:
        target = PICTURES / f"{name}.png"
        argv = [*CHROMIUM, f"--user-data-dir={profile}", f"--window-size={width},{height}", f"--screenshot={target}"]
        subprocess.run([*argv, address], check=True, capture_output=True, timeout=60)
        print(f"{target.relative_to(CHECKOUT)}: {target.stat().st_size} bytes")


def shoot_control(report: Path, control: str, name: str, width: int, height: int) -> None:
    """Photograph one control of a report, as a reader finds it who has followed its link."""
    others = "main > section:not(#controls), .family:not(:has(#ID)), .family > :not(#ID), #controls > :not(.family)"
    style = f"{others.replace('ID', control)} {{ display: none }}</style>"
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", report.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "control.html"
        page.write_text(text.replace("</style>", style, 1), encoding="utf-8")
        shoot(page.as_uri(), name, width, height)


def main() -> None:
    """Start, seed, photograph, remove."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    report = Path(sys.argv[1] if len(sys.argv) > 1 else CHECKOUT / "reports" / "example" / "report.html").resolve()
    shoot(report.as_uri(), "report", 1280, 900)
    shoot_control(report, "RUN-02", "report-control", 1280, 900)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        mine = {"MONSITE_PROJECT": "monsite-pictures", "MONSITE_ROOT": str(root), "MONSITE_PORT": PORT}
        environment = {**os.environ, **mine}
        launcher = str(CHECKOUT / "stack")
        try:
            subprocess.run([launcher, "up", "--quiet"], check=True, env=environment)
            seed_site((root / "secrets" / "write_token").read_text().strip())
            shoot(URL, "site", 1280, 900)
            shoot(f"{URL}/walks/1", "walk", 1280, 1000)
        finally:
            subprocess.run([launcher, "down", "--quiet"], check=False, env=environment)
            shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
