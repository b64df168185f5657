"""Placeholders: what stands in a masked text for a private value, and the vault that knows which stands for which.

`PERSON_7K2QX` is a type, a tag of four characters and a check character. The tag is drawn with a random key of the
vault's own (HMAC-SHA-256), so equal values have equal placeholders within a question and nothing in common across
questions. The check character is a weighted sum modulo 29 over type and tag: no single wrong character and no two
swapped neighbours pass. The alphabet has no 0, 1, I, L, O, U or Y; every tag has a letter and a digit, so no word and
no number is one. All have the same length behind their type, and no type ends with another: none contains another.

Looking one up is exact once case and separators are normalised; there is no nearest match. What looks like a
placeholder and is none of the vault's is `suspicious`: in a model's answer that is an error, in a user's own text it
is masked like a private value, so that no one can smuggle in a placeholder.

The vault lives as long as its question and is never written anywhere. It does not know SQL: where a placeholder may
stand in a statement is the agent's to decide.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import regex

from proxy.errors import PlaceholderError
from proxy.privacy.spans import EXACT, LOOKALIKE, PART, TYPES, ColumnKey, Span, resolve

ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTVWXZ"
TAG_LENGTH: Final = 4
_MODULUS: Final = len(ALPHABET)  # 29, a prime: every weight below it has an inverse
_ALL_TYPES = "|".join(sorted(TYPES, key=lambda t: (-len(t), t)))
_SEPARATOR = r"(?:\\?[_\-\p{Pd}]|[ \u00a0])?"
_SHAPE = regex.compile(
    rf"(?<![\p{{L}}\p{{M}}\p{{N}}_])(?P<type>{_ALL_TYPES})(?P<gap>{_SEPARATOR})(?P<tag>[\p{{L}}\p{{N}}]{{3,7}})"
    r"(?![\p{L}\p{M}\p{N}_])",
    regex.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Secret:
    """What a placeholder stands for. Its repr and str carry no value.

    `value` is the user's own spelling (a name without its case ending). `column` is the private column that holds it,
    where one does; `whole` says that the column holds exactly this and not a longer name with this word in it.
    `stored` is the column's spelling: for a role that may read the column, and nobody else.
    """

    value: str = field(repr=False)
    type: str
    column: ColumnKey | None = None
    whole: bool = False
    stored: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Hint:
    """What a model may know of a placeholder: its type and where it is from, never the value."""

    placeholder: str
    type: str
    column: ColumnKey | None
    whole: bool


class Vault:
    """The placeholders of one question. Not shared between questions; not thread-safe."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key or secrets.token_bytes(32)
        self._secrets: dict[str, Secret] = {}
        self._tokens: dict[tuple[str, str], str] = {}

    def __repr__(self) -> str:
        return f"<Vault of {len(self._secrets)}>"

    def __len__(self) -> int:
        return len(self._secrets)

    def mask(self, text: str, spans: Iterable[Span], known: frozenset[str] = frozenset()) -> str:
        """`text` with every span replaced. Overlapping spans are settled first, and covered whole.

        What looks like a placeholder in `text` is replaced too; `known` are names of the schema, lower case, which
        are none.
        """
        forged = (Span(start, end, "TEXT", 1.0, LOOKALIKE) for start, end in self.suspicious(text, known))
        ours = (Span(start, end, "TEXT", 1.0, LOOKALIKE) for start, end, _ in self.find(text))
        pieces: list[str] = []
        position = 0
        for span in resolve(text, [*spans, *forged, *ours]):
            pieces += (text[position : span.start], self.add(_secret(text, span)))
            position = span.end
        return "".join([*pieces, text[position:]])

    def add(self, secret: Secret) -> str:
        """The placeholder of `secret`: the one that it has, or a new one. Equal values: case and spacing apart."""
        if secret.type not in TYPES:
            raise PlaceholderError(f"no placeholder can have the type {secret.type}")
        same = " ".join(secret.value.casefold().split())
        token = self._tokens.get((secret.type, same))
        if token is None:
            token = self._draw(secret.type, same)
            self._tokens[secret.type, same] = token
            self._secrets[token] = secret
        elif self._secrets[token].column is None and secret.column is not None:
            self._secrets[token] = secret
        return token

    def lookup(self, token: str) -> Secret | None:
        """The secret behind `token`, written in any case and with any one separator; None where it is none of ours."""
        match = _SHAPE.fullmatch(token.strip())
        return self._secrets.get(_normal(match)) if match else None

    def find(self, text: str) -> list[tuple[int, int, str]]:
        """(start, end, placeholder) of each of this vault's placeholders in `text`, in order."""
        found = ((m.start(), m.end(), _normal(m)) for m in _SHAPE.finditer(text, overlapped=True))
        return [(start, end, token) for start, end, token in found if token in self._secrets]

    def suspicious(self, text: str, known: frozenset[str] = frozenset()) -> list[tuple[int, int]]:
        """(start, end) of what looks like a placeholder and is not this vault's.

        That is: the right form with a right check character, a slip away from one of ours, or written like one
        (capitals, an underscore, a digit). `known` are names of the schema, lower case, which are never meant.
        """
        found: list[tuple[int, int]] = []
        for match in _SHAPE.finditer(text, overlapped=True):
            if _normal(match) not in self._secrets and match.group().lower() not in known and self._resembles(match):
                found.append((match.start(), match.end()))
        return found + [m.span() for m in _NUMBERED.finditer(text) if m.group().lower() not in known]

    def hints(self) -> tuple[Hint, ...]:
        """What a model may be told of each placeholder, in the order they were made."""
        return tuple(Hint(token, s.type, s.column, s.whole) for token, s in self._secrets.items())

    def _resembles(self, match: regex.Match[str]) -> bool:
        kind, tag = match["type"].upper(), match["tag"].upper()
        separated = match["gap"].strip("\\ \u00a0") != ""
        mixed = any(c.isdigit() for c in tag) and any(c.isalpha() for c in tag)
        if mixed and is_wellformed(kind, tag):
            return True
        if separated and mixed and match.group().isupper() and match.group().isascii():
            return True
        return any(_is_slip(tag, token.rpartition("_")[2]) for token in self._secrets)

    def _draw(self, kind: str, same: str) -> str:
        for attempt in range(1000):
            message = f"{kind}\0{same}\0{attempt}".encode()
            number = int.from_bytes(hmac.digest(self._key, message, hashlib.sha256))
            tag = ""
            for _ in range(TAG_LENGTH):
                number, remainder = divmod(number, _MODULUS)
                tag += ALPHABET[remainder]
            token = f"{kind}_{tag}{check_character(kind, tag)}"
            mixed = any(c.isdigit() for c in tag) and any(c.isalpha() for c in tag)
            if mixed and not any(_is_slip(token[-5:], other[-5:]) for other in self._secrets):
                return token
        raise PlaceholderError("too many private values in one question", hint="Ask about fewer at a time.")


