"""PostgreSQL's own grammar, through libpg_query: the only module that knows which binding is used.

What runs for a masked role is decided on these trees and on nothing else. Offsets that libpg_query counts in bytes of
UTF-8 are turned into characters here, because positions of the wire protocol count characters.

It does not resolve names or types: that takes the catalogue, and is `rewrite`'s.
"""

from __future__ import annotations

import ctypes
import os
import re
import threading
from bisect import bisect_left
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeAlias

# The binding's wrappers check nothing that protobuf's pure-Python fallback would: the C implementation is wanted.
os.environ.setdefault("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "upb")

import postgast
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from postgast import errors, native
from postgast import pg_query_pb2 as nodes

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = [
    "ParseTree",
    "SyntaxProblem",
    "Token",
    "byte_to_character",
    "deparse",
    "faithful_text",
    "fingerprint",
    "integer_tokens",
    "nodes",
    "nodes_of",
    "original_position",
    "paired_locations",
    "parse",
    "same_but_locations",
    "scan",
    "without_locations",
]

ParseTree: TypeAlias = Any
"""A `ParseResult` of protobuf: its generated stub is not usable by type checkers."""

SHALLOW_TEXT = 16_384
"""Characters. A chain of operators in a longer text could overflow a thread's usual stack of 8 MB."""

DEEP_STACK = 1 << 30

_OPERATOR_RUN = re.compile(r"[-+*/<>=~!@#%^&|`?]{65,}")

LOCATION_FIELDS = frozenset(
    {"location", "stmt_location", "stmt_len", "rexpr_list_start", "rexpr_list_end", "list_start", "list_end"}
)
"""Offsets into the text: they differ between two texts of one tree."""


class SyntaxProblem(Exception):  # noqa: N818 - PostgreSQL's grammar's own word, and no fault of the program
    """PostgreSQL's grammar refuses the text. `position` counts characters from 1, or is None."""

    def __init__(self, message: str, position: int | None) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


@dataclass(frozen=True, slots=True)
class Token:
    """A token with its place in the text, in characters. `kind` is libpg_query's name: IDENT, SCONST, C_COMMENT..."""

    kind: str
    start: int
    end: int
    keyword: bool = False


def parse(sql: str) -> ParseTree:
    """The tree of every statement in `sql`.

    Raises:
        SyntaxProblem: PostgreSQL would answer with a syntax error, or the text nests too deeply to be analysed.
    """
    _require_lexable(sql)
    # libpg_query writes its tree recursively, and a chain such as 1+1+1... is as deep as it is long.
    return _parse(sql) if len(sql) <= SHALLOW_TEXT else _deep_stack().submit(_parse, sql).result()


def _parse(sql: str) -> ParseTree:
    try:
        try:
            return nodes.ParseResult.FromString(_parsed(sql))
        except postgast.PgQueryError:
            # libpg_query takes NULLS FIRST and its like for one token each, and no comment between their words.
            blank = _without_comments(sql)
            if blank == sql:
                raise
            return nodes.ParseResult.FromString(_parsed(blank))
    except postgast.PgQueryError as error:
        raise SyntaxProblem(error.message, _character(sql, error.cursorpos)) from None
    except DecodeError:
        # protobuf decodes at most 100 levels of messages: about 45 nested parentheses or operators.
        raise SyntaxProblem("the statement nests too deeply to be analysed", None) from None


def _without_comments(sql: str) -> str:
    """The text with blanks for comments, line ends kept, so that every other byte stays where it is."""
    if "--" not in sql and "/*" not in sql:
        return sql
    text = bytearray(sql.encode())
    for token in postgast.scan(sql).tokens:
        if token.token in _COMMENTS:
            text[token.start : token.end] = re.sub(rb"[^\n]", b" ", bytes(text[token.start : token.end]))
    return text.decode()


_COMMENTS = frozenset({nodes.Token.Value("SQL_COMMENT"), nodes.Token.Value("C_COMMENT")})


def _parsed(sql: str) -> bytes:
    """The tree as libpg_query gives it, serialised: the binding's own function would decode it each time."""
    result = native.lib.pg_query_parse_protobuf(sql.encode())
    try:
        errors.check_error(result)
        return ctypes.string_at(result.parse_tree.data, result.parse_tree.len)
    finally:
        native.lib.pg_query_free_protobuf_parse_result(result)


def _deparsed(tree: bytes) -> str:
    """The text of a serialised tree."""
    data = ctypes.cast(ctypes.c_char_p(tree), ctypes.c_void_p).value
    result = native.lib.pg_query_deparse_protobuf(native.PgQueryProtobuf(len=len(tree), data=data))
    try:
        errors.check_error(result)
        return str(result.query.decode())
    finally:
        native.lib.pg_query_free_deparse_result(result)


@cache
def _deep_stack() -> ThreadPoolExecutor:
    """One thread whose stack (bytes of address space, not of memory) no text of a permitted size can overflow."""
    before = threading.stack_size(DEEP_STACK)
    try:
        executor = ThreadPoolExecutor(1, "pgveil-parse")
        executor.submit(int).result()
    finally:
        threading.stack_size(before)
    return executor


def _require_lexable(sql: str) -> None:
    """Raises SyntaxProblem for what PostgreSQL's scanner reads in quadratic time: it takes a run of operator characters
    whole, gives all but a few of them back, and takes the rest again."""
    if "\0" in sql:
        raise SyntaxProblem("a statement cannot contain a null character", None)
    for run in _OPERATOR_RUN.finditer(sql):
        text = run[0]
        is_comment = text.startswith("--") or (text.startswith("/*") and "/*" not in text[2:] and "*/" not in text[2:])
        if not is_comment and any(c in text for c in "+-/"):
            raise SyntaxProblem("a run of operator characters is too long to be analysed", run.start() + 1)


def deparse(tree: ParseTree) -> str:
    """SQL text of the tree.

    Raises:
        SyntaxProblem: the tree has no text (the caller built something that the grammar cannot say).
    """
    try:
        return _deparsed(tree.SerializeToString())
    except postgast.PgQueryError as error:
        raise SyntaxProblem(error.message, None) from None


def fingerprint(sql: str) -> str:
    """libpg_query's fingerprint: equal for statements that differ in constants only."""
    try:
        return str(postgast.fingerprint(sql).hex)
    except postgast.PgQueryError as error:
        raise SyntaxProblem(error.message, _character(sql, error.cursorpos)) from None


def scan(sql: str) -> list[Token]:
    """The tokens of `sql`, comments included, with offsets in characters.

    Raises:
        SyntaxProblem: an unterminated literal or comment.
    """
    _require_lexable(sql)
    try:
        found = postgast.scan(sql)
    except postgast.PgQueryError as error:
        raise SyntaxProblem(error.message, _character(sql, error.cursorpos)) from None
    offsets = _Offsets(sql)
    names = nodes.Token.DESCRIPTOR.values_by_number
    return [
        Token(
            # A single character outside the grammar, such as a brace, has its code for a number and no name.
            names[t.token].name if t.token in names else "CHARACTER",
            offsets.character(t.start),
            offsets.character(t.end),
            t.keyword_kind != 0,
        )
        for t in found.tokens
    ]


def integer_tokens(sql: str) -> set[tuple[int, int]]:
    """From where to where the scanner takes a text for an integer that fits an int4, in bytes of UTF-8. Only for what
    `parse` takes; raises SyntaxProblem as `scan` does."""
    try:
        found = postgast.scan(sql).tokens
    except postgast.PgQueryError as error:
        raise SyntaxProblem(error.message, None) from None
    return {(token.start, token.end) for token in found if token.token == _INTEGER}


_INTEGER = nodes.Token.Value("ICONST")


class _Offsets:
    """Byte offsets of a text's UTF-8 to character offsets; ASCII costs nothing."""

    def __init__(self, sql: str) -> None:
        self._starts = None if sql.isascii() else list(accumulate((len(c.encode()) for c in sql), initial=0))

    def character(self, offset: int) -> int:
        return offset if self._starts is None else bisect_left(self._starts, offset)


def _character(sql: str, cursor: int) -> int | None:
    """libpg_query's cursor (from 1, in characters in errors of the scanner and grammar) as a position, or None."""
    return cursor if 0 < cursor <= len(sql) + 1 else None


def byte_to_character(sql: str, offset: int) -> int:
    """A node's `location` (bytes from 0) as characters from 0."""
    return _Offsets(sql).character(offset)


def paired_locations(first: Message, second: Message) -> list[tuple[int, int]] | None:
    """None where the trees differ in anything but locations; else each node's pair of them, in order."""
    pairs: list[tuple[int, int]] = []
    return pairs if _same(first, second, pairs) else None


def faithful_text(tree: bytes) -> str | None:
    """SQL text that the grammar reads as this very tree (serialised), locations apart; None where the deparser fails.

    Raises SyntaxProblem where the tree has no text.
    """
    try:
        text = _deparsed(tree)
        # With a blank in front no location is 0, and each node that has one has one in both trees.
        spaced = f" {text}"
        again = _parsed(spaced) if len(text) < SHALLOW_TEXT else _deep_stack().submit(_parsed, spaced).result()
    except postgast.PgQueryError as error:
        raise SyntaxProblem(error.message, None) from None
    if _timeless(tree) == _timeless(again):
        return text
    same = paired_locations(nodes.ParseResult.FromString(tree), nodes.ParseResult.FromString(again))
    return text if same is not None else None


def same_but_locations(first: ParseTree, second: ParseTree) -> bool:
    """Whether two trees are one, locations apart. As `paired_locations`, in a fraction of its time; False as well where
    a node has a location in one and not in the other, or is the first of its text."""
    return _timeless(first.SerializeToString()) == _timeless(second.SerializeToString())


def _timeless(tree: bytes) -> bytes:
    """The tree as bytes in which a location is no more than there or not there."""
    found = _timeless_class().FromString(tree)
    for statement in found.stmts:
        statement.ClearField("stmt_location")
        statement.ClearField("stmt_len")
    return bytes(found.SerializeToString(deterministic=True))


@cache
def _timeless_class() -> Any:
    """ParseResult with booleans for locations: what protobuf compares in C, without a walk in Python."""
    described = descriptor_pb2.FileDescriptorProto()
    nodes.DESCRIPTOR.CopyToProto(described)
    for message in described.message_type:
        for field in message.field:
            if field.name in LOCATION_FIELDS:
                field.type = descriptor_pb2.FieldDescriptorProto.TYPE_BOOL
    pool = descriptor_pool.DescriptorPool()
    pool.Add(described)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(nodes.ParseResult.DESCRIPTOR.full_name))


