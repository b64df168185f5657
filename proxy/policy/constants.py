"""Expressions of constants and parameters alone: their types, and whether computing one can fail.

A constant expression runs once a row wherever the planner leaves it in a condition, and `salary = 100 OR 1/$1 > 0`
fails or not by what a row holds. So a constant is admitted only where it cannot fail while a statement runs: a literal,
which is read before anything runs; a parameter as it comes; and the clock, a bounded step before or after now.

It does not know columns. Type OIDs of the server's own types never change:
https://www.postgresql.org/docs/current/catalog-pg-type.html
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from proxy.policy import parser

Node = Any

BOOL, INT8, INT2, INT4, TEXT, FLOAT4, FLOAT8, UNKNOWN = 16, 20, 21, 23, 25, 700, 701, 705
VARCHAR, DATE, TIMESTAMP, TIMESTAMPTZ, INTERVAL, NUMERIC = 1043, 1082, 1114, 1184, 1186, 1700

# "name" is left out: its collation differs from the others', and two constants could then not be compared.
TYPE_OIDS: Final = {
    "bool": BOOL, "bytea": 17, "int8": INT8, "int2": INT2, "int4": INT4, "text": TEXT, "oid": 26, "float4": FLOAT4,
    "float8": FLOAT8, "money": 790, "macaddr": 829, "inet": 869, "bpchar": 1042, "varchar": VARCHAR, "date": DATE,
    "time": 1083, "timestamp": TIMESTAMP, "timestamptz": TIMESTAMPTZ, "interval": INTERVAL, "timetz": 1266,
    "numeric": NUMERIC, "uuid": 2950, "jsonb": 3802,
}  # fmt: skip
TYPE_NAMES: Final = {oid: name for name, oid in TYPE_OIDS.items()}

ELEMENTS: Final = {
    1000: BOOL, 1005: INT2, 1007: INT4, 1009: TEXT, 1015: VARCHAR, 1016: INT8, 1021: FLOAT4, 1022: FLOAT8, 1115: 1114,
    1182: DATE, 1185: TIMESTAMPTZ, 1231: NUMERIC, 2951: 2950,
}  # fmt: skip
"""Array types to their elements'."""

_ARRAYS: Final = {element: array for array, element in ELEMENTS.items()}

_WIDER: Final = {INT2: frozenset({INT4, INT8, NUMERIC}), INT4: frozenset({INT8, NUMERIC}), INT8: frozenset({NUMERIC})}
"""Casts that cannot fail. Drivers declare the smallest type that a number fits."""

NUMBERS: Final = frozenset({INT2, INT4, INT8, FLOAT4, FLOAT8, NUMERIC})

_CLOCKS: Final = {
    "now": TIMESTAMPTZ, "transaction_timestamp": TIMESTAMPTZ, "statement_timestamp": TIMESTAMPTZ,
}  # fmt: skip
_CLOCK_WORDS: Final = {
    "SVFOP_CURRENT_DATE": DATE, "SVFOP_CURRENT_TIMESTAMP": TIMESTAMPTZ, "SVFOP_LOCALTIMESTAMP": TIMESTAMP,
}  # fmt: skip
_UNITS: Final = frozenset({"minute", "hour", "day", "week", "month", "quarter", "year"})

# At most a thousand years or so: several such steps stay within what a timestamp can hold.
_SHORT_INTERVAL: Final = re.compile(r"\s*-?(\d{1,4}\s*(minute|hour|day|week|mon|month)|\d{1,3}\s*year)s?\s*")
_LARGEST_DAYS: Final = 100_000
_MOST_STEPS: Final = 3

_INTEGER: Final = re.compile(r"[-+]?\d+")
_DECIMAL: Final = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)


class Leaky(Exception):  # noqa: N818 - an answer, and no fault
    """Not proven to be free of errors and effects."""


@dataclass(frozen=True, slots=True)
class Value:
    """An expression's type; `UNKNOWN` takes the type of what it meets.

    `constant`: of constants and parameters alone. `literal`: converted while the statement is planned, at the latest.
    `steps`: for what comes from the clock, how often an interval was added. `short`: an interval that may be.
    """

    oid: int
    constant: bool = False
    literal: bool = False
    steps: int | None = None
    short: bool = False


class Parameters:
    """The types of a statement's parameters, before anything is changed in its tree.

    An undeclared parameter takes its type where it is met first, and keeps it. Only one that stands in a single place
    is known to take the type of what stands beside it.

    Args:
        statement: the whole statement, PREPARE included.
        types: OIDs as a client declares them; 0, or none, for undeclared.
    """

    def __init__(self, statement: Node, types: tuple[int, ...] = ()) -> None:
        self._statement = statement
        self._types = types

    @cached_property
    def _uses(self) -> Counter[int]:
        """How often each parameter stands in the statement. What PREPARE declares is taken for declared."""
        uses: Counter[int] = Counter()
        waiting = [self._statement]
        while waiting:
            node = waiting.pop()
            name = node.DESCRIPTOR.name
            if name == "ParamRef":
                uses[node.number] += 1
            elif name == "PrepareStmt":
                self._types = tuple(_declared(item.type_name) for item in node.argtypes)
            for field, value in node.ListFields():
                if field.message_type is not None:
                    if field.is_repeated:
                        waiting.extend(value)
                    else:
                        waiting.append(value)
        return uses

    def value(self, number: int) -> Value:
        """Raises Leaky where the type is not known."""
        uses = self._uses[number]
        declared = self._types[number - 1] if 0 < number <= len(self._types) else 0
        if declared not in (0, UNKNOWN):
            return Value(declared, constant=True)
        if uses > 1:
            raise Leaky
        return Value(UNKNOWN, constant=True)


