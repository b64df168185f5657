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
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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


Found = tuple["Target", str]
"""A target, and a column of it."""

MAX_COPIES: Final = 64
"""Of one SELECT. A copy is there for an index, and no table has as many; what is over changes no answer."""


@dataclass(frozen=True, slots=True)
class Target:
    """A range of a SELECT's FROM that becomes a masked view.

    `protected` are the columns that are not shown as they are: only others are copied. Of these only what is `raw` is
    moved.
    """

    name: str
    relation: Relation
    protected: frozenset[str]
    raw: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Moved:
    """What went from a WHERE into one target: one condition over columns written as t."name", and the raw columns that
    it compares."""

    text: str
    columns: frozenset[str]


def copies(select: Node, targets: Sequence[Target], facts: Facts) -> dict[str, list[str]]:
    """The conditions to be AND-ed to the WHERE of each target's masked view, over columns written as t."name".

    Args:
        select: a SELECT before its relations are replaced; it is not changed.
        targets: of its FROM.
    """
    named = {target.name: target for target in targets if target.relation.kind in _STORED}
    candidates = [c for c in _conjuncts(select) if c.WhichOneof("node") == "a_expr" and _names(c.a_expr, named)]
    if not candidates:
        return {}
    pushing = _Pushing(select, named, facts)
    found: dict[str, list[str]] = {}
    copied = 0
    for condition in candidates:
        name = pushing.copy_of(condition)
        text = _text([condition]) if name is not None else None
        if name is not None and text is not None:
            found.setdefault(name, []).append(text)
            copied += 1
        if copied == MAX_COPIES:
            break
    return found


def moved(select: Node, targets: Sequence[Target], facts: Facts) -> dict[str, Moved]:
    """By name of the target; what is moved is taken out of the SELECT's WHERE."""
    named = {target.name: target for target in targets if target.raw and target.relation.kind in _STORED}
    if not named:
        return {}
    pushing = _Pushing(select, named, facts)
    raw = frozenset[str]().union(*(target.raw for target in named.values()))
    conjuncts = _conjuncts(select)
    places = [pushing.place_of(condition, raw) for condition in conjuncts]
    found: dict[str, Moved] = {}
    for name in dict.fromkeys(name for name in places if name is not None):
        conditions = [c for c, place in zip(conjuncts, places, strict=True) if place == name]
        text = _text(conditions)
        if text is not None:
            columns = {names[-1] for c in conditions for names in own_references(c)}
            found[name] = Moved(text, named[name].raw & columns)
    if found:
        _keep(select, [c for c, place in zip(conjuncts, places, strict=True) if place not in found])
    return found


def _text(conditions: list[Node]) -> str | None:
    """Conditions, joined with AND, over the alias that the relation has inside its masked view; None where they cannot
    be written down faithfully."""
    tree = parser.parse("SELECT 1")
    value = tree.stmts[0].stmt.select_stmt.target_list[0].res_target.val
    if len(conditions) == 1:
        value.CopyFrom(conditions[0])
    else:
        value.bool_expr.boolop = parser.nodes.AND_EXPR
        value.bool_expr.args.extend(conditions)
    parser.without_locations(value)
    for node in parser.nodes_of(value):
        if node.DESCRIPTOR.name == "ColumnRef":
            column = node.fields[-1].string.sval
            del node.fields[:]
            node.fields.add().string.sval = ALIAS
            node.fields.add().string.sval = column
    try:
        text = parser.faithful_text(tree.SerializeToString())
    except parser.SyntaxProblem:
        return None
    return None if text is None else f"({text.removeprefix('SELECT ')})"


@dataclass(frozen=True, slots=True)
class _Bound:
    """A range that a FROM binds. `relation` is None where its columns are not known."""

    name: str
    relation: Relation | None
    nullable: bool
    reachable: bool = True
    """No alias of a join hides the name."""


class _Ranges:
    """What a FROM binds."""

    def __init__(self, items: Node, facts: Facts) -> None:
        bound = [found for item in items for found in _bindings(item, facts)]
        self._relations = [(found.name, found.relation) for found in bound]
        self._known = all(found.relation is not None for found in bound)
        self._owners: dict[str, str | None] = {}
        counts = Counter(found.name for found in bound)
        self.by_name = {
            found.name: found
            for found in bound
            if counts[found.name] == 1 and found.reachable and found.relation is not None
        }

    def owner(self, column: str) -> str | None:
        """The range that a bare name means a column of, where there can be no other."""
        if column not in self._owners:
            having = [name for name, relation in self._relations if relation is not None and relation.column(column)]
            self._owners[column] = having[0] if self._known and len(having) == 1 else None
        return self._owners[column]


