"""Conversations that PostgreSQL's protocol allows and few clients have: the proxy answers as PostgreSQL does.

Each is played to both, byte by byte and all in one piece; `test_protocol_machine` makes up others.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conftest import Serve
from twins import (
    COPY_DONE,
    COPY_FAIL,
    FAILS,
    FLUSH,
    SYNC,
    TERMINATE,
    Twins,
    World,
    bind,
    call,
    close,
    copy_data,
    describe,
    execute,
    make_world,
    packed,
    parse,
    query,
)

from proxy import localpg

ROLES = ("dba", "analyst")


def run(sql: str, *values: bytes | None, rows: int = 0) -> bytes:
    """Parse, Bind, Execute of the unnamed ones."""
    return parse(sql) + bind(values=values) + execute(rows=rows)


INSERT = run("INSERT INTO t VALUES (60, 'x')")
NAMED = parse("SELECT id, name FROM t ORDER BY id", "s1") + bind("s1", "p1")

SCRIPTS = {
    "errors skip to Sync, simple queries too": (
        INSERT
        + run("SELECT 1/0")
        + query("SELECT 2")
        + run("SELECT 3")
        + FLUSH
        + close("S")
        + SYNC
        + query("SELECT 4"),
        "12C1EZTDCZ",
    ),
    "an implicit transaction ends at Sync": (INSERT + SYNC + run("SELECT count(*) FROM t") + SYNC, "12CZ12DCZ"),
    "an error undoes what came before it": (INSERT + run("SELECT 1/0") + SYNC + run("SELECT 1") + SYNC, "12C1EZ12DCZ"),
    "a simple query ends an implicit transaction": (
        INSERT + query("SELECT 1") + run("SELECT 1/0") + SYNC,
        "12CTDCZ1EZ",
    ),
    "BEGIN in a pipeline": (
        run("BEGIN") + INSERT + SYNC + run("SELECT 1/0") + SYNC + run("SELECT 1") + SYNC + run("ROLLBACK") + SYNC,
        "12C12CZ1EZEZ12CZ",
    ),
    "COMMIT in a pipeline": (INSERT + run("COMMIT") + run("SELECT 1/0") + SYNC, "12C12NC1EZ"),
    "portals that suspend": (
        query("BEGIN")
        + NAMED
        + execute("p1", 1)
        + execute("p1", 1)
        + SYNC
        + execute("p1", 5)
        + execute("p1", 5)
        + SYNC,
        "CZ12DsDsZDCCZ",
    ),
    "portals end with their transaction": (NAMED + execute("p1", 1) + SYNC + execute("p1", 1) + SYNC, "12DsZEZ"),
    "a portal survives a Flush": (
        NAMED + execute("p1", 1) + FLUSH + describe("P", "p1") + execute("p1") + SYNC,
        "12DsTDDCZ",
    ),
    "Describe without Execute": (
        parse("SELECT $1::int AS n, 'x' AS t", "s1")
        + describe("S", "s1")
        + SYNC
        + bind("s1", "p", [b"1"], (), (1,))
        + describe("P", "p")
        + SYNC,
        "1tTZ2TZ",
    ),
    "Describe of what returns nothing": (
        parse("INSERT INTO t VALUES ($1, $2)", "s1")
        + describe("S", "s1")
        + bind("s1", "p1", [b"61", b"y"])
        + describe("P", "p1")
        + SYNC,
        "1tn2nZ",
    ),
    "empty queries": (
        query("") + query(" ; -- nothing\n;") + run("") + SYNC + parse("", "s2") + describe("S", "s2") + SYNC,
        "IZIZ12IZ1tnZ",
    ),
    "Close of what is not there": (close("S", "nobody") + close("P", "nobody") + SYNC, "33Z"),
    "a closed statement's name is free": (
        NAMED
        + close("S", "s1")
        + parse("SELECT 9", "s1")
        + bind("s1", "p1")
        + SYNC
        + bind("s1", "p2")
        + execute("p2")
        + SYNC,
        "1231EZ2DCZ",
    ),
    "a name that is taken": (
        parse("SELECT 1", "s1") + parse("SELECT 2", "s1") + SYNC + bind("s1") + execute() + SYNC,
        "1EZ2DCZ",
    ),
    "the unnamed statement is replaced, and lost by an error": (
        parse("SELECT 1")
        + parse("SELECT 2")
        + bind()
        + execute()
        + SYNC
        + parse("SELEC")
        + SYNC
        + bind()
        + execute()
        + SYNC,
        "112DCZEZEZ",
    ),
    "DEALLOCATE ALL": (parse("SELECT 1", "s1") + SYNC + query("DEALLOCATE ALL") + bind("s1") + SYNC, "1ZCZEZ"),
    "statements of the protocol and of SQL are one": (
        query("PREPARE s1 AS SELECT 5")
        + bind("s1")
        + execute()
        + SYNC
        + parse("SELECT 6", "s2")
        + SYNC
        + query("EXECUTE s2")
        + query("DEALLOCATE s2")
        + bind("s2")
        + SYNC,
        "CZ2DCZ1ZTDCZCZEZ",
    ),
    "cursors and portals are one": (
        query("BEGIN")
        + query("DECLARE p1 CURSOR FOR SELECT id FROM many ORDER BY id")
        + execute("p1", 2)
        + SYNC
        + NAMED.replace(b"p1", b"p2")
        + SYNC
        + query("FETCH 2 FROM p2")
        + query("CLOSE p2")
        + query("FETCH p2")
        + query("ROLLBACK"),
        "CZCZDDsZ12ZTDDCZCZEZCZ",
    ),
    "formats of results and parameters": (
        parse("SELECT $1::int, $2::text")
        + bind("", "", [b"\0\0\0\7", b"seven"], (1, 0), (1, 0))
        + describe("P")
        + execute()
        + bind("", "", [b"x", b"y"])
        + SYNC
        + parse("SELECT 1")
        + bind("", "", [], (), (0, 1))
        + SYNC,
        "12TDCEZ1EZ",
    ),
    "the wrong number of parameters": (
        parse("SELECT $1::int") + bind() + SYNC + bind("", "", [b"1"]) + execute() + SYNC,
        "1EZ2DCZ",
    ),
    "several statements in a Parse": (parse("SELECT 1; SELECT 2") + SYNC, "EZ"),
    "several settings, several reports": (
        query(
            "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, DMY'; SET application_name = 'x'; SET IntervalStyle = iso_8601"
        )
        + query("BEGIN; SET TimeZone = 'Asia/Kolkata'")
        + query("ROLLBACK")
        + run("SET DateStyle = German")
        + SYNC,
        None,
    ),
    "several statements, an error between": (
        query("INSERT INTO t VALUES (62, 'x'); SELECT 1/0; SELECT 1") + query("SELECT count(*) FROM t"),
        "CEZTDCZ",
    ),
    "a transaction that begins and ends inside a text": (
        query("INSERT INTO t VALUES (63, 'x'); BEGIN; SELECT 1")
        + query("SELECT 1/0")
        + query("SELECT 2")
        + query("COMMIT"),
        "CCTDCZEZEZCZ",
    ),
    "savepoints": (
        query("BEGIN; SAVEPOINT a; INSERT INTO t VALUES (64, 'x')")
        + query("SELECT 1/0")
        + query("ROLLBACK TO a; SELECT 1")
        + query("COMMIT"),
        "CCCZEZCTDCZCZ",
    ),
    "COMMIT of a failed transaction": (
        query("BEGIN") + INSERT + run("SELECT 1/0") + SYNC + run("COMMIT") + SYNC,
        "CZ12C1EZ12CZ",
    ),
    "AND CHAIN": (
        query("BEGIN; COMMIT AND CHAIN") + query("SELECT 1/0") + query("ROLLBACK AND CHAIN") + query("ROLLBACK"),
        "CCZEZCZCZ",
    ),
    "COPY out in every format": (
        query("COPY t TO STDOUT; COPY t TO STDOUT (FORMAT csv, HEADER); COPY t TO STDOUT (FORMAT binary)"),
        "HdddcCHddddcCHddddcCZ",
    ),
    "COPY out by an Execute": (run("COPY t TO STDOUT") + run("SELECT 1") + SYNC, "12HdddcC12DCZ"),
    "COPY out that fails in the middle": (
        query("COPY (SELECT 1/(id - 2) FROM t ORDER BY id) TO STDOUT") + query("SELECT 1"),
        "HdEZTDCZ",
    ),
    "COPY in, all in one": (
        query("COPY t FROM STDIN") + copy_data(b"65\ta\n66\tb\n") + COPY_DONE + query("SELECT 1"),
        "GCZTDCZ",
    ),
    "COPY in, with Sync and Flush inside": (
        query("COPY t FROM STDIN")
        + FLUSH
        + copy_data(b"67\t")
        + SYNC
        + copy_data(b"a\n")
        + FLUSH
        + SYNC
        + COPY_DONE
        + SYNC,
        "GCZZ",
    ),
    "COPY in by an Execute": (
        run("COPY t FROM STDIN") + SYNC + copy_data(b"68\ta\n") + SYNC + FLUSH + COPY_DONE + SYNC + query("SELECT 1"),
        "12GCZTDCZ",
    ),
    "COPY in by an Execute, in a pipeline": (
        INSERT + run("COPY t FROM STDIN") + copy_data(b"69\ta\n") + COPY_DONE + run("SELECT count(*) FROM t") + SYNC,
        "12C12GC12DCZ",
    ),
    "COPY in that the client gives up": (
        query("COPY t FROM STDIN") + copy_data(b"70\ta\n") + COPY_FAIL + query("SELECT 1"),
        "GEZTDCZ",
    ),
    "COPY in by an Execute that the client gives up": (
        INSERT
        + run("COPY t FROM STDIN")
        + copy_data(b"71\ta\n")
        + COPY_FAIL
        + run("SELECT 1")
        + SYNC
        + query("SELECT 2"),
        "12C12GEZTDCZ",
    ),
    "COPY in that the server refuses, the client goes on sending": (
        query("COPY t FROM STDIN")
        + copy_data(b"no number\n") * 50
        + copy_data(b"72\ta\n")
        + COPY_DONE
        + query("SELECT 1"),
        "GEZTDCZ",
    ),
    "COPY in between other statements": (
        query("SELECT 1; COPY t FROM STDIN; SELECT 2") + copy_data(b"73\ta\n") + COPY_DONE + query("SELECT 3"),
        "TDCGCTDCZTDCZ",
    ),
    "two COPY in one text": (
        query("COPY t FROM STDIN; COPY t FROM STDIN (FORMAT csv)")
        + copy_data(b"74\ta\n")
        + COPY_DONE
        + copy_data(b"75,b\n")
        + COPY_DONE,
        "GCGCZ",
    ),
    "COPY in of csv and of binary": (
        query("COPY t FROM STDIN (FORMAT csv, HEADER)")
        + copy_data(b'id,name\n76,"a\n""b"\n')
        + COPY_DONE
        + query("COPY t FROM STDIN (FORMAT binary)")
        + copy_data(b"PGCOPY\n\xff\r\n\0" + b"\0" * 8 + b"\0\2\0\0\0\4\0\0\0\x4d\0\0\0\1z")
        + copy_data(b"\xff\xff")
        + COPY_DONE,
        "GCZGCZ",
    ),
    "the data of a COPY that nobody began": (copy_data(b"x\n") + COPY_DONE + COPY_FAIL + query("SELECT 1"), "TDCZ"),
    "COPY data that nobody asked for, behind an extended query": (
        run("SELECT 1") + copy_data(b"x\n") + COPY_DONE + run("SELECT 2") + SYNC + query("SELECT 3"),
        "12DC12DCZTDCZ",
    ),
    "the end of a COPY that nobody began, behind an extended query": (
        run("SELECT 1") + COPY_DONE + run("SELECT 2") + COPY_FAIL + SYNC + query("SELECT 3"),
        "12DC12DCZTDCZ",
    ),
    "a query inside COPY": (query("COPY t FROM STDIN") + query("SELECT 1"), None),
    "an unknown message": (
        INSERT + query("INSERT INTO t VALUES (78, 'kept')") + packed(b"z", b"abc") + query("SELECT 1"),
        "12CCZE",
    ),
    "an unknown message before anything is answered": (INSERT + packed(b"z"), None),
    "Terminate with work before it": (query("INSERT INTO t VALUES (79, 'kept')") + INSERT + TERMINATE, "CZ"),
    "Terminate in COPY": (query("COPY t FROM STDIN") + copy_data(b"80\ta\n") + TERMINATE, None),
}

BYPASS = {
    "notices between rows": (query("SELECT loud(name) FROM t") + run("SELECT loud('x')") + SYNC, "TNDNDNDCZ12NDCZ"),
    "notices between the rows of a COPY": (
        query("COPY (SELECT loud(name) FROM t) TO STDOUT")
        + query("COPY noisy FROM STDIN")
        + copy_data(b"1\ta\n2\tb\n")
        + COPY_DONE,
        "HNdNdNdcCZGNNCZ",
    ),
    "an own notification": (
        query("LISTEN c") + query("NOTIFY c, 'x'; SELECT 1") + query("BEGIN; NOTIFY c") + query("COMMIT"),
        None,
    ),
    "notifications of a pipeline": (query("LISTEN c") + run("NOTIFY c, 'a'") + run("NOTIFY c, 'b'") + SYNC, None),
    "DISCARD ALL": (
        parse("SELECT 1", "s1") + SYNC + query("SET TimeZone = 'UTC'") + query("DISCARD ALL") + bind("s1") + SYNC,
        "1ZCSZCSZEZ",
    ),
    "SET ROLE, session_authorization": (
        query("SET SESSION AUTHORIZATION postgres; SET ROLE postgres; RESET ROLE; RESET SESSION AUTHORIZATION"),
        None,
    ),
    "a function by its number": (
        call(1397, [b"-5"]) + call(1397, [b"\xff\xff\xff\xfb"], (1,), 1) + call(1397, [None]) + query("SELECT 1"),
        "VZVZVZTDCZ",
    ),
    "a function that fails": (
        query("BEGIN") + INSERT + call(1397, [b"x"]) + call(1397, [b"1"]) + query("COMMIT") + call(4_000_000_000),
        "CZ12CEZEZCZEZ",
    ),
    "a function in a pipeline": (INSERT + call(1397, [b"-5"]) + run("SELECT 1/0") + SYNC, "12CVZ1EZ"),
    "a function that is skipped": (run("SELECT 1/0") + call(1397, [b"1"]) + SYNC, "1EZ"),
    "malformed messages": (
        packed(b"Q", b"SELECT 1")
        + packed(b"Q", b"ask x\0y\0")
        + packed(b"P", b"s\0ask")
        + query("SELECT 1")
        + SYNC
        + packed(b"B", b"\0")
        + SYNC
        + packed(b"D", b"X\0")
        + SYNC
        + packed(b"E", b"\0")
        + SYNC
        + packed(b"S", b"x")
        + packed(b"F", b"\0"),
        "EZEZEZEZEZEZEZEZ",
    ),
}

REFUSED = {
    "in a simple query": (query("INSERT INTO t VALUES (81, 'kept')"), query, "CZEZCZ"),
    "in a transaction": (query("BEGIN; INSERT INTO t VALUES (82, 'x')"), query, "CCZEZCZ"),
    "in an implicit transaction": (INSERT, lambda sql: parse(sql) + bind() + execute() + SYNC, "12CEZCZ"),
    "in a failed transaction": (query("BEGIN; SELECT 1/0"), query, "CEZEZCZ"),
    "after an error in a pipeline": (run("SELECT 1/0"), lambda sql: parse(sql) + query("SELECT 1") + SYNC, "1EZCZ"),
    "under a name": (
        parse("SELECT 1", "s1"),
        lambda sql: parse(sql, "s2") + SYNC + bind("s1") + execute() + SYNC,
        "1EZ2DCZCZ",
    ),
    "as a function by its number": (
        INSERT,
        lambda sql: call(1397 if sql != FAILS else 4_000_000_000, [b"1"]) + SYNC,
        "12CEZZCZ",
    ),
}


@pytest.fixture(scope="module")
def worlds(postgres: localpg.LocalPostgres, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> dict[str, World]:
    """One for each role."""
    return {role: make_world(postgres, serve, tmp_path_factory, role) for role in ROLES}


@pytest.fixture(params=ROLES)
def twins(request: pytest.FixtureRequest, worlds: dict[str, World]) -> Iterator[Twins]:
    with worlds[request.param].open() as found:
        yield found


@pytest.fixture
def bypassing(worlds: dict[str, World]) -> Iterator[Twins]:
    with worlds["dba"].open() as found:
        yield found


@pytest.fixture
def masked(worlds: dict[str, World]) -> Iterator[Twins]:
    with worlds["analyst"].open() as found:
        yield found


def played(twins: Twins, script: bytes, expected: str | None) -> None:
    """In one piece and byte by byte. `expected`: the types that PostgreSQL answers with, less the barrier's."""
    for cuts in ((), range(len(script))):
        answer = twins.exchange(script, cuts)
        if expected is not None:
            assert answer.tags.removesuffix("" if answer.ended else "Z") == expected
        if not answer.ended:
            twins.exchange(close("S", "s1") + close("S", "s2") + query("ROLLBACK"))
        twins.settle_contents()
        twins.world.reset()


@pytest.mark.parametrize("case", SCRIPTS)
def test_answers_are_postgresql_s(case: str, twins: Twins) -> None:
    played(twins, *SCRIPTS[case])


@pytest.mark.parametrize("case", BYPASS)
def test_answers_to_a_bypass_role_are_postgresql_s(case: str, bypassing: Twins) -> None:
    played(bypassing, *BYPASS[case])


@pytest.mark.parametrize("case", REFUSED)
def test_to_be_refused_is_to_fail(case: str, masked: Twins) -> None:
    """An error made by the proxy never commits or ends a transaction that PostgreSQL would not."""
    before, make, expected = REFUSED[case]
    after = query("ROLLBACK")
    masked.send(before + make("LOCK TABLE t") + after, direct=before + make(FAILS) + after)
    answer = masked.settle()
    assert answer.tags.replace("NC", "C").removesuffix("Z") == expected
    masked.settle_contents()
