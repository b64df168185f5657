"""A policy's expression for one identity and one row: SQL text that can stand in a masked view.

Attributes become constants in the tree, columns get the row's alias, and operators are pinned to pg_catalog wherever
the database has another one of the name, so that no search_path changes what the policy's author meant. Tables in
sub-SELECTs are read as they are: they are the policy's, not the client's.

A text attribute that a comparison sets against a column is written as a bare literal, which takes the column's own
type: `region = {user.region}` works for text, varchar, enums, uuid and dates alike, and reaches the column's index. In
every other place it is a text.

It does not know whether the row has the columns (`Expression.columns` names them): its caller does.
https://www.postgresql.org/docs/current/typeconv-oper.html
"""

from __future__ import annotations

from typing import Any, Final

from proxy.policy import parser
from proxy.policy.catalog import Catalog
from proxy.policy.expressions import ROW, AttributeValue, Expression, Scalar, children_of
from proxy.policy.refused import Refused, denied, unsupported
from proxy.policy.rules import Identity

Node = Any
Columns = frozenset[str] | None
"""The columns that a sub-SELECT's FROM has; None where they are not known."""

_COMPARISONS: Final = frozenset({"=", "<>", "!=", "<", "<=", ">", ">="})
_OPERATOR_KINDS: Final = frozenset({"AEXPR_OP", "AEXPR_OP_ANY", "AEXPR_OP_ALL"})
_PATTERN_KINDS: Final = frozenset({"AEXPR_LIKE", "AEXPR_ILIKE", "AEXPR_SIMILAR"})
# The names that these forms have in the tree are not those that PostgreSQL looks up (parse_expr.c).
_BETWEEN_OPERATORS: Final = ("<", "<=", ">", ">=")
_SYSTEM_COLUMNS: Final = frozenset({"tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"})

MAX_INTEGER: Final = 1 << 31
MAX_BIGINT: Final = 1 << 63


def bound(expression: Expression, identity: Identity, catalog: Catalog, alias: str) -> str:
    """The expression as SQL text, in parentheses: `alias` (unquoted) is the row's, attributes are the identity's.

    Raises Refused (42501) for an attribute that the identity has not, (0A000) for what cannot be pinned.
    """
    tree = parser.parse(f"SELECT {expression.sql}")
    value = tree.stmts[0].stmt.select_stmt.target_list[0].res_target.val
    _give_up_name(value, alias)
    _Binder(expression.attributes, identity, catalog, alias).walk(value, ())
    try:
        text = parser.deparse(tree).removeprefix("SELECT ")
        same = parser.paired_locations(tree, parser.parse(f"SELECT ({text})")) is not None
    except parser.SyntaxProblem:
        same = False
    if not same:
        raise unsupported("a condition of the policy cannot be written out for this role")
    return f"({text})"


