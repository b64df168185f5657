"""The policy as the engine uses it: validated, immutable, with every pattern compiled.

`load` makes these from YAML and refuses what is wrong; `decide` only reads them. Precedence is settled here: a named
column beats a tag, a tag beats a glob, and two rules of the same precedence for one column never get this far.

It does not know the catalogue: whether a rule's columns exist is asked where both are at hand.
"""

from __future__ import annotations

import fnmatch
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import ClassVar

from proxy.policy import parser
from proxy.policy.catalog import Name


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


@dataclass(frozen=True, slots=True)
class Role:
    """`users` are names or globs (`bi_*`), matched with case."""

    name: str
    users: tuple[str, ...]
    where: Where
    bypass: bool = False
    attributes: Mapping[str, str | int | float | bool] = field(default_factory=dict)

    def has(self, user: str) -> bool:
        return any(fnmatch.fnmatchcase(user, pattern) for pattern in self.users)


@dataclass(frozen=True, slots=True)
class TableRule:
    """Tables that `roles` may read (and write, where `write` says so). Patterns are `schema.table` globs."""

    patterns: tuple[str, ...]
    roles: frozenset[str]
    where: Where
    write: frozenset[StatementKind] = frozenset()

    def matches(self, name: Name) -> bool:
        return any(glob_matches(pattern, name) for pattern in self.patterns)


class Mask(ABC):
    """Base of the SQL masks (`proxy.policy.masks`): a typed object made when the policy loads."""

    name: ClassVar[str]

    @abstractmethod
    def expression(self, column: str, type_name: str) -> str:
        """SQL over `column` (a quoted reference) of that type: total, deterministic, of the column's own type."""


@dataclass(frozen=True, slots=True)
class MaskRule:
    """A mask for tagged or named columns. `columns` are `schema.table.column` patterns; `tag` or `columns` is set."""

    mask: Mask
    where: Where
    tag: str | None = None
    columns: tuple[str, ...] = ()
    exempt: frozenset[str] = frozenset()
    """Roles of `except`: a session with one of them is not masked by this rule."""


@dataclass(frozen=True, slots=True)
class TagRule:
    """Columns that carry a tag. Patterns are `schema.table.column` globs."""

    columns: tuple[str, ...]
    tag: str
    where: Where


@dataclass(frozen=True, slots=True)
class PolicyTest:
    """A test that a policy brings: `sql` as `user` gives `rows`, or is refused."""

    user: str
    sql: str
    where: Where
    rows: tuple[tuple[object, ...], ...] | None = None
    refused: bool = False


@dataclass(frozen=True)
class Policy:
    """Everything that a directory of policy files says. `digest` is its version: a hash of the files' bytes."""

    digest: str
    roles: Mapping[str, Role]
    tables: tuple[TableRule, ...] = ()
    tags: tuple[TagRule, ...] = ()
    masks: tuple[MaskRule, ...] = ()
    statements: frozenset[StatementKind] = DEFAULT_STATEMENTS
    allow_unnamed_tables: bool = False
    trusted_functions: frozenset[str] = frozenset()
    """Normalised signatures: `schema.name(type, type)`."""
    tests: tuple[PolicyTest, ...] = ()

    def identify(self, user: str) -> Identity | None:
        """Every role that lists `user`, or None where none does: the login is refused then.

        A user with a bypass role and others is masked: the stricter reading wins.
        """
        found = [role for role in self.roles.values() if role.has(user)]
        if not found:
            return None
        return Identity(user, tuple(r.name for r in found), all(r.bypass for r in found))

    def may_read(self, identity: Identity, table: Name) -> bool:
        """Whether a rule lets one of the identity's roles read `table`; `defaults.tables` decides for unnamed ones."""
        rules = [rule for rule in self.tables if rule.matches(table)]
        if not rules:
            return self.allow_unnamed_tables
        return any(rule.roles & set(identity.roles) for rule in rules)

    def mask_for(self, identity: Identity, table: Name, column: str) -> MaskRule | None:
        """The rule that masks this column for this identity, or None. Most precise rule first."""
        rule = self._rule_for(table, column)
        if rule is None or rule.exempt & set(identity.roles):
            return None
        return rule

    def tags_of(self, table: Name, column: str) -> frozenset[str]:
        """Every tag that a `columns` rule puts on this column."""
        return frozenset(r.tag for r in self.tags if any(column_matches(p, table, column) for p in r.columns))

    def is_private(self, table: Name, column: str) -> bool:
        """Tagged, or under a mask for somebody: its values never reach a model."""
        return bool(self.tags_of(table, column)) or self._rule_for(table, column) is not None

    def names_columns_of(self, table: Name) -> bool:
        """Whether a tag or mask rule names columns of exactly this table: a glob that happens to match does not."""
        patterns = [p for tag in self.tags for p in tag.columns] + [p for mask in self.masks for p in mask.columns]
        return any(tuple(p.split(".")[:2]) == table for p in patterns)

    @cached_property
    def _memo(self) -> dict[tuple[Name, str], MaskRule | None]:
        return {}

    def _rule_for(self, table: Name, column: str) -> MaskRule | None:
        key = (table, column)
        if key not in self._memo:
            self._memo[key] = min(
                (pair for rule in self.masks if (pair := self._precedence(rule, table, column))),
                key=lambda pair: pair[0],
                default=(0, None),
            )[1]
        return self._memo[key]

    def _precedence(self, rule: MaskRule, table: Name, column: str) -> tuple[int, MaskRule] | None:
        """0 named, 1 tag, 2 glob; None where the rule says nothing of the column."""
        if rule.tag is not None:
            return (1, rule) if rule.tag in self.tags_of(table, column) else None
        ranks = [2 if is_glob(p) else 0 for p in rule.columns if column_matches(p, table, column)]
        return (min(ranks), rule) if ranks else None


