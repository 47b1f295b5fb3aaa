"""A drill proves that the site can live on a snapshot; whatever goes wrong with it is said, and hurts nothing.

Each test finds the stack of this file well and leaves it well, which the next successful drill shows.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from fixtures import drills, measured
from fixtures.contract import Contract
from fixtures.drills import (
    answer_of,
    backups_status,
    drill,
    held_drill,
    left_in_scratch,
    small_scratch,
    wait_until_scratch_is_empty,
)
from fixtures.engine_facts import container
from fixtures.evidence import Completed, Door
from fixtures.keeper import source_of
from fixtures.launches import standing_still
from fixtures.load import readers
from fixtures.releases import with_start
from fixtures.services import on_host
from fixtures.snapshots import canonical, flip_stored_bit, send_picture
from fixtures.stack import Stack, own_lifetime
from fixtures.wait import clock, wait_for

ENGINE_LAG_S = 10
KIB = 1 << 10
MIB = 1 << 20
FILLER = "/srv/scratch/filler"


@pytest.fixture(scope="module")
def drilled(
    request: pytest.FixtureRequest,
    images: dict[str, str],
    contract: Contract,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    """A stack with a snapshot of walks and a picture, a small scratch/, and a site that a drill can let hang."""
    del images
    folder = tmp_path_factory.mktemp("release")
    release, small = with_start(folder, drills.HANGS), small_scratch(folder, contract.drill.whole("small_disk_mib"))
    with own_lifetime(request.config, [str(release.overlay), str(small)], start=False) as stack:
        stack.settings |= {
            "MONSITE_DISK_FLOOR_MB": "1",
            "MONSITE_DRILL_DEADLINE_S": str(contract.drill.whole("deadline_s")),
        }
        stack.up()
        stack.wait_until_ready(within=contract.recovery.ready_s)
        stack.write_walks(3)
        send_picture(stack)
        stack.take_snapshot()
        yield stack


@pytest.mark.control("RST-05")
def test_drill_starts_the_site_on_the_newest_snapshot(drilled: Stack) -> None:
    """The site starts on the newest snapshot, counts its walks and stops; that is recorded, with how long it took."""
    name = drilled.take_snapshot()

    answer = drill(drilled)

    record = backups_status(drilled)["drill"]
    measured.drill(drilled.name, record)
    told = {key: answer[key] for key in ("outcome", "name", "duration_s", "boot_s", "rows")}
    assert (answer["outcome"], answer["name"], answer["uploads_checked"]) == ("success", name, 1)
    assert answer["walks"] == answer["rows"]["walks"] == len(drilled.read_walks())
    assert 0 < answer["boot_s"] < answer["duration_s"]
    assert {key: record[key] for key in told} == told
    assert left_in_scratch(drilled) == []


@pytest.mark.promise("a drill does not touch the site")
def test_drill_is_not_noticed_by_visitors(drilled: Stack, evidence: Door) -> None:
    """While a drill runs every visitor is answered; data, uploads and containers are afterwards what they were."""
    before, running = canonical(drilled), drilled.identity()

    with readers(drilled, 2) as statuses:
        drill(drilled)

    evidence.saw("answers during the drill", f"{len(statuses)}, of which 200: {statuses.count(requests.codes.ok)}")
    assert len(statuses) > 0
    assert set(statuses) == {requests.codes.ok}
    assert (canonical(drilled), drilled.identity()) == (before, running)


@pytest.mark.control("RST-05")
def test_drill_of_a_damaged_snapshot_is_loud(drilled: Stack, contract: Contract) -> None:
    """A snapshot with one bit turned over fails its drill, and the backups are unhealthy until a drill passes."""
    name = drilled.take_snapshot()
    flip_stored_bit(drilled, name)

    with standing_still(drilled):  # it would try again by itself, and a snapshot would find it at work
        refused = drill(drilled, name, expect=contract.exit_codes.damaged)
        status = backups_status(drilled)
        health = drilled.exec("backup", "python3", "-m", "backup", "health")
        drilled.take_snapshot()
        drill(drilled)

    assert name in refused["error"]
    assert (status["drill"]["name"], status["drill"]["outcome"]) == (name, "failure")
    assert status["healthy"] is False
    assert (health.code, "the last drill failed" in health.stdout) == (contract.exit_codes.failed, True)
    assert backups_status(drilled)["healthy"] is True


@pytest.mark.control("RST-05")
def test_drill_without_its_service_says_what_to_do(drilled: Stack, contract: Contract) -> None:
    """With the service `drill` stopped, a drill fails in time, is recorded so, and names the command that starts it."""
    container(drilled.service("drill").container).stop()
    begun = clock()

    refused = drill(drilled, expect=contract.exit_codes.unrehearsed)

    assert clock() - begun <= contract.drill.number("told_within_s")
    assert "the service drill does not answer" in refused["error"]
    assert "`./stack up`" in refused["hint"]
    assert backups_status(drilled)["drill"]["outcome"] == "failure"
    drilled.up()
    assert drill(drilled)["outcome"] == "success"


@pytest.mark.control("RST-05")
@pytest.mark.control("BAK-09")
def test_site_that_never_answers_is_given_up(drilled: Stack, contract: Contract) -> None:
    """A site that hangs at its start is ended at the deadline, its drill fails, and until then no other begins."""
    with held_drill(drilled) as ending:
        second = drilled.run("backup", "drill", "--json", expect=contract.exit_codes.busy)
        undisturbed = not ending.done()
        done = ending.result()

    assert (answer_of(second)["outcome"], undisturbed) == ("failure", True)
    assert done.code == contract.exit_codes.unrehearsed, done.told()
    assert f"was not well within {contract.drill.whole('deadline_s')} s" in answer_of(done)["error"]
    wait_until_idle(drilled, contract)
    assert drill(drilled)["outcome"] == "success"


def wait_until_idle(stack: Stack, contract: Contract) -> None:
    """Wait for nothing to run in the service but what idles there.

    A health probe comes and goes, and so does a drill that the schedule begins by itself after a failed one.
    """
    service = stack.service("drill")
    wait_for(
        "nothing but the loop to run in the drill",
        lambda: len(service.processes()) == contract.drill.whole("idle_processes"),
        contract.drill.number("own_within_s"),
        story=stack.story,
    )


def judged(stack: Stack, done: Completed) -> tuple[bool, bool]:
    """Whether a failed drill is recorded as a verdict on the snapshot, and whether its words are one."""
    return bool(backups_status(stack)["drill"]["judged"]), "does not start on it" in answer_of(done)["error"]


@pytest.mark.control("HLT-05")
def test_stopped_in_the_middle_it_ends_at_once(drilled: Stack, contract: Contract) -> None:
    """Told to stop while the site hangs, the service ends cleanly in time, and whoever asked is told at once."""
    service = drilled.service("drill")
    with held_drill(drilled) as ending:
        begun = clock()
        container(service.container).stop()
        took = clock() - begun
        done = ending.result()

    assert took <= contract.drill.number("ends_within_s")
    assert (service.facts.exit_code, service.events()[-1]["event"]) == (0, "stopped")
    assert done.code == contract.exit_codes.unrehearsed, done.told()
    assert "was stopped in the middle of it" in answer_of(done)["error"]
    assert judged(drilled, done) == (False, False)
    drilled.up()
    assert drill(drilled)["outcome"] == "success"


@pytest.mark.control("HLT-05")
def test_restarted_in_the_middle_it_judges_nothing(drilled: Stack, contract: Contract) -> None:
    """Restarted while the site hangs, the service ends that drill as one that says nothing of the snapshot."""
    with held_drill(drilled) as ending:
        container(drilled.service("drill").container).restart()
        done = ending.result()

    assert done.code == contract.exit_codes.unrehearsed, done.told()
    assert judged(drilled, done) == (False, False)
    assert drill(drilled)["outcome"] == "success"


@pytest.mark.promise("a killed drill leaves nothing that hurts the next one")
@pytest.mark.parametrize("victim", ["its program", "pid 1"])
def test_killed_service_answers_for_its_former_life(drilled: Stack, contract: Contract, victim: str) -> None:
    """Killed in the middle of a drill, the service comes back, says that this one failed, and does the next."""
    service = drilled.service("drill")
    restarts = service.facts.restarts
    program = service.main_process()
    with held_drill(drilled) as ending:
        service.signal("KILL", program.pid if victim == "its program" else service.facts.pid)
        begun = clock()
        done = ending.result()
        took = clock() - begun

    assert took <= contract.drill.number("told_within_s")
    assert done.code == contract.exit_codes.unrehearsed, done.told()
    assert "ended in the middle of it" in answer_of(done)["error"]
    assert judged(drilled, done) == (False, False)
    assert service.facts.restarts == restarts + 1
    wait_until_scratch_is_empty(drilled)
    assert drill(drilled)["outcome"] == "success"


@pytest.mark.promise("a killed drill leaves nothing that hurts the next one")
def test_killed_keeper_leaves_a_request_that_is_withdrawn(drilled: Stack) -> None:
    """Killed while it waits, the keeper's command leaves its request; the next drill takes it back and passes."""
    with held_drill(drilled) as ending:
        killed = drilled.exec("backup", "python3", "-c", source_of("kill_command"), "backup", "drill", "--json")
        done = ending.result()
        left = left_in_scratch(drilled)
        # let go of the hanging site only after the next one began: it must be ended for it
        drilled.exec("drill", "rm", drills.HANG)
        answer = drill(drilled)

    def ends() -> list[str]:
        return [one["outcome"] for one in drilled.service("drill").events() if one["event"] == "drill_end"]

    # a line is printed before the engine has it
    wait_for("the log to tell both ends", lambda: ends()[-2:] == ["withdrawn", "success"], ENGINE_LAG_S)
    assert (killed.json(), done.code != 0) == (1, True)
    assert {"request.json", "taken.json", "data"} <= set(left), "the kill must leave something to tidy up"
    assert answer["outcome"] == "success"
    wait_until_scratch_is_empty(drilled)


