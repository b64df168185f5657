"""What an error or a notice of the server may still say to a masked role.

Values reach these texts by two ways. Some fields are made of values (a constraint's DETAIL, the context of COPY, the
query inside a function): they are dropped whole. And code that users wrote can put anything into any text: whatever
comes from inside a function or a DO block keeps its SQLSTATE and loses its words. The other messages are PostgreSQL's
templates, filled with identifiers and with constants of a statement that has only met masked values.

Positions count in the text that the server got, so they go through `Plan.original_position` or are dropped.

It does not know which tables a statement touched: what is not certain is dropped for all of them.
https://www.postgresql.org/docs/current/protocol-error-fields.html
"""

from __future__ import annotations

import re
from collections.abc import Callable

from proxy.wire.messages import ErrorResponse, NoticeResponse

Position = Callable[[int], int | None]
"""The client's position for the server's, both in characters from 1, or None where there is none."""

KEPT = frozenset("SVCMHstcdnFLR")
KEPT_OF_USER_CODE = frozenset("SVC")
QUIET = frozenset({"LOG", "INFO", "DEBUG", "DEBUG1", "DEBUG2", "DEBUG3", "DEBUG4", "DEBUG5"})
"""Severities that are the server talking to its administrator."""

RAISED = "P0001"
NO_STATE = "00000"
HIDDEN = "raised inside a function, whose messages this role does not see"

_HARMLESS_CONTEXT = re.compile(
    r"""(?: JSON\ data,\ | parallel\ worker$ | unnamed\ portal\  | portal\ " | extended\ query\ with\ parameters
    | while\ (?:locking|updating|deleting|inserting\ index|rechecking)\  )""",
    re.VERBOSE,
)
_USER_CODE_FILES = ("pl_exec.c", "pl_handler.c", "functions.c", "plperl.c", "spi.c", "plpgsql")


def scrub_error(error: ErrorResponse, position: Position) -> ErrorResponse:
    """The error as a masked role may see it."""
    if _is_user_code(error):
        return ErrorResponse(_hidden(error))
    return ErrorResponse(_kept(error) + _position(error, position))


def scrub_notice(notice: NoticeResponse, position: Position) -> NoticeResponse | None:
    """The notice as a masked role may see it, or None where it may not see it at all."""
    if notice.severity in QUIET:
        return None
    if _is_user_code(notice):
        return NoticeResponse(_hidden(notice))
    return NoticeResponse(_kept(notice) + _position(notice, position))


def _is_user_code(report: ErrorResponse | NoticeResponse) -> bool:
    """Whether code of a user had a hand in the text: by SQLSTATE, by the C routine, or by a context that is not known.

    COPY's context is not a harmless one: a foreign table over a file has it too, around values that no mask has met.
    Contexts are translated where lc_messages says so; a translated one is not known, so its text is lost. A notice with
    the plain SQLSTATE 00000 is raised by utility commands too, and those have no context.
    """
    routine, file = report.get("R") or "", report.get("F") or ""
    if report.sqlstate == RAISED or routine == "exec_stmt_raise" or file.endswith(_USER_CODE_FILES):
        return True
    context = report.get("W")
    return context is not None and not all(map(_HARMLESS_CONTEXT.match, context.splitlines()))


def _hidden(report: ErrorResponse | NoticeResponse) -> tuple[tuple[str, str], ...]:
    """RAISE may choose any five characters as SQLSTATE, so what it raised carries the one it has by default."""
    kind, default = ("an error", RAISED) if isinstance(report, ErrorResponse) else ("a message", NO_STATE)
    raised = report.get("R") == "exec_stmt_raise"
    fields = [
        (code, default if code == "C" and raised else text) for code, text in report.fields if code in KEPT_OF_USER_CODE
    ]
    return (*fields, ("M", f"{kind} was {HIDDEN}"))


def _kept(report: ErrorResponse | NoticeResponse) -> tuple[tuple[str, str], ...]:
    return tuple((code, text) for code, text in report.fields if code in KEPT)


def _position(report: ErrorResponse | NoticeResponse, position: Position) -> tuple[tuple[str, str], ...]:
    text = report.get("P")
    found = position(int(text)) if text is not None and text.isascii() and text.isdigit() else None
    return () if found is None else (("P", str(found)),)


def nowhere(_position: int) -> None:
    """For text that is not the client's: no position in it means anything to the client."""


def unmoved(position: int) -> int:
    """For text that was sent as it came."""
    return position
