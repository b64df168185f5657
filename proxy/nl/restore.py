"""A placeholder in generated SQL becomes the value that it stands for, as a value in the tree, never as text.

A placeholder may be a whole string constant, or stand inside the pattern of LIKE, ILIKE, SIMILAR TO or a regular
expression, where the value's own wildcards are escaped. Anywhere else it is refused: in an identifier, an alias, a
comment, or a part of another string, a value would become a name or change what the string means. So is a text in
a placeholder's form that is none of the question's: a model invented it.

It does not know what the values are, or which statement may run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from proxy.errors import PlaceholderError
from proxy.nl.ports import Secret, Vault
from proxy.policy.parser import SyntaxProblem, nodes, scan

Escape = Callable[[str], str]

_REGEX_OPERATORS = frozenset({"~", "~*", "!~", "!~*"})
_LIKE_OPERATORS = frozenset({"~~", "~~*", "!~~", "!~~*"})
_LIKE_KINDS = frozenset({"AEXPR_LIKE", "AEXPR_ILIKE"})
_REGEX_FUNCTIONS = frozenset(
    {
        "regexp_count",
        "regexp_instr",
        "regexp_like",
        "regexp_match",
        "regexp_matches",
        "regexp_replace",
        "regexp_split_to_array",
        "regexp_split_to_table",
        "regexp_substr",
        "substring",
    }
)
"""Their second argument is a regular expression (PostgreSQL manual, 9.7.3)."""

_PATTERN_FUNCTIONS = frozenset({"concat", "lower", "upper"})
"""Functions that a pattern may be built with: they keep what was escaped."""

_ESCAPE_FUNCTIONS = frozenset({"like_escape", "similar_to_escape"})
"""What the grammar makes of LIKE ... ESCAPE and of SIMILAR TO."""

_SIMILAR_SPECIAL = "%_|*+?{}()[]"
_REGEX_SPECIAL = ".^$*+?()[]{}|\\"


@dataclass(frozen=True, slots=True)
class Restorer:
    """The placeholders of one question.

    `tokens` are those that the question holds. `known` are names of the schema in lower case: never placeholders.
    """

    vault: Vault
    tokens: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()

    def restore(self, tree: Any) -> None:
        """Put the vault's values into a parse tree, in place.

        Raises:
            PlaceholderError: a placeholder, or what looks like one, where no value can stand.
        """
        self._walk(tree, None)

    def refuse_in_comments(self, sql: str) -> None:
        """Refuse a placeholder in a comment, which no tree shows. Text without tokens is left to the grammar.

        Raises:
            PlaceholderError: a comment mentions a placeholder.
        """
        try:
            tokens = scan(sql)
        except SyntaxProblem:
            return
        for token in tokens:
            if token.kind in {"SQL_COMMENT", "C_COMMENT"} and self._mentions(sql[token.start : token.end]):
                raise _misplaced("a comment")

    def _walk(self, node: Any, pattern: Escape | None) -> None:
        """Restore below `node`. `pattern`: how values are escaped here, None where this is no pattern."""
        if isinstance(node, nodes.A_Const):
            if node.HasField("sval"):
                node.sval.sval = self._value(node.sval.sval, pattern)
            return
        for place, child in _children(node):
            if not isinstance(child, str):
                self._walk(child, _pattern_below(node, place, child, pattern))
            elif self._mentions(child):
                raise _misplaced("a name")

    def _value(self, text: str, pattern: Escape | None) -> str:
        """A constant's text with its placeholders restored."""
        secret = self.vault.lookup(text)
        if secret is not None:
            return _spelled(secret, pattern)
        pieces: list[str] = []
        done = 0
        for start, end, token in sorted(self.vault.find(text)):
            secret = self.vault.lookup(token)
            if secret is None or start < done or pattern is None:
                raise _misplaced("a part of a longer string")
            pieces += [self._plain(text[done:start]), _spelled(secret, pattern)]
            done = end
        return "".join([*pieces, self._plain(text[done:])])

    def _plain(self, piece: str) -> str:
        """A piece of a constant that must hold no placeholder, of this question or of any other."""
        if self._mentions(piece):
            raise PlaceholderError(
                "the SQL for the question uses a placeholder that the question does not have",
                detail="Only the words listed as placeholders stand for values, each spelled as it is.",
                hint="Ask again in other words.",
            )
        return piece

    def _mentions(self, text: str) -> bool:
        """Whether the text holds a placeholder, glued to other letters too, or something in a placeholder's form."""
        folded = text.upper()
        glued = any(token in folded for token in self.tokens)
        return glued or bool(self.vault.find(text)) or bool(self.vault.suspicious(text, self.known))


