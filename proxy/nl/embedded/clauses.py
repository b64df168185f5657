"""The grammar of conditions: what may be said of rows, before and after the noun that names them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from proxy.nl.embedded.columns import ColumnClauses, Place
from proxy.nl.embedded.phrases import (
    COMPARATIVES,
    COMPARISONS,
    COSTING,
    HAVING,
    LINKING,
    NAMED,
    NEGATIONS,
    PLACING,
    POSTFIXES,
    RELATIVES,
    VERBAL,
)
from proxy.nl.embedded.reader import Reading, rule
from proxy.nl.embedded.syntax import (
    Compare,
    Condition,
    During,
    Entity,
    Event,
    Field,
    Flag,
    Holds,
    Missing,
    NounPhrase,
    Related,
)
from proxy.nl.embedded.tokens import Kind
from proxy.nl.embedded.words import FUNCTION_WORDS, HAPPENED, NEUTRAL_VERBS

PRICE = ("price", "cost")
PAY = ("salary", "wage")
AUXILIARIES = frozenset({"have", "has", "had", "been", "do", "does", "did", "are", "were", "was", "ever", "be"})
LIVING = frozenset({"live", "lives", "living", "reside", "resides", "work", "works", "based", "located", "come"})
"""Before a place these add nothing: `who live in Mumbai`."""


class Clauses(ColumnClauses):
    """Conditions. Noun phrases and measures are the other half of the grammar."""

    def linked(self, at: int, place: Place = "own") -> list[Reading[NounPhrase]]:
        """Noun phrases that name a table: what rows can be linked to."""
        if place == "own" and self.is_word(self.determiner(at), "all", "every", "each", "both"):
            self.note(
                f'"{self.word(self.determiner(at))}" of the linked rows is not understood.',
                'Say "with orders", "without orders" or "with more than 5 orders".',
            )
            return []
        return [found for found in self.noun_phrase(at, place) if isinstance(found[0].head, Entity)]

    @rule
    def modifiers(self, at: int, place: Place = "own") -> Iterator[Reading[tuple[Condition, ...]]]:
        """Everything said after a noun, as much as possible first."""
        for first, end in self.modifier(at, place):
            for rest, after in self.modifiers(end, place):
                yield (*first, *rest), after
        yield (), at

    @rule
    def modifier(self, at: int, place: Place = "own") -> Iterator[Reading[tuple[Condition, ...]]]:
        """One modifier, which may say several things."""
        for joined in dict.fromkeys((at, self.skip(at, ",", "and"), self.past(at, ", and", ", but", "but") or at)):
            yield from self._one_modifier(joined, place)

    def _one_modifier(self, at: int, place: Place) -> Iterator[Reading[tuple[Condition, ...]]]:
        if self.is_word(at, "where", "whose") or self.past(at, "such that", "for which", "in which", "on which"):
            start = self.past(at, "such that", "for which", "in which", "on which") or at + 1
            yield from self.said(start)
        elif self.is_word(at, *RELATIVES):
            yield from self.predicate(at + 1)
        elif self.is_word(at, "with", "having", "without", "excluding"):
            yield from self.possessed(at)
        for single, end in self._simple_modifier(at, place):
            yield (single,), end

    def _simple_modifier(self, at: int, place: Place) -> Iterator[Reading[Condition]]:
        if place == "own":
            yield from self.during(at)
        yield from self.verbed_period(at)
        yield from self.compared(at)
        yield from self.placed(at)
        yield from self.parent(at)
        yield from self.verbed(at)
        yield from self._unlike(at)

    def _unlike(self, at: int) -> Iterator[Reading[Condition]]:
        """orders not shipped."""
        if self.is_word(at, "not"):
            for values, end in self.value_list(at + 1, "or"):
                if all(not v.number for v in values):
                    yield Holds(values, negated=True), end
            for found, end in self.plain_field(at + 1):
                yield Flag(found, value=False), end

    # What rows have, are and do

    @rule
    def possessed(self, at: int) -> Iterator[Reading[tuple[Condition, ...]]]:
        """After with, having, have, without: other rows, how many of them, or what a column is."""
        negative = self.is_word(at, "without", "excluding")
        here = at + 1
        no = None if negative else self.past(here, "no", "not any", "zero")
        if negative or no is not None:
            start = self.skip(no if no is not None else here, "any", "a", "an")
            for of, end in self.linked(start):
                yield (Related(of, negated=True),), end
            for found, end in self.field(start):
                yield (Missing(found),), end
            return
        yield from self.said(here)
        for op, count, start in self._counted(here):
            for of, end in self.linked(start):
                yield (Related(of, op=op, count=count, distinct=self._said_different(start)),), end
        for op, end in self.phrase(here, COMPARISONS):
            for number, after in self.number(end):
                for found, last in self.field(after):
                    yield (Compare(found, op, (number,)),), last
        for of, end in self.linked(self.skip(here, "any", "some")):
            yield (Related(of),), end

    def _counted(self, at: int) -> Iterator[tuple[str, int, int]]:
        """(comparison, number, index after): more than 5; 5 or more; exactly 1; 2."""
        places: list[tuple[str, int]] = [*self.phrase(at, COMPARISONS), ("=", at)]
        for op, here in places:
            if self.kind(here) is Kind.NUMBER and self.tokens[here].text.isdigit():
                count = int(self.tokens[here].text)
                if here == at:
                    yield from ((post, count, end) for post, end in self.phrase(here + 1, POSTFIXES))
                yield op, count, self.skip(here + 1, "total", "different", "distinct", "separate", "unique")

    def _said_different(self, at: int) -> bool:
        return self.is_word(at - 1, "different", "distinct", "separate", "unique")

    @rule
    def predicate(self, at: int) -> Iterator[Reading[tuple[Condition, ...]]]:
        """After who, that, which, or as a question's verb: have, are, did."""
        for first, end in self._predicate(at):
            joined = self.past(end, "and", ", and", "but", "and who", "and that")
            if joined is not None:
                for rest, after in self.predicate(self.skip(joined, "who", "that", "which")):
                    yield (*first, *rest), after
            yield first, end

    def _predicate(self, at: int) -> Iterator[Reading[tuple[Condition, ...]]]:
        if self.is_word(at, *HAVING) and not self.is_word(at + 1, "not", "never", "been"):
            yield from self.possessed(at)
        if self.is_word(at, *VERBAL):
            yield from self._being(at + 1)
        yield from self._doing(at)
        if self.is_word(at, "cost", "costs", "earn", "earns"):
            for single, end in self.compared(at):
                yield (single,), end
        for op, end in self.column_condition(at):
            if not isinstance(op, Flag):
                yield (op,), end

    def _being(self, at: int) -> Iterator[Reading[tuple[Condition, ...]]]:
        """After is and are: a value, a flag, a place, missing; `not` turns it round."""
        negated = self.is_word(at, "not")
        here = self.determiner(at + negated)
        for values, end in self.value_list(here, "or"):
            if all(not v.number for v in values):
                yield (Holds(values, negated=negated),), end
        for found, end in self.flag(at):
            yield (found,), end
        for single, end in () if negated else self._simple_modifier(here, "own"):
            yield (single,), end
        for single, end in self.placed(here) if negated else ():
            if isinstance(single, Holds) and not single.negated:
                yield (Holds(single.values, negated=True),), end
        for done, end in self._linked_verb(at, negated=False):
            yield (done,), end

    def _doing(self, at: int) -> Iterator[Reading[tuple[Condition, ...]]]:
        """placed orders, have not made any orders, ordered in 2024, did not place orders, live in Mumbai."""
        here, negated = self._auxiliaries(at)
        if here > at and self.is_word(here - 1, "have", "has", "had"):
            for of, end in self.linked(self.skip(here, "any", "a", "an")) if negated else ():
                yield (Related(of, negated=True),), end
        for done, end in self._linked_verb(here, negated=negated):
            yield (done,), end
        if self.is_participle(here) and not negated:
            for values, end in self.value_list(here + 1, "or"):
                if all(not v.number for v in values):
                    yield (Holds(values, verb=self.word(here)),), end
        if negated and self.is_participle(here):
            yield (Event(self.word(here), negated=True),), here + 1
        if self.word(here) in LIVING and not negated:
            yield from (((single,), end) for single, end in self.placed(here + 1) if isinstance(single, Holds))
        passive = any(self.is_word(i, "are", "were", "was", "been", "be") for i in range(at, here))
        for single, end in () if negated else self.verbed_period(here):
            yield (replace(single, active=not passive) if isinstance(single, During) else single,), end

    def _auxiliaries(self, at: int) -> tuple[int, bool]:
        """Past have, did, were and not: (index after, whether negated)."""
        here, negated = at, False
        while self.word(here) in AUXILIARIES or (self.word(here) in NEGATIONS and here <= at + 2):
            negated = negated or self.word(here) in NEGATIONS
            here += 1
        return here, negated

    def _linked_verb(self, at: int, *, negated: bool) -> Iterator[Reading[Condition]]:
        """A verb and the rows that it links to, counted or not."""
        verb = self.word(at)
        if self.kind(at) is not Kind.WORD or (verb in FUNCTION_WORDS and verb not in NEUTRAL_VERBS):
            return
        here = self.skip(at + 1, "in", "by", "with", "for", "to", "on", "from")
        if negated or self.is_word(here, "no"):
            start = self.skip(here, "any", "a", "an", "no")
            if not (negated and self.is_word(here, "no")):
                for of, end in self.linked(start):
                    yield Related(of, verb, negated=True), end
            return
        for op, count, start in self._counted(here):
            for of, end in self.linked(start):
                yield Related(of, verb, op=op, count=count, distinct=self._said_different(start)), end
        for of, end in self.linked(self.skip(here, "any", "some")):
            yield Related(of, verb), end

    # Places, periods, links

    @rule
    def placed(self, at: int) -> Iterator[Reading[Condition]]:
        """in Mumbai, from India or Nepal, not in Delhi, named 'X', of type 'buy', for product 'X'."""
        negated = self.is_word(at, "not")
        here = at + negated
        if self.is_word(here, *NAMED):
            for values, end in self.value_list(here + 1, "or"):
                if all(not v.number for v in values):
                    yield Compare(Field(self.word(here), (), naming=True), "<>" if negated else "=", values), end
        elif self.is_word(here, *PLACING):
            start = self.determiner(here + 1)
            self.far = max(self.far, start)
            for values, end in self.value_list(start, "or", "and"):
                if all(not v.number for v in values):
                    yield Holds(values, negated=negated), end
            for found, end in self.field(start):
                for values, after in self.value_list(self.skip(end, "of", "=", "is"), "or", "and"):
                    yield Compare(found, "<>" if negated else "=", values), after
            for owner, end in self.entity(start) if negated else ():
                for values, after in self.value_list(end, "or"):
                    yield Holds(values, negated=True, owner=owner), after

    @rule
    def during(self, at: int) -> Iterator[Reading[Condition]]:
        found = self.period(at)
        if found is not None and self.kind(at) is not Kind.NUMBER:
            yield During(found[0]), found[1]

    @rule
    def verbed_period(self, at: int) -> Iterator[Reading[Condition]]:
        """placed in 2024, hired since 2020, with an order date in March 2025."""
        here = self.past(at, "that were", "who were", "which were") or at
        if self.kind(here) is not Kind.WORD or self.word(here) in FUNCTION_WORDS:
            return
        verb = self.word(here)
        after = self.skip(here + 1, "up", "place") if verb in {"signed", "took"} else here + 1
        found = self.period(after)
        if found is not None:
            yield During(found[0], verb=None if verb in HAPPENED else verb), found[1]

    @rule
    def compared(self, at: int) -> Iterator[Reading[Condition]]:
        """cheaper than 500, costing more than 500, priced between 10 and 20; over 500 alone is not understood."""
        for (words, op), end in self.phrase(at, COMPARATIVES):
            for number, after in self.number(end):
                yield Compare(Field(self.text(at, end), (), measures=words), op, (number,)), after
        if self.is_word(at, "earning", "earn", "earns", "paid"):
            yield from self.comparison(Field(self.word(at), (), measures=PAY), at + 1, negated=False)
        if self.is_word(at, *COSTING):
            here = self.skip(at + 1, "at")
            yield from self.comparison(Field(self.word(at), (), measures=PRICE), here, negated=False)

    @rule
    def parent(self, at: int) -> Iterator[Reading[Condition]]:
        """of customers in Mumbai, by doctor 'X': the rows that these belong to."""
        if self.is_word(at, *LINKING) or self.past(at, "belonging to", "associated with", "related to", "linked to"):
            start = self.past(at, "belonging to", "associated with", "related to", "linked to") or at + 1
            self.far = max(self.far, start)
            for of, end in self.linked(start, "parent"):
                if of.conditions or not self.is_word(at, "by"):
                    yield Related(of, parent=True), end

    @rule
    def verbed(self, at: int) -> Iterator[Reading[Condition]]:
        """made by customers from India, treated with the drug 'X': a participle and a link."""
        if self.is_participle(at) and self.is_word(at + 1, *LINKING):
            for found, end in self.parent(at + 1):
                if isinstance(found, Related):
                    verb = self.word(at)
                    yield Related(found.of, verb, parent=True), end
            for values, end in self.value_list(self.determiner(at + 2), "or", "and"):
                if all(not v.number for v in values):
                    yield Holds(values, verb=self.word(at)), end
