"""sqlglot's part of the check: names that do not exist with the nearest that do, and tables joined by nothing.

It reads the SQL that a provider wrote, so that a mistake comes back in words that help to repair it. It decides
nothing about what may run: that is the veil's, on PostgreSQL's own grammar, and it comes after this.

It does not know types, and where it cannot tell what a name means it lets it pass.
"""

from __future__ import annotations

import difflib
import functools
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.scope import Scope, traverse_scope

from proxy.nl.problem import SqlProblem
from proxy.nl.schema import SchemaView, TableView

# Its warnings quote the SQL that it reads.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL + 1)

_SLIPS = (("`", "mysql"), ("top", "tsql"), ("[", "tsql"))
"""What another dialect's text holds that PostgreSQL's grammar refuses, and that dialect."""


def from_other_dialects(sql: str) -> Iterator[str]:
    """PostgreSQL's spelling of SQL that a model wrote for another database; nothing where it is none that is known."""
    for mark, dialect in _SLIPS:
        if mark not in sql.lower():
            continue
        try:
            statements = sqlglot.transpile(sql, read=dialect, write="postgres")
        except (SqlglotError, RecursionError):
            continue
        if len(statements) == 1:
            yield statements[0]


def lint(sql: str, view: SchemaView, search_path: tuple[str, ...]) -> None:
    """Refuse unknown tables and columns, and tables that no condition joins. `sql` is one valid SELECT.

    Raises:
        SqlProblem: with the nearest name where there is one.
    """
    try:
        expression: Any = sqlglot.parse_one(sql, read="postgres")
        scopes: list[Any] = traverse_scope(expression)
    except (SqlglotError, RecursionError):
        raise SqlProblem("it is too unusual to be checked; write a simpler SELECT") from None
    linter = _Linter(view, search_path)
    for scope in scopes:
        linter.tables(scope)
    for scope in scopes:
        linter.columns(scope)
    for scope in scopes:
        linter.joins(scope)


class _Linter:
    def __init__(self, view: SchemaView, search_path: tuple[str, ...]) -> None:
        self._view = view
        self._search_path = search_path

    # -- tables --

    def tables(self, scope: Any) -> None:
        for node, source in scope.selected_sources.values():
            if isinstance(source, exp.Table) and _is_named(source) and self._table(source) is None:
                raise SqlProblem(self._unknown_table(source))
            del node

    def _table(self, table: Any) -> TableView | None:
        schema, name = _name(table.args.get("db")), _name(table.this)
        schemas = [schema] if schema else self._search_path
        return next((found for s in schemas if (found := self._view.table((s, name)))), None)

    def _unknown_table(self, table: Any) -> str:
        name = _name(table.this)
        schema = _name(table.args.get("db"))
        written = f"{schema}.{name}" if schema else name
        same = [t.qualified for t in self._view.tables if t.name == name]
        near = same or _nearest(written, [t.qualified for t in self._view.tables])
        return f"there is no table {written}" + _suggestion(near)

    # -- columns --

    def columns(self, scope: Any) -> None:
        if not isinstance(scope.expression, exp.Select):
            return
        for column in scope.columns:
            if column.parent_select is scope.expression and not isinstance(column.this, exp.Star):
                self._column(scope, column)

    def _column(self, scope: Any, column: Any) -> None:
        name, qualifier = _name(column.this), _name(column.args.get("table"))
        if not qualifier:
            if not self._is_known(scope, name):
                raise SqlProblem(f"there is no column {name}" + _suggestion(self._nearest_column(scope, name)))
            return
        known = self._source_columns(scope, qualifier)
        if known is not None and name not in known:
            raise SqlProblem(f"{qualifier} has no column {name}" + _suggestion(_nearest(name, known)))

    def _is_known(self, scope: Any, name: str) -> bool:
        """Whether an unqualified name can mean something in the scope or around it."""
        if any(_output_name(s) == name for s in scope.expression.selects if isinstance(s, exp.Alias)):
            return True
        while scope is not None:
            for alias in scope.selected_sources:
                known = self._source_columns(scope, alias)
                if known is None or name in known or name == alias:
                    return True
            scope = scope.parent
        return False

    def _nearest_column(self, scope: Any, name: str) -> list[str]:
        offers: dict[str, str] = {}
        for alias in scope.selected_sources:
            offers.update({c: f"{alias}.{c}" for c in self._source_columns(scope, alias) or ()})
        return [offers[c] for c in _nearest(name, offers)]

    def _source_columns(self, scope: Any, alias: str) -> frozenset[str] | None:
        """The columns of a FROM item in the scope or around it; None where they are not known."""
        while scope is not None:
            if alias in scope.selected_sources:
                node, source = scope.selected_sources[alias]
                return self._columns_of(node, source)
            scope = scope.parent
        return None

    def _columns_of(self, node: Any, source: Any) -> frozenset[str] | None:
        if node.args.get("alias") is not None and node.args["alias"].args.get("columns"):
            return None
        if isinstance(source, exp.Table):
            table = self._table(source) if _is_named(source) else None
            return frozenset(c.name for c in table.columns) if table else None
        if not isinstance(source, Scope) or not isinstance(source.expression, exp.Query):
            return None
        query: Any = source.expression
        renamed = query.parent is not None and query.parent.args.get("alias")
        if not isinstance(query, exp.Select) or (renamed and renamed.args.get("columns")):
            return None
        found: set[str] = set()
        for item in query.selects:
            names = self._starred(source, item) if item.is_star else frozenset({_output_name(item)})
            if names is None or "" in names:
                return None
            found |= names
        return frozenset(found)

    def _starred(self, scope: Any, item: Any) -> frozenset[str] | None:
        """The columns of `*` or `t.*` in a scope's select list."""
        qualifier = _name(item.args.get("table")) if isinstance(item, exp.Column) else ""
        found: set[str] = set()
        for alias, (node, source) in scope.selected_sources.items():
            if qualifier in ("", alias):
                names = self._columns_of(node, source)
                if names is None:
                    return None
                found |= names
        return frozenset(found)

    # -- joins --

    def joins(self, scope: Any) -> None:
        """Refuse FROM items that no condition connects, where each may have many rows."""
        if not isinstance(scope.expression, exp.Select) or len(scope.selected_sources) < 2:  # noqa: PLR2004 - a pair
            return
        groups = _Groups(scope.selected_sources)
        for item in _joins(scope.expression):
            groups.connect(self._merged(scope, item))
        for condition in _conditions(scope.expression):
            groups.connect(self._mentioned(scope, condition))
        loose = [
            alias for alias, (node, source) in scope.selected_sources.items() if not _may_stand_alone(node, source)
        ]
        first = next(iter(loose), None)
        for alias in loose[1:]:
            if first is not None and not groups.same(first, alias):
                raise SqlProblem(
                    f"{first} and {alias} are joined without a condition (a cartesian product); join them by their keys"
                )

    def _merged(self, scope: Any, item: Any) -> list[str]:
        """The two sides of a JOIN that merges columns by name: USING or NATURAL."""
        right = item.alias_or_name
        order = list(scope.selected_sources)
        if right not in order:
            return []
        before = order[: order.index(right)][::-1]
        if item.args.get("method") == "NATURAL":
            return [right, *before[:1]]
        for column in item.args.get("using") or []:
            for alias in before:
                known = self._source_columns(scope, alias)
                if known is None or _name(column) in known:
                    return [right, alias]
        return []

    def _mentioned(self, scope: Any, condition: Any) -> list[str]:
        """The FROM items of the scope that a condition speaks of."""
        found: list[str] = []
        for column in condition.find_all(exp.Column):
            qualifier = _name(column.args.get("table"))
            if qualifier:
                found.append(qualifier)
                continue
            name = _name(column.this)
            for alias in scope.selected_sources:
                known = self._source_columns(scope, alias)
                if known is None or name in known:
                    found.append(alias)
        return [alias for alias in dict.fromkeys(found) if alias in scope.selected_sources]


