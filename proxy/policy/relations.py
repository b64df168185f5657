"""What stands in for a relation when a role's statement refers to it: its masked view, as a tree.

One object per policy, catalogue and role set. It answers for each relation: refused, as it is, or this SELECT with the
same column names, order and types. Views are their definition, rewritten by the same engine; children and partitions
carry the rules of their parents by column name, and a parent those of its children, since it shows their rows.

It does not look at statements: `rewrite` does, and asks here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from proxy.policy import floor, system
from proxy.policy.binding import bound
from proxy.policy.catalog import Catalog, Column, Name, Relation
from proxy.policy.derived import derived_columns, passed_through, reads_whole_rows
from proxy.policy.maskedview import ALIAS, MaskedView, masked_view, quoted
from proxy.policy.maskparts import masked_parts, token_expression
from proxy.policy.model import Policy
from proxy.policy.plan import AppliedMask, Refusal
from proxy.policy.refused import Refused, denied, unsupported
from proxy.policy.rolerules import ColumnMasks, RoleRules
from proxy.policy.rules import Identity, MaskRule, Predicates

READABLE_KINDS = frozenset("rpvmf")


@dataclass(frozen=True, slots=True)
class Replacement:
    """The masked view of a relation.

    `protects` is False where only built-in rules of a system catalogue made it: nothing of a user's is in it.
    """

    view: MaskedView
    masks: tuple[AppliedMask, ...]
    protects: bool
    touches: bool = False
    """Values or rows of a user's are hidden in it."""
    hides: bool = False
    """Rows or columns of a system catalogue are hidden in it."""


@dataclass(frozen=True, slots=True)
class RewrittenView:
    """A view's definition after the engine went over it."""

    sql: str
    changed: bool
    masks: tuple[AppliedMask, ...]
    touches: bool
    hides: bool


RewriteView = Callable[["MaskedRelations", Relation], RewrittenView]


