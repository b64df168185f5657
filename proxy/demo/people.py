"""The demo's people: names in Latin, Devanagari and Tamil script, with e-mail addresses and phone numbers.

Faker's name lists are drawn from once per run, then combined by the demo's own random numbers: a thousand calls
instead of a hundred thousand. The addresses end in domains that are reserved for examples (RFC 2606). American
numbers are of the block 555-01xx, which is kept for fiction; India keeps none, so Indian ones are d0000 ddddd.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from faker import Faker

from proxy.demo.places import (
    AMERICAN_PLACES,
    ENGLISH,
    HINDI,
    INDIA,
    INDIAN_PLACES,
    MARATHI,
    TAMIL,
    UNITED_STATES,
    Place,
)

GENDERS = ("female", "male")
_DOMAINS = ("example.com", "example.org", "example.net", "mail.example.com", "post.example.org")
_AMERICAN_SHARE = 0.3
_POOL_SIZE = 150

_LOCALES = {
    (ENGLISH, INDIA): "en_IN",
    (ENGLISH, UNITED_STATES): "en_US",
    (HINDI, INDIA): "hi_IN",
    (MARATHI, INDIA): "mr_IN",
    (TAMIL, INDIA): "ta_IN",
}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who does not exist. `latin_name` is `name` in Latin letters, for addresses and cards."""

    name: str
    latin_name: str
    gender: str
    language: str
    place: Place


@dataclass(frozen=True, slots=True)
class _Pool:
    """Names of one locale; the given names by gender."""

    given: dict[str, tuple[str, ...]]
    family: tuple[str, ...]


class People:
    """A source of people, the same ones for the same random numbers and the same release of Faker."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._pools = {key: _draw_pool(locale, rng.getrandbits(32)) for key, locale in _LOCALES.items()}

    def person(self, place: Place | None = None) -> Person:
        """Somebody who lives in `place`, or anywhere."""
        rng = self._rng
        if place is None:
            place = rng.choice(AMERICAN_PLACES if rng.random() < _AMERICAN_SHARE else INDIAN_PLACES)
        language = rng.choice(place.languages)
        gender = rng.choice(GENDERS)
        pool = self._pools[language, place.country]
        return make_person((rng.choice(pool.given[gender]), rng.choice(pool.family)), gender, language, place)

    def name_like(self, person: Person) -> str:
        """The full name of a relative or colleague of `person`, in the same script."""
        pool = self._pools[person.language, person.place.country]
        return f"{self._rng.choice(pool.given[self._rng.choice(GENDERS)])} {self._rng.choice(pool.family)}"

    def phone(self, place: Place) -> str:
        if place.country == UNITED_STATES:
            return f"+1 {place.code}-555-{self._rng.randrange(100, 200):04}"
        return f"+91 {self._rng.randrange(6, 10)}0000 {self._rng.randrange(100_000):05}"

    def email(self, person: Person, number: int) -> str:
        """Unique for a `number` that is."""
        local = ".".join(person.latin_name.lower().split())
        return f"{local}{number}@{self._rng.choice(_DOMAINS)}"


def make_person(name: tuple[str, str], gender: str, language: str, place: Place) -> Person:
    """`name` is given and family name, in any of the three scripts."""
    full = " ".join(name)
    return Person(full, " ".join(latin(word) for word in name), gender, language, place)


def _draw_pool(locale: str, seed: int) -> _Pool:
    faker = Faker(locale)
    faker.seed_instance(seed)
    draw = {"female": faker.first_name_female, "male": faker.first_name_male}
    given = {gender: _clean([draw[gender]() for _ in range(_POOL_SIZE)]) for gender in GENDERS}
    return _Pool(given, _clean([faker.last_name() for _ in range(_POOL_SIZE)]))


def _clean(names: list[str]) -> tuple[str, ...]:
    """Distinct words of letters of one script: a few of Faker's begin with a vowel sign, end in a comma, or have
    a Latin letter among Tamil ones."""
    return tuple(dict.fromkeys(name for name in names if _is_word(name) and latin(name)))


def _is_word(name: str) -> bool:
    kinds = [unicodedata.category(c)[0] for c in name]
    one_script = len({c.isascii() for c in name if c.isalpha()}) == 1
    return (
        one_script and kinds[0] == "L" and all(kind in "LM" or c in "'’" for kind, c in zip(kinds, name, strict=True))
    )


# Latin letters for Devanagari and Tamil, read off the characters' own names.


@lru_cache(maxsize=4096)
def latin(word: str) -> str:
    """A readable spelling in ASCII letters, such as Sharma for शर्मा. Not a standard transliteration."""
    spelled = ""
    for character in word:
        spelled = _append_sound(spelled, character)
    # Both languages drop the vowel that the script leaves unwritten at the end of a word.
    if spelled.endswith("a") and unicodedata.category(word[-1]) == "Lo" and len(spelled) > 2:  # noqa: PLR2004
        spelled = spelled[:-1]
    return spelled.capitalize()


def _append_sound(spelled: str, character: str) -> str:
    if character.isascii():
        return spelled + (character if character.isalpha() else "")
    kind, _, sound = unicodedata.name(character, "").partition(" LETTER ")
    if kind in {"DEVANAGARI", "TAMIL"}:
        if (kind, sound) == ("TAMIL", "CA") and spelled[-1:] in {"", *"aeiou"}:
            return spelled + "sa"  # cha is what it sounds like behind a consonant
        return spelled + _SOUNDS.get(sound, sound.lower().replace(" ", ""))
    _, _, vowel = unicodedata.name(character, "").partition(" VOWEL SIGN ")
    if vowel:  # it takes the place of the letter's own a
        return spelled.removesuffix("a") + _SOUNDS.get(vowel, vowel.lower().replace(" ", ""))
    ending = unicodedata.name(character, "").rpartition(" SIGN ")[2]
    if ending in {"VIRAMA", "NUKTA"}:
        return spelled.removesuffix("a") if ending == "VIRAMA" else spelled
    return spelled + ("n" if ending in {"ANUSVARA", "CANDRABINDU"} else "")


_SOUNDS = {
    "AA": "a",
    "II": "i",
    "UU": "u",
    "EE": "e",
    "OO": "o",
    "VOCALIC R": "ri",
    "CANDRA E": "e",
    "CANDRA O": "o",
    "CA": "cha",
    "CHA": "chha",
    "TTA": "ta",
    "TTHA": "tha",
    "DDA": "da",
    "DDHA": "dha",
    "NNA": "na",
    "NNNA": "na",
    "NGA": "na",
    "NYA": "na",
    "SSA": "sha",
    "RRA": "ra",
    "LLA": "la",
    "LLLA": "zha",
}
