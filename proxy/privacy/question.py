"""A question with its private values replaced by placeholders: what the agent and its model get to see.

In order: names of the schema are never private; values of private columns are looked up in the database; identifiers,
cues and names are found in the text by the detector. What they say is settled, every other place where a found value
stands is found too, and each is replaced.

If a step fails, the question fails (AskError): there is no half-masked question. It does not know SQL, providers or
what the answer will hold.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import regex

from proxy.errors import AskError, PgveilError
from proxy.ops.log import get_logger
from proxy.policy.private import PrivateColumn
from proxy.privacy.placeholders import Vault
from proxy.privacy.spans import EXACT, PART, REPEAT, Span, fold, resolve
from proxy.privacy.values import Fetch, find_values
from proxy.privacy.words import is_stop, schema_words

_GLUED = regex.compile(r"[_%\d][\w%]*")

MAX_CHARACTERS = 4000
"""Of a question. What is longer is refused, not cut."""
LOOKUP_SECONDS = 30.0

_log = get_logger("privacy")


class DetectsPrivate(Protocol):
    """`privacy.pool.DetectorPool`, or a stand-in."""

    async def detect(self, text: str, schema_names: frozenset[str] = ...) -> Sequence[Span]: ...


@dataclass(frozen=True, slots=True)
class MaskedQuestion:
    """`text` holds no private value that was found; `vault` knows what its placeholders stand for."""

    text: str
    vault: Vault = field(repr=False)


class QuestionMasker:
    """Masks questions. One for all sessions."""

    def __init__(self, detector: DetectsPrivate, fetch: Fetch, *, lookup_seconds: float = LOOKUP_SECONDS) -> None:
        self._detector = detector
        self._fetch = fetch
        self._lookup_seconds = lookup_seconds

    async def mask(
        self,
        text: str,
        schema_names: frozenset[str] = frozenset(),
        private_columns: Sequence[PrivateColumn] = (),
    ) -> MaskedQuestion:
        """`text` with every private value replaced. Raises AskError where it could not be read whole."""
        if len(text) > MAX_CHARACTERS:
            raise AskError("the question is too long", hint=f"A question has at most {MAX_CHARACTERS} characters.")
        known = schema_words(schema_names)
        exact = await self._look_up(text, known, private_columns)
        found = await self._detector.detect(text, schema_names)
        return await asyncio.to_thread(_masked, text, [*exact, *found], known)

    async def _look_up(self, text: str, known: frozenset[str], columns: Sequence[PrivateColumn]) -> list[Span]:
        try:
            async with asyncio.timeout(self._lookup_seconds):
                return await find_values(text, known, columns, self._fetch)
        except PgveilError:
            raise
        except Exception as error:  # a question that was not looked up is not passed on, whatever failed
            _log.error(
                "the private values could not be looked up",
                error_type=type(error).__name__,
                sqlstate=getattr(error, "sqlstate", None),
            )
            raise AskError(
                "the question could not be compared with the private values of the database",
                hint="Nothing was sent to a model. Try again, or write the SQL yourself.",
            ) from None


def _masked(text: str, spans: Sequence[Span], known: frozenset[str]) -> MaskedQuestion:
    vault = Vault()
    return MaskedQuestion(vault.mask(text, settle(text, spans), known), vault)


def settle(text: str, spans: Sequence[Span]) -> tuple[Span, ...]:
    """Spans that do not overlap, with every repetition of a found value, one type per value."""
    spans = [_to_its_end(text, span) for span in spans]
    settled = resolve(text, _merged(spans))
    repeated = [*settled, *_repeats(text, settled)]
    return _one_type(text, [_with_column(span, spans) for span in resolve(text, repeated)])


def _to_its_end(text: str, span: Span) -> Span:
    """The span with what is glued to its end, as in `O'Neill_100%`: half a word beside a placeholder would tell the
    rest, and the placeholder could not be told from it."""
    glued = _GLUED.match(text, span.end)
    if glued is None:
        return span
    return replace(span, end=glued.end(), column=None, value=None, stored=None)


def _with_column(span: Span, spans: Sequence[Span]) -> Span:
    """A longer name with the column that holds one of its words, where only one does."""
    inside = {s.column for s in spans if s.source == PART and span.start <= s.start and s.end <= span.end}
    column = inside.pop() if len(inside) == 1 else None
    if column is None or span.column is not None or span.type != "PERSON":
        return span
    return replace(span, column=column, source=PART)


def _merged(spans: Sequence[Span]) -> list[Span]:
    """Spans of one place as one: the database's column with the type that the text itself shows.

    A column that the role may not read gives no type (VALUE); a cue or an identifier may. Where columns of several
    types hold the value, a column of names goes first.
    """
    places: dict[tuple[int, int], list[Span]] = {}
    for span in spans:
        places.setdefault((span.start, span.end), []).append(span)
    merged: list[Span] = []
    for group in places.values():
        kinds = [s.type for s in group if s.type not in {"VALUE", "TEXT"}]
        columns = sorted({s.column for s in group if s.column is not None and s.source == EXACT}) or sorted(
            {s.column for s in group if s.column is not None}
        )
        best = min(group, key=lambda s: (s.source != EXACT, s.source != PART, s.type == "VALUE", -s.score))
        kind = best.type if best.type != "VALUE" or not kinds else kinds[0]
        if any(s.type == "PERSON" and s.source in {EXACT, PART} for s in group):
            kind = "PERSON"
        column = columns[0] if len(columns) == 1 else None
        merged.append(replace(best, type=kind, column=column, stored=best.stored if column else None))
    return merged


def _repeats(text: str, spans: Sequence[Span]) -> list[Span]:
    """Other places where the words of a found value stand: letter case apart, unless they are question words too."""
    found: list[Span] = []
    for span in {text[s.start : s.end].casefold(): s for s in spans if s.length > 2}.values():  # noqa: PLR2004
        words = regex.escape(text[span.start : span.end])
        pattern = rf"(?<![\p{{L}}\p{{M}}\p{{N}}]){words}(?![\p{{L}}\p{{M}}\p{{N}}])"
        flags = 0 if is_stop(text[span.start : span.end].lower()) else regex.IGNORECASE
        for match in regex.finditer(pattern, text, flags):
            if match.start() != span.start:
                found.append(replace(span, start=match.start(), end=match.end(), source=REPEAT))
    return found


def _one_type(text: str, spans: Sequence[Span]) -> tuple[Span, ...]:
    """The first type that a value was found with, for all its places: one value, one placeholder."""
    kinds: dict[str, str] = {}
    for span in spans:
        value = fold(text[span.start : span.end]).text.casefold()
        if kinds.get(value, "VALUE") == "VALUE":
            kinds[value] = span.type
    return tuple(replace(s, type=kinds[fold(text[s.start : s.end]).text.casefold()]) for s in spans)


__all__ = ["DetectsPrivate", "MaskedQuestion", "QuestionMasker", "settle"]
