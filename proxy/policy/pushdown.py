"""Conditions of the client's own WHERE inside a masked view: copied below its fence, or moved to the real column.

A copy stands inside as well as outside, so that the index of a fenced relation is used. It cannot change an answer. It
is a comparison of one column as it is shown with constants, it is true of no NULL, and it stands in the WHERE of the
same SELECT as an AND-ed condition. Whatever a row that it removes below would add above, the WHERE removes there: by
the same value where the row is joined, by NULL where an outer join has no partner left for the other side's row; a
LATERAL item is joined with its row. Branches of a set operation have a WHERE each. The copy runs beside the row filter,
on hidden rows too, so it must be leakproof, with constants that cannot fail (`leakproof`, `constants`). A view's column
may be computed, so nothing is copied into one.

A move is for `predicates: raw`: what compares a masked column with constants leaves the WHERE and stands inside, over
the value itself. It is no copy, so both places must see the same rows: no outer join may add rows of NULLs to the
relation's. It may run on hidden rows too, so it must not fail, whatever a row holds: comparisons by leakproof operators
and of exact numbers, LIKE with a sound pattern, IS NULL, and AND, OR and NOT of those.

It does not know policies: what is masked and what is raw is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from proxy.policy import parser
from proxy.policy.catalog import Relation
from proxy.policy.constants import INT2, INT4, INT8, NUMERIC, TEXT, UNKNOWN, VARCHAR, Leaky, Value
from proxy.policy.exprtypes import COMPARISONS, ExpressionTypes, Types
from proxy.policy.leakproof import Facts, is_computed
from proxy.policy.ranges import Level, Scope, own_references, reference_names

Node = Any

ALIAS: Final = "t"
"""What the relation is called inside its masked view."""

_STORED: Final = "rpmf"
"""pg_class.relkind of what has columns of its own; a view's may be computed."""

