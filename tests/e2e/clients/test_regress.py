"""PostgreSQL's own regression scripts in psql: what it prints is the same, to the byte, with the proxy in between.

They are what `make test-clients` unpacked of the source of PostgreSQL's grammar, without their expected output, their
data files and their C functions: a script that misses one of these fails in the same way on both sides. Each script has
a database of its own of the same name, made anew from one in which PostgreSQL's preparing scripts ran; roles that a
script leaves are dropped behind it.
"""

from __future__ import annotations

import difflib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from client_kinds import Place
from conftest import Configuration, Serve
from installed import INSTALLED
from office_world import write_policy
from psycopg import sql

from proxy import localpg

SOURCES = INSTALLED / "suites" / "regress" / "postgres_regress"
PREPARING = ("test_setup", "create_table", "create_misc", "create_procedure", "create_operator", "create_type")
SCRIPTS = """
advisory_lock arrays async case combocid conversion copy copy2 copydml copyencoding copyselect create_function_sql
domain encoding enum errors event_trigger_login explain guc identity insert_conflict json jsonb_jsonpath largeobject
limit lock misc_functions namespace numeric_big plancache plpgsql polymorphism portals portals_p2 prepare
psql psql_crosstab psql_pipeline rangefuncs returning roleattributes rowtypes select select_into
sequence strings subselect temp transactions truncate union update with xml
""".split()  # noqa: SIM905 - a table to be read
POLICY = """
version: 1
roles: {everybody: {users: ["*"], bypass: true}}
defaults: {tables: deny}
"""
ROWS = """
INSERT INTO {table} SELECT u, i, u % 2, u % 4, u % 10, u % 20, u % 100, u % 1000, u % 2000, u % 5000, u % 10000,
    u % 100 * 2, u % 100 * 2 + 1, 'U' || u, 'I' || i, (ARRAY['AAAAxx', 'HHHHxx', 'OOOOxx', 'VVVVxx'])[i % 4 + 1]
FROM (SELECT i, i * 7919 % {count} AS u FROM generate_series(0, {count} - 1) AS i) AS numbers
"""
TABLES = {"onek": 1000, "onek2": 1000, "tenk1": 10000, "tenk2": 10000}
TEMPLATE, DATABASE = "regress_template", "regression"
SCRIPT_SECONDS = 300
SHOWN = 40
"""Lines of a difference."""


@dataclass(frozen=True)
class Field:
    """A server that nobody else uses, and the proxy before it."""

    server: localpg.LocalPostgres
    proxied: Place
    roles: frozenset[str]

    @property
    def direct(self) -> Place:
        return Place(str(self.server.socket_dir), localpg.PORT, "postgres", DATABASE)

    def renew(self) -> None:
        """The database as it was, and no role of a script's."""
        with psycopg.connect(self.server.dsn, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
            for (role,) in connection.execute("SELECT rolname FROM pg_roles").fetchall():
                if role not in self.roles:
                    connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
            connection.execute(f"CREATE DATABASE {DATABASE} TEMPLATE {TEMPLATE}")


def play(script: str, place: Place) -> str:
    """What psql prints, on both its streams, with the settings of PostgreSQL's own runs."""
    variables = {
        "PGHOST": place.host,
        "PGPORT": str(place.port),
        "PGUSER": place.user,
        "PGDATABASE": place.database,
        "PGTZ": "PST8PDT",
        "PGDATESTYLE": "Postgres, MDY",
        "PGOPTIONS": "-c intervalstyle=postgres_verbose",
        "PG_ABS_SRCDIR": "/nowhere",
        "PG_ABS_BUILDDIR": "/nowhere",
        "PG_LIBDIR": "/nowhere",
        "PG_DLSUFFIX": ".so",
        "PAGER": "cat",
        "LANG": "C.UTF-8",
    }
    psql = str(localpg.binaries() / "psql")
    with (SOURCES / f"{script}.sql").open("rb") as source, tempfile.TemporaryDirectory() as directory:
        played = subprocess.run(
            [psql, "-X", "-a", "-q", "-v", "HIDE_TABLEAM=on", "-v", "HIDE_TOAST_COMPRESSION=on"],
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **variables},
            cwd=directory,
            timeout=SCRIPT_SECONDS,
            check=False,
        )
    return f"{played.stdout.decode(errors='backslashreplace')}\nends with {played.returncode}"


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> Iterator[Field]:
    # Not below pytest's own directory: each pytest that starts closes that to other users, and so to the server.
    with tempfile.TemporaryDirectory(prefix="pgveil-regress-") as directory, ExitStack() as stack:
        server = localpg.start(Path(directory) / "pg", durable=False)
        stack.callback(server.stop)
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            connection.execute(
                f"CREATE DATABASE {TEMPLATE} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
            )
        place = Place(str(server.socket_dir), localpg.PORT, "postgres", TEMPLATE)
        for script in PREPARING:
            play(script, place)
        with psycopg.connect(server.dsn_for(TEMPLATE), autocommit=True) as connection:
            for table, count in TABLES.items():
                connection.execute(ROWS.format(table=table, count=count).encode())
            connection.execute("VACUUM ANALYZE")
            roles = frozenset(str(row[0]) for row in connection.execute("SELECT rolname FROM pg_roles"))
        policies = write_policy(tmp_path_factory.mktemp("regress-policy"), POLICY)
        proxy = serve(Configuration(upstream=server.dsn, policies=policies))
        yield Field(server, Place(proxy.host, proxy.port, "postgres", DATABASE), roles)
        proxy.stop()


@pytest.mark.parametrize("script", SCRIPTS)
def test_psql_prints_the_same(script: str, field: Field) -> None:
    field.renew()
    direct = play(script, field.direct)
    field.renew()
    proxied = play(script, field.proxied)
    difference = difflib.unified_diff(direct.splitlines(), proxied.splitlines(), "direct", "proxied", "", "", 2, "")
    assert "\n".join(list(difference)[:SHOWN]) == ""
    assert direct.count("\n") > len((SOURCES / f"{script}.sql").read_text(errors="replace").splitlines())
