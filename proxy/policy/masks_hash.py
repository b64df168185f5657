"""The mask hash, and what else is made of a hexadecimal hash: the floor's keyed tokens.

Both keep equality: equal values read alike, so that counts and joins work. `hash` has no key, so whoever can guess a
value can confirm the guess; a token's key is known to a function of the database only.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.policy.maskbase import MaskProblem, SqlMask, call, case, cast, op
from proxy.policy.masktypes import Family, SqlType, sql_type

HASH_LENGTH = 64
TOKEN_LENGTH = 24
TOKEN_PREFIX = "tok_"  # noqa: S105 - what stands before a token, and no secret

_BITS = {"integer": (8, 31), "bigint": (15, 60)}
"""Hexadecimal digits to read, and bits to keep of them: a number that is not negative. smallint has too few."""


def _canonical(column: str, of: SqlType) -> str | None:
    """The text of a value that is the same for equal values under every setting, or None where there is none."""
    if of.family is Family.TEXT:
        return of.text(column)
    if of.family is Family.UUID or (of.base in _BITS and of.family is Family.INTEGER):
        return cast(column, "pg_catalog.text")
    return None


def _from_hex(digits: str, of: SqlType) -> str:
    """A value of a type that `_canonical` knows and that is no text."""
    if of.family is Family.UUID:
        return cast(call("left", digits, "32"), "pg_catalog.uuid")
    read, keep = _BITS[of.base]
    bits = op("'x'", "||", call("left", digits, str(read)))
    return cast(cast(f"({bits})", f"bit({keep})"), of.sql)


@dataclass(frozen=True, slots=True)
class Hash(SqlMask):
    """SHA-256 of the value's text, without a key: `length` hexadecimal digits for text; a uuid or a number from 0 made
    of it for uuid, integer (31 bits) and bigint (60 bits). Reveals which values are equal, and every value that can be
    guessed. Other types read as NULL."""

    length: int = HASH_LENGTH

    name = "hash"

    def __post_init__(self) -> None:
        if not 1 <= self.length <= HASH_LENGTH:
            raise MaskProblem(f"length must be from 1 to {HASH_LENGTH}", parameter="length")

    def _text(self, text: str) -> str:
        digits = _sha256(text)
        return digits if self.length == HASH_LENGTH else call("left", digits, str(self.length))

    def _other(self, column: str, of: SqlType) -> str | None:
        text = _canonical(column, of)
        return None if text is None else _from_hex(_sha256(text), of)


def _sha256(text: str) -> str:
    """In the database's own encoding: only that conversion takes every text."""
    return call("encode", call("sha256", call("convert_to", text, call("getdatabaseencoding"))), "'hex'")


def token_expression(column: str, type_name: str, function: str) -> str:
    """SQL of the column's own type that stands for its value: equal for equal values, and nothing else to be seen.

    Text becomes `tok_` and 24 hexadecimal digits (cut where the type is shorter), uuid, integer and bigint a value made
    of the digits; NULL stays NULL, and every other type reads as NULL.

    Args:
        column: a quoted reference.
        type_name: as format_type calls it.
        function: the qualified, quoted name of a function of one text that gives at least 32 hexadecimal digits.

    Raises ValueError if `type_name` is no type's name.
    """
    of = sql_type(type_name)
    text = _canonical(column, of)
    if text is None:
        return of.null()
    digits = f"{function}({text})"
    if of.family is Family.TEXT:
        token = op(f"'{TOKEN_PREFIX}'", "||", call("left", digits, str(TOKEN_LENGTH)))
    else:
        token = _from_hex(digits, of)
    return of.cast(case((f"{column} IS NULL", "NULL"), otherwise=token))
