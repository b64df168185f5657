"""The command line: what it prints, its exit status, and that it never shows a traceback or a password."""

from __future__ import annotations

import io
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy import cli
from proxy.errors import ConfigError, UpstreamUnavailableError
from proxy.settings import Settings
from proxy.wire.scram import Verifier

SECRET = "123-45-6789"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test in a directory of its own, with no variables of ours and logging left alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("proxy.ops.log.configure_logging", lambda *_: None)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings that `serve` hands over, instead of serving."""
    got: list[Settings] = []

    def run(settings: Settings) -> int:
        got.append(settings)
        return 0

    put_module(monkeypatch, "proxy.app", run=run)
    return got


def put_module(monkeypatch: pytest.MonkeyPatch, name: str, **functions: Callable[..., int]) -> None:
    module = types.ModuleType(name)
    for key, function in functions.items():
        setattr(module, key, function)
    monkeypatch.setitem(sys.modules, name, module)


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("pgveil 0.")
    assert cli.run([]) == 0
    text = capsys.readouterr().out
    assert all(command in text for command in ("serve", "check", "test", "columns", "simulate", "demo", "user"))


def test_serve_hands_its_flags_over(served: list[Settings]) -> None:
    flags = ["--listen", "127.0.0.1:0", "--http", "[::1]:0", "--policies", "rules", "--workers", "1"]
    assert cli.run(["serve", *flags, "--upstream", "postgresql://app@db/shop"]) == 0
    (settings,) = served
    assert (str(settings.listen), str(settings.http)) == ("127.0.0.1:0", "[::1]:0")
    assert settings.policies == Path.cwd() / "rules"
    assert str(settings.upstream.dsn) == "app@db:5432/shop"


def test_serve_reads_file_and_environment(served: list[Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("pgveil.yaml").write_text("http: 127.0.0.1:1\nlisten: 127.0.0.1:2\n")
    monkeypatch.setenv("PGVEIL_LISTEN", "127.0.0.1:3")
    assert cli.run(["serve"]) == 0
    assert (served[0].http.port, served[0].listen.port) == (1, 3)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["serve", "--listen", "x"], "pgveil: --listen: expected HOST:PORT"),
        (["serve", "--workers", "auto"], "pgveil: --workers: Input should be a valid integer"),
        (["serve", "--config", "none.yaml"], "none.yaml: cannot be read: No such file"),
        (["serve", "--lissen", "x"], "pgveil: No such option: --lissen"),
        (["sevre"], "pgveil: No such command 'sevre'"),
        (["simulate", "SELECT 1"], "pgveil: Missing option '--as'"),
        (["user"], "pgveil: Missing argument"),
    ],
)
def test_what_is_wrong_is_one_line_and_status_2(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(arguments) == 2
    text = capsys.readouterr().err
    assert expected in text
    assert "Traceback" not in text


def test_a_refused_dsn_never_shows_its_password(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["serve", "--upstream", f"postgresql://app:{SECRET}@db:none/shop"]) == 2
    captured = capsys.readouterr()
    assert SECRET not in captured.out + captured.err


def test_an_error_of_somebody_elses_is_status_1_with_its_hint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_settings: Settings) -> int:
        raise UpstreamUnavailableError("no connection to db:5432", detail="Connection refused", hint="is it up?")

    put_module(monkeypatch, "proxy.app", run=fail)
    assert cli.run(["serve"]) == 1
    assert capsys.readouterr().err == (
        "pgveil: no connection to db:5432\ndetail: Connection refused\nhint: is it up?\n"
    )


def test_an_error_out_of_a_task_group_is_the_error_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_settings: Settings) -> int:
        raise ExceptionGroup("tasks", [ExceptionGroup("tasks", [ConfigError("no such address", hint="another")])])

    put_module(monkeypatch, "proxy.app", run=fail)
    assert cli.run(["serve"]) == 2
    assert capsys.readouterr().err == "pgveil: no such address\nhint: another\n"


def test_an_error_of_ours_shows_its_place_and_no_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def crash(_settings: Settings) -> int:
        raise RuntimeError(SECRET)

    put_module(monkeypatch, "proxy.app", run=crash)
    assert cli.run(["serve"]) == 70
    text = capsys.readouterr().err
    assert "builtins.RuntimeError" in text
    assert "test_cli.py" in text
    assert SECRET not in text


def test_ctrl_c_is_status_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_settings: Settings) -> int:
        raise KeyboardInterrupt

    put_module(monkeypatch, "proxy.app", run=interrupt)
    assert cli.run(["serve"]) == 130


def test_the_status_of_a_command_is_the_process_status(monkeypatch: pytest.MonkeyPatch) -> None:
    put_module(monkeypatch, "proxy.check", run_check=lambda _settings, as_json, strict: int(as_json + strict))
    assert cli.run(["check"]) == 0
    assert cli.run(["check", "--strict"]) == 1
    assert cli.run(["check", "--strict", "--json"]) == 2


def test_simulate_hands_user_and_statement_over(monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[tuple[str, str, str | None, bool]] = []

    def run_simulate(
        _settings: Settings, user: str, sql: str, *, search_path: str | None = None, as_json: bool = False
    ) -> int:
        got.append((user, sql, search_path, as_json))
        return 0

    put_module(monkeypatch, "proxy.simulate", run_simulate=run_simulate)
    assert cli.run(["simulate", "--as", "analyst", "SELECT 1"]) == 0
    assert cli.run(["simulate", "--as", "analyst", "--search-path", "a,b", "--json", "SELECT 1"]) == 0
    assert got == [("analyst", "SELECT 1", None, False), ("analyst", "SELECT 1", "a,b", True)]


def test_columns_takes_a_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    put_module(monkeypatch, "proxy.columnrules", run_columns=lambda _settings, tag: ["known", "plain"].index(tag))
    assert cli.run(["columns"]) == 0
    assert cli.run(["columns", "--tag", "plain"]) == 1


def test_test_hands_its_choice_over(monkeypatch: pytest.MonkeyPatch) -> None:
    from proxy.policytest import Asked

    got: list[Asked] = []

    def run_policy_tests(_settings: Settings, asked: Asked) -> int:
        got.append(asked)
        return 0

    monkeypatch.setattr("proxy.policytest.run_policy_tests", run_policy_tests)
    flags = ["--only", "a", "--schema", "s.sql", "--junit", "r.xml", "--shadow"]
    assert cli.run(["test", *flags]) == cli.run(["test"]) == 0
    assert got == [Asked("a", Path("s.sql"), Path("r.xml"), shadow=True), Asked()]


def test_user_prints_a_line_that_the_users_file_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{SECRET}\n"))
    assert cli.run(["user", 'an"alyst']) == 0
    line = capsys.readouterr().out
    name, _, verifier = line.rstrip().rpartition(" ")
    assert name == '"an""alyst"'
    assert Verifier.parse(verifier.strip('"')).iterations >= 4096
    assert SECRET not in line


def test_user_refuses_an_empty_password(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert cli.run(["user", "analyst"]) == 2
    assert "the password is empty" in capsys.readouterr().err


def test_a_password_is_never_an_argument(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["user", "analyst", SECRET]) == 2
    captured = capsys.readouterr()
    assert "leave it out" in captured.err
    assert SECRET not in captured.out + captured.err


def test_reading_the_command_line_imports_nothing_heavy() -> None:
    code = (
        "import sys, proxy.cli; proxy.cli.run(['--help']);"
        "heavy = {'pydantic', 'asyncpg', 'fastapi', 'langgraph', 'spacy', 'presidio_analyzer', 'faker', 'openai'};"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
