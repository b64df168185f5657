"""What the grammar makes of a question: phrases, with the names in them not yet decided.

A phrase keeps every table or column that its words can mean; `resolve` decides by the tables in question. All are
frozen values, and compare equal where they say the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Union

from proxy.nl.embedded.dates import Period
from proxy.nl.embedded.names import ColumnTarget, TableTarget
from proxy.nl.ports import ColumnKey


@dataclass(frozen=True)
class Entity:
    """Words that name a table. `plural` as they were written; `verb`: how it is linked (`sales did each make`)."""

    text: str
    targets: tuple[TableTarget, ...]
    plural: bool = False
    verb: str | None = None


@dataclass(frozen=True)
class Field:
    """Words that name a column; of `owner`, where the question says whose.

    Without targets: `key` means the owner's primary key, `naming` the column that names its rows (`customers named X`),
    `measures` the column whose name has one of these words (`costing more than 500`).
    """

    text: str
    targets: tuple[ColumnTarget, ...]
    owner: Entity | None = None
    key: bool = False
    naming: bool = False
    measures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Value:
    """A value in the question. `hits`: the columns that hold it, with their spellings. `quoted`: marked as a value.

    `parts` are a text's placeholders and what stands between them; `folded`, the columns that spell it in another case.
    """

    text: str = field(repr=False)
    hits: Mapping[ColumnKey, tuple[str, ...]] = field(default_factory=dict, repr=False, compare=False)
    quoted: bool = False
    number: bool = False
    placeholder: bool = False
    parts: tuple[str, ...] = field(default=(), repr=False)
    folded: frozenset[ColumnKey] = frozenset()


@dataclass(frozen=True)
class Measure:
    """An aggregate: `func` is count, sum, avg, min, max or median. A count counts `of`'s rows, or distinct `field`s."""

    func: str
    field: Field | None = None
    of: NounPhrase | None = None
    distinct: bool = False


@dataclass(frozen=True)
class Bucket:
    """Calendar units of a date column; the one that `verb` names, or the table's own date, where `field` is None."""

    unit: str
    field: Field | None = None
    verb: str | None = None


@dataclass(frozen=True)
class Compare:
    """`field` against numbers or values: =, <>, <, <=, >, >=. Several values: one of them (with <>: none)."""

    field: Field
    op: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Between:
    """Both ends belong to it."""

    field: Field
    low: Value
    high: Value


@dataclass(frozen=True)
class Like:
    """`how` is starts, ends or contains; without case."""

    field: Field
    how: str
    values: tuple[Value, ...]
    negated: bool = False


@dataclass(frozen=True)
class Missing:
    field: Field
    negated: bool = False


@dataclass(frozen=True)
class Flag:
    """A boolean column by its name."""

    field: Field
    value: bool = True


@dataclass(frozen=True)
class Holds:
    """A value without a column's name: the column is the one that holds it. `owner`: `customer 'X'`.

    `verb`: what leads to it (`paid by 'card'`). `doer`: `did 'X' place`, so the rows belong to it.
    """

    values: tuple[Value, ...]
    negated: bool = False
    owner: Entity | None = None
    verb: str | None = None
    doer: bool = False


@dataclass(frozen=True)
class During:
    """A period; of a named date column, of the one that a verb names (`hired in`), or of the row's own date.

    `active`: the rows themselves did it (`who ordered in`), so that it may be another table's event.
    """

    period: Period
    field: Field | None = None
    verb: str | None = None
    active: bool = False


@dataclass(frozen=True)
class Related:
    """Rows linked to `of`. With `op` and `count`: as many of them, of `distinct` ones where it is said.

    `parent`: introduced by of, by, for, from.
    """

    of: NounPhrase
    verb: str | None = None
    negated: bool = False
    op: str | None = None
    count: int = 0
    parent: bool = False
    distinct: bool = False


@dataclass(frozen=True)
class Event:
    """`have never been ordered`: rows of the linked table that shares the verb's stem."""

    verb: str
    negated: bool = False


@dataclass(frozen=True)
class Totals:
    """`with a total amount over 1000`."""

    measure: Measure
    op: str
    number: Value


@dataclass(frozen=True)
class AnyOf:
    """One of the conditions, all of them about the same rows."""

    conditions: tuple[Condition, ...]


Condition = Union[Compare, Between, Like, Missing, Flag, Holds, During, Related, Event, Totals, AnyOf]  # noqa: UP007


@dataclass(frozen=True)
class Rank:
    """The first `count` by `by`, or by the column that `adjective`'s words name (`expensive`: price, cost).

    `conditions` are said after `by`, and so rather of what is ranked by than of the noun.
    `common`: values by how many rows have them. `named`: the direction is said (`top`, `bottom`).
    """

    count: int
    descending: bool = False
    by: tuple[Measure | Field, ...] = ()
    adjective: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    common: bool = False
    named: bool = False


@dataclass(frozen=True)
class NounPhrase:
    """Rows of a table (`Entity`), or the distinct values of columns (`Field`s), that satisfy every condition."""

    head: Entity | tuple[Field, ...]
    conditions: tuple[Condition, ...] = ()
    rank: Rank | None = None


Item = Union[Field, Measure, Entity, Bucket]  # noqa: UP007
Group = Union[Field, Entity, Bucket]  # noqa: UP007


@dataclass(frozen=True)
class Order:
    """None of `by`: by the only measure."""

    by: Measure | Field | Bucket | None
    descending: bool = False


@dataclass(frozen=True)
class Ask:
    """A whole question. `items`: what to show (empty: the subject's own columns); `extra`: besides those.

    `joins`: the extra ones were named by a bare `with`, so they must add what the rows do not have.
    `which`: what identifies the rows is asked for, not all their columns.
    `returned`: the items come from a second sentence, and are about the rows that the first one chose; `basis` is what
    the first one asked for then, whose conditions hold.
    """

    subject: NounPhrase | None
    items: tuple[Item, ...] = ()
    extra: tuple[Item, ...] = ()
    groups: tuple[Group, ...] = ()
    conditions: tuple[Condition, ...] = ()
    order: tuple[Order, ...] = ()
    joins: bool = False
    which: bool = False
    returned: bool = False
    basis: tuple[Item, ...] = ()
    distinct: bool = False


@dataclass(frozen=True)
class Tail:
    """What follows the subject, gathered."""

    groups: tuple[Group, ...] = ()
    conditions: tuple[Condition, ...] = ()
    order: tuple[Order, ...] = ()
    items: tuple[Item, ...] = ()
    distinct: bool = False
