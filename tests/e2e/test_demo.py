"""The demo database on a real server, and the tour that a newcomer takes through it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import psycopg
import pytest

from proxy import localpg
from proxy.demo.child import ChildProxy, DemoError
from proxy.demo.generate import generate
from proxy.demo.load import ACCOUNT, DATABASE, ensure_loaded
from proxy.errors import ConfigError

TODAY = date(2026, 11, 21)
Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[localpg.LocalPostgres]:
    running = localpg.start(tmp_path_factory.mktemp("demo"), durable=False)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def loaded(server: localpg.LocalPostgres) -> localpg.LocalPostgres:
    asyncio.run(ensure_loaded(server.dsn, TODAY))
    return server


@pytest.fixture
def demo(loaded: localpg.LocalPostgres) -> Iterator[Connection]:
    """As the account that the proxy uses."""
    with psycopg.connect(loaded.dsn_for(DATABASE, ACCOUNT), autocommit=True) as connection:
        yield connection


def column(connection: Connection, sql: str) -> list[object]:
    return [row[0] for row in connection.execute(sql.encode()).fetchall()]


# The database.


def test_every_row_arrives(demo: Connection) -> None:
    for table in generate(TODAY):
        assert column(demo, f"SELECT count(*) FROM {table.qualified}") == [len(table.rows)], table.qualified


OF_THE_DEMO = """
    FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v')
    AND c.relnamespace IN ('shop'::regnamespace, 'clinic'::regnamespace)
"""


def test_every_table_and_column_has_a_comment(demo: Connection) -> None:
    assert (
        column(demo, f"SELECT c.oid::regclass::text {OF_THE_DEMO} AND obj_description(c.oid, 'pg_class') IS NULL") == []
    )
    bare = f"""SELECT a.attrelid::regclass || '.' || a.attname FROM pg_attribute a
        WHERE a.attrelid IN (SELECT c.oid {OF_THE_DEMO}) AND a.attnum > 0 AND NOT a.attisdropped
        AND col_description(a.attrelid, a.attnum) IS NULL"""
    assert column(demo, bare) == []
    (tables,) = column(demo, f"SELECT count(*) {OF_THE_DEMO}")
    assert isinstance(tables, int)
    assert tables >= 20


def test_it_has_one_of_each_kind_of_object(demo: Connection) -> None:
    assert column(demo, "SELECT count(*) FROM pg_views WHERE schemaname IN ('shop', 'clinic')") >= [3]
    assert column(demo, "SELECT relkind::text FROM pg_class WHERE oid = 'shop.payments'::regclass") == ["p"]
    assert column(demo, "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conparentid = 0") >= [15]
    assert column(demo, "SELECT 'placed'::shop.order_status::text") == ["placed"]
    assert "order_totals" in str(column(demo, "SELECT pg_get_viewdef('shop.monthly_sales'::regclass)")[0])


def test_every_year_of_payments_has_its_partition(demo: Connection) -> None:
    rows = "SELECT DISTINCT tableoid::regclass::text FROM shop.payments ORDER BY 1"
    assert column(demo, rows) == [f"payments_{year}" for year in (2023, 2024, 2025, 2026)]


def test_the_account_is_no_superuser_and_needs_no_schema_names(demo: Connection) -> None:
    assert column(demo, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == [False]
    assert column(demo, "SELECT name FROM customers WHERE id = 1") == ["Priya Sharma"]
    assert column(demo, "SELECT count(*) > 0 FROM visits") == [True]


async def test_a_recent_database_is_left_alone(loaded: localpg.LocalPostgres, demo: Connection) -> None:
    demo.execute("CREATE TABLE shop.mine ()")
    again = await ensure_loaded(loaded.dsn, TODAY + timedelta(days=6))
    assert (again.made, again.as_of) == (False, TODAY)
    demo.execute("DROP TABLE shop.mine")


async def test_an_old_or_half_made_database_is_made_again(server: localpg.LocalPostgres) -> None:
    await ensure_loaded(server.dsn, TODAY)
    later = await ensure_loaded(server.dsn, TODAY + timedelta(days=7))
    assert (later.made, later.as_of) == (True, TODAY + timedelta(days=7))
    with psycopg.connect(server.dsn, autocommit=True) as admin:
        admin.execute("COMMENT ON DATABASE demo IS 'pgveil''s demo database, not whole yet'")
    seen: list[tuple[str, int, int]] = []
    made = await ensure_loaded(server.dsn, TODAY, lambda *progress: seen.append(progress))
    assert made.made
    assert seen[0][1] == 0
    assert seen[-1] == ("done", made.rows, made.rows)


async def test_somebody_s_own_database_is_not_touched(tmp_path: Path) -> None:
    server = localpg.start(tmp_path / "pg", durable=False)
    try:
        with psycopg.connect(server.dsn, autocommit=True) as admin:
            admin.execute("CREATE DATABASE demo")
        with pytest.raises(ConfigError, match="which pgveil did not make"):
            await ensure_loaded(server.dsn, TODAY)
        with psycopg.connect(server.dsn_for("demo")) as own:
            assert own.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'shop'").fetchone() == (0,)
    finally:
        server.stop()


# The tour, as a newcomer runs it: `pgveil demo` in a directory of one's own.

LISTEN_ANYWHERE = {"PGVEIL_LISTEN": "127.0.0.1:0", "PGVEIL_HTTP": "127.0.0.1:0"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for every tour: only the first one makes the database."""
    return tmp_path_factory.mktemp("home")


