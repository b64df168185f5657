"""What the veil decides: a Plan, which is text to run with everything that has to be known of it, or a Refusal.

It does not know policies or catalogues: a plan names the versions that it was made under, and nothing else of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from proxy.policy import parser
from proxy.policy.cuts import Cut, unspliced
from proxy.policy.rules import Limits, StatementKind, Where


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
    declare (`name`: a cursor; `local`: until the transaction ends), fetch (`name`; `local`: not plainly forward), close
    (`name`; None is all), temp (`name`: a temporary table was made; `local`: until the transaction ends), drop_temp
    (`name`), discard_temp, reset_all, discard_all.
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
    max_rows: int | None = None
    """The statement was given a LIMIT of one more than this: the row too many is not for the client, who is told."""


@dataclass(frozen=True, slots=True)
class AppliedMask:
    """For `simulate` and the audit: which rule masked which column, and why that rule."""

    relation: str
    column: str
    mask: str
    where: Where
    why: str = ""
    """In words: named by the rule, by a tag, by a pattern, or not named by any."""


@dataclass(frozen=True)
class Plan:
    """What runs instead of the client's text.

    `sql` is the text to send. `rewritten` is False where it is the client's own, byte for byte. `touched` are the
    relations with rules that the statement reads. `tree` is the rewritten tree with the client's locations, and
    `original` the client's text, for the positions in errors; both are empty where `sql` is the client's text but for
    what was put into it.
    """

    sql: str = field(repr=False)
    statements: tuple[PlannedStatement, ...]
    rewritten: bool = False
    touched: frozenset[str] = frozenset()
    masks: tuple[AppliedMask, ...] = ()
    policy_version: str = ""
    catalog_version: int = 0
    limits: Limits | None = None
    raw_predicates: tuple[str, ...] = ()
    """Masked columns that a predicate of the statement was let to compare by their own values: for the audit."""
    tree: bytes = field(default=b"", repr=False)
    original: str = field(default="", repr=False)
    cuts: tuple[Cut, ...] = ()
    """Where in `sql` masked views were put in."""
    weighed: bool = False
    """The values of constants may have had a say, beyond where they stand in the text: in whether a fence is needed,
    and in what stands below it."""

    def with_text(self, sql: str, cuts: tuple[Cut, ...]) -> Plan:
        """The same decision on another text. `dataclasses.replace` takes ten times as long, and this is done for every
        statement of some clients."""
        fields = self.__dict__.copy()
        fields["sql"] = sql
        fields["cuts"] = cuts
        made = object.__new__(Plan)
        object.__setattr__(made, "__dict__", fields)
        return made

    def original_position(self, position: int) -> int | None:
        """The client's position (from 1) for one in `sql` (from 1), or None where nothing of the client's stands."""
        if not self.rewritten:
            return position
        before = unspliced(position, self.cuts)
        if before is None or not self.tree:
            return before
        return parser.original_position(self.tree, self.original, before)