_NUMBERED = regex.compile(
    rf"(?<![\p{{L}}\p{{M}}\p{{N}}_])(?:{_ALL_TYPES})_(?:\d{{1,4}}|[A-Z]?\d{{1,2}})(?![\p{{L}}\p{{M}}\p{{N}}_])"
)
"""Placeholders of other people's making, such as PERSON_1: a model that invents one must not go unnoticed."""


def check_character(kind: str, tag: str) -> str:
    """The character that makes the weighted sum over type and tag a multiple of 29."""
    return ALPHABET[-_sum(kind, tag) % _MODULUS]


def is_wellformed(kind: str, tag: str) -> bool:
    """Whether `tag` (capitals, check character included) is one that some vault could have made for the type."""
    if len(tag) != TAG_LENGTH + 1 or any(c not in ALPHABET for c in tag):
        return False
    return check_character(kind, tag[:-1]) == tag[-1]


def _sum(kind: str, tag: str) -> int:
    seed = sum(place * ord(character) for place, character in enumerate(kind, start=1))
    return seed + sum((place + 2) * ALPHABET.index(character) for place, character in enumerate(tag))


def _normal(match: regex.Match[str]) -> str:
    return f"{match['type'].upper()}_{match['tag'].upper()}"


def _is_slip(tag: str, other: str) -> bool:
    """Whether the two are equal, or one wrong, missing or added character or one swap apart."""
    if abs(len(tag) - len(other)) > 1:
        return False
    if len(tag) == len(other):
        wrong = [i for i, (a, b) in enumerate(zip(tag, other, strict=True)) if a != b]
        swapped = len(wrong) == 2 and wrong[1] == wrong[0] + 1 and tag[wrong[0]] == other[wrong[1]]  # noqa: PLR2004
        return len(wrong) <= 1 or (swapped and tag[wrong[1]] == other[wrong[0]])
    longer, shorter = (tag, other) if len(tag) > len(other) else (other, tag)
    return any(longer[:i] + longer[i + 1 :] == shorter for i in range(len(longer)))


def _secret(text: str, span: Span) -> Secret:
    value = span.value if span.value is not None else text[span.start : span.end]
    column = span.column if span.source in {EXACT, PART} else None
    return Secret(value, span.type, column, whole=span.source == EXACT, stored=span.stored)