class MaskedRelations(RoleRules):
    """The relations as one role set sees them. Not thread-safe; everything in it is made once and kept.

    Args:
        on_floor: the masked views are made in the database, where a keyed token can be had.
    """

    def __init__(
        self, policy: Policy, catalog: Catalog, identity: Identity, rewrite_view: RewriteView, *, on_floor: bool = False
    ) -> None:
        # In the floor's views, an exception that ends does so by the database's clock.
        super().__init__(policy.without_ends() if on_floor else policy, catalog, identity)
        self._ends = policy.ends_for(identity) if on_floor else {}
        self.floor = on_floor
        self._rewrite_view = rewrite_view
        self._made: dict[Name, Replacement | None] = {}
        self._readable: dict[Name, bool] = {}
        self._expanding: list[Name] = []

    def may_read(self, relation: Relation) -> bool:
        """Whether the role may name it at all; system relations need a built-in rule, and the floor's have none."""
        if relation.key not in self._readable:
            self._readable[relation.key] = self._may_read(relation)
        return self._readable[relation.key]

    def _may_read(self, relation: Relation) -> bool:
        if relation.is_system:
            return system.rule_for(*relation.key) is not None
        if self.identity.bypass:
            return True
        return not relation.schema.startswith(floor.PREFIX) and self.policy.may_read(self.identity, relation.key)

    def require_readable(self, relation: Relation, location: int = -1) -> None:
        """Raises Refused (42501) where the role may not name the relation."""
        if self.may_read(relation):
            return
        if relation.is_system:
            raise denied(
                f"permission denied for system relation {relation.qualified}",
                hint="it holds values, other sessions' SQL or secrets of the installation",
                location=location,
            )
        raise denied(
            f"permission denied for {kind_name(relation.kind)} {relation.qualified}",
            hint="no role of this user may read it: see tables.allow in the policy",
            location=location,
        )

    def replacement(self, relation: Relation, location: int = -1) -> Replacement | None:
        """The masked view, or None where no rule touches the relation.

        Raises:
            Refused: the relation cannot be shown to this role at all.
        """
        if relation.key not in self._made:
            self._made[relation.key] = self._make(relation, location)
        return self._made[relation.key]

    def masked_names(self, relation: Relation) -> dict[str, str]:
        """Column to the name of its mask; `view` for what a view derives from masked columns below it."""
        found = {column: masks.rules[0].mask.name for column, masks in self.column_masks(relation).items()}
        if relation.kind == "v" and relation.definition is not None:
            below = [self.catalog.relations.get(name) for name, _ in relation.depends]
            masked: frozenset[str] = frozenset().union(*(self.masked_names(r) for r in below if r is not None))
            columns = tuple(column.name for column in relation.columns)
            found |= dict.fromkeys(derived_columns(relation.definition, columns, masked) - found.keys(), "view")
        return found

    # The masked view

    def _make(self, relation: Relation, location: int) -> Replacement | None:
        if relation.is_system:
            return self._system(relation)
        if relation.kind not in READABLE_KINDS:
            raise unsupported(
                f"{kind_name(relation.kind)} {relation.qualified} cannot be read through the veil", location=location
            )
        masks = self.column_masks(relation)
        if relation.kind in "mf":
            self._require_independent(relation, location)
        source = self._view_source(relation, location) if relation.kind == "v" else None
        filters = self._located_filters(relation, location)
        hidden = system.EXTENSION_RULES.get(relation.name, system.OPEN).hidden
        expressions = {name: _hidden(name) for name in hidden} | self._disarmed(relation)
        pinned = self.policy.unnamed_columns is not None and not self.identity.bypass
        if not (masks or expressions or filters or pinned) and (source is None or not source.changed):
            return None
        done = self._masked_below(relation, masks)
        shown = [c for c in relation.columns if c.name in masks and c.name not in done]
        expressions |= {c.name: self._masked(relation, c, masks[c.name]) for c in shown}
        view = masked_view(
            relation,
            expressions,
            filters=filters,
            source=None if source is None else source.sql,
            barrier=relation.security_barrier,
        )
        return Replacement(
            view,
            tuple(self._applied(relation, masks)) + (source.masks if source else ()),
            protects=True,
            touches=bool(masks or filters or (source is not None and source.touches)),
            hides=source is not None and source.hides,
        )

    def _masked_below(self, relation: Relation, masks: dict[str, ColumnMasks]) -> frozenset[str]:
        """A view's columns that are a column below it as it is, masked there by the very rule: once is enough."""
        if relation.kind != "v" or relation.definition is None or not masks:
            return frozenset()
        below = passed_through(relation.definition, tuple(column.name for column in relation.columns))
        found = set()
        for name, of_column in masks.items():
            source, column = below.get(name, (None, ""))
            base = self.catalog.relations.get(source) if source is not None else None
            # A condition asks the view's own row, which may be another one's than the base's.
            plain = all(rule.when is None for rule in of_column.rules)
            if plain and base is not None and self.column_masks(base).get(column) == of_column:
                found.add(name)
        return frozenset(found)

    def _applied(self, relation: Relation, masks: dict[str, ColumnMasks]) -> Iterator[AppliedMask]:
        for name, of_column in masks.items():
            parts = {rule: "".join(map(str, path)) for path, rule in of_column.parts}
            for rule in of_column.rules:
                why = self.policy.why(rule, relation.key, name)
                if rule.when is not None:
                    why += f", unless its condition is false: {rule.when.text}"
                column = name + ("" if of_column.whole is not None else parts[rule])
                yield AppliedMask(relation.qualified, column, rule.mask.name, rule.where, why)

    def _masked(self, relation: Relation, column: Column, masks: ColumnMasks) -> str:
        """SQL over the column for what the role sees of it."""
        reference = f"{ALIAS}.{quoted(column.name)}"
        rule = masks.whole
        if rule is None:
            return self._masked_parts(relation, reference, column, masks)
        if self.floor and rule.predicates == Predicates.TOKEN:
            masked = token_expression(reference, column.type_name, floor.TOKEN_FUNCTION)
        else:
            masked = rule.mask.expression(reference, column.type_name)
        return self._shown_unless(rule, relation, reference, masked)

    def _masked_parts(self, relation: Relation, reference: str, column: Column, masks: ColumnMasks) -> str:
        """One part after the other where some have conditions; else all at once."""
        parts = [(path, rule.mask) for path, rule in masks.parts]
        masked = masked_parts(reference, column.type_name, parts, self.catalog.composites)
        conditions = {rule.when for _, rule in masks.parts}
        if len(conditions) != 1:  # two conditions for parts of one value: the stricter reading wins
            return masked
        return self._shown_unless(masks.parts[0][1], relation, reference, masked)

    def _shown_unless(self, rule: MaskRule, relation: Relation, reference: str, masked: str) -> str:
        """The value itself where the rule's condition is false; masked where it is true, NULL or cannot be asked."""
        ends = self._ends.get(rule.where)
        if ends is not None:
            clock = (
                f"pg_catalog.statement_timestamp() OPERATOR(pg_catalog.<) CAST('{ends}' AS timestamp with time zone)"
            )
            masked = f"CASE WHEN {clock} THEN {reference} ELSE {masked} END"
        when = rule.when
        if when is None or any(relation.column(name) is None for name in when.columns):
            return masked
        condition = bound(when, self.identity, self.catalog, ALIAS)
        return f"CASE WHEN ({condition}) IS FALSE THEN {reference} ELSE {masked} END"

    def _located_filters(self, relation: Relation, location: int) -> tuple[str, ...]:
        try:
            return self.filters(relation, ALIAS)
        except Refused as refused:
            raise Refused(refused.refusal, location) from None

    def _disarmed(self, relation: Relation) -> dict[str, str]:
        """Columns of types whose input runs a user's code, read as the type below: a statement could give such a type a
        value of its own through the column. Where there is none below they read as NULL."""
        unsafe = self.catalog.unsafe_types
        expressions = {}
        for column in relation.columns:
            if column.type_oid in unsafe:
                base = unsafe[column.type_oid]
                reference = f"{ALIAS}.{quoted(column.name)}"
                expressions[column.name] = f"CAST({reference} AS {base})" if base else "NULL::pg_catalog.text"
        return expressions

    def _system(self, relation: Relation) -> Replacement | None:
        rule = system.rule_for(*relation.key)
        if rule is None:
            self.require_readable(relation)
            return None
        if rule == system.OPEN:
            return None
        filters = () if rule.where is None else (rule.where,)
        view = masked_view(relation, {name: _hidden(name) for name in rule.hidden}, filters=filters)
        return Replacement(view, (), protects=False, hides=True)

    def _view_source(self, relation: Relation, location: int) -> RewrittenView:
        if relation.key in self._expanding or len(self._expanding) > 32:  # noqa: PLR2004 - deeper than anyone nests
            raise unsupported(f"view {relation.qualified} nests too deeply", location=location)
        self._expanding.append(relation.key)
        try:
            return self._rewrite_view(self, relation)
        except Refused as refused:
            raise Refused(_in_view(relation, refused), location) from None
        finally:
            self._expanding.pop()

    # What no definition masks

    def _require_independent(self, relation: Relation, location: int) -> None:
        """A materialised view or foreign table holds values of its own, which no definition masks."""
        if self.identity.bypass or self.policy.names_columns_of(relation.key):
            return
        # Refused as well: a definition that calls what a role may not, or that reads what a catalogue hides.
        if (
            relation.kind == "m"
            and not self._depends_on_protected(relation)
            and not self._view_source(relation, location).hides
        ):
            return
        what = "depends on protected columns" if relation.kind == "m" else "may hold values of protected columns"
        raise denied(
            f"{kind_name(relation.kind)} {relation.qualified} {what}",
            hint="a mask or tag that names its own columns opens it",
            location=location,
        )

    def _protected(self, name: Name, column: str | None) -> bool:
        """Whether the role is masked in what (relation, column) shows; a view's is what its definition reads."""
        relation = self.catalog.relations.get(name)
        if relation is None:
            return True
        if relation.is_system:
            return system.rule_for(*name) != system.OPEN
        masks = self.column_masks(relation)
        if self.is_filtered(relation) or (masks and (column is None or column in masks)):
            return True
        return self._depends_on_protected(relation)

    def _depends_on_protected(self, relation: Relation) -> bool:
        whole = relation.definition is not None and reads_whole_rows(relation.definition)
        return any(
            self._protected(name, None if whole else column)
            for name, column in relation.depends
            if name != relation.key
        )


def _hidden(name: str) -> str:
    """NULL of the column's own type, pseudo-types such as anyarray included: the planner folds it to a constant."""
    return f"CASE WHEN false THEN {ALIAS}.{quoted(name)} END"


def _in_view(relation: Relation, refused: Refused) -> Refusal:
    message = f"view {relation.qualified} cannot be shown: {refused.refusal.message}"
    return replace(refused.refusal, message=message, unknown=None)


_KIND_NAMES = {
    "r": "table",
    "p": "table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
    "S": "sequence",
    "c": "composite type",
    "i": "index",
    "I": "index",
    "t": "TOAST table",
}


def kind_name(kind: str) -> str:
    """PostgreSQL's word for a pg_class.relkind."""
    return _KIND_NAMES.get(kind, "relation")
