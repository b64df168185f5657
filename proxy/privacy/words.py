"""Words that are nobody's name: the veto on what lists of names and capital letters suggest.

Three grades. `STOP` are the words that questions are made of: they never belong to a name. Common words (the files
under `data/`) are names only where something else says so: a title, a neighbour that is a name, the database. `PLACES`
are towns, states and countries, `PEOPLES` languages and nationalities: they stay readable in a question unless
something else says so, although lists of names have some of them.

It does not know the schema's own words: callers add those.
"""

from __future__ import annotations

from functools import lru_cache

import regex

from proxy.privacy import vocabulary

_VOCABULARY = vocabulary.read("words")

STOP = _VOCABULARY["stop"]
"""English function words, question words, months and days; lower case."""

STOP_INDIC = _VOCABULARY["stop_indic"]
"""The same in Hindi, Marathi and Tamil, and the nouns that business questions turn on."""

BUSINESS = _VOCABULARY["business"]
"""Words of shops, clinics and offices that general text seldom has."""

CALENDAR = _VOCABULARY["calendar"]
"""Months and days of the week, short forms too."""

PLACES = _VOCABULARY["places"]

PEOPLES = _VOCABULARY["peoples"]
"""Languages, and the words for who comes from where: "English", "Polish", "Indian"."""

_ENDINGS = (("ies", "y"), ("es", ""), ("s", ""), ("ed", ""), ("ed", "e"), ("ing", ""), ("ing", "e"), ("ly", ""))


@lru_cache(maxsize=1)
def _common() -> frozenset[str]:
    return BUSINESS.union(STOP, STOP_INDIC, *(vocabulary.read(n)[""] for n in ("common_en", "common_indic")))


def is_stop(word: str) -> bool:
    """Whether a word (lower case) is one that questions are made of."""
    return word in STOP or word in STOP_INDIC


@lru_cache(maxsize=8192)
def is_common(word: str) -> bool:
    """Whether a word (lower case) is an ordinary word of the language, in this form or without its ending."""
    common = _common()
    if word in common:
        return True
    return any(
        word.endswith(ending) and len(word) - len(ending) > 2 and word[: -len(ending)] + other in common  # noqa: PLR2004
        for ending, other in _ENDINGS
    )


def is_place(word: str) -> bool:
    """Whether a word (lower case) is a well-known town, state or country, or a part of its name."""
    return word in PLACES


def is_people(word: str) -> bool:
    """Whether a word (lower case) is a language or a nationality."""
    return word in PEOPLES


_PARTS = regex.compile(r"[\p{L}\p{M}]+|\p{N}+")


@lru_cache(maxsize=256)
def schema_words(names: frozenset[str]) -> frozenset[str]:
    """Every word of the names of tables and columns, lower case, in the singular and in the plural."""
    words: set[str] = set()
    for name in names:
        parts = [part.lower() for part in _PARTS.findall(name)]
        words.add(name.lower())
        words.update(parts)
        for part in parts:
            words.update(_numbers(part))
    return frozenset(words)


def _numbers(word: str) -> tuple[str, ...]:
    """The singular and the plural that an English noun may have."""
    if word.endswith("ies"):
        return (word[:-3] + "y",)
    if word.endswith("s"):
        return (word[:-1], word[:-2]) if word.endswith("es") else (word[:-1], word + "es")
    if word.endswith("y"):
        return (word[:-1] + "ies", word + "s")
    return (word + "s", word + "es")
