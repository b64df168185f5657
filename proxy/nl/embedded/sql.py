"""From a query to SQL text, through sqlglot's expression builder.

Identifiers are always quoted and schema-qualified, values only ever literal nodes, so nothing that a question says can
become syntax. It knows nothing of words.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlglot import exp

from proxy.nl.embedded.joins import Path, Step
from proxy.nl.embedded.logical import (
    Agg,
    Cmp,
    Col,
    Either,
    Exists,
    Expr,
    Grouped,
    IsNull,
    Literal,
    OneOf,
    Pattern,
    Query,
    Sort,
    Test,
    Trunc,
    Truth,
    Within,
)
from proxy.nl.schema import Family
from proxy.policy.catalog import Name

_OPS: dict[str, type[exp.Binary]] = {
    "=": exp.EQ, "<>": exp.NEQ, "<": exp.LT, "<=": exp.LTE, ">": exp.GT, ">=": exp.GTE,
}  # fmt: skip
_INVERSE = {"<": ">=", "<=": ">", "=": "<>", "<>": "=", ">": "<=", ">=": "<"}


def render(query: Query) -> str:
    """One SELECT statement in PostgreSQL's dialect, without a semicolon."""
    return _select(query).sql(dialect="postgres")


@dataclass
class _From:
    """The tables of one SELECT: an alias per path, in the order in which they are joined."""

    root: Name
    used: set[str]
    aliases: dict[Path, str] = field(default_factory=dict)
    outer: set[Path] = field(default_factory=set)

    def alias(self, path: Path) -> str:
        """The alias of the table at the end of `path`; tables on the way get theirs first."""
        if path not in self.aliases:
            if path:
                self.alias(path[:-1])
            self.aliases[path] = _new_alias(path[-1].target if path else self.root, self.used)
        return self.aliases[path]

    def joined(self, select: exp.Select) -> exp.Select:
        """`select` with its FROM and every join that its columns needed."""
        select = select.from_(_table(self.root, self.alias(())))
        for path, alias in self.aliases.items():
            if path:
                on = _link(path[-1], self.aliases[path[:-1]], alias)
                kind = "LEFT" if path in self.outer else "INNER"
                select = select.join(_table(path[-1].target, alias), on=on, join_type=kind)
        return select


def _select(query: Query) -> exp.Select:
    tables = _From(query.root, set())
    tables.alias(())
    outputs = _outputs(query, tables)
    select = exp.Select(expressions=outputs)
    select = _where(select, query.tests, tables)
    keys = [_expr(g, tables) for g in query.groups]
    order = [_sort(s, tables) for s in query.order]
    having = [_compare(_expr(h.expr, tables), h.op, _literal(h.value)) for h in query.having]
    tables.outer = _outer_paths(query)
    select = tables.joined(select)
    if keys:
        select = select.group_by(*keys, copy=False)
    for test in having:
        select = select.having(test, copy=False)
    if order:
        select = select.order_by(*order, copy=False)
    if query.distinct:
        select = select.distinct(copy=False)
    return select.limit(query.limit, copy=False) if query.limit is not None else select


def _outer_paths(query: Query) -> set[Path]:
    """Tables that only add columns to a list: a row without a partner stays."""
    if query.groups or any(isinstance(o, Agg) for o in query.outputs):
        return set()
    needed = {path for test in query.tests for path in _test_paths(test)}
    inner = {path[:i] for path in needed for i in range(len(path) + 1)}
    shown = {c.path for c in (*query.outputs, *(s.expr for s in query.order)) if isinstance(c, Col)}
    return {path[:i] for path in shown for i in range(1, len(path) + 1)} - inner


def _test_paths(test: Test) -> list[Path]:
    match test:
        case Cmp(expr=Col() as col):
            return [col.path]
        case Exists() | Grouped():
            return [test.start]
        case Either():
            return [p for tests in test.choices for t in tests for p in _test_paths(t)]
        case OneOf() | Within() | IsNull() | Truth() | Pattern():
            return [test.col.path]
        case _:
            return []


def _outputs(query: Query, tables: _From) -> list[exp.Expr]:
    """The select list; every output has a name of its own."""
    taken: set[str] = set()
    found: list[exp.Expr] = []
    for output in query.outputs:
        label = _label(output, taken)
        taken.add(label)
        rendered = _expr(output, tables)
        plain = isinstance(output, Col) and output.column == label
        found.append(rendered if plain else exp.alias_(rendered, label, quoted=True))
    return found


