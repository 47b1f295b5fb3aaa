"""up, down, restart, logs, shell: the life of one stack on this host."""

import errno
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.markup import escape

from ops import claims, health, history, journal, keeper, published, release, releases, roots, running, settle, site
from ops.actor import actor
from ops.compose import Compose, run
from ops.errors import Exit, StackError
from ops.settings import Settings
from ops.ui import Ui


def up(compose: Compose, built: release.Release, ui: Ui) -> None:
    """Start the stack, or bring it to the given release, and return when it is well.

    Raises StackError when the port is taken, the disk is full, or a service does not get well.
    """
    settings = compose.settings
    begun = time.monotonic()
    claims.check_project(compose)
    claims.check_sharing(compose)
    claims.check_root(settings)
    roots.check_space(settings)
    with roots.locked(settings, "up"):
        _check_port(compose)
        settle.settle_before(compose, ui)
        roots.prepare(settings)
        former = releases.current(settings)
        release.make_current(settings, release.record(settings, built))
        with ui.step("Start the services"):
            _start(compose)
            _remount(compose)
        running.record(settings, built)
        site.forget_stop(settings)
        with _noted(settings, former, built), ui.step("Wait until the site and its backups are well"):
            health.wait_until_site_well(compose)
            _make_good(compose, ui)
            health.wait_until_well(compose)
    took = time.monotonic() - begun
    ui.say(f"The site answers on [bold]{settings.url}[/] after {took:.1f} s.")
    ui.say(f"Writing needs the token in {escape(str(settings.root / 'secrets' / 'write_token'))}")
    ui.emit({"url": settings.url, "project": settings.project, "release": built.id, "seconds": round(took, 2)})


@contextmanager
def _noted(settings: Settings, former: release.Release | None, built: release.Release) -> Iterator[None]:
    """Write into the history that `up` brought another release: nobody tried it first, and nobody held the visitors."""
    line = {
        "verb": "up",
        "actor": actor(),
        "began": journal.now(),
        "from": former.id if former else None,
        "to": built.id,
        "from_images": releases.image_ids(former) if former else None,
        "to_images": releases.image_ids(built),
        "commit": built.source.commit,
    }
    changed = former is not None and former.id != built.id
    try:
        yield
    except StackError as error:
        if changed:
            told = error.message.splitlines()[0]
            history.happened(settings, {**line, "outcome": "failed", "code": error.code, "detail": told})
        raise
    if changed:
        history.happened(settings, {**line, "outcome": "live"})


def down(compose: Compose, ui: Ui) -> None:
    """Stop and remove the containers and networks of this project; keep every folder and volume."""
    claims.check_project(compose)
    with roots.locked(compose.settings, "down"):
        settle.settle_before(compose, ui)
        with ui.step("Stop the services"):
            compose.run("down", "--remove-orphans")
    ui.say(f"Stopped. The data stays in {escape(str(compose.settings.root))}")
    ui.emit({"project": compose.settings.project, "kept": str(compose.settings.root)})


def restart(compose: Compose, ui: Ui, service: str | None) -> None:
    """Restart one service or all of them, and return when the stack is well again."""
    names = [_known(service)] if service else list(release.SERVICES)
    claims.check_project(compose)
    with roots.locked(compose.settings, "restart"):
        _require_containers(compose)
        settle.settle_before(compose, ui)
        with ui.step(f"Restart {', '.join(names)}"):
            compose.run("restart", *names)
        with ui.step("Wait until the site and its backups are well"):
            health.wait_until_well(compose)
    ui.emit({"project": compose.settings.project, "restarted": names})


def logs(compose: Compose, service: str | None, *, follow: bool, tail: int) -> None:
    """Become `compose logs`."""
    names = [_known(service)] if service else []
    become(compose, "logs", "--tail", str(tail), *(["--follow"] if follow else []), *names)


def shell(compose: Compose, service: str) -> None:
    """Become a shell in a service's container, as its own user."""
    _require_containers(compose)
    become(compose, "exec", _known(service), "sh")


def become(compose: Compose, *args: str) -> None:
    """Replace this process by Compose, for what a person watches or types into."""
    argv = [*compose.argv, *args]
    os.execvpe(argv[0], argv, compose.environment)


def _start(compose: Compose) -> None:
    try:
        compose.run("up", "--detach", "--remove-orphans", "--no-build")
    except StackError as error:
        said = run(["docker", "logs", "--tail", "5", compose.container("init")], check=False)
        words = (said.stdout + said.stderr).strip()
        if "init" in error.message and words:
            raise StackError(f"{error.message}\ninit said: {words}", error.hint, error.code) from error
        raise


def _remount(compose: Compose) -> None:
    """Recreate what still holds a folder or the token that was replaced since: a mount keeps the old one."""
    stale = [service for service in ("app", "backup", "drill") if claims.holds_replaced(compose.container(service))]
    if stale:
        compose.run("up", "--detach", "--no-build", "--no-deps", "--force-recreate", *stale)


def _make_good(compose: Compose, ui: Ui) -> None:
    """Try again what failed last, snapshot or drill: what was in its way may be what this start has mended."""
    state, closed = published.read(compose)
    if closed is not None:
        ui.warn(f"warning: nobody knows whether the last snapshot failed: {closed}")
    for record, verb in (("last_run", "now"), ("drill", "drill")):
        if (state.get(record) or {}).get("outcome") == "failure":
            code, document = keeper.call(compose, [verb])
            ui.warn_of(document)
            if code == Exit.OK:
                ui.say(f"The last `{verb}` of the backups had failed; tried again, it went well: {document['name']}")


def _known(service: str) -> str:
    if service not in release.SERVICES:
        raise StackError(
            f"there is no service {service!r}", f"the services are {', '.join(release.SERVICES)}", Exit.USAGE
        )
    return service


def _require_containers(compose: Compose) -> None:
    if all(state.status == "missing" for state in health.states(compose)):
        raise StackError(f"project {compose.settings.project} is not running", "./stack up starts it")


def _check_port(compose: Compose) -> None:
    """Refuse before anything starts when somebody else listens on the published port."""
    settings = compose.settings
    publishers = run(
        ["docker", "ps", "--filter", f"publish={settings.port}", "--format", "{{.Names}}"], check=False
    ).stdout.split()
    if compose.container("gate") in publishers:
        return
    family = socket.AF_INET6 if ":" in settings.bind else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.bind, settings.port))
        except OSError as error:
            raise _port_error(settings, error, publishers) from error


def _port_error(settings: Settings, error: OSError, publishers: list[str]) -> StackError:
    where = f"{settings.bind}:{settings.port}"
    if error.errno == errno.EADDRINUSE:
        holder = f" by container {publishers[0]}" if publishers else ""
        return StackError(
            f"port {where} is already taken{holder}",
            "stop what holds it, or choose another: MONSITE_PORT=3001 ./stack up",
        )
    if error.errno == errno.EACCES:
        return StackError(f"port {where} needs root to bind", "set MONSITE_PORT to 1024 or above")
    return StackError(
        f"{where} cannot be bound: {error.strerror}",
        "set MONSITE_BIND to an address of this host (127.0.0.1)",
    )
