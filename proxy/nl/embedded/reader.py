"""The ground that the grammar stands on: reading single words, names, values and lists at a place in the question.

A rule takes the index of a token and gives every reading that begins there, best first, each with the index after it.
Results are kept per rule and place, so trying readings stays cheap; a budget of rule runs bounds the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from proxy.errors import NotUnderstoodError
from proxy.nl.embedded.dates import DateReader, Found
from proxy.nl.embedded.names import MAX_NAME_WORDS, Lexicon
from proxy.nl.embedded.phrases import DETERMINERS, LIST_JOINS, NAME_TAILS, NAME_WORDS, POSSESSIVES
from proxy.nl.embedded.syntax import Entity, Field, Value
from proxy.nl.embedded.tokens import Kind, Token
from proxy.nl.embedded.values import MARKS, MAX_TOKENS, Values, may_be_value
from proxy.nl.embedded.words import IRREGULAR_PARTICIPLES, NEUTRAL_VERBS, singulars
from proxy.nl.ports import ColumnKey

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound="Reader")
Reading = tuple[T, int]

BUDGET = 60_000
MAX_READINGS = 40
"""Readings kept for one rule at one place."""


def rule(function: Callable[Concatenate[S, P], Iterator[Reading[T]]]) -> Callable[Concatenate[S, P], list[Reading[T]]]:
    """A rule whose readings are kept, each once."""

    @wraps(function)
    def run(self: S, /, *args: P.args, **kwargs: P.kwargs) -> list[Reading[T]]:
        return self.kept((function.__name__, args), lambda: function(self, *args, **kwargs))

    return run


class Reader:
    """The tokens of one question with everything needed to read them. `far` is the furthest token understood."""

    def __init__(
        self,
        question: str,
        tokens: tuple[Token, ...],
        lexicon: Lexicon,
        values: Values,
        hints: Mapping[str, ColumnKey | None],
        today: date,
    ) -> None:
        self.question = question
        self.tokens = tokens
        self.lexicon = lexicon
        self.values = values
        self.hints = hints
        self.dates = DateReader(tokens, today)
        self.far = 0
        self.notes: list[tuple[str, str]] = []
        self._memo: dict[tuple[str, tuple[object, ...]], list[Reading[object]]] = {}
        self._spent = 0

    def kept(
        self, key: tuple[str, tuple[object, ...]], produce: Callable[[], Iterator[Reading[T]]]
    ) -> list[Reading[T]]:
        """The readings under `key`, produced at most once; while they are, the rule gives none at the same place."""
        if key not in self._memo:
            self._spent += 1
            if self._spent > BUDGET:
                raise NotUnderstoodError(
                    "the question is too long to be understood", hint="Ask for one thing at a time."
                )
            self._memo[key] = []
            found: list[Reading[T]] = []
            for reading in produce():
                if reading not in found:
                    found.append(reading)
                    if len(found) >= MAX_READINGS:
                        break
            self._memo[key] = found  # type: ignore[assignment]
            for _, end in found:
                self.far = max(self.far, end)
        return self._memo[key]  # type: ignore[return-value]

    def note(self, detail: str, hint: str) -> None:
        """Why a reading that nearly fits is not taken; said where no other one fits."""
        self.notes.append((detail, hint))

    # Words

    def word(self, at: int) -> str:
        """The word or sign at a place, lower case; empty for values and past the end."""
        if 0 <= at < len(self.tokens) and self.tokens[at].kind in {Kind.WORD, Kind.SIGN}:
            return self.tokens[at].text
        return ""

    def is_word(self, at: int, *words: str) -> bool:
        return self.word(at) in words

    def kind(self, at: int) -> Kind | None:
        return self.tokens[at].kind if 0 <= at < len(self.tokens) else None

    def phrase(self, at: int, phrases: Mapping[tuple[str, ...], T]) -> Iterator[Reading[T]]:
        """Every phrase of a table that stands here, longest first."""
        longest = max(map(len, phrases))
        for length in range(min(longest, len(self.tokens) - at), 0, -1):
            words = tuple(self.word(at + i) for i in range(length))
            if words in phrases:
                self.far = max(self.far, at + length)
                yield phrases[words], at + length

    def is_participle(self, at: int) -> bool:
        """made, placed, prescribed: what can stand between two nouns."""
        word = self.word(at)
        return word in NEUTRAL_VERBS or word in IRREGULAR_PARTICIPLES or (len(word) > 4 and word.endswith("ed"))  # noqa: PLR2004

    def past(self, at: int, *phrases: str) -> int | None:
        """The index after one of the phrases, the first that stands here."""
        for phrase in phrases:
            words = phrase.split()
            if all(self.word(at + i) == w for i, w in enumerate(words)):
                self.far = max(self.far, at + len(words))
                return at + len(words)
        return None

    def skip(self, at: int, *words: str) -> int:
        """Past one of the words, where it stands here."""
        return at + 1 if self.word(at) in words else at

    def determiner(self, at: int) -> int:
        while self.word(at) in DETERMINERS and not self._is_grade(at):
            at += 1
        return at

    def _is_grade(self, at: int) -> bool:
        """The letter of `A+`."""
        return self.word(at + 1) in MARKS and self.tokens[at + 1].start == self.tokens[at].end

    # Names

    @rule
    def entity(self, at: int) -> Iterator[Reading[Entity]]:
        """A table by its name, longest name first."""
        at = self.determiner(at)
        for words, end in self._spans(at):
            targets = self.lexicon.tables(words)
            if targets:
                yield Entity(self.text(at, end), targets, plural=len(singulars(words[-1])) > 1), end

    @rule
    def plain_field(self, at: int) -> Iterator[Reading[Field]]:
        """A column by its name alone, longest name first."""
        at = self.determiner(at)
        for words, end in self._spans(at):
            targets = self.lexicon.columns(words)
            if targets:
                if self.word(end) in NAME_TAILS and not self.tokens[at].glued:
                    yield Field(self.text(at, end), targets), end + 1
                yield Field(self.text(at, end), targets), end
            elif len(words) == 1 and words[0] in NAME_WORDS:
                yield Field(self.text(at, end), ()), end

    @rule
    def field(self, at: int) -> Iterator[Reading[Field]]:
        """A column, with or without its table: name, customer name, the customer's name, customer ID."""
        start = at
        at = self.skip(self.determiner(at), *POSSESSIVES)
        whole = self.plain_field(at)
        for owner, after in self.entity(at):
            here = self.skip(after, "'s")
            if self.word(here) in {"id", "ids", "identifier", "identifiers"}:
                yield Field(self.text(start, here + 1), (), owner, key=True), here + 1
        yield from whole
        for owner, after in self.entity(at):
            here = self.skip(after, "'s")
            for found, end in self.plain_field(here) if here > at else ():
                verbal = here == after and end == here + 1 and self.is_participle(here)
                if self.determiner(here) == here and not verbal:
                    yield Field(self.text(start, end), found.targets, owner), end
        if self.word(at) in {"id", "ids", "identifier"} and not whole:
            yield Field(self.word(at), (), None, key=True), at + 1

    @rule
    def field_of(self, at: int) -> Iterator[Reading[Field]]:
        """As `field`, or `name of the customer`."""
        for found, end in self.field(at):
            if found.owner is None and self.is_word(end, "of"):
                for owner, after in self.entity(end + 1):
                    yield Field(found.text, found.targets, owner, found.key), after
            yield found, end

    @rule
    def fields(self, at: int) -> Iterator[Reading[tuple[Field, ...]]]:
        """One or more columns: a, b and c; first and last name."""
        for pair, end in self._shared_head(at):
            yield from self._more_fields(pair, end)
        for found, end in self.field(at):
            yield from self._more_fields((found,), end)

    def _more_fields(self, found: tuple[Field, ...], end: int) -> Iterator[Reading[tuple[Field, ...]]]:
        joined = self.joined(end)
        if joined is not None:
            for more, after in self.fields(joined):
                yield (*found, *more), after
        yield found, end

    def _shared_head(self, at: int) -> Iterator[Reading[tuple[Field, ...]]]:
        """`first and last name`: the first word takes the second phrase's last one."""
        at = self.skip(self.determiner(at), *POSSESSIVES)
        if not self.is_word(at + 1, "and", "or") or self.kind(at) is not Kind.WORD:
            return
        for second, end in self.plain_field(at + 2):
            head = self.tokens[end - 1].parts
            targets = self.lexicon.columns((*self.tokens[at].parts, *head)) if end - at > 3 else ()  # noqa: PLR2004
            if targets:
                yield (Field(f"{self.word(at)} {self.word(end - 1)}", targets), second), end

    def joined(self, at: int) -> int | None:
        """Past the `,` or `and` between members of a list."""
        return next((end for _, end in self.phrase(at, LIST_JOINS)), None)

    def _spans(self, at: int) -> Iterator[tuple[tuple[str, ...], int]]:
        """The words from here, longest run first."""
        end = at
        while end < len(self.tokens) and end - at < MAX_NAME_WORDS and self._may_name(end):
            end += 1
        while end > at:
            words = tuple(w for t in self.tokens[at:end] for w in (t.parts or (t.text,)))
            if words:
                yield words, end
            end -= 1

    def _may_name(self, at: int) -> bool:
        return self.tokens[at].kind is Kind.WORD or (
            self.tokens[at].kind is Kind.NUMBER and self.tokens[at].raw == self.tokens[at].text
        )

    def text(self, start: int, end: int) -> str:
        """The question's own text from one token to before another."""
        return self.question[self.tokens[start].start : self.tokens[end - 1].end]

    # Values

    @rule
    def value(self, at: int) -> Iterator[Reading[Value]]:
        """A marked value, a number, or a phrase that some column holds; longest first."""
        if at >= len(self.tokens):
            return
        token = self.tokens[at]
        if token.kind is Kind.STRING:
            yield self._marked(token.text), at + 1
            return
        yield from self._held(at)
        if token.kind is Kind.PLACEHOLDER:
            yield self._marked(token.text, quoted=token.text not in self.values.said), at + 1
        elif token.kind is Kind.NUMBER:
            yield Value(token.text, number=True), at + 1

    def _held(self, at: int) -> Iterator[Reading[Value]]:
        for end in range(min(at + MAX_TOKENS, len(self.tokens)), at, -1):
            span = self.tokens[at:end]
            if not may_be_value(span):
                continue
            if any(t.kind is Kind.PLACEHOLDER for t in span):
                found = self._marked(self.text(at, end), quoted=False)
                if found.hits and len(span) > 1:
                    yield found, end
                continue
            hits = self.values.of(self.text(at, end))
            if hits:
                yield Value(self.text(at, end), hits), end

    def _marked(self, text: str, *, quoted: bool = True) -> Value:
        """A value in quotes or with placeholders in it, which are parts of their own."""
        tokens = sorted((t for t in self.hints if t in text), key=text.index)
        if not tokens:
            return Value(text, self.values.of(text), quoted=quoted)
        found, folded = self.values.of_masked(text)
        hits = dict(found)
        hint = self.hints.get(text)
        if hint is not None:
            hits[hint] = (text,)
        parts = tuple(p for p in re.split("(" + "|".join(map(re.escape, tokens)) + ")", text) if p)
        return Value(text, hits, quoted=quoted, placeholder=True, parts=parts, folded=folded - {hint})

    def value_list(self, at: int, *joins: str) -> Iterator[Reading[tuple[Value, ...]]]:
        """One or more values: a; a or b; a, b or c."""
        for first, end in self.value(at):
            here = self.skip(end, ",")
            here = here + 1 if self.is_word(here, *joins) else here
            if here > end:
                for more, after in self.value_list(self.determiner(here), *joins):
                    if not more[0].number or first.number:
                        yield (first, *more), after
            yield (first,), end

    def number(self, at: int) -> Iterator[Reading[Value]]:
        if self.kind(at) is Kind.NUMBER:
            yield Value(self.tokens[at].text, number=True), at + 1

    def period(self, at: int) -> Found | None:
        found = self.dates.period(at)
        if found is not None:
            self.far = max(self.far, found[1])
        return found
