"""A text cut into words, as the finder of names reads them: what stands between them, and what hangs on them.

Possessive endings ("Asha's", "the Raos'") and honorific ones ("Asha-ji") are cut off and noted. A word that touches a
digit or a sign of an address is none: it belongs to an identifier. It knows no vocabulary beyond the
veto's common words.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import regex

from proxy.privacy.words import is_common

_WORD = regex.compile(r"(?<![\p{N}@/\\#])\p{L}[\p{L}\p{M}]*+(?:['\-]\p{L}[\p{L}\p{M}]*+)*+(?![\p{N}@])")
_POSSESSIVE = regex.compile(r"(?<=.)'(?:s|S)$")
_HONOURED = regex.compile(r"-(?:ji|bhai|ben|saheb|sahab|san)$", regex.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Word:
    """One word: `gap` is what stands between it and the word before."""

    text: str = field(repr=False)
    start: int
    end: int
    gap: str = field(repr=False)
    possessive: bool
    honoured: bool

    @property
    def lower(self) -> str:
        return self.text.lower()

    @property
    def is_initial(self) -> bool:
        return len(self.text) == 1 and self.text.isupper()

    @property
    def has_case(self) -> bool:
        return self.text[0].isupper() or self.text[0].islower()


def cut(text: str) -> list[Word]:
    """The words of a folded text; possessive and honorific endings are cut off and noted."""
    words: list[Word] = []
    for match in _WORD.finditer(text):
        body = match.group()
        possessive = _POSSESSIVE.search(body)
        body = body[: possessive.start()] if possessive else body
        honoured = _HONOURED.search(body)
        body = body[: honoured.start()] if honoured else body
        plural = text[match.end() : match.end() + 1] == "'" and body.endswith("s") and match.start() > 0
        gap = text[words[-1].end : match.start()] if words else text[: match.start()]
        end = match.start() + len(body)
        quoted = gap.endswith(("'", '"'))
        words.append(Word(body, match.start(), end, gap, bool(possessive) or (plural and not quoted), bool(honoured)))
    return words


def is_shouted(words: list[Word]) -> bool:
    """Whether capitals say nothing: all of the text is in capitals, or ordinary words are capitalised too."""
    cased = [word for word in words if word.has_case and len(word.text) > 1]
    if len(cased) < 3:  # noqa: PLR2004
        return False
    if all(word.text.isupper() for word in cased):
        return True
    capitalised = [word for word in cased[1:] if word.text[0].isupper()]
    ordinary = [word for word in capitalised if is_common(word.lower)]
    return len(capitalised) == len(cased) - 1 and len(ordinary) >= 2  # noqa: PLR2004
