"""What every SQL mask is made of: the SQL of calls and operators with their schema, and the base class.

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

It does not know whether the server accepts a constant as a value of the column's type: `check` looks at that.
"""

from __future__ import annotations

from proxy.policy.masktypes import Family, SqlType, sql_type
from proxy.policy.rules import Mask

LONGEST = 100_000
"""Characters of a text, or elements of an array. A pattern on a text of some hundred megabytes raises for want of
memory, and masked elements may be longer than the stored ones; a longer text is `***`, a longer array NULL."""
HIDDEN = "***"


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


def identifier(name: str) -> str:
    """An identifier that the grammar reads as exactly `name`."""
    return '"' + name.replace('"', '""') + '"'


def call(function: str, *arguments: str) -> str:
    return f"pg_catalog.{function}({', '.join(arguments)})"


def op(left: str, operator: str, right: str) -> str:
    return f"{left} OPERATOR(pg_catalog.{operator}) {right}"


def cast(expression: str, type_name: str) -> str:
    return f"CAST({expression} AS {type_name})"


def case(*branches: tuple[str, str], otherwise: str) -> str:
    """Evaluated in order, so a guard keeps the branches behind it from what they could not take."""
    return "CASE " + " ".join(f"WHEN {test} THEN {value}" for test, value in branches) + f" ELSE {otherwise} END"


def plain(text: str) -> str:
    """`text` for patterns: under the collation "C", where a character is a character."""
    return f'({text} COLLATE pg_catalog."C")'


def matches(text: str, pattern: str) -> str:
    return op(plain(text), "~", literal(pattern))


def part(text: str, pattern: str) -> str:
    return call("substring", plain(text), literal(pattern))


def replaced(text: str, pattern: str, replacement: str) -> str:
    """Every match of `pattern` replaced."""
    return call("regexp_replace", plain(text), literal(pattern), literal(replacement), "'g'")


def each(column: str, masked: str, source: str | None = None, order: str = "element.at") -> str:
    """SQL of an array with `masked` in place of each element of the array `column`.

    `masked` reads `element.value`, or else what `source`, an item of FROM, gives it; `order` is an element's place.

    An empty array stays empty; more than one dimension, or more than LONGEST elements, reads as NULL.
    """
    source = source or f"{call('unnest', column)} WITH ORDINALITY AS element(value, at)"
    return case(
        (op(call("cardinality", column), "=", "0"), "'{}'"),
        (
            f"{op(call('array_ndims', column), '=', '1')} AND {op(call('cardinality', column), '<=', str(LONGEST))}",
            f"ARRAY(SELECT {masked} FROM {source} ORDER BY {order})",
        ),
        otherwise="NULL",
    )


class SqlMask(Mask):
    """What the SQL masks share. A subclass says what it makes of text and of other types; the rest reads as NULL."""

    def expression(self, column: str, type_name: str) -> str:
        """SQL for the masked value of the column `column` (a quoted reference), of type `type_name`.

        Raises ValueError if `type_name` is no type's name.
        """
        of = sql_type(type_name)
        masked = self.masked(column, of)
        return of.null() if masked is None else of.cast(masked)

    def masked(self, column: str, of: SqlType) -> str | None:
        """SQL that is yet to be cast to the type, or None where the mask does not know it."""
        if of.family is Family.TEXT:
            return self._text(of.text(column))
        if of.family is not Family.ARRAY:
            return self._other(column, of)
        inner = sql_type(of.element or "")
        masked = self.masked("element.value", inner)
        return None if masked is None else each(column, inner.cast(masked))

    def reads(self, type_name: str) -> bool:
        """Whether it makes more than NULL of a column of that type. Raises ValueError as `expression` does."""
        return self.masked("t.c", sql_type(type_name)) is not None

    def _text(self, text: str) -> str | None:  # noqa: ARG002 - a subclass reads it
        """SQL over a text expression, or None for NULL."""
        return None

    def _other(self, column: str, of: SqlType) -> str | None:  # noqa: ARG002 - a subclass reads them
        """SQL over a column of another type, to be cast to that type, or None for NULL."""
        return None