def _declared(name: Node) -> int:
    element = parser.nodes.TypeName()
    element.CopyFrom(name)
    if len(name.array_bounds) == 1:
        del element.array_bounds[:]
    try:
        oid = type_oid(element)
    except Leaky:
        return -1
    return oid if not name.array_bounds else _ARRAYS.get(oid, -1)


def type_oid(name: Node) -> int:
    """Of a TypeName without an array bound: a built-in type, as pg_catalog comes first. Raises Leaky for others."""
    parts = [part.string.sval for part in name.names]
    if name.array_bounds or name.setof or name.pct_type or parts[:-1] not in ([], ["pg_catalog"]):
        raise Leaky
    oid = TYPE_OIDS.get(parts[-1])
    if oid is None:
        raise Leaky
    return oid


def literal(constant: Node) -> Value:
    """Of an A_Const."""
    kind = constant.WhichOneof("val")
    if kind == "ival":
        return Value(INT4, constant=True, literal=True)
    if kind == "boolval":
        return Value(BOOL, constant=True, literal=True)
    if kind == "fval":
        return Value(_number(constant.fval.fval), constant=True, literal=True)
    if kind == "sval" or constant.isnull:
        return Value(UNKNOWN, constant=True, literal=True)
    raise Leaky


def _number(text: str) -> int:
    """The type that PostgreSQL gives a number that its scanner did not take for an int4 (make_const)."""
    if _INTEGER.fullmatch(text):
        number = int(text) if len(text) < 25 else 1 << 64  # noqa: PLR2004 - longer than any int8
        if -(1 << 31) <= number < 1 << 31:
            return INT4
        return INT8 if -(1 << 63) <= number < 1 << 63 else NUMERIC
    if _DECIMAL.fullmatch(text):
        return NUMERIC
    raise Leaky


def cast_constant(cast: Node, value: Value) -> Value:
    """A TypeCast of a constant of type `value`. Raises Leaky where it could fail while the statement runs."""
    target = type_oid(cast.type_name)
    result = Value(target, constant=True, literal=value.literal)
    if value.steps is not None and target in (DATE, TIMESTAMP, TIMESTAMPTZ) and not cast.type_name.typmods:
        return replace(result, steps=value.steps)
    kind = cast.arg.WhichOneof("node")
    if kind == "a_const" and value.oid == UNKNOWN:
        text = cast.arg.a_const.sval.sval
        short = target == INTERVAL and not cast.type_name.typmods and _SHORT_INTERVAL.fullmatch(text) is not None
        return replace(result, short=short)
    if kind == "a_const" and value.oid in NUMBERS and target in NUMBERS and not cast.type_name.typmods:
        return result
    if kind == "param_ref" and value.oid in (UNKNOWN, target) and not cast.type_name.typmods:
        return result
    if kind == "param_ref" and target in _WIDER.get(value.oid, ()) and not cast.type_name.typmods:
        return result
    raise Leaky


def clock_word(function: Node) -> Value:
    """Of an SQLValueFunction: CURRENT_DATE and its like."""
    oid = _CLOCK_WORDS.get(parser.nodes.SQLValueFunctionOp.Name(function.op))
    if oid is None:
        raise Leaky
    return Value(oid, constant=True, steps=0)


def clock_call(name: str, arguments: list[Node], last: Value | None) -> Value:
    """now() and its like, and date_trunc of them. `last` is the type of the last argument."""
    if not arguments and name in _CLOCKS:
        return Value(_CLOCKS[name], constant=True, steps=0)
    if name == "date_trunc" and len(arguments) == 2 and last is not None and last.steps is not None:  # noqa: PLR2004
        unit = arguments[0].a_const.sval.sval if arguments[0].WhichOneof("node") == "a_const" else ""
        if unit in _UNITS:
            return replace(last, oid=TIMESTAMP if last.oid == TIMESTAMP else TIMESTAMPTZ)
    raise Leaky


def clock_step(operator: str, left: Value, right: Value, right_node: Node) -> Value:
    """The clock plus or minus a short interval, or a date plus or minus a number of days."""
    if operator not in ("+", "-") or left.steps is None or left.steps >= _MOST_STEPS:
        raise Leaky
    stepped = replace(left, steps=left.steps + 1)
    if right.short:
        return replace(stepped, oid=TIMESTAMPTZ if left.oid == TIMESTAMPTZ else TIMESTAMP)
    is_days = left.oid == DATE and right_node.WhichOneof("node") == "a_const" and right.oid == INT4
    if is_days and abs(right_node.a_const.ival.ival) <= _LARGEST_DAYS:
        return stepped
    raise Leaky
