"""`FROM ask('...')`: the carrier that stands inside other SQL.

A call of `ask` by its bare name, as an item of FROM, with one string literal. `ask` in the select list, a
column or a table of that name, and a function `ask` called with its schema are the database's own.

It does not know the other carriers, nor what takes the question's place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from proxy.errors import CarrierError
from proxy.policy.parser import Token, byte_to_character, nodes, nodes_of

MAX_QUESTION = 4000
"""Characters of one question."""

HINT_FORMS = "Write ASK 'your question' or SELECT * FROM ask('your question')."
HINT_INLINE = (
    "Write the question into the text as a literal: a parameter's value comes after the statement is "
    "described, too late to become SQL."
)

_TEXT_TYPES = frozenset({"text", "varchar", "bpchar", "unknown"})
_CARRYING = frozenset({"declare_cursor_stmt", "explain_stmt", "prepare_stmt", "copy_stmt"})
"""Statements that may carry a question besides SELECT: those whose field `query` is a SELECT."""


@dataclass(frozen=True, slots=True)
class Found:
    """One carrier: the question's text, the stretch (characters from 0) it takes, and what takes its place.

    `form` holds the generated SQL in its braces.
    """

    text: str = field(repr=False)
    start: int
    end: int
    form: str


def find_calls(sql: str, tokens: Sequence[Token], tree: Any) -> list[Found]:
    """Every `FROM ask('...')` of the text. `tokens` are the text's, without comments; `tree` is its parse.

    Raises:
        CarrierError: a call that cannot be a question.
    """
    found = []
    for raw in tree.stmts:
        for item in (node for node in nodes_of(raw.stmt) if isinstance(node, nodes.RangeFunction)):
            for call in _ask_calls(item):
                start = byte_to_character(sql, call.location)
                _check_statement(raw.stmt, start)
                found.append(_call(tokens, item, call, start))
    return found


def check_text(text: str, start: int) -> None:
    """Refuse a question that is empty or too long; `start` is its carrier's place."""
    if not text:
        raise CarrierError("the question is empty", hint=HINT_FORMS, position=start + 1)
    if len(text) > MAX_QUESTION:
        raise CarrierError(
            f"the question is longer than {MAX_QUESTION} characters",
            hint="Ask for one thing at a time.",
            position=start + 1,
        )


def _ask_calls(item: Any) -> Iterator[Any]:
    for function in item.functions:
        for part in function.list.items:
            if part.HasField("func_call") and [n.string.sval for n in part.func_call.funcname] == ["ask"]:
                yield part.func_call


def _check_statement(statement: Any, start: int) -> None:
    """Refuse a question in a statement that writes or keeps the SQL: it is answered once, and only reads."""
    kind = statement.WhichOneof("node")
    inner = getattr(statement, kind).query if kind in _CARRYING else statement
    if kind == "explain_stmt" and inner.WhichOneof("node") == "declare_cursor_stmt":
        inner = inner.declare_cursor_stmt.query
    if inner.WhichOneof("node") != "select_stmt" or inner.select_stmt.HasField("into_clause"):
        raise CarrierError(
            "ask(...) in a statement that does more than read",
            detail="A question stands in SELECT, or in DECLARE, COPY, EXPLAIN or PREPARE of a SELECT.",
            hint="Ask first, then write the rows with a statement of your own.",
            position=start + 1,
        )


def _call(tokens: Sequence[Token], item: Any, call: Any, start: int) -> Found:
    """The question of one call, with the stretch from the name to the closing parenthesis."""
    position = start + 1
    if item.ordinality or item.is_rowsfrom:
        word = "WITH ORDINALITY" if item.ordinality else "ROWS FROM"
        raise CarrierError(f"ask(...) does not take {word}", hint=HINT_FORMS, position=position)
    if item.coldeflist:
        raise CarrierError(
            "ask(...) does not take a column definition list",
            hint="Name the columns without types, as in ask('...') AS t(a, b).",
            position=position,
        )
    text = _argument(call, position).strip()
    check_text(text, start)
    form = "({})" if item.HasField("alias") else "({}) AS ask"
    return Found(text, start, _closing(tokens, start), form)


def _argument(call: Any, position: int) -> str:
    """The literal that `ask` is called with."""
    adorned = call.agg_order or call.agg_distinct or call.agg_star or call.func_variadic
    if len(call.args) != 1 or adorned or call.HasField("agg_filter") or call.HasField("over"):
        raise CarrierError("ask(...) takes one string literal", hint=HINT_FORMS, position=position)
    value = call.args[0]
    while value.HasField("type_cast") and _is_text(value.type_cast.type_name):
        value = value.type_cast.arg
    if value.HasField("a_const") and value.a_const.HasField("sval"):
        return str(value.a_const.sval.sval)
    if value.HasField("param_ref"):
        raise CarrierError("the question of ask(...) is a parameter", hint=HINT_INLINE, position=position)
    raise CarrierError(
        "the question of ask(...) is not a string literal",
        hint=f"{HINT_INLINE} A function of your own named ask is called with its schema.",
        position=position,
    )


def _is_text(type_name: Any) -> bool:
    names = [part.string.sval for part in type_name.names]
    return bool(names) and names[-1] in _TEXT_TYPES and not type_name.array_bounds


def _closing(tokens: Sequence[Token], start: int) -> int:
    """The end of the parenthesis that closes the call whose name stands at `start`."""
    depth = 0
    for token in tokens:
        if token.start < start or token.kind not in {"ASCII_40", "ASCII_41"}:
            continue
        depth += 1 if token.kind == "ASCII_40" else -1
        if depth == 0:
            return token.end
    raise CarrierError("ask(...) is not closed", hint=HINT_FORMS, position=start + 1)
