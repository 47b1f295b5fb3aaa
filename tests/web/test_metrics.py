"""The site in figures: in Prometheus' own format, behind a token of their own, and none of a stranger's words."""

import pytest
import requests

from fixtures import exposition
from fixtures.engine_facts import engine
from fixtures.exposition import Figures, NoExposition
from fixtures.stack import Stack
from fixtures.walks import new_walk

PATH = "/api/metrics"
CANARY = "canary-4f1e"
TIERS = {"daily", "weekly", "monthly"}
METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "other"}
CLASSES = {"2xx", "3xx", "4xx", "5xx", "other"}
FAMILIES = {
    "balades_info": "gauge",
    "balades_uptime_seconds": "gauge",
    "balades_healthy": "gauge",
    "balades_draining": "gauge",
    "balades_requests_total": "counter",
    "balades_request_duration_seconds": "histogram",
    "balades_requests_in_flight": "gauge",
    "balades_writes_total": "counter",
    "balades_database_bytes": "gauge",
    "balades_wal_bytes": "gauge",
    "balades_disk_free_bytes": "gauge",
    "balades_backup_known": "gauge",
    "balades_backup_healthy": "gauge",
    "balades_backup_told_seconds": "gauge",
    "balades_backup_free_bytes": "gauge",
    "balades_snapshots": "gauge",
    "balades_snapshot_age_seconds": "gauge",
}

pytestmark = pytest.mark.promise("figures for a monitoring, behind a token that reads nothing else and writes nothing")


def bearer(stack: Stack, secret: str) -> dict[str, str]:
    """The header that shows a token."""
    return {"Authorization": f"Bearer {stack.token(secret)}"}


def figures(stack: Stack) -> Figures:
    """Ask for the figures, and read them strictly."""
    answer = stack.client.get(PATH, headers=bearer(stack, "metrics_token"))
    assert answer.status_code == requests.codes.ok, answer.text
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return exposition.parse(answer.text)


def test_figures_are_of_the_format(stack: Stack) -> None:
    """Everything is told in the text format 0.0.4, with HELP and TYPE, each family once."""
    stack.client.get(PATH, headers=bearer(stack, "metrics_token"))

    kinds = dict(figures(stack).kinds)

    assert {name: kinds.get(name) for name in FAMILIES} == FAMILIES
    assert set(kinds) - set(FAMILIES) <= {"balades_drill_passed", "balades_drill_age_seconds"}


@pytest.mark.parametrize(
    "text",
    [
        "a 1\n",  # without a type
        "# HELP a b\n# TYPE a gauge\na 1",
        "# HELP a b\n# TYPE a gauge\na 1\na 2\n",
        "# HELP a b\n# TYPE a gauge\n\na 1\n",
        '# HELP a b\n# TYPE a gauge\na{x="""} 1\n',
        "# HELP a b\n# TYPE a gauge\na one\n",
        "# HELP a b\n# TYPE a counter\na 1\n",
        "# HELP a b\n# TYPE a gauge\nb 1\n",
        '# HELP a b\n# TYPE a histogram\na_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n',
        '# HELP a b\n# TYPE a histogram\na_bucket{le="+Inf"} 2\na_sum 1\na_count 1\n',
    ],
)
def test_reader_of_the_format_is_strict(text: str, stack: Stack) -> None:
    """What the format does not allow would be seen: no type, no end, a double, an empty line, a bad quote or number."""
    exposition.parse(stack.client.get(PATH, headers=bearer(stack, "metrics_token")).text)

    with pytest.raises(NoExposition):
        exposition.parse(text)


def test_each_token_opens_its_own_door_alone(stack: Stack) -> None:
    """Without a token, or with that of writing, there are no figures; with that of the figures nothing is written."""
    before = stack.client.get("/api/walks").json()["total"]
    nobody = stack.client.get(PATH)
    writer = stack.client.get(PATH, headers=bearer(stack, "write_token"))
    reader = stack.client.post("/api/walks", json=new_walk(), headers=bearer(stack, "metrics_token"))

    assert {one.status_code for one in (nobody, writer, reader)} == {requests.codes.unauthorized}
    assert {one.headers["WWW-Authenticate"].split()[0] for one in (nobody, writer, reader)} == {"Bearer"}
    assert [name for name in FAMILIES if name in nobody.text + writer.text] == []
    assert stack.client.get("/api/walks").json()["total"] == before


