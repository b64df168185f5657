"""Random scripts of valid and invalid messages, played to PostgreSQL and to the proxy: the answers are the same.

`MACHINE_EXAMPLES` plays so many other scripts than the same few of every run.
"""

from __future__ import annotations

import os
from typing import ClassVar

import pytest
from conftest import Serve
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
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

EXAMPLES = int(os.environ.get("MACHINE_EXAMPLES", "0"))

STATEMENTS = [
    "", "SELECT 1", "SELECT 1 AS a, NULL AS b, 'x' AS c", "SELECT id, name FROM t ORDER BY id", "SELECT $1::int",
    "SELECT $1::text, $2::int", "SELECT id FROM many ORDER BY id LIMIT 7", "SELECT * FROM empty", "SELEC 1",
    "SELECT nobody FROM t", "SELECT * FROM nowhere", "SELECT 1/(id - 2) FROM t ORDER BY id", "SELECT 'a'::int",
    "INSERT INTO t VALUES ($1, $2)", "INSERT INTO t VALUES (1, 'again')", "INSERT INTO t VALUES (20, 'new')",
    "INSERT INTO t VALUES (21, 'new') RETURNING id, name", "INSERT INTO t VALUES (22, NULL)",
    "UPDATE t SET name = 'other' WHERE id = 1", "DELETE FROM t WHERE id > 1", "BEGIN", "COMMIT", "ROLLBACK",
    "SAVEPOINT a", "ROLLBACK TO a", "RELEASE a", "ROLLBACK AND CHAIN", "SET application_name = 'wörk'",
    "SET TimeZone = 'Asia/Kolkata'", "SHOW DateStyle", "RESET TimeZone", "DEALLOCATE ALL", "PREPARE s1 AS SELECT 7",
    "PREPARE s2 (int) AS SELECT $1", "EXECUTE s1", "DEALLOCATE s1",
    "DECLARE p1 CURSOR FOR SELECT id FROM many ORDER BY 1",
    "FETCH 2 FROM p1", "MOVE 3 IN p1", "CLOSE p1", "COPY t TO STDOUT", "COPY t TO STDOUT (FORMAT csv, HEADER)",
    "COPY t TO STDOUT (FORMAT binary)", "COPY t FROM STDIN", "COPY t FROM STDIN (FORMAT csv)",
    "EXPLAIN (COSTS OFF) SELECT 1",
]  # fmt: skip
TEXTS = [
    ";", "-- nothing", "SELECT 1; SELECT 2", "SELECT 1; SELECT 1/0; SELECT 3", "SELECT 1;; SELECT 2;",
    "INSERT INTO t VALUES (30, 'x'); SELECT 1/0", "INSERT INTO t VALUES (31, 'x'); COMMIT; SELECT 1/0",
    "BEGIN; INSERT INTO t VALUES (32, 'x')", "BEGIN; SELECT 1/0", "COMMIT; SELECT 1", "ROLLBACK; BEGIN; SELECT 1",
    "SELECT 1; COPY t FROM STDIN; SELECT 2", "COPY t TO STDOUT; SELECT 1; COPY many TO STDOUT",
    "COPY t FROM STDIN; COPY t FROM STDIN (FORMAT csv)", "SELECT 1; COPY t FROM STDIN; SELECT 1/0",
    "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, DMY'; SET application_name = 'several'",
    "SELECT id, filler FROM many",
    "SAVEPOINT b; SELECT 1", "SELECT 1; ROLLBACK; SELECT 2",
]  # fmt: skip
BYPASS_ONLY = [
    "LISTEN c", "NOTIFY c, 'hello'", "UNLISTEN *", "DISCARD ALL", "DO $$BEGIN RAISE NOTICE 'hey %', 1; END$$",
    "DO $$BEGIN RAISE WARNING 'w'; RAISE EXCEPTION 'no' USING ERRCODE = '22012', DETAIL = 'd', HINT = 'h'; END$$",
    "SELECT loud(name) FROM t ORDER BY id", "SET ROLE postgres", "RESET ALL", "SET client_min_messages = error",
    "SET session_authorization = postgres", "CREATE TEMP TABLE IF NOT EXISTS tt (a int)", "VACUUM t",
    "LISTEN c; NOTIFY c",
    "NOTIFY c, 'a'; NOTIFY c, 'b'; SELECT 1/0", "CALL nothing()",
    "COPY (SELECT loud(name) FROM t ORDER BY id) TO STDOUT", "COPY noisy FROM STDIN",
    "SELECT pg_notify('c', 'f'), 1",
]  # fmt: skip
REFUSED = ["SELECT pg_sleep(0)", "SELECT * FROM pg_authid", "DO $$BEGIN END$$", "LISTEN c", "LOCK TABLE t", "VACUUM t"]
"""What a masked role may not run: through the proxy it has to be like any statement that fails."""