class _Binder:
    """One expression's walk, in place."""

    def __init__(self, attributes: tuple[str, ...], identity: Identity, catalog: Catalog, alias: str) -> None:
        self._attributes = attributes
        self._identity = identity
        self._catalog = catalog
        self._alias = alias

    def walk(self, message: Node, scopes: tuple[Columns, ...]) -> None:
        """`scopes`: of the sub-SELECTs around it, from the outside."""
        kind = message.DESCRIPTOR.name
        if kind == "Node":
            self._node(message, scopes)
            return
        if kind == "SelectStmt":
            scopes = (*scopes, self._columns(message))
        elif kind == "SubLink":
            self._sublink(message)
        elif _compares_unseen(message):
            self._require_unambiguous("=")
        elif kind == "SortBy":
            self._pin(message.use_op)
            if message.node.WhichOneof("node") == "column_ref" and len(message.node.column_ref.fields) == 1:
                return  # perhaps a name of the select list
        for child in children_of(message):
            self.walk(child, scopes)

    def _node(self, wrapper: Node, scopes: tuple[Columns, ...]) -> None:
        kind = wrapper.WhichOneof("node")
        if kind == "a_expr":
            self._compare(wrapper.a_expr)
            self._operator(wrapper)
            for child in children_of(getattr(wrapper, wrapper.WhichOneof("node"))):
                self.walk(child, scopes)
        elif kind == "column_ref":
            self._column(wrapper.column_ref, scopes)
        elif kind == "param_ref":
            wrapper.CopyFrom(_typed(self._value(wrapper)))
        elif kind is not None:
            self.walk(getattr(wrapper, kind), scopes)

    # Columns

    def _column(self, reference: Node, scopes: tuple[Columns, ...]) -> None:
        """The row's own get its alias: all outside of sub-SELECTs, and within them what no table there has."""
        names = [field.string.sval for field in reference.fields]
        if names[0] == ROW:
            reference.fields[0].string.sval = self._alias
            return
        if len(names) > 1 or not names[0]:
            return
        if any(scope is None or names[0] in scope for scope in scopes):
            return
        del reference.fields[:]
        for name in (self._alias, names[0]):
            reference.fields.add().string.sval = name

    def _columns(self, statement: Node) -> Columns:
        found: set[str] = set()
        pending = list(statement.from_clause)
        while pending:
            item = pending.pop()
            kind = item.WhichOneof("node")
            if kind == "join_expr":
                pending += [item.join_expr.larg, item.join_expr.rarg]
            elif kind == "range_var":
                found |= self._table_columns(item.range_var)
            else:
                return None
        return frozenset(found)

    def _table_columns(self, reference: Node) -> frozenset[str]:
        relation = self._catalog.relations.get((reference.schemaname, reference.relname))
        if relation is None:
            name = f"{reference.schemaname}.{reference.relname}"
            raise unsupported(f"a condition of the policy reads {name}, which does not exist")
        renamed = {name.string.sval for name in reference.alias.colnames}
        # The table's own name is its whole row.
        return frozenset(c.name for c in relation.columns) | renamed | _SYSTEM_COLUMNS | {_range_name(reference)}

    # Operators

    def _operator(self, wrapper: Node) -> None:
        expression = wrapper.a_expr
        kind = parser.nodes.A_Expr_Kind.Name(expression.kind)
        if kind in _OPERATOR_KINDS:
            self._pin(expression.name)
        elif kind in _PATTERN_KINDS and self._has_others(expression.name[0].string.sval):
            expression.kind = parser.nodes.A_Expr_Kind.AEXPR_OP
            self._pin(expression.name)
        elif kind == "AEXPR_IN" and self._has_others(expression.name[0].string.sval):
            self._spell_out(wrapper)
        elif "BETWEEN" in kind:
            self._require_unambiguous(*_BETWEEN_OPERATORS)
        else:
            self._require_unambiguous(expression.name[0].string.sval)

    def _spell_out(self, wrapper: Node) -> None:
        """`x IN (a, b)` as `x = a OR x = b`, NOT IN as `x <> a AND x <> b`: it has no place for a qualified name."""
        expression = parser.nodes.A_Expr()
        expression.CopyFrom(wrapper.a_expr)
        any_of = expression.name[0].string.sval == "="
        kinds = parser.nodes.BoolExprType
        found = parser.nodes.BoolExpr(boolop=kinds.OR_EXPR if any_of else kinds.AND_EXPR, location=-1)
        for item in expression.rexpr.list.items:
            comparison = found.args.add().a_expr
            comparison.CopyFrom(expression)
            comparison.kind = parser.nodes.A_Expr_Kind.AEXPR_OP
            comparison.rexpr.CopyFrom(item)
        if len(found.args) == 1:
            wrapper.CopyFrom(found.args[0])
            self._pin(wrapper.a_expr.name)
        else:
            wrapper.bool_expr.CopyFrom(found)

    def _sublink(self, link: Node) -> None:
        if link.HasField("testexpr") and not link.oper_name and self._has_others("="):
            link.oper_name.add().string.sval = "="
        self._pin(link.oper_name)

    def _pin(self, name: Node) -> None:
        if len(name) == 1 and self._has_others(name[0].string.sval):
            operator = name[0].string.sval
            del name[:]
            for part in ("pg_catalog", operator):
                name.add().string.sval = part

    def _has_others(self, operator: str) -> bool:
        return bool(self._catalog.operators_by_name.get(operator))

    def _require_unambiguous(self, *operators: str) -> None:
        for operator in operators:
            if not all(o.harmless for o in self._catalog.operators_by_name.get(operator, ())):
                raise unsupported(
                    f"a condition of the policy uses operator {operator}, which the database has more than one of",
                    hint="the policy can spell it out as OPERATOR(pg_catalog.=)",
                )

    # Attributes

    def _value(self, wrapper: Node) -> AttributeValue:
        name = self._attributes[wrapper.param_ref.number - 1]
        value = self._identity.attribute(name)
        if value is None:
            raise _missing(name)
        return value

    def _compare(self, expression: Node) -> None:
        """Text attributes that face a column become literals of the column's own type."""
        kind = parser.nodes.A_Expr_Kind.Name(expression.kind)
        if kind in _OPERATOR_KINDS and expression.name[-1].string.sval not in _COMPARISONS:
            return
        if kind in _PATTERN_KINDS or kind == "AEXPR_NULLIF":
            return
        left, right = expression.lexpr, expression.rexpr
        if _is_column(left):
            members = right.list.items if right.WhichOneof("node") == "list" else (right,)
            for member in members:
                self._make_literal(member)
        elif _is_column(right):
            self._make_literal(left)

    def _make_literal(self, wrapper: Node) -> None:
        if wrapper.WhichOneof("node") != "param_ref":
            return
        value = self._value(wrapper)
        if isinstance(value, str):
            wrapper.CopyFrom(_constant(value))
        elif isinstance(value, tuple) and all(isinstance(member, str) for member in value):
            wrapper.CopyFrom(_constant(_array_text(value)))


