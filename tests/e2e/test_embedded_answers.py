"""Questions in plain English over three databases: what the translator's SQL returns equals a hand-written query.

The cases are in `questions/`: a comment with the question, then the query. Rows are compared in any order, unless both
say which come first.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import psycopg
import pytest
from conftest import create_database
from embedded_worlds import CLINIC, COLUMNS, KEYS, LIBRARY, ODD, TABLES, view_of

from proxy import localpg
from proxy.nl.embedded import ValueHit, to_sql
from proxy.nl.embedded.tokens import tokenize
from proxy.nl.embedded.values import candidates
from proxy.nl.schema import Family, SchemaView

TODAY = date(2025, 6, 15)
Connection = psycopg.Connection[tuple[object, ...]]

QUESTIONS = Path(__file__).parent / "questions"
PAIR = re.compile(r"^-- (.+)\n((?:(?!--).+\n)+)", re.MULTILINE)
CASES = [
    (world, question, reference)
    for world in ("clinic", "library", "odd")
    for question, reference in PAIR.findall((QUESTIONS / f"{world}.sql").read_text())
]


@pytest.fixture(scope="module")
def worlds(postgres: localpg.LocalPostgres) -> Iterator[dict[str, tuple[Connection, SchemaView]]]:
    found: dict[str, tuple[Connection, SchemaView]] = {}
    for name, script in (("clinic", CLINIC), ("library", LIBRARY), ("odd", ODD)):
        dsn = create_database(postgres, f"embedded_{name}", script)
        connection = psycopg.connect(dsn, autocommit=True)
        tables = connection.execute(TABLES).fetchall()
        columns = {int(str(t[0])): connection.execute(COLUMNS, (t[0],)).fetchall() for t in tables}
        found[name] = connection, view_of(tables, columns, connection.execute(KEYS).fetchall())
    yield found
    for connection, _ in found.values():
        connection.close()


def look_up(connection: Connection, schema: SchemaView, question: str) -> list[ValueHit]:
    """Which of the question's words a text column holds, without case."""
    words = [w.lower() for w in candidates(question, tokenize(question))]
    hits = []
    for table in schema.tables:
        for column in table.columns:
            if column.family is Family.TEXT:
                name = '"' + column.name.replace('"', '""') + '"'
                sql = f'SELECT DISTINCT {name} FROM "{table.schema}"."{table.name}" WHERE lower({name}) = ANY(%s)'
                hits += [ValueHit(*table.key, column.name, str(v)) for (v,) in connection.execute(sql, (words,))]
    return hits


@pytest.mark.parametrize(("world", "question", "reference"), CASES, ids=[f"{w}: {q}" for w, q, _ in CASES])
def test_the_answer_is_that_of_a_hand_written_query(
    worlds: dict[str, tuple[Connection, SchemaView]], world: str, question: str, reference: str
) -> None:
    connection, schema = worlds[world]
    sql = to_sql(question, schema, TODAY, look_up(connection, schema, question))
    rows, expected = connection.execute(sql).fetchall(), connection.execute(reference).fetchall()
    if "ORDER BY" in reference and "LIMIT" in sql:
        assert rows == expected, sql
    else:
        assert Counter(map(repr, rows)) == Counter(map(repr, expected)), sql


def test_the_references_have_rows(worlds: dict[str, tuple[Connection, SchemaView]]) -> None:
    empty = [
        question
        for world, question, reference in CASES
        if not worlds[world][0].execute(reference).fetchall() and "false" not in reference
    ]
    assert empty == []
