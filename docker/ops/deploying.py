"""deploy and rollback at the command line: their own exit codes, wrong usage included."""

from typing import Any

from typer.core import TyperCommand

from ops import deploy, engine, release
from ops.compose import Compose
from ops.errors import DeployError, Ending, Exit, ending
from ops.settings import load
from ops.ui import Ui
from ops.wish import Wish


class Documented(TyperCommand):
    """A verb whose wrong usage is one JSON document too, where that was asked for."""

    usage = int(Exit.USAGE)

    def make_context(self, info_name: str | None, args: list[str], *more: Any, **kwargs: Any) -> Any:
        """Read the options."""
        given = list(args)
        try:
            return super().make_context(info_name, args, *more, **kwargs)
        except Exception as wrong:
            if getattr(wrong, "exit_code", 0):
                wrong.exit_code = self.usage  # type: ignore[attr-defined]  # typer reads it
                told = wrong.format_message() if hasattr(wrong, "format_message") else str(wrong)
                hint = f"./stack {info_name} --help lists what it takes"
                Ui(as_json="--json" in given).emit({"error": told, "hint": hint, "code": self.usage})
            raise


class Command(Documented):
    """A verb whose wrong usage has the code of its own list."""

    usage = int(Ending.USAGE)


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
