"""A day of analysts, BI tools and drivers as a masked role: everything answers, as the masked views or the database do.

One database is behind the proxy; another has hand-written masked views under the tables' names. Both ways of the veil
have to give these answers: the masked views in the statements, and the floor, where they are in the database.
"""

from __future__ import annotations

import struct
import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import psycopg
import pytest
from attack_world import build_floor
from client_kinds import Place, Psql
from conftest import Configuration, Pgveil, Serve, create_database
from everyday_cases import FOLDER, Case, load_cases, script
from raw_client import RawClient, Reply

from proxy import localpg

CASES = load_cases()
DATABASE, ORACLE, ON_FLOOR = "everyday", "everyday_oracle", "everyday_floor"
RECORD = 2249
SECRETS = (b"zq8x", b"17340020", b"10.73.40", *((1734002000 + i).to_bytes(4, "big") for i in range(1, 41)))
"""Text of every protected value, and the masked integers as the binary format has them."""


@dataclass(frozen=True)
class Shop:
    """The proxy before the shop, and the server with the shop and its masked twin."""

    proxy: Pgveil
    server: localpg.LocalPostgres
    database: str = DATABASE

    def analyst(self) -> RawClient:
        return RawClient(self.proxy.host, self.proxy.port, "analyst", self.database)

    def right_answer(self, case: Case) -> RawClient:
        """A client of whoever says what the case should answer; where nobody does, of the database itself."""
        return RawClient(
            str(self.server.socket_dir), 5432, "postgres", ORACLE if case.expected == "same" else self.database
        )

    def through(self, user: str) -> Place:
        return Place(self.proxy.host, self.proxy.port, user, self.database)

    def direct(self) -> Place:
        return Place(str(self.server.socket_dir), 5432, "postgres", self.database)


@pytest.fixture(scope="module")
def template(postgres: localpg.LocalPostgres) -> str:
    """The database that the others are copies of: types and tables have the same numbers in each."""
    create_database(postgres, "everyday_template", script("schema"))
    return "everyday_template"


@pytest.fixture(scope="module", autouse=True)
def masked_views(postgres: localpg.LocalPostgres, template: str) -> None:
    create_shop(postgres, ORACLE, script("rows"), script("oracle"), template=template)


@pytest.fixture(scope="module")
def shop(postgres: localpg.LocalPostgres, template: str, serve: Serve) -> Shop:
    dsn = create_shop(postgres, DATABASE, script("rows"), template=template)
    return Shop(serve(Configuration(upstream=dsn, policies=FOLDER / "policy.yaml")), postgres)


@pytest.fixture(scope="module")
def floor(postgres: localpg.LocalPostgres, template: str, serve: Serve) -> Shop:
    """The shop before a proxy that logs in without any right on its masked tables."""
    dsn = create_shop(postgres, ON_FLOOR, script("rows"), template=template)
    build_floor(dsn, FOLDER / "policy.yaml")
    settings = {"upstream": {"dsn": dsn, "login": "floor"}}
    return Shop(serve(Configuration(dsn, FOLDER / "policy.yaml", settings)), postgres, ON_FLOOR)


def create_shop(postgres: localpg.LocalPostgres, name: str, *scripts: str, template: str) -> str:
    dsn = create_database(postgres, name, *scripts, template=template)
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET search_path = shop, public")
    return dsn


def columns_of(reply: Reply) -> list[tuple[bytes, int]]:
    """Name and type of every column that was described, anonymous records for the row types of views."""
    found = []
    for tag, body in reply.messages:
        if tag == b"T":
            at = 2
            for _ in range(struct.unpack_from("!h", body)[0]):
                end = body.index(b"\0", at)
                type_oid = struct.unpack_from("!ihi", body, end + 1)[2]
                found.append((body[at:end], type_oid))
                at = end + 19
    return found


