"""A question whose every name is decided: what to select, from where, under which conditions. No SQL yet.

Columns are reached from the query's root by a path of links; equal paths are one joined table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Union

from proxy.nl.embedded.joins import Path
from proxy.nl.schema import Family
from proxy.policy.catalog import Name


@dataclass(frozen=True)
class Col:
    """A column of the table at the end of `path` (the root's where it is empty)."""

    path: Path
    table: Name
    column: str
    family: Family


@dataclass(frozen=True)
class Trunc:
    """The calendar unit that a date falls into: its first day; for years, the number."""

    unit: str
    col: Col


@dataclass(frozen=True)
class Agg:
    """`arg` None: rows."""

    func: str
    arg: tuple[Col, ...] = ()
    distinct: bool = False


Expr = Union[Col, Trunc, Agg]  # noqa: UP007


@dataclass(frozen=True)
class Literal:
    """A value of the question. Kinds: text, number.

    `parts`: what the text is put together from, so that a placeholder is a constant of its own. `folded`: to be
    compared without regard to case.
    """

    text: str = field(repr=False)
    number: bool = False
    parts: tuple[str, ...] = field(default=(), repr=False)
    folded: bool = False


@dataclass(frozen=True)
class Cmp:
    expr: Expr
    op: str
    value: Literal


@dataclass(frozen=True)
class OneOf:
    col: Col
    values: tuple[Literal, ...]
    negated: bool = False


@dataclass(frozen=True)
class Within:
    """[start, end) in days."""

    col: Col
    start: date | None
    end: date | None


@dataclass(frozen=True)
class IsNull:
    """`blank`: empty text counts too."""

    col: Col
    negated: bool = False


@dataclass(frozen=True)
class Truth:
    col: Col
    value: bool


@dataclass(frozen=True)
class Pattern:
    """Any of the patterns, which are LIKE patterns already escaped."""

    col: Col
    patterns: tuple[str, ...] = field(repr=False)
    negated: bool = False


@dataclass(frozen=True)
class Exists:
    """Rows at the end of `path` from `start`, under conditions in which that end is the root."""

    start: Path
    path: Path
    conditions: tuple[Test, ...] = ()
    negated: bool = False


@dataclass(frozen=True)
class Grouped:
    """As Exists, with an aggregate over them: `agg op value`. Without rows, a count is 0 and nothing else holds."""

    start: Path
    path: Path
    conditions: tuple[Test, ...]
    agg: Agg
    op: str
    value: Literal


@dataclass(frozen=True)
class Either:
    """At least one of the choices; each is a conjunction."""

    choices: tuple[tuple[Test, ...], ...]


Test = Union[Either, Cmp, OneOf, Within, IsNull, Truth, Pattern, Exists, Grouped]  # noqa: UP007


@dataclass(frozen=True)
class Sort:
    expr: Expr
    descending: bool = False


@dataclass(frozen=True)
class Query:
    """`outputs` in order. `groups` empty and an aggregate among the outputs: one row."""

    root: Name
    outputs: tuple[Expr, ...]
    tests: tuple[Test, ...] = ()
    groups: tuple[Expr, ...] = ()
    having: tuple[Cmp, ...] = ()
    order: tuple[Sort, ...] = ()
    limit: int | None = None
    distinct: bool = False
