"""From conditions in words to tests on decided columns.

What lies on a way that multiplies rows becomes EXISTS, so a filter never changes how often a row counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from proxy.nl.embedded.joins import Path, distance, is_forward, is_implied, reversed_path, spell
from proxy.nl.embedded.linking import DATES, Linker, Reached, Scope
from proxy.nl.embedded.logical import (
    Agg,
    Cmp,
    Col,
    Either,
    Exists,
    Grouped,
    IsNull,
    Literal,
    OneOf,
    Pattern,
    Test,
    Truth,
    Within,
)
from proxy.nl.embedded.periods import Periods
from proxy.nl.embedded.pieces import check_pieces
from proxy.nl.embedded.problems import NOT_UNDERSTOOD, NoFitError, ambiguous, not_held
from proxy.nl.embedded.syntax import (
    AnyOf,
    Between,
    Compare,
    Condition,
    During,
    Entity,
    Event,
    Field,
    Flag,
    Holds,
    Like,
    Missing,
    NounPhrase,
    Related,
    Totals,
    Value,
)
from proxy.nl.embedded.words import NEUTRAL_VERBS
from proxy.nl.ports import ColumnKey
from proxy.nl.schema import ColumnView, Family

Fits = Callable[[ColumnView], bool]


class Filters:
    """Decides conditions with a Linker."""

    def __init__(self, linker: Linker) -> None:
        self.linker = linker
        self.periods = Periods(linker)

    def tests(self, conditions: tuple[Condition, ...], scope: Scope) -> tuple[Test, ...]:
        """Every condition about the scope's noun, in order, each once."""
        found = [(condition, t) for condition in conditions for t in self._test(condition, scope)]
        ways = [t.path for c, t in found if isinstance(t, Exists) and not isinstance(c, Related)]
        if len(set(ways)) < len(ways):
            raise NoFitError(
                NOT_UNDERSTOOD,
                detail="Two conditions are about rows of another table: they may mean the same row or two.",
                hint=f'Say "with {ways[0][-1].target[1]} whose ... and ...".',
            )
        tests = tuple(dict.fromkeys(t for _, t in found))
        self.check_contradiction(tests)
        return tests

    @staticmethod
    def check_contradiction(tests: tuple[Test, ...]) -> None:
        """Two values of one column at once: `in Mumbai and in Delhi` means either."""
        equal = [t.expr for t in tests if isinstance(t, Cmp) and t.op == "="]
        if len(set(equal)) < len(equal):
            raise NoFitError(
                NOT_UNDERSTOOD,
                detail="One column cannot have two values at once.",
                hint='Say "A or B" where either will do.',
            )

    def _test(self, condition: Condition, scope: Scope) -> tuple[Test, ...]:  # noqa: PLR0911
        match condition:
            case Compare():
                return self._on(self._compared(condition, scope), scope)
            case Between():
                return self._on(self._between(condition, scope), scope)
            case Like():
                return self._on(self._like(condition, scope), scope)
            case Missing():
                col = self._column(condition.field, scope)
                return self._on((IsNull(col, condition.negated),), scope)
            case Flag():
                col = self._column(condition.field, scope, lambda c: c.family is Family.BOOLEAN)
                return self._on((Truth(col, condition.value),), scope)
            case Holds():
                return self._on(self._holds(condition, scope), scope)
            case During():
                return self._during(condition, scope)
            case Related():
                return self.related(condition, scope)
            case Totals():
                return self._totals(condition, scope)
            case Event():
                return (self.periods.happened(condition, scope),)
            case AnyOf():
                return self._any_of(condition, scope)
            case _:
                raise NoFitError(NOT_UNDERSTOOD, detail="A condition is outside the grammar.")

    # Columns in conditions

    def _column(self, field: Field, scope: Scope, fits: Fits | None = None) -> Col:
        return self.linker.usable(self.linker.field(field, scope, fits))

    def _on(self, tests: tuple[Test, ...], scope: Scope) -> tuple[Test, ...]:
        """The tests as they stand, or inside one EXISTS where their column's way multiplies rows."""
        cols = [t.expr if isinstance(t, Cmp) else t.col for t in tests if not isinstance(t, Exists | Grouped | Either)]
        path = next((c.path[len(scope.base) :] for c in cols if isinstance(c, Col)), ())
        if is_forward(path):
            return tests
        if any(_is_negative(t) for t in tests):
            raise NoFitError(
                NOT_UNDERSTOOD,
                detail=f"One row of {scope.table[1]} has many of {path[-1].target[1]}: `not` could be none or not all.",
                hint=f'Say "with no {path[-1].target[1]} ..." or "with {path[-1].target[1]} whose ...".',
            )
        return (Exists(scope.base, path, tuple(_rooted(t) for t in tests)),)

    def _compared(self, condition: Compare, scope: Scope) -> tuple[Test, ...]:
        if condition.op not in {"=", "<>"}:
            col = self._column(condition.field, scope, lambda c: c.family is Family.NUMBER)
            value = condition.values[0]
            if not value.number:
                raise NoFitError(
                    NOT_UNDERSTOOD, detail=f'"{condition.field.text}" is compared with something not a number.'
                )
            return (Cmp(col, condition.op, Literal(value.text, number=True)),)
        col = self._column(condition.field, scope, self._takes(condition.values))
        literals = tuple(lit for value in condition.values for lit in self.literals(value, col))
        negated = condition.op == "<>"
        if len(literals) == 1:
            return (Cmp(col, condition.op, literals[0]),)
        return (OneOf(col, literals, negated),)

    @staticmethod
    def _takes(values: tuple[Value, ...]) -> Fits:
        """Which columns can equal the values: numbers go with numbers and texts, words with texts."""
        families = {Family.NUMBER, Family.TEXT} if all(v.number for v in values) else {Family.TEXT, Family.OTHER}

        def fits(column: ColumnView) -> bool:
            return column.family in families

        return fits

    def literals(self, value: Value, col: Col) -> tuple[Literal, ...]:
        """The value as the column spells it. A word that the column does not hold must be marked as a value."""
        if value.number and col.family is Family.NUMBER:
            return (Literal(value.text, number=True),)
        key: ColumnKey = (*col.table, col.column)
        if key in value.hits:
            return tuple(Literal(v, parts=value.parts, folded=key in value.folded) for v in value.hits[key])
        labels = self.linker.column_view(col).labels
        if labels and not value.placeholder:
            raise NoFitError(
                NOT_UNDERSTOOD,
                detail=f'"{value.text}" is no value of {col.table[1]}.{col.column}.',
                hint=f"Its values: {', '.join(labels[:12])}.",
            )
        if value.quoted or value.number:
            return (Literal(value.text, parts=value.parts),)
        raise NoFitError(
            NOT_UNDERSTOOD,
            detail=f'"{value.text}" is no value of {col.table[1]}.{col.column}.',
            hint=f"Check the spelling, or put it in quotes: {col.column} is '...'.",
        )

    def _between(self, condition: Between, scope: Scope) -> tuple[Test, ...]:
        col = self._column(condition.field, scope, lambda c: c.family is Family.NUMBER)
        low, high = Literal(condition.low.text, number=True), Literal(condition.high.text, number=True)
        return Cmp(col, ">=", low), Cmp(col, "<=", high)

    def _like(self, condition: Like, scope: Scope) -> tuple[Test, ...]:
        col = self._column(condition.field, scope, lambda c: c.family is Family.TEXT)
        if any(v.placeholder for v in condition.values):
            raise NoFitError(
                NOT_UNDERSTOOD, detail="A private value can only be compared whole.", hint="Use: is, is not."
            )
        patterns = tuple(_pattern(v.text, condition.how) for v in condition.values)
        return (Pattern(col, patterns, condition.negated),)

    def _any_of(self, condition: AnyOf, scope: Scope) -> tuple[Test, ...]:
        """Either of two things about the row itself or what it belongs to."""
        choices = tuple(self._test(c, scope) for c in condition.conditions)
        if any(isinstance(t, Exists | Grouped) for tests in choices for t in tests):
            raise NoFitError(NOT_UNDERSTOOD, detail="`or` can only join conditions on the same row.")
        return (Either(choices),)

    # Values without a column

    def _holds(self, condition: Holds, scope: Scope) -> tuple[Test, ...]:
        col = self.linker.usable(self._holder(condition, scope))
        self._check_verb(condition, col, scope)
        literals = tuple(lit for value in condition.values for lit in self.literals(value, col))
        if len(literals) == 1:
            return (Cmp(col, "<>" if condition.negated else "=", literals[0]),)
        return (OneOf(col, literals, condition.negated),)

    def _check_verb(self, condition: Holds, col: Col, scope: Scope) -> None:
        """The verb before a value says only that it is linked, or shares its stem with what the value is of."""
        words = frozenset(self.linker.lexicon.names[col.table].columns[col.column])
        path = col.path[len(scope.base) :]
        self.linker.check_verb(Reached(col.table, path), scope.table, condition.verb, words)

    def _holder(self, condition: Holds, scope: Scope) -> Col:
        first = condition.values[0]
        keys = [set(v.hits) for v in condition.values]
        shared = set.intersection(*keys) if keys else set()
        if condition.owner is not None:
            reached = self.linker.reach(condition.owner, scope)
            if condition.owner.plural and not is_forward(reached.path):
                raise NoFitError(
                    NOT_UNDERSTOOD,
                    detail=f'"{condition.owner.text}" could mean all of them or some.',
                    hint=f'Say "with {condition.owner.text} whose ...".',
                )
            own = sorted(k for k in shared if k[:2] == reached.table)
            if len(own) > 1:
                raise ambiguous(first.text, [f"{k[1]}.{k[2]}" for k in own])
            if own:
                return self.linker.col(scope, reached.path, reached.table, own[0][2])
            if (first.quoted and not (first.placeholder and first.hits)) or self._names_masked(first, reached):
                return self.linker.naming_column(scope, reached, condition.owner.text)
        near = {k for k in shared if any(p and is_forward(p) for p in self.linker.graph.paths(scope.table, k[:2]))}
        return self._nearest_holder(first, (near or shared) if condition.doer else shared, scope)

    def _names_masked(self, value: Value, reached: Reached) -> bool:
        """Whether what names the owner's rows is masked: then that is the answer, whatever it holds."""
        names = [self.linker.view(reached.table).column(c) for c in self.linker.display(reached.table)]
        return value.placeholder and not value.hits and any(c is not None and c.masked for c in names)

    def _nearest_holder(self, value: Value, keys: set[ColumnKey], scope: Scope) -> Col:
        found: list[tuple[ColumnKey, Path]] = [
            (key, path) for key in keys for path in self.linker.graph.paths(scope.table, key[:2])
        ]
        if not found:
            raise not_held(value, scope.table[1], self.linker.columns_hint(scope.table))
        found = self.linker.tables_first(found, lambda pair: pair[0][:2], scope)
        nearest = min(distance(path) for _, path in found)
        best = [(key, path) for key, path in found if distance(path) == nearest]
        if len(best) > 1:
            columns = {f"{k[1]}.{k[2]}" for k, _ in best}
            raise ambiguous(
                value.text,
                columns if len(columns) > 1 else [f"{k[1]}.{k[2]} through {spell(p)}" for k, p in best],
                self._owner_hint(value, [k for k, _ in best]),
            )
        (schema, table, column), path = best[0]
        return self.linker.col(scope, path, (schema, table), column)

    def _owner_hint(self, value: Value, keys: list[ColumnKey]) -> str | None:
        owners = sorted({" ".join(self.linker.lexicon.names[k[:2]].words) for k in keys})
        if len(owners) < len(keys):
            return None
        return "Say which one, as in: " + " or ".join(f"{owner} '{value.text}'" for owner in owners) + "."

    # Dates

    def _during(self, condition: During, scope: Scope) -> tuple[Test, ...]:
        if condition.field is None:
            return self.periods.during(condition, scope)
        col = self._column(condition.field, scope, lambda c: c.family in DATES)
        return self._on((Within(col, condition.period.start, condition.period.end),), scope)

    # Other rows

    def related(self, condition: Related, scope: Scope) -> tuple[Test, ...]:
        """Rows of another table: joined where each row has one at most, EXISTS otherwise."""
        head = condition.of.head
        if not isinstance(head, Entity):
            raise NoFitError(NOT_UNDERSTOOD, detail="Rows can only be linked to rows of another table.")
        reached = self.linker.reach(head, scope, condition.verb)
        if not reached.path:
            if condition.parent and (condition.verb is None or condition.verb in NEUTRAL_VERBS):
                return self.tests(condition.of.conditions, scope)
            raise NoFitError(NOT_UNDERSTOOD, detail=f"{scope.table[1]} is not linked to itself.")
        if condition.op is not None:
            return (self._counted(condition, scope, reached),)
        if is_forward(reached.path) and not condition.negated and condition.of.conditions:
            there = scope.at(reached.path)
            if condition.parent:
                self._check_own(condition.of.conditions, there)
            return self.tests(condition.of.conditions, there)
        if is_forward(reached.path) and not condition.negated and condition.parent and len(reached.path) == 1:
            key = reached.path[0].key
            if len(key.columns) == 1 and not is_implied(key):
                return (IsNull(self.linker.col(scope, (), scope.table, key.columns[0]), negated=True),)
        there = Scope(reached.table, reached.table)
        if condition.parent:
            self._check_own(condition.of.conditions, there)
        inner = self.tests(condition.of.conditions, there)
        return (Exists(scope.base, reached.path, inner, condition.negated),)

    def _check_own(self, conditions: tuple[Condition, ...], scope: Scope) -> None:
        """In `articles by author 'X' at conference 'Y'` the conference is the article's: what an inner noun is said to
        be in or of must be its own, or of what it belongs to."""
        for condition in conditions:
            loose = isinstance(condition, Holds | Compare) or (isinstance(condition, Related) and condition.parent)
            if loose and any(isinstance(t, Exists | Grouped) for t in self._test(condition, scope)):
                raise NoFitError(
                    NOT_UNDERSTOOD,
                    detail=f"It is not clear whether a condition is about {scope.table[1]} or about what comes before.",
                    hint=f'Say "{scope.table[1]} with ..." or put the condition first.',
                )

    def _counted(self, condition: Related, scope: Scope, reached: Reached) -> Test:
        """`with more than 5 orders`."""
        if is_forward(reached.path):
            raise NoFitError(
                NOT_UNDERSTOOD,
                detail=f"One row of {scope.table[1]} has at most one of {reached.table[1]}, through"
                f" {spell(reached.path)}: there is nothing to count.",
                hint="Ask about the table that links them, or name the link.",
            )
        inner = self.tests(condition.of.conditions, Scope(reached.table, reached.table))
        if not condition.distinct:
            there = reversed_path(reached.path)
            check_pieces(self.linker, there, str(getattr(condition.of.head, "text", "")))
        agg = self._row_count(reached)
        op = condition.op or "="
        return Grouped(scope.base, reached.path, inner, agg, op, Literal(str(condition.count), number=True))

    def _row_count(self, reached: Reached) -> Agg:
        """Rows of the far table: each once, also where the way to it leads through a table between."""
        if all(not step.forward for step in reached.path):
            return Agg("count")
        key = self.linker.view(reached.table).primary_key
        if len(key) != 1:
            raise NoFitError(NOT_UNDERSTOOD, detail=f"{reached.table[1]} has no primary key of one column to count by.")
        return Agg(
            "count", (self.linker.col(Scope(reached.table, reached.table), (), reached.table, key[0]),), distinct=True
        )

    def _totals(self, condition: Totals, scope: Scope) -> tuple[Test, ...]:
        """`with a total amount over 1000`: an aggregate over rows that belong to the noun's."""
        measure = condition.measure
        value = Literal(condition.number.text, number=True)
        if measure.func == "count" and isinstance(measure.of, NounPhrase) and isinstance(measure.of.head, Entity):
            reached = self.linker.reach(measure.of.head, scope)
            inner = self.tests(measure.of.conditions, Scope(reached.table, reached.table))
            return (Grouped(scope.base, reached.path, inner, self._row_count(reached), condition.op, value),)
        if measure.field is None:
            raise NoFitError(NOT_UNDERSTOOD, detail="It is not clear what is counted.")
        col = self._column(measure.field, scope, lambda c: c.family is Family.NUMBER)
        path = col.path[len(scope.base) :]
        if not path or any(step.forward for step in path):
            raise NoFitError(
                NOT_UNDERSTOOD,
                detail=f"One row of {scope.table[1]} has one {col.column}, so there is nothing to aggregate.",
                hint=f"Compare the column itself: {col.column} over {value.text}.",
            )
        agg = Agg(measure.func, (replace(col, path=()),), measure.distinct)
        return (Grouped(scope.base, path, (), agg, condition.op, value),)


def _is_negative(test: Test) -> bool:
    match test:
        case OneOf() | Pattern():
            return test.negated
        case Cmp():
            return test.op == "<>"
        case IsNull():
            return True
        case _:
            return False


def _rooted(test: Test) -> Test:
    """The same test where its column's table is the root."""
    match test:
        case Cmp(expr=Col() as col):
            return replace(test, expr=replace(col, path=()))
        case OneOf() | Within() | IsNull() | Truth() | Pattern():
            return replace(test, col=replace(test.col, path=()))
        case _:
            return test


def _pattern(text: str, how: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return {"starts": f"{escaped}%", "ends": f"%{escaped}", "contains": f"%{escaped}%"}[how]
