"""Names of people as the faker package lists them, and the forms that they take in a sentence.

The lists of India, the United States and Great Britain (MIT) count by themselves: Latin, Devanagari and Tamil script.
So does a list of our own of Indian names that those lack. Those of the rest of the world, the far lists, hold more
names and more words that are none; they count for less. All of faker's are read from the installed package when first
used; nothing of them is copied here. Marathi and Tamil join case endings to a name ("आशाचे", "ரமேஷின்"); `stems` undoes
that, as a guess to be looked up, never as a finding by itself.

It does not know which words of the lists are ordinary words too: `privacy.words` vetoes.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import regex

from proxy.privacy import vocabulary
from proxy.privacy.spans import fold

_NEAR = ("en_IN", "en_US", "en_GB", "hi_IN", "mr_IN", "ta_IN")
_SCRIPTS = regex.compile(r"[\p{Latin}\p{Devanagari}\p{Tamil}']+")
_WORD = regex.compile(r"[\p{L}\p{M}']{2,}")

_MARATHI_ENDINGS = (
    *("ांच्या", "ांचा", "ांची", "ांचे", "ांना", "ांनी", "ांशी"),
    *("च्या", "चा", "ची", "चे", "ला", "ने", "नी", "शी", "ना", "कडे", "साठी", "हून"),
)
_HINDI_ENDINGS = ("का", "की", "के", "को", "से")
_TAMIL_ENDINGS = (
    *("ினுடைய", "ினிடம்", "ிற்காக", "ிற்கு", "ுக்காக", "ுக்கு", "ுடைய", "ிடம்", "ுடன்", "ின்", "ால்", "ை"),
    *("வினுடைய", "வினிடம்", "விற்கு", "வுக்கு", "வுடைய", "விடம்", "வுடன்", "வின்", "வால்", "வை"),
    *("யினுடைய", "யினிடம்", "யிற்கு", "யிடம்", "யுடைய", "யுடன்", "யின்", "யால்", "யை", "க்கு", "க்காக"),
)
_VIRAMA = "\u0bcd"


@dataclass(frozen=True, slots=True)
class Gazetteer:
    """First and last names, folded and in lower case. `far_first` and `far_last` are those of the far lists alone."""

    first: frozenset[str]
    last: frozenset[str]
    far_first: frozenset[str]
    far_last: frozenset[str]

    def base(self, word: str) -> str | None:
        """The listed name that `word` (lower case) is, or is a form of; None where it is neither. Near lists."""
        if word in self.first or word in self.last:
            return word
        return next((stem for stem in stems(word) if stem in self.first or stem in self.last), None)

    def is_far(self, word: str) -> bool:
        """Whether a far list has `word` (lower case)."""
        return word in self.far_first or word in self.far_last


@lru_cache(maxsize=1)
def load() -> Gazetteer:
    """The lists, read once. Takes about a second."""
    first, last = _read(_NEAR)
    ours = vocabulary.read("names_in")
    first, last = first | ours["first"], last | ours["last"]
    everywhere = importlib.import_module("faker.providers.person").__path__
    far_first, far_last = _read(module.name for module in pkgutil.iter_modules(everywhere))
    ambiguous = vocabulary.read("ambiguous_en")[""]
    near = first | last
    return Gazetteer(first, last, far_first - near - ambiguous, far_last - near - ambiguous)


def _read(locales: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """(first names, last names) of faker's `locales`; those without such lists give none."""
    first: set[str] = set()
    last: set[str] = set()
    for locale in locales:
        provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
        first.update(_words(getattr(provider, "first_names", ())))
        last.update(_words(getattr(provider, "last_names", ())))
    return frozenset(first), frozenset(last)


def _words(names: object) -> Iterator[str]:
    for name in names if isinstance(names, (tuple, list, dict)) else ():
        yield from (word.lower() for word in _WORD.findall(fold(str(name)).text) if _SCRIPTS.fullmatch(word))


@lru_cache(maxsize=4096)
def stems(word: str) -> tuple[str, ...]:
    """What `word` may be without a case ending: Marathi, Hindi and Tamil; () for other scripts and short words."""
    if "\u0900" <= word[:1] <= "\u097f":
        endings: tuple[str, ...] = _MARATHI_ENDINGS + _HINDI_ENDINGS
        return tuple(word[: -len(e)] for e in endings if word.endswith(e) and len(word) - len(e) > 1)
    if "\u0b80" <= word[:1] <= "\u0bff":
        cut = [(word[: -len(e)], e) for e in _TAMIL_ENDINGS if word.endswith(e) and len(word) - len(e) > 1]
        joined = (stem if _is_whole(stem, ending) else stem + _VIRAMA for stem, ending in cut)
        return tuple(dict.fromkeys(joined))
    return ()


def _is_whole(stem: str, ending: str) -> bool:
    """Whether the ending was put behind a vowel (with a glide), so that nothing was lost of the stem."""
    return ending[0] in "வயக" or stem.endswith(_VIRAMA)
