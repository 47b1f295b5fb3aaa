"""The verbs of ./stack, their help, their exit codes."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
import typer.core

from ops import backup as backups
from ops import claims, deploying, engine, extract, lifecycle, release, report, report_tools, testing
from ops import doctor as machine
from ops import history as past
from ops import lint as checks
from ops import restore as restoring
from ops import verify as verifying
from ops import wish as wishes
from ops.compose import Compose
from ops.errors import CODES, DEPLOY_CODES, Exit, StackError
from ops.monitor.refused import COULD_NOT_LOOK
from ops.settings import Settings, load
from ops.ui import Ui, show_any_text

app = typer.Typer(
    help="monsite: a hardened, backed-up, restorable SQLite site on Docker Compose.",
    epilog=CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
backup_app = typer.Typer(help="Take, list, check, rotate and try out snapshots.", epilog=CODES, no_args_is_help=True)
app.add_typer(backup_app, name="backup")
report_app = typer.Typer(invoke_without_command=True)
app.add_typer(report_app, name="report")

WrongUsage: type[Exception] = typer.BadParameter.__bases__[0]  # the one that all errors of options and arguments are

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
NoInstall = Annotated[bool, typer.Option("--no-install", help="Never install a package of the system.")]
Name = Annotated[str | None, typer.Argument(help="A snapshot's name.")]
Service = Annotated[str | None, typer.Argument(help="gate, app, backup or drill.")]


def compose_for(settings: Settings, ui: Ui, *, install: bool = False) -> Compose:
    """Return Compose for verbs that change no image: those of the last `up` are used."""
    return Compose(settings, engine.ensure(ui, install=install), release.current(settings))


@app.command(epilog=CODES)
def up(
    quiet: Quiet = False,
    as_json: Json = False,
    no_install: NoInstall = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="Build base and images anew first.")] = False,
) -> None:
    """Bring the site up: engine, images, folders, services; return when it is well."""
    ui, settings = Ui(quiet, as_json), load()
    found = engine.ensure(ui, install=not no_install)
    built = release.build(settings, ui, refresh=refresh, install=not no_install)
    lifecycle.up(Compose(settings, found, built.variables), built, ui)


@app.command(epilog=CODES)
def down(quiet: Quiet = False, as_json: Json = False) -> None:
    """Stop and remove the containers; keep every folder and volume."""
    ui = Ui(quiet, as_json)
    lifecycle.down(compose_for(load(), ui), ui)


@app.command(epilog=CODES)
def restart(service: Service = None, quiet: Quiet = False, as_json: Json = False) -> None:
    """Restart one service or all, and return when the site is well."""
    ui = Ui(quiet, as_json)
    lifecycle.restart(compose_for(load(), ui), ui, service)


@app.command(epilog=CODES)
def status(quiet: Quiet = False, as_json: Json = False) -> None:
    """Show the services, the site's answer and the newest snapshot; exit 1 when something is not well."""
    from ops.monitor import status as short

    raise typer.Exit(short.show(load(), Ui(quiet, as_json)))


@app.command(epilog=CODES)
def logs(
    service: Service = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep showing what comes.")] = False,
    tail: Annotated[int, typer.Option(help="How many lines of each service.", min=0)] = 100,
) -> None:
    """Show what the services log."""
    lifecycle.logs(compose_for(load(), Ui()), service, follow=follow, tail=tail)


@app.command(epilog=CODES)
def shell(service: Annotated[str, typer.Argument(help="gate, app, backup or drill.")] = "app") -> None:
    """Open a shell in a service's container, as its own user."""
    lifecycle.shell(compose_for(load(), Ui()), service)


@app.command(epilog=CODES)
def build(
    quiet: Quiet = False,
    as_json: Json = False,
    no_install: NoInstall = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="Build everything anew, with today's packages.")] = False,
) -> None:
    """Build the images whose inputs changed, and record the release."""
    ui, settings = Ui(quiet, as_json), load()
    engine.ensure(ui, install=not no_install)
    claims.check_root(settings)
    built = release.build(settings, ui, refresh=refresh, install=not no_install)
    ui.say(f"Release {built.id}, recorded in {release.record(settings, built)}")
    ui.emit({"release": built.id, "images": {name: image.id for name, image in built.images.items()}})


