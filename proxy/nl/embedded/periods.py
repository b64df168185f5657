"""Which date a period is about, where the question names no column: the row's own, a verb's, or another table's."""

from __future__ import annotations

from proxy.nl.embedded.joins import Path, is_forward
from proxy.nl.embedded.linking import Linker, Scope
from proxy.nl.embedded.logical import Cmp, Col, Exists, Literal, Test, Within
from proxy.nl.embedded.problems import NOT_UNDERSTOOD, NoFitError, ambiguous
from proxy.nl.embedded.syntax import During, Event
from proxy.nl.embedded.words import stem
from proxy.policy.catalog import Name


class Periods:
    """Decides the dates of periods and events with a Linker."""

    def __init__(self, linker: Linker) -> None:
        self.linker = linker

    def during(self, condition: During, scope: Scope) -> tuple[Test, ...]:
        """A period without a column: tests on the date that is meant."""
        period = condition.period
        year = self.linker.own_year(scope)
        if year is not None and condition.verb in {None, "published", "released"}:
            return self._in_years(self.linker.usable(year), condition)
        if condition.verb is None:
            col = self.linker.usable(self.linker.own_date(scope))
            return (Within(col, period.start, period.end),)
        named = self.linker.dates_of_verb(scope, condition.verb)
        if named is not None:
            return (Within(self.linker.usable(named), period.start, period.end),)
        own = self.linker.lexicon.names[scope.table].words
        if stem(condition.verb) == stem(own[-1]):
            return (Within(self.linker.usable(self.linker.own_date(scope)), period.start, period.end),)
        return (self._event(condition, scope),)

    @staticmethod
    def _in_years(col: Col, condition: During) -> tuple[Test, ...]:
        """Whole years, of a column that holds their numbers."""
        bounds = ((">=", condition.period.start), ("<", condition.period.end))
        if any(day is not None and (day.month, day.day) != (1, 1) for _, day in bounds):
            raise NoFitError(
                NOT_UNDERSTOOD,
                detail=f"{col.table[1]}.{col.column} holds years only.",
                hint="Ask for whole years, as in: since 2020.",
            )
        return tuple(Cmp(col, op, Literal(str(day.year), number=True)) for op, day in bounds if day is not None)

    def _event(self, condition: During, scope: Scope) -> Test:
        """`customers who ordered in 2024`: rows of the one linked table that shares the verb's stem."""
        verb = condition.verb or ""
        if not condition.active:
            raise self._no_date(verb, scope)
        table, path = self._event_table(verb, scope)
        period = condition.period
        date = self.linker.usable(self.linker.own_date(Scope(table, table)))
        return Exists(scope.base, path, (Within(date, period.start, period.end),))

    def happened(self, condition: Event, scope: Scope) -> Test:
        """`have never been ordered`: no row of the table that the verb names."""
        _, path = self._event_table(condition.verb, scope)
        return Exists(scope.base, path, (), condition.negated)

    def _no_date(self, verb: str, scope: Scope) -> NoFitError:
        return NoFitError(
            NOT_UNDERSTOOD,
            detail=f'"{verb}" names no date of {scope.table[1]}.',
            hint=self.linker.columns_hint(scope.table),
        )

    def _event_table(self, verb: str, scope: Scope) -> tuple[Name, Path]:
        """The one table linked to the noun's that the verb makes a row of."""
        tables = [
            (table.key, path)
            for table in self.linker.schema.tables
            if stem(self.linker.lexicon.names[table.key].words[-1]) == stem(verb)
            for path in self.linker.graph.paths(scope.table, table.key)
            if path and not is_forward(path)
        ]
        if not tables:
            raise self._no_date(verb, scope)
        if len(tables) > 1:
            raise ambiguous(verb, [t[1] for t, _ in tables])
        return tables[0]