_BPCHAR: Final = 1042
_EXACT_NUMBERS: Final = frozenset({INT2, INT4, INT8, NUMERIC})
_BETWEEN: Final = frozenset({"AEXPR_BETWEEN", "AEXPR_BETWEEN_SYM"})
_NOWHERE: Final[Types] = Level()
_SOUND_PATTERN: Final = re.compile(r"(?:[^\\]|\\.)*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Target:
    """A range of a SELECT's FROM that becomes a masked view. `protected` are the columns that are not shown as they
    are; only others are copied, and of these only what is raw is moved."""

    name: str
    relation: Relation
    protected: frozenset[str]


def copies(select: Node, target: Target, facts: Facts) -> list[str]:
    """The conditions to be AND-ed to the WHERE of the target's masked view, over columns written as t."name".

    Args:
        select: a SELECT before its relations are replaced; it is not changed.
    """
    candidates = [c for c in _conjuncts(select) if c.WhichOneof("node") == "a_expr" and _names(c.a_expr, target)]
    if not candidates or target.relation.kind not in _STORED:
        return []
    pushing = _Pushing(select, target, facts)
    return [pushing.text(c) for c in candidates if pushing.bound is not None and pushing.may_copy(c)]


def moved(select: Node, target: Target, raw: frozenset[str], facts: Facts) -> list[str]:
    """As `copies`, of the conditions that use one of the `raw` columns; these are taken out of the SELECT's WHERE."""
    if not raw or target.relation.kind not in _STORED:
        return []
    pushing = _Pushing(select, target, facts)
    if pushing.bound is None or pushing.bound.nullable:
        return []
    conjuncts = _conjuncts(select)
    chosen = [pushing.may_move(conjunct, raw) for conjunct in conjuncts]
    if not any(chosen):
        return []
    texts = [pushing.text(c) for c, is_chosen in zip(conjuncts, chosen, strict=True) if is_chosen]
    _keep(select, [c for c, is_chosen in zip(conjuncts, chosen, strict=True) if not is_chosen])
    return texts


@dataclass(frozen=True, slots=True)
class _Bound:
    """A range that a FROM binds. `relation` is None where its columns are not known."""

    name: str
    relation: Relation | None
    nullable: bool
    reachable: bool = True
    """No alias of a join hides the name."""


class _Pushing:
    """The conditions of one SELECT on one of its ranges."""

    def __init__(self, select: Node, target: Target, facts: Facts) -> None:
        self._target = target
        self._facts = facts
        self._types = ExpressionTypes(facts.catalog, facts.parameters, _no_sublink)
        self._bound = [bound for item in select.from_clause for bound in _bindings(item, facts)]
        own = [b for b in self._bound if b.name == target.name]
        self.bound = own[0] if len(own) == 1 and own[0].reachable and own[0].relation is not None else None

    def text(self, condition: Node) -> str:
        """The condition over the alias that the relation has inside its masked view."""
        tree = parser.parse("SELECT 1")
        value = tree.stmts[0].stmt.select_stmt.target_list[0].res_target.val
        value.CopyFrom(condition)
        parser.without_locations(value)
        for node in parser.nodes_of(value):
            if node.DESCRIPTOR.name == "ColumnRef":
                column = node.fields[-1].string.sval
                del node.fields[:]
                node.fields.add().string.sval = ALIAS
                node.fields.add().string.sval = column
        return f"({parser.deparse(tree).removeprefix('SELECT ')})"

    def may_copy(self, condition: Node) -> bool:
        """Whether an A_Expr is a leakproof, strict comparison of a column as it is shown."""
        column = self._compared_column(condition.a_expr)
        if column is None or column in self._target.protected:
            return False
        try:
            self._compare(condition.a_expr, column, exact=False)
        except Leaky:
            return False
        return True

    def may_move(self, condition: Node, raw: frozenset[str]) -> bool:
        """Whether it is a total condition on columns of the target alone, one of which is raw and none masked."""
        names = {names[-1] for names in own_references(condition)}
        if not names & raw or names & (self._target.protected - raw):
            return False
        try:
            return self._is_total(condition)
        except Leaky:
            return False

    def _is_total(self, condition: Node) -> bool:
        kind = condition.WhichOneof("node")
        if kind == "bool_expr":
            return all(self._is_total(arg) for arg in condition.bool_expr.args)
        if kind == "null_test":
            return self._column(condition.null_test.arg) is not None
        if kind != "a_expr":
            return False
        if self._is_like(condition.a_expr):
            return True
        column = self._compared_column(condition.a_expr)
        if column is None:
            return False
        self._compare(condition.a_expr, column, exact=True)
        return True

    def _is_like(self, expression: Node) -> bool:
        """LIKE or ILIKE with a pattern written out. One that ends in an escape fails, if a value gets that far."""
        column = self._column(expression.lexpr) if expression.HasField("lexpr") else None
        kind = parser.nodes.A_Expr_Kind.Name(expression.kind)
        if kind not in ("AEXPR_LIKE", "AEXPR_ILIKE") or column is None:
            return False
        found = self._target.relation.column(column)
        constant = expression.rexpr.a_const
        if found is None or not found.plain_collation or not constant.HasField("sval"):
            return False
        names = {part.string.sval for part in expression.name}
        if found.type_oid not in (TEXT, VARCHAR, _BPCHAR) or names & self._facts.catalog.leakproof.overloaded:
            return False
        return _SOUND_PATTERN.fullmatch(constant.sval.sval) is not None

    def _compare(self, expression: Node, column: str, *, exact: bool) -> None:
        """Raises Leaky unless the comparisons of an A_Expr that `_compared_column` admits are leakproof; with `exact`
        those of exact numbers will do, which cannot fail though nobody has marked them."""
        found = self._target.relation.column(column)
        if found is None:
            raise Leaky
        value = Value(found.type_oid)
        kind = parser.nodes.A_Expr_Kind.Name(expression.kind)
        if kind in _BETWEEN:
            names = ["<", ">", "<=", ">="]
            others = [self._constant(bound) for bound in expression.rexpr.list.items]
        else:
            names = [self._types.operator_name(expression.name)]
            others = self._others(expression, kind, column)
        if not {*names} <= COMPARISONS:
            raise Leaky
        if exact and self._are_exact([value, *others], names):
            return
        for name in names:
            for other in others:
                self._types.comparison(name, value, other)
                self._types.comparison(name, other, value)
            if kind in ("AEXPR_IN", "AEXPR_OP_ANY"):
                self._types.members(name, value, others)

    def _others(self, expression: Node, kind: str, column: str) -> list[Value]:
        if kind == "AEXPR_IN":
            return [self._constant(item) for item in expression.rexpr.list.items]
        if kind == "AEXPR_OP_ANY":
            return self._types.elements(expression.rexpr, _NOWHERE, Scope())
        return [self._constant(expression.rexpr if self._column(expression.lexpr) == column else expression.lexpr)]

    def _are_exact(self, values: list[Value], names: list[str]) -> bool:
        marked = self._facts.catalog.leakproof
        oids = {value.oid for value in values} - {UNKNOWN}
        return oids <= _EXACT_NUMBERS and not (oids & marked.converted or {*names} & marked.overloaded)

    def _constant(self, node: Node) -> Value:
        found = self._types.value(node, _NOWHERE, Scope())
        if not found.constant:
            raise Leaky
        return found

    def _compared_column(self, expression: Node) -> str | None:
        """The target's column where a comparison has one on one side, of a form that is true of no NULL."""
        kind = parser.nodes.A_Expr_Kind.Name(expression.kind)
        if not expression.HasField("lexpr"):
            return None
        left = self._column(expression.lexpr)
        if kind == "AEXPR_OP":
            return left if left is not None else self._column(expression.rexpr)
        return left if kind in _BETWEEN or kind in ("AEXPR_IN", "AEXPR_OP_ANY") else None

    def _column(self, node: Node) -> str | None:
        """The target's column that a node is a bare reference to, and that is stored as it is read."""
        names = reference_names(node)
        if not names or self._target.relation.column(names[-1]) is None:
            return None
        if is_computed(self._target.relation, names[-1], self._facts.catalog.server_version):
            return None
        if len(names) == 2:  # noqa: PLR2004 - range.column
            return names[-1] if names[0] == self._target.name else None
        others = [bound.relation for bound in self._bound if bound is not self.bound]
        alone = all(other is not None and other.column(names[0]) is None for other in others)
        return names[0] if len(names) == 1 and alone else None


def _names(expression: Node, target: Target) -> bool:
    """Whether a side of it could be a column of the target: a quick look before the thorough one."""
    for side in (expression.lexpr, expression.rexpr):
        names = reference_names(side)
        if names and names[:-1] in ([], [target.name]) and target.relation.column(names[-1]) is not None:
            return True
    return False


def _no_sublink(link: Node, level: Types, scope: Scope[int]) -> int:
    del link, level, scope
    raise Leaky


def _bindings(item: Node, facts: Facts, *, nullable: bool = False, reachable: bool = True) -> Iterator[_Bound]:
    """The ranges of a FROM item; `nullable` where an outer join may show NULLs in place of their rows."""
    kind = item.WhichOneof("node")
    if kind == "range_var":
        reference = item.range_var
        relation = None if reference.alias.colnames else facts.relation_of(reference)
        yield _Bound(reference.alias.aliasname or reference.relname, relation, nullable, reachable)
    elif kind == "join_expr":
        join = item.join_expr
        reachable &= not join.HasField("alias")
        type_ = parser.nodes.JoinType.Name(join.jointype)
        left = nullable or type_ in ("JOIN_RIGHT", "JOIN_FULL")
        right = nullable or type_ in ("JOIN_LEFT", "JOIN_FULL")
        yield from _bindings(join.larg, facts, nullable=left, reachable=reachable)
        yield from _bindings(join.rarg, facts, nullable=right, reachable=reachable)
        if not reachable:
            yield _Bound("", None, nullable=True)
        if join.HasField("join_using_alias"):
            yield _Bound(join.join_using_alias.aliasname, None, nullable=True)
    else:
        alias = getattr(getattr(item, kind), "alias", None) if kind else None
        yield _Bound(alias.aliasname if alias is not None else "", None, nullable, reachable)


def _conjuncts(select: Node) -> list[Node]:
    """What the WHERE joins with AND, however it is nested."""
    return list(_flat(select.where_clause)) if select.HasField("where_clause") else []


def _flat(condition: Node) -> Iterator[Node]:
    if condition.WhichOneof("node") == "bool_expr" and condition.bool_expr.boolop == parser.nodes.AND_EXPR:
        for arg in condition.bool_expr.args:
            yield from _flat(arg)
    else:
        yield condition


def _keep(select: Node, conditions: list[Node]) -> None:
    """Makes the WHERE of these conditions, which are parts of it."""
    kept = [parser.nodes.Node.FromString(condition.SerializeToString()) for condition in conditions]
    select.ClearField("where_clause")
    if len(kept) == 1:
        select.where_clause.CopyFrom(kept[0])
    elif kept:
        select.where_clause.bool_expr.boolop = parser.nodes.AND_EXPR
        select.where_clause.bool_expr.args.extend(kept)
        select.where_clause.bool_expr.location = -1