@pytest.mark.control("HLT-03")
def test_frozen_service_is_seen(drilled: Stack, contract: Contract) -> None:
    """A service whose loop stands still turns unhealthy in time, and a drill says so instead of waiting for ever."""
    service = drilled.service("drill")
    program, promised = service.main_process().pid, service.promised.health
    service.signal("STOP", program)

    refused = drill(drilled, expect=contract.exit_codes.unrehearsed)
    drilled.wait_until_health(
        "unhealthy", service="drill", within=promised.until_unhealthy_s + contract.recovery.unhealthy_margin_s
    )
    reason = service.facts.last_probe
    service.signal("CONT", program)
    drilled.wait_until_health("healthy", service="drill", within=contract.recovery.repaired_s)

    assert "the service drill does not answer" in refused["error"]
    assert "stands still" in reason
    assert drill(drilled)["outcome"] == "success"


@pytest.mark.promise("an idle drill costs 12 MiB")
def test_idle_service_is_small(drilled: Stack, contract: Contract) -> None:
    """Between two drills nothing runs but the loop, and it has little memory of its own."""
    service = drilled.service("drill")
    wait_until_idle(drilled, contract)
    pages = on_host(f"grep -w RssAnon /proc/{service.main_process().pid}/status").split()

    assert pages[2] == "kB"
    assert int(pages[1]) * KIB <= contract.drill.number("idle_mib") * MIB