def assert_right(case: Case, got: Iterable[Reply], wanted: Iterable[Reply]) -> None:
    """The same rows, columns and errors, statement by statement; no protected value in any byte."""
    for reply, right in zip(got, wanted, strict=True):
        assert [secret for secret in SECRETS if secret in reply.raw] == []
        if case.expected == "answers":
            # What a type without a binary form comes to is the same everywhere.
            assert reply.error.get("C") == right.error.get("C"), reply.error
            continue
        assert (reply.error.get("C"), reply.error.get("M")) == (right.error.get("C"), right.error.get("M"))
        assert reply.data == right.data
        assert columns_of(reply) == columns_of(right)


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 300
    assert len({case.id for case in CASES}) == len(CASES)
    kinds = Counter(case.expected for case in CASES)
    assert kinds["same"] >= 150
    # Whatever can be compared is.
    assert kinds["answers"] <= len(CASES) / 8


@pytest.mark.parametrize("case", [c for c in CASES if not c.apart], ids=lambda case: case.id)
def test_simple_protocol(case: Case, shop: Shop) -> None:
    with shop.analyst() as client, shop.right_answer(case) as right:
        reply = client.simple(case.sql)
        assert not reply.error
        assert_right(case, [reply], [right.simple(case.sql)])


@pytest.mark.parametrize("case", [c for c in CASES if len(c.statements) > 1], ids=lambda case: case.id)
def test_statement_by_statement(case: Case, shop: Shop) -> None:
    with shop.analyst() as client, shop.right_answer(case) as right:
        got = [client.simple(statement) for statement in case.statements]
        assert [reply.error for reply in got if reply.error] == []
        assert_right(case, got, [right.simple(statement) for statement in case.statements])


@pytest.mark.parametrize("case", [c for c in CASES if "; " not in c.sql], ids=lambda case: case.id)
def test_extended_protocol(case: Case, shop: Shop) -> None:
    with shop.analyst() as client, shop.right_answer(case) as right:
        for binary in (False, True):
            got = [client.extended(statement, binary=binary) for statement in case.statements]
            assert_right(case, got, [right.extended(statement, binary=binary) for statement in case.statements])


# What these show is of the login's rights, as PostgreSQL has it: they need only answer there.
OF_RIGHTS = (
    "the date and the user",
    "what ORMs check at the start",
    "client info",
    "Metabase, fields",
    "Metabase, what one may read",
    "Power BI, tables",
    "Power BI, columns",
    "Power BI, keys",
    "Grafana, its query builder",
    "pg8000 and pgbouncer, who am I",
    "dbt, schemas and grants",
    "privileges by every name",
    "information schema, views and constraints",
    "information schema, triggers and sequences",
)
# COPY of a table is ONLY of it, which the floor has no view for where there are no children.
NOT_ON_FLOOR = ("copy of a masked table",)


@pytest.mark.parametrize(
    "case", [c for c in CASES if not c.apart and c.name not in NOT_ON_FLOOR], ids=lambda case: case.id
)
def test_on_the_floor(case: Case, floor: Shop) -> None:
    with floor.analyst() as client, floor.right_answer(case) as right:
        reply = client.simple(case.sql)
        assert not reply.error
        expected = replace(case, expected="answers") if case.name in OF_RIGHTS else case
        assert_right(expected, [reply], [right.simple(case.sql)])


# Next to what is open, and closed: other sessions' SQL, secrets of the installation, what is read in another way.
CLOSED = """
SELECT * FROM pg_stat_get_activity(NULL)
SELECT pg_stat_get_backend_activity(1)
SELECT * FROM pg_stat_get_wal_senders()
SELECT * FROM pg_stat_get_progress_info('VACUUM')
SELECT * FROM pg_show_all_file_settings()
SELECT * FROM pg_hba_file_rules
SELECT * FROM pg_shadow
SELECT pg_current_wal_lsn()
SELECT pg_xact_commit_timestamp('3'::xid)
SELECT pg_export_snapshot()
SELECT setval('shop.ticket', 1)
SELECT nextval('shop.ticket')
SELECT current_query()
SELECT set_config('transform_null_equals', 'on', false)
SET transform_null_equals = on
SET lc_messages = 'C'
SET row_security = off
SET session_replication_role = replica
SET debug_print_plan = on
SET local_preload_libraries = 'x'
SHOW data_directory
"""


