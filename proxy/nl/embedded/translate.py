"""The embedded translator: a question in English to one SELECT, without a model.

    tokens -> values looked up -> readings of the grammar -> names decided -> query -> SQL

Every stage but the look-up is pure. The first reading that the schema can make sense of is taken; where a name in it
has two equally good meanings, or no reading accounts for every word, the answer is an error that says where.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Set
from datetime import date

from proxy.errors import NotUnderstoodError, PgveilError, UnanswerableError
from proxy.nl.embedded.grammar import Grammar
from proxy.nl.embedded.joins import Graph
from proxy.nl.embedded.linking import Linker
from proxy.nl.embedded.names import Lexicon
from proxy.nl.embedded.phrases import KNOWN_WORDS
from proxy.nl.embedded.problems import NoFitError
from proxy.nl.embedded.resolve import Resolver
from proxy.nl.embedded.sql import render
from proxy.nl.embedded.tokens import Kind, Token, tokenize
from proxy.nl.embedded.values import Local, ValueHit, ValueLookup, Values, candidates
from proxy.nl.embedded.words import singulars
from proxy.nl.ports import ColumnKey, Said
from proxy.nl.schema import SchemaView

MAX_QUESTION = 1000
MAX_READINGS = 60
FORMS = (
    "list, filter, count, sum, average, minimum, maximum, per group, top N, and date ranges, as in: "
    "total amount of payments per customer since 2024"
)


async def translate(
    question: str,
    schema: SchemaView,
    today: date,
    lookup: ValueLookup,
    placeholders: Mapping[str, ColumnKey | None] | None = None,
    local: Local | None = None,
) -> str:
    """The SQL for a masked question. `placeholders`: each one in it, with its column where that is known.

    `local` is what they stand for, where that may be known here. Then a placeholder is a value like any other: looked
    up, and refused where no column holds it, in the user's own words. The SQL has the placeholder all the same.

    Raises NotUnderstoodError (VA001) with what it did not understand, UnanswerableError (VA002) where the role's
    masks stand in the way. The work between the look-ups runs in a thread: it is CPU-bound, some milliseconds.
    """
    hints = dict(placeholders or {})
    tokens = tokenize(_checked(question), hints.keys())
    local = local or Local()
    wanted = candidates(question, tokens, local.said)
    hits = [*(await lookup.find(wanted) if wanted else []), *await local.find(question, tokens)]
    said = local.said
    return await asyncio.to_thread(to_sql, question, schema, today, hits, hints, said)


def to_sql(
    question: str,
    schema: SchemaView,
    today: date,
    hits: Iterable[ValueHit] = (),
    placeholders: Mapping[str, ColumnKey | None] | None = None,
    said: Mapping[str, Said] | None = None,
) -> str:
    """The pure part of `translate`: everything after the look-up."""
    try:
        return _to_sql(question, schema, today, Values(schema, hits, said), dict(placeholders or {}))
    except (NotUnderstoodError, UnanswerableError) as error:
        if said:
            raise _in_own_words(error, said) from None
        raise


def _in_own_words(error: NotUnderstoodError | UnanswerableError, said: Mapping[str, Said]) -> PgveilError:
    """The error with the words that the user typed where it quotes a placeholder."""

    def own(text: str | None) -> str | None:
        for token, known in said.items():
            text = text and text.replace(token, known.words)
        return text

    message = own(error.message) or error.message
    kind = UnanswerableError if isinstance(error, UnanswerableError) else NotUnderstoodError
    return kind(message, detail=own(error.detail), hint=own(error.hint))


def _to_sql(question: str, schema: SchemaView, today: date, values: Values, hints: dict[str, ColumnKey | None]) -> str:
    tokens = tokenize(_checked(question), hints.keys())
    if not schema.tables:
        raise NotUnderstoodError("the question is not understood", detail="This role may read no table.")
    lexicon = Lexicon(schema)
    graph = Graph(schema, lexicon)
    grammar = Grammar(question, tokens, lexicon, values, hints, today)
    resolver = Resolver(Linker(schema, lexicon, graph))
    first: NoFitError | None = None
    for count, ask in enumerate(grammar.readings()):
        try:
            return render(resolver.resolve(ask))
        except NoFitError as error:
            first = first or error
        if count >= MAX_READINGS:
            break
    if grammar.notes:
        detail, hint = grammar.notes[0]
        raise NotUnderstoodError("the question is not understood", detail=detail, hint=hint)
    if first is not None:
        raise NotUnderstoodError(first.message, detail=first.detail, hint=first.hint or f"Understood are: {FORMS}.")
    raise _unread(tokens, grammar.far, lexicon, grammar.values)


def _checked(question: str) -> str:
    if not question.strip():
        raise NotUnderstoodError("the question is empty", hint=f"Understood are: {FORMS}.")
    if len(question) > MAX_QUESTION:
        raise NotUnderstoodError(
            "the question is too long",
            detail=f"It has {len(question)} characters; at most {MAX_QUESTION} are read.",
            hint="Ask for one thing at a time.",
        )
    return question


def _unread(tokens: tuple[Token, ...], far: int, lexicon: Lexicon, values: Values) -> NotUnderstoodError:
    """What stopped the grammar: the first word that no reading got past."""
    known = KNOWN_WORDS | {w for n in lexicon.known_words() for w in singulars(n)}
    strange = [i for i, t in enumerate(tokens) if t.kind is Kind.WORD and not _is_known(t, known, values)]
    if strange:
        far = strange[0]
    if far >= len(tokens):
        detail = f'The question ends too early, after "{_shown(tokens[-1])}".'
        return NotUnderstoodError("the question is not understood", detail=detail, hint=f"Understood are: {FORMS}.")
    token = tokens[far]
    detail = f'Not understood: "{_shown(token)}", word {far + 1} of {len(tokens)}.'
    near = lexicon.nearest(token.text) if token.kind is Kind.WORD else []
    tables = ", ".join(sorted(t.name for t in lexicon.schema.tables)[:12])
    hint = f"Names that begin alike: {', '.join(near)}." if near else f"Tables: {tables}. Understood are: {FORMS}."
    return NotUnderstoodError("the question is not understood", detail=detail, hint=hint)


def _is_known(token: Token, known: Set[str], values: Values) -> bool:
    return bool(values.of(token.raw)) or any(s in known for w in (token.text, *token.parts) for s in singulars(w))


def _shown(token: Token) -> str:
    return token.raw
