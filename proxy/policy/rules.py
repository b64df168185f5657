"""The rules of a policy, one type each: who, which tables, which columns, which rows, how much.

`load` makes them from YAML; `model` says which of them holds for whom. They are values, and know no catalogue.
"""

from __future__ import annotations

import fnmatch
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from proxy.policy.catalog import Name
from proxy.policy.expressions import AttributeValue, Expression
from proxy.policy.patterns import ColumnPath, glob_matches


class StatementKind(StrEnum):
    """What a policy can grant (design: section 7). A statement of none of these is refused by name."""

    SELECT = "select"
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    MERGE = "merge"
    EXPLAIN = "explain"
    COPY_OUT = "copy_out"
    COPY_IN = "copy_in"
    CURSOR = "cursor"
    PREPARE = "prepare"
    TRANSACTION = "transaction"
    SHOW = "show"
    SET = "set"
    LISTEN = "listen"
    TEMP = "temp"
    CALL = "call"
    DDL = "ddl"
    REPLICATION = "replication"


DEFAULT_STATEMENTS = frozenset(
    {
        StatementKind.SELECT,
        StatementKind.EXPLAIN,
        StatementKind.COPY_OUT,
        StatementKind.CURSOR,
        StatementKind.PREPARE,
        StatementKind.TRANSACTION,
        StatementKind.SHOW,
        StatementKind.SET,
    }
)


class Predicates(StrEnum):
    """What a predicate over a masked column compares. https://www.ibm.com/docs/en/db2 has the idea."""

    MASKED = "masked"
    """The masked values, as everything else does."""
    DENY = "deny"
    """Nothing: the column may be selected as it is, and used nowhere else."""
    TOKEN = "token"  # noqa: S105 - a word of policies
    """A keyed token, made in the database by the floor: equal for equal values."""
    RAW = "raw"
    """The values themselves, in comparisons with constants; the output stays masked."""


@dataclass(frozen=True, slots=True)
class Where:
    """Where a rule stands: for `check`, `simulate` and reasons. `line` and `column` count from 1."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a session is: fixed at login, never written by the session."""

    user: str
    roles: tuple[str, ...]
    bypass: bool = False
    attributes: tuple[tuple[str, AttributeValue], ...] = ()
    """Of all roles, by name; one that two of them set differently is left out, so what needs it is refused."""
    replicates: bool = False
    """Whether a session may be a replication connection. Never without `bypass`."""

    def attribute(self, name: str) -> AttributeValue | None:
        """`name` and `roles` are everybody's; the others come from the roles. None where there is none."""
        if name == "name":
            return self.user
        if name == "roles":
            return self.roles
        return next((value for key, value in self.attributes if key == name), None)


@dataclass(frozen=True, slots=True)
class Role:
    """`users` are names or globs (`bi_*`), matched with case."""

    name: str
    users: tuple[str, ...]
    where: Where
    bypass: bool = False
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)

    def has(self, user: str) -> bool:
        return any(fnmatch.fnmatchcase(user, pattern) for pattern in self.users)


@dataclass(frozen=True, slots=True)
class TableRule:
    """Tables that `roles` may read (and write, where `write` says so). Patterns are `schema.table` globs."""

    patterns: tuple[str, ...]
    roles: frozenset[str]
    where: Where
    write: frozenset[StatementKind] = frozenset()
    reveal: frozenset[str] = frozenset()
    """Constraints and unique indexes over masked columns whose errors a writer may see: they tell of the values."""

    def matches(self, name: Name) -> bool:
        return any(glob_matches(pattern, name) for pattern in self.patterns)


class Mask(ABC):
    """Base of the SQL masks (`proxy.policy.masks`): a typed object made when the policy loads."""

    name: ClassVar[str]

    @abstractmethod
    def expression(self, column: str, type_name: str) -> str:
        """SQL over `column` (a quoted reference) of that type: total, deterministic, of the column's own type."""


@dataclass(frozen=True, slots=True)
class Exemption:
    """A role that a mask does not hold for; where `until` is set, before that moment only."""

    role: str
    until: datetime | None = None
    reason: str | None = None
    approved_by: str | None = None

    def holds(self, moment: datetime) -> bool:
        return self.until is None or moment < self.until


@dataclass(frozen=True, slots=True)
class MaskRule:
    """A mask for tagged or named columns, or parts of columns. Either `tag` is set, or `columns` and `paths` are."""

    mask: Mask
    where: Where
    tag: str | None = None
    columns: tuple[str, ...] = ()
    """`schema.table.column` patterns."""
    paths: tuple[ColumnPath, ...] = ()
    exemptions: tuple[Exemption, ...] = ()
    """Of `except`: a session with one of these roles is not masked by this rule."""
    when: Expression | None = None
    """Where it is false for a row, the row's value is shown. NULL masks."""
    predicates: Predicates = Predicates.MASKED
    reason: str | None = None

    def exempts(self, roles: tuple[str, ...]) -> bool:
        return any(exemption.role in roles for exemption in self.exemptions)


@dataclass(frozen=True, slots=True)
class TagRule:
    """Columns that carry a tag. Patterns are `schema.table.column` globs."""

    columns: tuple[str, ...]
    tag: str
    where: Where
    paths: tuple[ColumnPath, ...] = ()
    private: bool = True
    """Whether the tag alone keeps the columns' values from models; a mask does in any case."""


@dataclass(frozen=True, slots=True)
class RowRule:
    """A row filter: sessions with one of `roles` see those rows of the tables only. Several filters all hold."""

    patterns: tuple[str, ...]
    condition: Expression
    where: Where
    roles: frozenset[str] = frozenset()
    """Empty: every masked role."""

    def holds(self, roles: tuple[str, ...], table: Name) -> bool:
        if self.roles and not self.roles & set(roles):
            return False
        return any(glob_matches(pattern, table) for pattern in self.patterns)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one session, or one role, may use. None: no limit."""

    max_rows: int | None = None
    """Rows of one result; the rest is cut, with a warning."""
    max_bytes: int | None = None
    """Bytes of one result's rows, as PostgreSQL sends them; the rest is cut, with a warning."""
    statement_timeout_s: float | None = None
    max_cost: float | None = None
    """PostgreSQL's own estimate, in its units; a dearer statement is refused."""
    max_concurrent: int | None = None
    """Statements of the role that run at once, over all its sessions."""


@dataclass(frozen=True, slots=True)
class LimitRule:
    """Limits for sessions with one of `roles`; of several the lowest holds."""

    roles: frozenset[str]
    limits: Limits
    where: Where


@dataclass(frozen=True, slots=True)
class PolicyTest:
    """A test that a policy brings: `sql` as `user` gives `rows`, or is refused (with `sqlstate`, where that is set)."""

    user: str
    sql: str
    where: Where
    rows: tuple[tuple[object, ...], ...] | None = None
    refused: bool = False
    name: str | None = None
    sqlstate: str | None = None
