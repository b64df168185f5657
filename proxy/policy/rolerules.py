"""What a policy's rules come to for one set of roles: which columns are masked how, and which rows are hidden.

Rules hold by column name for a whole family of relations, since a parent shows the rows of its children. A generated
column over a masked one is masked too.

It does not write masked views: `relations` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from proxy.policy.binding import bound
from proxy.policy.catalog import Catalog, Name, Relation
from proxy.policy.derived import expression_uses
from proxy.policy.family import ancestors, descendants, family
from proxy.policy.masks import Null
from proxy.policy.model import Policy
from proxy.policy.patterns import Path
from proxy.policy.refused import unsupported
from proxy.policy.rules import Identity, MaskRule, Predicates, RowRule


@dataclass(frozen=True, slots=True)
class ColumnMasks:
    """What holds for one column: a rule for all of it, or rules for parts of it."""

    whole: MaskRule | None = None
    parts: tuple[tuple[Path, MaskRule], ...] = ()

    @property
    def rules(self) -> tuple[MaskRule, ...]:
        return (self.whole,) if self.whole is not None else tuple(rule for _, rule in self.parts)


class RoleRules:
    """Of one policy, catalogue and role set."""

    def __init__(self, policy: Policy, catalog: Catalog, identity: Identity) -> None:
        self.policy = policy
        self.catalog = catalog
        self.identity = identity
        self._masks: dict[Name, dict[str, ColumnMasks]] = {}

    # Columns

    def column_masks(self, relation: Relation) -> dict[str, ColumnMasks]:
        """Column to what masks it: a rule of its own, else of an ancestor's or a descendant's column of that name."""
        if self.identity.bypass:
            return {}
        if relation.key not in self._masks:
            members = family(self.catalog, relation.key)
            found = self._ruled(relation, members)
            computed = self._computed_from_masked(members)
            for column in relation.columns:
                if column.name in computed and column.name not in found:
                    found[column.name] = ColumnMasks(computed[column.name])
            self._masks[relation.key] = found
        return self._masks[relation.key]

    def protected_columns(self, relation: Relation) -> frozenset[str]:
        """The columns that are masked, in whole or in part, always or where a condition holds."""
        return frozenset(self.column_masks(relation))

    def columns_with(self, relation: Relation, predicates: Predicates) -> frozenset[str]:
        """The masked columns whose rule has these `predicates`; RAW where no rule of the family says otherwise, since
        the rows of all of it would be compared."""
        masks = self.column_masks(relation).items()
        found = {name for name, mask in masks if mask.whole is not None and mask.whole.predicates == predicates}
        if found and predicates == Predicates.RAW:
            others = [self.catalog.relations.get(name) for name in family(self.catalog, relation.key)]
            rules = [(c, r) for other in others if other for c, m in self.column_masks(other).items() for r in m.rules]
            found -= {column for column, rule in rules if rule.predicates != Predicates.RAW}
        return frozenset(found)

    @cached_property
    def has_predicates(self) -> bool:
        """Whether some mask of the role has a rule about predicates."""
        return not self.identity.bypass and any(r.predicates != Predicates.MASKED for r in self.policy.masks)

    def _ruled(self, relation: Relation, members: tuple[Name, ...]) -> dict[str, ColumnMasks]:
        found: dict[str, ColumnMasks] = {}
        unnamed = self.policy.unnamed_columns if relation.kind != "v" else None
        for column in relation.columns:
            rules = (self.policy.mask_for(self.identity, name, column.name) for name in members)
            whole = next((r for r in rules if r is not None and r is not self.policy.unnamed_columns), None)
            parts = [pair for name in members for pair in self.policy.paths_for(self.identity, name, column.name)]
            if whole is not None or parts:
                found[column.name] = ColumnMasks(whole, tuple(dict(parts).items()))
            elif unnamed is not None and not any(self.policy.names(name, column.name) for name in members):
                found[column.name] = ColumnMasks(unnamed)
        return found

    def _computed_from_masked(self, members: tuple[Name, ...]) -> dict[str, MaskRule]:
        """Generated columns over masked ones, anywhere in the family, since a child's expression may be its own. They
        hold what the mask hides: NULL, unless a rule says otherwise."""
        found: dict[str, MaskRule] = {}
        for relation in (self.catalog.relations[name] for name in members if name in self.catalog.relations):
            generated = {c.name: c.generated for c in relation.columns if c.generated is not None}
            masked = self._ruled(relation, members) if generated else {}
            for name, expression in generated.items():
                if masked and expression_uses(expression, frozenset(masked)):
                    found[name] = MaskRule(Null(), next(iter(masked.values())).rules[0].where)
        return found

    # Rows

    @cached_property
    def has_filters(self) -> bool:
        """Whether the role has a row filter on anything."""
        rules = self.policy.rows
        return not self.identity.bypass and any(not r.roles or r.roles & set(self.identity.roles) for r in rules)

    def filter_sql(self, relation: Relation, alias: str) -> str | None:
        """The role's row filters on the relation as one condition over `alias`.column, or None where it has none.

        Raises Refused (0A000) where a filter of a child cannot be asked of the parent's rows.
        """
        conditions = self.filters(relation, alias)
        return " AND ".join(conditions) if conditions else None

    def is_filtered(self, relation: Relation) -> bool:
        """Whether rows of the relation, or of what it shows rows of, are hidden from the role."""
        members = family(self.catalog, relation.key)
        return any(self.policy.filters_of(self.identity, name) for name in members)

    def hides_rows(self, relation: Relation) -> bool:
        """As `is_filtered`, and whether a view reads such a relation, at whatever depth."""
        waiting, seen = [relation], {relation.key}
        while waiting:
            found = waiting.pop()
            if self.is_filtered(found):
                return True
            below = {name for name, _ in found.depends} - seen
            seen |= below
            waiting += [self.catalog.relations[name] for name in below if name in self.catalog.relations]
        return False

    def filters(self, relation: Relation, alias: str) -> tuple[str, ...]:
        """The same as separate conditions. `alias` is this program's own, never a client's."""
        if not self.is_filtered(relation):
            return ()
        above = ancestors(self.catalog, relation.key)
        own = dict.fromkeys(rule for name in above for rule in self._rows_of(name))
        found = [self._condition(rule, relation, alias) for rule in own]
        below: dict[RowRule, list[Name]] = {}
        for name in descendants(self.catalog, relation.key):
            # Of other parents too, whose rows these are as well.
            rules = dict.fromkeys(r for a in ancestors(self.catalog, name) for r in self._rows_of(a))
            for rule in (rule for rule in rules if rule not in own):
                below.setdefault(rule, []).append(name)
        for rule, names in below.items():
            others = " AND ".join(
                f"{alias}.tableoid OPERATOR(pg_catalog.<>) {self.catalog.relations[name].oid}" for name in names
            )
            found.append(f"({others}) OR {self._condition(rule, relation, alias)}")
        return tuple(f"({condition})" for condition in found)

    def _rows_of(self, name: Name) -> tuple[RowRule, ...]:
        return self.policy.filters_of(self.identity, name)

    def _condition(self, rule: RowRule, relation: Relation, alias: str) -> str:
        missing = [name for name in sorted(rule.condition.columns) if relation.column(name) is None]
        if missing:
            raise unsupported(
                f"{relation.qualified} has no column {missing[0]}, which the row filter at {rule.where} needs",
                hint="a filter that holds for a child holds for its parent as well",
            )
        return bound(rule.condition, self.identity, self.catalog, alias)