def _label(output: Expr, taken: set[str]) -> str:
    match output:
        case Col():
            names = [output.column, f"{output.table[1]}_{output.column}"]
        case Trunc():
            names = [output.unit, f"{output.col.column}_{output.unit}"]
        case Agg():
            column = output.arg[0].column if output.arg else ""
            names = [f"{output.func}_{column}" if column else output.func]
    names += [f"{names[-1]}_{n}" for n in range(2, len(taken) + 3)]
    return next(n for n in names if n not in taken)


def _where(select: exp.Select, tests: tuple[Test, ...], tables: _From) -> exp.Select:
    for test in tests:
        select = select.where(_test(test, tables), copy=False)
    return select


def _expr(expr: Expr, tables: _From) -> exp.Expr:
    match expr:
        case Col():
            return _column(expr, tables)
        case Trunc(unit="year"):
            return exp.Extract(this=exp.var("year"), expression=_column(expr.col, tables))
        case Trunc():
            return exp.Anonymous(
                this="date_trunc", expressions=[exp.Literal.string(expr.unit), _column(expr.col, tables)]
            )
        case Agg():
            return _aggregate(expr, tables)


def _aggregate(agg: Agg, tables: _From) -> exp.Expr:
    if not agg.arg:
        return exp.Count(this=exp.Star())
    arg: exp.Expr = _column(agg.arg[0], tables)
    if agg.func == "median":
        half = exp.PercentileCont(this=exp.Literal.number("0.5"))
        return exp.WithinGroup(this=half, expression=exp.Order(expressions=[exp.Ordered(this=arg, nulls_first=False)]))
    if agg.distinct:
        arg = exp.Distinct(expressions=[arg])
    functions: dict[str, type[exp.Func]] = {
        "count": exp.Count, "sum": exp.Sum, "avg": exp.Avg, "min": exp.Min, "max": exp.Max,
    }  # fmt: skip
    return functions[agg.func](this=arg)


def _column(col: Col, tables: _From) -> exp.Column:
    return exp.column(
        exp.to_identifier(col.column, quoted=True), exp.to_identifier(tables.alias(col.path), quoted=True)
    )


def _sort(sort: Sort, tables: _From) -> exp.Ordered:
    """Missing values come last either way."""
    return exp.Ordered(this=_expr(sort.expr, tables), desc=sort.descending, nulls_first=False)


def _literal(value: Literal) -> exp.Expr:
    if len(value.parts) > 1:
        first, *rest = (exp.Literal.string(part) for part in value.parts)
        joined: exp.Expr = first
        for part in rest:
            joined = exp.DPipe(this=joined, expression=part)
        return exp.paren(joined)
    return exp.Literal(this=value.text, is_string=not value.number)


def _folded(text: exp.Expr, *, wanted: bool) -> exp.Expr:
    return exp.Lower(this=text) if wanted else text


def _compare(left: exp.Expr, op: str, right: exp.Expr) -> exp.Expr:
    return _OPS[op](this=left, expression=right)


def _test(test: Test, tables: _From) -> exp.Expr:  # noqa: PLR0911
    match test:
        case Cmp():
            fold = test.value.folded
            left, right = _expr(test.expr, tables), _literal(test.value)
            return _compare(_folded(left, wanted=fold), test.op, _folded(right, wanted=fold))
        case OneOf():
            fold = any(v.folded for v in test.values)
            values = [_folded(_literal(v), wanted=fold) for v in test.values]
            found: exp.Expr = exp.In(this=_folded(_column(test.col, tables), wanted=fold), expressions=values)
            return exp.Not(this=found) if test.negated else found
        case Within():
            return _within(test, tables)
        case IsNull():
            return _is_null(test, tables)
        case Truth():
            column = _column(test.col, tables)
            return column if test.value else exp.Not(this=column)
        case Pattern():
            likes: list[exp.Expr] = [
                exp.ILike(this=_column(test.col, tables), expression=exp.Literal.string(p)) for p in test.patterns
            ]
            either = exp.or_(*likes) if len(likes) > 1 else likes[0]
            return exp.Not(this=exp.paren(either)) if test.negated else exp.paren(either) if len(likes) > 1 else either
        case Exists():
            return _exists(test, tables)
        case Grouped():
            return _grouped(test, tables)
        case Either():
            choices = [exp.and_(*(_test(t, tables) for t in tests)) for tests in test.choices]
            return exp.paren(exp.or_(*choices))


