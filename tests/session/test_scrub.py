"""What errors and notices may still say to a masked role."""

from __future__ import annotations

import pytest

from proxy.scrub import nowhere, scrub_error, scrub_notice, unmoved
from proxy.wire.messages import ErrorResponse, NoticeResponse

SECRET = "123-45-6789"

EVERYTHING = {
    "S": "ERROR",
    "V": "ERROR",
    "C": "23505",
    "M": 'duplicate key value violates unique constraint "emp_ssn_key"',
    "D": f"Key (ssn)=({SECRET}) already exists.",
    "H": "A hint.",
    "P": "8",
    "p": "9",
    "q": f"SELECT {SECRET}",
    "s": "hr",
    "t": "emp",
    "c": "ssn",
    "d": "text",
    "n": "emp_ssn_key",
    "F": "nbtinsert.c",
    "L": "666",
    "R": "_bt_check_unique",
}


def error(**fields: str) -> ErrorResponse:
    return ErrorResponse(tuple({"S": "ERROR", "V": "ERROR", "C": "22012", "M": "words", **fields}.items()))


def notice(severity: str = "NOTICE", **fields: str) -> NoticeResponse:
    return NoticeResponse(tuple({"S": severity, "V": severity, "C": "00000", "M": "words", **fields}.items()))


def test_fields_made_of_values_are_dropped_and_the_others_kept() -> None:
    shown = scrub_error(ErrorResponse(tuple(EVERYTHING.items())), unmoved)
    assert dict(shown.fields) == {k: v for k, v in EVERYTHING.items() if k not in {"D", "p", "q"}}


@pytest.mark.parametrize(("position", "expected"), [(unmoved, "8"), (nowhere, None), (lambda at: at + 10, "18")])
def test_the_position_is_the_clients(position: object, expected: str | None) -> None:
    shown = scrub_error(error(P="8"), position)  # type: ignore[arg-type]
    assert shown.get("P") == expected


@pytest.mark.parametrize("text", ["", "x", "-1", "٣", "1.5"])
def test_a_position_that_is_no_number_is_dropped(text: str) -> None:
    assert scrub_error(error(P=text), unmoved).get("P") is None


USER_CODE = [
    {"C": "P0001", "M": SECRET},
    {"M": SECRET, "R": "exec_stmt_raise", "F": "pl_exec.c"},
    {"M": f'invalid input: "{SECRET}"', "W": "PL/pgSQL function f(text) line 3 at assignment"},
    {"M": f'invalid input: "{SECRET}"', "W": 'SQL function "f" statement 1'},
    {"M": f'invalid input: "{SECRET}"', "W": "fonction PL/pgSQL f(text), ligne 3"},
    {"M": f'invalid input: "{SECRET}"', "W": f'COPY emp, line 1, column ssn: "{SECRET}"'},
    {"M": f'invalid input: "{SECRET}"', "W": "JSON data, line 1: {\nSQL function f"},
    {"M": SECRET, "F": "plpy_elog.c", "W": "PL/Python function f"},
]


@pytest.mark.parametrize("fields", USER_CODE)
def test_words_of_a_users_code_are_lost(fields: dict[str, str]) -> None:
    shown = scrub_error(error(**fields, H=SECRET, c=SECRET, t=SECRET), unmoved)
    assert SECRET not in str(shown.fields)
    assert "inside a function" in (shown.get("M") or "")


def test_a_sqlstate_that_raise_chose_is_lost_and_the_servers_own_is_kept() -> None:
    raised = scrub_error(error(C="SECRT", R="exec_stmt_raise", W="PL/pgSQL function f() line 1 at RAISE"), unmoved)
    inside = scrub_error(error(C="22012", W="PL/pgSQL function f() line 1 at RETURN"), unmoved)
    assert raised.sqlstate == "P0001"
    assert inside.sqlstate == "22012"


@pytest.mark.parametrize(
    "context",
    ["JSON data, line 1: {...", "parallel worker", "unnamed portal with parameters: $1 = 'x'", 'portal "c" with x'],
)
def test_a_context_of_the_servers_own_is_dropped_and_the_words_kept(context: str) -> None:
    shown = scrub_error(error(W=context), unmoved)
    assert shown.get("M") == "words"
    assert shown.get("W") is None


@pytest.mark.parametrize("severity", ["LOG", "INFO", "DEBUG", "DEBUG1", "DEBUG5"])
def test_what_the_server_tells_its_administrator_is_not_shown(severity: str) -> None:
    assert scrub_notice(notice(severity), unmoved) is None


def test_a_notice_of_the_server_is_shown_without_detail() -> None:
    shown = scrub_notice(notice(D=SECRET), unmoved)
    assert shown is not None
    assert (shown.get("M"), shown.get("D")) == ("words", None)


def test_a_raised_notice_loses_its_words() -> None:
    shown = scrub_notice(notice(M=SECRET, C="SECRT", R="exec_stmt_raise", W="PL/pgSQL function f()"), unmoved)
    assert shown is not None
    assert SECRET not in str(shown.fields)
    assert shown.sqlstate == "00000"