NAMES = ["", "s1", "s2"]
PORTALS = ["", "p1"]
VALUES: list[list[bytes | None]] = [
    [], [b"1"], [b"x"], [None], [b"40", b"forty"], [b"\0\0\0\x05"], [b"41", None], [b"1", b"2", b"3"],
]  # fmt: skip
FORMATS = [(), (), (0,), (1,), (0, 0), (1, 0), (7,)]
TYPES = [(), (), (23,), (25, 23), (0,)]
ROWS = [
    b"50\tfifty\n", b"51\tone\n52\ttwo\n", b"53\tha", b"lf\n", b"54,csv\n", b"no number\tx\n", b"1\tthere already\n",
    b"55\n", b"\\.\n", b"", b"PGCOPY\n\xff\r\n\0" + b"\0" * 8 + b"\xff\xff",
]  # fmt: skip
MALFORMED = [
    packed(b"Q", b"SELECT 1"), packed(b"Q", b"SELECT 1\0SELECT 2\0"), packed(b"Q"), packed(b"P", b"s1\0"),
    packed(b"P", b"\0SELECT 1\0\x7f\xff"), packed(b"B", b"\0"), packed(b"B", b"\0\0\0\1\0\0\0\1"), packed(b"E",
    b"\0"),
    packed(b"D", b"X\0"), packed(b"D"), packed(b"C", b"?x\0"), packed(b"C", b"S"), packed(b"S", b"more"),
    packed(b"F", b"\0"),
    packed(b"f", b"no end"), packed(b"c", b"x"),
]  # fmt: skip
FATAL = [
    packed(b"z"), packed(b"\0", b"abc"), packed(b"T", b"\0\0"), packed(b"p", b"secret\0"), b"Q\0\0\0\3",
    b"S\xff\xff\xff\xff",
    b"d\x7f\xff\xff\xff", TERMINATE, TERMINATE + query("SELECT 1"), b"D\0\0\xff\xff",
]  # fmt: skip


class Machine(RuleBasedStateMachine):
    """Rules write messages into a batch; it is sent in pieces or glued, and compared at a barrier."""

    world: ClassVar[World]
    extra: ClassVar[list[str]] = []

    def __init__(self) -> None:
        super().__init__()
        self.twins: Twins = self.world.open()

    def say(self, data: bytes, direct: bytes | None = None) -> None:
        self.twins.batch.append((data, data if direct is None else direct))

    @rule(sql=st.sampled_from(STATEMENTS + TEXTS))
    def query(self, sql: str) -> None:
        self.say(query(sql))

    @rule(sql=st.sampled_from(STATEMENTS), name=st.sampled_from(NAMES), types=st.sampled_from(TYPES))
    def parse(self, sql: str, name: str, types: tuple[int, ...]) -> None:
        self.say(parse(sql, name, types))

    @rule(
        name=st.sampled_from(NAMES),
        portal=st.sampled_from(PORTALS),
        values=st.sampled_from(VALUES),
        formats=st.sampled_from(FORMATS),
        results=st.sampled_from(FORMATS),
    )
    def bind(
        self,
        name: str,
        portal: str,
        values: list[bytes | None],
        formats: tuple[int, ...],
        results: tuple[int, ...],
    ) -> None:
        self.say(bind(name, portal, values, formats, results))

    @rule(name=st.sampled_from(NAMES + PORTALS), kind=st.sampled_from("SP"))
    def describe(self, name: str, kind: str) -> None:
        self.say(describe(kind, name))

    @rule(portal=st.sampled_from(PORTALS), rows=st.sampled_from([0, 0, 1, 2, -1]))
    def execute(self, portal: str, rows: int) -> None:
        self.say(execute(portal, rows))

    @rule(name=st.sampled_from(NAMES + PORTALS), kind=st.sampled_from("SP"))
    def close(self, name: str, kind: str) -> None:
        self.say(close(kind, name))

    @rule(data=st.sampled_from([FLUSH, SYNC, SYNC, COPY_DONE, COPY_FAIL]))
    def short(self, data: bytes) -> None:
        self.say(data)

    @rule(sql=st.sampled_from(STATEMENTS), values=st.sampled_from(VALUES), rows=st.sampled_from([0, 2]))
    def extended(self, sql: str, values: list[bytes | None], rows: int) -> None:
        """A whole extended query, which random messages alone seldom make."""
        self.say(parse(sql) + bind(values=values) + describe("P") + execute(rows=rows))

    @rule(rows=st.lists(st.sampled_from(ROWS), max_size=3), end=st.sampled_from([COPY_DONE, COPY_FAIL, SYNC, b""]))
    def copy(self, rows: list[bytes], end: bytes) -> None:
        self.say(b"".join(map(copy_data, rows)) + end)

    @rule(
        sql=st.sampled_from([s for s in STATEMENTS + TEXTS if "FROM STDIN" in s]),
        rows=st.lists(st.sampled_from(ROWS), max_size=3),
    )
    def copy_when_asked(self, sql: str, rows: list[bytes]) -> None:
        """The client that waits until the server wants data, as all of them do."""
        self.settle(0)
        self.twins.send(query(sql))
        self.twins.until(b"GZ")
        self.say(b"".join(map(copy_data, rows)) + COPY_DONE)

    @rule(cuts=st.integers(0, 2**32 - 1))
    def settle(self, cuts: int) -> None:
        self.twins.play(cuts)
        self.twins.settle()

    @rule(cuts=st.integers(0, 2**32 - 1))
    def send(self, cuts: int) -> None:
        """Without waiting for any answer."""
        self.twins.play(cuts)

    @rule(ending=st.sampled_from(FATAL), cuts=st.integers(0, 2**32 - 1))
    def end(self, ending: bytes, cuts: int) -> None:
        """What ends the session, with everything before it still to be answered."""
        self.say(ending)
        self.settle(cuts)

    def teardown(self) -> None:
        try:
            self.settle(0)
            self.twins.settle_contents()
        finally:
            self.twins.__exit__()


