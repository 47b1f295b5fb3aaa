"""A manifest or a payload that is not what it was: refused by its name, and nothing else is touched."""

import pytest

from fixtures.services import CONTRACT
from fixtures.wrong_ways import Bench

pytestmark = pytest.mark.control("RST-03")

DAMAGED, UNKNOWN = CONTRACT.exit_codes.damaged, CONTRACT.exit_codes.unknown
DIGESTS = "cd /srv/backups && sha256sum */*"
DAMAGES = (
    # what is done to NAME in each tier, where OTHER is another snapshot; the code, and the reason given
    ("manifest missing", "rm NAME.json", UNKNOWN, "no snapshot is named"),
    ("manifest cut short", "truncate -s 300 NAME.json", DAMAGED, "manifest /srv/backups/daily/NAME.json"),
    ("manifest edited", "tr 1 2 < NAME.json > .new; mv -f .new NAME.json", DAMAGED, "does not match its own digest"),
    ("manifest of another", "cp -f ../daily/OTHER.json NAME.json", DAMAGED, "it is of another snapshot, OTHER"),
    ("payload cut short", "truncate -s 100 NAME.db.zst", DAMAGED, "100 bytes where its manifest says"),
    ("payload gone", "rm -f NAME.db.zst", DAMAGED, "the payload is gone"),
    ("payload of another", "cp -f ../daily/OTHER.db.zst NAME.db.zst", DAMAGED, "NAME.db.zst"),
)


@pytest.mark.parametrize(("damage", "code", "reason"), [case[1:] for case in DAMAGES], ids=[one[0] for one in DAMAGES])
def test_damaged_snapshot_is_refused_by_its_reason(bench: Bench, damage: str, code: int, reason: str) -> None:
    """A snapshot with a damaged manifest or payload is refused by name and reason; data and shelf stay as they were."""
    other = bench.backup("now", "--json").json()["name"]
    bench.sqlite("/srv/data/balades.db", "INSERT INTO walks (body) VALUES (randomblob(5000))")
    name = bench.backup("now", "--json").json()["name"]

    def told(text: str) -> str:
        return text.replace("NAME", name).replace("OTHER", other)

    bench.shell(
        f"chmod u+w /srv/backups/*/*; for tier in daily weekly monthly; do cd /srv/backups/$tier; "
        f"if [ -e {name}.json ]; then {told(damage)}; fi; done"
    )
    shelf, live = bench.shell(DIGESTS), bench.sqlite("/srv/data/balades.db", ".dump")

    refused = bench.backup("restore", name, expect=code)

    assert name in refused.stderr
    assert told(reason) in refused.stderr
    assert "hint: " in refused.stderr
    assert bench.shell(DIGESTS) == shelf
    assert bench.sqlite("/srv/data/balades.db", ".dump") == live
    assert bench.backup("restore", other, "--json").json()["source"] == other, "what lies beside it is as good as ever"
    assert bench.backup("now", "--json").json()["outcome"] == "success", "one bad snapshot must not stop the next"


def test_another_tier_stands_in_for_a_damaged_manifest(bench: Bench) -> None:
    """A snapshot whose manifest in one tier is damaged is restored by the one in another tier."""
    name, rows = bench.backup("now", "--json").json()["name"], bench.rows()
    bench.sqlite("/srv/data/balades.db", "INSERT INTO walks (body) VALUES ('lost again')")
    bench.shell(f"chmod u+w /srv/backups/daily/*; truncate -s 300 /srv/backups/daily/{name}.json")

    report = bench.backup("restore", name, "--json").json()

    assert (report["outcome"], report["source"]) == ("restored", name)
    assert bench.rows() == rows
