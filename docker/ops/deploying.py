"""deploy and rollback at the command line: their own exit codes, wrong usage included."""

from typing import Any

from typer.core import TyperCommand

from ops import deploy, engine, release
from ops.compose import Compose
from ops.deploy import Wish
from ops.errors import DeployError, Ending, ending
from ops.settings import load
from ops.ui import Ui


class Command(TyperCommand):
    """A verb whose wrong usage has the code of its own list."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the options."""
        try:
            return super().make_context(*args, **kwargs)
        except Exception as wrong:
            if hasattr(wrong, "exit_code") and wrong.exit_code:
                wrong.exit_code = int(Ending.USAGE)
            raise


def carry_out(wish: Wish, ui: Ui) -> int:
    """Do it, with every error's code from the list of deploys."""
    with ending(Ending.USAGE):
        settings = load()
        if wish.without_report is not None and not wish.without_report.strip():
            raise DeployError(
                "--without-report wants a reason, and a blank is none",
                'say it in words, as the history keeps them: --without-report "REASON"',
                Ending.USAGE,
            )
    with ending(Ending.PREFLIGHT):
        compose = Compose(settings, engine.ensure(ui, install=False), release.current(settings))
        return deploy.deploy(compose, ui, wish)
