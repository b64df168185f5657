"""How a refused message leaves the line: a poison statement goes upstream, and our error comes back in its place.

The poison is valid SQL that always fails when the server analyses it. So the transaction, implicit or not, fails as
it would for any wrong statement, and the server itself skips to Sync: nothing here has to imitate it. The server's
error for the poison is swallowed and the refusal is sent in its place; any other error (the transaction has failed
already, the statement was cancelled) is the server's own answer and is passed on.

It does not know what is refused, or why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from proxy.policy.plan import Refusal
from proxy.wire.messages import ErrorResponse, Parse, Query

POISON = b"SELECT pg_catalog.pgveil_refused()"
POISONED = "42883"
"""undefined_function: the only SQLSTATE that a refusal replaces."""
POISON_NAME = "pgveil refused"
"""A statement that is never made, for refusing a message that is no Parse: the unnamed one may be in use."""

_STALE = Refusal(
    "0A000",
    "cached plan must not change result type",
    detail="The policy or the catalogue has changed since the statement was prepared.",
    hint="Prepare the statement again.",
)


def poison_query() -> Query:
    return Query(POISON)


def poison_parse(name: str = POISON_NAME) -> Parse:
    """For a refused Parse, under its own name: a failed Parse of the unnamed statement forgets the old one."""
    return Parse(name, POISON)


def poison_for(message: Query | Parse | None) -> Query | Parse:
    """In place of a message that is refused; None: of one that is neither, and is extended."""
    if isinstance(message, Query):
        return poison_query()
    return poison_parse() if message is None else poison_parse(message.name)


def refusal_response(refusal: Refusal) -> ErrorResponse:
    """The refusal as the client sees it."""
    fields = (
        ("S", "ERROR"),
        ("V", "ERROR"),
        ("C", refusal.sqlstate),
        ("M", refusal.message),
        ("D", refusal.detail),
        ("H", refusal.hint),
        ("P", None if refusal.position is None else str(refusal.position)),
    )
    return ErrorResponse(tuple((code, text) for code, text in fields if text is not None))


def stale_response() -> ErrorResponse:
    """PostgreSQL's own words and routine, by which drivers know that they have to prepare again."""
    refused = refusal_response(_STALE)
    return ErrorResponse((*refused.fields, ("F", "plancache.c"), ("R", "RevalidateCachedQuery")))


CANCELLED = Refusal("57014", "canceling statement due to user request")
TOO_MANY_NAMES = Refusal(
    "53400",
    "too many prepared statements or portals in one session",
    hint="Close the ones that are no longer needed.",
)
TOO_LONG = Refusal("54000", "the statement is too long to be analysed", hint="Send it in parts.")
NO_FUNCTION_CALL = Refusal(
    "42501",
    "this role may not call functions by OID",
    hint="Call the function in a SELECT.",
)
PATH_AND_MORE = Refusal(
    "0A000",
    "a text that changes search_path cannot go on with statements that are resolved by it",
    hint="Send the SET by itself, and the rest after it.",
)
TEMP_AND_MORE = Refusal(
    "0A000",
    "a text that makes or drops a temporary table cannot go on with statements that name things",
    hint="Send it by itself, and the rest after it.",
)
END_AND_MORE = Refusal(
    "0A000",
    "a text that ends a transaction with changes to search_path or temporary tables cannot go on with statements that "
    "name things",
    hint="Send the end of the transaction by itself, and the rest after it.",
)
EXECUTES_QUERIES = Refusal(
    "0A000",
    "EXECUTE runs queries only for this role",
    hint="Bind and execute the statement by protocol, or send it by itself.",
)
CURSOR_STALE = Refusal(
    "55000",
    "the policy has changed since the cursor was declared",
    hint="Declare the cursor again.",
)


def placed_response(refusal: Refusal, position: Callable[[int], int | None]) -> ErrorResponse:
    """The same with the refusal's position moved to the client's own text."""
    where = None if refusal.position is None else position(refusal.position)
    return refusal_response(replace(refusal, position=where))
