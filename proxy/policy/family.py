"""Relations that show each other's rows: parents, children and partitions.

Rules hold for a whole family by column name: a parent shows the rows of its children.
https://www.postgresql.org/docs/current/ddl-inherit.html
"""

from __future__ import annotations

from collections.abc import Iterable

from proxy.policy.catalog import Catalog, Name


def family(catalog: Catalog, name: Name) -> tuple[Name, ...]:
    """The relation, then everything that inherits from or to it, through whatever other relation: a parent shows the
    rows of its children, whose rules may come from another parent."""
    found = [name]
    for member in found:
        relation = catalog.relations.get(member)
        near = (*(relation.parents if relation else ()), *catalog.children.get(member, ()))
        _extend(found, near)
    return tuple(found)


def ancestors(catalog: Catalog, name: Name) -> tuple[Name, ...]:
    """The relation, then what it inherits from, nearest first."""
    found = [name]
    for member in found:
        relation = catalog.relations.get(member)
        _extend(found, relation.parents if relation else ())
    return tuple(found)


def descendants(catalog: Catalog, name: Name) -> tuple[Name, ...]:
    """What inherits from the relation, nearest first."""
    found = [name]
    for member in found:
        _extend(found, catalog.children.get(member, ()))
    return tuple(found[1:])


def _extend(found: list[Name], more: Iterable[Name]) -> None:
    found += [name for name in dict.fromkeys(more) if name not in found]
