"""What stands in for a relation when a role's statement refers to it: its masked view, as a tree.

One object per policy, catalogue and role set. It answers for each relation: refused, as it is, or this SELECT with the
same column names, order and types. Views are their definition, rewritten by the same engine; children and partitions
carry the rules of their parents by column name, and a parent those of its children, since it shows their rows.

It does not look at statements: `rewrite` does, and asks here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from proxy.policy import parser, system
from proxy.policy.catalog import Catalog, Name, Relation
from proxy.policy.derived import derived_columns, expression_uses, reads_whole_rows
from proxy.policy.masks import Null
from proxy.policy.model import Policy
from proxy.policy.plan import AppliedMask, Refusal
from proxy.policy.refused import Refused, denied, unsupported
from proxy.policy.rules import Identity, MaskRule

READABLE_KINDS = frozenset("rpvmf")
ALIAS = "t"


@dataclass(frozen=True, slots=True)
class Replacement:
    """The masked view of a relation. `select` is a SelectStmt's tree; callers copy it.

    `protects` is False where only built-in rules of a system catalogue made it: nothing of a user's is in it.
    """

    select: parser.ParseTree
    masks: tuple[AppliedMask, ...]
    protects: bool
    hides: bool = False
    """Rows or columns of a system catalogue are hidden in it."""


@dataclass(frozen=True, slots=True)
class RewrittenView:
    """A view's definition after the engine went over it."""

    select: parser.ParseTree
    changed: bool
    masks: tuple[AppliedMask, ...]
    hides: bool


RewriteView = Callable[["MaskedRelations", Relation], RewrittenView]


