"""What a role's row filters and predicate rules ask of one statement, beside its masks.

A filtered relation's masked view is fenced, so that no condition of the client's runs on hidden rows. Here it is found
out, before anything in the tree is replaced, whether the statement needs the fence (`leakproof`), which conditions may
stand below it as well or belong there altogether (`pushdown`), and whether a column that may only be shown is used
otherwise (`predicates`). A policy without such rules costs nothing here.

It does not walk for masks: `rewrite` does, and asks here for each SELECT. Texts are decided on while others wait, so
the work here grows as the text does and no faster; what `rewrite` will refuse for its size is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from proxy.policy import parser, pushdown
from proxy.policy.catalog import Name, Relation
from proxy.policy.constants import Parameters
from proxy.policy.leakproof import Facts, stays_at_scan, unfenced
from proxy.policy.predicates import denied_use
from proxy.policy.refused import denied, unsupported
from proxy.policy.relations import MaskedRelations
from proxy.policy.rules import Predicates
from proxy.policy.splice import Inset
from proxy.policy.steps import TooLarge

Node = Any
Find = Callable[[Node, frozenset[str]], Relation | None]
"""The relation that a RangeVar names, given the names of WITH in force; None for anything else. Raises nothing."""

MAX_REPLACEMENTS: Final = 64
"""References to masked relations in one statement. Each is written out whole, and others wait meanwhile."""


@dataclass(frozen=True, slots=True)
class _Facets:
    """What the role's rules say of one relation, beside its masks."""

    protected: frozenset[str]
    raw: frozenset[str]
    denied: frozenset[str]
    filtered: bool


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
        self._facets: dict[Name, _Facets] = {}
        self._unfenced = False
        self._denies = False
        self._filters = False
        self._pushes = False

    @property
    def weighs(self) -> bool:
        """Whether constants of the statement are looked at: what they are, and of which type."""
        return self._facts is not None

    def begin(self, statement: Node, types: tuple[int, ...]) -> None:
        """The whole statement, as it came."""
        if not (self._relations.has_filters or self._relations.has_predicates):
            return
        found = [self._facets_of(relation) for relation in self._named(statement)]
        self._denies = any(facets.denied for facets in found)
        masked = sum(1 for facets in found if facets.filtered or facets.protected)
        if masked > MAX_REPLACEMENTS or self._relations.floor:
            masked = 0
        self._filters = bool(masked) and any(facets.filtered for facets in found)
        if self._denies or self._filters or (masked and any(facets.raw for facets in found)):
            parameters = Parameters(statement, types)
            self._facts = Facts(self._relations.catalog, self._relation_of, parameters)
        self._pushes = bool(masked)

    def outermost(self, select: Node) -> None:
        """The SELECT that is the statement, or that it is about. Raises Refused: 42501 for what a rule denies, 0A000
        where that takes too long to find out."""
        if self._facts is None:
            return
        self._scope = frozenset()
        if self._filters:
            self._unfenced = unfenced(select, self._facts)
        self.require_shown(select, frozenset())

    def require_shown(self, select: Node, scope: frozenset[str]) -> None:
        """Raises Refused, as `outermost`, for what a rule denies in a SELECT, given the names of WITH around it."""
        if not self._denies:
            return
        self._scope = scope
        try:
            use = denied_use(select, self._relation_of, self._denied)
        except TooLarge:
            raise unsupported(
                "this statement is too large to be analysed",
                hint="it names a column with predicates: deny in the policy, and every use of it has to be found",
            ) from None
        if use is not None:
            raise denied(
                f"the column {use.column} may be selected, and not used otherwise",
                hint="its mask has predicates: deny in the policy",
                location=use.location,
            )

    def extras(self, select: Node, scope: frozenset[str]) -> dict[str, Extra]:
        """Range name to what stands inside its masked view, for one SELECT before its relations are replaced. What is
        moved there is taken out of the SELECT's WHERE."""
        if self._facts is None or not self._pushes or not select.HasField("where_clause"):
            return {}
        self._scope = scope
        moving, copying = [], []
        for reference in _references(select.from_clause):
            relation = self._find(reference, scope)
            if relation is None or relation.is_system:
                continue
            facets = self._facets_of(relation)
            target = pushdown.Target(range_name(reference), relation, facets.protected, facets.raw)
            moving += [target] if facets.raw else []
            copying += [target] if facets.filtered else []
        found: dict[str, Extra] = {}
        relations = {target.name: target.relation for target in moving}
        for name, moved in (pushdown.moved(select, moving, self._facts) if moving else {}).items():
            raw = frozenset(f"{relations[name].qualified}.{column}" for column in moved.columns)
            found[name] = Extra([moved.text], raw)
        for name, texts in (pushdown.copies(select, copying, self._facts) if copying else {}).items():
            found.setdefault(name, Extra()).conditions += texts
        return found

    def loosen(self, insets: list[Inset]) -> None:
        """Takes the fences away where the statement needs none."""
        if self._unfenced and all(stays_at_scan(f) for inset in insets for f in inset.view.filters):
            for inset in insets:
                inset.fenced = False

    def _named(self, statement: Node) -> Iterator[Relation]:
        """The user relations that a statement names; a WITH query of such a name counts as one."""
        for node in parser.nodes_of(statement):
            if node.DESCRIPTOR.name == "RangeVar":
                relation = self._find(node, frozenset())
                if relation is not None and not relation.is_system:
                    yield relation

    def _facets_of(self, relation: Relation) -> _Facets:
        found = self._facets.get(relation.key)
        if found is None:
            relations = self._relations
            found = self._facets[relation.key] = _Facets(
                relations.protected_columns(relation),
                relations.columns_with(relation, Predicates.RAW),
                relations.columns_with(relation, Predicates.DENY),
                relations.is_filtered(relation),
            )
        return found

    def _relation_of(self, reference: Node) -> Relation | None:
        return self._find(reference, self._scope)

    def _denied(self, relation: Relation) -> frozenset[str]:
        return self._facets_of(relation).denied


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