@app.command(
    epilog=CODES,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def test(context: typer.Context) -> None:
    """Prove the promises on throw-away stacks, and make the report; every argument goes to pytest.

    Its exit codes: 0 pass, 1 a control or promise is broken, 2 wrong usage, or no report could be made,
    3 incomplete: not all was looked at.
    """
    with testing.nothing_broken():
        ui, settings = Ui(), load()
        engine.ensure(ui, install=True)
        report_tools.ensure(ui)
        release.build(settings, ui, refresh=False, install=True)
        ended = testing.run(context.args)
    raise typer.Exit(testing.bundle(ended, int(settings.values["MONSITE_KEEP_REPORTS"])))


@app.command()
def verify(
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out what reads every backup, the database whole, and the drill.")
    ] = False,
    controls: Annotated[
        str | None, typer.Option("--controls", metavar="IDS", help="Only these: families or controls, RUN,BAK-05")
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", metavar="NAME", help="Only what is mapped to cis, nist, anssi …")
    ] = None,
    as_json: Json = False,
) -> None:
    """Judge the running stack and this host; read only, safe while it serves, backs up and restores.

    Its exit codes: 0 pass, 1 a control is broken, 2 wrong usage, 3 incomplete: not all was looked at.
    """
    wish = verifying.Wish(quick=quick, controls=controls, profile=profile)
    with testing.nothing_broken():
        code = verifying.verify(load(), Ui(as_json=as_json), wish)
    raise typer.Exit(code)


class _Monitor(typer.core.TyperCommand):
    """A command whose wrong usage ends with 3: to whoever reads its codes, 2 is a site in trouble."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # click's own
        """Read the options."""
        try:
            return super().parse_args(ctx, args)
        except WrongUsage as error:
            error.exit_code = COULD_NOT_LOOK  # type: ignore[attr-defined]  # typer reads it
            raise


@app.command(cls=_Monitor)
def monitor(
    as_json: Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")] = False,
    interval: Annotated[
        float | None, typer.Option("--interval", metavar="S", help="With --watch: each so many seconds, 2 as a rule.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="One line and the exit code, as Nagios reads them.")] = False,
    prometheus: Annotated[
        Path | None, typer.Option("--prometheus", metavar="FILE", help="Write the figures as a Prometheus text file.")
    ] = None,
    notify: Annotated[
        str | None,
        typer.Option(
            "--notify", metavar="CMD", help="Run it once when something breaks and once when it is well again."
        ),
    ] = None,
) -> None:
    """Show every service, the site, its data, backups and deploys, each held against its threshold; change nothing.

    Its exit codes: 0 well, 1 warning, 2 critical, 3 could not look, or wrong usage; --watch ends with 130 on Ctrl-C.
    """
    from ops.monitor import command

    wish = command.Wish(as_json, watch, interval, check, prometheus, notify)
    raise typer.Exit(command.run(load, Ui(as_json=as_json), wish))


@report_app.callback(epilog=CODES)
def report_run(
    context: typer.Context,
    run: Annotated[str, typer.Option("--run", metavar="R", help="Name or folder of a run.")] = "latest",
    profile: Annotated[
        str | None, typer.Option("--profile", metavar="NAME", help="Read for one: cis, nist, anssi, iso27001, soc2.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="R0", help="Tell what changed since this earlier run.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="Sign with this key, as ssh-keygen makes them.")
    ] = None,
    browse: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    as_json: Json = False,
) -> None:
    """Make the report of a run: pages, JUnit, SARIF, manifest, signature; `verify` judges one."""
    if context.invoked_subcommand is not None:
        _refuse_before(context)
    else:
        wish = report.Wish(run=run, profile=profile, since=since, key=key)
        keep = int(load().values["MONSITE_KEEP_REPORTS"])
        raise typer.Exit(report.show(wish, keep, Ui(as_json=as_json), browse=browse))


def _refuse_before(context: typer.Context) -> None:
    """Refuse options that stand before a verb, which would not see them."""
    given = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name and (how := context.get_parameter_source(parameter.name)) and how.name != "DEFAULT"
    ]
    if given:
        verb = context.invoked_subcommand
        raise StackError(
            f"{' and '.join(given)} before `{verb}`: options of ./stack report, which {verb} does not take there",
            f"./stack report {verb} --help lists what it takes, after the word {verb}",
            Exit.USAGE,
        )


@report_app.command("verify", epilog=CODES)
def report_verify(
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="The bundle's folder; without it, the newest run's.")
    ] = None,
    signers: Annotated[
        Path | None, typer.Option("--signers", metavar="FILE", help="Whose keys you trust: NAME KEYTYPE KEY a line.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare every file of a report with its manifest and signature; exit 4 when something was changed."""
    raise typer.Exit(report.verify(folder, signers, as_json=as_json))


