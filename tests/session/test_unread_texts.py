"""Texts that are not read for what they leave: who may have set what nobody can ask for keeps its connection."""

from __future__ import annotations

import pytest

from proxy.leasetexts import trace_of
from proxy.policy.sessionstate import MAX_TEXT

LONG = "-- " + "x" * MAX_TEXT + "\n"


@pytest.mark.parametrize(
    "sql",
    [
        "SET app.tenant = '7'",
        "set session app.tenant to 7",
        'SELECT 1; SET LOCAL "app" . tenant = 7',
        "SET/**/app.tenant = 7",
        "SET LOCAL -- words\n app.tenant = 7",
        "SET app/**/.tenant = 7",
        "SELECT SET_CONFIG('app.tenant', '7', false)",
    ],
)
def test_long_texts_that_set_something(sql: str) -> None:
    assert trace_of((LONG + sql).encode()).pins is not None


@pytest.mark.parametrize(
    "sql",
    ["INSERT INTO t VALUES (1)", "UPDATE t SET a = 1.5, b = u.b FROM u", "SELECT a.set FROM b.settings AS a OFFSET 1"],
)
def test_long_texts_that_set_nothing(sql: str) -> None:
    found = trace_of((LONG + sql).encode())
    assert found.pins is None
    assert found.check


def test_texts_that_are_not_utf8() -> None:
    assert trace_of("SET app.tenant = 'ソ'".encode("shift_jis")).pins is not None
    assert trace_of("SET app.tenant = 'ソ'".encode()).pins is None
