"""FROM and WITH at random: tables under every kind of name, sub-SELECTs, functions, VALUES, joins of every kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from fuzz.scope import Column, Scope, Source, Table, Value, chance, quoted

if TYPE_CHECKING:
    from fuzz.queries import Queries

ALIASES = ("a", "b", "c", "t", "x", "T1", "o", "Where", "customers", "r ö")


class Ranges:
    """Writes FROM and WITH for `queries`; remembers the names of WITH that are in force."""

    def __init__(self, rng: Random, tables: Sequence[Table], queries: Queries) -> None:
        self.rng = rng
        self._tables = tables
        self._weights = [3 if table.protected else 1 for table in tables]
        self._queries = queries
        self._known: list[Source] = []

    # WITH

    def depth(self) -> int:
        """How many names of WITH are in force: for `forget`."""
        return len(self._known)

    def forget(self, count: int) -> None:
        del self._known[count:]

    def with_clause(self, depth: int, outer: Scope | None) -> str:
        """WITH and one to three queries, which may use those before them."""
        parts, recursive = [], False
        for number in range(self.rng.randint(1, 3)):
            name = self.rng.choice((f"w{number}", f"W {number}", "customers", "docs", "orders"))
            if any(known.alias == quoted(name) for known in self._known):
                continue
            if chance(self.rng, 20):
                parts.append(self._recursive(name))
                recursive = True
                continue
            found = self._queries.query(depth, outer)
            if not _distinct(found.columns) or not found.whole:
                continue
            columns, listed = found.columns, ""
            if chance(self.rng, 25):
                columns = tuple(Column(f"k{i}", column.kind) for i, column in enumerate(columns))
                listed = f" ({', '.join(column.name for column in columns)})"
            way = self.rng.choice(("", "", "MATERIALIZED ", "NOT MATERIALIZED "))
            parts.append(f"{quoted(name)}{listed} AS {way}({found.sql})")
            self._known.append(Source(quoted(name), columns))
        if not parts:
            return ""
        return f"WITH {'RECURSIVE ' if recursive else ''}{', '.join(parts)} "

    def _recursive(self, name: str) -> str:
        """From each node up or down a tree; a protected column goes along."""
        trees = (("lab.tree", "id", "parent_id", "name"), ("shop.employees", "id", "manager_id", "email"))
        table, key, parent, carried = self.rng.choice(trees)
        self._known.append(Source(quoted(name), (Column("id", "int"), Column("value", "text"), Column("depth", "int"))))
        word = self.rng.choice(("UNION ALL", "UNION"))
        tail = self.rng.choice(("", "", f" CYCLE {key} SET again USING path", " SEARCH DEPTH FIRST BY id SET place"))
        return (
            f"{quoted(name)} (id, value, depth) AS (SELECT e.{key}, e.{carried}, 1 FROM {table} AS e"
            f" WHERE e.{parent} IS NULL {word} SELECT n.{key}, n.{carried} || w.value, w.depth + 1"
            f" FROM {table} n JOIN {quoted(name)} w ON n.{parent} = w.id WHERE w.depth < 4){tail}"
        )

    # FROM

    def from_clause(self, scope: Scope, depth: int) -> str:
        """One to three items, joined; they are in the scope afterwards."""
        text = self._item(scope, depth)
        for _ in range(self.rng.choice((0, 0, 0, 1, 1, 2))):
            text = self._join(text, scope, depth)
        return text

    def _join(self, left: str, scope: Scope, depth: int) -> str:
        before = Scope(list(scope.sources), scope.outer, merged=scope.merged)
        lateral = chance(self.rng, 15) and depth > 0
        right = self._lateral(scope, depth) if lateral else self._item(scope, depth)
        added = scope.sources[-1]
        form = self.rng.choice(("cross", "comma", "on", "on", "on", "on", "using", "natural"))
        if lateral or form in ("cross", "comma"):
            word = self.rng.choice((" CROSS JOIN ", ", " if not left.startswith("(") else " CROSS JOIN "))
            if lateral and chance(self.rng, 40):
                return f"{left} LEFT JOIN {right} ON true"
            return f"{left}{word}{right}" if word != ", " or " JOIN " not in left else f"{left} CROSS JOIN {right}"
        kind = self.rng.choice(("JOIN", "INNER JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "LEFT OUTER JOIN"))
        if form == "natural":
            scope.merged = True
            return f"{left} NATURAL {kind} {right}"
        common = self._common(before, added)
        if form == "using" and common:
            scope.merged = True
            alias = f" AS j{len(scope.sources)}" if chance(self.rng, 20) else ""
            return f"{left} {kind} {right} USING ({', '.join(quoted(name) for name in common)}){alias}"
        return f"{left} {kind} {right} ON {self._condition(before, added, full=kind.startswith('FULL'))}"

    def _common(self, before: Scope, added: Source) -> list[str]:
        """A name that the last item shares with exactly one other, of one type."""
        names = [column.name for source in before.sources for column in source.columns]
        kinds = {column.name: column.kind for source in before.sources for column in source.columns}
        found = [
            column.name
            for column in added.columns
            if names.count(column.name) == 1
            and kinds[column.name] == column.kind
            and column.kind in ("int", "text", "date")
        ]
        return self.rng.sample(found, min(len(found), self.rng.randint(1, 2)))

    def _condition(self, before: Scope, added: Source, *, full: bool) -> str:
        left = [value for value in before.columns() if value.kind in ("int", "text", "date", "num")]
        right = [Value(f"{added.alias}.{quoted(c.name)}", c.kind, c.masked) for c in added.columns]
        pairs = [(one, other) for one in left for other in right if one.kind == other.kind]
        if not pairs:
            return "true" if not full else "1 = 1"
        one, other = self.rng.choices(pairs, [3 if a.masked or b.masked else 2 for a, b in pairs])[0]
        text = f"{one.sql} = {other.sql}"
        if not full and chance(self.rng, 25):
            text += " AND " + self._queries.writer.expression("bool", 1, Scope([*before.sources, added]))
        return text

    def _item(self, scope: Scope, depth: int) -> str:
        """One item of FROM without names of the others in it."""
        if self._known and chance(self.rng, 45):
            known = self.rng.choice(self._known)
            return self._named(scope, known.alias, known.columns, default=known.alias)
        if depth > 0 and chance(self.rng, 18):
            found = self._queries.query(depth - 1, None)
            if found.whole and _distinct(found.columns):
                return self._named(scope, f"({found.sql})", found.columns)
        if chance(self.rng, 5):
            return self._named(
                scope, "(VALUES (1, 'a'), (2, '***'))", (Column("column1", "int"), Column("column2", "text"))
            )
        if chance(self.rng, 4):
            return self._named(scope, "generate_series(1, 3)", (Column("n", "int"),), listed=True)
        return self._table(scope)

    def _table(self, scope: Scope) -> str:
        table = self.rng.choices(self._tables, self._weights)[0]
        bare = quoted(table.name)
        hidden = any(known.alias == bare for known in self._known)
        text = bare if chance(self.rng, 40) and not hidden else f"{quoted(table.schema)}.{bare}"
        taken = any(source.alias == bare for source in scope.sources)
        only = starred = ""
        if chance(self.rng, 20 if table.inherits else 3):
            only = "ONLY "
            text = f"({text})" if chance(self.rng, 30) else text
        elif table.inherits and chance(self.rng, 10):
            starred = " *"
        default = None if taken else bare
        named = self._named(scope, only + text + starred, table.columns, default=default, key=table.key)
        if scope.sources[-1].alias == bare and text != bare:
            scope.sources[-1] = replace(scope.sources[-1], schema=quoted(table.schema))
        return named

    def _lateral(self, scope: Scope, depth: int) -> str:
        """An item that uses those before it."""
        seen = Scope(list(scope.sources), scope.outer, merged=scope.merged)
        writer = self._queries.writer
        form = self.rng.choice(("select", "select", "values", "unnest", "each"))
        if form == "unnest":
            array = writer.expression("text[]", 1, seen)
            return self._named(scope, f"unnest({array})", (Column("element", "text"),), listed=True)
        if form == "each":
            value = writer.column("jsonb", seen)
            text = f"jsonb_each_text(CASE WHEN jsonb_typeof({value}) = 'object' THEN {value} END)"
            return self._named(scope, text, (Column("key", "text"), Column("value", "text")))
        if form == "values":
            kinds = [self.rng.choice(("text", "int", "date")) for _ in range(2)]
            cells = ", ".join(writer.expression(kind, 1, seen) for kind in kinds)
            columns = tuple(Column(f"v{i}", kind) for i, kind in enumerate(kinds))
            return self._named(scope, f"LATERAL (VALUES ({cells}))", columns, listed=True)
        found = self._queries.query(depth - 1, seen, [self.rng.choice(("text", "int", "num", "date"))])
        return self._named(scope, f"LATERAL ({found.sql})", found.columns)

    def _named(
        self,
        scope: Scope,
        text: str,
        columns: tuple[Column, ...],
        *,
        default: str | None = None,
        key: tuple[str, ...] = (),
        listed: bool = False,
    ) -> str:
        """The item with its alias, and in the scope. `default`: the name that it has without; `listed`: its columns
        have these names by the alias only."""
        if default is not None and chance(self.rng, 30) and not any(s.alias == default for s in scope.sources):
            scope.sources.append(Source(default, columns, key))
            return text
        free = [alias for alias in ALIASES if all(s.alias != quoted(alias) for s in scope.sources)]
        alias = quoted(self.rng.choice(free))
        names = ""
        if listed or chance(self.rng, 8):
            renamed = columns if listed else tuple(Column(f"z{i}", c.kind, c.masked) for i, c in enumerate(columns))
            if not listed and len(columns) > 1 and chance(self.rng, 50):
                renamed = (*renamed[:1], *columns[1:])
            names = f" ({', '.join(quoted(c.name) for c in (renamed if listed else _renamed(renamed)))})"
            columns, key = renamed, ()
        scope.sources.append(Source(alias, columns, key, row=not listed and (not names or default is None)))
        word = self.rng.choice((" AS ", " "))
        return f"{text}{word}{alias}{names}"


def _renamed(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    return tuple(column for column in columns if column.name.startswith("z"))


def _distinct(columns: tuple[Column, ...]) -> bool:
    return len({column.name for column in columns}) == len(columns) > 0