def _within(test: Within, tables: _From) -> exp.Expr:
    column = _column(test.col, tables)
    bounds = [
        _compare(column.copy(), op, exp.cast(exp.Literal.string(day.isoformat()), "date"))
        for op, day in ((">=", test.start), ("<", test.end))
        if day is not None
    ]
    return exp.and_(*bounds)


def _is_null(test: IsNull, tables: _From) -> exp.Expr:
    column = _column(test.col, tables)
    null: exp.Expr = exp.Is(this=column, expression=exp.Null())
    if test.col.family is Family.TEXT:
        empty = exp.EQ(this=column.copy(), expression=exp.Literal.string(""))
        null = exp.paren(exp.or_(null, empty))
    return exp.Not(this=null) if test.negated else null


def _inner(start: Path, path: Path, conditions: tuple[Test, ...], tables: _From) -> tuple[exp.Select, _From, str, str]:
    """FROM the far end of `path` back to its first table: the SELECT, its tables, and the aliases on both sides
    of the first link."""
    outer = tables.alias(start)
    inner = _From(path[-1].target, tables.used)
    inner.alias(())
    select = exp.Select()
    select = _where(select, conditions, inner)
    back: Path = tuple(Step(s.key, not s.forward) for s in reversed(path[1:]))
    near = inner.alias(back)
    select = inner.joined(select)
    return select, inner, outer, near


def _exists(test: Exists, tables: _From) -> exp.Expr:
    select, _, outer, near = _inner(test.start, test.path, test.conditions, tables)
    select = select.select(exp.Literal.number(1), copy=False).where(_link(test.path[0], outer, near), copy=False)
    found = exp.Exists(this=select)
    return exp.Not(this=found) if test.negated else found


def _grouped(test: Grouped, tables: _From) -> exp.Expr:
    """`key IN (SELECT key ... GROUP BY key HAVING agg op n)`; NOT IN of the opposite, where none at all passes."""
    select, inner, outer, near = _inner(test.start, test.path, test.conditions, tables)
    pairs = list(test.path[0].pairs())
    here = [_plain(outer, own) for own, _ in pairs]
    there = [_plain(near, other) for _, other in pairs]
    zero = test.agg.func == "count" and _passes(0, test.op, int(test.value.text))
    op = _INVERSE[test.op] if zero else test.op
    having = _compare(_expr(test.agg, inner), op, _literal(test.value))
    select = select.select(*there, copy=False).group_by(*(c.copy() for c in there), copy=False)
    for column in there:
        select = select.where(exp.Not(this=exp.Is(this=column.copy(), expression=exp.Null())), copy=False)
    select = select.having(having, copy=False)
    key: exp.Expr = here[0] if len(here) == 1 else exp.Tuple(expressions=here)
    found = exp.In(this=key, query=exp.Subquery(this=select))
    return exp.Not(this=found) if zero else found


def _passes(number: int, op: str, limit: int) -> bool:
    return {
        "=": number == limit, "<>": number != limit, "<": number < limit,
        "<=": number <= limit, ">": number > limit, ">=": number >= limit,
    }[op]  # fmt: skip


def _plain(alias: str, column: str) -> exp.Column:
    return exp.column(exp.to_identifier(column, quoted=True), exp.to_identifier(alias, quoted=True))


def _link(step: Step, source: str, target: str) -> exp.Expr:
    return exp.and_(*(exp.EQ(this=_plain(source, a), expression=_plain(target, b)) for a, b in step.pairs()))


def _table(name: Name, alias: str) -> exp.Expr:
    schema, table = (exp.to_identifier(part, quoted=True) for part in name)
    return exp.alias_(exp.Table(this=table, db=schema), alias, table=True, quoted=True)


def _new_alias(name: Name, used: set[str]) -> str:
    first = name[1][:1].lower()
    letter = first if first.isascii() and first.isalpha() else "t"
    alias = next(a for a in (letter, *(f"{letter}{n}" for n in range(2, len(used) + 3))) if a not in used)
    used.add(alias)
    return alias
