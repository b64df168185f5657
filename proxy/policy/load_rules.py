"""The sections of a policy file, read into rules. One reader per section; each leaves what is wrong in `problems`.

The sections of all files are read in an order that lets later ones check against earlier ones (roles, then tags, then
what refers to them), whichever file they stand in. Each key is documented in docs/policies.md.

It does not know the database: whether a table or a column exists is `check`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from proxy.policy import load_patterns
from proxy.policy.load_signatures import normalised
from proxy.policy.load_yaml import Item, Problems
from proxy.policy.masks import MaskProblem, Parameter, build_mask
from proxy.policy.rules import (
    DEFAULT_STATEMENTS,
    Exemption,
    Mask,
    MaskRule,
    PolicyTest,
    Role,
    StatementKind,
    TableRule,
    TagRule,
    Where,
)
from proxy.settings.nearest import nearest

VERSION = "1"


@dataclass(frozen=True, slots=True)
class Claim:
    """A pattern and where it stands: what conflicts are made of, and what `check` holds against the catalogue."""

    pattern: str
    where: Where


@dataclass(slots=True)
class Draft:
    """The policy as far as it is read."""

    problems: Problems
    roles: dict[str, Role] = field(default_factory=dict)
    tables: list[tuple[TableRule, tuple[Claim, ...]]] = field(default_factory=list)
    tags: list[tuple[TagRule, tuple[Claim, ...]]] = field(default_factory=list)
    masks: list[tuple[MaskRule, tuple[Claim, ...]]] = field(default_factory=list)
    statements: frozenset[StatementKind] = DEFAULT_STATEMENTS
    allow_unnamed_tables: bool = False
    defaults_at: dict[str, Where] = field(default_factory=dict)
    trusted: dict[str, Where] = field(default_factory=dict)
    tests: list[PolicyTest] = field(default_factory=list)

    @property
    def tag_names(self) -> frozenset[str]:
        return frozenset(rule.tag for rule, _ in self.tags)


def read_roles(draft: Draft, section: Item) -> None:
    for key, name, value in section.pairs("roles"):
        found = value.fields(f"the role {name}", ("users", "bypass", "attributes"), ("users",))
        users = found["users"].texts(f"users of the role {name}", "a user") if "users" in found else []
        for item, user in users:
            if load_patterns.fault_of_glob(user):
                item.complain(f"the user {user!r} has a [ without its ]")
        bypass = found["bypass"].flag("bypass") if "bypass" in found else False
        if name in draft.roles:
            key.complain(f"the role {name} is defined twice", f"First at {draft.roles[name].where}.")
            continue
        draft.roles[name] = Role(
            name, tuple(user for _, user in users), key.where, bool(bypass), _attributes(found.get("attributes"))
        )


def _attributes(item: Item | None) -> Mapping[str, str | int | float | bool]:
    found: dict[str, str | int | float | bool] = {}
    for _, name, value in item.pairs("attributes") if item else ():
        scalar = value.scalar(f"the attribute {name}")
        if scalar is not None and scalar[0] is None:
            value.complain(f"the attribute {name} has no value")
        elif scalar is not None and scalar[0] is not None:
            found[name] = scalar[0]
    return found


def read_defaults(draft: Draft, section: Item) -> None:
    found = section.fields("defaults", ("tables", "statements"))
    for name, value in found.items():
        if name in draft.defaults_at:
            value.complain(f"defaults.{name} is set twice", f"First at {draft.defaults_at[name]}.")
        draft.defaults_at.setdefault(name, value.where)
    if "tables" in found and (text := found["tables"].text("defaults.tables")) is not None:
        if text not in {"allow", "deny"}:
            found["tables"].complain(f"defaults.tables must be allow or deny, not {text!r}")
        draft.allow_unnamed_tables = text == "allow"
    if "statements" in found:
        kinds = found["statements"].items("defaults.statements")
        draft.statements = frozenset(kind for item in kinds if (kind := _kind(item)) is not None)


def _kind(item: Item) -> StatementKind | None:
    text = item.text("a kind of statement")
    kinds = {kind.value: kind for kind in StatementKind}
    if text is not None and text not in kinds:
        item.complain(f"unknown kind of statement {text!r}{nearest(text, kinds)}")
    return kinds.get(text or "")


def read_tables(draft: Draft, section: Item) -> None:
    for rule in section.items("tables"):
        found = rule.fields("a rule for tables", ("allow", "roles", "write"), ("allow", "roles"))
        claims = _patterns(found.get("allow"), "allow", load_patterns.TABLE)
        roles = _roles(draft, found.get("roles"), "roles")
        # Accepted, and refused when such a statement comes: this version's masked roles only read.
        kinds = [_kind(item) for item in found["write"].items("write")] if "write" in found else []
        write = frozenset(kind for kind in kinds if kind is not None)
        draft.tables.append((TableRule(tuple(c.pattern for c in claims), roles, rule.where, write), claims))


def read_columns(draft: Draft, section: Item) -> None:
    for rule in section.items("columns"):
        found = rule.fields("a rule for columns", ("columns", "tag"), ("columns", "tag"))
        claims = _patterns(found.get("columns"), "columns", load_patterns.COLUMN)
        tag = found["tag"].text("tag") if "tag" in found else None
        if tag is not None:
            draft.tags.append((TagRule(tuple(c.pattern for c in claims), tag, rule.where), claims))


def read_masks(draft: Draft, section: Item) -> None:
    for rule in section.items("masks"):
        keys = ("tag", "columns", "mask", "with", "except", "when")
        found = rule.fields("a rule for masks", keys, ("mask",))
        if ("tag" in found) == ("columns" in found):
            rule.complain("a rule for masks needs either 'tag' or 'columns'")
        if "when" in found:
            found["when"].complain("masks with a condition are not implemented yet", "Leave out `when`.")
        exemptions = tuple(Exemption(role) for role in sorted(_roles(draft, found.get("except"), "except")))
        claims = _patterns(found.get("columns"), "columns", load_patterns.COLUMN)
        tag = _tag(draft, found["tag"]) if "tag" in found else None
        mask = _mask(found)
        if mask is not None and (tag is None) != (not claims):
            columns = tuple(claim.pattern for claim in claims)
            draft.masks.append((MaskRule(mask, rule.where, tag, columns, exemptions=exemptions), claims))


def _tag(draft: Draft, item: Item) -> str | None:
    tag = item.text("tag")
    if tag is not None and tag not in draft.tag_names:
        near = nearest(tag, draft.tag_names) if draft.tag_names else ""
        item.complain(f"no column carries the tag {tag!r}{near}", "Tags are given under `columns`.")
        return None
    return tag


def _mask(found: Mapping[str, Item]) -> Mask | None:
    """The mask of a rule; a complaint about a parameter stands at that parameter."""
    name = found["mask"].text("mask") if "mask" in found else None
    keys = {text: (key, value) for key, text, value in found["with"].pairs("with")} if "with" in found else {}
    if name is None:
        return None
    parameters: dict[str, Parameter] = {}
    for text, (_, value) in keys.items():
        scalar = _constant(value) if name == "constant" else value.scalar(text)
        if scalar is None:
            return None
        parameters[text] = scalar[0]
    try:
        return build_mask(name, parameters)
    except MaskProblem as problem:
        place = found["mask"] if problem.parameter is None else keys[problem.parameter][0]
        place.complain(problem.message, problem.hint)
        return None


def _constant(item: Item) -> tuple[Parameter] | None:
    """As written: 1.50 is not 1.5 in a text column. A null stays null, to be refused."""
    scalar = item.scalar("value")
    if scalar is None or scalar[0] is None or isinstance(scalar[0], bool):
        return scalar
    return (str(item.node.value),)


def read_functions(draft: Draft, section: Item) -> None:
    found = section.fields("functions", ("trust",))
    for item in found["trust"].items("functions.trust") if "trust" in found else ():
        text = item.text("a signature")
        if text is None:
            continue
        try:
            draft.trusted.setdefault(normalised(text), item.where)
        except ValueError as error:
            item.complain(str(error), "For example: public.distance(point, point).")


def read_tests(draft: Draft, section: Item) -> None:
    for rule in section.items("tests"):
        found = rule.fields("a test", ("as", "sql", "rows", "refused"), ("as", "sql"))
        user = found["as"].text("as") if "as" in found else None
        if user is not None and not any(role.has(user) for role in draft.roles.values()):
            found["as"].complain(f"the user {user!r} is in no role", "It could not log in.")
        sql = found["sql"].text("sql") if "sql" in found else None
        refused = bool(found["refused"].flag("refused")) if "refused" in found else False
        rows = _rows(found["rows"]) if "rows" in found else None
        if refused == ("rows" in found):
            rule.complain("a test needs either 'rows' or 'refused: true'")
        elif user is not None and sql is not None:
            draft.tests.append(PolicyTest(user, sql, rule.where, rows, refused))


def _rows(item: Item) -> tuple[tuple[object, ...], ...]:
    rows = (row.items("a row") for row in item.items("rows"))
    return tuple(tuple(v[0] for value in row if (v := value.scalar("a value")) is not None) for row in rows)


def read_rows(draft: Draft, section: Item) -> None:
    """Row filters: their form is checked, and they are refused."""
    for rule in section.items("rows"):
        found = rule.fields("a rule for rows", ("table", "roles", "where"), ("table", "where"))
        _roles(draft, found.get("roles"), "roles")
        if (table := found.get("table")) is not None:
            _pattern(table, "table", load_patterns.TABLE)
    section.complain("row filters are not implemented yet", "A view with the condition can be allowed instead.")


def read_limits(draft: Draft, section: Item) -> None:
    """Limits: their form is checked, and they are refused."""
    for rule in section.items("limits"):
        found = rule.fields("a rule for limits", ("roles", "max_rows", "statement_timeout_s"), ("roles",))
        _roles(draft, found.get("roles"), "roles")
    section.complain("limits are not implemented yet", "ALTER ROLE ... SET statement_timeout is the server's own.")


def _roles(draft: Draft, item: Item | None, what: str) -> frozenset[str]:
    if item is None:
        return frozenset()
    named = item.texts(what, "a role") if what == "roles" else _listed(item, what)
    for place, name in named:
        if name not in draft.roles:
            place.complain(f"unknown role {name!r}{nearest(name, draft.roles) if draft.roles else ''}")
    return frozenset(name for _, name in named)


def _listed(item: Item, what: str) -> list[tuple[Item, str]]:
    return [(member, text) for member in item.items(what) if (text := member.text("a role")) is not None]


def _patterns(item: Item | None, what: str, parts: tuple[str, ...]) -> tuple[Claim, ...]:
    members: Iterable[Item] = (member for member, _ in item.texts(what, "a pattern")) if item else ()
    return tuple(claim for member in members if (claim := _pattern(member, what, parts)) is not None)


def _pattern(item: Item, what: str, parts: tuple[str, ...]) -> Claim | None:
    text = item.text(what)
    if text is None:
        return None
    fault = load_patterns.fault(text, parts)
    if fault is not None:
        item.complain(*fault)
        return None
    return Claim(text, item.where)


SECTIONS: Mapping[str, Callable[[Draft, Item], None]] = {
    "roles": read_roles,
    "defaults": read_defaults,
    "tables": read_tables,
    "columns": read_columns,
    "masks": read_masks,
    "rows": read_rows,
    "functions": read_functions,
    "limits": read_limits,
    "tests": read_tests,
}
"""In reading order: what refers to roles and tags comes behind them."""


def sections_of(document: Item) -> Mapping[str, Item]:
    """The sections of one file, its version checked."""
    found = document.fields("a policy", ("version", *SECTIONS), ("version",))
    version = found["version"].text("version") if "version" in found else None
    if version is not None and version != VERSION:
        found["version"].complain(f"version {version} is not known", f"This program reads `version: {VERSION}`.")
    return found
