"""The mask sql: an expression of the policy's author over `{value}`, which stands for the column's value.

It is read when the policy loads, and what is not listed here is refused: it is one expression, without other columns,
subqueries, aggregates, or anything that hangs on the session. Its names are the server's own, pinned to pg_catalog so
that no search_path redirects them, or carry a schema. Constructs that look an operator up by themselves and leave no
place to name its schema (BETWEEN, NULLIF, IS DISTINCT FROM, CASE x WHEN) are refused; others become what they mean.

It does not know whether the expression raises, or what a function outside pg_catalog does: that stays with the author,
and `masklints` says what it sees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from proxy.policy import parser
from proxy.policy.functions import may_call
from proxy.policy.maskbase import MaskProblem, SqlMask, case
from proxy.policy.masktypes import Family, SqlType, sql_type

VALUE = "{value}"
_PLAIN = frozenset(
    {
        "Node", "A_Const", "Integer", "Float", "Boolean", "String", "BitString", "BoolExpr", "NullTest", "BooleanTest",
        "CaseWhen", "CoalesceExpr", "MinMaxExpr", "TypeCast", "A_ArrayExpr", "A_Indices", "List",
    }
)  # fmt: skip
"""Nodes that look up no name."""
_MANY_ROWS = frozenset(
    {
        "any_value", "array_agg", "avg", "bit_and", "bit_or", "bit_xor", "bool_and", "bool_or", "corr",
        "count", "covar_pop", "covar_samp", "cume_dist", "dense_rank", "every", "first_value", "grouping",
        "json_agg", "json_agg_strict", "json_object_agg", "json_object_agg_strict", "json_object_agg_unique",
        "json_object_agg_unique_strict", "jsonb_agg", "jsonb_agg_strict", "jsonb_object_agg",
        "jsonb_object_agg_strict", "jsonb_object_agg_unique", "jsonb_object_agg_unique_strict", "lag",
        "last_value", "lead", "max", "min", "mode", "nth_value", "ntile", "percent_rank", "percentile_cont",
        "percentile_disc", "range_agg", "range_intersect_agg", "rank", "regr_avgx", "regr_avgy", "regr_count",
        "regr_intercept", "regr_r2", "regr_slope", "regr_sxx", "regr_sxy", "regr_syy", "row_number", "stddev",
        "stddev_pop", "stddev_samp", "string_agg", "sum", "var_pop", "var_samp", "variance", "xmlagg",
    }
)  # fmt: skip
"""Aggregates and window functions: they would make one row of the whole table. What gives several rows, PostgreSQL
refuses inside the CASE that stands around the expression."""
_HINTS = {
    "ColumnRef": f"the expression names a column or a bare word; only {VALUE} stands for the column's value",
    "SubLink": "the expression has a subquery; the mask lookup reads a table",
    "SQLValueFunction": "the expression depends on the session or the clock",
    "RowExpr": "the expression makes a row",
}


@dataclass(frozen=True, slots=True)
class Sql(SqlMask):
    """What the author's SQL makes of the value; NULL stays NULL. Reveals what the expression reveals. The result is
    cast to the column's type, of which an array is one value like any other."""

    expression_: str

    name = "sql"

    def __post_init__(self) -> None:
        read(self.expression_)

    def expression(self, column: str, type_name: str) -> str:
        """As every mask's; but a NULL of what may be a domain is not cast to it."""
        of = sql_type(type_name)
        if of.family is not Family.FOREIGN:
            return super(Sql, self).expression(column, type_name)
        return case((f"{column} IS NULL", of.null()), otherwise=of.cast(self._made(column)))

    def masked(self, column: str, of: SqlType) -> str:
        value = of.text(column) if of.family is Family.TEXT else column
        return case((f"{column} IS NULL", "NULL"), otherwise=self._made(value))

    def _made(self, value: str) -> str:
        return f"({value.join(_pieces(self.expression_))})"


def _problem(message: str, hint: str | None = None) -> MaskProblem:
    return MaskProblem(message, hint, "expression")


@lru_cache(maxsize=1024)
def read(expression: str) -> Any:
    """The tree of a policy's expression (a Node), `{value}` being $1, every name pinned or qualified.

    Raises MaskProblem where it is no expression, or is one that no mask may be.
    """
    try:
        tree = parser.parse(f"SELECT (\n{_with_parameter(expression)}\n)")
    except parser.SyntaxProblem as error:
        raise _problem(f"not an SQL expression: {error.message}") from None
    statements = tree.stmts
    select = statements[0].stmt.select_stmt
    target = select.target_list[0].res_target if len(select.target_list) == 1 else None
    only = {"target_list", "limit_option", "op"}
    if len(statements) != 1 or target is None or target.name or {f.name for f, _ in select.ListFields()} - only:
        raise _problem("not one SQL expression")
    for node in parser.nodes_of(target.val):
        _pin(node)
    if not any(node.DESCRIPTOR.name == "ParamRef" for node in parser.nodes_of(target.val)):
        raise _problem(f"the expression does not mention {VALUE}", "The mask for one value everywhere is `constant`.")
    return target.val


