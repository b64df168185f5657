"""Many clients on two connections, as drivers use them: on other servers, with other logins, under limits, and while
things end."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import Configuration, Serve, create_database
from office_world import write_policy
from pool_world import DATABASE, POLICY, TABLES, Shared, open_shared, parse, query
from probes import eventually, metric

from proxy import localpg

CLIENTS, TURNS = 20, 5
USERS = ("crowd_dba", "crowd_analyst", "crowd_reader")
NAMED = (
    POLICY.replace("[postgres, dba]", "[postgres, dba, crowd_dba]")
    .replace("users: [analyst]", "users: [analyst, crowd_analyst]")
    .replace("users: [reader]", "users: [reader, crowd_reader]")
)
LIMITED = f"{POLICY}limits:\n  - {{roles: [analyst], statement_timeout_s: 1}}\n"
PLACES: dict[str, dict[str, Any]] = {
    "newest": {},
    "two workers": {"workers": 2},
    "same user": {"upstream": {"login": "same_user"}},
    **{f"PostgreSQL {version}": {} for version in localpg.versions() if version != 18},
}


@pytest.fixture(scope="module", params=PLACES)
def crowded(
    request: pytest.FixtureRequest,
    postgres: localpg.LocalPostgres,
    serve: Serve,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shared]:
    directory = tmp_path_factory.mktemp("crowd")
    with ExitStack() as stack:
        server = postgres
        if " " in request.param and request.param.startswith("PostgreSQL"):
            server = localpg.start(directory / "server", version=int(request.param.split()[1]), durable=False)
            stack.callback(server.stop)
        dsn = create_database(server, DATABASE, TABLES)
        if request.param == "same user":
            stack.callback(make_logins(dsn))
        settings = dict(PLACES[request.param])
        if "upstream" in settings:
            settings["upstream"] = {"dsn": dsn, **settings["upstream"]}
        settings["pool"] = {"mode": "transaction", "size": 2, "queue_timeout_s": 60}
        proxy = serve(Configuration(dsn, write_policy(directory, NAMED), settings))
        yield Shared(proxy, dsn)
        proxy.stop()


def make_logins(dsn: str) -> Any:
    def run(sql: str) -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            for user in USERS:
                connection.execute(sql.format(user=user).encode())

    run("CREATE ROLE {user} LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public, other TO {user}")
    return lambda: run("DROP OWNED BY {user}; DROP ROLE {user}")


def test_each_of_a_crowd_is_as_if_alone(crowded: Shared) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            visit(crowded, USERS[number % len(USERS)], number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    eventually(lambda: metric(crowded.proxy, "pgveil_pool_active") == 0, "all are given back")


def visit(crowded: Shared, user: str, number: int) -> None:
    """Settings, prepared statements, a cursor of the server's and an error, in turns."""
    code = "hidden" if user == "crowd_analyst" else "zq8x-1"
    with crowded.connect(user, prepare_threshold=0, application_name=f"crowd {number % 4}") as connection:
        connection.execute(f"SET statement_timeout = '{100 + number}s'".encode())
        for turn in range(TURNS):
            with connection.transaction():
                own = number * 1000 + turn
                assert connection.execute("SELECT %s::int", (own,)).fetchone() == (own,)
                found = connection.execute("SELECT code FROM people WHERE id = %s", (1,)).fetchone()
                assert found == (code,)
                with connection.cursor(name=f"cursor_{number}") as cursor:
                    cursor.itersize = 2
                    cursor.execute("SELECT id FROM people ORDER BY id")
                    assert cursor.fetchall() == [(1,), (2,), (3,), (4,), (5,)]
            shown = connection.execute("SELECT current_setting('statement_timeout')::interval").fetchone()
            assert shown is not None
            assert shown[0].total_seconds() == 100 + number
            with pytest.raises(psycopg.errors.DivisionByZero):
                connection.execute("SELECT 1 / 0")


def limited(serve: Serve, postgres: localpg.LocalPostgres, directory: Path) -> Shared:
    dsn = create_database(postgres, DATABASE, TABLES)
    settings = {"pool": {"mode": "transaction", "size": 1, "queue_timeout_s": 60}}
    return Shared(serve(Configuration(dsn, write_policy(directory, LIMITED), settings)), dsn)


SLOW = "SELECT count(*) FROM generate_series(1, 100000000)"


