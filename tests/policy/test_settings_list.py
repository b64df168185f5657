"""What a masked session may SET, RESET and SHOW."""

from __future__ import annotations

import pytest

from proxy.policy.settings_list import may_reset, may_search, may_set, may_show


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("statement_timeout", "5s"),
        ("DateStyle", "ISO, MDY"),
        ("TimeZone", "Asia/Kolkata"),
        ("application_name", "psql"),
        ("extra_float_digits", "3"),
        ("client_encoding", "UTF8"),
        ("client_encoding", "utf-8"),
        ("standard_conforming_strings", "on"),
        ("client_min_messages", "warning"),
        ("search_path", "hr, public"),
        ("search_path", '"$user", public'),
        ("search_path", "pg_catalog, hr"),
        ("default_text_search_config", "pg_catalog.simple"),
        ("effective_cache_size", "4GB"),
        ("synchronize_seqscans", "off"),
    ],
)
def test_may_set(name: str, value: str) -> None:
    assert may_set(name, value) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("role", "postgres"),
        ("session_authorization", "postgres"),
        ("standard_conforming_strings", "off"),
        ("client_encoding", "LATIN1"),
        ("client_min_messages", "debug1"),
        ("client_min_messages", "log"),
        ("search_path", "hr, pg_catalog"),
        ("search_path", "pg_temp"),
        ("row_security", "off"),
        ("session_replication_role", "replica"),
        ("log_statement", "all"),
        ("app.secret", "x"),
        ("a_setting_of_the_future", "x"),
        ("transform_null_equals", "on"),
        ("lc_messages", "C"),
        ("local_preload_libraries", "x"),
        ("debug_print_plan", "on"),
        ("default_tablespace", "x"),
    ],
)
def test_may_not_set(name: str, value: str) -> None:
    refusal = may_set(name, value)
    assert refusal is not None
    assert refusal.sqlstate == "42501"
    assert f'"{name}"' in refusal.message


def test_pg_dump_is_told_who_can_dump() -> None:
    refusal = may_set("row_security", "off")
    assert refusal is not None
    assert "cannot dump" in refusal.message
    assert "bypass" in (refusal.hint or "")


def test_reset_gives_back_the_login_value_of_what_may_be_set() -> None:
    assert may_reset("work_mem") is None
    assert may_reset("ALL") is None
    assert may_reset("role") is not None
    assert may_reset("session_authorization") is not None


def test_show() -> None:
    assert may_show("server_version") is None
    assert may_show("search_path") is None
    for name in ("app.secret", "all", "primary_conninfo", "hba_file"):
        assert may_show(name) is not None


def test_search_path_with_quoted_parts() -> None:
    assert may_search(["hr", "a schema, with a comma"]) is None
    assert may_search(["hr", "pg_toast"]) is not None