@pytest.mark.control("RST-05")
def test_drills_happen_by_themselves(
    request: pytest.FixtureRequest, images: dict[str, str], contract: Contract, tmp_path: Path
) -> None:
    """Without anybody asking, all snapshots are read and the newest is drilled, again and again."""
    del images
    hours = str(contract.drill.number("interval_hours"))
    overlay = tmp_path / "often.yaml"
    services = {"backup": {"environment": {"MONSITE_DRILL_INTERVAL_HOURS": hours}}}
    overlay.write_text(json.dumps({"services": services}), encoding="utf-8")
    with own_lifetime(request.config, [str(overlay)]) as stack:
        (snapshot,) = stack.run("backup", "list", "--json").json()["snapshots"]  # which the stack took by itself
        name = snapshot["name"]

        wait_for(
            "two drills of it",
            lambda: [one["name"] for one in backups_status(stack).get("drills", [])].count(name) >= 2,
            contract.drill.number("by_itself_s"),
            story=stack.story,
            every=1,
        )

        status = backups_status(stack)
    assert {one["outcome"] for one in status["drills"]} == {"success"}
    assert (status["drill"], status["verified"]["damaged"]) == (status["drills"][-1], 0)
    assert status["healthy"] is True


@pytest.mark.control("BAK-07")
def test_full_disk_is_told_and_leaves_nothing(drilled: Stack, contract: Contract) -> None:
    """A drill whose disk fills to the last byte is still answered; the next one is refused before it begins."""
    with held_drill(drilled) as ending:
        filled = drilled.exec("backup", "dd", "if=/dev/zero", f"of={FILLER}", "bs=4096")
        done = ending.result()
    with standing_still(drilled):  # it would try again by itself, and what it lays into scratch/ would be seen
        refused = drill(drilled, expect=contract.exit_codes.no_space)
        left = left_in_scratch(drilled)
        drilled.exec("backup", "rm", FILLER)

    assert "No space left on device" in filled.stderr
    assert done.code == contract.exit_codes.unrehearsed, done.told()
    assert "was not well within" in answer_of(done)["error"]
    assert "bytes are free" in refused["error"]
    assert left == [Path(FILLER).name]
    assert drill(drilled)["outcome"] == "success"
