"""The grammar of nouns: which rows are meant, how they rank, and what is measured of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from proxy.nl.embedded.clauses import Clauses
from proxy.nl.embedded.columns import Place
from proxy.nl.embedded.phrases import (
    AGGREGATES,
    AMBIGUOUS_TOTALS,
    COUNTS,
    DISTINCT,
    HAVING,
    HIGHEST,
    LARGEST,
    RANKING,
    RELATIVES,
    ROW_TAILS,
    SUPERLATIVES,
)
from proxy.nl.embedded.reader import Reading, rule
from proxy.nl.embedded.syntax import (
    Compare,
    Condition,
    During,
    Entity,
    Field,
    Flag,
    Holds,
    Measure,
    NounPhrase,
    Rank,
)
from proxy.nl.embedded.tokens import Kind
from proxy.nl.embedded.words import NEUTRAL_VERBS, singulars

MAX_BEFORE = 3
"""Conditions before a noun."""

Head = tuple[Entity | tuple[Field, ...], tuple[Condition, ...]]


class Nouns(Clauses):
    """Noun phrases, ranks and measures."""

    @rule
    def noun_phrase(self, at: int, place: Place = "own") -> Iterator[Reading[NounPhrase]]:
        """Rows with everything said of them, without a rank."""
        for (head, before), end in self.head(at):
            for after, last in self.modifiers(end, place):
                yield NounPhrase(head, (*before, *after)), last

    @rule
    def head(self, at: int) -> Iterator[Reading[Head]]:
        """A noun with what stands before it, and a value that stands right behind it."""
        at = self.determiner(self.skip(self.determiner(at), "all"))
        at = self.past(at, "combinations of", "combination of", "pairs of", "different") or at
        for before, here in self._before(at, MAX_BEFORE):
            yield from self._bare_head(here, before)

    def _bare_head(self, at: int, before: tuple[Condition, ...]) -> Iterator[Reading[Head]]:
        for entity, end in self.entity(at):
            here = self.skip(end, *ROW_TAILS)
            if not entity.plural or here > end:
                for condition, after in self._which(entity, here):
                    yield (entity, (*before, condition)), after
            yield (entity, before), here
        for fields, end in self.fields(self.skip(at, *DISTINCT)):
            yield (fields, before), end

    def _which(self, entity: Entity, at: int) -> Iterator[Reading[Condition]]:
        """customer 'X', doctor PERSON_1, order 42, order number 42."""
        for value, end in self.value(at):
            if value.number:
                yield Compare(Field(entity.text, (), entity, key=True), "=", (value,)), end
            else:
                yield Holds((value,), owner=entity), end
        if self.is_word(at, "id", "number", "no", "#"):
            for number, end in self.number(at + 1):
                yield Compare(Field(entity.text, (), entity, key=True), "=", (number,)), end

    def _before(self, at: int, room: int) -> Iterator[Reading[tuple[Condition, ...]]]:
        """active, 'buy', 2023, yesterday's: what is said before the noun."""
        if room:
            for first, end in self._adjective(at):
                for rest, after in self._before(end, room - 1):
                    yield (first, *rest), after
        yield (), at

    def _adjective(self, at: int) -> Iterator[Reading[Condition]]:
        for value, end in self.value(at):
            if not value.number:
                yield Holds((value,)), end
        for flag, end in self.plain_field(at):
            yield Flag(flag), end
        found = self.dates.bare(at)
        if found is not None and self.kind(at) is not Kind.NUMBER:
            yield During(found[0]), self.skip(found[1], "'s")

    # Ranks

    @rule
    def ranked(self, at: int) -> Iterator[Reading[NounPhrase]]:
        """A noun phrase, and how many of it come first by what: top 5 customers by total amount."""
        for rank, here in self._rank_words(self.determiner(at)):
            for (head, before), end in self.head(here):
                for after, last in self.modifiers(end):
                    conditions = (*before, *after)
                    yield from self._by(NounPhrase(head, conditions, rank), last)
                    if rank is not None and self._is_complete(rank, head):
                        yield NounPhrase(head, conditions, rank), last
        yield from self.noun_phrase(at)

    @staticmethod
    def _is_complete(rank: Rank, head: Entity | tuple[Field, ...]) -> bool:
        """One without a number needs a singular noun; a number alone, rows to count."""
        if rank.common:
            return isinstance(head, tuple)
        if rank.adjective:
            return rank.count > 1 or (isinstance(head, Entity) and not head.plural)
        return not rank.named and isinstance(head, Entity)

    def _rank_words(self, at: int) -> Iterator[Reading[Rank | None]]:
        """What stands before the noun: top 5, 5 cheapest, latest 10, the most expensive."""
        yield from self._commonest(at)
        yield from self._largest(at)
        top = self.is_word(at, "top", "bottom")
        here = at + top
        for count, after in self._count(here):
            for (words, descending), end in self.phrase(after, SUPERLATIVES):
                if not self.is_word(at, "bottom"):
                    yield Rank(count, descending, adjective=words), end
            if top or not self._is_year(here):
                yield Rank(count, descending=self.is_word(at, "top"), named=top), after
            else:
                self.note(f"{count} before a noun may be a year or how many.", "Say: in 2024, or: top 5 ... by ...")
        if not top:
            for (words, descending), end in self.phrase(at, SUPERLATIVES):
                for count, after in self._count(end):
                    yield Rank(count, descending, adjective=words), after
                yield Rank(1, descending, adjective=words), end
            yield None, at

    def superlative(self, at: int) -> Iterator[Reading[Rank]]:
        """Which product is `the cheapest`?"""
        for (words, descending), end in self.phrase(at, SUPERLATIVES):
            yield Rank(1, descending, adjective=words), end

    def _largest(self, at: int) -> Iterator[Reading[Rank | None]]:
        """the 5 largest, the largest 5, the largest: what by comes after the noun."""
        for count, start in [*self._count(at), (0, at)]:
            for meaning, here in self.phrase(start, LARGEST):
                for after, end in [*self._count(here), (count or 1, here)]:
                    yield Rank(after, descending=meaning == "most", named=True), end

    def _commonest(self, at: int) -> Iterator[Reading[Rank | None]]:
        """top 3 most common, the most frequent: values by how many rows have them."""
        here = self.skip(self.determiner(at), "top")
        counts = list(self._count(here)) or [(1, here)]
        for count, start in counts:
            end = self.past(start, "most common", "most frequent", "most popular")
            if end is not None:
                yield Rank(count, descending=True, common=True), end

    def _count(self, at: int) -> Iterator[tuple[int, int]]:
        if self.kind(at) is Kind.NUMBER and self.tokens[at].text.isdigit() and 0 < int(self.tokens[at].text) < 10**6:
            yield int(self.tokens[at].text), at + 1

    def _by(self, found: NounPhrase, at: int) -> Iterator[Reading[NounPhrase]]:
        """What stands after the noun: by total amount, with the most orders."""
        rank = found.rank
        if rank is not None and (rank.adjective or rank.common):
            return
        one = isinstance(found.head, Entity) and not found.head.plural
        for by, descending, verb, end in self._rank_tail(at):
            count = rank.count if rank else 1 if one or isinstance(found.head, tuple) else 0
            if count == 0 or (descending is None and (rank is None or not rank.named)):
                if count == 0 and descending is not None:
                    self.note(
                        "It is not clear how many are asked for.",
                        "Say how many, as in: the 5 products with the highest price.",
                    )
                continue
            order = descending if descending is not None else bool(rank and rank.descending)
            for more, last in self.modifiers(end):
                if verb is not None and isinstance(found.head, tuple) and verb not in HAVING:
                    continue
                head = replace(found.head, verb=verb) if isinstance(found.head, Entity) else found.head
                yield NounPhrase(head, found.conditions, Rank(count, order, by, conditions=more)), last

    def _is_year(self, at: int) -> bool:
        return self.tokens[at].raw == self.tokens[at].text and 1900 <= int(self.tokens[at].text) < 2200  # noqa: PLR2004

    def _rank_tail(self, at: int) -> Iterator[tuple[tuple[Measure | Field, ...], bool | None, str | None, int]]:
        """(what by, descending or None where it is not said, verb of `who placed the most`, index after)."""
        for _, here in self.phrase(at, RANKING):
            for by, end in self._ranking_items(here):
                yield by, None, None, end
            for by, descending, end in self.highest(here):
                yield by, descending, None, end
        for verb, start in self._having(at):
            for by, descending, end in self.highest(start):
                yield by, descending, verb, end

    def _having(self, at: int) -> Iterator[tuple[str | None, int]]:
        """Past with, who have, that placed: before `the most`."""
        if self.is_word(at, "with", "having"):
            yield None, at + 1
        here = self.skip(at, *RELATIVES)
        if self.word(here) in NEUTRAL_VERBS or self.is_participle(here):
            yield self.word(here), here + 1

    def highest(self, at: int) -> Iterator[tuple[tuple[Measure | Field, ...], bool, int]]:
        """the most orders, the highest balance, the lowest average price: (what, descending, index after)."""
        for meaning, here in self.phrase(at, HIGHEST):
            if meaning in {"most", "fewest"}:
                distinct = self.is_word(here, *DISTINCT)
                for of, end in self.linked(here + distinct):
                    yield (Measure("count", of=of, distinct=distinct),), meaning == "most", end
            else:
                for by, end in self._ranking_items(here):
                    yield by, meaning == "highest", end

    @rule
    def _ranking_items(self, at: int) -> Iterator[Reading[tuple[Measure | Field, ...]]]:
        singles: list[Reading[Measure | Field]] = [*self.measure(at), *self.field(at)]
        for single, end in singles:
            joined = self.past(end, "and", "and then", ", then")
            if joined is not None:
                for rest, after in self._ranking_items(joined):
                    yield (single, *rest), after
            yield (single,), end

    # Measures

    @rule
    def measure(self, at: int) -> Iterator[Reading[Measure]]:
        """number of orders, total amount, average price, distinct cities counted, order count."""
        at = self.skip(self.determiner(at), *("their", "its", "respective"))
        for _, here in self.phrase(at, COUNTS):
            distinct = self.is_word(here, *DISTINCT)
            for of, end in self.noun_phrase(here + distinct):
                yield Measure("count", of=of, distinct=distinct), end
        for func, here in self.phrase(at, AGGREGATES):
            yield from self._aggregate(func, here)
            if self.is_word(here - 1, "total", "overall"):
                yield from self._total_rows(here)
        yield from self._entity_count(at)
        if self.is_word(at, *DISTINCT):
            yield from self._entity_count(at + 1)

    def _aggregate(self, func: str, at: int) -> Iterator[Reading[Measure]]:
        here = self.determiner(self.past(at, "of the", "of", "of all") or at)
        bracket = self.is_word(here, "(")
        for found, end in self.field(here + bracket):
            last = self.skip(end, ")") if bracket else end
            yield Measure(func, found), last

    def _total_rows(self, at: int) -> Iterator[Reading[Measure]]:
        """`total orders` is their number; `total sales` could be money, and is not taken."""
        for entity, end in self.entity(at):
            last = singulars(self.tokens[end - 1].parts[-1])[-1] if self.tokens[end - 1].parts else ""
            if entity.plural and last not in AMBIGUOUS_TOTALS:
                yield Measure("count", of=NounPhrase(entity)), end

    def _entity_count(self, at: int) -> Iterator[Reading[Measure]]:
        """`order count`, `total sales count`."""
        for entity, end in self.entity(self.skip(at, "total")):
            if self.is_word(end, "count", "counts"):
                yield Measure("count", of=NounPhrase(entity)), end + 1