def test_requests_are_counted_as_they_come(stack: Stack) -> None:
    """Each request adds one to its method and class and to the histogram, and an acknowledged write to the writes."""
    before = figures(stack)
    for path in ("/", "/api/walks", "/missing"):
        stack.client.get(path)
    stack.client.head("/")
    stack.write_walk()
    stack.client.post("/api/walks", json={}, token=True)
    after = figures(stack)

    def grown(name: str, **labels: str) -> float:
        return after.value(name, **labels) - before.value(name, **labels)

    requests_by = {
        ("GET", "2xx"): 3,  # two, and the figures that were asked for before
        ("GET", "4xx"): 1,
        ("HEAD", "2xx"): 1,
        ("POST", "2xx"): 1,
        ("POST", "4xx"): 1,
    }
    seen = {(method, status): grown("balades_requests_total", method=method, status=status)
            for method, status in requests_by}  # fmt: skip
    assert seen == requests_by
    assert grown("balades_request_duration_seconds_count") == sum(requests_by.values())
    assert grown("balades_writes_total") == 1
    assert after.value("balades_requests_in_flight") == 1
    assert after.value("balades_uptime_seconds") > before.value("balades_uptime_seconds")


def test_questions_of_health_do_not_count(stack: Stack) -> None:
    """The gate's and the engine's questions, which come all the time, are not counted as visitors."""
    before = figures(stack).value("balades_request_duration_seconds_count")
    answers = [stack.client.get(path).status_code for path in ("/api/live", "/api/ready", "/api/health")]
    after = figures(stack).value("balades_request_duration_seconds_count")

    assert (answers, after - before) == ([requests.codes.ok] * 3, 1)


@pytest.mark.parametrize(
    "path", [f"/{CANARY}", f'/%22%7D%0A{CANARY}{{le="1"}} 1', f"/?q={CANARY}", f"/uploads/images/{CANARY}.png"]
)
@pytest.mark.parametrize("method", ["GET", "PATCH", "PROPFIND"])
def test_words_of_strangers_are_no_labels(stack: Stack, method: str, path: str) -> None:
    """Whatever address or method is asked for, the labels stay a closed list, and the address is nowhere."""
    stack.client.call(method, path)
    answer = stack.client.get(PATH, headers=bearer(stack, "metrics_token"))
    seen = exposition.parse(answer.text)

    assert CANARY not in answer.text
    assert seen.labels("balades_requests_total", "method") <= METHODS
    assert seen.labels("balades_requests_total", "status") <= CLASSES


SIZES = """
import os
print(os.stat("/srv/data/balades.db").st_size, *(os.statvfs("/srv/data")[i] for i in (1, 4)))
"""


def test_figures_are_those_of_the_machine(stack: Stack) -> None:
    """Sizes, space and version are what the container itself measures, and each tier's newest snapshot has an age."""
    size, block, free = map(int, stack.service("app").output("python3", "-S", "-c", SIZES).split())
    seen = figures(stack)
    health = stack.client.get("/api/health").json()

    assert seen.value("balades_database_bytes") >= size > 0
    assert seen.value("balades_disk_free_bytes", holds="database") == pytest.approx(block * free, rel=0.05)
    assert seen.value("balades_info", version=health["version"], schema=str(health["schema"])) == 1
    assert (seen.value("balades_healthy"), seen.value("balades_draining")) == (1, 0)
    assert seen.labels("balades_snapshot_age_seconds", "tier") == TIERS
    assert {tier: seen.value("balades_snapshots", tier=tier) >= 1 for tier in TIERS} == dict.fromkeys(TIERS, True)


def test_unreadable_state_of_the_backups_is_no_figure(module_stack: Stack) -> None:
    """Where the backups' state cannot be read, that is told, and no age and no count is made up."""
    engine().containers.get(module_stack.service("backup").container).stop(timeout=0)
    module_stack.as_root("sh", "-c", "echo '{\"newest\":' > /srv/status/backup.json")
    seen = figures(module_stack)

    assert seen.value("balades_backup_known") == 0
    assert [
        name for name in seen.kinds if name.startswith(("balades_snapshot", "balades_drill", "balades_backup_h"))
    ] == []