@app.command(epilog=CODES)
def lint(quiet: Quiet = False, as_json: Json = False) -> None:
    """Check style, types, Dockerfiles, shell scripts, Compose and configuration."""
    ui = Ui(quiet, as_json)
    raise typer.Exit(checks.run(Compose(load(), engine.Engine("", *engine.find_compose()), {}), ui))


@app.command(epilog=CODES)
def doctor(as_json: Json = False) -> None:
    """Say what this machine lacks and the command that mends it; change nothing."""
    raise typer.Exit(machine.examine(load(), Ui(as_json=as_json)))


@backup_app.command("now", epilog=CODES)
def backup_now(
    quiet: Quiet = False,
    as_json: Json = False,
    pin: Annotated[bool, typer.Option("--pin", help="Keep it until `backup unpin` takes the pin off.")] = False,
    accept_shrink: Annotated[
        bool, typer.Option("--accept-shrink", help="Fewer than half the rows are meant: let rotation go on.")
    ] = False,
) -> None:
    """Take a verified snapshot of the database and the uploads."""
    ui = Ui(quiet, as_json)
    raise typer.Exit(backups.now(compose_for(load(), ui), ui, pin=pin, accept_shrink=accept_shrink))


@backup_app.command("list", epilog=CODES)
def backup_list(as_json: Json = False) -> None:
    """List the snapshots, newest first."""
    ui = Ui(as_json=as_json)
    raise typer.Exit(backups.show(compose_for(load(), ui), ui))


@backup_app.command("verify", epilog=CODES)
def backup_verify(name: Name = None, quiet: Quiet = False, as_json: Json = False) -> None:
    """Read every byte of one snapshot or of all; exit 4 when something is damaged."""
    ui = Ui(quiet, as_json)
    raise typer.Exit(backups.verify(compose_for(load(), ui), ui, name))


@backup_app.command("rotate", epilog=CODES)
def backup_rotate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen, and why.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Promote and drop as the policy says; each new snapshot does this by itself."""
    ui = Ui(quiet, as_json)
    raise typer.Exit(backups.rotate(compose_for(load(), ui), ui, dry_run=dry_run))


@backup_app.command("drill", epilog=CODES)
def backup_drill(name: Name = None, quiet: Quiet = False, as_json: Json = False) -> None:
    """Restore a snapshot beside the live site and start the site on it; exit 9 when it does not start."""
    ui = Ui(quiet, as_json)
    raise typer.Exit(backups.drill(compose_for(load(), ui), ui, name))


@backup_app.command("unpin", epilog=CODES)
def backup_unpin(
    name: Annotated[str, typer.Argument(help="A snapshot's name.")], quiet: Quiet = False, as_json: Json = False
) -> None:
    """Let rotation drop a snapshot that was pinned, such as the safety copy of a restore."""
    ui = Ui(quiet, as_json)
    raise typer.Exit(backups.unpin(compose_for(load(), ui), ui, name))


@app.command(epilog=CODES)
def restore(
    source: Annotated[
        str, typer.Argument(help="`latest`, a snapshot's name, or a file (.db, .db.gz, .db.zst, .db.backup).")
    ],
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Write the database there; leave the site alone.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Verify and show the plan; change nothing.")] = False,
    cold: Annotated[bool, typer.Option("--cold", help="Stop the app and exchange the file.")] = False,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Go on although uploads are lost; they are listed.")
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Verify a snapshot, then bring database and uploads back; the former database is kept."""
    ui = Ui(quiet, as_json)
    wish = restoring.Wish(dry_run=dry_run, cold=cold, allow_missing=allow_missing)
    if to and wish != restoring.Wish(dry_run=False, cold=False, allow_missing=False):
        raise StackError(
            "--to writes a file and leaves the site alone; --dry-run, --cold and --allow-missing are about the site",
            "leave those away, or leave --to away",
            Exit.USAGE,
        )
    compose = compose_for(load(), ui)
    raise typer.Exit(extract.extract(compose, ui, source, to) if to else restoring.restore(compose, ui, source, wish))


