"""The app while a restore is under way: stopped for an exchange of the file, started again, seen well."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ops import health
from ops.compose import Compose, run
from ops.errors import StackError
from ops.settings import Settings
from ops.ui import Ui

_UP = ("running", "restarting", "paused")


def forget_stop(settings: Settings) -> None:
    """Forget that a restore stopped the app: it has been started since."""
    _note(settings).unlink(missing_ok=True)


class Site:
    """Whether the site is meant to serve, and how it is stopped and started."""

    def __init__(self, compose: Compose, ui: Ui) -> None:
        """Look at the app. One that a restore stopped, whose launcher was then killed, is meant to serve."""
        self._compose = compose
        self._ui = ui
        self._note = _note(compose.settings)
        status = self._status()
        self._cut_short = status == "exited" and self._note.exists()
        self.serving = status in _UP or self._cut_short

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Keep the app stopped; when stopping or the block fails, start it again. Does nothing where it does not serve.

        An engine that answers late may have stopped it although `docker stop` failed.
        """
        if not self.serving:
            yield
            return
        self._note.touch()
        try:
            with self._ui.step("Stop the app"):
                run(["docker", "stop", self._compose.container("app")])
            yield
        except BaseException:
            self._start()
            raise

    def expect_well(self) -> None:
        """Start the app if need be and wait until the site answers. Raises StackError when it does not get well."""
        if not self.serving:
            return
        if self._status() not in _UP:
            self._start()
        with self._ui.step("Wait until the site is well"):
            health.wait_until_site_well(self._compose)

    def resume(self) -> None:
        """Start the app again where it was stopped and nothing was restored."""
        if self.serving and self._status() not in _UP:
            self._start()

    def _start(self) -> None:
        with self._ui.step("Start the app"):
            run(["docker", "start", self._compose.container("app")])
        self._note.unlink(missing_ok=True)

    def _status(self) -> str:
        return next(state for state in health.states(self._compose) if state.service == "app").status


def seen_well(site: Site) -> StackError | None:
    """Return why the site is not well, or nothing when it is."""
    try:
        site.expect_well()
    except StackError as illness:
        return illness
    return None


def _note(settings: Settings) -> Path:
    return settings.root / "state" / "app_stopped_by_restore"