class _Pushing:
    """The conditions of one SELECT on some of its ranges."""

    def __init__(self, select: Node, targets: Mapping[str, Target], facts: Facts) -> None:
        self._facts = facts
        self._types = ExpressionTypes(facts.catalog, facts.parameters, _no_sublink)
        self._ranges = _Ranges(select.from_clause, facts)
        self._targets = {name: target for name, target in targets.items() if name in self._ranges.by_name}

    def copy_of(self, condition: Node) -> str | None:
        """The target that an A_Expr compares a column of, as it is shown, by a leakproof and strict comparison."""
        found = self._compared_column(condition.a_expr)
        if found is None or found[1] in found[0].protected:
            return None
        try:
            self._compare(condition.a_expr, *found, exact=False)
        except Leaky:
            return None
        return found[0].name

    def place_of(self, condition: Node, raw: frozenset[str]) -> str | None:
        """The target of a total condition on columns of it alone, one of which is raw and none masked otherwise."""
        names = {names[-1] for names in own_references(condition)}
        if not names & raw:
            return None
        used: list[Target] = []
        try:
            is_total = self._is_total(condition, used)
        except Leaky:
            return None
        if not is_total or any(target is not used[0] for target in used):
            return None
        target = used[0]
        if not names & target.raw or names & (target.protected - target.raw):
            return None
        return None if self._ranges.by_name[target.name].nullable else target.name

    def _is_total(self, condition: Node, used: list[Target]) -> bool:
        """Whether it cannot fail, whatever a row holds. Adds the targets of its columns to `used`. Raises Leaky."""
        kind = condition.WhichOneof("node")
        if kind == "bool_expr":
            return all(self._is_total(arg, used) for arg in condition.bool_expr.args)
        if kind == "null_test":
            found = self._column(condition.null_test.arg)
        elif kind != "a_expr":
            return False
        else:
            found = self._liked_column(condition.a_expr)
            if found is None:
                found = self._compared_column(condition.a_expr)
                if found is not None:
                    self._compare(condition.a_expr, *found, exact=True)
        if found is None:
            return False
        used.append(found[0])
        return True

    def _liked_column(self, expression: Node) -> Found | None:
        """Of LIKE or ILIKE with a pattern written out. One that ends in an escape fails, if a value gets that far."""
        found = self._column(expression.lexpr) if expression.HasField("lexpr") else None
        kind = parser.nodes.A_Expr_Kind.Name(expression.kind)
        if kind not in ("AEXPR_LIKE", "AEXPR_ILIKE") or found is None:
            return None
        column = found[0].relation.column(found[1])
        constant = expression.rexpr.a_const
        if column is None or not column.plain_collation or not constant.HasField("sval"):
            return None
        names = {part.string.sval for part in expression.name}
        if column.type_oid not in (TEXT, VARCHAR, _BPCHAR) or names & self._facts.catalog.leakproof.overloaded:
            return None
        return found if _SOUND_PATTERN.fullmatch(constant.sval.sval) is not None else None

    def _compare(self, expression: Node, target: Target, column: str, *, exact: bool) -> None:
        """Raises Leaky unless the comparisons of an A_Expr that `_compared_column` admits are leakproof; with `exact`
        those of exact numbers will do, which cannot fail though nobody has marked them."""
        found = target.relation.column(column)
        if found is None:
            raise Leaky
        value = Value(found.type_oid)
        kind = parser.nodes.A_Expr_Kind.Name(expression.kind)
        if kind in _BETWEEN:
            names = ["<", ">", "<=", ">="]
            others = [self._constant(bound) for bound in expression.rexpr.list.items]
        else:
            names = [self._types.operator_name(expression.name)]
            others = self._others(expression, kind)
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

    def _others(self, expression: Node, kind: str) -> list[Value]:
        if kind == "AEXPR_IN":
            return [self._constant(item) for item in expression.rexpr.list.items]
        if kind == "AEXPR_OP_ANY":
            return self._types.elements(expression.rexpr, _NOWHERE, Scope())
        return [self._constant(expression.lexpr if self._column(expression.lexpr) is None else expression.rexpr)]

    def _are_exact(self, values: list[Value], names: list[str]) -> bool:
        marked = self._facts.catalog.leakproof
        oids = {value.oid for value in values} - {UNKNOWN}
        return oids <= _EXACT_NUMBERS and not (oids & marked.converted or {*names} & marked.overloaded)

    def _constant(self, node: Node) -> Value:
        found = self._types.value(node, _NOWHERE, Scope())
        if not found.constant:
            raise Leaky
        return found

    def _compared_column(self, expression: Node) -> Found | None:
        """The column where a comparison has one on one side, of a form that is true of no NULL."""
        kind = parser.nodes.A_Expr_Kind.Name(expression.kind)
        if not expression.HasField("lexpr"):
            return None
        left = self._column(expression.lexpr)
        if kind == "AEXPR_OP":
            return left if left is not None else self._column(expression.rexpr)
        return left if kind in _BETWEEN or kind in ("AEXPR_IN", "AEXPR_OP_ANY") else None

    def _column(self, node: Node) -> Found | None:
        """What a node is a bare reference to, where that is a target's column and stored as it is read."""
        names = reference_names(node)
        if len(names) == 2:  # noqa: PLR2004 - range.column
            target = self._targets.get(names[0])
        elif len(names) == 1:
            target = self._targets.get(self._ranges.owner(names[0]) or "")
        else:
            return None
        if target is None or target.relation.column(names[-1]) is None:
            return None
        if is_computed(target.relation, names[-1], self._facts.catalog.server_version):
            return None
        return target, names[-1]


def _names(expression: Node, targets: Mapping[str, Target]) -> bool:
    """Whether a side of it could be a column of a target: a quick look before the thorough one."""
    for side in (expression.lexpr, expression.rexpr):
        names = reference_names(side)
        if len(names) == 1 or (len(names) == 2 and names[0] in targets):  # noqa: PLR2004 - range.column
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
