"""The private columns of the database, and the statements that ask which words of a question they hold.

A column's type says whether it is read at all, and its name what its values are likely to be: names of people, which
are also met word by word, or identifiers, which are compared without separators. All names in the statements are
quoted or qualified; values only ever go as parameters.

It does not know which columns are private (the policy does) nor how a question is cut (`privacy.values` does).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import regex

from proxy.policy.private import PrivateColumn

MAX_ARMS = 40
"""Columns asked in one statement, or nearly."""
MIN_NUMBER_DIGITS = 9
"""Digits that a number has to have to be looked up in a numeric column: fewer are amounts, years and counts."""


_NUMBERS = frozenset({"smallint", "integer", "bigint", "numeric", "oid"})
_UNREAD = frozenset(
    {
        *("boolean", "bytea", "json", "jsonb", "xml", "date", "interval", "real", "double precision", "money", "bit"),
        *("point", "line", "lseg", "box", "path", "polygon", "circle", "tsvector", "tsquery", "bit varying"),
    }
)


def _base_type(type_name: str) -> str:
    return type_name.split("(", 1)[0].strip().removesuffix("[]")


def is_read(column: PrivateColumn) -> bool:
    """Whether the column's type is one whose values are looked up: text-like, identifiers, unknown types, not dates."""
    base = _base_type(column.type_name)
    return base not in _UNREAD and not base.startswith(("timestamp", "time", "bit", "interval"))


_NAME_COLUMN = regex.compile(
    r"name|person|people|patient|customer|client|employee|doctor|contact|owner|author|user|guardian|nominee|spouse|"
    r"father|mother|physician|holder|recipient|signed|assignee|member|staff|manager|नाम|नाव|பெயர்"
)
"""Anywhere in the name: what is taken for a column of names by mistake costs a look-up, what is missed a name."""
_OTHER_COLUMN = regex.compile(
    r"_(?:e?mails?|(?:tele)?phones?|mobiles?|address(?:es)?|streets?|notes?|comments?|descriptions?|urls?|numbers?|"
    r"hash(?:es)?)_|\p{L}(?:email|phone)_|_(?:id|no)_$"
)
_PERSON_COLUMN = regex.compile(r"(?<!_(?:street|road))_(?:\p{L}*(?:names?|holders?|owners?)|नाम|नाव|பெயர்)_$")
"""Its last part says that it holds people's names, whatever comes before: `card_holder`, `mailing_name`."""

_CAMEL = regex.compile(r"(?<=[\p{Ll}\p{N}])(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})")
_PART = regex.compile(r"[\p{L}\p{M}]+")


@lru_cache(maxsize=4096)
def _parts(name: str) -> str:
    """A column's name as `_part_part_`, lower case: split at anything but letters, and where camelCase is."""
    return f"_{'_'.join(_PART.findall(_CAMEL.sub('_', name))).lower()}_"


def holds_names(column: PrivateColumn) -> bool:
    """Whether single words of the column's values are looked for: its name says that people's names are in it."""
    if column.type_name.endswith("[]") or _base_type(column.type_name) in _NUMBERS | {"uuid", "inet", "cidr"}:
        return False
    parts = _parts(column.column)
    if _PERSON_COLUMN.search(parts) is not None:
        return True
    return _NAME_COLUMN.search(parts) is not None and _OTHER_COLUMN.search(parts) is None


def match_queries(columns: Sequence[PrivateColumn]) -> list[str]:
    """Statements that give (index of the column, whole, text) for each candidate that a column holds.

    The parameters, all text[]: $1 pieces as typed, in lower case; $2 compact forms; $3 compact forms of
    `MIN_NUMBER_DIGITS` digits or more and nothing else; $4 words of names, in lower case. $5, integer: the longest
    of them, so that long texts need not be read.
    """
    arms: list[str] = []
    for index, column in enumerate(columns):
        if is_read(column):
            arms.append(_whole_arm(index, column))
        if is_read(column) and holds_names(column):
            arms.append(_word_arm(index, column))
    return [" UNION ALL ".join([_TYPES_ARM, *arms[i : i + MAX_ARMS]]) for i in range(0, len(arms), MAX_ARMS)]


_TYPES_ARM = (
    "SELECT 0, true, '' WHERE coalesce($1::text[], $2::text[], $3::text[], $4::text[]) IS NULL AND $5::integer < 0"
)
"""No rows; it gives the parameters their types where a statement does not use them all."""


