"""From a reading of the question to a query: which rows it is about, what is shown, sorted and cut.

The rows are those of one table, the root; everything else is reached from it. Questions for numbers are
`aggregates`'.
"""

from __future__ import annotations

from proxy.nl.embedded.aggregates import Aggregates
from proxy.nl.embedded.filters import Filters
from proxy.nl.embedded.joins import is_forward
from proxy.nl.embedded.linking import Linker, Scope, root_scope
from proxy.nl.embedded.logical import Col, Expr, Query, Sort
from proxy.nl.embedded.problems import NOT_UNDERSTOOD, NoFitError
from proxy.nl.embedded.roots import RANKABLE, Roots, measures_of
from proxy.nl.embedded.syntax import Ask, Entity, Field, Item, Measure, NounPhrase, Order, Rank, Related, Totals
from proxy.nl.schema import Family


class Resolver:
    """Makes queries of readings."""

    def __init__(self, linker: Linker) -> None:
        self.linker = linker
        self.filters = Filters(linker)
        self.roots = Roots(linker)
        self.aggregates = Aggregates(linker, self.filters, self.roots)

    def resolve(self, ask: Ask) -> Query:
        """The query that the reading asks for. Raises NoFitError where it makes no sense in this schema."""
        measures = measures_of(ask)
        rank = ask.subject.rank if ask.subject else None
        grouped = None if measures or ask.groups else self._as_groups(ask)
        if grouped is not None:
            return self.aggregates.query(*grouped)
        if measures or ask.groups:
            return self.aggregates.query(ask, measures)
        if ask.subject is not None and isinstance(ask.subject.head, Entity):
            return self._listed(ask, ask.subject, rank)
        return self._projected(ask)

    def _as_groups(self, ask: Ask) -> tuple[Ask, list[Measure]] | None:
        """`cities with more than 5 customers`, where the city is the customers' own: groups, not rows."""
        head = ask.subject.head if ask.subject is not None else ask.items
        fields = tuple(f for f in head if isinstance(f, Field)) if isinstance(head, tuple) else ()
        conditions = (*(ask.subject.conditions if ask.subject else ()), *ask.conditions)
        found: list[Measure] = []
        for condition in conditions:
            if isinstance(condition, Totals):
                found.append(condition.measure)
            elif isinstance(condition, Related) and condition.op is not None:
                found.append(Measure("count", of=NounPhrase(condition.of.head)))
        if not found or not fields or len(fields) != len(head if isinstance(head, tuple) else ()):
            return None
        tables = {self.roots.measure_table(m, []) for m in found}
        if len(tables) > 1 or not all(any({t.table} == tables for t in f.targets) for f in fields):
            return None
        subject = NounPhrase(fields, conditions, ask.subject.rank if ask.subject else None)
        return Ask(subject, fields, order=ask.order), found

    # Lists

    def _listed(self, ask: Ask, subject: NounPhrase, rank: Rank | None) -> Query:
        """Rows of one table, all its columns or those asked for."""
        head = subject.head
        if not isinstance(head, Entity):
            raise NoFitError(NOT_UNDERSTOOD)
        scope = root_scope(self.linker.subject(head))
        conditions = (*subject.conditions, *(rank.conditions if rank else ()), *ask.conditions)
        if ask.items:
            outputs: tuple[Expr, ...] = tuple(self._shown(item, scope) for item in ask.items)
        elif ask.which and not ask.extra:
            outputs = self._identity(scope)
        else:
            outputs = self._all_columns(scope)
        extra = tuple(self._shown(item, scope) for item in ask.extra)
        if ask.joins and any(o in outputs for o in extra):
            raise NoFitError(
                NOT_UNDERSTOOD,
                detail='"with" and a column may mean to show it, or that it is there.',
                hint='Say "whose ... is not missing", or "and their ...".',
            )
        outputs += tuple(o for o in extra if o not in outputs)
        tests = self.filters.tests(conditions, scope)
        order = tuple(self._row_order(o, scope, outputs) for o in ask.order)
        limit = None
        self._check_distinct(ask, order, outputs)
        if rank is not None:
            if order and rank.by:
                raise NoFitError(NOT_UNDERSTOOD, detail="Two orders are asked for.")
            order += self._rank_order(rank, scope)
            limit = rank.count
            order += self._tie_break(order, scope, outputs)
        return Query(scope.root, outputs, tests, order=order, limit=limit, distinct=ask.distinct and not limit)

    def _projected(self, ask: Ask) -> Query:
        """Columns without a table's name: that of the columns, or of the one that reaches all the others."""
        conditions = ask.conditions
        fields: tuple[Item, ...] = ask.items
        if ask.subject is not None and isinstance(ask.subject.head, tuple):
            if ask.subject.rank is not None:
                raise NoFitError(NOT_UNDERSTOOD, detail="It is not clear by what the first ones are chosen.")
            fields = ask.subject.head
            conditions = (*ask.subject.conditions, *conditions)
            if ask.items:
                raise NoFitError(NOT_UNDERSTOOD, detail="Two lists of columns are asked for.")
        found = [f for f in fields if isinstance(f, Field)]
        if not found or len(found) != len(fields):
            raise NoFitError(NOT_UNDERSTOOD, detail="It is not clear whose columns are asked for.")
        context = [f.owner for f in found if f.owner is not None]
        context += self.roots.context(tuple(c for c in conditions if isinstance(c, Related) and c.parent))
        root = self.roots.finest([self.roots.field_table(f, context) for f in found])
        scope = root_scope(root)
        outputs = tuple(self._shown(f, scope) for f in found)
        order = tuple(self._row_order(o, scope, outputs) for o in ask.order)
        self._check_distinct(ask, order, outputs)
        return Query(root, outputs, self.filters.tests(conditions, scope), order=order, distinct=ask.distinct)

    @staticmethod
    def _check_distinct(ask: Ask, order: tuple[Sort, ...], outputs: tuple[Expr, ...]) -> None:
        if ask.distinct and any(s.expr not in outputs for s in order):
            raise NoFitError(NOT_UNDERSTOOD, detail="Distinct values can only be sorted by what is shown of them.")

    def _shown(self, item: Item, scope: Scope) -> Expr:
        """A column of each row; through ways with one row at most."""
        if isinstance(item, Entity):
            raise NoFitError(NOT_UNDERSTOOD, detail=f'It is not clear which columns of "{item.text}" to show.')
        if not isinstance(item, Field):
            raise NoFitError(NOT_UNDERSTOOD, detail="A total cannot stand beside single rows.")
        col = self.linker.field(item, scope)
        if not is_forward(col.path):
            raise NoFitError(
                NOT_UNDERSTOOD,
                detail=f"One row of {scope.table[1]} has many of {col.table[1]}, so it has no single {col.column}.",
                hint=f"Ask for {col.table[1]} with columns of {scope.table[1]}, or for a total.",
            )
        return col

    def _identity(self, scope: Scope) -> tuple[Expr, ...]:
        """What says which row it is: the primary key, and what names it to people."""
        names = dict.fromkeys((*self.linker.view(scope.table).primary_key, *self.linker.display(scope.table)))
        return tuple(self.linker.col(scope, (), scope.table, c) for c in names)

    def _all_columns(self, scope: Scope) -> tuple[Expr, ...]:
        view = self.linker.view(scope.table)
        return tuple(self.linker.col(scope, (), scope.table, c.name) for c in view.columns)

    def _row_order(self, order: Order, scope: Scope, outputs: tuple[Expr, ...]) -> Sort:
        if order.by is None:
            if len(outputs) == 1:
                return Sort(self._sortable(outputs[0]), order.descending)
            raise NoFitError(NOT_UNDERSTOOD, detail="It is not clear by which column to sort.")
        if not isinstance(order.by, Field):
            raise NoFitError(NOT_UNDERSTOOD, detail="Single rows cannot be sorted by a total.")
        col = self.linker.usable(self.linker.field(order.by, scope))
        if not is_forward(col.path):
            raise NoFitError(NOT_UNDERSTOOD, detail=f"One row of {scope.table[1]} has many of {col.table[1]}.")
        return Sort(col, order.descending)

    def _sortable(self, expr: Expr) -> Expr:
        return self.linker.usable(expr) if isinstance(expr, Col) else expr

    def _rank_order(self, rank: Rank, scope: Scope) -> tuple[Sort, ...]:
        if rank.adjective:
            col, descending = self.linker.rank_column(scope, rank.adjective, descending=rank.descending)
            return (Sort(self.linker.usable(col), descending),)
        found = []
        for by in rank.by:
            if not isinstance(by, Field):
                raise NoFitError(NOT_UNDERSTOOD)
            col = self.linker.usable(self.linker.field(by, scope, lambda c: c.family in RANKABLE))
            if not is_forward(col.path):
                raise NoFitError(
                    NOT_UNDERSTOOD,
                    detail=f"One row of {scope.table[1]} has many of {col.table[1]}.{col.column}.",
                    hint=f'Say "by total {col.column}", "by average {col.column}" or "by highest {col.column}".',
                )
            found.append(Sort(col, rank.descending))
        return tuple(found)

    def _tie_break(self, order: tuple[Sort, ...], scope: Scope, outputs: tuple[Expr, ...]) -> tuple[Sort, ...]:
        """So that the first N are the same ones every time: the primary key, or everything that is shown."""
        view = self.linker.view(scope.table)
        keys = [self.linker.col(scope, (), scope.table, c) for c in view.primary_key]
        unmasked = [o for o in keys or outputs if isinstance(o, Col) and not self.linker.column_view(o).masked]
        done = {s.expr for s in order}
        sortable = [o for o in unmasked if o.family is not Family.OTHER or o.column in view.primary_key]
        return tuple(Sort(o) for o in sortable if o not in done)
