"""current_setting of a name that comes as a parameter: what SHOW shows is read, of anything else nothing."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from attack_world import SECRETS, World, open_world
from conftest import Serve

from proxy import localpg
from proxy.policy.settings_list import may_show

FORMS = ("%s", "%s::text", "%s::varchar", "%s::name", "CAST(%s AS varchar(200))", "%s::varchar::text")


@pytest.fixture(scope="module")
def world(postgres: localpg.LocalPostgres, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world("inline", postgres, serve, tmp_path_factory.mktemp("settings")) as found:
        yield found


def session(world: World) -> psycopg.Connection:
    proxy = world.proxy_a
    return psycopg.connect(
        f"host={proxy.host} port={proxy.port} user=analyst dbname={world.database('a')}", autocommit=True
    )


@pytest.mark.parametrize("form", FORMS)
def test_every_setting_is_held_to_what_show_shows(world: World, form: str) -> None:
    with session(world) as connection, psycopg.connect(world.server.dsn_for(world.database("a"))) as direct:
        names = [str(row[0]) for row in direct.execute("SELECT name FROM pg_show_all_settings()")]
        names += ["app.secret", "App.SECRET", "APP.secret", "is_superuser"]
        names += [name.upper() for name in names]
        assert direct.execute("SELECT current_setting('app.secret')").fetchone() != (None,)
        for name in names:
            for sql in (f"SELECT current_setting({form})", f"SELECT pg_catalog.current_setting({form}, true)"):
                found = connection.execute(sql, (name,)).fetchone()
                assert found is not None
                assert (found[0] is None) == (may_show(name) is not None), name
                assert not any(secret.decode() in str(found[0]) for secret in SECRETS)


def test_it_reads_what_the_database_says(world: World) -> None:
    with session(world) as connection:
        for name, wanted in (("max_identifier_length", "63"), ("No_Such_Setting", None), (None, None)):
            assert connection.execute("SELECT current_setting(%s::varchar, true)", (name,)).fetchone() == (wanted,)
        with pytest.raises(psycopg.errors.UndefinedObject):
            connection.execute("SELECT current_setting(%s)", ("no_such_setting",))
        for _ in range(7):  # often enough for a plan that does not know the name
            row = connection.execute("SELECT current_setting(%s, true)", ("app.secret",), prepare=True).fetchone()
            assert row == (None,)


def test_the_parameter_keeps_its_type(world: World) -> None:
    with session(world) as connection, psycopg.connect(world.server.dsn_for(world.database("a"))) as direct:
        for sql in (
            b"SELECT current_setting($1)",
            b"SELECT current_setting($1::varchar)",
            b"SELECT current_setting($1::name)",
        ):
            types = []
            for line in (connection, direct):
                line.pgconn.prepare(b"typed", sql)
                told = line.pgconn.describe_prepared(b"typed")
                types.append((told.param_type(0), told.fname(0), told.ftype(0)))
                line.pgconn.exec_(b"DEALLOCATE typed")
            assert types[0] == types[1]
