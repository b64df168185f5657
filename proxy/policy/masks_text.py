"""The masks of texts: redact, partial, email, phone.

Each lists what may stay visible, so what its author did not think of is hidden. Other types than text read as NULL,
but for `redact`, which also knows JSON. It does not know what a text means: a mask is chosen by the policy.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from proxy.policy.maskbase import (
    HIDDEN,
    LONGEST,
    MaskProblem,
    SqlMask,
    call,
    case,
    literal,
    matches,
    op,
    part,
    replaced,
)
from proxy.policy.masktypes import Family, SqlType

MAX_SHOWN = 64


@dataclass(frozen=True, slots=True)
class Redact(SqlMask):
    """Text becomes `text`, JSON the JSON string of it, everything else NULL. Reveals whether a text or JSON is NULL."""

    text: str = HIDDEN

    name = "redact"

    def __post_init__(self) -> None:
        if "\0" in self.text:
            raise MaskProblem("no value of PostgreSQL holds a null character", parameter="text")

    def _text(self, text: str) -> str:
        return case((f"{text} IS NULL", "NULL"), otherwise=literal(self.text))

    def _other(self, column: str, of: SqlType) -> str | None:
        if of.family is not Family.JSON:
            return None
        return case((f"{column} IS NULL", "NULL"), otherwise=literal(json.dumps(self.text, ensure_ascii=False)))


KEPT = " #()+,./:@_-"
"""What `partial` and `phone` leave where it stands: these twelve, so that 123-45-6789 reads ***-**-6789. A list of
what to hide would have to know every script's letters and digits."""
_HIDE = f"[^{KEPT}]"


@dataclass(frozen=True, slots=True)
class Partial(SqlMask):
    """The first and last characters of a text; the letters, digits and other signs between become `pad`.

    Where nothing would be hidden between them (short texts, or only separators between), everything becomes `pad`.
    Reveals the shown characters, the length and the places of the separators. Other types read as NULL.
    """

    show_first: int = 0
    show_last: int = 4
    pad: str = "*"

    name = "partial"

    def __post_init__(self) -> None:
        for parameter in ("show_first", "show_last"):
            if not 0 <= getattr(self, parameter) <= MAX_SHOWN:
                raise MaskProblem(f"{parameter} must be from 0 to {MAX_SHOWN}", parameter=parameter)
        if len(self.pad) != 1 or not self.pad.isprintable() or self.pad == "\\":
            raise MaskProblem("pad must be one printable character, and not a backslash", 'For example "*".', "pad")

    def _text(self, text: str) -> str:
        middle, shown = text, "{}"
        if self.show_first:
            middle = call("right", middle, str(-self.show_first))
            shown = op(call("left", text, str(self.show_first)), "||", shown)
        if self.show_last:
            middle = call("left", middle, str(-self.show_last))
            shown = op(shown, "||", call("right", text, str(self.show_last)))
        return case(
            (op(call("length", text), ">", str(LONGEST)), literal(self.pad * len(HIDDEN))),
            (matches(middle, _HIDE), shown.format(replaced(middle, _HIDE, self.pad))),
            otherwise=replaced(text, ".", self.pad),
        )


@dataclass(frozen=True, slots=True)
class Email(SqlMask):
    """`ann@corp.example.com` reads `a***@***.com`; what does not look like an address reads `***`.

    Reveals the first character of a local part of two or more, the top-level domain if it is of 2 to 6 ASCII letters,
    and that the value looks like an address. An address has at most 320 characters (RFC 3696, erratum 1690). Other
    types than text read as NULL.
    """

    name = "email"

    def _text(self, text: str) -> str:
        top = part(text, "@[^@ ]+([.][A-Za-z]{2,6})$")
        address = op("'***@***'", "||", f"COALESCE({top}, '')")
        return case(
            (f"{text} IS NULL", "NULL"),
            (op(call("length", text), ">", "320"), f"'{HIDDEN}'"),
            (matches(text, "^[^@ ]{2,}@[^@ ]+$"), op(call("left", text, "1"), "||", address)),
            (matches(text, "^[^@ ]@[^@ ]+$"), address),
            otherwise=f"'{HIDDEN}'",
        )


_COUNTRY_CODES = (
    "1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]"
    "|2[1-689][0-9]|3[578][0-9]|42[0-9]|5[09][0-9]|6[7-9][0-9]|8[035789][0-9]|9[679][0-9]"
)
"""ITU-T E.164, list of country codes: no code begins with another one, so at most one alternative matches."""
_COUNTRY = f"^[+](?:{_COUNTRY_CODES})"
_FIVE_AND_TWO = "(?:.*[0-9]){5}.*[0-9]{2}$"


@dataclass(frozen=True, slots=True)
class Phone(SqlMask):
    """`+91 98765 43210` reads `+91 ***** ***10`: the country code behind a `+`, and the last two digits.

    What does not end in two digits with five more before them, or has over 64 characters, reads `***`. Reveals the
    shown digits, the length and the places of the separators. Other types than text read as NULL.
    """

    name = "phone"

    def _text(self, text: str) -> str:
        last = call("right", text, "2")
        country = part(text, _COUNTRY)
        behind = part(text, f"{_COUNTRY}(.*)..$")
        return case(
            (f"{text} IS NULL", "NULL"),
            (op(call("length", text), ">", "64"), f"'{HIDDEN}'"),
            (
                matches(text, _COUNTRY + _FIVE_AND_TWO),
                op(op(country, "||", replaced(behind, _HIDE, "*")), "||", last),
            ),
            (
                matches(text, "^(?![+])" + _FIVE_AND_TWO),
                op(replaced(call("left", text, "-2"), _HIDE, "*"), "||", last),
            ),
            otherwise=f"'{HIDDEN}'",
        )