def test_a_limit_of_time_stops_its_own_statement(postgres: localpg.LocalPostgres, serve: Serve, tmp_path: Path) -> None:
    shared = limited(serve, postgres, tmp_path)
    with shared.connect("analyst") as one, shared.connect("analyst") as other, shared.connect("dba") as dba:
        for connection in (one, other, one):
            with pytest.raises(psycopg.errors.QueryCanceled):
                connection.execute(SLOW.encode())
            assert other.execute("SELECT 1").fetchone() == (1,)
        dba.execute("BEGIN")
        with pytest.raises(psycopg.errors.QueryCanceled):  # it waits for the connection, and that counts
            one.execute("SELECT 1")
        assert dba.execute("SELECT 7").fetchone() == (7,)
        dba.execute("COMMIT")
        assert one.execute("SELECT 1").fetchone() == (1,)


def test_clients_under_limits_that_die_leave_no_connection_behind(
    postgres: localpg.LocalPostgres, serve: Serve, tmp_path: Path
) -> None:
    shared = limited(serve, postgres, tmp_path)
    for turn in range(10):
        for sent in (
            query("BEGIN"),
            query(SLOW),
            query("BEGIN") + b"X\0\0\0\4",
            parse("", "SELECT 1"),
            query("BEGIN;" + SLOW),
        ):
            client = shared.raw("analyst", application_name=f"dying {turn % 2}")
            client.socket.sendall(sent)
            if turn % 3 == 0:
                time.sleep(0.002)
            client.socket.close()
    eventually(lambda: metric(shared.proxy, "pgveil_pool_active") == 0, "all are given back")
    with shared.connect("analyst") as after:
        assert after.execute("SELECT 1").fetchone() == (1,)


def test_a_slow_reader_costs_nobody_else_anything(
    postgres: localpg.LocalPostgres, serve: Serve, tmp_path: Path
) -> None:
    dsn = create_database(postgres, DATABASE, TABLES)
    shared = open_shared(serve, dsn, tmp_path / "slow", size=2)
    rows = query("SELECT repeat('x', 1000) FROM generate_series(1, 300000)")
    with shared.connect("analyst") as other, shared.raw("analyst") as slow, shared.raw("analyst") as leaves:
        assert other.execute("SELECT 1").fetchone() == (1,)
        before = resident(shared)
        slow.socket.sendall(rows)
        for number in range(50):
            assert other.execute("SELECT %s::int", (number,)).fetchone() == (number,)
            time.sleep(0.01)
        assert resident(shared) - before < 50
        assert len(slow.reply().data) == 300000
        leaves.socket.sendall(rows)
        leaves.socket.recv(1)
        leaves.socket.close()
        assert other.execute("SELECT 1").fetchone() == (1,)
    eventually(lambda: metric(shared.proxy, "pgveil_pool_active") == 0, "all are given back")


def resident(shared: Shared) -> int:
    """The proxy's memory, in MB."""
    status = Path(f"/proc/{shared.proxy.process.pid}/status").read_text()
    return next(int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def test_who_waits_while_the_proxy_ends_is_still_served(
    postgres: localpg.LocalPostgres, serve: Serve, tmp_path: Path
) -> None:
    dsn = create_database(postgres, DATABASE, TABLES)
    shared = open_shared(serve, dsn, tmp_path / "ends")
    with shared.raw("dba") as one, shared.raw("dba") as other:
        one.simple("BEGIN")
        other.socket.sendall(query("SELECT 7"))
        eventually(lambda: metric(shared.proxy, "pgveil_pool_waiting") == 1, "the other waits")
        shared.proxy.process.send_signal(signal.SIGTERM)
        eventually(lambda: "draining" in shared.proxy.output(), "it ends")
        assert not one.simple("COMMIT").error
        assert len(other.reply().data) == 1
    assert shared.proxy.process.wait(60) == 0


def test_idle_sessions_outlive_a_restart_of_the_server(serve: Serve, tmp_path: Path) -> None:
    server = localpg.start(tmp_path / "server", version=18, durable=False)
    try:
        shared = open_shared(serve, create_database(server, DATABASE, TABLES), tmp_path / "restart")
        with shared.connect("analyst", prepare_threshold=0) as analyst, shared.connect("dba") as dba:
            code = "SELECT code FROM people WHERE id = 1"
            dba.execute("SET work_mem = '77MB'")
            assert analyst.execute(code.encode()).fetchone() == ("hidden",)
            server.stop()
            with pytest.raises(psycopg.OperationalError):
                analyst.execute(code.encode())
            server = localpg.start(tmp_path / "server", version=18, durable=False)
            assert analyst.execute(code.encode()).fetchone() == ("hidden",)
            assert dba.execute("SHOW work_mem").fetchone() == ("77MB",)
        shared.proxy.stop()
    finally:
        server.stop()
