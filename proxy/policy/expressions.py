"""SQL that a policy brings along: row filters and the conditions of masks, over a row's columns and the user.

`{user.region}` stands for an attribute of the user's role, `{user.name}` for the login name; both become constants of
their own type when the expression is bound to an identity (`binding`), never text. `{row.id}` is the row's own column
where a sub-SELECT has one of that name too.

What an expression means must not hang on the session: tables carry their schema, functions and types do too or are
pinned to pg_catalog here, and what tells of the session's login or settings is refused. It does not know the catalogue:
whether columns and tables exist is asked where both are at hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeAlias

from proxy.policy import functions, parser
from proxy.policy.describe import readable
from proxy.settings.nearest import nearest

Scalar: TypeAlias = str | int | float | bool
AttributeValue: TypeAlias = Scalar | tuple[Scalar, ...]
"""A list is an array in SQL, of one type."""

ROW: Final = "{row}"
"""The qualifier, in `Expression.sql`, of a column of the row itself."""

Node = Any


@dataclass(frozen=True, slots=True)
class Expression:
    """One boolean SQL expression of a policy, read and found sound.

    `text` is as written. `sql` has $1, $2... where `text` has `{user...}`; `attributes` names them in that order.
    `columns` are the row's columns that it names outside of sub-SELECTs, or as `{row.name}` within.
    """

    text: str
    sql: str
    attributes: tuple[str, ...] = ()
    columns: frozenset[str] = frozenset()


def read_expression(text: str) -> Expression:
    """The expression that a policy has written.

    Raises ValueError, its text saying what is wrong, for what is not exactly one expression of the sort above.
    """
    try:
        sql, attributes = _with_parameters(text)
        tree = parser.parse(f"SELECT (\n{sql}\n)")
    except parser.SyntaxProblem as problem:
        raise ValueError(f"not an SQL expression: {problem.message}") from None
    value = _one_value(tree)
    reader = _Reader()
    reader.walk(value)
    reader.finish()
    try:
        written = parser.deparse(tree)
        same = parser.paired_locations(tree, parser.parse(written)) is not None
    except parser.SyntaxProblem as problem:
        raise ValueError(f"the expression cannot be written out again: {problem.message}") from None
    if not same:
        raise ValueError("the expression cannot be written out again as it is")
    return Expression(text, written.removeprefix("SELECT "), attributes, frozenset(reader.columns))


# {user.x} and {row.x}

_NAME = re.compile(r"[^\W\d]\w*")
_IN_QUOTES = re.compile(r"\{\s*(?:user|row)\s*\.")
_COMMENTS = frozenset({"SQL_COMMENT", "C_COMMENT"})


def is_attribute_name(name: str) -> bool:
    """Whether `{user.name}` can be written for it."""
    return _NAME.fullmatch(name) is not None


def _with_parameters(text: str) -> tuple[str, tuple[str, ...]]:
    """The text with $n for each `{user.x}`, and the attributes in that order. Raises ValueError."""
    tokens = [token for token in parser.scan(text) if token.kind not in _COMMENTS]
    if not tokens:
        raise ValueError("the expression is empty")
    _require_one_piece(text, tokens)
    attributes: list[str] = []
    out, copied, at = "", 0, 0
    while at < len(tokens):
        token = tokens[at]
        at += 1
        if text[token.start : token.end] != "{":
            _require_plain(text, token)
            continue
        inner = tokens[at : at + 4]
        words = [text[t.start : t.end] for t in inner]
        out += text[copied : token.start] + _parameter(words, attributes)
        copied = inner[-1].end
        at += 4
    return out + text[copied:], tuple(attributes)


def _parameter(words: list[str], attributes: list[str]) -> str:
    """The SQL for `{` and these words behind it; a new attribute is added to `attributes`."""
    match words:
        case ["user", ".", name, "}"] if is_attribute_name(name):
            if name not in attributes:
                attributes.append(name)
            # Blanks, because a digit before it or behind it would make another token.
            return f" ${attributes.index(name) + 1} "
        case ["row", ".", name, "}"] if name[0] == '"' or is_attribute_name(name):
            return f' "{ROW}".{name} '
        case _:
            raise ValueError("a { begins {user.attribute} or {row.column}, and nothing else")


def _require_plain(text: str, token: parser.Token) -> None:
    written = text[token.start : token.end]
    if token.kind == "PARAM":
        raise ValueError(f"{written} has no value here: write {{user.attribute}}")
    if _IN_QUOTES.search(written):
        raise ValueError("{user...} within quotes is text: leave out the quotes, it is a value with its own type")
    if ROW in written:
        raise ValueError(f"the name {ROW} is taken")


def _require_one_piece(text: str, tokens: list[parser.Token]) -> None:
    """The text stands between parentheses: it may not close them."""
    if tokens[0].kind in {"SELECT", "VALUES", "WITH", "TABLE"}:
        raise ValueError("a statement is no expression: write a sub-SELECT in parentheses")
    depth = 0
    for token in tokens:
        written = text[token.start : token.end]
        depth += (written == "(") - (written == ")")
        if depth < 0:
            raise ValueError("not an SQL expression: a ) closes nothing")


def _one_value(tree: Node) -> Node:
    statement = tree.stmts[0].stmt.select_stmt
    fields = {field.name for field, _ in statement.ListFields()}
    if len(tree.stmts) != 1 or not fields <= {"target_list", "limit_option", "op"} or len(statement.target_list) != 1:
        raise ValueError("not exactly one SQL expression")
    value = statement.target_list[0].res_target.val
    if value.WhichOneof("node") == "row_expr":
        raise ValueError("not exactly one SQL expression: it gives a row")
    return value


# What an expression may be made of

_WALKED: Final = frozenset(
    """
    A_ArrayExpr A_Const A_Expr A_Indices A_Indirection BitString BoolExpr Boolean BooleanTest CaseExpr CaseWhen
    CoalesceExpr CollateClause Float Integer JoinExpr JsonArgument JsonBehavior JsonFormat JsonFuncExpr
    JsonIsPredicate JsonOutput JsonReturning JsonValueExpr List MinMaxExpr NamedArgExpr Node NullTest ParamRef
    RangeFunction RangeSubselect ResTarget RowExpr SortBy String SubLink WindowDef
    """.split()  # noqa: SIM905 - a table to be read
)

_CLOCK: Final = frozenset({"CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP"})

_OF_THE_SESSION: Final = frozenset(
    {"current_database", "current_role", "current_schema", "current_schemas", "current_setting", "current_user",
     "getpgusername", "session_user", "set_config", "system_user"}
)  # fmt: skip

_TYPES: Final = frozenset(
    """
    bit bool bytea char cidr date datemultirange daterange float4 float8 inet int2 int4 int4multirange int4range int8
    int8multirange int8range interval json jsonb jsonpath macaddr macaddr8 money name numeric nummultirange numrange oid
    point regclass text time timestamp timestamptz timetz tsmultirange tsquery tsrange tstzmultirange tstzrange tsvector
    uuid varbit varchar xml
    """.split()  # noqa: SIM905 - a table to be read
)
"""https://www.postgresql.org/docs/14/datatype.html; others are written with pg_catalog before them."""