class MaskedRelations:
    """The relations as one role set sees them. Not thread-safe; everything in it is made once and kept."""

    def __init__(self, policy: Policy, catalog: Catalog, identity: Identity, rewrite_view: RewriteView) -> None:
        self.policy = policy
        self.catalog = catalog
        self.identity = identity
        self._rewrite_view = rewrite_view
        self._made: dict[Name, Replacement | None] = {}
        self._expanding: list[Name] = []

    def may_read(self, relation: Relation) -> bool:
        """Whether the role may name it at all; system relations need a built-in rule."""
        if relation.is_system:
            return system.rule_for(*relation.key) is not None
        return self.identity.bypass or self.policy.may_read(self.identity, relation.key)

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

    def masks_of(self, relation: Relation) -> dict[str, MaskRule]:
        """Column to the rule that masks it: its own, else an ancestor's, else a descendant's of that column name."""
        if self.identity.bypass:
            return {}
        family = self._family(relation.key)
        found = self._ruled(relation, family)
        computed = self._computed_from_masked(family)
        null = {c.name: computed[c.name] for c in relation.columns if c.name in computed and c.name not in found}
        return found | null

    def _ruled(self, relation: Relation, family: tuple[Name, ...]) -> dict[str, MaskRule]:
        found: dict[str, MaskRule] = {}
        for column in relation.columns:
            rules = (self.policy.mask_for(self.identity, name, column.name) for name in family)
            rule = next((rule for rule in rules if rule is not None), None)
            if rule is not None:
                found[column.name] = rule
        return found

    def _computed_from_masked(self, family: tuple[Name, ...]) -> dict[str, MaskRule]:
        """Generated columns over masked ones, anywhere in the family, since a child's expression may be its own. They
        hold what the mask hides: NULL, unless a rule says otherwise."""
        found: dict[str, MaskRule] = {}
        for relation in (self.catalog.relations[name] for name in family if name in self.catalog.relations):
            generated = {c.name: c.generated for c in relation.columns if c.generated is not None}
            masked = self._ruled(relation, family) if generated else {}
            for name, expression in generated.items():
                if masked and expression_uses(expression, frozenset(masked)):
                    found[name] = MaskRule(Null(), next(iter(masked.values())).where)
        return found

    def masked_names(self, relation: Relation) -> dict[str, str]:
        """Column to the name of its mask; `view` for what a view derives from masked columns below it."""
        found = {column: rule.mask.name for column, rule in self.masks_of(relation).items()}
        if relation.kind == "v" and relation.definition is not None:
            below = [self.catalog.relations.get(name) for name, _ in relation.depends]
            masked: frozenset[str] = frozenset().union(*(self.masked_names(r) for r in below if r is not None))
            columns = tuple(column.name for column in relation.columns)
            found |= dict.fromkeys(derived_columns(relation.definition, columns, masked) - found.keys(), "view")
        return found

    def _make(self, relation: Relation, location: int) -> Replacement | None:
        if relation.is_system:
            return self._system(relation)
        if relation.kind not in READABLE_KINDS:
            raise unsupported(
                f"{kind_name(relation.kind)} {relation.qualified} cannot be read through the veil", location=location
            )
        rules = self.masks_of(relation)
        if relation.kind in "mf":
            self._require_independent(relation, location)
        source = self._view_source(relation, location) if relation.kind == "v" else None
        hidden = system.EXTENSION_RULES.get(relation.name, system.OPEN).hidden
        masks = tuple(AppliedMask(relation.qualified, name, rule.mask.name, rule.where) for name, rule in rules.items())
        expressions = {name: _hidden(name) for name in hidden} | self._disarmed(relation)
        if not rules and not expressions and (source is None or not source.changed):
            return None
        for name, rule in rules.items():
            column = relation.column(name)
            if column is not None:
                expressions[name] = rule.mask.expression(f"{ALIAS}.{quoted(name)}", column.type_name)
        select = self._select(relation, expressions, source)
        hides = source is not None and source.hides
        return Replacement(select, masks + (source.masks if source else ()), protects=True, hides=hides)

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
        expressions = {name: _hidden(name) for name in rule.hidden}
        return Replacement(self._select(relation, expressions, None, rule.where), (), protects=False, hides=True)

    def _select(
        self,
        relation: Relation,
        expressions: Mapping[str, str],
        source: RewrittenView | None,
        where: str | None = None,
    ) -> parser.ParseTree:
        """`SELECT t.a, mask(t.b) AS b FROM relation AS t`, or over the rewritten definition of a view."""
        if source is not None and not expressions and not relation.security_barrier:
            return source.select
        items = ", ".join(
            f"{expressions[c.name]} AS {quoted(c.name)}" if c.name in expressions else f"{ALIAS}.{quoted(c.name)}"
            for c in relation.columns
        )
        text = f"SELECT {items} FROM {quoted(relation.schema)}.{quoted(relation.name)} AS {ALIAS}"
        if where is not None:
            text += f" WHERE {where}"
        if where is not None or relation.security_barrier:
            # The planner may not move a predicate from outside below this: the WHERE inside comes first.
            text += " OFFSET 0"
        select = parser.parse(text).stmts[0].stmt.select_stmt
        if source is not None:
            subselect = parser.nodes.RangeSubselect(alias=parser.nodes.Alias(aliasname=ALIAS))
            subselect.subquery.select_stmt.CopyFrom(source.select)
            select.from_clause[0].range_subselect.CopyFrom(subselect)
        parser.without_locations(select)
        return select

    def _view_source(self, relation: Relation, location: int) -> RewrittenView:
        if relation.key in self._expanding or len(self._expanding) > 32:  # noqa: PLR2004 - deeper than anyone nests
            raise unsupported(f"view {relation.qualified} nests too deeply", location=location)
        self._expanding.append(relation.key)
        try:
            source = self._rewrite_view(self, relation)
        except Refused as refused:
            raise Refused(_in_view(relation, refused), location) from None
        finally:
            self._expanding.pop()
        parser.without_locations(source.select)
        return source

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
        rules = self.masks_of(relation)
        if rules and (column is None or column in rules):
            return True
        return self._depends_on_protected(relation)

    def _depends_on_protected(self, relation: Relation) -> bool:
        whole = relation.definition is not None and reads_whole_rows(relation.definition)
        return any(
            self._protected(name, None if whole else column)
            for name, column in relation.depends
            if name != relation.key
        )

    def _family(self, name: Name) -> tuple[Name, ...]:
        """The relation, then everything that inherits from or to it, through whatever other relation: a parent shows
        the rows of its children, whose rules may come from another parent."""
        found = [name]
        for member in found:
            relation = self.catalog.relations.get(member)
            near = (*(relation.parents if relation else ()), *self.catalog.children.get(member, ()))
            found += [other for other in dict.fromkeys(near) if other not in found]
        return tuple(found)


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


def quoted(name: str) -> str:
    """An identifier that the grammar reads as exactly `name`."""
    return '"' + name.replace('"', '""') + '"'
