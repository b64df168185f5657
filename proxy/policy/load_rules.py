"""The sections of a policy file, read into rules. One reader per section; each leaves what is wrong in its problems.

The sections of all files are read in an order that lets later ones check against earlier ones (roles, then tags, then
what refers to them), whichever file they stand in. Each key is documented in docs/policies.md.

It does not know the database: whether a table or a column exists is `check`'s.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from proxy.policy import load_patterns
from proxy.policy.expressions import AttributeValue, Scalar, is_attribute_name
from proxy.policy.load_columns import read_columns, read_masks, read_rows, read_tags
from proxy.policy.load_draft import (
    EVERYBODY_S,
    Claim,
    Draft,
    read_role_names,
    refuse_bypass,
    require_plain_name,
    table_patterns,
)
from proxy.policy.load_signatures import normalised
from proxy.policy.load_yaml import Item
from proxy.policy.masks import Null
from proxy.policy.rules import LimitRule, Limits, MaskRule, PolicyTest, Role, StatementKind, TableRule
from proxy.settings.nearest import nearest

__all__ = ["SECTIONS", "Claim", "Draft", "sections_of"]

VERSION = "1"
WRITES: Final = (StatementKind.INSERT, StatementKind.UPDATE, StatementKind.DELETE, StatementKind.MERGE)
MAX_SECONDS: Final = 2_147_483
"""PostgreSQL counts milliseconds in 32 bits: https://www.postgresql.org/docs/current/runtime-config-client.html"""
MAX_COUNT: Final = 1 << 53


def read_roles(draft: Draft, section: Item) -> None:
    for key, name, value in section.pairs("roles"):
        require_plain_name(key, "the role", name)
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


def _attributes(item: Item | None) -> Mapping[str, AttributeValue]:
    found: dict[str, AttributeValue] = {}
    for key, name, value in item.pairs("attributes") if item else ():
        if name in EVERYBODY_S:
            key.complain(
                f"the attribute {name} is everybody's own", "`{user.name}` is the login, `{user.roles}` a list."
            )
        elif not is_attribute_name(name):
            key.complain(f"the attribute {name!r} is not a name", "Letters, digits and _, a digit not first.")
        # A faulty one counts as there: one complaint about it is enough.
        found[name] = _attribute(name, value)
    return found


def _attribute(name: str, item: Item) -> AttributeValue:
    if not item.is_list:
        return _scalar(name, item)
    values = tuple(_scalar(name, member) for member in item.items(name))
    if len({type(value) for value in values}) > 1:
        item.complain(f"the values of the attribute {name} have several types", "An array in SQL has one: quote texts.")
    return values


def _scalar(name: str, item: Item) -> Scalar:
    scalar = item.scalar(f"the attribute {name}")
    value = None if scalar is None else scalar[0]
    if value is None:
        if scalar is not None:
            item.complain(f"the attribute {name} has no value")
        return ""
    if (isinstance(value, float) and not math.isfinite(value)) or (isinstance(value, str) and "\0" in value):
        item.complain(f"the attribute {name} has a value that PostgreSQL has not")
    return value


def read_defaults(draft: Draft, section: Item) -> None:
    found = section.fields("defaults", ("tables", "columns", "statements"))
    for name, value in found.items():
        if name in draft.defaults_at:
            value.complain(f"defaults.{name} is set twice", f"First at {draft.defaults_at[name]}.")
        draft.defaults_at.setdefault(name, value.where)
    if "tables" in found:
        draft.allow_unnamed_tables = _one_of(found["tables"], "defaults.tables", ("allow", "deny")) == "allow"
    if "columns" in found and _one_of(found["columns"], "defaults.columns", ("mask", "allow")) == "mask":
        draft.unnamed_columns = MaskRule(Null(), found["columns"].where)
    if "statements" in found:
        kinds = found["statements"].items("defaults.statements")
        draft.statements = _kinds(kinds, "a kind of statement", tuple(StatementKind))


def _one_of(item: Item, what: str, choices: tuple[str, str]) -> str | None:
    text = item.text(what)
    if text is not None and text not in choices:
        item.complain(f"{what} must be {' or '.join(choices)}, not {text!r}")
    return text


def _kinds(items: Iterable[Item], what: str, known: tuple[StatementKind, ...]) -> frozenset[StatementKind]:
    names = {kind.value: kind for kind in known}
    found = set()
    for item in items:
        text = item.text(what)
        if text is not None and text not in names:
            item.complain(f"unknown {what.removeprefix('a ')} {text!r}{nearest(text, names)}")
        elif text is not None:
            found.add(names[text])
    return frozenset(found)