def is_glob(pattern: str) -> bool:
    return any(c in pattern for c in "*?[")


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern))


def glob_matches(pattern: str, table: Name) -> bool:
    """Whether a `schema.table` pattern names `table`; each part is matched by itself."""
    parts = pattern.split(".")
    return len(parts) == len(table) and all(_compiled(p).match(v) for p, v in zip(parts, table, strict=True))


def column_matches(pattern: str, table: Name, column: str) -> bool:
    """Whether a `schema.table.column` pattern names the column; each part is matched by itself."""
    parts = pattern.split(".")
    return len(parts) == 3 and all(  # noqa: PLR2004
        _compiled(p).match(v) for p, v in zip(parts, (*table, column), strict=True)
    )


@dataclass(frozen=True, slots=True)
class Refusal:
    """The policy's no. SQLSTATE 42501: the role may not; 0A000: the veil cannot analyse it; others: as PostgreSQL.

    `position` counts characters from 1 in the client's text. `unknown` names a relation that the catalogue does not
    have: worth a refresh before it is final.
    """

    sqlstate: str
    message: str
    hint: str | None = None
    detail: str | None = None
    position: int | None = None
    unknown: str | None = None


@dataclass(frozen=True, slots=True)
class Effect:
    """What a statement does to the session once the server says it is complete. `kind` is one of:

    search_path (`value`: the new path, `local`: until the transaction ends), search_path_reset, begin, commit,
    rollback, savepoint, release, rollback_to (`name`), prepare, execute (`name`), deallocate (`name`; None is all),
    reset_all, discard_all.
    """

    kind: str
    name: str | None = None
    value: tuple[str, ...] = ()
    local: bool = False


@dataclass(frozen=True, slots=True)
class PlannedStatement:
    """One statement of the client's text, in order."""

    kind: StatementKind | None
    """None: an empty statement."""
    effect: Effect | None = None


@dataclass(frozen=True, slots=True)
class AppliedMask:
    """For `simulate` and the audit: which rule masked which column."""

    relation: str
    column: str
    mask: str
    where: Where


@dataclass(frozen=True, slots=True)
class Plan:
    """What runs instead of the client's text.

    `sql` is the text to send. `rewritten` is False where it is the client's own, byte for byte. `touched` are the
    relations with rules that the statement reads. `tree` is the rewritten tree with the client's locations, and
    `original` the client's text, for the positions in errors; both are empty where nothing was rewritten.
    """

    sql: str = field(repr=False)
    statements: tuple[PlannedStatement, ...]
    rewritten: bool = False
    touched: frozenset[str] = frozenset()
    masks: tuple[AppliedMask, ...] = ()
    policy_version: str = ""
    catalog_version: int = 0
    tree: bytes = field(default=b"", repr=False)
    original: str = field(default="", repr=False)

    def original_position(self, position: int) -> int | None:
        """The client's position (from 1) for one in `sql` (from 1), or None where nothing of the client's stands."""
        if not self.rewritten:
            return position
        return parser.original_position(self.tree, self.original, self.sql, position)
