"""Identifiers that have a form: numbers with check digits, addresses of mail and machines, dates of birth.

Each `Rule` is a pattern, a check and the words that make it likelier when they stand near. A match starts with one of
three scores: `checked` where the check digit is right, `plain` where there is none to check or it is wrong. What is
under `THRESHOLD` counts only where one of the context words stands near; the detector sees to that.

A wrong check digit beside a context word still counts: a mistyped Aadhaar number is as private as a right one.
Patterns run on folded text (`spans.fold`): digits of any script are ASCII there. It does not know whether a number was
ever issued, and it leaves alone what an ordinary question is full of: years, amounts, dates, order numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import phonenumbers
import regex

from proxy.privacy import checksums
from proxy.privacy.words import BUSINESS, STOP

THRESHOLD = 0.5
PATTERN_SECONDS = 2.0
"""A pattern that runs longer raises TimeoutError: the question fails, it is not passed on unread."""

_NOT_AFTER = r"(?<![\p{L}\p{M}\p{N}_])"
_NOT_BEFORE = r"(?![\p{L}\p{M}\p{N}_])"
_NO_DIGIT_AFTER = r"(?<![\p{L}\p{N}_]|\p{N}[.,/:-])"
_NO_DIGIT_BEFORE = r"(?![\p{L}\p{N}_]|[.,/:-]\p{N})"
_SEP = r"[ .\-/]?"


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of identifier. `group` names the part of the pattern that is private, "" for all of it.

    `check` reads the match without separators and in capitals, `accept` reads it as it stands: what it refuses is no
    match. `context` are lower-case words, each compared whole.
    """

    type: str
    name: str
    pattern: regex.Pattern[str]
    plain: float
    checked: float = 0.0
    check: Callable[[str], bool] | None = None
    context: tuple[str, ...] = ()
    group: str = ""
    accept: Callable[[str], bool] | None = None


@dataclass(frozen=True, slots=True)
class Match:
    start: int
    end: int
    score: float


def find(rule: Rule, text: str) -> Iterator[Match]:
    """Where `rule` matches in folded `text`. Raises TimeoutError."""
    for match in rule.pattern.finditer(text, timeout=PATTERN_SECONDS):
        start, end = match.span(rule.group or 0)
        if rule.accept is not None and not rule.accept(text[start:end]):
            continue
        good = rule.check is not None and rule.check(compact(match.group(rule.group or 0)))
        score = rule.checked if good else rule.plain
        if score > 0:
            yield Match(start, end, score)


def compact(matched: str) -> str:
    """Letters and digits alone, in capitals."""
    return regex.sub(r"[^\p{L}\p{N}]", "", matched).upper()


def _compile(body: str, *, flags: int = 0) -> regex.Pattern[str]:
    return regex.compile(_NOT_AFTER + body + _NOT_BEFORE, flags)


def _number(body: str) -> regex.Pattern[str]:
    return regex.compile(_NO_DIGIT_AFTER + body + _NO_DIGIT_BEFORE)


_any_case = partial(_compile, flags=regex.IGNORECASE)

_PHONE_WORDS = (
    *("phone", "phones", "mobile", "cell", "telephone", "tel", "call", "contact", "whatsapp", "fax", "number"),
    *("फोन", "फ़ोन", "मोबाइल", "मोबाईल", "दूरभाष", "संपर्क", "नंबर", "दूरध्वनी", "क्रमांक"),
    *("தொலைபேசி", "கைபேசி", "மொபைல்", "எண்", "அலைபேசி"),
)
_AADHAAR_WORDS = ("aadhaar", "aadhar", "adhaar", "adhar", "uid", "uidai", "आधार", "ஆதார்", "ஆதாரின்")
_ACCOUNT_WORDS = ("account", "a/c", "acct", "ac", "bank", "savings", "iban", "खाता", "खाते", "बँक", "बैंक", "கணக்கு", "வங்கி")
_SSN_WORDS = ("ssn", "social", "security", "itin", "ssns")
_ID_WORDS = ("mrn", "uhid", "medical", "record", "abha", "policy", "insurance", "member", "licence", "license")

