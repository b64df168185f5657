"""The question what is left on a connection, and how settings are undone and made again."""

from __future__ import annotations

import pytest

from proxy.errors import UpstreamError
from proxy.leftovers import difference, may_ask_for, question, read_answer


def test_an_answer_is_read() -> None:
    left = read_answer(
        [
            (b"setting", b"work_mem", b"5MB"),
            (b"statement", b"s1", None),
            (b"LISTEN", None, None),
            (b"LISTEN", None, None),
        ]
    )
    assert left.settings == {b"work_mem": b"5MB"}
    assert left.statements == {b"s1"}
    assert left.others == ("LISTEN",)


@pytest.mark.parametrize("row", [(b"setting", b"a", None), (b"setting", None, b"a"), (b"setting",)])
def test_what_is_no_answer_is_none(row: tuple[bytes | None, ...]) -> None:
    with pytest.raises(UpstreamError):
        read_answer([row])


def test_settings_are_undone_and_made_in_one_query() -> None:
    assert difference({b"a": b"1", b"b": b"2"}, {b"a": b"1", b"b": b"2"}) == b""
    assert difference({b"a": b"1", b"app.x": b"2"}, {b"a": b"1"}) == b'RESET "app"."x"'
    made = difference({b"a": b"1"}, {b"c": b"it's \\ 3"})
    assert made == b"RESET \"a\"; SELECT pg_catalog.set_config(E'c', E'it''s \\\\ 3', false)"


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("app.x", True),
        ("a.b.c", True),
        ("app", False),
        ("a.b'", False),
        ("a.\\b", False),
        ("é.x", False),
        ("a.", False),
    ],
)
def test_names_that_can_be_asked_for(name: str, asked: bool) -> None:
    assert may_ask_for(name) == asked


def test_the_login_is_a_literal_whatever_it_holds() -> None:
    assert b"E'o''neil\\\\x'" in question("o'neil\\x")
