"""What a write to a table touches besides what it names: partitions, children, generated columns.

It knows the catalogue and nothing of roles: `probes` and `steering` ask what of this a role may not see or change.
https://www.postgresql.org/docs/current/ddl-partitioning.html
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from proxy.policy import parser
from proxy.policy.catalog import Catalog, Relation


def members(catalog: Catalog, relation: Relation, *, only: bool = False) -> list[Relation]:
    """The relation and, unless `only`, everything that inherits from it: what a write to it may reach."""
    found = {relation.key: relation}
    waiting = [relation]
    while waiting:
        member = waiting.pop()
        if only and member.kind != "p":
            continue
        for name in catalog.children.get(member.key, ()):
            child = catalog.relations.get(name)
            if child is not None and name not in found:
                found[name] = child
                waiting.append(child)
    return list(found.values())


def partitioned_above(catalog: Catalog, relation: Relation) -> Iterator[Relation]:
    """The partitioned tables that the relation is a part of."""
    for name in relation.parents:
        parent = catalog.relations.get(name)
        if parent is not None and parent.kind == "p":
            yield parent
            yield from partitioned_above(catalog, parent)


def partition_columns(catalog: Catalog, relation: Relation) -> frozenset[str]:
    """The columns that decide which partition a row of the relation lies in."""
    related = (*members(catalog, relation), *partitioned_above(catalog, relation))
    return frozenset(name for r in related for c in r.constraints if c.kind == "partition" for name in c.columns)


def changed_columns(relation: Relation, columns: frozenset[str]) -> frozenset[str]:
    """`columns`, and those of the relation that are generated from one of them: they change with it."""
    found = set(columns)
    for column in relation.columns:
        if column.generated is not None:
            read = names_in(column.generated)
            if read is None or read & columns:
                found.add(column.name)
    return frozenset(found)


def settled_columns(relation: Relation, columns: frozenset[str]) -> frozenset[str]:
    """`columns`, and those that are generated from nothing else: who writes the former knows the latter."""
    found = set(columns)
    for column in relation.columns:
        read = names_in(column.generated) if column.generated is not None else None
        if read is not None and read <= columns:
            found.add(column.name)
    return frozenset(found)


@lru_cache(maxsize=1024)
def names_in(expression: str) -> frozenset[str] | None:
    """The columns that an expression of the catalogue refers to; None is every column, or what cannot be read."""
    try:
        tree = parser.parse(f"SELECT {expression}")
    except parser.SyntaxProblem:
        return None
    last = [node.fields[-1] for node in parser.nodes_of(tree) if node.DESCRIPTOR.name == "ColumnRef"]
    return None if any(part.WhichOneof("node") != "string" for part in last) else frozenset(p.string.sval for p in last)
