"""How tables are linked, and the one way from a table to another.

Links are the declared foreign keys. Where a column is under none, a link is implied only by a name that leaves no
choice: `user_id` beside exactly one table of users with a one-column primary key of the same type family.
A way that follows keys forward (many rows to one) is preferred: it multiplies no rows. Other ways go backward, or
backward first and forward then (customers to orders to products); two tables that only point to the same third one are
not linked. Two shortest ways, or two that turn, are an ambiguity, and the caller names them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from proxy.nl.embedded.names import Lexicon, keys_of
from proxy.nl.schema import Family, SchemaView
from proxy.policy.catalog import ForeignKey, Name

MAX_STEPS = 5
IMPLIED = "implied by "


@dataclass(frozen=True)
class Step:
    """One link. `forward`: from the table that has the key to the one that it points to."""

    key: ForeignKey
    forward: bool

    @property
    def target(self) -> Name:
        return self.key.ref_table if self.forward else self.key.table

    @property
    def source(self) -> Name:
        return self.key.table if self.forward else self.key.ref_table

    def pairs(self) -> Iterator[tuple[str, str]]:
        """(column on the source's side, column on the target's side)."""
        own, other = self.key.columns, self.key.ref_columns
        return zip(own, other, strict=True) if self.forward else zip(other, own, strict=True)


Path = tuple[Step, ...]


def is_forward(path: Path) -> bool:
    """Whether each row at the start has at most one at the end."""
    return all(step.forward for step in path)


def turns(path: Path) -> bool:
    """Whether the way leads through a table whose rows belong to both ends."""
    return bool(path) and not path[0].forward and path[-1].forward


def distance(path: Path) -> int:
    """How far the end is. Ways that turn are all equally far: only the nearest of the others is what is meant."""
    return MAX_STEPS + 1 if turns(path) else len(path)


def reversed_path(path: Path) -> Path:
    """The same way from its end."""
    return tuple(Step(s.key, not s.forward) for s in reversed(path))


def is_implied(key: ForeignKey) -> bool:
    """Whether only names say so: the database does not check it."""
    return key.name.startswith(IMPLIED)


def spell(path: Path) -> str:
    """A path for an error text: the key columns that it goes through."""
    return ", ".join(f"{s.key.table[1]}.{'+'.join(s.key.columns)}" for s in path)


class Graph:
    """The tables of one schema view and every link between them."""

    def __init__(self, schema: SchemaView, lexicon: Lexicon) -> None:
        declared = (k for k in schema.foreign_keys if schema.table(k.table) and schema.table(k.ref_table))
        self.keys = (*declared, *_implied_keys(schema, lexicon))
        self._primary = {table.key: table.primary_key for table in schema.tables}
        self._views = {table.key for table in schema.tables if table.is_view}
        for key in self.keys:
            lexicon.add_role(key)
        self._steps: dict[Name, list[Step]] = {table.key: [] for table in schema.tables}
        for key in self.keys:
            self._steps[key.table].append(Step(key, forward=True))
            self._steps[key.ref_table].append(Step(key, forward=False))
        self._memo: dict[tuple[Name, Name], list[Path]] = {}

    def paths(self, start: Name, end: Name) -> list[Path]:
        """The shortest ways that follow keys forward; else backward; else all that turn round at a table between.

        From a table to itself: the empty way. A view is no place to pass through: it repeats what its tables hold.
        """
        if (start, end) not in self._memo:
            found = self._shortest(start, end, forward=True)
            found = found or [reversed_path(path) for path in self._shortest(end, start, forward=True)]
            self._memo[start, end] = found or self._turning(start, end)
        return self._memo[start, end]

    def _turning(self, start: Name, end: Name) -> list[Path]:
        """Ways through a table whose rows belong to both, such as the items of orders for products and customers.

        How short such a way is says nothing of its meaning, so all of them count: customers bought products, and
        reviewed them. A table below another one that will do adds nothing.
        """
        pivots = {t for t in self._below(start) & self._below(end) if t not in self._views}
        found: list[Path] = []
        for pivot in sorted(pivots):
            for back in self._shortest(pivot, start, forward=True):
                for on in self._shortest(pivot, end, forward=True):
                    passed = {s.target for s in (*back, *on)}
                    if len(back) + len(on) <= MAX_STEPS and not passed & pivots:
                        found.append((*reversed_path(back), *on))
        return found

    def junctions(self, start: Name, end: Name) -> list[Path]:
        """Ways through a table that does nothing but link the two: its primary key is its keys to both."""
        found: list[Path] = []
        for back in self._steps[start]:
            for on in () if back.forward else self._steps[back.target]:
                columns = {*back.key.columns, *on.key.columns}
                if on.forward and on.target == end and columns == set(self._primary[back.target]):
                    found.append((back, on))
        return found

    def _below(self, table: Name) -> set[Name]:
        """The tables from which keys lead to this one."""
        found: set[Name] = set()
        fresh = {table}
        for _ in range(MAX_STEPS):
            fresh = {s.target for t in fresh for s in self._steps[t] if not s.forward} - found - {table}
            found |= fresh
        return found

    def _shortest(self, start: Name, end: Name, *, forward: bool) -> list[Path]:
        paths: list[Path] = [()]
        if start == end:
            return paths
        seen = {start}
        for _ in range(MAX_STEPS):
            longer = [
                (*path, step)
                for path in paths
                for step in self._steps[path[-1].target if path else start]
                if step.forward is forward and step.target not in seen
            ]
            found = [path for path in longer if path[-1].target == end]
            if found or not longer:
                return found
            seen |= {path[-1].target for path in longer}
            paths = [path for path in longer if path[-1].target not in self._views]
        return []


def _implied_keys(schema: SchemaView, lexicon: Lexicon) -> list[ForeignKey]:
    declared = {(k.table, c) for k in schema.foreign_keys for c in k.columns}
    single = [t for t in schema.tables if len(t.primary_key) == 1]
    found = []
    for table in schema.tables:
        for column in table.columns:
            if (table.key, column.name) in declared or table.primary_key == (column.name,):
                continue
            forms = lexicon.key_forms(table.key, column.name)
            targets = [t for t in single if t.key != table.key and forms & _key_names(lexicon, t.key, t.primary_key[0])]
            if len(targets) == 1:
                target = targets[0]
                pointed = target.column(target.primary_key[0])
                if (
                    pointed
                    and column.family is pointed.family
                    and column.family in {Family.NUMBER, Family.TEXT, Family.OTHER}
                ):
                    name = f"{IMPLIED}{table.name}.{column.name}"
                    found.append(ForeignKey(name, table.key, (column.name,), target.key, target.primary_key))
    return found


def _key_names(lexicon: Lexicon, table: Name, primary_key: str) -> set[str]:
    """What a column elsewhere must be called to point here: `customer_id`, or the key's own name."""
    names = lexicon.names[table]
    owner = names.words
    ends = set(names.columns[primary_key][-1:]) | {"id"}
    found = {key for end in ends for key in keys_of((*owner, end))}
    own = names.columns[primary_key]
    if len(own) > 1 and set(own) & set(owner):
        found |= set(keys_of(own))
    return found