@pytest.mark.parametrize("statement", CLOSED.strip().splitlines())
def test_what_lies_next_to_it_stays_closed(statement: str, shop: Shop) -> None:
    with shop.analyst() as client:
        error = client.simple(statement).error
        assert error.get("C") == "42501"
        assert error.get("H")


def test_other_sessions_and_servers_do_not_show(shop: Shop) -> None:
    with shop.analyst() as client, shop.analyst():
        assert client.simple("SELECT count(*) FROM pg_stat_ssl").data == [b"\0\x01\0\0\0\x011"]
        assert client.simple("SELECT count(*) FROM pg_stat_gssapi").data == [b"\0\x01\0\0\0\x011"]
        for name in ("pg_stat_replication", "pg_replication_slots", "pg_stat_wal_receiver", "pg_prepared_xacts"):
            assert client.simple(f"SELECT * FROM {name}").data == []


BACKSLASH = r"""
\d
\d+
\d shop.*
\d+ shop.customers
\d+ shop.orders
\d+ shop.order_lines
\d+ shop.events
\d+ shop.events_2024
\d+ shop.order_totals
\d+ shop.daily_sales
\d+ shop.products
\d shop.orders_id_seq
\d shop.orders_placed
\d+ shop.address
\dS+ pg_class
\da
\dA
\dA+
\dAc
\dAf
\dAo btree
\dAp btree
\db
\db+
\dc
\dC
\dC+
\dd
\dD
\dD+ shop.*
\dconfig
\dconfig+ work_mem
\ddp
\dE
\des
\des+
\det
\deu
\dew
\df
\df geo.*
\dF
\dF+
\dFd
\dFp
\dFp+
\dFt
\dg
\dg+
\di
\di+ shop.*
\dl
\dL
\dL+
\dm
\dm+ shop.*
\dn
\dn+
\do
\do geo.*
\dO
\dO+
\dp
\dp shop.*
\dP
\dP+
\dPt
\drds
\drg
\dRp
\dRp+
\dRs
\ds
\ds+ shop.*
\dt
\dt+
\dt+ shop.*
\dtv
\dT
\dT+ shop.*
\du
\du+
\dv
\dv+ shop.*
\dx
\dx+
\dX
\dy
\l
\l+
\lo_list
\sv shop.order_totals
\sv+ shop.order_totals
\z
\z shop.customers
\conninfo
\encoding
"""

# What these show of the session or the installation is not the owner's to compare: they have to answer.
NOT_COMPARED = (r"\dconfig", r"\conninfo", r"\drds", r"\dRs")


@pytest.mark.parametrize("command", BACKSLASH.split("\n")[1:-1])
def test_psql_backslash_commands_show_what_the_owner_sees(command: str, shop: Shop) -> None:
    done = Psql(shop.through("analyst")).script(f"{command}\n", "-v", "ON_ERROR_STOP=1")
    right = Psql(shop.direct()).script(f"{command}\n", "-v", "ON_ERROR_STOP=1")
    assert (done.returncode, done.stderr) == (right.returncode, right.stderr)
    assert "ERROR" not in done.stderr
    if not command.startswith(NOT_COMPARED):
        assert done.stdout == right.stdout
    assert "zq8x" not in done.stdout


def pg_dump(place: Place, *options: str) -> subprocess.CompletedProcess[str]:
    command = [str(localpg.binaries() / "pg_dump"), *options, "-d", place.dsn]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("options", [(), ("--schema-only",), ("--enable-row-security", "--data-only")])
def test_pg_dump_as_a_masked_role_is_refused_in_words_that_help(options: tuple[str, ...], shop: Shop) -> None:
    done = pg_dump(shop.through("analyst"), *options)
    assert done.returncode != 0
    assert "masked role" in done.stderr
    assert "bypass" in done.stderr
    assert done.stdout == ""
    assert "zq8x" not in done.stderr


def test_pg_dump_as_a_bypass_role_dumps(shop: Shop) -> None:
    done = pg_dump(shop.through("dba"), "--table=shop.customers")
    assert (done.returncode, done.stderr) == (0, "")
    assert "zq8x1@corp.test" in done.stdout