class _Groups:
    """Which FROM items are connected: disjoint sets."""

    def __init__(self, names: Iterable[str]) -> None:
        self._group: dict[str, frozenset[str]] = {name: frozenset({name}) for name in names}

    def connect(self, names: list[str]) -> None:
        joined = frozenset().union(*(self._group[name] for name in names))
        for name in joined:
            self._group[name] = joined

    def same(self, one: str, other: str) -> bool:
        return other in self._group[one]


def _joins(select: Any) -> list[Any]:
    return list(select.args.get("joins") or [])


def _conditions(select: Any) -> Iterator[Any]:
    """The conjuncts of ON and WHERE."""
    places = [item.args.get("on") for item in _joins(select)]
    where = select.args.get("where")
    for place in [*places, where.this if where else None]:
        if place is not None:
            yield from place.flatten() if isinstance(place, exp.And) else (place,)


def _may_stand_alone(node: Any, source: Any) -> bool:
    """A FROM item with one row, or that reads its neighbours by itself (functions, LATERAL)."""
    if isinstance(source, exp.Table):
        return not _is_named(source)
    if isinstance(node, (exp.Lateral, exp.Unnest)) or not isinstance(source, Scope):
        return True
    query: Any = source.expression
    if not isinstance(query, exp.Select):
        return isinstance(query, exp.Values)
    limit = query.args.get("limit")
    one = limit is not None and limit.expression is not None and limit.expression.sql() == "1"
    total = not query.args.get("group") and any(s.find(exp.AggFunc) and not s.find(exp.Window) for s in query.selects)
    return one or total or not query.args.get("from_")


def _is_named(table: Any) -> bool:
    """A relation by name; a function in FROM is none."""
    return isinstance(table.this, exp.Identifier)


def _output_name(item: Any) -> str:
    """The name of an item of a select list; '' where PostgreSQL makes one up."""
    if isinstance(item, exp.Alias):
        return _name(item.args.get("alias"))
    return _name(item.this) if isinstance(item, exp.Column) else ""


def _name(identifier: Any) -> str:
    """An identifier as PostgreSQL folds it; '' for anything else."""
    if not isinstance(identifier, exp.Identifier):
        return ""
    return str(identifier.this) if identifier.quoted else str(identifier.this).lower()


@functools.lru_cache(maxsize=256)
def _close(name: str, offers: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(difflib.get_close_matches(name, offers, n=1, cutoff=0.5))


def _nearest(name: str, offers: Iterable[str] | Mapping[str, str]) -> list[str]:
    return list(_close(name, tuple(sorted(offers))))


def _suggestion(names: list[str]) -> str:
    return f"; the nearest is {' or '.join(names)}" if names else ""
