"""Column types as the masks need to know them, from the names that format_type gives.

A type's name in a mask must mean the same type whatever the session does: SQL's own type names are keywords, which the
grammar resolves; every other built-in gets its schema, because a temporary type of the same name would come first.

It does not know the catalogue: which type outside pg_catalog is a domain is not to be told from a name, so each is
treated as one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

_C = 'pg_catalog."C"'
_DEFAULT = 'pg_catalog."default"'
_BPCHAR = "pg_catalog.bpchar"


class Family(Enum):
    """What a mask has to know of a column's type."""

    TEXT = auto()
    DATE = auto()
    TIMESTAMP = auto()
    TIMESTAMPTZ = auto()
    BOOLEAN = auto()
    INTEGER = auto()
    """smallint, integer, bigint."""
    NUMERIC = auto()
    FLOAT = auto()
    """real, double precision."""
    UUID = auto()
    JSON = auto()
    """json, jsonb."""
    ARRAY = auto()
    """Of any element type, which is `element`; a type's name does not tell how many dimensions a value has."""
    OTHER = auto()
    FOREIGN = auto()
    """Outside pg_catalog and no array: maybe a domain."""


@dataclass(frozen=True, slots=True)
class SqlType:
    """A type with its SQL, safe from names that a session makes: built-ins are keywords or carry pg_catalog."""

    sql: str
    family: Family
    base: str
    """Without modifier and array marks."""
    modifier: tuple[int, ...] = ()
    """The numbers in parentheses: (10, 2) of numeric(10,2)."""
    element: str | None = None
    """An array's element type, as format_type would call it."""

    def cast(self, expression: str) -> str:
        """`expression` as a value of the type; nothing of it depends on the column's own collation."""
        if self.sql == _BPCHAR:
            # As a type name without a length it deparses to char, which is char(1).
            cast = f"{_BPCHAR}({expression}, -1, true)"
        elif self.sql == f"{_BPCHAR}[]":
            cast = f"CASE WHEN FALSE THEN ARRAY[{_BPCHAR}(NULL, -1, true)] ELSE {expression} END"
        else:
            cast = f"CAST({expression} AS {self.sql})"
        if self.collation is None:
            return cast
        return f"{cast} COLLATE {self.collation}"

    @property
    def collation(self) -> str | None:
        """That of a mask's result, for text."""
        if self.family is not Family.TEXT:
            return None
        return _C if self.base == "name" else _DEFAULT

    def text(self, column: str) -> str:
        """A column of the family TEXT as text, its trailing blanks gone where its length is fixed."""
        return column if self.sql == "pg_catalog.text" else f"CAST({column} AS pg_catalog.text)"

    def null(self) -> str:
        """NULL of the type, raising for no domain."""
        if self.family is Family.FOREIGN:
            return f"(CAST('{{}}' AS {self.sql}[]))[1]"
        return self.cast("NULL")

    def bounds(self) -> tuple[str, str] | None:
        """The least and greatest number of the type, as numeric constants; None where numeric has no bound or the type
        rounds (real, double precision)."""
        if self.family is Family.INTEGER:
            bits = _BITS[self.base]
            return str(-(2 ** (bits - 1))), str(2 ** (bits - 1) - 1)
        if self.family is Family.NUMERIC and self.modifier:
            precision, scale = (*self.modifier, 0)[:2]
            most = f"{'9' * precision}e{-scale}"
            return f"-{most}", most
        return None


_BITS = {"smallint": 16, "integer": 32, "bigint": 64}
_IDENTIFIER = r'(?:[a-z_][a-z0-9_]*|"(?:[^"]|"")+")'
_TYPE = re.compile(
    rf"(?P<base>{_IDENTIFIER}(?:\.{_IDENTIFIER})?(?: (?:precision|varying|to|year|month|day|hour|minute|second))*)"
    r"(?P<modifier>\([A-Za-z0-9_, .-]*\))?(?P<zone> with(?:out)? time zone)?(?P<array>(?:\[\])*)"
)
_KEYWORD_TYPES = frozenset(
    {
        "bigint", "bit varying", "boolean", "character", "character varying", "double precision", "integer",
        "numeric", "real", "smallint", "time with time zone", "time without time zone",
        "timestamp with time zone", "timestamp without time zone",
    }
)  # fmt: skip
"""The grammar itself gives these their schema: no search_path and no temporary type redirects them."""
_FAMILIES = {
    "text": Family.TEXT,
    "character varying": Family.TEXT,
    "character": Family.TEXT,
    "bpchar": Family.TEXT,
    "name": Family.TEXT,
    "date": Family.DATE,
    "timestamp without time zone": Family.TIMESTAMP,
    "timestamp with time zone": Family.TIMESTAMPTZ,
    "boolean": Family.BOOLEAN,
    "smallint": Family.INTEGER,
    "integer": Family.INTEGER,
    "bigint": Family.INTEGER,
    "numeric": Family.NUMERIC,
    "real": Family.FLOAT,
    "double precision": Family.FLOAT,
    "uuid": Family.UUID,
    "json": Family.JSON,
    "jsonb": Family.JSON,
}


@lru_cache(maxsize=1024)
def sql_type(type_name: str) -> SqlType:
    """The type that format_type calls `type_name` (schema-qualified where it is not a built-in).

    Raises ValueError if it is no type's name.
    """
    match = _TYPE.fullmatch(type_name)
    if match is None:
        raise ValueError(f"not the name of a type: {type_name}")
    base = match["base"] + (match["zone"] or "")
    if "." in re.sub(r'"(?:[^"]|"")+"', "", base):
        citext = re.fullmatch(rf"{_IDENTIFIER}\.citext", base) is not None
        family = Family.TEXT if citext else Family.FOREIGN
        sql = type_name
    else:
        family = _FAMILIES.get(base, Family.OTHER)
        bare = base in _KEYWORD_TYPES or base.split(" ")[0] in {"interval", "bit"}
        sql = type_name if bare else f"pg_catalog.{type_name}"
    modifier = tuple(int(n) for n in re.findall(r"-?[0-9]+", match["modifier"] or ""))
    if match["array"]:
        return SqlType(sql, Family.ARRAY, base, modifier, type_name.removesuffix(match["array"]))
    return SqlType(sql, family, base, modifier)
