"""`pgveil test`: the tests that a policy brings along, on a real PostgreSQL."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import psycopg
import pytest

from proxy import cli, localpg
from proxy.errors import ConfigError, UpstreamUnavailableError
from proxy.harden import run_harden
from proxy.policytest import Asked, run_policy_tests, same_value, title
from proxy.settings import Settings
from proxy.settings.addresses import UpstreamDsn
from proxy.settings.model import UpstreamSettings

SCHEMA = """
CREATE SCHEMA hr;
CREATE TABLE hr.emp (id int PRIMARY KEY, ssn text, pay numeric(10,2), since timestamptz, ok boolean, note text);
INSERT INTO hr.emp VALUES
    (1, '123-45-6789', 1000.50, '2024-05-06 07:08:09+02', true, E'a\\nb'),
    (2, NULL, NULL, NULL, NULL, '7');
"""
POLICY = """
version: 1
roles:
  dba: {users: [root], bypass: true}
  analyst: {users: [ann]}
defaults: {statements: [select, insert, copy_out, set, show]}
tables: [{allow: [hr.emp], roles: [analyst], write: [insert]}]
masks: [{columns: [hr.emp.ssn], mask: partial}]
limits: [{roles: [analyst], max_rows: 1}]
tests:
"""
PASSING = """
  - {as: ann, sql: "SELECT ssn FROM hr.emp WHERE id = 1", rows: [["***-**-6789"]]}
  - {as: root, sql: "SELECT ssn, pay FROM hr.emp ORDER BY id", rows: [["123-45-6789", 1000.5], [null, null]]}
  - {as: ann, sql: "SELECT pay, since, ok FROM hr.emp WHERE ok", rows: [["1000.50", "2024-05-06 05:08:09+00", true]]}
  - {as: ann, sql: "SELECT note FROM hr.emp WHERE id = 2", rows: [["7"]]}
  - {as: ann, sql: "SELECT id FROM hr.emp WHERE false", rows: []}
  - {name: "only one row", as: ann, sql: "SELECT id FROM hr.emp ORDER BY id", rows: [[1]]}
  - {as: ann, sql: "DELETE FROM hr.emp", refused: true}
  - {as: ann, sql: "SELECT pg_sleep(1)", refused: 42501}
  - {as: ann, sql: "SELEC 1", refused: "42601"}
  - {as: root, sql: "INSERT INTO hr.emp (id) VALUES (3) RETURNING id", rows: [[3]]}
  - {as: root, sql: "SELECT count(*) FROM hr.emp", rows: [[2]]}
"""
FAILING = """
  - {name: wrong value, as: ann, sql: "SELECT ssn FROM hr.emp ORDER BY id", rows: [["123-45-6789"]]}
  - {name: too few, as: root, sql: "SELECT id FROM hr.emp ORDER BY id", rows: [[1]]}
  - {name: not refused, as: ann, sql: "SELECT ssn FROM hr.emp", refused: true}
  - {name: refused otherwise, as: ann, sql: "SELECT pg_sleep(1)", refused: "0A000"}
  - {name: refused at all, as: ann, sql: "SELECT pg_sleep(1)", rows: []}
  - {name: an error, as: root, sql: "SELECT 1/0", rows: [[1]]}
  - {name: several, as: root, sql: "DELETE FROM hr.emp; COMMIT", rows: []}
  - {name: a question, as: ann, sql: "ASK 'how many?'", rows: []}
  - {name: copied, as: ann, sql: "COPY hr.emp TO STDOUT", rows: []}
  - {name: control, as: root, sql: "SELECT chr(1) || note FROM hr.emp WHERE id = 1", rows: [["x"]]}
