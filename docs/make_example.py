"""Make the example bundle of a real run: whole in its verdicts, short in its answers, without paths of this machine.

usage: .venv/bin/python docs/make_example.py reports/RUN [CHECKOUT]

CHECKOUT is where it ran; without it, the one that RUN lies in.
Writes reports/example/. Answers longer than a screen are cut to the lines that the page shows, and say so; their
sha256 is that of what is left, and names that of the whole one.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from fixtures.report import excerpt  # noqa: E402  # the checkout is no installed package

EXAMPLE = CHECKOUT / "reports" / "example"
WHOLE_CHARS = 800  # an answer up to here stays as it is
ENGINEERS = (
    '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Left out</title>'
    "<p>The engineers' page of this run is left out of the example for its size; `./stack test` makes one.</p></html>\n"
)


def main() -> None:
    """Copy, shorten, render."""
    if len(sys.argv) not in (2, 3) or not (run := Path(sys.argv[1]).resolve()).joinpath("results.json").is_file():
        sys.exit(f"usage: {sys.argv[0]} reports/RUN [CHECKOUT], a run that ended and has a results.json")
    checkout = Path(sys.argv[2]) if len(sys.argv) == 3 else run.parents[1]
    told = json.loads(_without(checkout, (run / "results.json").read_text(encoding="utf-8")))
    shutil.rmtree(EXAMPLE, ignore_errors=True)
    (EXAMPLE / "evidence").mkdir(parents=True)
    hashes = {name: _shorten(run / name, EXAMPLE / name, wanted, checkout) for name, wanted in _evidence(told).items()}
    for test in _tests(told):
        for look, fresh in zip(test["looks"], hashes.get(test["evidence"], ()), strict=False):  # 40 are named at most
            look["sha256"] = fresh
    text = json.dumps(told, ensure_ascii=False, indent=1)
    (EXAMPLE / "results.json").write_text(text + "\n", encoding="utf-8")
    (EXAMPLE / "engineers.html").write_text(ENGINEERS, encoding="utf-8")
    render = [sys.executable, "-m", "fixtures.report", "--reports", str(EXAMPLE.parent), "render", "--run", "example"]
    subprocess.run(render, cwd=CHECKOUT, check=True)
    _refuse(checkout)
    size = sum(path.stat().st_size for path in EXAMPLE.rglob("*") if path.is_file())
    print(f"{EXAMPLE.relative_to(CHECKOUT)}: {size / 1e6:.1f} MB, {len(hashes)} files of evidence")


def _tests(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    judged = [*told["controls"], *told["promises"]]
    return [test for one in judged for on in one["subjects"] for test in on["tests"]]


def _evidence(told: Mapping[str, Any]) -> dict[str, set[str]]:
    """Every file of evidence, with the names that the controls it counts for speak of."""
    found: dict[str, set[str]] = {test["evidence"]: set() for test in _tests(told) if test["evidence"]}
    for control in told["controls"]:
        wanted = excerpt.names(control["method"], control["must_hold"])
        for test in _tests({"controls": [control], "promises": []}):
            if test["evidence"]:
                found[test["evidence"]] |= wanted
    return found


def _shorten(source: Path, target: Path, wanted: Collection[str], checkout: Path) -> list[str]:
    """Write one file of evidence with shorter answers; give their new sha256, in their order."""
    record = json.loads(_without(checkout, source.read_text(encoding="utf-8")))
    for look in record["looks"]:
        seen = excerpt.excerpt(look["output"], wanted, WHOLE_CHARS)
        if not seen.whole:
            was = f"{seen.lines} lines, sha256 {look['sha256']}"
            look["output"] = f"{seen.text}\n‹shortened for this example; the whole answer had {was}›"
        look["sha256"] = hashlib.sha256(look["output"].encode("utf-8", "surrogatepass")).hexdigest()
    target.write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return [look["sha256"] for look in record["looks"]]


def _without(checkout: Path, text: str) -> str:
    """Tell paths from the checkout on."""
    return text.replace(f"{checkout}/", "").replace(str(checkout), ".")


def _refuse(checkout: Path) -> None:
    """Nothing of the example may name where it was made."""
    named = [path.name for path in EXAMPLE.rglob("*") if path.is_file() and str(checkout).encode() in path.read_bytes()]
    if named:
        sys.exit(f"error: {', '.join(named[:5])} still name {checkout}; not fit to be published")


if __name__ == "__main__":
    main()
