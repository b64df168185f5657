"""The command line: `pgveil serve`, `check`, `test`, `columns`, `simulate`, `harden`, `shadow`, `demo`, `user`.

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

        from proxy import native

        typer.echo(f"pgveil {version('pgveil')} ({native.IN_USE})")
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
def check(
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Status 1 for a warning, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
    upstream: Upstream = None,
    policies: Policies = None,
    config: Config = None,
) -> int:
    """Lint the policies: every problem at once, with its file and line. Status 1 where there is one.

    With a database, also rules that match nothing, what no rule covers, and what would go around the veil.
    """
    settings = _settings({"upstream": upstream, "policies": policies, "config": config}, "error")
    from proxy.check import run_check

    return run_check(settings, as_json=as_json, strict=strict)


@app.command("test", short_help="Run the policy's own tests.")
def run_tests(  # noqa: PLR0913 - an option each
    *,
    only: Annotated[str | None, typer.Option("--only", metavar="NAME", help="Those whose name has this in it.")] = None,
    schema: Annotated[
        Path | None,
        typer.Option("--schema", metavar="FILE", help="SQL that makes a database for them, on the embedded server."),
    ] = None,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML.")] = None,
    shadow: Annotated[bool, typer.Option("--shadow", help="The shadow policy's tests.")] = False,
    upstream: Upstream = None,
    policies: Policies = None,
    config: Config = None,
) -> int:
    """Run the policy's own tests against the database, each in a transaction that is rolled back.

    Status 1 where one fails.
    """
    settings = _settings({"upstream": upstream, "policies": policies, "config": config}, "error")
    from proxy.policytest import Asked, run_policy_tests

    return run_policy_tests(settings, Asked(only, schema, junit, shadow))


@app.command(short_help="Print a rule for columns without one.")
def columns(
    tag: Annotated[str, typer.Option("--tag", metavar="TAG", help="The tag that it gives them.")] = "known",
    upstream: Upstream = None,
    policies: Policies = None,
    config: Config = None,
) -> int:
    """Print a rule, as YAML, for every column of an allowed table that no rule names yet."""
    settings = _settings({"upstream": upstream, "policies": policies, "config": config}, "error")
    from proxy.columnrules import run_columns

    return run_columns(settings, tag)


@app.command(short_help="Show what would become of a statement.")
def simulate(  # noqa: PLR0913 - an option each
    sql: Annotated[str, typer.Argument(metavar="SQL", help="The statement.")],
    *,
    user: Annotated[str, typer.Option("--as", metavar="USER", help="Who would send it.")],
    search_path: Annotated[
        str | None, typer.Option("--search-path", metavar="A,B", help="Schemas [those of a new session].")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    upstream: Upstream = None,
    policies: Policies = None,
    config: Config = None,
) -> int:
    """Show what would become of a statement: the decision, the SQL that would run, the masks and their rules."""
    settings = _settings({"upstream": upstream, "policies": policies, "config": config}, "error")
    from proxy.simulate import run_simulate

    return run_simulate(settings, user, sql, search_path=search_path, as_json=as_json)


@app.command(short_help="Print the SQL of the floor, or audit it.")
def harden(
    *,
    roles: Annotated[
        list[str] | None, typer.Option("--roles", metavar="ROLE,ROLE", help="Roles that users have together.")
    ] = None,
    audit: Annotated[bool, typer.Option("--audit", help="Say what undermines the floor.")] = False,
    service: Annotated[
        str | None, typer.Option("--service", metavar="NAME", help="pgveil's own account [the settings' upstream's].")
    ] = None,
    upstream: Upstream = None,
    policies: Policies = None,
    config: Config = None,
) -> int:
    """Print the SQL that builds the floor: per masked role a login, and masked views that are all it may read.

    With --audit, look at the database instead, and say what still undermines it. --upstream is who looks here; pgveil's
    own account, which --service names, is let read the views, to price what runs over them.
    """
    serving = _settings({"policies": policies, "config": config}, "error")
    settings = _settings({"upstream": upstream, "policies": policies, "config": config}, "error")
    from proxy.harden import run_harden

    if service is None and serving.upstream.dsn is not None:
        service = serving.upstream.dsn.user
    return run_harden(settings, roles or (), audit=audit, service=service)


@app.command(short_help="Show what the shadow policy would change.")
def shadow(
    *,
    audit: Annotated[
        str | None, typer.Option("--audit", metavar="FILE", help="The audit trail [the one of the settings].")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    config: Config = None,
) -> int:
    """Show what the shadow policy (`enforce: false`) would change, counted from the audit trail.

    By kind of change, user, role, column or SQLSTATE. Status 1 where something would change.
    """
    settings = _settings({"config": config}, "error")
    from proxy.shadowreport import run_shadow

    return run_shadow(settings, audit, as_json=as_json)


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
