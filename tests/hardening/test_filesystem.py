"""Nothing can be left behind in a container: a read-only root, and scratch space that runs nothing."""

import pytest

from fixtures.contract import Contract
from fixtures.engine_facts import Mount
from fixtures.services import Service

MIB = 1 << 20


@pytest.mark.live
@pytest.mark.control("RUN-02")
def test_engine_mounts_the_root_read_only(service: Service) -> None:
    """The engine was told to mount the root file system read-only."""
    assert service.facts.read_only is True


@pytest.mark.control("RUN-02")
@pytest.mark.parametrize("folder", ["/", "/app", "/etc", "/usr/bin", "/var"])
def test_writing_to_the_root_is_refused(service: Service, folder: str) -> None:
    """A write outside of the service's own folders ends with the kernel's word for a read-only file system.

    Tried as root, because to user 1001 the permissions alone would refuse it.
    """
    attempt = service.exec("touch", f"{folder}/probe", user="0:0")

    assert attempt.code != 0
    assert "Read-only file system" in attempt.stderr


@pytest.mark.live
@pytest.mark.control("RUN-18")
def test_scratch_space_is_bounded(service: Service, contract: Contract) -> None:
    """The only scratch space is /tmp, with its size, where nothing runs, gains rights or stands for a device."""
    scratch = service.facts.tmpfs

    assert [(one.path, one.size) for one in scratch] == [("/tmp", service.promised.tmp_mib * MIB)]  # noqa: S108
    assert set(contract.stack.tmpfs_options) <= scratch[0].options


@pytest.mark.live
@pytest.mark.control("RUN-18")
def test_scratch_space_has_its_size_in_force(service: Service) -> None:
    """The file system mounted on /tmp is as large as promised."""
    blocks, size = service.output("stat", "--file-system", "--format=%b %S", "/tmp").split()  # noqa: S108

    assert int(blocks) * int(size) == service.promised.tmp_mib * MIB


@pytest.mark.control("RUN-18")
def test_program_in_scratch_space_does_not_run(service: Service) -> None:
    """A program copied to /tmp cannot be executed, although the same program runs from where it came from."""
    copied = service.host.run("cp /usr/bin/true /tmp/ && chmod 700 /tmp/true && /usr/bin/true")
    attempt = service.host.run("cd /tmp; ./true; code=$?; rm -f true; echo ended with $code")

    assert copied.rc == 0, "the copy must be there and the original must run, or the refusal means nothing"
    assert "ended with 126" in attempt.stdout
    assert "Permission denied" in attempt.stderr


def lies_in(mount: Mount, service: Service, folder: str = "") -> bool:
    """Tell whether a mount is one of the stack's folders, below its root or as a volume of the project."""
    stack = service.stack
    if mount.kind == "volume":
        return mount.source.rpartition("/volumes/")[2].startswith(f"{stack.name}_{folder}")
    return mount.source.startswith(f"{stack.root}/{folder}")


@pytest.mark.live
@pytest.mark.control("VOL-01")
def test_host_paths_inside_belong_to_the_stack(service: Service) -> None:
    """Whatever of the host is inside lies below the stack's root or in its volumes; no mount travels back to it."""
    mounts = service.mounts

    assert [one for one in mounts if not lies_in(one, service)] == []
    assert [one for one in mounts if one.propagation not in ("", "private", "rprivate")] == []


@pytest.mark.live
@pytest.mark.control("VOL-03")
def test_backups_are_mounted_in_backup_alone(service: Service) -> None:
    """The folder of the backups is inside the backup service and no other."""
    inside = [one.path for one in service.mounts if lies_in(one, service, "backups")]

    assert inside == (["/srv/backups"] if service.name == "backup" else [])


@pytest.mark.live
@pytest.mark.promise("what a drill starts can reach nothing that is worth anything")
def test_scratch_is_all_that_a_drill_is_given(service: Service) -> None:
    """The drill has scratch/ and nothing else of the host; beside it only the keeper has that."""
    inside = [(one.path, one.writable) for one in service.mounts]
    scratch = ("/srv/scratch", True)

    assert (inside == [scratch]) == (service.name == "drill")
    assert (scratch in inside) == (service.name in {"drill", "backup"})
