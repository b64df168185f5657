"""SELECTs at random over the tables that a user may read: joins, sub-SELECTs, WITH, groups, windows, set operations.

Every query is one whose rows do not depend on the order in which PostgreSQL happens to read: LIMIT stands behind an
ORDER BY over all columns only.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from fuzz.constants import CONSTANTS
from fuzz.expressions import KINDS, Writer
from fuzz.ranges import Ranges
from fuzz.scope import UNSORTABLE, Column, Query, Scope, Table, Value, chance, quoted

NAMES = ("c1", "c2", "c3", "id", "name", "email", "Total", "from", "ÜBER", "value", "it's")
SMALL = 2
"""As deep as expressions nest in a sub-SELECT."""


class Queries:
    """Writes queries. `tables` are what may be read; everything random comes from `rng`."""

    def __init__(self, rng: Random, tables: Sequence[Table]) -> None:
        self.rng = rng
        self.writer = Writer(rng, self._sub_select)
        self.ranges = Ranges(rng, tables, self)

    def query(
        self, depth: int, outer: Scope | None = None, want: Sequence[str] | None = None, *, bare: bool = False
    ) -> Query:
        """Any query; `want` are the kinds that its columns must have, `bare`: their names are nobody's."""
        known = self.ranges.depth()
        prefix = ""
        if depth > 1 and chance(self.rng, 16):
            prefix = self.ranges.with_clause(depth - 1, outer)
        if depth > 0 and chance(self.rng, 10):
            found = self._set_operation(depth - 1, outer, want)
        elif want is not None and chance(self.rng, 3) and all(kind in CONSTANTS for kind in want):
            found = self._values(want)
        else:
            found = self._select(depth, outer, want, bare=bare)
        found = self._finished(found)
        self.ranges.forget(known)
        return Query(prefix + found.sql, found.columns, found.whole, found.ordered)

    def _sub_select(self, kinds: Sequence[str], depth: int, scope: Scope, form: str) -> str:
        if form == "query":  # one row, whatever is in the tables
            return self._one_row(kinds[0], depth, scope)
        found = self.query(min(depth, SMALL) - 1, scope, kinds or [self.rng.choice(KINDS)])
        return f"({found.sql})"

    def _one_row(self, kind: str, depth: int, scope: Scope) -> str:
        inner = Scope(outer=scope)
        text = self.ranges.from_clause(inner, min(depth, SMALL) - 1)
        inner.groups = []
        where = self._where(inner, min(depth, SMALL))
        return f"(SELECT {self._aggregate(kind, inner)} FROM {text}{where})"

    def _aggregate(self, kind: str, scope: Scope) -> str:
        inner = Scope(scope.sources)
        value = self.writer.expression(kind, 1, inner)
        if kind in ("jsonb", "json", "text[]", "int[]", "range", "uuid", "bytea", "bool", "lab.address"):
            return f"(array_agg({value} ORDER BY {value}::text))[1]"
        return f"{self.rng.choice(('min', 'max'))}({value})"

    # One SELECT

    def _select(self, depth: int, outer: Scope | None, want: Sequence[str] | None, *, bare: bool = False) -> Query:
        scope = Scope(outer=outer)
        text = self.ranges.from_clause(scope, depth)
        where = self._where(scope, depth + 1)
        if chance(self.rng, 22):
            return self._grouped(scope, depth, want, f" FROM {text}{where}", bare=bare)
        if want is None and chance(self.rng, 14):
            return self._star(scope, f" FROM {text}{where}")
        scope.windows = True
        kinds = want if want is not None else [self.writer.kind(scope) for _ in range(self.rng.randint(1, 4))]
        items, columns = self._items(scope, depth, kinds, bare=bare)
        distinct = ""
        if chance(self.rng, 12) and not any(c.kind in UNSORTABLE for c in columns):
            distinct = "DISTINCT "
            if chance(self.rng, 35):
                keys = ", ".join(str(i) for i in range(1, len(columns) + 1))
                return Query(
                    f"SELECT DISTINCT ON (1) {items} FROM {text}{where} ORDER BY {keys}", columns, ordered=True
                )
        return Query(f"SELECT {distinct}{items} FROM {text}{where}", columns)

    def _items(self, scope: Scope, depth: int, kinds: Sequence[str], *, bare: bool) -> tuple[str, tuple[Column, ...]]:
        """A select list, and its columns; every one has a name of its own, unless nobody needs it (`bare`)."""
        names = self.rng.sample(NAMES, min(len(kinds), len(NAMES)))
        items = []
        for name, kind in zip(names, kinds, strict=True):
            written = self.writer.expression(kind, depth + 1, scope)
            items.append(written if bare and chance(self.rng, 30) else f"{written} AS {quoted(name)}")
        return ", ".join(items), tuple(Column(name, kind) for name, kind in zip(names, kinds, strict=True))

    def _where(self, scope: Scope, depth: int) -> str:
        return f" WHERE {self.writer.expression('bool', depth, _plain(scope))}" if chance(self.rng, 55) else ""

    def _star(self, scope: Scope, rest: str) -> Query:
        columns = tuple(column for source in scope.sources for column in source.columns)
        if scope.merged or chance(self.rng, 50):
            return Query(f"SELECT *{rest}", columns, whole=not scope.merged)
        source = self.rng.choice(scope.sources)
        if chance(self.rng, 30):
            more = self.writer.expression("text", 1, scope)
            return Query(f"SELECT {source.alias}.*, {more} AS more{rest}", (*source.columns, Column("more", "text")))
        return Query(f"SELECT {source.alias}.*{rest}", source.columns)

    def _grouped(self, scope: Scope, depth: int, want: Sequence[str] | None, rest: str, *, bare: bool) -> Query:
        keyed = [source for source in scope.sources if source.key]
        sets = False
        if keyed and not scope.merged and chance(self.rng, 30):
            source = self.rng.choice(keyed)
            clause = ", ".join(f"{source.alias}.{quoted(name)}" for name in source.key)
            # A type without an equality cannot be added to the list of groups.
            kept = [column for column in source.columns if column.kind not in UNSORTABLE]
            groups = [Value(f"{source.alias}.{quoted(c.name)}", c.kind, c.masked) for c in kept]
        else:
            groups = self._group_keys(scope)
            sets = len(groups) > 1 and chance(self.rng, 35)
            clause = self._grouping(groups) if sets else ", ".join(group.sql for group in groups)
        scope.groups = [*groups, Value(f"grouping({groups[0].sql})", "int")] if sets else groups
        kinds = want if want is not None else [self.writer.kind(scope) for _ in range(self.rng.randint(1, 4))]
        items, columns = self._items(scope, min(depth, 1), kinds, bare=bare)
        having = f" HAVING {self.writer.expression('bool', 2, scope)}" if chance(self.rng, 30) else ""
        by = f" GROUP BY {clause}" if clause else ""
        return Query(f"SELECT {items}{rest}{by}{having}", columns)

    def _group_keys(self, scope: Scope) -> list[Value]:
        columns = [v for v in scope.columns() if v.kind not in UNSORTABLE and v.kind != "other"]
        if not columns or chance(self.rng, 15):
            return []
        weights = [3 if v.masked else 1 for v in columns]
        keys = list(dict.fromkeys(self.rng.choices(columns, weights, k=self.rng.randint(1, 3))))
        if chance(self.rng, 30):
            keys = [Value(f"upper({v.sql})", "text") if v.kind == "text" else v for v in keys]
        return keys

    def _grouping(self, groups: Sequence[Value]) -> str:
        listed = ", ".join(group.sql for group in groups)
        first = groups[0].sql
        forms = (
            f"ROLLUP ({listed})",
            f"CUBE ({listed})",
            f"GROUPING SETS (({listed}), ({first}), ())",
            f"{first}, ROLLUP ({listed})",
            f"DISTINCT ROLLUP ({listed}), CUBE ({first})",
        )
        return self.rng.choice(forms)

    # What is made of SELECTs

    def _values(self, want: Sequence[str]) -> Query:
        rows = [", ".join(self.rng.choice(CONSTANTS[kind]) for kind in want) for _ in range(self.rng.randint(1, 3))]
        text = ", ".join(f"({row})" for row in rows)
        return Query(f"VALUES {text}", tuple(Column(f"column{i}", kind) for i, kind in enumerate(want, start=1)))

    def _set_operation(self, depth: int, outer: Scope | None, want: Sequence[str] | None) -> Query:
        if want is None:
            want = [kind for kind in self.rng.choices(KINDS, k=self.rng.randint(1, 3)) if kind != "enum"] or ["text"]
        left, right = self._select(depth, outer, want), self._select(depth, outer, want)
        word = self.rng.choice(
            ("UNION ALL", "UNION", "INTERSECT", "EXCEPT", "UNION DISTINCT", "EXCEPT ALL", "INTERSECT ALL")
        )
        if not left.sorts:
            word = "UNION ALL"
        parts = [f"({query.sql})" if query.ordered or chance(self.rng, 40) else query.sql for query in (left, right)]
        return Query(f" {word} ".join(parts), left.columns)

    def _finished(self, query: Query) -> Query:
        """With an ORDER BY over all columns now and then, and a LIMIT behind it."""
        if query.ordered or not query.sorts or not chance(self.rng, 35):
            return query
        ways = ("", "", " DESC", " NULLS FIRST", " DESC NULLS LAST", " ASC")
        keys = [str(i) + self.rng.choice(ways) for i in range(1, len(query.columns) + 1)]
        self.rng.shuffle(keys)
        limits = (
            "",
            f" LIMIT {self.rng.randint(0, 9)}",
            f" LIMIT {self.rng.randint(1, 9)} OFFSET {self.rng.randint(0, 3)}",
            f" OFFSET {self.rng.randint(0, 5)} ROWS FETCH NEXT {self.rng.randint(1, 5)} ROWS ONLY",
            f" FETCH FIRST {self.rng.randint(1, 5)} ROWS WITH TIES",
            " LIMIT ALL",
        )
        return Query(f"{query.sql} ORDER BY {', '.join(keys)}{self.rng.choice(limits)}", query.columns, ordered=True)


def _plain(scope: Scope) -> Scope:
    """The same FROM below groups and windows: where WHERE stands."""
    return Scope(scope.sources, scope.outer, merged=scope.merged)
