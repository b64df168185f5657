"""Users who are in no file: their verifiers come from pg_authid."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from conftest import Configuration, Pgveil, Serve
from office_world import write_policy
from probes import DATABASE, eventually, metric, open_socket, startup

from proxy import localpg
from proxy.wire.messages_frontend import SASLInitialResponse
from proxy.wire.scram import ClientExchange, make_verifier

POLICY = """
version: 1
roles:
  dba: {users: ["aq_*"], bypass: true}
defaults: {tables: deny}
"""
ROLES = """
CREATE ROLE aq_reader LOGIN SUPERUSER PASSWORD 'reader';
CREATE ROLE aq_ana LOGIN PASSWORD 'ana''s word';
CREATE ROLE aq_gone LOGIN PASSWORD 'gone' VALID UNTIL '2020-01-01';
CREATE ROLE aq_group NOLOGIN PASSWORD 'group';
CREATE ROLE aq_none LOGIN;
SET password_encryption = 'md5';
CREATE ROLE aq_md5 LOGIN PASSWORD 'md5';
"""


@pytest.fixture(scope="module")
def roles(postgres: localpg.LocalPostgres) -> Iterator[localpg.LocalPostgres]:
    names = re.findall(r"ROLE (\w+)", ROLES)
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(ROLES.encode())
        yield postgres
        for name in names:
            connection.execute(f"DROP ROLE {name}".encode())


@pytest.fixture(scope="module")
def asking(
    roles: localpg.LocalPostgres, plain_dsn: str, serve: Serve, tmp_path_factory: pytest.TempPathFactory
) -> Pgveil:
    directory = tmp_path_factory.mktemp("asking")
    users = directory / "users.txt"
    users.write_text(f'"aq_file" "{make_verifier("file")}"\n"aq_none" "{make_verifier("theirs")}"\n')
    auth = {"users": str(users), "query_dsn": roles.dsn_for("postgres")}
    settings = {"auth": {"method": "scram", **auth}}
    return serve(Configuration(upstream=plain_dsn, policies=write_policy(directory, POLICY), settings=settings))


def connect(proxy: Pgveil, user: str, password: str) -> psycopg.Connection[Any]:
    return psycopg.connect(proxy.dsn("nobody", DATABASE), user=user, password=password, autocommit=True)


def gets_in(proxy: Pgveil, user: str, password: str) -> bool:
    try:
        connect(proxy, user, password).close()
    except psycopg.OperationalError as error:
        failure = str(error)
    else:
        return True
    assert f'password authentication failed for user "{user}"' in failure
    return False


def test_a_user_of_the_database_logs_in_with_its_password_there(asking: Pgveil) -> None:
    assert gets_in(asking, "aq_ana", "ana's word")
    assert not gets_in(asking, "aq_ana", "wrong")


def test_users_of_the_file_come_first(asking: Pgveil) -> None:
    assert gets_in(asking, "aq_file", "file")
    assert gets_in(asking, "aq_none", "theirs")


@pytest.mark.parametrize(
    ("user", "password"),
    [("aq_gone", "gone"), ("aq_group", "group"), ("aq_md5", "md5"), ("aq_nobody", "x"), ("aq_' OR '1'='1", "x")],
)
def test_who_cannot_log_in_there_cannot_here(user: str, password: str, asking: Pgveil) -> None:
    assert not gets_in(asking, user, password)
    assert metric(asking, "pgveil_crashes_total") == 0


def test_nobody_looks_like_the_users_of_the_database(
    roles: localpg.LocalPostgres, plain_dsn: str, serve: Serve, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """From the first login on, and not like those of the file: who is asked for here is not in it."""
    directory = tmp_path_factory.mktemp("iterations")
    users = directory / "users.txt"
    users.write_text(f'"aq_file" "{make_verifier("file", 5000)}"\n')
    query_dsn = roles.dsn_for("postgres") + "&options=-c%20scram_iterations%3D20000"
    auth = {"method": "scram", "users": str(users), "query_dsn": query_dsn}
    proxy = serve(Configuration(upstream=plain_dsn, policies=write_policy(directory, POLICY), settings={"auth": auth}))
    assert [challenge(proxy, user)[1] for user in ("aq_nobody", "aq_ana", "aq_file")] == [20000, 4096, 5000]


def test_nobody_looks_the_same_after_the_users_file_has_changed(
    plain_dsn: str, serve: Serve, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("changed")
    users = directory / "users.txt"
    users.write_text(f'"aq_ana" "{make_verifier("a")}"\n')
    auth = {"method": "scram", "users": str(users)}
    proxy = serve(Configuration(upstream=plain_dsn, policies=write_policy(directory, POLICY), settings={"auth": auth}))
    before = challenge(proxy, "aq_nobody")
    with users.open("a") as file:
        file.write(f'"aq_bob" "{make_verifier("b")}"\n')
    proxy.process.send_signal(signal.SIGHUP)
    eventually(lambda: gets_in(proxy, "aq_bob", "b"), "the new list counts")
    assert challenge(proxy, "aq_nobody") == before


def challenge(proxy: Pgveil, user: str) -> tuple[str, int]:
    """The salt and the iterations that a user is told who has proven nothing yet."""
    exchange = ClientExchange("x", ("SCRAM-SHA-256",))
    with open_socket(proxy) as sock:
        sock.sendall(startup(user, DATABASE))
        assert b"SCRAM-SHA-256" in sock.recv(4096)
        sock.sendall(SASLInitialResponse("SCRAM-SHA-256", exchange.first()).encode())
        found = re.search(rb",s=([^,]+),i=(\d+)", sock.recv(4096))
    assert found is not None
    return found[1].decode(), int(found[2])


def test_a_new_password_counts_after_a_few_seconds(asking: Pgveil, roles: localpg.LocalPostgres) -> None:
    with psycopg.connect(roles.dsn, autocommit=True) as connection:
        connection.execute("CREATE ROLE aq_new LOGIN PASSWORD 'first'")
        try:
            assert gets_in(asking, "aq_new", "first")
            connection.execute("ALTER ROLE aq_new PASSWORD 'second'")
            eventually(lambda: gets_in(asking, "aq_new", "second"), "the new password counts")
            assert not gets_in(asking, "aq_new", "first")
        finally:
            connection.execute("DROP ROLE aq_new")


def test_a_database_that_is_not_there_is_said_and_the_file_still_counts(
    plain_dsn: str, serve: Serve, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("nowhere")
    users = directory / "users.txt"
    users.write_text(f'"aq_file" "{make_verifier("file")}"\n')
    auth = {"method": "scram", "users": str(users), "query_dsn": "postgresql://nobody@127.0.0.1:1/postgres"}
    proxy = serve(Configuration(upstream=plain_dsn, policies=write_policy(directory, POLICY), settings={"auth": auth}))
    with pytest.raises(psycopg.OperationalError, match="cannot say who may log in"):
        connect(proxy, "aq_ana", "ana's word")
    assert gets_in(proxy, "aq_file", "file")


def test_nothing_of_it_is_written_down(asking: Pgveil) -> None:
    text = asking.output()
    assert "SCRAM-SHA-256$" not in text
    assert "ana's word" not in text
