"""What a role's row filters and predicate rules ask of one statement, beside its masks.

A filtered relation's masked view is fenced, so that no condition of the client's runs on hidden rows. Here it is found
out, before anything in the tree is replaced, whether the statement needs the fence (`leakproof`), which conditions may
stand below it as well or belong there altogether (`pushdown`), and whether a column that may only be shown is used
otherwise (`predicates`). A policy without such rules costs nothing here.

It does not walk for masks: `rewrite` does, and asks here for each SELECT.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from proxy.policy import pushdown
from proxy.policy.catalog import Relation
from proxy.policy.constants import Parameters
from proxy.policy.leakproof import Facts, stays_at_scan, unfenced
from proxy.policy.predicates import denied_use
from proxy.policy.refused import denied
from proxy.policy.relations import MaskedRelations
from proxy.policy.rules import Predicates
from proxy.policy.splice import Inset

Node = Any
Find = Callable[[Node, frozenset[str]], Relation | None]
"""The relation that a RangeVar names, given the names of WITH in force; None for anything else. Raises nothing."""


@dataclass(slots=True)
class Extra:
    """Conditions that stand inside one range's masked view in this statement."""

    conditions: list[str] = field(default_factory=list)
    raw: frozenset[str] = frozenset()
    """Masked columns, as schema.table.column, that the conditions compare by their own values."""


class Fences:
    """For one statement of a role."""

    def __init__(self, relations: MaskedRelations, find: Find) -> None:
        self._relations = relations
        self._find = find
        self._scope: frozenset[str] = frozenset()
        self._facts: Facts | None = None
        self._unfenced = False

    def begin(self, statement: Node, types: tuple[int, ...]) -> None:
        """The whole statement, as it came."""
        if self._relations.has_filters or self._relations.has_predicates:
            parameters = Parameters(statement, types)
            self._facts = Facts(self._relations.catalog, self._relation_of, parameters)

    def outermost(self, select: Node) -> None:
        """The SELECT that is the statement, or that it is about. Raises Refused (42501) for what a rule denies."""
        if self._facts is None:
            return
        self._scope = frozenset()
        if self._relations.has_filters and not self._relations.floor:
            self._unfenced = unfenced(select, self._facts)
        if self._relations.has_predicates:
            use = denied_use(select, self._relation_of, self._denied)
            if use is not None:
                raise denied(
                    f"the column {use.column} may be selected, and not used otherwise",
                    hint="its mask has predicates: deny in the policy",
                    location=use.location,
                )

    def extras(self, select: Node, scope: frozenset[str]) -> dict[str, Extra]:
        """Range name to what stands inside its masked view, for one SELECT before its relations are replaced. What is
        moved there is taken out of the SELECT's WHERE."""
        if self._facts is None or self._relations.floor or not select.HasField("where_clause"):
            return {}
        self._scope = scope
        found = {}
        for reference in _references(select.from_clause):
            relation = self._find(reference, scope)
            if relation is None or relation.is_system:
                continue
            extra = self._extra(select, reference, relation, self._facts)
            if extra.conditions:
                found[range_name(reference)] = extra
        return found

    def loosen(self, insets: list[Inset]) -> None:
        """Takes the fences away where the statement needs none."""
        if self._unfenced and all(stays_at_scan(f) for inset in insets for f in inset.view.filters):
            for inset in insets:
                inset.fenced = False

    def _extra(self, select: Node, reference: Node, relation: Relation, facts: Facts) -> Extra:
        protected = self._relations.protected_columns(relation)
        target = pushdown.Target(range_name(reference), relation, protected)
        raw = self._relations.columns_with(relation, Predicates.RAW)
        extra = Extra()
        if raw:
            extra.conditions += pushdown.moved(select, target, raw, facts)
            used = (name for name in raw if any(f'"{name}"' in text for text in extra.conditions))
            extra.raw = frozenset(f"{relation.qualified}.{name}" for name in used)
        if self._relations.is_filtered(relation):
            extra.conditions += pushdown.copies(select, target, facts)
        return extra

    def _relation_of(self, reference: Node) -> Relation | None:
        return self._find(reference, self._scope)

    def _denied(self, relation: Relation) -> frozenset[str]:
        return self._relations.columns_with(relation, Predicates.DENY)


def _references(items: Node) -> Iterator[Node]:
    """The RangeVars of a FROM list, joins included, sub-SELECTs not."""
    for item in items:
        kind = item.WhichOneof("node")
        if kind == "range_var":
            yield item.range_var
        elif kind == "join_expr":
            yield from _references((item.join_expr.larg, item.join_expr.rarg))


def range_name(reference: Node) -> str:
    """What the range of a RangeVar is called."""
    return str(reference.alias.aliasname if reference.HasField("alias") else reference.relname)
