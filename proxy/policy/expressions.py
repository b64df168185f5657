"""SQL that a policy brings along: row filters and the conditions of masks, over a row's columns and the user.

`{user.region}` stands for an attribute of the user's role, `{user.name}` for the login name; both become constants of
their own type when the expression is bound to an identity, never text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Scalar: TypeAlias = str | int | float | bool
AttributeValue: TypeAlias = Scalar | tuple[Scalar, ...]
"""A list is an array in SQL, of one type."""


@dataclass(frozen=True, slots=True)
class Expression:
    """One boolean SQL expression of a policy, read and found sound.

    `text` is as written. `sql` has $1, $2... where `text` has `{user...}`; `attributes` names them in that order.
    `columns` are the column names that it refers to, wherever they stand in it.
    """

    text: str
    sql: str
    attributes: tuple[str, ...] = ()
    columns: frozenset[str] = frozenset()
