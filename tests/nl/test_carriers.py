"""The four carriers: what the question is, what takes its place, and what is left alone."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import CarrierError
from proxy.nl.carriers import Edit, find_question, may_ask
from proxy.policy.parser import parse

G = "SELECT 42"

FROM_ASK = [
    ("SELECT * FROM ask('q')", "q", f"SELECT * FROM ({G}) AS ask"),
    ("select * from ASK ( 'q' );", "q", f"select * from ({G}) AS ask;"),
    ("SELECT * FROM \"ask\"('q')", "q", f"SELECT * FROM ({G}) AS ask"),
    ("SELECT * FROM ask('q') t", "q", f"SELECT * FROM ({G}) t"),
    ("SELECT * FROM ask('q') AS t(a, b)", "q", f"SELECT * FROM ({G}) AS t(a, b)"),
    (
        "SELECT * FROM (SELECT * FROM ask('q')) t LIMIT 10",
        "q",
        f"SELECT * FROM (SELECT * FROM ({G}) AS ask) t LIMIT 10",
    ),
    ("SELECT * FROM ask('it''s')", "it's", f"SELECT * FROM ({G}) AS ask"),
    ("SELECT * FROM ask(E'it\\'s')", "it's", f"SELECT * FROM ({G}) AS ask"),
    ("SELECT * FROM ask($$it's$$)", "it's", f"SELECT * FROM ({G}) AS ask"),
    ("SELECT * FROM ask($q$ a $$ b $q$)", "a $$ b", f"SELECT * FROM ({G}) AS ask"),
    (r"SELECT * FROM ask(U&'d\0061ta')", "data", f"SELECT * FROM ({G}) AS ask"),
    ("SELECT * FROM ask(U&'d!0061ta' UESCAPE '!')", "data", f"SELECT * FROM ({G}) AS ask"),
    ("SELECT * FROM ask('one '\n'two')", "one two", f"SELECT * FROM ({G}) AS ask"),
    ("SELECT * FROM ask('q'::text)", "q", f"SELECT * FROM ({G}) AS ask"),
    ("SELECT * FROM ask(('q')::varchar(99))", "q", f"SELECT * FROM ({G}) AS ask"),
    ("SELECT * FROM ask(CAST('q' AS text))", "q", f"SELECT * FROM ({G}) AS ask"),
    ("SELECT * FROM ask /* why */ ( -- so\n 'q' /* ) */ ) x", "q", f"SELECT * FROM ({G}) x"),
    ("SELECT * FROM ask('a ) b')", "a ) b", f"SELECT * FROM ({G}) AS ask"),
    ("/* metabase */ SELECT * FROM ask('q')", "q", f"/* metabase */ SELECT * FROM ({G}) AS ask"),
    ("WITH a AS (SELECT * FROM ask('q')) TABLE a", "q", f"WITH a AS (SELECT * FROM ({G}) AS ask) TABLE a"),
    ("SELECT * FROM t JOIN ask('q') j USING (id)", "q", f"SELECT * FROM t JOIN ({G}) j USING (id)"),
    ("SELECT * FROM t, LATERAL ask('q') AS l", "q", f"SELECT * FROM t, LATERAL ({G}) AS l"),
    (
        "SELECT 1 WHERE EXISTS (SELECT FROM ask('q'))",
        "q",
        f"SELECT 1 WHERE EXISTS (SELECT FROM ({G}) AS ask)",
    ),
    ("SELECT (SELECT n FROM ask('q') x(n))", "q", f"SELECT (SELECT n FROM ({G}) x(n))"),
    ("SELECT 1 UNION ALL SELECT * FROM ask('q')", "q", f"SELECT 1 UNION ALL SELECT * FROM ({G}) AS ask"),
    ("DECLARE c CURSOR FOR SELECT * FROM ask('q')", "q", f"DECLARE c CURSOR FOR SELECT * FROM ({G}) AS ask"),
    ("COPY (SELECT * FROM ask('q')) TO STDOUT", "q", f"COPY (SELECT * FROM ({G}) AS ask) TO STDOUT"),
    ("EXPLAIN (COSTS off) SELECT * FROM ask('q')", "q", f"EXPLAIN (COSTS off) SELECT * FROM ({G}) AS ask"),
    (
        "EXPLAIN DECLARE c CURSOR FOR SELECT * FROM ask('q')",
        "q",
        f"EXPLAIN DECLARE c CURSOR FOR SELECT * FROM ({G}) AS ask",
    ),
    (
        "PREPARE p(int) AS SELECT $1, * FROM ask('q')",
        "q",
        f"PREPARE p(int) AS SELECT $1, * FROM ({G}) AS ask",
    ),
    ("SELECT $1::int, a.* FROM ask('q') a", "q", f"SELECT $1::int, a.* FROM ({G}) a"),
    ("SELECT 'é', * FROM ask('कितने ग्राहक?') -- é", "कितने ग्राहक?", f"SELECT 'é', * FROM ({G}) AS ask -- é"),
    (
        "SELECT 'ask:', ask, ask('x') FROM ask('q') AS ask",
        "q",
        f"SELECT 'ask:', ask, ask('x') FROM ({G}) AS ask",
    ),
    ("BEGIN; SELECT * FROM ask('q'); COMMIT", "q", f"BEGIN; SELECT * FROM ({G}) AS ask; COMMIT"),
]

COMMENTS = [
    ("/* ask: q */", "q", G),
    ("/* ask: q */;", "q", f"{G};"),
    ("/*ask:q*/", "q", G),
    ("/* ASK : q */", "q", G),
    ("  \n/* ask: q */ \n ; ; ", "q", f"  \n{G} \n ; ; "),
    ('/* ask: it\'s "so" */', 'it\'s "so"', G),
    ("/* ask: a /* b */ c */", "a /* b */ c", G),
    ("/* ask: a\n   b\r\n c */", "a b c", G),
    ("/* ask: q */ -- noted", "q", f"{G} -- noted"),
    ("/* app */ /* ask: q */", "q", f"/* app */ {G}"),
    ("/* ask: q */ /* app */", "q", f"{G} /* app */"),
    ("/* ask: q */ SELECT", "q", f" {G}"),
    ("/* ask: q */ select 1;", "q", f" {G};"),
    ("/* ask: q */ -- x\nSELECT /* y */ 1 -- z", "q", f" -- x\n{G} -- z"),
    ("-- ask: q", "q", G),
    ("--ask:q\n", "q", f"{G}\n"),
    ("--\u00a0Ask: q", "q", G),
    ("-- ask: q\r\n;", "q", f"{G}\r\n;"),
    ("-- ask: q\nSELECT 1", "q", f"\n{G}"),
    ("-- user 7\n-- ask: q\nSELECT", "q", f"-- user 7\n\n{G}"),
    ("-- a\n-- b\n/* c */\n-- ask: q", "q", f"-- a\n-- b\n/* c */\n{G}"),
    ("-- ask: how many\n-- orders\n-- in May", "how many orders in May", f"{G}\n\n"),
    ("-- ask: how many\r\n--   orders\r\nSELECT 1", "how many orders", f"\r\n\r\n{G}"),
    ("-- ask: q\n\n-- not of it", "q", f"{G}\n\n-- not of it"),
    ("-- ask: q\n/* not of it */", "q", f"{G}\n/* not of it */"),
    ("-- ask: எத்தனை ஆர்டர்கள்?", "எத்தனை ஆர்டர்கள்?", G),
    ("/* é */ -- ask: é\nSELECT 1 -- é", "é", f"/* é */ \n{G} -- é"),
]

ASK = [
    ("ASK 'q'", "q", G),
    ("ask 'q';", "q", f"{G};"),
    ("  Ask\n'q' ;", "q", f"  {G} ;"),
    ("ASK 'it''s'", "it's", G),
    ("ASK $$it's {} $1$$", "it's {} $1", G),
    ("ASK $x$a $$ b$x$;", "a $$ b", f"{G};"),
    (r"ASK E'a\tb'", "a\tb", G),
    (r"ASK U&'\0061'", "a", G),
    ("ASK U&'!0061' UESCAPE '!'", "a", G),
    ("ASK 'a'\n' b'", "a b", G),
    ("/* app */ ASK 'q' -- why", "q", f"/* app */ {G} -- why"),
    ("ASK'q'", "q", G),
    ("ASK 'किती?'; SELECT 'é'", "किती?", f"{G}; SELECT 'é'"),
    ("SELECT 'é'; ASK 'q'", "q", f"SELECT 'é'; {G}"),
    ("ASK '/* ask: a */'", "/* ask: a */", G),
    ("ASK '-- ask: a'", "-- ask: a", G),
    ("ASK 'q' /* ask: later comments are comments */", "q", f"{G} /* ask: later comments are comments */"),
]


@pytest.mark.parametrize(("sql", "text", "expected"), FROM_ASK + COMMENTS + ASK)
def test_question_and_what_takes_its_place(sql: str, text: str, expected: str) -> None:
    found = find_question(sql)
    assert found is not None
    assert found.texts == (text,)
    assert found.replace(G) == expected
    assert may_ask(sql.encode())


@pytest.mark.parametrize(
    ("sql", "texts", "expected"),
    [
        ("SELECT * FROM ask('a') x, ask('b') y", ("a", "b"), "SELECT * FROM (SELECT 0) x, (SELECT 1) y"),
        (
            "WITH c AS (SELECT * FROM ask('a')) SELECT * FROM c JOIN ask('b') USING (id)",
            ("a", "b"),
            "WITH c AS (SELECT * FROM (SELECT 0) AS ask) SELECT * FROM c JOIN (SELECT 1) AS ask USING (id)",
        ),
        ("ASK 'a'; ASK 'b'", ("a", "b"), "SELECT 0; SELECT 1"),
        ("ASK 'a'; SELECT * FROM ask('b')", ("a", "b"), "SELECT 0; SELECT * FROM (SELECT 1) AS ask"),
        ("SELECT * FROM ask('b'); ASK 'a'", ("b", "a"), "SELECT * FROM (SELECT 0) AS ask; SELECT 1"),
    ],
)
def test_several_questions(sql: str, texts: tuple[str, ...], expected: str) -> None:
    found = find_question(sql)
    assert found is not None
    assert found.texts == texts
    assert found.replace(*(f"SELECT {i}" for i in range(len(texts)))) == expected


SQL_ALONE = [
    "",
    ";",
    "SELECT 1",
    "SELECT ask FROM t",
    "SELECT * FROM ask",
    "SELECT * FROM ask AS a(b)",
    "SELECT ask('q')",
    "SELECT * FROM f(ask('q'))",
    "SELECT * FROM myschema.ask('q')",
    "SELECT * FROM \"ASK\"('q')",
    "SELECT * FROM asks('q')",
    "SELECT * FROM task('q')",
    "SELECT '/* ask: q */'",
    "SELECT $$ FROM ask('q') $$",
    "SELECT '-- ask: q'",
    "SELECT 1 /* ask: q */",
    "SELECT 1 -- ask: q",
    "SELECT /* ask: q */ 1",
    "SELECT 1; -- ask: q",
    "SELECT 1; /* ask: q */ SELECT 1",
    "/* don't ask: q */ SELECT 1",
    "/* asked: q */ SELECT 1",
    "/* /* ask: q */ */ SELECT 1",
    "/* ask */ SELECT 2",
    "-- task: q\nSELECT 1",
    "SELECT * FROM /* ask('q') */ t",
    "CALL ask('q')",
    "CREATE TABLE ask (ask int)",
    "PREPARE ask AS SELECT 1",
    "EXECUTE ask('q')",
    "SELECT * FROM t WHERE ask = 'q' AND x IN (SELECT ask('q'))",
    "INSERT INTO ask VALUES ('ask: q')",
    "COPY ask FROM STDIN",
    "SELECT 'unterminated ask",
    "SELECT ask(' FROM",
    "SELEC * FROM ask('q')",
    "\"ask\" 'q'",
    "SELECT {fn ask('q')} FROM t",
    "SELECT * FROM ask('q') {x}",
]


@pytest.mark.parametrize("sql", SQL_ALONE)
def test_sql_alone_is_no_question(sql: str) -> None:
    assert find_question(sql) is None


REFUSED = [
    ("/* ask: q */ SELECT 2", "two meanings", 1),
    ("-- ask: q\nSELECT * FROM t", "two meanings", 1),
    ("-- app\n  -- ask: q\nDELETE FROM t", "two meanings", 10),
    ("/* ask: q */ SELECT 1 AS a", "two meanings", 1),
    ("/* ask: q */ SELECT 1; SELECT 1", "two meanings", 1),
    ("/* ask: q */; SELECT 2", "two meanings", 1),
    ("/* ask: q */ SELECT; 1", "two meanings", 1),
    ("/* ask: q */ ASK 'r'", "two meanings", 1),
    ("/* ask: q */ SELECT * FROM ask('r')", "two meanings", 1),
    ("/* ask: a */ /* ask: b */", "more than one question", 14),
    ("-- ask: a\n-- ask: b", "more than one question", 11),
    ("/* ask: */", "empty", 1),
    ("-- ask:   \nSELECT 1", "empty", 1),
    ("ASK ''", "empty", 1),
    ("ASK $$  $$", "empty", 1),
    ("SELECT * FROM ask('')", "empty", 15),
    ("SELECT * FROM ask(' \n')", "empty", 15),
    ("SELECT * FROM ask($1)", "parameter", 15),
    ("SELECT 'é', * FROM ask($1)", "parameter", 20),
    ("SELECT * FROM ask($1::text)", "parameter", 15),
    ("ASK $1", "parameter", 1),
    ("SELECT * FROM ask('a' || 'b')", "not a string literal", 15),
    ("SELECT * FROM t, ask(t.q)", "not a string literal", 18),
    ("SELECT * FROM ask(1)", "not a string literal", 15),
    ("SELECT * FROM ask(NULL)", "not a string literal", 15),
    ("SELECT * FROM ask('1'::int)", "not a string literal", 15),
    ("SELECT * FROM ask('{a}'::text[])", "not a string literal", 15),
    ("SELECT * FROM ask(q => 'a')", "not a string literal", 15),
    ("SELECT * FROM ask()", "one string literal", 15),
    ("SELECT * FROM ask('a', 'b')", "one string literal", 15),
    ("SELECT * FROM ask(VARIADIC 'a')", "one string literal", 15),
    ("SELECT * FROM ask('a') WITH ORDINALITY", "WITH ORDINALITY", 15),
    ("SELECT * FROM ROWS FROM (ask('a'), f())", "ROWS FROM", 26),
    ("SELECT * FROM ask('a') AS t(x int)", "column definition list", 15),
    ("SELECT * FROM ask('a') AS (x int)", "column definition list", 15),
    ("CREATE TABLE t AS SELECT * FROM ask('a')", "more than read", 33),
    ("CREATE VIEW v AS SELECT * FROM ask('a')", "more than read", 32),
    ("SELECT * INTO t FROM ask('a')", "more than read", 22),
    ("INSERT INTO t SELECT * FROM ask('a')", "more than read", 29),
    ("UPDATE t SET a = 1 FROM ask('a')", "more than read", 25),
    ("PREPARE p AS DELETE FROM t USING ask('a')", "more than read", 34),
    ("EXPLAIN ANALYZE DELETE FROM t USING ask('a')", "more than read", 37),
    ("ASK", "without a question", 1),
    ("ask;", "without a question", 1),
    ("ASK how many orders", "one string literal", 1),
    ("ASK ('q')", "one string literal", 1),
    ('ASK "q"', "one string literal", 1),
    ("ASK 'a', 'b'", "one string literal", 1),
    ("ASK 'a' LIMIT 1", "one string literal", 1),
    ("ASK {q}", "one string literal", 1),
    ("ASK B'101'", "one string literal", 1),
    ("SELECT 1; ASK nothing", "one string literal", 11),
    ("ASK what's up", "not closed", 1),
    ("ASK 'what's up'", "not closed", 1),
    ("ASK $$q", "not closed", 1),
    ("SELECT 'é'; ASK 'q", "not closed", 13),
    ("/* ask: q", "not closed", 1),
    ("/* é */ /* ask: q", "not closed", 9),
    ("ASK 'q'; SELEC 1", "beside the question", 10),
    ("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC; ASK 'q'; END", "inside another statement", 47),
    ("; ".join(["ASK 'q'"] * 9), "more than 8 questions", 73),
    (f"ASK '{'q' * 4001}'", "longer than 4000", 1),
]


@pytest.mark.parametrize(("sql", "message", "position"), REFUSED)
def test_a_carrier_that_cannot_work_is_refused(sql: str, message: str, position: int) -> None:
    with pytest.raises(CarrierError, match=message) as caught:
        find_question(sql)
    assert caught.value.sqlstate == "VA007"
    assert caught.value.hint
    assert caught.value.position == position


def test_a_position_in_the_replaced_text_is_found_in_the_clients() -> None:
    sql = "SELECT é.x FROM ask('a longer question') é WHERE y"
    found = find_question(sql)
    assert found is not None
    replaced = found.replace(G)
    for word in ("é.x", "WHERE", "y"):
        assert found.original_position(replaced.index(word) + 1, G) == sql.index(word) + 1
    assert found.original_position(replaced.index("42") + 1, G) == sql.index("ask(") + 1


def test_a_question_is_in_no_repr() -> None:
    found = find_question("SELECT * FROM ask('where does Asha live?')")
    assert "Asha" not in repr(found)


@pytest.mark.parametrize(
    "sql", ["SELECT task FROM basket", "SELECT mask()", "select $ask$x$ask$", "ask_me", "SELECT bid, ask FROM quotes"]
)
def test_most_sql_is_not_even_scanned(sql: str) -> None:
    assert not may_ask(sql.encode())


PIECES = st.sampled_from(
    [
        *("ASK ", " ask('q')", "SELECT ", "* FROM ", " AS t", "ask", '"ask"', "/* ask: q */", "-- ask: q\n"),
        *("'q'", "$$q$$", "U&'\\0061'", "E'\\'", "'", "$1", "1", "/* x */", "-- x\n", "/*", "*/"),
        *(";", ", ", "(", ")", "\n", "é", "{"),
    ]
)


@given(st.lists(PIECES, max_size=10).map("".join))
def test_any_text_is_sql_a_question_or_refused_and_what_is_around_a_question_stays(sql: str) -> None:
    try:
        found = find_question(sql)
    except CarrierError:
        return
    if found is None:
        return
    generated = [f"SELECT {i}" for i in range(len(found.texts))]
    kept = [sql[a.end : b.start] for a, b in pairwise([Edit(0, 0), *found.edits, Edit(len(sql), len(sql))])]
    replaced = found.replace(*generated)
    for piece in kept:
        assert piece in replaced
    parse(replaced)
    assert find_question(replaced) is None or "ask" in "".join(kept).lower()


@pytest.mark.parametrize("filling", ["\n", "\r\n", ";", "/", " ", ";\n", "task ", "\t\n"])
def test_a_look_for_a_carrier_goes_through_the_text_once(filling: str) -> None:
    """Every text with these three letters is looked at, on the event loop. Beginning anew at each line would take
    hours here."""
    assert not may_ask(f"SELECT 1{filling * 500_000}, task".encode())
    assert may_ask(f"SELECT 1;{filling * 500_000}\n\t ask 'how many?'".encode())
