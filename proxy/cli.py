"""The command line: `pgveil serve`, `check`, `simulate`, `demo`, `user`.

It reads arguments, builds settings and hands over; every command imports what it needs when it runs, so that `check`
does not wait for what `serve` uses. Errors that are somebody's to mend are two lines, `pgveil: ...` and `hint: ...`,
with status 2; an error of ours is its type and place, with status 70, and never a message, which could quote data.

It does not know what the commands do.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proxy.errors import ConfigError, PgveilError

if TYPE_CHECKING:
    from proxy.settings import Settings

EXIT_CONFIG = 2
EXIT_FAILED = 1
EXIT_INTERNAL = 70
"""EX_SOFTWARE of sysexits.h."""
EXIT_INTERRUPTED = 130
"""As a shell reports SIGINT."""

app = typer.Typer(
    name="pgveil",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Config = Annotated[str | None, typer.Option("--config", metavar="FILE", help="The settings [pgveil.yaml].")]
Upstream = Annotated[
    str | None, typer.Option("--upstream", metavar="DSN", help="The database [an embedded PostgreSQL].")
]
Policies = Annotated[
    str | None, typer.Option("--policies", metavar="DIR", help="The directory of policy files [policies].")
]


def main() -> None:
    """The entry point: runs a command and leaves with its status. Never shows a traceback."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line; its exit status."""
    try:
        status = app(arguments, prog_name="pgveil", standalone_mode=False)
    except PgveilError as error:
        return _report(error)
    except typer.Exit as error:
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        typer.echo(err=True)
        return EXIT_INTERRUPTED
    except Exception as error:
        return _report_unknown(_only(error))
    return status if isinstance(status, int) else 0


def _only(error: Exception) -> Exception:
    """What a task group wrapped, where it is one error."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _report(error: PgveilError) -> int:
    typer.echo(f"pgveil: {error.message}", err=True)
    for name, text in (("detail", error.detail), ("hint", error.hint)):
        if text:
            typer.echo(f"{name}: {text}", err=True)
    return EXIT_CONFIG if isinstance(error, ConfigError) else EXIT_FAILED


def _report_unknown(error: Exception) -> int:
    if isinstance(error, PgveilError):
        return _report(error)
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # the command line itself is wrong
        typer.echo(f"pgveil: {error.format_message()}\nhint: pgveil --help", err=True)
        return int(error.exit_code)
    from proxy.ops.log import describe_exception

    typer.echo("pgveil: internal error; please report these lines:", err=True)
    typer.echo("\n".join(describe_exception(error)), err=True)
    return EXIT_INTERNAL


def _show_version(wanted: bool) -> None:  # noqa: FBT001  typer's callback
    if wanted:
        from importlib.metadata import version

        typer.echo(f"pgveil {version('pgveil')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def common(
    context: typer.Context,
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A PostgreSQL proxy that masks what a role may not see, and answers questions in plain language."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def serve(
    listen: Annotated[
        str | None, typer.Option("--listen", metavar="HOST:PORT", help="For clients [127.0.0.1:6432].")
    ] = None,
    upstream: Upstream = None,
    policies: Policies = None,
    http: Annotated[
        str | None, typer.Option("--http", metavar="HOST:PORT", help="Health and metrics [127.0.0.1:9432].")
    ] = None,
    workers: Annotated[str | None, typer.Option("--workers", metavar="N", help="Processes [1].")] = None,
    config: Config = None,
) -> int:
    """Serve clients. SIGHUP reloads the policy, SIGTERM drains and ends."""
    flags = {
        "listen": listen,
        "upstream": upstream,
        "policies": policies,
        "http": http,
        "workers": workers,
        "config": config,
    }
    settings = _settings(flags)
    from proxy.app import run as run_app

    return run_app(settings)


@app.command(short_help="Lint the policies.")
def check(upstream: Upstream = None, policies: Policies = None, config: Config = None) -> int:
    """Lint the policies: every problem at once, with its file and line. Status 1 where there is one."""
    settings = _settings({"upstream": upstream, "policies": policies, "config": config}, "error")
    from proxy.check import run_check

    return run_check(settings)


@app.command(short_help="Show what would become of a statement.")
def simulate(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="The statement.")],
    user: Annotated[str, typer.Option("--as", metavar="USER", help="Who would send it.")],
    upstream: Upstream = None,
    policies: Policies = None,
    config: Config = None,
) -> int:
    """Show what would become of a statement: the decision, the SQL that would run, the masks and their rules."""
    settings = _settings({"upstream": upstream, "policies": policies, "config": config}, "error")
    from proxy.simulate import run_simulate

    return run_simulate(settings, user, sql)


@app.command(short_help="A demo database, a proxy, a tour.")
def demo(
    *,
    tour_only: Annotated[bool, typer.Option("--tour-only", help="End after the tour.")] = False,
) -> int:
    """Start a demo database and a proxy in front of it, and take a tour."""
    from proxy.demo.tour import run_demo

    return run_demo(tour_only=tour_only)


@app.command(short_help="Print a line for the users file.")
def user(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")],
    surplus: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
) -> int:
    """Print a line for the users file: the name and a SCRAM verifier of the password.

    The password is asked for twice on a terminal, else it is the first line of standard input.
    """
    if surplus:
        raise ConfigError(
            "a password on the command line is seen by everybody on this machine",
            hint="leave it out, and it is asked for",
        )
    password = _read_password()
    from proxy.wire.scram import make_verifier

    typer.echo(f"{_quoted(name)} {_quoted(make_verifier(password))}")
    return 0


def _read_password() -> str:
    if sys.stdin.isatty():
        password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return password
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise ConfigError("the password is empty", hint="give it as the first line of standard input")
    return password


def _quoted(text: str) -> str:
    """As in pgbouncer's userlist: in double quotes, a double quote twice."""
    if "\n" in text or "\0" in text:
        raise ConfigError("a user's name has no line ends in it")
    return '"' + text.replace('"', '""') + '"'


def _settings(flags: dict[str, str | None], log_level: str | None = None) -> Settings:
    """Settings, and logging by them; `log_level` is for commands that end soon, whose output is their own."""
    from proxy.ops.log import configure_logging
    from proxy.settings import load_settings

    settings = load_settings(flags, os.environ, Path.cwd())
    configure_logging(log_level or settings.log.level, settings.log.format)
    return settings
