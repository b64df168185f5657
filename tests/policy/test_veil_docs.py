"""docs/veil.md says what the code does."""

from __future__ import annotations

from pathlib import Path

from proxy.policy.settings_list import CHANGEABLE, FIXED
from proxy.policy.statements import IMPLEMENTED

PAGE = (Path(__file__).parents[2] / "docs" / "veil.md").read_text(encoding="utf-8")


def test_every_setting_is_listed() -> None:
    assert [name for name in sorted(CHANGEABLE) if f"`{name}`" not in PAGE] == []


def test_fixed_settings_are_named() -> None:
    assert [name for name in FIXED if f"`{name}`" not in PAGE] == []


def test_every_implemented_kind_has_a_row() -> None:
    words = {
        "select": "SELECT", "explain": "EXPLAIN", "copy_out": "COPY", "cursor": "DECLARE", "prepare": "PREPARE",
        "transaction": "BEGIN", "show": "SHOW", "set": "SET", "insert": "INSERT", "update": "UPDATE",
        "delete": "DELETE", "merge": "MERGE", "copy_in": "COPY ... FROM", "temp": "CREATE TEMP TABLE",
    }  # fmt: skip
    rows = [line for line in PAGE.splitlines() if line.startswith("|")]
    assert {kind.value for kind in IMPLEMENTED} == set(words)
    assert [w for w in words.values() if not any(w in row for row in rows)] == []
