"""Questions for numbers: counts and totals, in groups or over everything.

Aggregates are only taken where no way multiplies the root's rows; a count may be, and is then of distinct rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.errors import NotUnderstoodError
from proxy.nl.embedded.filters import Filters
from proxy.nl.embedded.joins import is_forward
from proxy.nl.embedded.linking import DATES, Linker, Scope, root_scope
from proxy.nl.embedded.logical import Agg, Cmp, Col, Exists, Expr, Grouped, Literal, Query, Sort, Test, Trunc
from proxy.nl.embedded.phrases import HAVING
from proxy.nl.embedded.pieces import check_pieces
from proxy.nl.embedded.problems import NOT_UNDERSTOOD, NoFitError
from proxy.nl.embedded.roots import AGGREGABLE, Roots
from proxy.nl.embedded.syntax import (
    Ask,
    Bucket,
    Condition,
    During,
    Entity,
    Field,
    Group,
    Item,
    Measure,
    NounPhrase,
    Order,
    Rank,
    Related,
    Totals,
)
from proxy.policy.catalog import Name


@dataclass(frozen=True)
class GroupKey:
    """One group: what it is grouped by, and what of it is shown. `scope`: of an entity's rows."""

    keys: tuple[Expr, ...]
    shown: tuple[Expr, ...]
    scope: Scope | None = None


