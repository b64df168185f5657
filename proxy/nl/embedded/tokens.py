"""A question cut into tokens: words, numbers, dates, quoted values, placeholders and signs.

Positions are kept, so that an error can quote the client's own words. Nothing is dropped: what no later stage
accounts for makes the question refused. It does not know the schema.
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass
from enum import StrEnum

from proxy.nl.embedded.words import FUNCTION_WORDS, NUMBER_WORDS, is_word_char, split_identifier


class Kind(StrEnum):
    WORD = "word"
    NUMBER = "number"
    DATE = "date"
    STRING = "quoted value"
    PLACEHOLDER = "placeholder"
    SIGN = "sign"


@dataclass(frozen=True, slots=True)
class Token:
    """`text` is lower case for words; the value for quoted strings; digits for numbers. `start` counts from 0.

    `parts` are the words inside an identifier-like word: `order_date` has two. `raw` is the text as written.
    """

    kind: Kind
    text: str
    raw: str
    start: int
    end: int
    parts: tuple[str, ...] = ()

    @property
    def glued(self) -> bool:
        """Written as an identifier: with an underscore, or in camel case."""
        return len(self.parts) > 1


def is_function_word(token: Token) -> bool:
    """A word of grammar, not a value; `US` and `IT` in capitals may be values."""
    return token.text in FUNCTION_WORDS and not (token.raw.isupper() and len(token.raw) > 1)


_ISO_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}(?![\w-])|\d{4}/\d{1,2}/\d{1,2}(?![\w/])", re.ASCII)
_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\w])|\d+(?:\.\d+)?(?![\w])", re.ASCII)
_QUOTES = {"'": "'", '"': '"', "`": "`", "‘": "’", "“": "”", "«": "»"}
_SIGNS = ("<=", ">=", "<>", "!=", "≤", "≥", "≠")
_CURRENCY = "$€£₹"


def tokenize(question: str, placeholders: Set[str] = frozenset()) -> tuple[Token, ...]:
    """Every token of the question, in order. A word that equals a placeholder is one."""
    tokens: list[Token] = []
    at = 0
    while at < len(question):
        if question[at].isspace():
            at += 1
            continue
        token = _next(question, at, placeholders)
        tokens.append(token)
        at = token.end
    return tuple(tokens)


def _next(question: str, at: int, placeholders: Set[str]) -> Token:  # noqa: PLR0911
    for placeholder in placeholders:
        if question.startswith(placeholder, at) and not _goes_on(question, at + len(placeholder)):
            return _token(Kind.PLACEHOLDER, placeholder, question, at, at + len(placeholder))
    quoted = _quoted(question, at)
    if quoted is not None:
        return quoted
    if match := _ISO_DATE.match(question, at):
        return _token(Kind.DATE, match.group().replace("/", "-"), question, at, match.end())
    if question[at] in _CURRENCY and (match := _NUMBER.match(question, at + 1)):
        return _token(Kind.NUMBER, match.group().replace(",", ""), question, at, match.end())
    if match := _NUMBER.match(question, at):
        return _token(Kind.NUMBER, match.group().replace(",", ""), question, at, match.end())
    if question[at : at + 2].lower() in {"'s", "’s"} and not _goes_on(question, at + 2):
        return _token(Kind.SIGN, "'s", question, at, at + 2)
    if question[at] in "'’" and at > 0 and question[at - 1] == "s":
        return _token(Kind.SIGN, "'s", question, at, at + 1)
    if is_word_char(question[at]):
        return _word(question, at)
    for sign in _SIGNS:
        if question.startswith(sign, at):
            return _token(Kind.SIGN, sign, question, at, at + len(sign))
    return _token(Kind.SIGN, question[at], question, at, at + 1)


def _word(question: str, at: int) -> Token:
    end = at
    while end < len(question) and (is_word_char(question[end]) or _joins(question, end)):
        end += 1
    raw = question[at:end]
    text = raw.lower().replace("’", "'")
    if text in NUMBER_WORDS:
        return _token(Kind.NUMBER, NUMBER_WORDS[text], question, at, end)
    return Token(Kind.WORD, text, raw, at, end, split_identifier(raw) or (text,))


def _joins(question: str, at: int) -> bool:
    """A hyphen or a contraction's apostrophe between letters: `e-mail`, `haven't`; never a possessive."""
    inside = 0 < at < len(question) - 1 and is_word_char(question[at - 1]) and is_word_char(question[at + 1])
    if not inside:
        return False
    return question[at] == "-" or (question[at] in "'’" and question[at - 1 : at + 2].lower() in {"n't", "n’t"})


def _goes_on(question: str, at: int) -> bool:
    return at < len(question) and is_word_char(question[at])


def _quoted(question: str, at: int) -> Token | None:
    closing = _QUOTES.get(question[at])
    if closing is None or (at > 0 and is_word_char(question[at - 1])):
        return None
    end = at + 1
    while end < len(question):
        if question[end] == closing:
            if question[end + 1 : end + 2] == closing:
                end += 2
                continue
            if not _goes_on(question, end + 1):
                value = question[at + 1 : end].replace(closing * 2, closing)
                return Token(Kind.STRING, value, question[at : end + 1], at, end + 1) if value else None
        end += 1
    return None


def _token(kind: Kind, text: str, question: str, start: int, end: int) -> Token:
    return Token(kind, text, question[start:end], start, end)
