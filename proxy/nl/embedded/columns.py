"""The grammar of what is said of a column: comparisons, values, patterns, missing values, flags and totals."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Literal

from proxy.nl.embedded.phrases import COMPARISONS, COPULAS, INVERSE, MISSING, PATTERNS, POSTFIXES
from proxy.nl.embedded.reader import Reader, Reading, rule
from proxy.nl.embedded.syntax import (
    AnyOf,
    Between,
    Compare,
    Condition,
    During,
    Field,
    Flag,
    Holds,
    Like,
    Measure,
    Missing,
    NounPhrase,
    Totals,
    Value,
)
from proxy.nl.embedded.tokens import Kind

Place = Literal["own", "parent"]
"""Where a noun phrase stands. Introduced by of, by, for or from (`parent`), it leaves bare periods to the outer one."""


class ColumnClauses(Reader, ABC):
    """Conditions on columns. Noun phrases and measures are further up in the grammar."""

    @abstractmethod
    def noun_phrase(self, at: int, place: Place = "own") -> list[Reading[NounPhrase]]: ...

    @abstractmethod
    def measure(self, at: int) -> list[Reading[Measure]]: ...

    @rule
    def said(self, at: int) -> Iterator[Reading[tuple[Condition, ...]]]:
        """After where and whose: one or more conditions on columns."""
        for first, end in self.column_condition(at):
            if self.is_word(end, "or"):
                for other, after in self.column_condition(self.skip(end + 1, "whose", "where")):
                    yield (AnyOf((first, other)),), after
            joined = self.past(end, "and", ", and", ",")
            if joined is not None:
                for rest, after in self.said(self.skip(joined, "whose", "where")):
                    yield (first, *rest), after
            yield (first,), end

    @rule
    def column_condition(self, at: int) -> Iterator[Reading[Condition]]:
        """A column and what it is; a measure and what it exceeds; a flag."""
        yield from self._totals(at)
        for found, end in self.field_of(at):
            yield from self._about(found, end)
        for owner, end in self.entity(at):
            for negated, here in self._copula(end):
                for values, after in self.value_list(here, "or") if here > end else ():
                    yield Holds(values, negated=negated, owner=owner), after
        yield from self.flag(at)

    def _about(self, field: Field, at: int) -> Iterator[Reading[Condition]]:
        yield from self._missing(field, at)
        yield from self._pattern(field, at)
        for negated, here in self._copula(at):
            yield from self.comparison(field, here, negated=negated)
            yield from self._equality(field, here, negated=negated)
            found = None if negated else self.period(here)
            if found is not None:
                yield During(found[0], field), found[1]

    def _copula(self, at: int) -> Iterator[Reading[bool]]:
        """Past is, are, was, =, of or nothing; and past not."""
        places = [end for _, end in self.phrase(at, COPULAS)] + [at]
        for here in dict.fromkeys(places):
            after = here + 1 if self.is_word(here, "not", "isn't", "aren't", "wasn't") else here
            yield after > here, after

    def comparison(self, field: Field, at: int, *, negated: bool) -> Iterator[Reading[Condition]]:
        for op, end in self.phrase(at, COMPARISONS):
            for number, after in self.number(end):
                yield Compare(field, INVERSE[op] if negated else op, (number,)), after
            if op in {"=", "<>"}:
                yield from self._equality(field, end, negated=negated != (op == "<>"))
        for number, end in self.number(at):
            for op, after in self.phrase(end, POSTFIXES):
                yield Compare(field, INVERSE[op] if negated else op, (number,)), after
        if self.is_word(at, "between", "from") and not negated:
            join = "and" if self.is_word(at, "between") else "to"
            for low, end in self.number(at + 1):
                for high, after in self.number(end + 1) if self.is_word(end, join) else ():
                    if float(low.text) <= float(high.text):
                        yield Between(field, low, high), after

    def _equality(self, field: Field, at: int, *, negated: bool) -> Iterator[Reading[Condition]]:
        at = self.skip(self.past(at, "one of", "either", "any of", "in") or at, ":")
        for values, end in self.value_list(self.determiner(at), "or", "and", "nor"):
            yield Compare(field, "<>" if negated else "=", values), end
        if self.is_word(at, "true", "false", "yes", "no"):
            yield Flag(field, self.is_word(at, "true", "yes") != negated), at + 1

    def _missing(self, field: Field, at: int) -> Iterator[Reading[Condition]]:
        for negated, here in self._copula(at):
            if here > at:
                for meaning, end in self.phrase(here, MISSING):
                    yield Missing(field, negated=(meaning == "present") != negated), end

    def _pattern(self, field: Field, at: int) -> Iterator[Reading[Condition]]:
        negated = self.past(at, "does not", "do not", "doesn't", "don't", "not")
        here = negated if negated is not None else at
        for how, end in self.phrase(here, PATTERNS):
            for values, after in self._texts(end):
                last = self.past(after, ", case-insensitive", "( case-insensitive )", ", case insensitive") or after
                yield Like(field, how, values, negated=negated is not None), last

    def _texts(self, at: int) -> Iterator[Reading[tuple[Value, ...]]]:
        """Marked values, or a single letter: what a pattern is made of."""
        if self.kind(at) in {Kind.STRING, Kind.PLACEHOLDER}:
            token = self.tokens[at]
            first = Value(token.text, quoted=True, placeholder=token.kind is Kind.PLACEHOLDER)
        elif self.kind(at) is Kind.WORD and len(self.tokens[at].text) == 1:
            first = Value(self.tokens[at].raw, quoted=True)
        else:
            return
        if self.is_word(at + 1, "or"):
            for more, end in self._texts(at + 2):
                yield (first, *more), end
        yield (first,), at + 1

    @rule
    def flag(self, at: int) -> Iterator[Reading[Condition]]:
        """A boolean column by its name; `not` before it turns it round. The resolver checks that it is one."""
        negated = self.is_word(at, "not")
        for found, end in self.plain_field(at + negated):
            yield Flag(found, not negated), end

    def _totals(self, at: int) -> Iterator[Reading[Condition]]:
        for measure, end in self.measure(at):
            for negated, here in self._copula(end):
                for op, after in self.phrase(here, COMPARISONS):
                    for number, last in self.number(after):
                        yield Totals(measure, INVERSE[op] if negated else op, number), last
                for number, after in self.number(here):
                    for op, last in self.phrase(after, POSTFIXES):
                        yield Totals(measure, INVERSE[op] if negated else op, number), last
