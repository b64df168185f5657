"""What a text may leave in its session: by a glance, by the grammar, and never less than it does."""

from __future__ import annotations

import tracemalloc

import pytest

from proxy.policy.sessionstate import CLEAN, UNKNOWN, Trace, is_plain, trace

LEAVES_NOTHING = [
    "SELECT 1",
    "SELECT abalance FROM pgbench_accounts WHERE aid = 5;",
    "select lower(name), count(*) from people where id in (1, 2) group by 1",
    "INSERT INTO t (a, b) VALUES (1, now())",
    'INSERT INTO "t" ("a") VALUES (1) RETURNING id',
    "UPDATE t SET a = (SELECT max(b) FROM u) WHERE c = ANY ($1)",
    "WITH x AS (DELETE FROM t RETURNING a) SELECT a FROM x",
    "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY",
    "COMMIT",
    "SELECT nextval('s')",
    "SELECT pg_catalog.lower(a OPERATOR(pg_catalog.||) b) FROM t",
    "SELECT 'set_config(''a'', ''b'', false)'",
    "SELECT 1; SELECT 2",
    "SELECT 1 -- set_config('a', 'b', false)",
    "COPY t FROM STDIN",
    "DECLARE c CURSOR FOR SELECT 1",
    "FETCH c",
    "EXPLAIN ANALYZE SELECT 1",
    "LOCK TABLE t",
    "",
    ";",
]

LEAVES = [
    ("SET work_mem = '5MB'", Trace(check=True, local=True)),
    ("SET app.tenant = '1'", Trace(check=True, local=True, customs=frozenset({"app.tenant"}))),
    ("SET LOCAL work_mem = '5MB'", Trace(local=True)),
    ("SET TRANSACTION READ ONLY", Trace(local=True)),
    ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", Trace(check=True, local=True)),
    ("SET NAMES 'latin1'", Trace(check=True, local=True, pins="another client_encoding")),
    ("SET seed = 0.1", Trace(check=True, local=True, pins="setseed")),
    ("RESET ALL", Trace(check=True, local=True)),
    ("SELECT set_config('app.x', $1, true)", Trace(local=True, customs=frozenset({"app.x"}))),
    ("SELECT set_config('app.x', $1, false)", Trace(check=True, local=True, customs=frozenset({"app.x"}))),
    ("SELECT/**/pg_catalog.set_config('work_mem', '5MB', false)", Trace(check=True, local=True)),
    ("SELECT set_config($1, $2, true)", Trace(local=True)),
    (
        "SELECT set_config($1, $2, false)",
        Trace(check=True, foreign=True, pins="set_config of a computed name"),
    ),
    ("SELECT my_function()", UNKNOWN),
    ("SELECT my_schema.now()", UNKNOWN),
    ('SELECT "lower" (name), "My" (1) FROM t', UNKNOWN),
    ("SELECT pg_advisory_lock(1)", UNKNOWN),
    ("SELECT setseed (0.5)", Trace(check=True, foreign=True, pins="setseed")),
    ("DO $$ BEGIN NULL; END $$", UNKNOWN),
    ("CALL p()", UNKNOWN),
    ("LOAD 'x'", Trace(check=True, pins="LOAD")),
    ("CREATE TEMP TABLE t (a int)", Trace(check=True)),
    ("SELECT 1 INTO TEMP t", Trace(check=True)),
    ("WITH x AS (SELECT 1) SELECT * INTO t FROM x", Trace(check=True)),
    ("LISTEN c", Trace(check=True)),
    ("DISCARD ALL", Trace(check=True)),
    ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", Trace(check=True)),
    ("PREPARE p AS SELECT 1", Trace(check=True, names=True)),
    ("EXECUTE p", Trace(check=True, names=True)),
    ("EXPLAIN ANALYZE EXECUTE p", Trace(check=True, names=True)),
    ("CREATE TABLE t AS EXECUTE p", Trace(check=True, names=True)),
    ("DEALLOCATE p", Trace(deallocates="p")),
    ('DEALLOCATE PREPARE "P q"', Trace(deallocates="P q")),
    ("DEALLOCATE ALL", CLEAN),
    ("DEALLOCATE pgveil_s_00", Trace(check=True, deallocates="pgveil_s_00")),
    ("SELECT mine . sum(1)", UNKNOWN),
    ("SELECT mine.\tlower (1)", UNKNOWN),
    ("UPDATE pg_settings SET setting = '1' WHERE name = 'work_mem'", Trace(check=True, local=True)),
    ("UPDATE PG_SETTINGS SET setting = '1' WHERE name = 'work_mem'", Trace(check=True, local=True)),
    ("UPDATE u&\"pg\\005fsettings\" SET setting = '1'", Trace(check=True, local=True)),
    ("WITH a AS (UPDATE pg_settings SET setting = '1' RETURNING 1) SELECT * FROM a", Trace(check=True, local=True)),
    ("SELECT pg_backup_start('x')", Trace(check=True, foreign=True, pins="a backup")),
    ("DEALLOCATE p; SELECT 1", Trace(names=True)),
    ("SELECT lastval()", Trace(sequences=True)),
    ("INSERT INTO child VALUES (currval('s'))", Trace(sequences=True)),
    ("SELECT nextval('s'), currval('s')", CLEAN),
    ("INSERT INTO t VALUES (1); SELECT lastval()", CLEAN),
    ("no SQL at all", UNKNOWN),
    ("SELECT 1; SET work_mem = '1MB'; SELECT f()", Trace(check=True, foreign=True, local=True)),
]