_STREET = (
    r"(?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|boulevard|blvd|court|ct|place|pl|terrace|way|parkway|pkwy|"
    r"highway|hwy|square|sq|circle|cir|trail|alley|marg|nagar|colony|chowk|vihar|layout|gali|bagh|puram|peth|wadi|"
    r"society|apartments?|enclave|extension|crescent|close|strasse|stra\u00dfe|gasse|rue|via|calle)"
)
_UNIT = r"(?:,?\s+(?:apt|apartment|suite|ste|unit|flat|room|box)\.?[ ]*\#?\p{L}?\d[\p{L}\d-]{0,5})"
_STREET_WORD = r"(?!\d{5})[\p{L}\d][\p{L}\p{M}.'\d-]*"
_STREET_WORDS = rf"(?:[ ]+{_STREET_WORD})"
_REGION = r"(?:,[ ]*\p{Lu}[\p{L}\p{M} ]{2,24}){0,2}(?:,?[ ]*(?:\p{Lu}{2}[ ]+\d{5}(?:-\d{4})?|-?[ ]*\d{6}))?"
_ADDRESS = (
    r"(?:(?:flat|house|plot|door|shop|h\.?|no\.?)[ ]*(?:no\.?)?[ ]*[-#:]?[ ]*)?"
    r"\#?\d{1,5}(?:[-/]\d{1,4})?[A-Za-z]?,?(?:" + _STREET_WORDS + r"{1,4}?[ ]+" + _STREET + r"\b\.?" + _UNIT + r"?"
    r"|[ ]+(?=\p{L})" + _STREET_WORD + _STREET_WORDS + r"{0,4}?"
    r",?\s+(?:apt|apartment|suite|ste)\.?[ ]*\#?[\p{L}]?\d{1,5})" + _REGION
)
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\p{L}*\.?"
_DATE = (
    r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})"
    r"|\d{1,2}(?:st|nd|rd|th)?[ ]" + _MONTH + r",?[ ]\d{4}|" + _MONTH + r"[ ]\d{1,2}(?:st|nd|rd|th)?,?[ ]\d{4})"
)
_BORN = (
    r"(?:date[ _]of[ _]birth|birth[ _]?date|birth[ ]?day|d\.?o\.?b\.?|born|जन्मतिथि|जन्म[ ]तिथि|जन्मदिन|जन्मतारीख|"
    r"जन्म[ ]तारीख|जन्म|பிறந்த[ ](?:தேதி|நாள்)|பிறந்தநாள்)"
)

_PLAIN_STREETS = frozenset(
    {"way", "place", "close", "court", "square", "drive", "circle", "trail", "via", "rue", "st", "dr"}
)


def is_address(matched: str) -> bool:
    """Whether "12 ... Road" reads like an address: no question words in it, no shop words, and capitals where the word
    for the street is an ordinary one ("10 patients by dr")."""
    words = regex.findall(r"\p{L}[\p{L}\p{M}]*", matched)
    lower = [word.lower() for word in words]
    if any(word in STOP or word in BUSINESS - {"street"} for word in lower[:-1]):
        return False
    capitals = any(word[0].isupper() for word in words)
    return capitals or not _PLAIN_STREETS.intersection(lower)


