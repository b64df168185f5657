"""A policy while it is being read, and the readers that several sections share: lists of roles, patterns, expressions.

It does not know the sections: those are `load_rules` and `load_columns`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from unicodedata import category

from proxy.policy import load_patterns
from proxy.policy.expressions import Expression, read_expression
from proxy.policy.load_yaml import Item, Problems
from proxy.policy.patterns import ColumnPath, Path
from proxy.policy.rules import (
    DEFAULT_STATEMENTS,
    LimitRule,
    MaskRule,
    PolicyTest,
    Role,
    RowRule,
    StatementKind,
    TableRule,
    TagRule,
    Where,
)
from proxy.settings.nearest import nearest

EVERYBODY_S = ("name", "roles")
"""Attributes that each identity has by itself."""
_CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""General categories: controls, surrogates, separators of lines and paragraphs. https://www.unicode.org/reports/tr44/"""
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""https://www.unicode.org/reports/tr9/: text that is shown in another order than it is read."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A pattern and where it stands: what conflicts are made of, and what `check` holds against the catalogue.

    `steps` go on into the values of a column; `pattern` is the column's alone.
    """

    pattern: str
    where: Where
    steps: Path = ()

    def __str__(self) -> str:
        return self.pattern + "".join(map(str, self.steps))


@dataclass(frozen=True, slots=True)
class Inheritance:
    """A tag's parent, and where the two are named."""

    parent: str
    where: Where
    parent_where: Where


@dataclass(slots=True)
class Draft:
    """The policy as far as it is read."""

    problems: Problems
    roles: dict[str, Role] = field(default_factory=dict)
    tables: list[tuple[TableRule, tuple[Claim, ...]]] = field(default_factory=list)
    tags: list[tuple[TagRule, tuple[Claim, ...]]] = field(default_factory=list)
    inherited: dict[str, Inheritance] = field(default_factory=dict)
    masks: list[tuple[MaskRule, tuple[Claim, ...]]] = field(default_factory=list)
    masked_tags: set[str] = field(default_factory=set)
    """Tags that some rule of `masks` names, right or wrong in the rest."""
    rows: list[tuple[RowRule, tuple[Claim, ...]]] = field(default_factory=list)
    limits: list[LimitRule] = field(default_factory=list)
    statements: frozenset[StatementKind] = DEFAULT_STATEMENTS
    allow_unnamed_tables: bool = False
    unnamed_columns: MaskRule | None = None
    defaults_at: dict[str, Where] = field(default_factory=dict)
    trusted: dict[str, Where] = field(default_factory=dict)
    tests: list[PolicyTest] = field(default_factory=list)

    @property
    def tag_parents(self) -> Mapping[str, str]:
        return {tag: found.parent for tag, found in self.inherited.items()}

    @property
    def carried(self) -> frozenset[str]:
        """The tags that some column carries itself."""
        return frozenset(rule.tag for rule, _ in self.tags)

    @property
    def tag_names(self) -> frozenset[str]:
        """The tags that some column carries, itself or by descent."""
        return frozenset(tag for carried in self.carried for tag in self.lineage(carried))

    def lineage(self, tag: str) -> tuple[str, ...]:
        """The tag, then what it inherits from, nearest first; a cycle is gone round once."""
        found = [tag]
        while (above := self.inherited.get(found[-1])) is not None and above.parent not in found:
            found.append(above.parent)
        return tuple(found)


# Names


def is_plain_name(name: str) -> bool:
    """Whether a name says what it seems to, in a log line or a comment of SQL too: no line ends, no other control
    characters, none that turn the direction of writing."""
    return not any(category(c) in _CONTROLS or c in _TURNING for c in name)


def require_plain_name(item: Item, what: str, name: str) -> None:
    """A complaint where the name holds what `is_plain_name` does not allow, or nothing."""
    if not name:
        item.complain(f"{what} has no name")
    elif not is_plain_name(name):
        item.complain(f"{what} {name!a} has a control character in its name")


# Roles


def read_role_names(draft: Draft, item: Item | None) -> frozenset[str]:
    """A list of known roles that has at least one."""
    return frozenset(name for _, name in named_roles(draft, item.texts("roles", "a role") if item else ()))


def named_roles(draft: Draft, named: Iterable[tuple[Item, str]]) -> list[tuple[Item, str]]:
    """The same, with a complaint at each that is not known."""
    found = list(named)
    for place, name in found:
        if name not in draft.roles:
            place.complain(f"unknown role {name!r}{nearest(name, draft.roles) if draft.roles else ''}")
    return found


def refuse_bypass(draft: Draft, item: Item | None, what: str) -> None:
    """A complaint at each listed role that has bypass: `what` would never hold for it."""
    for place, name in item.texts("roles", "a role") if item and item.is_list else ():
        if name in draft.roles and draft.roles[name].bypass:
            place.complain(f"the role {name} has bypass: no {what} holds for it", "Leave it out.")


# Patterns


def table_patterns(item: Item | None, what: str) -> tuple[Claim, ...]:
    members = [member for member, _ in item.texts(what, "a pattern")] if item else []
    return tuple(claim for member in members if (claim := table_pattern(member, what)) is not None)


def table_pattern(item: Item, what: str) -> Claim | None:
    text = item.text(what)
    if text is None:
        return None
    fault = load_patterns.fault(text, load_patterns.TABLE)
    if fault is not None:
        item.complain(*fault)
        return None
    return Claim(text, item.where)


def column_patterns(item: Item | None) -> tuple[Claim, ...]:
    """Patterns of columns, and of parts of columns."""
    found = []
    for member, text in item.texts("columns", "a pattern") if item else ():
        try:
            pattern, steps = load_patterns.read_column(text)
        except load_patterns.PatternFault as fault:
            member.complain(fault.message, fault.hint)
        else:
            found.append(Claim(pattern, member.where, steps))
    return tuple(found)


def whole_columns(claims: Iterable[Claim]) -> tuple[str, ...]:
    return tuple(claim.pattern for claim in claims if not claim.steps)


def parts_of_columns(claims: Iterable[Claim]) -> tuple[ColumnPath, ...]:
    return tuple(ColumnPath(claim.pattern, claim.steps) for claim in claims if claim.steps)


# Expressions


def read_condition(draft: Draft, item: Item, what: str, roles: Iterable[str]) -> Expression | None:
    """The expression, whose attributes every one of `roles` must have."""
    text = item.text(what)
    if text is None:
        return None
    try:
        expression = read_expression(text)
    except ValueError as error:
        item.complain(f"{what}: {error}")
        return None
    for name in expression.attributes:
        for role in sorted(roles):
            _require_attribute(draft, item, role, name)
    return expression


def _require_attribute(draft: Draft, item: Item, role: str, name: str) -> None:
    if role not in draft.roles or name in EVERYBODY_S or name in draft.roles[role].attributes:
        return
    near = nearest(name, (*draft.roles[role].attributes, *EVERYBODY_S))
    item.complain(f"the role {role} has no attribute {name!r}{near}", "Each role that the condition is for needs it.")