def _range_name(reference: Node) -> str:
    return str(reference.alias.aliasname or reference.relname)


def _give_up_name(value: Node, alias: str) -> None:
    """A table of a sub-SELECT that is called what the row is to be called gets another name."""
    found = list(parser.nodes_of(value))
    tables = [node for node in found if node.DESCRIPTOR.name == "RangeVar"]
    names = {node.aliasname for node in found if node.DESCRIPTOR.name == "Alias"} | {*map(_range_name, tables)}
    if alias not in names:
        return
    fresh = next(name for name in (f"{alias}{number}" for number in range(2, len(names) + 3)) if name not in names)
    for node in found:
        kind = node.DESCRIPTOR.name
        if kind == "RangeVar" and _range_name(node) == alias:
            node.alias.aliasname = fresh
        elif kind == "Alias" and node.aliasname == alias:
            node.aliasname = fresh
        elif kind == "ColumnRef" and len(node.fields) > 1 and node.fields[-2].string.sval == alias:
            del node.fields[:-1]
            last = parser.nodes.Node()
            last.CopyFrom(node.fields[0])
            node.fields[0].string.sval = fresh
            node.fields.add().CopyFrom(last)


def _missing(name: str) -> Refused:
    return denied(
        f'the policy needs the attribute "{name}", which this user has not',
        hint="roles.ROLE.attributes in the policy sets it; where two roles of a user differ in it, there is none",
    )


def _compares_unseen(message: Node) -> bool:
    """CASE x WHEN, USING and NATURAL look an equality up that stands nowhere in the text."""
    if message.DESCRIPTOR.name == "CaseExpr":
        return bool(message.HasField("arg"))
    return message.DESCRIPTOR.name == "JoinExpr" and bool(message.using_clause or message.is_natural)


def _is_column(wrapper: Node) -> bool:
    if wrapper.WhichOneof("node") == "a_indirection":
        return _is_column(wrapper.a_indirection.arg)
    return bool(wrapper.WhichOneof("node") == "column_ref")


def _constant(value: Scalar) -> Node:
    node = parser.nodes.Node()
    if isinstance(value, bool):
        node.a_const.boolval.boolval = value
        node.a_const.boolval.SetInParent()
    elif isinstance(value, str):
        node.a_const.sval.sval = value
        node.a_const.sval.SetInParent()
    elif isinstance(value, int) and abs(value) < MAX_INTEGER:
        node.a_const.ival.ival = value
        node.a_const.ival.SetInParent()
    else:
        node.a_const.fval.fval = repr(value)
    return node


def _typed(value: AttributeValue) -> Node:
    """A constant of the value's own type. The grammar gives plain numbers theirs."""
    if isinstance(value, str):
        return _cast(_constant(value), "text")
    if not isinstance(value, tuple):
        return _constant(value)
    array = parser.nodes.Node()
    array.a_array_expr.SetInParent()
    for member in value:
        array.a_array_expr.elements.add().CopyFrom(_constant(member))
    return _cast(array, f"{_element_type(value)}[]")


def _element_type(values: tuple[Scalar, ...]) -> str:
    if all(isinstance(value, str) for value in values):
        return "text"
    if all(isinstance(value, bool) for value in values):
        return "bool"
    if all(isinstance(value, int) and -MAX_BIGINT <= value < MAX_BIGINT for value in values):
        return "int4" if all(abs(value) < MAX_INTEGER for value in values if isinstance(value, int)) else "int8"
    return "numeric"


def _cast(value: Node, type_name: str) -> Node:
    tree = parser.parse(f"SELECT CAST(NULL AS pg_catalog.{type_name})")
    node = parser.nodes.Node()
    node.CopyFrom(tree.stmts[0].stmt.select_stmt.target_list[0].res_target.val)
    node.type_cast.arg.CopyFrom(value)
    return node


def _array_text(values: tuple[Scalar, ...]) -> str:
    """An array's literal: https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO"""
    escaped = (str(value).replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in escaped) + "}"