class Aggregates:
    """Makes queries of readings that ask for numbers."""

    def __init__(self, linker: Linker, filters: Filters, roots: Roots) -> None:
        self.linker = linker
        self.filters = filters
        self.roots = roots

    def query(self, ask: Ask, measures: list[Measure]) -> Query:
        """The query for a reading with these aggregates. Raises NoFitError where they make no sense together."""
        groups = self._group_words(ask)
        rank = ask.subject.rank if ask.subject else None
        if rank is not None and not rank.by and not rank.common:
            raise NoFitError(NOT_UNDERSTOOD, detail="It is not clear by what the first ones are chosen.")
        scope = root_scope(self._root(ask, measures, groups))
        keys = [self._group_key(g, scope) for g in groups]
        spread = any(not is_forward(c.path) for k in keys for e in k.keys for c in _columns(e))
        tests, having = self._aggregate_tests(ask, measures, keys, scope)
        self._check_pieces(measures, keys, scope)
        aggs = {m: self._aggregate(m, scope, spread=spread) for m in measures}
        outputs = self._aggregate_outputs(ask, keys, aggs, scope)
        group_by = tuple(dict.fromkeys(e for k in keys for e in k.keys))
        if groups:
            group_by += tuple(dict.fromkeys(o for o in outputs if not isinstance(o, Agg) and o not in group_by))
        order = self._aggregate_order(ask, rank, aggs, keys)
        return Query(scope.root, outputs, tests, group_by, having, order, rank.count if rank else None)

    def _root(self, ask: Ask, measures: list[Measure], groups: tuple[Group, ...]) -> Name:
        subject = ask.subject
        about = (*subject.conditions, *(subject.rank.conditions if subject.rank else ())) if subject else ()
        named = [m.of for m in measures if m.of is not None and isinstance(m.of.head, tuple)]
        context = self.roots.context((*about, *ask.conditions, *(c for of in named for c in of.conditions)), groups)
        found = [self.roots.measure_table(m, context) for m in measures if m.func != "count" or m.of or m.field]
        if not found and subject is not None:
            head = subject.head
            by_fields = [self.roots.field_table(f, context) for f in head] if isinstance(head, tuple) else []
            found = by_fields or ([self.linker.subject(head)] if isinstance(head, Entity) else [])
        if not found:
            raise NoFitError(NOT_UNDERSTOOD, detail="It is not clear what is counted.")
        return self.roots.finest(found)

    def _group_words(self, ask: Ask) -> tuple[Group, ...]:
        """The groups that are named, and the subject where it is ranked or shown with totals."""
        subject = ask.subject
        if subject is None:
            return ask.groups
        heads: tuple[Group, ...] = (subject.head,) if isinstance(subject.head, Entity) else subject.head
        return (*heads, *ask.groups)

    def _check_pieces(self, measures: list[Measure], keys: list[GroupKey], scope: Scope) -> None:
        """Things counted in groups that they belong to through their link, or under conditions on it."""
        for measure in measures:
            of = measure.of
            if measure.distinct or of is None or not isinstance(of.head, Entity):
                continue
            paths = {c.path for k in keys for e in k.keys for c in _columns(e)}
            for condition in of.conditions:
                owned = isinstance(condition, Related) and not condition.parent and condition.verb in {None, *HAVING}
                found = () if owned else self.filters.tests((condition,), self._measure_scope(measure, scope))
                paths |= {t.path for t in found if isinstance(t, Exists) and not t.negated}
            for path in paths:
                check_pieces(self.linker, path, of.head.text)

    def _aggregate_tests(
        self, ask: Ask, measures: list[Measure], keys: list[GroupKey], scope: Scope
    ) -> tuple[tuple[Test, ...], tuple[Cmp, ...]]:
        """Every condition of the reading, each in the scope that it is about; what is said of groups apart."""
        placed = self._counted_conditions(ask, measures, scope)
        subject = keys[0].scope if keys and ask.subject is not None else None
        having: list[Cmp] = []
        for condition in ask.subject.conditions if ask.subject else ():
            if isinstance(condition, During) and condition.field is None and condition.verb is None:
                placed.append((condition, scope))
            elif subject is None and (test := self._having(condition, scope)) is not None:
                having.append(test)
            else:
                placed.append((condition, subject or scope))
        for condition in ask.conditions:
            of_groups = self._having(condition, scope) if keys and isinstance(condition, Totals | Related) else None
            if of_groups is not None:
                having.append(of_groups)
            else:
                placed.append((condition, scope))
        rank = ask.subject.rank if ask.subject else None
        for condition in rank.conditions if rank else ():
            placed.append((condition, self._nearer(condition, scope, subject)))
        return self._placed_tests(placed, keys, scope), tuple(having)

    def _nearer(self, condition: Condition, scope: Scope, subject: Scope | None) -> Scope:
        """What is said after `by ...` is about what is ranked by, where that has or belongs to it; else the noun."""
        own = subject is None or not any(
            isinstance(t, Exists | Grouped) for t in self.filters.tests((condition,), scope)
        )
        return scope if own or subject is None else subject

    def _placed_tests(
        self, placed: list[tuple[Condition, Scope]], keys: list[GroupKey], scope: Scope
    ) -> tuple[Test, ...]:
        found: list[Test] = []
        for there in dict.fromkeys(s for _, s in placed):
            tests = self.filters.tests(tuple(c for c, s in placed if s == there), there)
            repeated = any(not is_forward(c.path) for k in keys for e in k.keys for c in _columns(e))
            if repeated and there == scope and any(isinstance(t, Exists | Grouped) for t in tests):
                raise NoFitError(
                    NOT_UNDERSTOOD,
                    detail="It is not clear whether a condition is about the groups or about what is counted in them.",
                    hint="Put the condition right after the noun that it is about.",
                )
            found += tests
        self.filters.check_contradiction(tuple(dict.fromkeys(found)))
        return tuple(dict.fromkeys(found))

    def _counted_conditions(self, ask: Ask, measures: list[Measure], scope: Scope) -> list[tuple[Condition, Scope]]:
        """What is said of the rows that are counted. With several numbers it must hold for all, or for none."""
        named = ask.items if ask.returned else ()
        counted = [m for m in measures if m.of is not None and m.of.conditions and m not in named]
        several = {m for m in measures if (m.func != "count" or m.of is not None) and m not in named}
        if any(isinstance(i, Measure) and i.of is not None and i.of.conditions for i in named):
            counted = [m for m in measures if m.of is not None and m.of.conditions]
            several = set(measures)
        if counted and len(several) > 1:
            raise NoFitError(
                NOT_UNDERSTOOD,
                detail="It is not clear whether a condition holds for every number asked for.",
                hint="Put the condition at the end, after the groups, or ask for one number at a time.",
            )
        return [
            (condition, self._measure_scope(measure, scope))
            for measure in counted
            if measure.of is not None
            for condition in measure.of.conditions
        ]

    def _having(self, condition: Condition, scope: Scope) -> Cmp | None:
        """What is said of a group: `cities with more than 5 customers`."""
        match condition:
            case Related(of=NounPhrase(head=Entity() as head, conditions=()), op=str() as op, count=count):
                if self.linker.subject(head) == scope.root:
                    return Cmp(Agg("count"), op, Literal(str(count), number=True))
            case Totals(measure=measure, op=op, number=number):
                return Cmp(self._aggregate(measure, scope, spread=False), op, Literal(number.text, number=True))
            case _:
                return None
        return None

    def _measure_scope(self, measure: Measure, scope: Scope) -> Scope:
        of = measure.of
        if of is None or not isinstance(of.head, Entity):
            return scope
        reached = self.linker.reach(of.head, scope)
        return scope.at(reached.path)

    def _aggregate(self, measure: Measure, scope: Scope, *, spread: bool) -> Agg:
        """The aggregate over the root's rows. `spread`: a group's way multiplies them."""
        if measure.func == "count" and measure.field is None:
            return self._count(measure, scope, spread=spread)
        if measure.field is None:
            raise NoFitError(NOT_UNDERSTOOD, detail="It is not clear what is aggregated.")
        wanted = AGGREGABLE[measure.func]
        col = self.linker.usable(self.linker.field(measure.field, scope, lambda c: c.family in wanted))
        if col.path or spread:
            raise NoFitError(
                NOT_UNDERSTOOD,
                detail=f"A value of {col.table[1]}.{col.column} would count more than once.",
                hint="Ask for one number at a time, grouped by what each row has one of.",
            )
        return Agg(measure.func, (col,), measure.distinct)

    def _count(self, measure: Measure, scope: Scope, *, spread: bool) -> Agg:
        of = measure.of
        if of is not None and isinstance(of.head, tuple):
            cols = tuple(self.linker.usable(self.linker.field(f, scope)) for f in of.head)
            if len(cols) != 1 or not is_forward(cols[0].path):
                raise NoFitError(NOT_UNDERSTOOD, detail="Only the values of one column can be counted.")
            return Agg("count", cols, distinct=True)
        if of is None or not isinstance(of.head, Entity):
            return self._distinct_rows(scope, Scope(scope.root, scope.root)) if spread else Agg("count")
        reached = self.linker.reach(of.head, scope)
        if not reached.path:
            return self._distinct_rows(scope, scope) if spread else Agg("count")
        if not is_forward(reached.path) or not measure.distinct:
            raise NoFitError(
                NOT_UNDERSTOOD,
                detail=f'"{of.head.text}" could be counted among {scope.table[1]}, or all of them.',
                hint=f'Say "number of distinct {of.head.text}", or ask for one number at a time.',
            )
        return self._distinct_rows(scope, scope.at(reached.path))

    def _distinct_rows(self, scope: Scope, counted: Scope) -> Agg:
        key = self.linker.view(counted.table).primary_key
        if len(key) != 1:
            raise NoFitError(NOT_UNDERSTOOD, detail=f"{counted.table[1]} has no primary key of one column to count by.")
        path = counted.base[len(scope.base) :]
        return Agg("count", (self.linker.col(scope, path, counted.table, key[0]),), distinct=True)

    def _group_key(self, group: Group, scope: Scope) -> GroupKey:
        match group:
            case Bucket(unit=unit, field=None):
                named = self.linker.dates_of_verb(scope, group.verb) if group.verb else self.linker.own_date(scope)
                if named is None:
                    raise NoFitError(NOT_UNDERSTOOD, detail=f'"{group.verb}" names no date of {scope.table[1]}.')
                trunc = Trunc(unit, self.linker.usable(named))
                return GroupKey((trunc,), (trunc,))
            case Bucket(unit=unit, field=Field() as field):
                col = self.linker.usable(self.linker.field(field, scope, lambda c: c.family in DATES))
                return GroupKey((Trunc(unit, col),), (Trunc(unit, col),))
            case Field(key=False):
                col = self.linker.usable(self.linker.field(group, scope))
                return GroupKey((col,), (col,))
            case Field(owner=Entity() as owner):
                return self._entity_key(owner, scope, by_key=True)
            case Entity():
                return self._entity_key(group, scope, by_key=False)
            case _:
                raise NoFitError(NOT_UNDERSTOOD, detail="It is not clear how to group.")

    def _entity_key(self, entity: Entity, scope: Scope, *, by_key: bool) -> GroupKey:
        """Rows of a table as groups: by primary key, shown by what names them."""
        reached = self.linker.reach(entity, scope)
        if not reached.path:
            raise NoFitError(NOT_UNDERSTOOD, detail=f"Each of {scope.table[1]} would be a group of its own.")
        view = self.linker.view(reached.table)
        keys = [self.linker.usable(self.linker.col(scope, reached.path, view.key, c)) for c in view.primary_key]
        if not keys:
            raise NoFitError(NOT_UNDERSTOOD, detail=f"{view.qualified} has no primary key to group by.")
        names = [self.linker.col(scope, reached.path, view.key, c) for c in self.linker.display(view.key)]
        shown = [c for c in names if not self.linker.column_view(c).masked]
        return GroupKey(tuple(keys), tuple(keys if by_key or not shown else shown), scope.at(reached.path))

    def _aggregate_outputs(
        self, ask: Ask, keys: list[GroupKey], aggs: dict[Measure, Agg], scope: Scope
    ) -> tuple[Expr, ...]:
        shown = tuple(e for k in keys for e in k.shown)
        items = ask.items
        named = [i for i in items if not isinstance(i, Measure)]
        if ask.extra:
            extra = [e for i in ask.extra for e in self._aggregate_output(i, keys, aggs, scope)]
            return tuple(dict.fromkeys((*shown, *extra)))
        if not items:
            return tuple(dict.fromkeys((*shown, *aggs.values())))
        if named:
            if not keys:
                raise NoFitError(
                    NOT_UNDERSTOOD,
                    detail="A column stands beside a total, without a group.",
                    hint='Say what to group by, as in: "for each city".',
                )
            outputs = [e for i in items for e in self._aggregate_output(i, keys, aggs, scope)]
            return tuple(dict.fromkeys(outputs))
        totals = tuple(aggs[i] for i in items if isinstance(i, Measure))
        return tuple(dict.fromkeys((*shown, *totals)))

    def _aggregate_output(
        self, item: Item, keys: list[GroupKey], aggs: dict[Measure, Agg], scope: Scope
    ) -> tuple[Expr, ...]:
        """An item beside totals: a total, a group, or a column of a group's rows."""
        if isinstance(item, Measure):
            return (aggs[item],)
        if isinstance(item, Bucket):
            found = [e for k in keys for e in k.keys if isinstance(e, Trunc) and e.unit == item.unit]
            if len(found) == 1:
                return (found[0],)
            raise NoFitError(NOT_UNDERSTOOD, detail=f'"{item.unit}" is not what is grouped by.')
        if isinstance(item, Entity):
            raise NoFitError(NOT_UNDERSTOOD, detail=f'It is not clear which columns of "{item.text}" to show.')
        return (self._column_of_group(item, keys, scope),)

    def _column_of_group(self, field: Field, keys: list[GroupKey], scope: Scope) -> Expr:
        for key in keys:
            if key.scope is not None and field.owner is None:
                try:
                    col = self.linker.field(field, key.scope)
                except NoFitError:
                    continue
                if col.path == key.scope.base:
                    return col
        col = self.linker.field(field, scope)
        grouped = {e for k in keys for e in k.keys}
        within = any(k.scope is not None and col.path == k.scope.base for k in keys)
        if col in grouped or within:
            return col
        raise NoFitError(
            NOT_UNDERSTOOD,
            detail=f'"{field.text}" has no single value in a group.',
            hint=f"Group by it too: for each {field.text}.",
        )

    def _aggregate_order(
        self, ask: Ask, rank: Rank | None, aggs: dict[Measure, Agg], keys: list[GroupKey]
    ) -> tuple[Sort, ...]:
        order = [self._group_sort(o, aggs, keys) for o in ask.order]
        if rank is not None:
            for by in rank.by or ((Measure("count"),) if rank.common else ()):
                if not isinstance(by, Measure):
                    raise NoFitError(NOT_UNDERSTOOD, detail=f'"{by.text}" has many values in a group.')
                self._check_rank(rank, by, keys)
                order.append(Sort(aggs[by], rank.descending))
        done = {s.expr for s in order}
        rest = [e for k in keys for e in (*k.shown, *k.keys) if e not in done and not self._unsortable(e)]
        return (*order, *(Sort(e) for e in dict.fromkeys(rest)))

    def _unsortable(self, expr: Expr) -> bool:
        return isinstance(expr, Col) and self.linker.column_view(expr).masked

    def _check_rank(self, rank: Rank, by: Measure, keys: list[GroupKey]) -> None:
        """`fewest orders` would leave out those with none, which come first."""
        if by.func == "count" and not rank.descending and any(k.scope is not None for k in keys):
            raise NotUnderstoodError(
                NOT_UNDERSTOOD,
                detail="The lowest numbers would leave out rows that have none at all.",
                hint='Ask "with no ..." for those, or "with fewer than N ...".',
            )

    def _group_sort(self, order: Order, aggs: dict[Measure, Agg], keys: list[GroupKey]) -> Sort:
        match order.by:
            case None:
                distinct = list(dict.fromkeys(aggs.values()))
                if len(distinct) == 1:
                    return Sort(distinct[0], order.descending)
                raise NoFitError(NOT_UNDERSTOOD, detail="It is not clear by which number to sort.")
            case Measure():
                return Sort(aggs[order.by], order.descending)
            case Bucket(unit=unit):
                found: list[Expr] = [e for k in keys for e in k.keys if isinstance(e, Trunc) and e.unit == unit]
            case Field(targets=targets):
                named = {(t.table, t.column) for t in targets}
                shown = [e for k in keys for e in (*k.keys, *k.shown)]
                found = [e for e in shown if isinstance(e, Col) and (e.table, e.column) in named]
        if len(set(found)) != 1:
            raise NoFitError(NOT_UNDERSTOOD, detail="It is not clear by what to sort the groups.")
        return Sort(self._usable(found[0]), order.descending)

    def _usable(self, expr: Expr) -> Expr:
        return self.linker.usable(expr) if isinstance(expr, Col) else expr


def _columns(expr: Expr) -> tuple[Col, ...]:
    match expr:
        case Col():
            return (expr,)
        case Trunc():
            return (expr.col,)
        case Agg():
            return expr.arg