@pytest.mark.parametrize("sql", LEAVES_NOTHING)
def test_what_leaves_nothing(sql: str) -> None:
    assert trace(sql) == CLEAN


@pytest.mark.parametrize(("sql", "expected"), LEAVES)
def test_what_may_leave_something(sql: str, expected: Trace) -> None:
    assert trace(sql) == expected


@pytest.mark.parametrize(
    ("sql", "takes"),
    [
        ("SELECT 1", False),
        ("BEGIN", False),
        ("SELECT lastval()", False),
        ("SET work_mem = '1MB'", False),
        ("DECLARE c CURSOR FOR SELECT 1", False),
        ("INSERT INTO t DEFAULT VALUES", True),
        ("UPDATE t SET id = DEFAULT", True),
        ("SELECT nextval('s')", True),
        ("SELECT \"nextval\"('s')", True),
        ("WITH a AS (INSERT INTO t DEFAULT VALUES RETURNING 1) SELECT lower('A') FROM a", True),
        ("COPY t FROM STDIN", True),
        ("EXECUTE p", True),
        ("SELECT f()", True),
        ("CALL p()", True),
        ("SELECT 1; SELECT nextval('s')", True),
    ],
)
def test_what_may_take_a_value_of_a_sequence(sql: str, takes: bool) -> None:
    assert trace(sql).values is takes


def test_the_last_value_is_asked_for_before_any_was_taken() -> None:
    assert trace("SELECT 1; SELECT lastval()").sequences
    assert not trace("SELECT nextval('s'); SELECT lastval()").sequences


@pytest.mark.parametrize("filling", ["a", " ", "a ", ".", '"', "a.", "1 .", "()", "$", "é"])
def test_a_glance_at_a_long_literal_is_a_glance(filling: str) -> None:
    """It goes through the text once. Were it to begin anew at each letter, this would take hours."""
    assert is_plain(f"INSERT INTO t VALUES (lower('{filling * 500_000}'))")


def test_nothing_is_kept_of_long_texts() -> None:
    """Clients choose them, and may choose thousands."""
    trace(_long(0))
    tracemalloc.start()
    try:
        for number in range(1, 200):
            trace(_long(number))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000


def _long(number: int) -> str:
    return f"SELECT my_own({number}, '{chr(0x1F9EA) * 8000}')"


@pytest.mark.parametrize(("sql", "expected"), LEAVES)
def test_a_glance_never_misses_it(sql: str, expected: Trace) -> None:
    assert expected == CLEAN or not is_plain(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT ±lower(1)",  # a name of one word in PostgreSQL
        "SELECT lower\n(1), evil\t(2)",
        "SELECT a.b.lower(1)",
        "SELECT évil(1)",
        "WITH lower(a) AS (SELECT evil(1)) SELECT a FROM lower",
        "INSERT INTO t (a) SELECT evil(1)",
        "INSERT INTO evil (a) VALUES (lower (evil (1)))",
        "UPDATE t SET a = 1 RETURNING evil(a)",
        "VALUES (evil(1))",
    ],
)
def test_a_function_of_somebody_is_seen_wherever_it_stands(sql: str) -> None:
    assert trace(sql).check


def test_a_long_text_is_not_read() -> None:
    assert trace("SELECT 1" + " " * 20_000) == UNKNOWN