class BypassMachine(Machine):
    """A bypass role: whatever PostgreSQL says to anything."""

    @rule(sql=st.sampled_from(BYPASS_ONLY))
    def bypass_query(self, sql: str) -> None:
        self.say(query(sql))

    @rule(sql=st.sampled_from([s for s in BYPASS_ONLY if ";" not in s]))
    def bypass_extended(self, sql: str) -> None:
        self.say(parse(sql) + bind() + execute())

    @rule(
        function=st.sampled_from([1397, 870, 0, 4_000_000_000, 717]),
        values=st.sampled_from(VALUES),
        formats=st.sampled_from(FORMATS),
        result=st.sampled_from([0, 1, 5]),
    )
    def call(self, function: int, values: list[bytes | None], formats: tuple[int, ...], result: int) -> None:
        self.say(call(function, values, formats, result))

    @rule(sql=st.sampled_from(STATEMENTS), name=st.sampled_from(NAMES))
    def parse_with_an_unknown_type(self, sql: str, name: str) -> None:
        self.say(parse(sql, name, (4_000_000_000,)))

    @rule(data=st.sampled_from(MALFORMED))
    def malformed(self, data: bytes) -> None:
        self.say(data)


class MaskedMachine(Machine):
    """A masked role on tables that no rule touches, and what it is refused."""

    @rule(sql=st.sampled_from(REFUSED))
    def refused_query(self, sql: str) -> None:
        self.say(query(sql), query(FAILS))

    @rule(sql=st.sampled_from(REFUSED), name=st.sampled_from(NAMES))
    def refused_parse(self, sql: str, name: str) -> None:
        self.say(parse(sql, name), parse(FAILS, name))

    @rule()
    def refused_call(self) -> None:
        self.say(call(1397, [b"1"]), call(4_000_000_000, [b"1"]))


def play(machine: type[Machine], count: int) -> None:
    chosen = settings(
        max_examples=EXAMPLES or count,
        stateful_step_count=25,
        deadline=None,
        derandomize=not EXAMPLES,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=chosen)


@pytest.mark.parametrize(("machine", "user"), [(BypassMachine, "dba"), (MaskedMachine, "analyst")])
def test_the_proxy_answers_as_postgresql_does(
    machine: type[Machine],
    user: str,
    postgres: localpg.LocalPostgres,
    serve: Serve,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    machine.world = make_world(postgres, serve, tmp_path_factory, user)
    play(machine, 60)