"""


@pytest.fixture(scope="module")
def dsn(postgres: localpg.LocalPostgres) -> UpstreamDsn:
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute("CREATE DATABASE policy_tests")
    with psycopg.connect(postgres.dsn_for("policy_tests"), autocommit=True) as connection:
        connection.execute(SCHEMA)
    return UpstreamDsn.parse(postgres.dsn_for("policy_tests"))


@pytest.fixture
def given(tmp_path: Path, dsn: UpstreamDsn, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings for a policy in `p.yaml` of the working directory."""
    monkeypatch.chdir(tmp_path)
    return Settings(policies=Path("p.yaml"), upstream=UpstreamSettings(dsn=dsn))


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Without the log, which stands on the same stream where nobody set it up."""
    return [line for line in capsys.readouterr().out.splitlines() if " component=" not in line]


def test_what_holds(given: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    Path("p.yaml").write_text(POLICY + PASSING)
    assert run_policy_tests(given) == 0
    lines = printed(capsys)
    assert lines[0] == "ok      p.yaml:12  ann: SELECT ssn FROM hr.emp WHERE id = 1"
    assert lines[5] == "ok      p.yaml:17  only one row"
    assert lines[-1] == "11 tests, 0 failed"


def test_what_does_not_hold_says_what_came(given: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    Path("p.yaml").write_text(POLICY + FAILING)
    assert run_policy_tests(given) == 1
    text = "\n".join(printed(capsys))
    assert text.endswith("10 tests, 10 failed")
    found = dict(part.split("\n", 1) for part in text.rpartition("\n")[0].split("FAILED  p.yaml:")[1:])
    said = {head.split("  ", 1)[1]: [line.strip() for line in body.splitlines()] for head, body in found.items()}
    assert said["wrong value"] == ['expected: ["123-45-6789"]', 'got:      ["***-**-6789"]']
    assert said["too few"] == ["expected: [1]", 'got:      ["1"]', '["2"]']
    assert said["not refused"] == ["expected: refused", "got:      the veil lets it run"]
    assert said["refused otherwise"][1].startswith("got:      refused, 42501: ")
    assert said["refused at all"][0] == "expected: rows"
    assert said["an error"] == ["the database says 22012: division by zero"]
    assert said["several"] == ["a test is one statement, and these are several"]
    assert said["a question"] == ["a test takes SQL, and this is a question"]
    assert said["copied"] == ["a test compares rows, and COPY gives none"]
    with psycopg.connect(given.upstream.dsn.uri() if given.upstream.dsn else "") as connection:
        assert connection.execute("SELECT count(*) FROM hr.emp").fetchone() == (2,)


def test_junit(given: Settings) -> None:
    Path("p.yaml").write_text(POLICY + PASSING + FAILING)
    assert run_policy_tests(given, Asked(junit=Path("report.xml"))) == 1
    root = ET.parse("report.xml").getroot()
    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "21", "10")
    (suite,) = root
    assert (suite.get("name"), suite.get("tests"), suite.get("errors")) == ("p.yaml", "21", "0")
    cases = {case.get("name"): case for case in suite}
    passed = cases["only one row"]
    assert (passed.get("classname"), passed.get("file"), passed.get("line")) == ("p", "p.yaml", "17")
    assert float(passed.get("time", "")) >= 0
    assert not list(passed)
    (failure,) = cases["wrong value"]
    assert failure.tag == "failure"
    assert failure.get("message") == 'expected: ["123-45-6789"]'
    assert failure.text == 'expected: ["123-45-6789"]\ngot:      ["***-**-6789"]'
    (failure,) = cases["control"]
    assert "\ufffda\nb" in (failure.text or "")


def test_some_of_them(given: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    Path("p.yaml").write_text(POLICY + PASSING + FAILING)
    assert run_policy_tests(given, Asked(only="only one")) == 0
    assert printed(capsys)[-1] == "1 test, 0 failed"
    with pytest.raises(ConfigError, match=r"no test is called 'too fwe'; did you mean too few\?"):
        run_policy_tests(given, Asked(only="too fwe"))


def test_a_policy_without_tests_needs_no_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.yaml").write_text("version: 1\nroles: {a: {users: [a]}}\n")
    nowhere = UpstreamDsn.parse(f"postgresql://nobody@/nothing?host={tmp_path}")
    assert run_policy_tests(Settings(policies=tmp_path, upstream=UpstreamSettings(dsn=nowhere))) == 0
    assert printed(capsys) == ["0 tests, 0 failed"]


def test_the_shadow_has_tests_of_its_own(given: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    Path("rules").mkdir()
    Path("rules/p.yaml").write_text(POLICY + PASSING)
    shadow = POLICY.replace("mask: partial", "mask: redact").replace("version: 1", "version: 1\nenforce: false")
    test = '  - {as: ann, sql: "SELECT ssn FROM hr.emp ORDER BY id", rows: [["***"]]}\n'
    Path("rules/shadow.yaml").write_text(shadow + test)
    both = given.model_copy(update={"policies": Path("rules")})
    assert run_policy_tests(both, Asked(shadow=True)) == 0
    assert printed(capsys)[-1] == "1 test, 0 failed"
    Path("rules/shadow.yaml").unlink()
    with pytest.raises(ConfigError, match="there is no shadow policy"):
        run_policy_tests(both, Asked(shadow=True))


def test_a_database_for_the_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the command, on the embedded server of the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("proxy.ops.log.configure_logging", lambda *_: None)
    Path("p.yaml").write_text(POLICY + PASSING)
    Path("schema.sql").write_text(SCHEMA)
    arguments = ["test", "--policies", "p.yaml", "--schema", "schema.sql"]
    server = localpg.start(localpg.default_data_dir(), durable=False)
    try:
        assert cli.run(arguments) == 0
        assert printed(capsys)[-1] == "11 tests, 0 failed"
        Path("schema.sql").write_text(SCHEMA + "SELECT nothing;")
        assert cli.run(arguments) == 2
        assert "the schema's script fails: 42703" in capsys.readouterr().err
        with psycopg.connect(server.dsn) as connection:
            names = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'pgveil_test%'").fetchall()
        assert names == []
    finally:
        server.stop()
    assert cli.run(["test", "--policies", "p.yaml", "--schema", "none.sql"]) == 2
    assert "none.sql: cannot be read: No such file" in capsys.readouterr().err


ON_FLOOR = """
version: 1
roles: {counter_clerk: {users: [ann]}, dba: {users: [root], bypass: true}}
tables: [{allow: [hr.emp], roles: [counter_clerk]}]
masks: [{columns: [hr.emp.ssn], mask: partial}]
tests:
  - {as: ann, sql: "SELECT ssn, current_user FROM hr.emp WHERE id = 1", rows: [["***-**-6789", pgveil_counter_clerk]]}
  - {as: root, sql: "SELECT ssn FROM hr.emp WHERE id = 1", rows: [["123-45-6789"]]}
