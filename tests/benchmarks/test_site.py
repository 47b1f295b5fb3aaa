"""What the gate and the container cost, and what many writers at once get.

The same app runs twice in one run, with the same walks: behind the gate in its container, and as plain uvicorn
on this machine, from the image's own file system, with neither gate nor container. Rounds alternate, so that
whatever else the machine does meets both.
"""

import json
import os
import statistics
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import requests

from fixtures import homes
from fixtures.client import Client
from fixtures.contract import Contract
from fixtures.engine_facts import engine, peek
from fixtures.evidence import Door
from fixtures.run import publish
from fixtures.stack import Stack
from fixtures.wait import wait_for
from fixtures.walks import new_walk
from tests.benchmarks.burst import Burst, post_each, read_for

pytestmark = pytest.mark.benchmark

WALKS = 200
ROUNDS = 5
ROUND_S = 4
VISITORS = 16
FOLDERS = ("data", "uploads", "logs", "status", "state", "secrets")


def told(burst: Burst) -> dict[str, Any]:
    """Put a burst into figures."""
    waits = {f"p{share * 100:g}_ms": round(burst.percentile(share) * 1000, 1) for share in (0.5, 0.95, 0.99)}
    longest = round(burst.waits[-1] * 1000, 1)
    return {"per_second": round(burst.per_second, 1), "statuses": burst.statuses, **waits, "max_ms": longest}


@pytest.fixture
def plain(module_stack: Stack, tmp_path: Path, contract: Contract) -> Iterator[Client]:
    """The app as plain uvicorn on this machine: no container, no gate, no limits."""
    if os.geteuid() != 0:
        pytest.skip("running the app without a container takes chroot, and that takes root")
    root = tmp_path / "root"
    unpack(peek(module_stack.service("app").container).image, root)
    for name in FOLDERS:
        (root / "bench" / name).mkdir(parents=True)
        os.chown(root / "bench" / name, contract.stack.uid, contract.stack.gid)
    (root / "bench" / "secrets" / "write_token").write_text(module_stack.token(), encoding="ascii")
    with served(root, homes.free_port(), contract, tmp_path / "uvicorn.log") as url:
        yield Client(url, module_stack.token(), recorded=False)


def unpack(image: str, root: Path) -> None:
    """Lay out the file system of an image."""
    archive = root.with_suffix(".tar")
    container = engine().containers.create(image)
    try:
        with archive.open("wb") as file:
            file.writelines(cast("Iterator[bytes]", container.export()))  # the stubs take the pieces for text
    finally:
        container.remove()
    with tarfile.open(archive) as tar:
        tar.extractall(root, filter="tar")
    archive.unlink()


@contextmanager
def served(root: Path, port: int, contract: Contract, log: Path) -> Iterator[str]:
    """Run uvicorn for as long as the block lasts."""
    user = f"--userspec={contract.stack.uid}:{contract.stack.gid}"
    uvicorn = ["python3", "-m", "uvicorn", "app.app:app", "--port", str(port), "--no-access-log"]
    environment = {f"MONSITE_{name.upper()}": f"/bench/{name}" for name in FOLDERS}
    url = f"http://127.0.0.1:{port}"
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["chroot", user, str(root), *uvicorn],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": "/app", **environment},
            stdout=out,
            stderr=out,
        )
    try:
        wait_for("plain uvicorn", lambda: answers(url), 30, alive=lambda: death(process), story=log.read_text)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def answers(url: str) -> bool:
    """Tell whether the app behind this address takes traffic."""
    try:
        return requests.get(f"{url}/api/ready", timeout=2).ok
    except requests.ConnectionError:
        return False


def death(process: "subprocess.Popen[bytes]") -> str | None:
    """Give the exit code of a process that ended."""
    return None if process.poll() is None else f"exit code {process.returncode}"


@pytest.mark.promise("the list through the gate reaches 80 % of plain uvicorn without container or gate")
def test_list_through_the_gate_is_nearly_as_fast(
    module_stack: Stack, plain: Client, contract: Contract, evidence: Door, pytestconfig: pytest.Config
) -> None:
    """Side by side, the list is served through gate and container nearly as often a second as by plain uvicorn."""
    for walk in [new_walk() for _ in range(WALKS)]:
        for site in (module_stack.visitor(), plain):
            assert site.post("/api/walks", json=walk, token=True).status_code == requests.codes.created
    bursts: dict[str, list[Burst]] = {"gate": [], "plain": []}

    for _ in range(ROUNDS):
        for name, url in (("plain", plain.url), ("gate", module_stack.url)):
            bursts[name].append(read_for(url, "/", visitors=VISITORS, seconds=ROUND_S))
    speed = {name: statistics.median(burst.per_second for burst in rounds) for name, rounds in bursts.items()}
    share = speed["gate"] / speed["plain"]
    rounds = {name: [told(burst) for burst in several] for name, several in bursts.items()}
    figures = {"share": round(share, 3), "median_per_second": speed, "visitors": VISITORS, "rounds": rounds}
    evidence.saw("benchmark list", publish(pytestconfig, "list", figures))

    assert {status for several in bursts.values() for burst in several for status in burst.statuses} == {200}
    assert share >= contract.site.number("list_share")


@pytest.mark.control("WEB-03")
def test_many_writers_lose_nothing(
    own_stack: Stack, contract: Contract, evidence: Door, pytestconfig: pytest.Config
) -> None:
    """With many writers at once every walk that was acknowledged is stored, none failed, and none waited long."""
    writers, each = contract.site.whole("writers"), contract.site.whole("writes_each")

    burst = post_each(
        own_stack.url,
        "/api/walks",
        own_stack.token(),
        visitors=writers,
        times=each,
        body=lambda: json.dumps(new_walk()).encode(),
    )
    stored = own_stack.client.get("/api/walks", params={"per_page": 1}).json()["total"]
    figures = {"writers": writers, "each": each, "acknowledged": burst.statuses.get(201, 0), "stored": stored}
    evidence.saw("benchmark writers", publish(pytestconfig, "writers", {**figures, **told(burst)}))

    assert burst.statuses == {201: writers * each}
    assert stored == writers * each
    assert "locked" not in own_stack.service("app").logs()
    assert burst.percentile(0.99) <= contract.site.number("write_p99_s")
