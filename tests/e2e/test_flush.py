"""A client that sends Flush and waits, as libpq's PQsendFlushRequest and JDBC do, hears everything so far: without any
Sync, and from both roles what PostgreSQL says."""

from __future__ import annotations

import pytest
from conftest import Serve
from twins import FAILS, FLUSH, SYNC, Twins, World, bind, close, describe, execute, make_world, parse, query

from proxy import localpg

ROLES = ("dba", "analyst")
LOOK = parse("SELECT id, name FROM t ORDER BY id", "s1")


@pytest.fixture(scope="module")
def worlds(postgres: localpg.LocalPostgres, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> dict[str, World]:
    return {role: make_world(postgres, serve, tmp_path_factory, role) for role in ROLES}


def heard(twins: Twins, data: bytes, last: bytes, direct: bytes | None = None) -> str:
    twins.send(data, direct=direct)
    return twins.until(last).tags


@pytest.mark.parametrize("role", ROLES)
def test_every_answer_comes_without_a_sync(role: str, worlds: dict[str, World]) -> None:
    with worlds[role].open() as twins:
        assert heard(twins, LOOK + FLUSH, b"1") == "1"
        assert heard(twins, describe("S", "s1") + FLUSH, b"T") == "tT"
        assert heard(twins, bind("s1", "p1") + FLUSH, b"2") == "2"
        assert heard(twins, describe("P", "p1") + FLUSH, b"T") == "T"
        assert heard(twins, execute("p1", 1) + FLUSH, b"s") == "Ds"
        assert heard(twins, execute("p1") + FLUSH, b"C") == "DDC"
        assert heard(twins, close("P", "p1") + FLUSH, b"3") == "3"
        assert heard(twins, parse("") + bind() + execute() + FLUSH, b"I") == "12I"
        assert heard(twins, parse("INSERT INTO t VALUES (91, 'x')") + bind() + describe("P") + FLUSH, b"n") == "12n"
        assert heard(twins, execute() + FLUSH, b"C") == "C"
        assert heard(twins, parse("SELEC") + FLUSH, b"E") == "E"
        assert heard(twins, SYNC, b"Z") == "Z"
        twins.settle_contents()


@pytest.mark.parametrize("pieces", ["at once", "byte by byte"])
@pytest.mark.parametrize("role", ROLES)
def test_one_behind_many(pieces: str, role: str, worlds: dict[str, World]) -> None:
    data = LOOK + (bind("s1") + execute()) * 5 + FLUSH
    with worlds[role].open() as twins:
        twins.send(data, range(len(data)) if pieces == "byte by byte" else ())
        assert "".join(twins.until(b"C").tags for _ in range(5)) == "1" + "2DDDC" * 5
        assert heard(twins, SYNC + query("SELECT 1"), b"Z") == "Z"
        assert heard(twins, b"", b"Z") == "TDCZ"


def test_a_refusal_comes_without_a_sync(worlds: dict[str, World]) -> None:
    with worlds["analyst"].open() as twins:
        assert heard(twins, parse("LOCK TABLE t") + FLUSH, b"E", parse(FAILS) + FLUSH) == "E"
        assert heard(twins, SYNC, b"Z") == "Z"