@cache
def _function_names() -> frozenset[str]:
    return frozenset(entry.partition("/")[0] for entry in functions.admitted())


class _Reader:
    """One expression's walk: refuses, and pins functions and types to pg_catalog in place."""

    def __init__(self) -> None:
        self.columns: set[str] = set()
        self._ranges: set[str] = set()
        self._qualifiers: set[str] = set()
        self._depth = 0
        self._rules: dict[str, Callable[[Node], None]] = {
            "A_Star": self._star,
            "Alias": self._alias,
            "ColumnRef": self._column,
            "FuncCall": self._function,
            "RangeVar": self._table,
            "SelectStmt": self._select,
            "SQLValueFunction": self._keyword,
            "TypeCast": self._cast,
            "TypeName": self._type,
        }

    def walk(self, message: Node) -> None:
        """Raises ValueError for what no list names."""
        kind = message.DESCRIPTOR.name
        rule = self._rules.get(kind)
        if rule is not None:
            rule(message)
        elif kind in _WALKED:
            self._children(message)
        else:
            raise ValueError(f"{readable(kind)} is not supported in a policy's expression")

    def finish(self) -> None:
        """To be called once, at the end. Raises ValueError for a qualifier that only a client's query could define."""
        for name in sorted(self._qualifiers - self._ranges):
            raise ValueError(f"no table in the expression is called {name}; the row's own columns are {{row.column}}")

    def _children(self, message: Node) -> None:
        for child in children_of(message):
            self.walk(child)

    def _select(self, statement: Node) -> None:
        if statement.HasField("with_clause") or statement.HasField("into_clause") or statement.locking_clause:
            raise ValueError("a sub-SELECT has no WITH, no INTO and no FOR UPDATE here")
        self._depth += 1
        self._children(statement)
        self._depth -= 1

    def _table(self, reference: Node) -> None:
        if reference.catalogname or not reference.schemaname:
            raise ValueError(f"the table {reference.relname} needs its schema: write schema.{reference.relname}")
        if reference.schemaname.startswith(("pg_temp", "pg_toast")):
            raise ValueError(f"the schema {reference.schemaname} is the session's or the system's own")
        self._ranges.add(reference.relname)
        self._children(reference)

    def _alias(self, alias: Node) -> None:
        self._ranges.add(alias.aliasname)

    def _column(self, reference: Node) -> None:
        names = [field.string.sval for field in reference.fields]
        if names[0] == ROW:
            self.columns.add(names[-1])
        elif not self._depth:
            if not names[-1]:
                raise ValueError("* names no column")
            if len(names) > 1:
                raise ValueError(f"the column {'.'.join(names)} has a qualifier: write {names[-1]} alone")
            self.columns.add(names[-1])
        elif len(names) > 1:
            self._qualifiers.add(names[-2])

    def _star(self, star: Node) -> None:
        del star
        if not self._depth:
            raise ValueError("* names no column")

    def _function(self, call: Node) -> None:
        parts = [part.string.sval for part in call.funcname]
        name = parts[-1]
        if name in _OF_THE_SESSION and parts[:-1] in ([], ["pg_catalog"]):
            raise ValueError(f"{name} tells of the server's own login or the session's settings: write {{user.name}}")
        if len(parts) == 1:
            if name not in _function_names():
                near = nearest(name, _function_names()) if name else ""
                hint = near if "did you mean" in near else ""
                raise ValueError(f"{name} is no built-in function that may run{hint or ': write schema.' + name}")
            del call.funcname[:]
            for part in ("pg_catalog", name):
                call.funcname.add().string.sval = part
        for child in children_of(call):
            if child.DESCRIPTOR.name != "Node" or child.WhichOneof("node") != "string":
                self.walk(child)

    def _keyword(self, keyword: Node) -> None:
        word = parser.nodes.SQLValueFunctionOp.Name(keyword.op).removeprefix("SVFOP_").removesuffix("_N")
        if word not in _CLOCK:
            raise ValueError(f"{word} tells of the server's own login or the session's settings: write {{user.name}}")

    def _cast(self, cast: Node) -> None:
        self._children(cast)
        constant = cast.arg.a_const
        if cast.type_name.names[-1].string.sval == "bool" and constant.sval.sval in {"t", "f"}:
            # As a string it deparses to a bare true, which parses to another tree.
            constant.boolval.boolval = constant.sval.sval == "t"

    def _type(self, name: Node) -> None:
        parts = [part.string.sval for part in name.names]
        if name.pct_type or name.setof or not parts:
            raise ValueError("%TYPE and SETOF are not supported in a policy's expression")
        if len(parts) == 1:
            if parts[0] not in _TYPES:
                near = nearest(parts[0], _TYPES)
                hint = near if "did you mean" in near else f": write schema.{parts[0]}"
                raise ValueError(f"{parts[0]} is no built-in type{hint}")
            del name.names[:]
            for part in ("pg_catalog", parts[0]):
                name.names.add().string.sval = part
        for child in (*name.typmods, *name.array_bounds):
            self.walk(child)


def children_of(message: Node) -> Iterator[Node]:
    """The messages in a node's fields, in the order of the fields."""
    for field, value in message.ListFields():
        if field.message_type is not None:
            yield from value if field.is_repeated else (value,)