"""


def test_on_the_floor_masked_users_have_their_own_login(given: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert given.upstream.dsn is not None
    Path("p.yaml").write_text(ON_FLOOR)
    floor = given.model_copy(update={"upstream": UpstreamSettings(dsn=given.upstream.dsn, login="floor")})
    with pytest.raises(UpstreamUnavailableError):
        run_policy_tests(floor)
    assert run_harden(given, (), audit=False) == 0
    script = "\n".join(printed(capsys))
    with psycopg.connect(given.upstream.dsn.uri(), autocommit=True) as connection:
        connection.execute(script.encode())
    assert run_policy_tests(floor) == 0
    assert printed(capsys)[-1] == "2 tests, 0 failed"


def test_a_lost_connection_is_that_test_s_failure(given: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    tests = """
  - {name: loses it, as: root, sql: "SELECT pg_terminate_backend(pg_backend_pid())", rows: [[true]]}
  - {name: goes on, as: root, sql: "SELECT 1", rows: [[1]]}
"""
    Path("p.yaml").write_text(POLICY + tests)
    assert run_policy_tests(given, Asked(junit=Path("report.xml"))) == 1
    lines = printed(capsys)
    assert any(line.startswith("FAILED") and line.endswith("loses it") for line in lines)
    assert any(line.startswith("ok") and line.endswith("goes on") for line in lines)
    assert lines[-1] == "2 tests, 1 failed"
    assert [case.get("name") for case in ET.parse("report.xml").iter("testcase")] == ["loses it", "goes on"]


INT4, NUMERIC, BOOL, TEXT = 23, 1700, 16, 25


@pytest.mark.parametrize(
    ("expected", "got", "oid", "same"),
    [
        (None, None, TEXT, True),
        (None, "", TEXT, False),
        ("", None, TEXT, False),
        ("a", "a", TEXT, True),
        ("a ", "a", TEXT, False),
        (7, "7", INT4, True),
        (7, "7.00", NUMERIC, True),
        (7, "07", TEXT, False),
        (7, "7", TEXT, True),
        (1.5, "1.50", NUMERIC, True),
        (1.5, "1.51", NUMERIC, False),
        (1.5, "NaN", NUMERIC, False),
        ("1.5", "1.50", NUMERIC, False),
        (True, "t", BOOL, True),
        (False, "t", BOOL, False),
        (True, "true", TEXT, True),
        (1, "t", BOOL, False),
    ],
)
def test_values(expected: object, got: str | None, oid: int, same: bool) -> None:
    assert same_value(expected, got, oid) is same


def test_a_title_is_one_line(tmp_path: Path) -> None:
    from proxy.policy.rules import PolicyTest, Where

    long = PolicyTest("ann", "SELECT\n  1" + " " * 5 + ", 2" * 50, Where("p.yaml", 1))
    assert title(long).startswith("ann: SELECT 1 , 2, 2")
    assert len(title(long)) == 80