def _with_parameter(expression: str) -> str:
    """`$1` for `{value}`, which inside a constant or a comment is only text."""
    tokens = parser.scan(expression)
    if any(token.kind == "PARAM" for token in tokens):
        raise _problem("the expression has a parameter", f"Write {VALUE}.")
    at, pieces = 0, []
    for token in tokens:
        if token.kind == "CHARACTER" and expression.startswith(VALUE, token.start):
            pieces += [expression[at : token.start], " $1 "]
            at = token.start + len(VALUE)
    return "".join((*pieces, expression[at:]))


@lru_cache(maxsize=1024)
def _pieces(expression: str) -> tuple[str, ...]:
    """The pinned expression's text around each place of the value."""
    tree = parser.parse("SELECT 1")
    tree.stmts[0].stmt.select_stmt.target_list[0].res_target.val.CopyFrom(read(expression))
    text = parser.deparse(tree).removeprefix("SELECT ")
    at, pieces = 0, []
    for token in parser.scan(text):
        if token.kind == "PARAM":
            pieces.append(text[at : token.start])
            at = token.end
    return (*pieces, text[at:])


def _pin(node: Any) -> None:
    """Qualifies the node's name in place, or raises MaskProblem where it has no place in a mask."""
    kind = node.DESCRIPTOR.name
    if kind in _PINS:
        _PINS[kind](node)
    elif kind not in _PLAIN:
        raise _problem(_HINTS.get(kind, f"the expression has {kind}, which no mask may have"))


def _pin_type(node: Any) -> None:
    if node.setof or node.pct_type:
        raise _problem("the expression names a type by a column or a set")
    _qualify(node.names)


def _require_searched(node: Any) -> None:
    if node.HasField("arg"):
        raise _problem("the expression has CASE with a value behind it", "Write CASE WHEN a = b THEN.")


def _require_value(node: Any) -> None:
    if node.number != 1:
        raise _problem("the expression has a parameter", f"Write {VALUE}.")


def _require_subscripts(node: Any) -> None:
    if any(step.WhichOneof("node") != "a_indices" for step in node.indirection):
        raise _problem("the expression reads a field of a row")


def _qualify(names: Any) -> None:
    """pg_catalog before a bare name, in place."""
    if len(names) == 1:
        bare = names[0].string.sval
        del names[:]
        for name in ("pg_catalog", bare):
            names.add().string.sval = name


def _pin_operator(node: Any) -> None:
    kinds = parser.nodes
    if node.kind in (kinds.AEXPR_LIKE, kinds.AEXPR_ILIKE, kinds.AEXPR_SIMILAR):
        node.kind = kinds.AEXPR_OP
    elif node.kind == kinds.AEXPR_IN:
        items = list(node.rexpr.list.items)
        node.kind = kinds.AEXPR_OP_ANY if node.name[0].string.sval == "=" else kinds.AEXPR_OP_ALL
        array = kinds.A_ArrayExpr(elements=items)
        node.rexpr.a_array_expr.CopyFrom(array)
    elif node.kind not in (kinds.AEXPR_OP, kinds.AEXPR_OP_ANY, kinds.AEXPR_OP_ALL):
        raise _problem(
            "the expression has BETWEEN, NULLIF or IS DISTINCT FROM, whose operator cannot be given a schema",
            "Write the comparisons.",
        )
    _qualify(node.name)


def _pin_function(node: Any) -> None:
    names = [part.string.sval for part in node.funcname]
    if node.agg_star or node.agg_distinct or node.agg_order or node.agg_within_group or node.func_variadic:
        raise _problem(f"the expression calls {names[-1]} in a way that no mask may")
    if node.HasField("over") or node.HasField("agg_filter"):
        raise _problem(f"the expression calls {names[-1]} over other rows")
    if len(names) == 1 or names[0] == "pg_catalog":
        if names[-1] in _MANY_ROWS:
            raise _problem(f"the expression calls {names[-1]}, which reads other rows")
        if names[-1] == "current_setting":
            raise _problem("the expression reads a setting, which the session may write", "`when` knows the user.")
        if not may_call(names[-1], len(node.args)):
            raise _problem(
                f"the expression calls {names[-1]}, which is no built-in function that a mask may call",
                "A function of your own is written with its schema.",
            )
    _qualify(node.funcname)


_PINS: Mapping[str, Callable[[Any], None]] = {
    "A_Expr": _pin_operator,
    "FuncCall": _pin_function,
    "TypeName": _pin_type,
    "CollateClause": lambda node: _qualify(node.collname),
    "CaseExpr": _require_searched,
    "ParamRef": _require_value,
    "A_Indirection": _require_subscripts,
}
