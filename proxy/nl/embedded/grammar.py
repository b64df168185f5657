"""The grammar of whole questions: from the first word to the full stop, every word accounted for.

    question  = [for each GROUP] (count | which | request) tail
    count     = how many NOUN [verb ...]
    which     = which NOUN verb ...
    request   = [show me] (items [of NOUN] | NOUN [with their items])
    tail      = { per GROUP | condition | ordered by ITEM } [. Return items]

`docs/embedded.md` has it with examples. Readings come best first; the first that the schema can make sense of wins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from proxy.nl.embedded.nouns import Nouns
from proxy.nl.embedded.phrases import (
    ADVERBS,
    AGGREGATES,
    ASKING,
    BUCKETS,
    DIRECTIONS,
    DISTINCT,
    GROUPING,
    HAVING,
    NEGATIONS,
    ORDERING,
    RETURNING,
    THERE,
    VERBAL,
)
from proxy.nl.embedded.reader import Reading, rule
from proxy.nl.embedded.syntax import (
    Ask,
    Bucket,
    Condition,
    Entity,
    Field,
    Group,
    Holds,
    Item,
    Measure,
    NounPhrase,
    Order,
    Rank,
    Related,
    Tail,
)
from proxy.nl.embedded.tokens import Kind
from proxy.nl.embedded.words import FUNCTION_WORDS, HAPPENED, NEUTRAL_VERBS

AUXILIARIES = frozenset({"do", "does", "did", "has", "have", "had"})


class Grammar(Nouns):
    """Whole questions."""

    def readings(self) -> Iterator[Ask]:
        """Every reading that accounts for the whole question, best first."""
        start = self.past(0, "please", "kindly", "can you", "could you", "hi ,", "hello ,") or 0
        seen: list[Ask] = []
        for ask, end in self._question(start):
            if self._at_end(end) and ask not in seen:
                seen.append(ask)
                yield ask

    def _at_end(self, at: int) -> bool:
        while self.word(at) in {".", "?", "!", ";"} or (self.word(at) == "please" and at == len(self.tokens) - 1):
            at += 1
        return at >= len(self.tokens)

    def _question(self, at: int) -> Iterator[Reading[Ask]]:
        yield from self._grouped_first(at)
        yield from self._counting(at)
        yield from self._which_rows(at)
        starts = [end for _, end in self.phrase(at, ASKING)] + [at]
        for here in starts:
            yield from self._request(here)

    # Forms

    def _grouped_first(self, at: int) -> Iterator[Reading[Ask]]:
        """For each city, show the number of customers."""
        if not self.is_word(at, "for", "per", "by"):
            return
        for groups, end in self.groups(at):
            here = self.skip(end, ",")
            for rest, after in self._question(here):
                if any(isinstance(i, Measure) for i in rest.items) and not rest.groups:
                    yield replace(rest, groups=groups), after

    def _counting(self, at: int) -> Iterator[Reading[Ask]]:
        """How many customers have no orders?"""
        here = self.past(at, "how many", "count the number of", "count the", "count of", "count")
        if here is None:
            return
        here = self.skip(here, "total", "the")
        distinct = self.is_word(here, *DISTINCT)
        for counted, end in self.noun_phrase(here + distinct):
            for entity, after in self._of_each(end):
                yield from self._finish(Ask(None, (Measure("count", of=counted),), groups=(entity,)), after)
            for conditions, after in self._clause(end):
                subject = NounPhrase(counted.head, (*counted.conditions, *conditions))
                measure = Measure("count", of=subject, distinct=distinct)
                yield from self._finish(Ask(None, (measure,)), after)

    def _clause(self, at: int) -> Iterator[Reading[tuple[Condition, ...]]]:
        """What a question says with its verb: are there, are from India, did customer X place, have no orders."""
        for _, end in self.phrase(at, THERE):
            yield from self.modifiers(end)
        yield from self._of_somebody(at)
        for conditions, end in self.predicate(at):
            for more, after in self.modifiers(end):
                yield (*conditions, *more), after
        if self.is_word(at, *VERBAL):
            for conditions, end in self.modifiers(at + 1):
                if conditions:
                    yield conditions, end
            if self.groups(at + 1):
                yield (), at + 1
        yield (), at

    def _of_each(self, at: int) -> Iterator[Reading[Entity]]:
        """How many sales did each salesperson make: one number for each."""
        if self.is_word(at, *AUXILIARIES) and self.is_word(at + 1, "each", "every"):
            for entity, end in self.entity(at + 2):
                if self.kind(end) is Kind.WORD and self.word(end) not in FUNCTION_WORDS:
                    yield replace(entity, verb=self.word(end)), end + 1

    def _of_somebody(self, at: int) -> Iterator[Reading[tuple[Condition, ...]]]:
        """did customer 'X' place, does doctor PERSON_1 have."""
        if not self.is_word(at, *AUXILIARIES) or self.word(at + 1) in NEGATIONS:
            return
        for of, end in self.linked(at + 1, "parent"):
            if self.kind(end) is Kind.WORD and self.word(end) not in NEGATIONS:
                verb = self.word(end)
                for more, after in self.modifiers(end + 1):
                    yield (Related(of, verb, parent=True), *more), after
        for value, end in self.value(at + 1):
            if not value.number and (self.word(end) in NEUTRAL_VERBS or self.word(end) not in FUNCTION_WORDS):
                for more, after in self.modifiers(end + 1) if self.kind(end) is Kind.WORD else ():
                    yield (Holds((value,), verb=self.word(end), doer=True), *more), after

    def _which_rows(self, at: int) -> Iterator[Reading[Ask]]:
        """Which customers have more than 5 orders? Which city has the most customers?"""
        if not self.is_word(at, "which", "what"):
            return
        for found, end in self.ranked(at + 1):
            subject = found
            distinct = isinstance(found.head, tuple)
            if found.rank is None:
                yield from self._which_highest(found, end)
                for conditions, after in self._clause(end):
                    subject = NounPhrase(found.head, (*found.conditions, *conditions))
                    yield from self._finish(Ask(subject, distinct=distinct, which=True), after)
            else:
                yield from self._finish(Ask(subject, which=True), end)

    def _which_highest(self, found: NounPhrase, at: int) -> Iterator[Reading[Ask]]:
        """... has the most orders: the first one, where the noun is in the singular."""
        plural = found.head.plural if isinstance(found.head, Entity) else False
        verb = self.word(at)
        possible = verb in HAVING if isinstance(found.head, tuple) else verb in NEUTRAL_VERBS or self.is_participle(at)
        if verb in {"is", "was"} and not plural and isinstance(found.head, Entity):
            for rank, end in self.superlative(self.determiner(at + 1)):
                yield from self._finish(Ask(replace(found, rank=rank), which=True), end)
        if plural or not possible:
            return
        for by, descending, end in self.highest(at + 1):
            for more, after in self.modifiers(end):
                head = replace(found.head, verb=verb) if isinstance(found.head, Entity) else found.head
                subject = NounPhrase(head, found.conditions, Rank(1, descending, by, conditions=more))
                yield from self._finish(Ask(subject, which=True), after)

    def _request(self, at: int) -> Iterator[Reading[Ask]]:
        here = self.determiner(self.past(self.determiner(at), "list of", "all", "all of") or at)
        distinct = self.is_word(here, *DISTINCT)
        here = self.determiner(self.past(here + distinct, "list of") or here + distinct)
        yield from self._measured(here)
        yield from self._with_columns(here, distinct=distinct)
        yield from self._columns(here, distinct=distinct)
        for found, end in self.ranked(here):
            plain = isinstance(found.head, Entity) or found.rank is not None
            if plain:
                yield from self._finish(Ask(found, distinct=distinct and found.rank is None), end)
                for extra, after in self._with_their(end):
                    yield from self._finish(Ask(found, extra=extra), after)
                yield from self._counted_rows(found, end)
                for extra, after in self.items(end + 1) if self.is_word(end, "with", "including") else ():
                    yield from self._finish(Ask(found, extra=extra, joins=True), after)

    def _measured(self, at: int) -> Iterator[Reading[Ask]]:
        """average salary of employees; monthly total amount; city and number of customers per city."""
        for unit, here in [*self.phrase(at, ADVERBS), (None, at)]:
            groups = (Bucket(unit),) if unit else ()
            for items, end in self.items(here):
                if any(isinstance(i, Measure) for i in items):
                    yield from self._finish(Ask(None, items, groups=groups), end)

    def _columns(self, at: int, *, distinct: bool) -> Iterator[Reading[Ask]]:
        """name and city of customers in India; distinct cities; customer names."""
        for fields, end in self.fields(at):
            for subject, after in self.ranked(end + 1) if self.is_word(end, "of", "for", "from", "in") else ():
                if isinstance(subject.head, Entity):
                    yield from self._finish(Ask(subject, fields, distinct=distinct), after)
        for fields, end in self.fields(at):
            yield from self._finish(Ask(None, fields, distinct=distinct), end)

    def _with_columns(self, at: int, *, distinct: bool) -> Iterator[Reading[Ask]]:
        """users (user ID and name) who have no orders."""
        for entity, end in self.entity(at):
            for fields, after in self.fields(end + 1) if self.is_word(end, "(") else ():
                for conditions, last in self.modifiers(after + 1) if self.is_word(after, ")") else ():
                    yield from self._finish(Ask(NounPhrase(entity, conditions), fields, distinct=distinct), last)

    def _with_their(self, at: int) -> Iterator[Reading[tuple[Item, ...]]]:
        here = self.past(
            at, "with their", "and their", "with its", "and its", "along with their", "with the", "including their",
            ", with their", "together with their", "with their respective", "showing their", "along with the",
        )  # fmt: skip
        if here is not None:
            yield from self._returned(here)

    def _counted_rows(self, found: NounPhrase, at: int) -> Iterator[Reading[Ask]]:
        """orders per city: their number."""
        if found.rank is None and isinstance(found.head, Entity) and found.head.plural:
            for ask, end in self._finish(Ask(None, (Measure("count", of=found),)), at):
                if ask.groups:
                    yield ask, end

    # Items and what follows

    @rule
    def items(self, at: int) -> Iterator[Reading[tuple[Item, ...]]]:
        """Measures and columns in a list."""
        for fields, end in self.fields(at):
            yield from self._more_items(fields, end)
        for measure, end in self.measure(at):
            yield from self._more_items((measure,), end)
        for measures, end in self._shared_field(at):
            if len(measures) > 1:
                yield from self._more_items(measures, end)

    def _shared_field(self, at: int) -> Iterator[Reading[tuple[Measure, ...]]]:
        """minimum, maximum and average price: several aggregates of one column."""
        for func, end in self.phrase(self.determiner(at), AGGREGATES):
            joined = self.past(end, ", and", ",", "and")
            for rest, after in self._shared_field(joined) if joined is not None else ():
                yield (replace(rest[-1], func=func), *rest), after
        for measure, end in self.measure(at):
            if measure.field is not None:
                yield (measure,), end

    def _more_items(self, found: tuple[Item, ...], end: int) -> Iterator[Reading[tuple[Item, ...]]]:
        joined = self.joined(end)
        if joined is not None:
            for rest, after in self.items(joined):
                yield (*found, *rest), after
        yield found, end

    def _finish(self, ask: Ask, at: int) -> Iterator[Reading[Ask]]:
        for tail, end in self._tail(at):
            order = (*ask.order, *tail.order)
            conditions = (*ask.conditions, *tail.conditions)
            groups = (*ask.groups, *tail.groups)
            items = tail.items or ask.items
            returned = bool(tail.items)
            basis = ask.items if returned else ask.basis
            if tail.items and ask.items and not tail.groups and not any(isinstance(i, Measure) for i in tail.items):
                items = (*tail.items, *(i for i in ask.items if isinstance(i, Measure)))
            yield replace(
                ask, items=items, groups=groups, conditions=conditions, order=order,
                distinct=ask.distinct or tail.distinct, returned=returned, basis=basis,
            ), end  # fmt: skip

    @rule
    def _tail(self, at: int) -> Iterator[Reading[Tail]]:
        for groups, end in self.groups(at):
            for rest, after in self._tail(end):
                yield replace(rest, groups=(*groups, *rest.groups)), after
        for order, end in self._order(at):
            for rest, after in self._tail(end):
                yield replace(rest, order=(*order, *rest.order)), after
        for conditions, end in self.modifier(at):
            for rest, after in self._tail(end):
                yield replace(rest, conditions=(*conditions, *rest.conditions)), after
        yield from self._returning(at)
        yield Tail(), at

    @rule
    def groups(self, at: int) -> Iterator[Reading[tuple[Group, ...]]]:
        """per city, by month and category, for each doctor."""
        start = self.skip(at, ",")
        start = self.skip(start, "and") if start > at else start
        if self.is_participle(start) or self.word(start) in HAPPENED:
            yield from self._verbed_group(start)
        for phrase, here in self.phrase(start, GROUPING):
            for found, end in self._group_list(here):
                if phrase == "by" and self._is_agent(found[-1], here):
                    continue
                yield found, end

    def _verbed_group(self, at: int) -> Iterator[Reading[tuple[Group, ...]]]:
        """joined each year, placed per month."""
        verb = None if self.word(at) in HAPPENED else self.word(at)
        for _, here in self.phrase(at + 1, GROUPING):
            for unit, end in self.phrase(here, BUCKETS):
                yield (Bucket(unit, verb=verb),), end

    def _is_agent(self, group: Group, at: int) -> bool:
        """`by customers from India` says whose rows, not how to group them."""
        return (
            isinstance(group, Entity)
            and group.plural
            and any(found.conditions for found, _ in self.linked(at, "parent"))
        )

    def _group_list(self, at: int) -> Iterator[Reading[tuple[Group, ...]]]:
        for group, end in self._group(self.determiner(at)):
            joined = self.past(end, "and by", "and per", "and", ", and", ",")
            if joined is not None:
                for rest, after in self._group_list(joined):
                    yield (group, *rest), after
            yield (group,), end

    def _group(self, at: int) -> Iterator[Reading[Group]]:
        for unit, end in self.phrase(at, BUCKETS):
            if self.is_word(end, "of"):
                for found, after in self.field(end + 1):
                    yield Bucket(unit, found), after
            yield Bucket(unit), end
        yield from self.entity(at)
        yield from self.field_of(at)

    def _order(self, at: int) -> Iterator[Reading[tuple[Order, ...]]]:
        start = self.past(at, ", and", ",", "and") or at
        for phrase, here in self.phrase(start, ORDERING):
            yield from self._order_list(here, descending=phrase.startswith("ranked"))
        for direction, here in self.phrase(start, DIRECTIONS):
            found = self.past(here, "of", "by")
            for by, end in self._order_key(found) if found is not None else ():
                yield (Order(by, descending=direction == "desc"),), end
            yield (Order(None, descending=direction == "desc"),), here

    def _order_list(self, at: int, *, descending: bool) -> Iterator[Reading[tuple[Order, ...]]]:
        for by, end in self._order_key(at):
            here = self.skip(end, ",", "in")
            for direction, after in [*self.phrase(here, DIRECTIONS), *self.phrase(end, DIRECTIONS)]:
                yield from self._more_order(Order(by, descending=direction == "desc"), after)
            yield from self._more_order(Order(by, descending=descending), end)

    def _more_order(self, order: Order, at: int) -> Iterator[Reading[tuple[Order, ...]]]:
        joined = self.past(at, "and then by", "then by", "and then", ", then by", "and by", "and", ",")
        if joined is not None:
            for rest, after in self._order_list(joined, descending=False):
                yield (order, *rest), after
        yield (order,), at

    def _order_key(self, at: int) -> Iterator[Reading[Measure | Field | Bucket]]:
        here = self.determiner(at)
        if self.is_word(here, "count"):
            yield Measure("count"), here + 1
        yield from self.measure(here)
        yield from self.field_of(here)
        for unit, end in self.phrase(here, BUCKETS):
            yield Bucket(unit), end

    def _returning(self, at: int) -> Iterator[Reading[Tail]]:
        """`. Return the name and total amount.`"""
        here = self.past(at, ".", "?", ",", ";") or at
        for _, start in self.phrase(here, RETURNING):
            begin = self.skip(self.determiner(self.skip(start, "only", "me")), "their", "its", "each", "respective")
            distinct = self.is_word(self.determiner(begin), *DISTINCT)
            for items, end in self._returned(self.determiner(begin) + distinct):
                for rest, after in self._tail(end):
                    if not rest.items:
                        yield replace(rest, items=items, distinct=distinct), after

    @rule
    def _returned(self, at: int) -> Iterator[Reading[tuple[Item, ...]]]:
        """As items, and a bare `count`, which counts what the question is about."""
        here = self.skip(self.determiner(at), "total", "their", "respective")
        if self.is_word(here, "count", "counts"):
            yield from self._more_returned((Measure("count"),), here + 1)
        for items, end in self.items(at):
            yield from self._more_returned(items, end)
        for unit, end in self.phrase(self.determiner(at), BUCKETS):
            yield from self._more_returned((Bucket(unit),), self.past(end, "( as a date )", "as a date") or end)

    def _more_returned(self, found: tuple[Item, ...], end: int) -> Iterator[Reading[tuple[Item, ...]]]:
        joined = self.joined(end)
        if joined is not None:
            for rest, after in self._returned(joined):
                yield (*found, *rest), after
        yield found, end
