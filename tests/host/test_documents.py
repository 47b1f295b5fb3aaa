"""The judgement of a host sees each fault: one is put into the document of a sound host, and must be named."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from fixtures import host_rules
from fixtures.evidence import Door
from fixtures.host import DOCUMENT, HostDocument, HostFacts
from fixtures.services import CONTRACT

SOUND = DOCUMENT.read_text(encoding="utf-8")
ARGUMENTS = '"-H", "fd://", "--containerd=/run/containerd/containerd.sock"'

versions = partial(host_rules.old_versions, promised=CONTRACT.host)
files = partial(host_rules.open_files, promised=CONTRACT.host)
people = partial(host_rules.strangers, promised=CONTRACT.host)
doors = host_rules.open_doors
logs = partial(host_rules.quiet_or_fragile, promised=CONTRACT.host)
users = host_rules.root_of_the_host
registries = partial(host_rules.plain_registries, promised=CONTRACT.host)
storage = host_rules.shared_and_unwatched


@pytest.mark.promise("what is judged on a document would be seen on a host")
@pytest.mark.parametrize(
    ("right", "wrong", "judge", "complaint"),
    [
        # too old, or known to be bad
        ('"29.1.3"', '"19.03.15"', versions, "engine 19.03.15, at least 20.10"),
        ('"29.1.3"', '"28.3.2-ce"', versions, "engine 28.3.2-ce is on the deny list"),
        ('"2.40.3"', '"2.6.0"', versions, "Compose 2.6.0, at least 2.20"),
        ('"6.12.57+deb13-amd64"', '"5.4.0-216-generic"', versions, "kernel 5.4.0-216-generic, at least 5.10"),
        # files: mode, owner, group
        ('"docker", "660"', '"docker", "666"', files, "/run/docker.sock is root:docker 666, expected root:docker|root"),
        ('"docker", "660"', '"users", "660"', files, "/run/docker.sock is root:users 660"),
        ('"settings", "root", "root", "644"', '"settings", "1001", "root", "644"', files, "daemon.json is 1001:root"),
        ('"keys", "root", "root", "400"', '"keys", "root", "root", "440"', files, "key.pem is root:root 440"),
        # people
        ('"docker group": []', '"docker group": ["eve"]', people, "group docker: eve; the contract: nobody"),
        # ways in: by argument in each of its forms, by file, by a listener
        ('"fd://"', '"tcp://0.0.0.0:2375"', doors, "the engine listens on tcp://0.0.0.0:2375 without tlsverify"),
        ('"fd://"', '"0.0.0.0:2376"', doors, "the engine listens on 0.0.0.0:2376 without tlsverify"),
        ('"-H", "fd://"', '"-Htcp://10.0.0.1:4243"', doors, "the engine listens on tcp://10.0.0.1:4243"),
        ('"-H", "fd://"', '"--host=tcp://10.0.0.1:4243"', doors, "the engine listens on tcp://10.0.0.1:4243"),
        ('"log-level"', '"hosts": ["tcp://0.0.0.0:2376"], "log-level"', doors, "listens on tcp://0.0.0.0:2376"),
        ("[22, 3000]", "[22, 2375, 3000]", doors, "something listens on 2375"),
        # logs
        ('"log-level": "info"', '"log-level": "fatal"', logs, "log level is fatal, expected info"),
        ('"fd://"', '"fd://", "-l", "error"', logs, "log level is error, expected info"),
        ('"fd://"', '"fd://", "-D"', logs, "log level is debug, expected info"),
        ('"LiveRestoreEnabled": true', '"LiveRestoreEnabled": false', logs, "live-restore is off"),
        # users and registries
        (', "name=userns"', "", users, "expected name=userns or name=rootless"),
        ('"127.0.0.0/8"]', '"127.0.0.0/8", "10.0.0.0/8"]', registries, "10.0.0.0/8 needs no TLS"),
        ('"Secure": true', '"Secure": false', registries, "docker.io needs no TLS"),
        # storage and audit
        (', "/var/lib/docker"]', "]", storage, "/var/lib/docker is no mount point"),
        ('"/etc/docker": true', '"/etc/docker": false', storage, "no audit rule watches /etc/docker"),
    ],
)
def test_fault_of_a_host_is_named(
    right: str, wrong: str, judge: Callable[[HostFacts], list[str]], complaint: str, evidence: Door, tmp_path: Path
) -> None:
    """A host with one fault is told by that fault alone."""
    faulty = tmp_path / DOCUMENT.name
    faulty.write_text(SOUND.replace(right, wrong, 1), encoding="utf-8")
    assert SOUND.count(right) >= 1, "the fault must really be put in"

    complaints = judge(HostDocument(faulty).facts)

    evidence.saw(f"judge with {wrong}", "\n".join(complaints), subject=DOCUMENT.name)
    assert [complaint in one for one in complaints] == [True]


@pytest.mark.promise("what is judged on a document would be seen on a host")
@pytest.mark.parametrize(
    ("told", "hosts"),
    [
        ("", ()),  # Debian's, started by hand
        ('"-H", "fd://"', ("fd://",)),
        ('"-H", "tcp://0.0.0.0:2376", "--tlsverify"', ("tcp://0.0.0.0:2376",)),
        ('"--tlsverify=true", "--host", "tcp://0.0.0.0:2376"', ("tcp://0.0.0.0:2376",)),
    ],
)
def test_sound_way_in_is_let_be(told: str, hosts: tuple[str, ...], evidence: Door, tmp_path: Path) -> None:
    """An engine on a local socket is sound, and one on TCP that asks for client certificates."""
    document = tmp_path / DOCUMENT.name
    document.write_text(SOUND.replace(ARGUMENTS, told, 1), encoding="utf-8")

    facts = HostDocument(document).facts

    evidence.saw("arguments", " ".join(facts.arguments) or "none", subject=DOCUMENT.name)
    assert SOUND.count(ARGUMENTS) == 1
    assert facts.told("host", "-H") == hosts
    assert host_rules.open_doors(facts) == []