Without = Annotated[
    str | None, typer.Option("--without-report", metavar="REASON", help="Do it without a report; the history says why.")
]
Wait = Annotated[
    float, typer.Option("--wait", metavar="SECONDS", help="How long to wait for long requests.", min=0, max=86400)
]
Watch = Annotated[float, typer.Option("--watch-seconds", hidden=True, min=0, max=86400)]
OnlyPlan = Annotated[bool, typer.Option("--dry-run", help="Look, show the plan, change nothing.")]


@app.command(cls=deploying.Command, epilog=DEPLOY_CODES)
def deploy(
    release_id: Annotated[
        str | None, typer.Option("--release", metavar="ID", help="A recorded release; without it, the newest.")
    ] = None,
    report_folder: Annotated[
        Path | None, typer.Option("--report", metavar="DIR", help="The report that vouches for it.")
    ] = None,
    without_report: Without = None,
    with_gate: Annotated[
        bool, typer.Option("--with-gate", help="Exchange the gate too: about two seconds without answers.")
    ] = False,
    dry_run: OnlyPlan = False,
    wait: Wait = wishes.Wish.wait_s,
    watch_seconds: Watch = wishes.Wish.watch_s,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Bring a built and proven release live without a failed request; one that is bad goes back by itself."""
    wish = wishes.Wish(
        release=release_id,
        report=report_folder,
        without_report=without_report,
        with_gate=with_gate,
        dry_run=dry_run,
        wait_s=wait,
        watch_s=watch_seconds,
    )
    raise typer.Exit(deploying.carry_out(wish, Ui(quiet, as_json)))


@app.command(cls=deploying.Command, epilog=DEPLOY_CODES)
def rollback(
    steps: Annotated[int, typer.Argument(metavar="[N]", help="How many releases back.", min=1)] = 1,
    with_data: Annotated[
        bool, typer.Option("--with-data", help="Bring the data of then back too; what was written since is lost.")
    ] = False,
    without_report: Without = None,
    dry_run: OnlyPlan = False,
    wait: Wait = wishes.Wish.wait_s,
    watch_seconds: Watch = wishes.Wish.watch_s,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Go back to a release that was live before, the same way as a deploy."""
    wish = wishes.Wish(
        verb="rollback",
        steps=steps,
        with_data=with_data,
        without_report=without_report,
        dry_run=dry_run,
        wait_s=wait,
        watch_s=watch_seconds,
    )
    raise typer.Exit(deploying.carry_out(wish, Ui(quiet, as_json)))


@app.command(cls=deploying.Documented, epilog=CODES)
def history(
    limit: Annotated[int, typer.Option("--limit", help="How many lines.", min=1)] = 20, as_json: Json = False
) -> None:
    """Show what was deployed, rolled back and restored; exit 1 when the record was tampered with."""
    raise typer.Exit(past.show(load(), Ui(as_json=as_json), limit))


def main() -> None:
    """Run a verb; turn every StackError into two lines on stderr and its exit code."""
    show_any_text()
    run: Callable[..., None] = app
    try:
        run(prog_name="./stack")
    except StackError as error:
        Ui(as_json="--json" in sys.argv).fail(error)
        sys.exit(error.code)
    except OSError as error:
        subject = error.filename or "the system"
        Ui(as_json="--json" in sys.argv).fail(
            StackError(f"{subject}: {error.strerror}", "mend that, or choose another name or folder")
        )
        sys.exit(Exit.FAILED)
