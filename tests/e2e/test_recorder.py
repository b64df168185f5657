"""What the comparison of the clients' tests rests on: it sees every byte that differs, and none that has to."""

from __future__ import annotations

import psycopg
import pytest
from client_kinds import Place
from client_stage import MASKED_DATABASE, Played, Program, Stage, assert_masked, assert_same, play


def statements(*texts: str) -> Program:
    def program(place: Place) -> list[str]:
        with psycopg.connect(place.dsn, autocommit=True) as connection:
            for text in texts:
                connection.execute(text.encode())
        return ["played"]

    return program


def test_two_connections_to_one_server_look_the_same(stage: Stage) -> None:
    program = statements("SELECT 1", "LISTEN tests", "NOTIFY tests", "SELECT * FROM hr.emp")
    first, second = play(program, stage.direct()), play(program, stage.direct())
    assert_same(first, second)
    (messages,) = first.said
    assert [line[0] for line in messages if line[0] in "eKAD"] == ["e", "K", "D", "A", *"D" * 12]
    assert messages[0] == "encryption b'N'"
    assert [line for line in messages if line[0] in "KA"] == [
        "K connection 0, a secret of 4 bytes",
        "A connection 0 b'tests\\x00\\x00'",
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT 1", "SELECT 2"),
        ("SELECT 1 AS a", "SELECT 1 AS b"),
        ("SELECT pg_notify('tests', 'a')", "SELECT pg_notify('tests', 'b')"),
        ("SET work_mem = '8MB'", "RESET work_mem"),
        ("SELECT 1", "SELECT 1; SELECT 1"),
        ("SELECT id FROM hr.emp LIMIT 1", "SELECT id FROM shop.orders LIMIT 1"),
    ],
)
def test_a_difference_is_seen(one: str, other: str, stage: Stage) -> None:
    first = play(statements("LISTEN tests", one), stage.direct())
    second = play(statements("LISTEN tests", other), stage.direct())
    with pytest.raises(AssertionError):
        assert_same(first, second)


def test_a_connection_that_is_missing_is_seen(stage: Stage) -> None:
    once = play(statements("SELECT 1"), stage.direct())
    with pytest.raises(AssertionError):
        assert_same(once, Played(once.lines, once.said * 2))
    with pytest.raises(AssertionError):
        assert_same(once, Played(["played", "more"], once.said))


def test_a_protected_value_on_the_wire_is_seen(stage: Stage) -> None:
    clear = play(statements("SELECT ssn FROM hr.emp WHERE id = 1"), stage.direct())
    veiled = play(statements("SELECT ssn FROM hr.emp WHERE id = 1"), stage.direct(MASKED_DATABASE))
    assert_masked(clear, veiled)
    with pytest.raises(AssertionError):
        assert_masked(veiled, clear)
