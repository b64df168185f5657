"""What the veil itself looks at to decide what a role sees: columns and tables that no masked role may write.

A row filter, the `when` of a mask and a mask's lookup table are read from the database. Whoever could write there could
show itself more rows, or turn a mask into an answer: a lookup for one guessed value says whether it is there.

It does not know statements: `writes` asks. Tables that only a function of a policy's expression reads are not known.
"""

from __future__ import annotations

from collections.abc import Iterator

from proxy.policy import parser
from proxy.policy.catalog import Catalog, Name, Relation
from proxy.policy.expressions import Expression
from proxy.policy.family import family
from proxy.policy.masks_lookup import Lookup
from proxy.policy.relations import MaskedRelations


def conditional_columns(relation: Relation, relations: MaskedRelations) -> frozenset[str]:
    """The columns by which a row's own values are masked or shown."""
    rules = [rule for masks in relations.column_masks(relation).values() for rule in masks.rules]
    return frozenset(name for rule in rules if rule.when is not None for name in rule.when.columns)


def is_read_by_policy(relation: Relation, relations: MaskedRelations) -> bool:
    """Whether a filter, condition or lookup that holds for the role reads the table, through a view perhaps."""
    return relation.key in _below(relations.catalog, _tables(relations))


def _tables(relations: MaskedRelations) -> Iterator[Name]:
    policy, roles = relations.policy, relations.identity.roles
    for row_rule in policy.rows:
        if not row_rule.roles or row_rule.roles & set(roles):
            yield from _named(row_rule.condition)
    for rule in policy.masks:
        if rule.exempts(roles):
            continue
        if rule.when is not None:
            yield from _named(rule.when)
        if isinstance(rule.mask, Lookup):
            yield rule.mask.relation


def _named(expression: Expression) -> Iterator[Name]:
    for node in parser.nodes_of(parser.parse(f"SELECT {expression.sql}")):
        if node.DESCRIPTOR.name == "RangeVar":
            yield node.schemaname, node.relname


def _below(catalog: Catalog, names: Iterator[Name]) -> frozenset[Name]:
    """The tables, what views among them read, and what shows rows of theirs."""
    found = list(dict.fromkeys(names))
    for name in found:
        relation = catalog.relations.get(name)
        read = [key for key, _ in relation.depends] if relation is not None else []
        found += [n for n in dict.fromkeys((*read, *family(catalog, name))) if n not in found]
    return frozenset(found)
