"""What the veil itself looks at to decide what a role sees: columns and tables that no masked role may write.

A row filter, the `when` of a mask and a mask's lookup table are read from the database. Whoever could write there could
show itself more rows, or turn a mask into an answer: a lookup for one guessed value says whether it is there. A foreign
key's CASCADE, SET NULL or SET DEFAULT writes as well.

It does not know statements: `writes` asks for what they name, `probes` for what cascades from there. Tables that only a
function of a policy's expression reads are not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from proxy.policy import parser
from proxy.policy.binding import bound
from proxy.policy.catalog import Catalog, Name, Relation
from proxy.policy.expressions import Expression
from proxy.policy.family import ancestors, family
from proxy.policy.masks_lookup import Lookup
from proxy.policy.reach import changed_columns, members, partition_columns
from proxy.policy.relations import MaskedRelations

Node = Any

_ROW: Final = "pgveil_row"


# Columns


def deciding_columns(relation: Relation, relations: MaskedRelations) -> frozenset[str]:
    """The columns by which a row is shown or hidden, masked or clear, in the relation and in all that shows its rows.

    Raises Refused where a rule cannot be asked of the relation's rows at all; then it cannot be read either.
    """
    catalog, reached = relations.catalog, members(relations.catalog, relation)
    above = dict.fromkeys(name for member in reached for name in ancestors(catalog, member.key))
    filters = (rule.condition for name in above for rule in relations.policy.filters_of(relations.identity, name))
    conditions = dict.fromkeys((*filters, *_conditions(relation, reached, relations)))
    texts = [bound(condition, relations.identity, catalog, _ROW) for condition in conditions]
    names = frozenset().union(*(_row_columns(t, reached) for t in (*texts, *relations.filters(relation, _ROW))))
    if "tableoid" in names:
        # A rule for one partition alone: what decides on the partition decides on the rule.
        names |= partition_columns(catalog, relation)
    return names


def changes(relation: Relation, columns: frozenset[str], relations: MaskedRelations) -> frozenset[str]:
    """What assigning `columns` changes: those, and what is generated from them, in the relation or what inherits."""
    return columns.union(*(changed_columns(member, columns) for member in members(relations.catalog, relation)))


def is_shown_by(relation: Relation, columns: frozenset[str], relations: MaskedRelations) -> bool:
    """Whether `columns` of the relation decide what the role sees: in the relation, or in a view of it where the role
    may not read the relation itself and so knows no more than the view shows."""
    changed = changes(relation, columns, relations)
    if changed & deciding_columns(relation, relations):
        return True
    if relations.may_read(relation):
        return False
    views = _views_of(relations.catalog, relation, changed)
    return any(relations.is_filtered(view) or any(_conditions(view, [view], relations)) for view in views)


def _conditions(relation: Relation, reached: Iterable[Relation], relations: MaskedRelations) -> Iterator[Expression]:
    """The `when` of the masks that hold for these. Rules hold for a whole family by column name, so one with no columns
    of its own has the relation's."""
    names = {column.name for column in relation.columns}
    for member in reached:
        if member is relation or not {column.name for column in member.columns} <= names:
            rules = (rule for masks in relations.column_masks(member).values() for rule in masks.rules)
            yield from (rule.when for rule in rules if rule.when is not None)


def _row_columns(condition: str, reached: Iterable[Relation]) -> frozenset[str]:
    """The row's own columns that a bound condition reads."""
    nodes = list(parser.nodes_of(parser.parse(f"SELECT {condition}")))
    references = [_parts(node) for node in nodes if node.DESCRIPTOR.name == "ColumnRef"]
    found = frozenset(names[-1] for names in references if len(names) > 1 and names[0] == _ROW)
    kinds = {node.DESCRIPTOR.name for node in nodes}
    if any(kind.startswith("Range") and kind != "RangeVar" for kind in kinds):
        # Behind a FROM whose columns are not known, a bare name may be the row's.
        bare = {names[0] for names in references if len(names) == 1}
        found |= frozenset(c.name for relation in reached for c in relation.columns if c.name in bare)
    return found


def _parts(reference: Node) -> list[str]:
    return [field.string.sval for field in reference.fields]


def _views_of(catalog: Catalog, relation: Relation, columns: frozenset[str]) -> list[Relation]:
    """Views that read these columns of the relation, or of what shows its rows, at whatever depth."""
    views = [view for view in catalog.relations.values() if view.depends]
    read: dict[Name, frozenset[str] | None] = dict.fromkeys(family(catalog, relation.key), columns)
    found: list[Relation] = []
    waiting = list(read)
    for name in waiting:
        below = read[name]
        for view in views:
            reads = any(key == name and (below is None or c is None or c in below) for key, c in view.depends)
            if reads and view.key not in read:
                # Which columns of the view come from those is not known.
                read[view.key] = None
                found.append(view)
                waiting.append(view.key)
    return found


# Tables


def is_read_by_policy(relation: Relation, relations: MaskedRelations) -> bool:
    """Whether a filter, condition or lookup that holds for the role reads the table, through a view perhaps."""
    return relation.key in read_by_policy(relations)


def read_by_policy(relations: MaskedRelations) -> frozenset[Name]:
    """The tables that filters, conditions and lookups read for the role."""
    return _below(relations.catalog, _tables(relations))


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