def read_tables(draft: Draft, section: Item) -> None:
    for rule in section.items("tables"):
        found = rule.fields("a rule for tables", ("allow", "roles", "write", "reveal"), ("allow", "roles"))
        claims = table_patterns(found.get("allow"), "allow")
        roles = read_role_names(draft, found.get("roles"))
        write = _kinds(found["write"].items("write") if "write" in found else (), "a kind of writing", WRITES)
        names = found["reveal"].texts("reveal", "a constraint") if "reveal" in found else []
        reveal = frozenset(name for _, name in names)
        made = TableRule(tuple(c.pattern for c in claims), roles, rule.where, write, reveal)
        draft.tables.append((made, claims))


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


# Limits


def read_limits(draft: Draft, section: Item) -> None:
    keys = ("roles", "max_rows", "max_bytes", "statement_timeout_s", "max_cost", "max_concurrent")
    for rule in section.items("limits"):
        found = rule.fields("a rule for limits", keys, ("roles",))
        roles = read_role_names(draft, found.get("roles"))
        refuse_bypass(draft, found.get("roles"), "limit")
        if not found.keys() - {"roles"}:
            rule.complain("a rule for limits needs a limit", f"There is: {', '.join(keys[1:])}.")
        limits = Limits(
            max_rows=_count(found.get("max_rows"), "max_rows"),
            max_bytes=_count(found.get("max_bytes"), "max_bytes"),
            statement_timeout_s=_seconds(found.get("statement_timeout_s")),
            max_cost=_number(found.get("max_cost"), "max_cost"),
            max_concurrent=_count(found.get("max_concurrent"), "max_concurrent"),
        )
        draft.limits.append(LimitRule(roles, limits, rule.where))


def _number(item: Item | None, what: str) -> float | None:
    scalar = item.scalar(what) if item else None
    if item is None or scalar is None:
        return None
    value = scalar[0]
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MAX_COUNT:
        return value
    item.complain(f"{what} must be a positive number")
    return None


def _count(item: Item | None, what: str) -> int | None:
    scalar = item.scalar(what) if item else None
    if item is None or scalar is None:
        return None
    value = scalar[0]
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_COUNT:
        return value
    item.complain(f"{what} must be a positive whole number")
    return None


def _seconds(item: Item | None) -> float | None:
    value = _number(item, "statement_timeout_s")
    if item is not None and value is not None and not 0.001 <= value <= MAX_SECONDS:  # noqa: PLR2004 - milliseconds
        item.complain(f"statement_timeout_s must be from 0.001 to {MAX_SECONDS}")
    return value


# The policy's own tests

_SQLSTATE = re.compile(r"[0-9A-Z]{5}")


def read_tests(draft: Draft, section: Item) -> None:
    for rule in section.items("tests"):
        found = rule.fields("a test", ("name", "as", "sql", "rows", "refused"), ("as", "sql"))
        user = found["as"].text("as") if "as" in found else None
        if user is not None and not any(role.has(user) for role in draft.roles.values()):
            found["as"].complain(f"the user {user!r} is in no role", "It could not log in.")
        sql = found["sql"].text("sql") if "sql" in found else None
        name = found["name"].text("name") if "name" in found else None
        refused, sqlstate = _refusal(found["refused"]) if "refused" in found else (False, None)
        rows = _rows(found["rows"]) if "rows" in found else None
        if refused == ("rows" in found):
            rule.complain("a test needs either 'rows' or 'refused: true'")
        elif user is not None and sql is not None:
            draft.tests.append(PolicyTest(user, sql, rule.where, rows, refused, name, sqlstate))


def _refusal(item: Item) -> tuple[bool, str | None]:
    """`true`, or the SQLSTATE that is expected: 42501 is no number here."""
    text = item.text("refused") if not (item.is_list or item.is_mapping) else None
    if text is not None and _SQLSTATE.fullmatch(text):
        return True, text
    flag = item.flag("refused", "true, false or an SQLSTATE such as 42501")
    return flag is not False, None


def _rows(item: Item) -> tuple[tuple[object, ...], ...]:
    rows = (row.items("a row") for row in item.items("rows"))
    return tuple(tuple(v[0] for value in row if (v := value.scalar("a value")) is not None) for row in rows)


SECTIONS: Mapping[str, Callable[[Draft, Item], None]] = {
    "roles": read_roles,
    "defaults": read_defaults,
    "tables": read_tables,
    "columns": read_columns,
    "tags": read_tags,
    "masks": read_masks,
    "rows": read_rows,
    "functions": read_functions,
    "limits": read_limits,
    "tests": read_tests,
}
"""In reading order: what refers to roles and tags comes behind them."""


def sections_of(document: Item) -> Mapping[str, Item]:
    """The sections of one file, its version checked."""
    found = document.fields("a policy", ("version", "enforce", *SECTIONS), ("version",))
    version = found["version"].text("version") if "version" in found else None
    if version is not None and version != VERSION:
        found["version"].complain(f"version {version} is not known", f"This program reads `version: {VERSION}`.")
    if "enforce" in found:
        found["enforce"].flag("enforce")
    return found
