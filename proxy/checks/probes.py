"""Whether PostgreSQL takes what a policy brings along: constants, masks' SQL, conditions. Statements that only analyse.

Each probe is an EXPLAIN, or a SELECT over no table; none of them reads a row. Conditions are tried for each role by
itself, with the role's own attributes.

It does not know whether an expression raises for some value (`masklints` says what it sees).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import asyncpg

from proxy.checks.bypass import Fetch
from proxy.checks.cover import relations_of, said
from proxy.checks.finding import Finding, warning
from proxy.checks.fit import NOBODY, is_masked_by
from proxy.policy.binding import bound
from proxy.policy.catalog import Catalog, Relation
from proxy.policy.expressions import Expression
from proxy.policy.maskedview import ALIAS, quoted
from proxy.policy.masks import Constant
from proxy.policy.masks_lookup import Lookup
from proxy.policy.masks_sql import Sql
from proxy.policy.model import Policy
from proxy.policy.patterns import glob_matches
from proxy.policy.refused import Refused
from proxy.policy.rules import Where


@dataclass(frozen=True, slots=True)
class Probe:
    """A statement that fails where the server does not take a part of the policy. Without a hint, the server's own
    words are the hint."""

    sql: str
    where: Where
    message: str
    hint: str | None = None


def constants(policy: Policy, catalog: Catalog) -> tuple[Probe, ...]:
    """One probe for each `constant` rule and type of column that it masks."""
    found: dict[tuple[Where, str], Probe] = {}
    for relation in catalog.user_relations():
        for column in relation.columns:
            rule = policy.mask_for(NOBODY, relation.key, column.name)
            if rule is None or not isinstance(rule.mask, Constant):
                continue
            sql = f"SELECT ({rule.mask.expression('NULL', column.type_name)}) IS NULL"
            message = f"the constant is no value of {column.type_name}, the type of {relation.qualified}.{column.name}"
            hint = "Every statement that reads the column would fail."
            found.setdefault((rule.where, column.type_name), Probe(sql, rule.where, message, hint))
    return tuple(found.values())


def masks(policy: Policy, catalog: Catalog) -> tuple[Probe, ...]:
    """One probe for each `sql` or `lookup` rule and type of column that it masks."""
    found: dict[tuple[Where, str], Probe] = {}
    for relation in relations_of(catalog):
        for column in relation.columns:
            rule = policy.mask_for(NOBODY, relation.key, column.name)
            if rule is None or not isinstance(rule.mask, Sql | Lookup):
                continue
            masked = rule.mask.expression(f"{ALIAS}.{quoted(column.name)}", column.type_name)
            message = (
                f"PostgreSQL does not take the mask {rule.mask.name} on {relation.qualified}.{column.name},"
                f" of type {column.type_name}"
            )
            probe = Probe(f"EXPLAIN SELECT {masked} FROM {_from(relation)}", rule.where, message)
            found.setdefault((rule.where, column.type_name), probe)
    return tuple(found.values())


def conditions(policy: Policy, catalog: Catalog) -> Iterator[Probe | Finding]:
    """Row filters and `when`, for each role and kind of table; a Finding where one cannot even be written out."""
    relations = relations_of(catalog)
    for rule in policy.rows:
        matched = [r for r in relations if any(glob_matches(p, r.key) for p in rule.patterns)]
        roles = rule.roles or frozenset(policy.roles)
        yield from _tried(policy, catalog, _Condition("row filter", rule.condition, rule.where, roles), matched)
    for mask in policy.masks:
        if mask.when is not None:
            excepted = {e.role for e in mask.exemptions if e.until is None}
            condition = _Condition("condition", mask.when, mask.where, frozenset(policy.roles) - excepted)
            yield from _tried(policy, catalog, condition, [r for r in relations if is_masked_by(policy, mask, r)])


@dataclass(frozen=True, slots=True)
class _Condition:
    what: str
    expression: Expression
    where: Where
    roles: frozenset[str]


def _tried(
    policy: Policy, catalog: Catalog, condition: _Condition, relations: list[Relation]
) -> Iterator[Probe | Finding]:
    seen = set()
    names = sorted(condition.expression.columns)
    for role in sorted(condition.roles):
        if policy.roles[role].bypass:
            continue
        try:
            sql = bound(condition.expression, policy.identity_of((role,)), catalog, ALIAS)
        except Refused as refused:
            text = f"the {condition.what} cannot be asked for the role {role}: {refused.refusal.message}"
            yield Finding(condition.where, text, said(refused))
            continue
        for relation in relations:
            columns = [relation.column(name) for name in names]
            key = (sql, tuple(c.type_name for c in columns if c is not None))
            if None in columns or key in seen:
                continue
            seen.add(key)
            text = f"PostgreSQL does not take the {condition.what} for the role {role} on {relation.qualified}"
            yield Probe(f"EXPLAIN SELECT 1 FROM {_from(relation)} WHERE {sql}", condition.where, text)


def _from(relation: Relation) -> str:
    return f"{quoted(relation.schema)}.{quoted(relation.name)} AS {ALIAS}"


async def refused_by_server(fetch: Fetch, probe: Probe) -> Finding | None:
    """What the server says to a probe, or None where it takes it. Raises what is no answer of the server's."""
    try:
        await fetch(probe.sql)
    except (asyncpg.InsufficientPrivilegeError, asyncpg.QueryCanceledError) as error:
        return warning(probe.where, f"not checked: {_words(error)}")
    except asyncpg.PostgresError as error:
        return Finding(probe.where, probe.message, probe.hint or _words(error))
    return None


def _words(error: asyncpg.PostgresError) -> str:
    """Its first line; of the policy's own SQL, so there is no value of a table in it."""
    return (str(error).splitlines() or [type(error).__name__])[0]