def _spelled(secret: Secret, pattern: Escape | None) -> str:
    """The value as the database spells it, where this role may know that; else as the client does."""
    value = secret.stored if secret.stored is not None else secret.value
    return pattern(value) if pattern else value


def like_escape(escape: str) -> Escape:
    """Escapes `%`, `_` and the escape character itself (PostgreSQL manual, 9.7.1)."""
    return lambda value: _escaped(value, f"%_{escape}", escape)


def similar_escape(escape: str) -> Escape:
    """Escapes the metacharacters of SIMILAR TO (PostgreSQL manual, 9.7.2)."""
    return lambda value: _escaped(value, f"{_SIMILAR_SPECIAL}{escape}", escape)


def regex_escape(value: str) -> str:
    """Escapes the metacharacters of PostgreSQL's regular expressions (manual, 9.7.3)."""
    return _escaped(value, _REGEX_SPECIAL, "\\")


def _escaped(value: str, special: str, escape: str) -> str:
    return "".join(f"{escape}{c}" if c in special else c for c in value)


def _children(node: Any) -> Iterator[tuple[str, Any]]:
    """Every message and string below the node, with its field; `args.1` for the second of `args`."""
    for descriptor, value in node.ListFields():
        for i, item in enumerate(value if descriptor.is_repeated else [value]):
            if descriptor.message_type is not None or isinstance(item, str):
                yield f"{descriptor.name}.{i}", item


# -- patterns --


def _pattern_below(node: Any, place: str, child: Any, pattern: Escape | None) -> Escape | None:
    """How values are escaped in `child`, which stands in `place` of `node`; `pattern` holds in `node` itself."""
    if isinstance(node, nodes.A_Expr):
        return _in_operator(node, place, child, pattern)
    if isinstance(node, nodes.FuncCall):
        return _in_function(node, place, pattern)
    if pattern is None or isinstance(node, nodes.SubLink):
        return None
    return pattern if isinstance(node, _KEEPS_PATTERN) else _refused


_KEEPS_PATTERN = (nodes.Node, nodes.List, nodes.TypeCast, nodes.CollateClause, nodes.A_ArrayExpr, nodes.CoalesceExpr)


def _in_operator(node: Any, place: str, child: Any, pattern: Escape | None) -> Escape | None:
    kind = nodes.A_Expr_Kind.Name(node.kind)
    operator = node.name[-1].string.sval if node.name else ""
    if place.startswith("rexpr"):
        escape: Escape | None = None
        if kind in _LIKE_KINDS or operator in _LIKE_OPERATORS:
            escape = like_escape("\\")
        elif kind == "AEXPR_SIMILAR":
            escape = similar_escape("\\")
        elif operator in _REGEX_OPERATORS:
            escape = regex_escape
        if escape is not None:
            return escape if kind not in {"AEXPR_OP_ANY", "AEXPR_OP_ALL"} or _is_array(child) else _refused
    return pattern if operator == "||" else None


def _is_array(child: Any) -> bool:
    """ARRAY[...], possibly cast: in any other spelling of an array a value could become two."""
    while child.HasField("type_cast"):
        child = child.type_cast.arg
    return bool(child.HasField("a_array_expr") or child.HasField("sub_link"))


def _in_function(node: Any, place: str, pattern: Escape | None) -> Escape | None:
    name = node.funcname[-1].string.sval
    if name in _ESCAPE_FUNCTIONS and place == "args.0":
        character = _escape_character(node)
        if character is None:
            return _refused
        return similar_escape(character) if name == "similar_to_escape" else like_escape(character)
    if name in _REGEX_FUNCTIONS and place == "args.1":
        return regex_escape
    if pattern is None:
        return None
    return pattern if name in _PATTERN_FUNCTIONS else _refused


def _escape_character(call: Any) -> str | None:
    """The character of an ESCAPE clause; None where it is not one known character."""
    if len(call.args) == 1:
        return "\\"
    constant = call.args[1].a_const
    return str(constant.sval.sval) if len(constant.sval.sval) == 1 else None


def _refused(value: str) -> str:  # noqa: ARG001 - the shape of an Escape
    raise _misplaced("an expression that makes a pattern")


# -- errors --


def _misplaced(where: str) -> PlaceholderError:
    return PlaceholderError(
        f"the SQL for the question uses a placeholder in {where}",
        detail="A placeholder stands for a value: a whole string constant, or inside a pattern.",
        hint="Ask again in other words.",
    )
