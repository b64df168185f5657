"""The SQL masks: expressions that PostgreSQL evaluates inside a table's masked view.

An expression must be

- total: no value of the column's type makes it raise, because an error is an answer too;
- a function of what it means to reveal and of nothing else: no session setting, no collation, no search_path;
- of the column's own type, so that the masked view has the table's own types.

Hence every function and operator is written with its schema, text is matched under the collation "C" (a class such
as [[:alnum:]] means other letters under other collations, and a nondeterministic one refuses patterns), what may
stay visible is listed instead of what must be hidden, and a type that a mask does not know reads as NULL.

A domain's CHECK or NOT NULL would raise on a masked value, so a column of a domain reads as NULL of that domain,
made in a way that PostgreSQL does not check (a missing array element). The same goes for every other type outside
pg_catalog, except citext, which is text. The result has the default collation, whatever the column's own is.

It does not know whether the server accepts a `constant` as a value of the column's type: `check` looks at that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import TypeAlias

from proxy.policy.masktypes import Family, SqlType, sql_type
from proxy.policy.rules import Mask
from proxy.settings.nearest import nearest

Parameter: TypeAlias = str | int | float | bool | None

LONGEST = 100_000
"""Characters. A pattern on a text of some hundred megabytes raises for want of memory; a longer one is `***`."""
HIDDEN = "***"
MAX_SHOWN = 64


class MaskProblem(ValueError):  # noqa: N818 - what a policy's author reads, not a fault of the program
    """A mask that cannot be built. `parameter` is the key at fault, or None where it is the mask's name or a lack."""

    def __init__(self, message: str, hint: str | None = None, parameter: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.parameter = parameter


def literal(text: str) -> str:
    """A string constant, the same under both settings of standard_conforming_strings."""
    quoted = text.replace("'", "''")
    return f"E'{quoted.replace(chr(92), chr(92) * 2)}'" if "\\" in quoted else f"'{quoted}'"


def _call(function: str, *arguments: str) -> str:
    return f"pg_catalog.{function}({', '.join(arguments)})"


def _op(left: str, operator: str, right: str) -> str:
    return f"{left} OPERATOR(pg_catalog.{operator}) {right}"


def _plain(text: str) -> str:
    """`text` for patterns: under the collation "C", where a character is a character."""
    return f'({text} COLLATE pg_catalog."C")'


def _matches(text: str, pattern: str) -> str:
    return _op(_plain(text), "~", literal(pattern))


def _part(text: str, pattern: str) -> str:
    return _call("substring", _plain(text), literal(pattern))


def _replaced(text: str, pattern: str, replacement: str) -> str:
    """Every match of `pattern` replaced."""
    return _call("regexp_replace", _plain(text), literal(pattern), literal(replacement), "'g'")


def _case(*branches: tuple[str, str], otherwise: str) -> str:
    """Evaluated in order, so a guard keeps the branches behind it from what they could not take."""
    return "CASE " + " ".join(f"WHEN {test} THEN {value}" for test, value in branches) + f" ELSE {otherwise} END"


# The masks.


class SqlMask(Mask):
    """What the SQL masks share. A subclass says what it makes of text and of times; the rest reads as NULL."""

    def expression(self, column: str, type_name: str) -> str:
        """SQL for the masked value of the column `column` (a quoted reference), of type `type_name`.

        Raises ValueError if `type_name` is no type's name.
        """
        of = sql_type(type_name)
        masked = self._text(of.text(column)) if of.family is Family.TEXT else self._other(column, of)
        return of.null() if masked is None else of.cast(masked)

    def _text(self, text: str) -> str | None:  # noqa: ARG002 - a subclass reads it
        """SQL over a text expression, or None for NULL."""
        return None

    def _other(self, column: str, of: SqlType) -> str | None:  # noqa: ARG002 - a subclass reads them
        """SQL over a column of another type, to be cast to that type, or None for NULL."""
        return None


@dataclass(frozen=True, slots=True)
class Null(SqlMask):
    """NULL of the column's type. Reveals nothing."""

    name = "null"


@dataclass(frozen=True, slots=True)
class Constant(SqlMask):
    """The same value in every row, NULL or not. Reveals nothing."""

    value: str

    name = "constant"

    def __post_init__(self) -> None:
        if "\0" in self.value:
            raise MaskProblem("no value of PostgreSQL holds a null character", parameter="value")

    def expression(self, column: str, type_name: str) -> str:  # noqa: ARG002 - it reads no column
        of = sql_type(type_name)
        if of.family is Family.BOOLEAN and self.value.lower() in _BOOLEANS:
            # As a string it deparses to a bare true, which parses to another tree.
            return of.cast(_BOOLEANS[self.value.lower()])
        return of.cast(literal(self.value))


_BOOLEANS = {"true": "TRUE", "t": "TRUE", "false": "FALSE", "f": "FALSE"}


@dataclass(frozen=True, slots=True)
class Redact(SqlMask):
    """Text becomes `text`, everything else NULL. Reveals whether the value is NULL, for text."""

    text: str = HIDDEN

    name = "redact"

    def __post_init__(self) -> None:
        if "\0" in self.text:
            raise MaskProblem("no value of PostgreSQL holds a null character", parameter="text")

    def _text(self, text: str) -> str:
        return _case((f"{text} IS NULL", "NULL"), otherwise=literal(self.text))


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
            middle = _call("right", middle, str(-self.show_first))
            shown = _op(_call("left", text, str(self.show_first)), "||", shown)
        if self.show_last:
            middle = _call("left", middle, str(-self.show_last))
            shown = _op(shown, "||", _call("right", text, str(self.show_last)))
        return _case(
            (_op(_call("length", text), ">", str(LONGEST)), literal(self.pad * len(HIDDEN))),
            (_matches(middle, _HIDE), shown.format(_replaced(middle, _HIDE, self.pad))),
            otherwise=_replaced(text, ".", self.pad),
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
        top = _part(text, "@[^@ ]+([.][A-Za-z]{2,6})$")
        address = _op("'***@***'", "||", f"COALESCE({top}, '')")
        return _case(
            (f"{text} IS NULL", "NULL"),
            (_op(_call("length", text), ">", "320"), f"'{HIDDEN}'"),
            (_matches(text, "^[^@ ]{2,}@[^@ ]+$"), _op(_call("left", text, "1"), "||", address)),
            (_matches(text, "^[^@ ]@[^@ ]+$"), address),
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
        last = _call("right", text, "2")
        country = _part(text, _COUNTRY)
        behind = _part(text, f"{_COUNTRY}(.*)..$")
        return _case(
            (f"{text} IS NULL", "NULL"),
            (_op(_call("length", text), ">", "64"), f"'{HIDDEN}'"),
            (
                _matches(text, _COUNTRY + _FIVE_AND_TWO),
                _op(_op(country, "||", _replaced(behind, _HIDE, "*")), "||", last),
            ),
            (
                _matches(text, "^(?![+])" + _FIVE_AND_TWO),
                _op(_replaced(_call("left", text, "-2"), _HIDE, "*"), "||", last),
            ),
            otherwise=f"'{HIDDEN}'",
        )


@dataclass(frozen=True, slots=True)
class Year(SqlMask):
    """A date or timestamp becomes the first of January of its year; of its year in UTC, with a time zone.

    infinity stays. In 4713 BC, where the types begin, it is their first day, 24 November. Reveals the year. Other
    types read as NULL.
    """

    name = "year"

    def _other(self, column: str, of: SqlType) -> str | None:
        if of.family is Family.DATE:
            year = f"CAST({_call('extract', literal('year'), column)} AS integer)"
            return self._guarded(column, "pg_catalog.date", _call("make_date", year, "1", "1"))
        if of.family is Family.TIMESTAMP:
            return self._guarded(column, of.base, _call("date_trunc", "'year'", column))
        if of.family is Family.TIMESTAMPTZ:
            in_utc = _call("date_trunc", "'year'", _call("timezone", "'UTC'", column))
            return self._guarded(column, of.base, _call("timezone", "'UTC'", in_utc))
        return None

    @staticmethod
    def _guarded(column: str, of: str, truncated: str) -> str:
        """`make_date` takes no infinity; 1 January 4713 BC is before the first day that the types have."""
        zone = "+00" if of == "timestamp with time zone" else ""
        clock = "" if of == "pg_catalog.date" else f" 00:00:00{zone}"
        second_year = f"CAST('4712-01-01{clock} BC' AS {of})"
        first_day = f"CAST('4713-11-24{clock} BC' AS {of})"
        return _case(
            (f"NOT {_call('isfinite', column)}", column),
            (_op(column, "<", second_year), first_day),
            otherwise=truncated,
        )


MASKS: Mapping[str, type[SqlMask]] = {m.name: m for m in (Null, Constant, Redact, Partial, Email, Phone, Year)}
PLANNED_MASKS = frozenset(
    {"month", "bucket", "round", "hash", "lookup", "sql", "token", "fpe", "encrypt", "redact_text"}
)
"""Names that mean something and are not there yet: refused with that hint, not as misspellings."""

_TYPES: Mapping[str, tuple[type, ...]] = {"str": (str, int, float, bool), "int": (int,)}
_WORDS = {"str": "a text or a number", "int": "a whole number"}


def build_mask(name: str, params: Mapping[str, Parameter]) -> SqlMask:
    """The mask that a rule names, with the parameters of its `with`.

    Raises MaskProblem: an unknown mask or parameter, a parameter of the wrong type, out of range, or missing.
    """
    made = MASKS.get(name)
    if made is None:
        if name in PLANNED_MASKS:
            raise MaskProblem(f"the mask {name} is not implemented yet", f"There is: {', '.join(sorted(MASKS))}.")
        raise MaskProblem(f"unknown mask {name!r}{nearest(name, MASKS)}")
    arguments = {key: _argument(made, key, value) for key, value in params.items()}
    lacking = [f.name for f in fields(made) if f.default is MISSING and f.name not in arguments]  # type: ignore[arg-type]
    if lacking:
        raise MaskProblem(f"the mask {name} needs {lacking[0]}", f"Write `with: {{{lacking[0]}: ...}}`.")
    return made(**arguments)


def _argument(mask: type[SqlMask], key: str, value: Parameter) -> str | int:
    kinds = {f.name: str(f.type) for f in fields(mask)}  # type: ignore[arg-type]
    if not kinds:
        raise MaskProblem(f"the mask {mask.name} takes no parameters", "Leave out `with`.", key)
    if key not in kinds:
        raise MaskProblem(f"unknown parameter {key!r} of the mask {mask.name}{nearest(key, kinds)}", None, key)
    if value is None:
        raise MaskProblem(f"{key} of the mask {mask.name} is null", "The mask for NULL is `null`.", key)
    wanted = _TYPES[kinds[key]]
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        raise MaskProblem(f"{key} of the mask {mask.name} must be {_WORDS[kinds[key]]}", None, key)
    if kinds[key] == "int":
        return int(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
