"""The policy as the engine uses it: which of its rules holds for whom and what. Immutable.

`load` makes it from YAML and refuses what is wrong; `decide` only reads it. Precedence is settled here: a named column
beats a tag, a tag beats the tag that it inherits from, a tag beats a glob, and two rules of the same precedence for one
column never get this far.

It does not know the catalogue: whether a rule's columns exist is asked where both are at hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cached_property

from proxy.policy.catalog import Name
from proxy.policy.expressions import AttributeValue
from proxy.policy.patterns import ColumnPath, Path, column_matches, is_glob
from proxy.policy.rules import (
    DEFAULT_STATEMENTS,
    Identity,
    LimitRule,
    Limits,
    MaskRule,
    PolicyTest,
    Role,
    RowRule,
    StatementKind,
    TableRule,
    TagRule,
    Where,
)


@dataclass(frozen=True)
class Policy:
    """Everything that a directory of policy files says. `digest` is its version: a hash of the files' bytes."""

    digest: str
    roles: Mapping[str, Role]
    tables: tuple[TableRule, ...] = ()
    tags: tuple[TagRule, ...] = ()
    tag_parents: Mapping[str, str] = field(default_factory=dict)
    """Tag to the tag whose mask it has where it has none of its own. No cycles."""
    masks: tuple[MaskRule, ...] = ()
    rows: tuple[RowRule, ...] = ()
    limits: tuple[LimitRule, ...] = ()
    statements: frozenset[StatementKind] = DEFAULT_STATEMENTS
    allow_unnamed_tables: bool = False
    unnamed_columns: MaskRule | None = None
    """What holds for a column that no tag or mask rule names: nothing, or (`defaults.columns: mask`) this."""
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
        bypass = all(r.bypass for r in found)
        replicates = bypass and StatementKind.REPLICATION in self.statements
        return Identity(user, tuple(r.name for r in found), bypass, _attributes(found), replicates)

    def may_read(self, identity: Identity, table: Name) -> bool:
        """Whether a rule lets one of the identity's roles read `table`; `defaults.tables` decides for unnamed ones."""
        rules = [rule for rule in self.tables if rule.matches(table)]
        if not rules:
            return self.allow_unnamed_tables
        return any(rule.roles & set(identity.roles) for rule in rules)

    def may_write(self, identity: Identity, table: Name, kind: StatementKind) -> bool:
        """Whether a rule that lets one of the identity's roles read `table` also grants this kind of writing."""
        roles = set(identity.roles)
        return any(kind in rule.write and rule.roles & roles and rule.matches(table) for rule in self.tables)

    def revealed(self, identity: Identity, table: Name) -> frozenset[str]:
        """The constraints of `table` whose errors the identity may see although they tell of masked values."""
        roles = set(identity.roles)
        rules = [rule for rule in self.tables if rule.roles & roles and rule.matches(table)]
        return frozenset().union(*(rule.reveal for rule in rules))

    def filters_of(self, identity: Identity, table: Name) -> tuple[RowRule, ...]:
        """The row filters that hold for the identity on exactly this table; all of them have to be true."""
        return () if identity.bypass else tuple(rule for rule in self.rows if rule.holds(identity.roles, table))

    @cached_property
    def asks_for_name(self) -> bool:
        """Whether some condition depends on the user's name, so that two users of one role may see different rows."""
        conditions = [*(rule.condition for rule in self.rows), *(rule.when for rule in self.masks)]
        return any("name" in c.attributes for c in conditions if c is not None)

    def limits_for(self, identity: Identity) -> Limits | None:
        """The lowest of each limit over the rules for the identity's roles, or None where there is no rule."""
        rules = [rule.limits for rule in self.limits if rule.roles & set(identity.roles)]
        return None if identity.bypass or not rules else _lowest(rules)

    def mask_for(self, identity: Identity, table: Name, column: str) -> MaskRule | None:
        """The rule that masks this whole column for this identity, or None. Most precise rule first."""
        rule = self._rule_for(table, column)
        return None if rule is None or rule.exempts(identity.roles) else rule

    def paths_for(self, identity: Identity, table: Name, column: str) -> tuple[tuple[Path, MaskRule], ...]:
        """The rules that mask parts of this column for this identity, longest path first."""
        rules = self._path_rules(table, column).items()
        found = [(path, rule) for path, rule in rules if not rule.exempts(identity.roles)]
        return tuple(sorted(found, key=lambda pair: -len(pair[0])))

    def tags_of(self, table: Name, column: str) -> frozenset[str]:
        """Every tag that a `columns` rule puts on this column, without those that they inherit from."""
        return frozenset(r.tag for r in self.tags if any(column_matches(p, table, column) for p in r.columns))

    def is_private(self, table: Name, column: str) -> bool:
        """Tagged, or under a mask for somebody, in whole or in part: its values never reach a model."""
        tagged = any(column_matches(p, table, column) for r in self.tags if r.private for p in r.columns)
        if tagged or self._rule_for(table, column) is not None:
            return True
        return bool(self._path_rules(table, column)) or self._has_tagged_path(table, column)

    def names(self, table: Name, column: str) -> bool:
        """Whether any tag or mask rule names the column, or a part of it, a glob included."""
        return any(column_matches(p, table, column) for p in self._claimed)

    def names_columns_of(self, table: Name) -> bool:
        """Whether a tag or mask rule names columns of exactly this table: a glob that happens to match does not."""
        return any(tuple(p.split(".")[:2]) == table for p in self._claimed)

    def why(self, rule: MaskRule, table: Name, column: str) -> str:
        """In words, why `rule` is the one that holds for the column."""
        if rule is self.unnamed_columns:
            return "no rule names the column"
        if rule.tag is not None:
            own = self.tags_of(table, column)
            via = next((tag for tag in sorted(own) if rule.tag in self.lineage(tag)), rule.tag)
            return f"tag {rule.tag}" if via == rule.tag else f"tag {via}, which is {rule.tag}"
        ranks = [is_glob(p) for p in rule.columns if column_matches(p, table, column)]
        return "a pattern" if ranks and all(ranks) else "named"

    def lineage(self, tag: str) -> tuple[str, ...]:
        """The tag, then what it inherits from, nearest first."""
        found = [tag]
        while (parent := self.tag_parents.get(found[-1])) is not None:
            found.append(parent)
        return tuple(found)

    # Time

    def at(self, moment: datetime) -> Policy:
        """The policy without the exceptions that have ended by `moment`."""
        if all(exemption.holds(moment) for rule in self.masks for exemption in rule.exemptions):
            return self
        masks = tuple(
            replace(rule, exemptions=tuple(e for e in rule.exemptions if e.holds(moment))) for rule in self.masks
        )
        return replace(self, masks=masks)

    def without_ends(self) -> Policy:
        """The policy without any exception that ends."""
        masks = tuple(replace(r, exemptions=tuple(e for e in r.exemptions if e.until is None)) for r in self.masks)
        return replace(self, masks=masks)

    def ends_for(self, identity: Identity) -> dict[Where, str]:
        """The rules (by their place) from which the identity is excepted for a time, and the last moment of that, in
        UTC as ISO 8601."""
        found: dict[Where, str] = {}
        for rule in self.masks:
            ends = [e.until for e in rule.exemptions if e.until is not None and e.role in identity.roles]
            if ends:
                found[rule.where] = max(ends).astimezone(UTC).isoformat()
        return found

    def identity_of(self, roles: tuple[str, ...]) -> Identity:
        """Somebody with exactly these roles, and no name. Raises KeyError for a role that is not there."""
        found = [self.roles[name] for name in roles]
        return Identity("", tuple(r.name for r in found), all(r.bypass for r in found), _attributes(found))

    def changes_at(self) -> datetime | None:
        """The next moment at which an exception ends, or None."""
        ends = [e.until for rule in self.masks for e in rule.exemptions if e.until is not None]
        return min(ends, default=None)

    # Precedence

    @cached_property
    def _memo(self) -> dict[tuple[Name, str], MaskRule | None]:
        return {}

    @cached_property
    def _claimed(self) -> tuple[str, ...]:
        """Every column pattern of a tag or mask rule."""
        rules: tuple[TagRule | MaskRule, ...] = (*self.tags, *self.masks)
        return tuple([p for r in rules for p in r.columns] + [p.pattern for p in self._paths])

    @cached_property
    def _paths(self) -> tuple[ColumnPath, ...]:
        rules: tuple[TagRule | MaskRule, ...] = (*self.tags, *self.masks)
        return tuple(path for rule in rules for path in rule.paths)

    def _rule_for(self, table: Name, column: str) -> MaskRule | None:
        key = (table, column)
        if key not in self._memo:
            ranked = [pair for rule in self.masks if (pair := self._precedence(rule, table, column))]
            found = min(ranked, key=lambda pair: pair[0])[1] if ranked else None
            if found is None and not self.names(table, column):
                found = self.unnamed_columns
            self._memo[key] = found
        return self._memo[key]

    def _precedence(self, rule: MaskRule, table: Name, column: str) -> tuple[tuple[int, int], MaskRule] | None:
        """(0, 0) named, (1, generations) tag, (2, 0) glob; None where the rule says nothing of the column."""
        if rule.tag is not None:
            lineages = [self.lineage(tag) for tag in self.tags_of(table, column)]
            ages = [line.index(rule.tag) for line in lineages if rule.tag in line]
            return ((1, min(ages)), rule) if ages else None
        ranks = [2 if is_glob(p) else 0 for p in rule.columns if column_matches(p, table, column)]
        return ((min(ranks), 0), rule) if ranks else None

    def _path_rules(self, table: Name, column: str) -> dict[Path, MaskRule]:
        """Path into the column to the rule that holds there, by the same precedence."""
        if not self._paths:
            return {}
        found: dict[Path, tuple[tuple[int, int], MaskRule]] = {}
        for rule in self.masks:
            for path, rank in self._path_ranks(rule, table, column):
                if path not in found or rank < found[path][0]:
                    found[path] = (rank, rule)
        return {path: rule for path, (_, rule) in found.items()}

    def _path_ranks(self, rule: MaskRule, table: Name, column: str) -> Iterator[tuple[Path, tuple[int, int]]]:
        for path in rule.paths:
            if column_matches(path.pattern, table, column):
                yield path.steps, (2 if is_glob(path.pattern) else 0, 0)
        if rule.tag is None:
            return
        for tagged in self.tags:
            line = self.lineage(tagged.tag)
            for path in tagged.paths:
                if rule.tag in line and column_matches(path.pattern, table, column):
                    yield path.steps, (1, line.index(rule.tag))

    def _has_tagged_path(self, table: Name, column: str) -> bool:
        return any(column_matches(p.pattern, table, column) for r in self.tags for p in r.paths)


def _attributes(roles: Iterable[Role]) -> tuple[tuple[str, AttributeValue], ...]:
    found: dict[str, list[AttributeValue]] = {}
    for role in roles:
        for name, value in role.attributes.items():
            found.setdefault(name, []).append(value)
    # True == 1 in Python, and not in SQL.
    same = {name: len({repr(value) for value in values}) == 1 for name, values in found.items()}
    return tuple((name, values[0]) for name, values in sorted(found.items()) if same[name])


def _lowest(rules: list[Limits]) -> Limits:
    lowest = {
        f.name: min((v for rule in rules if (v := getattr(rule, f.name)) is not None), default=None)
        for f in fields(Limits)
    }
    return Limits(**lowest)
