"""pgbench through the proxy, in each of its three ways to send a statement, and in pipelines."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest
from client_kinds import Place
from client_stage import DATABASE, Program, Stage, assert_same, play, run

from proxy import localpg

MODES = ("simple", "extended", "prepared")
PIPELINED = r"""
\set aid random(1, 100000)
\startpipeline
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
SELECT bid, filler FROM pgbench_accounts WHERE aid = :aid;
\syncpipeline
SELECT count(*) FROM pgbench_branches;
\endpipeline
SELECT aid AS same FROM pgbench_accounts WHERE aid = :aid \gset
SELECT :same::int - :aid::int AS nothing;
"""
RESET = """
UPDATE pgbench_branches SET bbalance = 0;
UPDATE pgbench_tellers SET tbalance = 0;
UPDATE pgbench_accounts SET abalance = 0 WHERE abalance <> 0;
TRUNCATE pgbench_history;
"""


@pytest.fixture
def pipelined(tmp_path: Path) -> Path:
    script = tmp_path / "pipelined.sql"
    script.write_text(PIPELINED)
    return script


@pytest.fixture(autouse=True)
def _balances(stage: Stage) -> None:
    with psycopg.connect(stage.direct().dsn, autocommit=True) as connection:
        connection.execute(RESET)


def pgbench(mode: str, *options: str, clients: int = 1, transactions: int = 60) -> Program:
    """What it says that it did. One client with a fixed seed sends the same statements every time."""

    def program(place: Place) -> list[str]:
        where = ["-h", place.host, "-p", str(place.port), "-U", place.user]
        how = ["-n", "-M", mode, "-c", str(clients), "-t", str(transactions), "--random-seed=5", "--max-tries=1"]
        done = run([str(localpg.binaries() / "pgbench"), *where, *how, *options, place.database])
        assert done.stderr.splitlines()[1:] == [], done.stderr  # the first line says which version it is
        return re.findall(r"^(?:number of|query mode|transaction type).*", done.stdout, re.MULTILINE)

    return program


@pytest.mark.parametrize("mode", MODES)
def test_reads_are_the_same_byte_by_byte(mode: str, stage: Stage) -> None:
    direct, proxied = stage.play(pgbench(mode, "-S"))
    assert_same(direct, proxied)
    assert "number of transactions actually processed: 60/60" in direct.lines
    assert "number of failed transactions: 0 (0.000%)" in direct.lines


@pytest.mark.parametrize("mode", MODES)
def test_writes_are_the_same_byte_by_byte(mode: str, stage: Stage) -> None:
    program = pgbench(mode, "-b", "tpcb-like")
    direct = play(program, stage.direct())
    with psycopg.connect(stage.direct().dsn, autocommit=True) as connection:
        connection.execute(RESET)
    assert_same(direct, play(program, stage.through()))


@pytest.mark.parametrize("mode", MODES[1:])
def test_pipelines_of_pgbench_are_the_same_byte_by_byte(mode: str, pipelined: Path, stage: Stage) -> None:
    assert_same(*stage.play(pgbench(mode, "-f", str(pipelined))))


@pytest.mark.parametrize("user", ["postgres", "analyst"])
@pytest.mark.parametrize("mode", MODES)
def test_eight_clients_at_once(mode: str, user: str, stage: Stage) -> None:
    lines = pgbench(mode, "-S", clients=8, transactions=100)(stage.through(user))
    assert "number of transactions actually processed: 800/800" in lines
    assert "number of failed transactions: 0 (0.000%)" in lines


@pytest.mark.parametrize("mode", MODES)
def test_eight_writers_at_once(mode: str, stage: Stage) -> None:
    lines = pgbench(mode, "-b", "tpcb-like", clients=8, transactions=50)(stage.through())
    assert "number of transactions actually processed: 400/400" in lines
    with psycopg.connect(stage.direct().dsn) as connection:
        sums = "SELECT (SELECT sum(bbalance) FROM pgbench_branches), sum(delta), count(*) FROM pgbench_history"
        branches, history, count = connection.execute(sums).fetchone() or (None, None, None)
    assert branches == history
    assert count == 400


@pytest.mark.parametrize("mode", MODES)
def test_a_masked_role_gets_masks(mode: str, stage: Stage) -> None:
    """`abalance` is NULL for it, on the wire: a DataRow of one column of length -1."""
    with psycopg.connect(stage.direct().dsn, autocommit=True) as connection:
        connection.execute("UPDATE pgbench_accounts SET abalance = 734002")
    played = play(pgbench(mode, "-S"), stage.through("analyst"))
    rows = [line for connection in played.said for line in connection if line.startswith("D ")]
    assert set(rows[-60:]) == {f"D {bytes([0, 1, 255, 255, 255, 255])!r}"}


def test_pgbench_makes_its_tables(stage: Stage) -> None:
    """CREATE TABLE, COPY FROM STDIN, VACUUM and ALTER TABLE."""
    admin = stage.through()
    with psycopg.connect(admin.dsn, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS clients_bench")
        connection.execute(f"CREATE DATABASE clients_bench TEMPLATE template1 /* beside {DATABASE} */")
    where = ["-h", admin.host, "-p", str(admin.port), "-U", admin.user, "clients_bench"]
    run([str(localpg.binaries() / "pgbench"), "-i", "-I", "dtgvpf", "-q", *where])
    with psycopg.connect(stage.direct("clients_bench").dsn, autocommit=True) as connection:
        assert connection.execute("SELECT count(*), min(aid), max(aid) FROM pgbench_accounts").fetchone() == (
            100_000,
            1,
            100_000,
        )