def _source(column: PrivateColumn) -> tuple[str, str]:
    """(FROM clause, the value as text)."""
    table = f"{quote_identifier(column.schema)}.{quote_identifier(column.table)} AS t"
    value = f"t.{quote_identifier(column.column)}"
    if column.type_name.endswith("[]"):
        return f"{table} CROSS JOIN LATERAL pg_catalog.unnest({value}) AS u(v)", "u.v::text"
    return table, f"{value}::text"


def _whole_arm(index: int, column: PrivateColumn) -> str:
    table, value = _source(column)
    if _base_type(column.type_name) in _NUMBERS:
        test = f"{value} = ANY ($3)"
    else:
        test = f"pg_catalog.lower({value}) = ANY ($1)"
        if not holds_names(column) and type_of(column) != "EMAIL":
            compacted = f"pg_catalog.translate(pg_catalog.lower({value}), {_SEPARATORS}, '')"
            test = f"({test} OR {compacted} = ANY ($2))"
        test = f"pg_catalog.length({value}) <= $5 AND {test}"
    return f"SELECT DISTINCT {index}, true, {value} FROM {table} WHERE {test}"


_SEPARATORS = "' -./()+,_:'"
"""What an identifier may be stored with: translate's cost grows with this list."""


def _word_arm(index: int, column: PrivateColumn) -> str:
    table, value = _source(column)
    return (
        f"SELECT DISTINCT {index}, false, w FROM {table} "
        f"CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.string_to_array(pg_catalog.lower({value}), ' ')) AS s(w) "
        f"WHERE pg_catalog.length({value}) <= 80 AND w = ANY ($4)"
    )


def quote_identifier(name: str) -> str:
    """PostgreSQL manual, 4.1.1: a quote inside a quoted identifier is written twice."""
    return '"' + name.replace('"', '""') + '"'


_TYPE_WORDS: tuple[tuple[str, str], ...] = (
    (r"e?mails?|e?mailid|\p{L}*email(?:address|addr|id)?", "EMAIL"),
    (r"\p{L}*phones?|(?:tele|mobile)?phone(?:no|num|number)|mobiles?|mobile(?:no|num|number)", "PHONE"),
    ("whatsapp|tel|cell|fax", "PHONE"),
    (r"aadha?ar(?:no|num|number)?", "AADHAAR"),
    ("ssn|social_sec(?:urity)?", "SSN"),
    ("pan_?(?:no|num|number|card)", "PAN"),
    ("gstin", "GSTIN"),
    ("(?:credit|debit)?cards?|card(?:no|num|number)|cc", "CARD"),
    ("iban", "IBAN"),
    ("ifsc", "IFSC"),
    ("upi|upiid|vpa", "UPI"),
    ("passports?|passport(?:no|num|number)", "PASSPORT"),
    ("voters?|voterid|epic", "VOTER"),
    ("npi", "NPI"),
    ("accounts?|acct|acc(?:oun)?t(?:no|num|number)", "ACCOUNT"),
    ("ip|ipaddr|ipaddress", "IP"),
    ("(?:[^_]+)?address(?:es)?|addr|streets?|pin_?codes?|zip|zip_?codes?|postcodes?|postal_?codes?", "ADDRESS"),
    ("birthdays?|birth_?(?:date|day|year)|birth|date_?of_?birth|dob", "BIRTHDATE"),
    ("urls?|websites?", "URL"),
    ("licen[cs]es?", "LICENCE"),
)
"""What the parts of a column's name say of its values; the first that fits counts."""
_ENDINGS: tuple[tuple[str, str], ...] = (("pan", "PAN"), ("id|mrn|no|number|code|uuid", "ID"))
"""The same for its last part."""
_PATTERNS = tuple(
    [(regex.compile(f"_(?:{words})_"), kind) for words, kind in _TYPE_WORDS]
    + [(regex.compile(f"_(?:{words})_$"), kind) for words, kind in _ENDINGS]
)


def type_of(column: PrivateColumn) -> str:
    """The type of a placeholder for a value of this column, by its name; VALUE where the name says nothing."""
    return _type_by_name(_parts(column.column)) or ("PERSON" if holds_names(column) else "VALUE")


@lru_cache(maxsize=4096)
def _type_by_name(parts: str) -> str | None:
    if _PERSON_COLUMN.search(parts) is not None:
        return "PERSON"
    return next((kind for pattern, kind in _PATTERNS if pattern.search(parts)), None)
