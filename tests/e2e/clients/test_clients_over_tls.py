"""Each client over TLS, with the proxy's certificate verified and a password by SCRAM: the same answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from client_kinds import Place
from client_stage import MASKED_DATABASE, Program, Stage, assert_equal_lines, play
from conftest import Pgveil, Serve
from installed import debian_psql, java, node, perl, system_python
from office_world import secrets_in
from psql_session import CORE, psql
from tls_world import Authority

from proxy.wire.scram import make_verifier

WORD = "ana's wörd"
PROGRAMS = {
    "psql": psql(debian_psql(), CORE),
    "node-postgres": node("node_pg.js", "core"),
    "postgres.js": node("postgres_js.js", "core"),
    "pgJDBC": java("Jdbc.java", "core"),
    "psqlODBC": system_python("odbc.py", "core-server"),
    "DBD::Pg": perl("dbd.pl", "core"),
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls-clients") / "ca", "authority")


@pytest.fixture(scope="module")
def encrypted(authority: Authority, stage: Stage, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Pgveil:
    """A proxy that takes nobody without TLS."""
    users = tmp_path_factory.mktemp("tls-users") / "users.txt"
    users.write_text(f'"analyst" "{make_verifier(WORD)}"\n', encoding="utf-8")
    pair = authority.server()
    settings = {
        "auth": {"method": "scram", "users": str(users)},
        "tls": {"cert": str(pair.cert), "key": str(pair.key), "require": True},
    }
    return serve(replace(stage.configuration, settings=settings))


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_a_client_over_tls(
    program: Program, authority: Authority, encrypted: Pgveil, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    direct = play(program, stage.direct(MASKED_DATABASE)).lines
    monkeypatch.setenv("PGPASSWORD", WORD)
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("PGSSLROOTCERT", str(authority.cert))
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(authority.cert))
    lines = program(Place("localhost", encrypted.port, "analyst", stage.through().database))
    assert_equal_lines(direct, lines)
    assert secrets_in(repr(lines)) == []