def original_position(tree: bytes, original: str, position: int) -> int | None:
    """Where the node at `position` (characters from 1) of the text of `tree` stands in `original`, or None.

    Args:
        tree: a serialised tree with locations of `original`.
    """
    first = nodes.ParseResult.FromString(tree)
    text = deparse(first)
    offset = len(text[: position - 1].encode())
    pairs = paired_locations(first, parse(text)) or ()
    found = next((old for old, new in pairs if new == offset and old >= 0), None)
    return None if found is None else byte_to_character(original, found) + 1


def nodes_of(message: Any) -> Iterator[Any]:
    """Every message of a tree, `message` itself first, in the order of the fields."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for child in value if field.is_repeated else (value,):
                yield from nodes_of(child)


def without_locations(tree: Any) -> None:
    """Marks every node as of unknown place, in place: for trees that come from another text."""
    for node in nodes_of(tree):
        if "location" in node.DESCRIPTOR.fields_by_name:
            node.location = -1


def _same(first: Any, second: Any, pairs: list[tuple[int, int]]) -> bool:
    mine = [(f, v) for f, v in first.ListFields() if f.name not in LOCATION_FIELDS]
    other = [(f, v) for f, v in second.ListFields() if f.name not in LOCATION_FIELDS]
    if len(mine) != len(other):
        return False
    if "location" in first.DESCRIPTOR.fields_by_name:
        pairs.append((first.location, second.location))
    for (field, value), (other_field, other_value) in zip(mine, other, strict=True):
        if field.number != other_field.number:
            return False
        if field.message_type is None:
            if value != other_value:
                return False
        elif field.is_repeated:
            if len(value) != len(other_value):
                return False
            if not all(_same(a, b, pairs) for a, b in zip(value, other_value, strict=True)):
                return False
        elif not _same(value, other_value, pairs):
            return False
    return True