RULES: tuple[Rule, ...] = (
    Rule(
        "EMAIL",
        "email",
        regex.compile(
            r"(?<![\p{L}\p{N}._%+-])[\p{L}\p{M}\p{N}][\p{L}\p{M}\p{N}._%+-]{0,63}@(?:[\p{L}\p{M}\p{N}-]{1,63}\.)+"
            r"[\p{L}\p{M}]{2,24}" + _NOT_BEFORE
        ),
        0.95,
    ),
    Rule(
        "UPI",
        "upi",
        regex.compile(
            r"(?<![\p{L}\p{N}._-])[\p{L}\p{N}][\p{L}\p{N}._-]{1,63}@\p{L}[\p{L}\p{N}]{1,24}(?!\.?[\p{L}\p{N}@_])"
        ),
        0.9,
    ),
    Rule("URL", "url", regex.compile(r"(?i)\b(?:(?:https?|ftp)://|www\.)[^\s<>\"']{3,}[\p{L}\p{N}/]"), 0.9),
    Rule(
        "AADHAAR",
        "aadhaar",
        _number(r"[2-9]\d{3}" + _SEP + r"\d{4}" + _SEP + r"\d{4}"),
        0.3,
        0.85,
        checksums.verhoeff,
        _AADHAAR_WORDS,
    ),
    Rule(
        "AADHAAR",
        "aadhaar_virtual",
        _number(r"\d{4}[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}"),
        0.3,
        context=("vid", *_AADHAAR_WORDS),
    ),
    Rule("AADHAAR", "aadhaar_any", _number(r"\d{4}" + _SEP + r"\d{4}" + _SEP + r"\d{4}"), 0.3, context=_AADHAAR_WORDS),
    Rule("PAN", "pan", _any_case(r"[a-z]{3}[abcfghljpt][a-z]\d{4}[a-z]"), 0.85),
    Rule("PAN", "pan_spaced", _any_case(r"[a-z]{5}[ -]\d{4}[ -][a-z]"), 0.6),
    Rule(
        "GSTIN",
        "gstin",
        _any_case(r"\d{2}[a-z]{5}\d{4}[a-z][a-z\d]z[a-z\d]"),
        0.7,
        0.95,
        checksums.gstin,
    ),
    Rule("IFSC", "ifsc", _any_case(r"[a-z]{4}0[a-z\d]{6}"), 0.4, context=("ifsc", "bank", "branch", "account", "code")),
    Rule(
        "CARD",
        "card",
        _number(r"(?:[2-6]\d{3}[ -]?\d{4}[ -]?\d{4}[ -]?\d{1,7}|3\d{3}[ -]?\d{6}[ -]?\d{4,5})"),
        0.3,
        0.9,
        checksums.luhn,
        ("card", "credit", "debit", "visa", "mastercard", "amex", "rupay", "कार्ड", "அட்டை"),
    ),
    Rule(
        "IBAN",
        "iban",
        _any_case(r"[a-z]{2}\d{2}(?:[ ]?[a-z\d]{4}){2,7}(?:[ ]?[a-z\d]{1,4})?"),
        0.3,
        0.95,
        checksums.iban,
        ("iban", "account", "bank"),
    ),
    Rule("SSN", "ssn_dashed", _number(r"\d{3}-\d{2}-\d{4}"), 0.55, 0.85, checksums.ssn, _SSN_WORDS),
    Rule("SSN", "ssn_bare", _number(r"\d{3}[ .]?\d{2}[ .]?\d{4}"), 0.3, 0.4, checksums.ssn, _SSN_WORDS),
    Rule("NPI", "npi", _number(r"[12]\d{9}"), 0.1, 0.4, checksums.npi, ("npi", "provider", "prescriber")),
    Rule(
        "PHONE",
        "phone_india",
        regex.compile(r"(?<![\p{L}\p{N}_+.-])(?:(?:\+|00)91[ -]?|91[ -]|0)?[6-9]\d{4}[ -]?\d{5}" + _NO_DIGIT_BEFORE),
        0.75,
        context=_PHONE_WORDS,
    ),
    Rule(
        "PHONE",
        "phone_india_grouped",
        regex.compile(r"(?<![\p{L}\p{N}_+.-])(?:(?:\+|00)?91[ -]?|0)?[6-9]\d{2}[ -]\d{3}[ -]\d{4}" + _NO_DIGIT_BEFORE),
        0.75,
    ),
    Rule(
        "PHONE",
        "phone_america",
        regex.compile(
            r"(?<![\p{L}\p{N}_+.-])(?:\+?1[ .-]?)?(?:\([2-9]\d{2}\)[ .-]?|[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]\d{4}"
            r"(?:[ ]?(?:x|ext\.?)[ ]?\d{1,6})?" + _NO_DIGIT_BEFORE
        ),
        0.75,
    ),
    Rule(
        "PHONE",
        "phone_word",
        regex.compile(r"(?<![\p{L}\p{N}_.-])(?:\+\d{1,3}[ -]?)?\(?\d{2,5}\)?(?:[ .-]?\d{2,5}){1,4}" + _NO_DIGIT_BEFORE),
        0.0,
        0.3,
        lambda digits: 7 <= len(digits) <= 15,  # noqa: PLR2004
        _PHONE_WORDS,
    ),
    Rule("ACCOUNT", "account", _number(r"\d{9,18}"), 0.3, context=_ACCOUNT_WORDS),
    Rule(
        "PASSPORT",
        "passport",
        _any_case(r"[a-z]{1,2}[ ]?\d{7,8}|\d{9}"),
        0.3,
        context=("passport", "पासपोर्ट", "பாஸ்போர்ட்"),
    ),
    Rule(
        "VOTER",
        "voter",
        _any_case(r"[a-z]{3}\d{7}"),
        0.4,
        context=("voter", "epic", "election", "मतदाता", "मतदार", "வாக்காளர்"),
    ),
    Rule("VEHICLE", "vehicle", _compile(r"\p{Lu}{2}[ -]?\d{1,2}[ -]?\p{Lu}{1,3}[ -]?\d{4}"), 0.6),
    Rule("LICENCE", "licence_india", _compile(r"\p{Lu}{2}[ -]?\d{2}[ -]?(?:19|20)\d{2}\d{7}"), 0.85),
    Rule(
        "ID",
        "record_number",
        _any_case(r"(?=[a-z\d-]*\d)(?:[a-z]{1,5}-?)?\d[a-z\d]*(?:-[a-z\d]+)*(?<=[a-z\d-]{6,})"),
        0.3,
        context=_ID_WORDS,
    ),
    Rule("ADDRESS", "street", regex.compile(_NO_DIGIT_AFTER + _ADDRESS, regex.IGNORECASE), 0.6, accept=is_address),
    Rule(
        "BIRTHDATE",
        "birth_date",
        regex.compile(
            r"\b" + _BORN + r"(?:[ ]+(?:on|is|was|of|:|=|को|रोजी))?[ ]*[:=]?[ ]*'?(?P<date>" + _DATE + r")",
            regex.IGNORECASE,
        ),
        0.8,
        group="date",
    ),
    Rule(
        "BIRTHDATE",
        "birth_date_before",
        regex.compile(r"(?P<date>" + _DATE + r")[ ]*(?:को|रोजी|அன்று)?[ ]*(?:जन्म|जन्मे|பிறந்த)", regex.IGNORECASE),
        0.8,
        group="date",
    ),
)


def find_phones(text: str) -> Iterator[Match]:
    """Numbers of any country written with its code, and valid ones of India and the US (phonenumbers, metadata 9)."""
    for region in ("IN", "US"):
        for match in phonenumbers.PhoneNumberMatcher(text, region, leniency=phonenumbers.Leniency.VALID):
            raw = match.raw_string
            digits = sum(c.isdigit() for c in raw)
            dated = regex.fullmatch(r"\d{4}-\d{2}-\d{2}.*", raw) is not None
            written_as_phone = raw.lstrip("(").startswith("+") or digits >= 10  # noqa: PLR2004
            if written_as_phone and not dated and raw.count(".") < 3:  # noqa: PLR2004
                yield Match(match.start, match.end, 0.7)