DEMO = ("-m", "proxy", "demo")


@contextmanager
def demo_running(home: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A demo on free ports, in `home`; killed at the end if it still runs. `arguments` are Python's."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=home,
        env=os.environ | LISTEN_ANYWHERE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """What it printed up to the line with `text`, or all where there is none."""
    lines = []
    for line in process.stdout or ():
        lines.append(line)
        if text in line:
            break
    return "".join(lines)


def is_stopped(home: Path) -> bool:
    return not (home / ".pgveil" / "pg18" / "data" / "postmaster.pid").exists()


@pytest.fixture(scope="module")
def tour(home: Path) -> str:
    """What `pgveil demo --tour-only` printed."""
    with demo_running(home, *DEMO, "--tour-only") as process:
        printed = read_until(process, "\0 never")
        assert process.wait() == 0, printed
    return printed


def section(tour: str, number: int) -> str:
    """One stop of the tour."""
    return tour.split(f"\n{number}. ", 1)[1].split(f"\n{number + 1}. ", 1)[0]


def test_the_tour_shows_one_query_as_two_users_see_it(tour: str) -> None:
    rows = [line.split() for line in section(tour, 1).splitlines() if line.split()[:1] == ["name"]]
    assert len(rows) == 3
    assert " ".join(rows[0]).replace("│", "|") == "name | Priya Sharma | P**** ******"


def test_the_tour_asks_and_shows_rows_and_sql(tour: str) -> None:
    assert "/* ask: " in section(tour, 2)
    assert "(10 rows)" in section(tour, 2)
    assert "NOTICE:  pgveil: ask ran: SELECT" in section(tour, 2)


def test_the_tour_shows_what_a_model_would_be_sent(tour: str) -> None:
    asked, sent = section(tour, 3), section(tour, 4)
    assert "Priya Sharma" in asked
    system, _, user = sent.partition("\nuser:\n")
    assert "You write PostgreSQL." in system
    document = json.loads(user.split("\n", 1)[0])
    assert "Priya" not in json.dumps(document)
    assert re.fullmatch(r"how many orders of the customer PERSON_\w{5} since 2024\?", document["question"])
    assert "[redacted]" not in user


def test_the_tour_shows_three_refusals(tour: str) -> None:
    assert section(tour, 5).count("ERROR:  ") == 3


def test_the_tour_alone_stops_everything_and_invites_nobody(tour: str, home: Path) -> None:
    assert "The tour took " in tour
    assert "Your turn" not in tour
    assert "psql -h " not in tour
    assert "\x1b" not in tour
    assert is_stopped(home)


WITHOUT_THE_TOUR = "from proxy.demo import tour; tour._take_tour = lambda *_: None; exit(tour.run_demo())"


def test_the_demo_stays_up_until_ctrl_c(home: Path) -> None:
    with demo_running(home, "-c", WITHOUT_THE_TOUR) as process:
        printed = read_until(process, "until you press Ctrl-C")
        found = re.search(r"psql -h (\S+) -p (\d+) -U analyst demo", printed)
        assert found, printed
        address = (found[1], int(found[2]))
        with psycopg.connect(host=address[0], port=address[1], user="analyst", dbname="demo") as connection:
            assert connection.execute("SELECT name FROM customers WHERE id = 1").fetchone() == ("P**** ******",)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
    assert is_stopped(home)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address).close()


def test_a_demo_that_is_terminated_in_the_middle_stops_everything(home: Path) -> None:
    with demo_running(home, *DEMO) as process:
        read_until(process, "1. One query")
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 128 + signal.SIGTERM
    assert is_stopped(home)


def test_a_demo_that_cannot_listen_says_so(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = subprocess.run(
            [sys.executable, "-m", "proxy", "demo", "--tour-only"],
            cwd=home,
            env=os.environ | LISTEN_ANYWHERE | {"PGVEIL_LISTEN": place},
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode != 0
    assert ended.stderr.startswith(f"pgveil: cannot listen on {place}: address already in use\nhint: ")


def test_a_proxy_that_does_not_start_is_reported_with_its_log(tmp_path: Path) -> None:
    config = tmp_path / "broken.yaml"
    config.write_text("listen: nowhere\n")
    with pytest.raises(DemoError, match="ended with status 2") as caught:
        ChildProxy.start(config, tmp_path / "log")
    assert "broken.yaml:1" in str(caught.value.detail)
