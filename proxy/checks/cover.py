"""What a policy leaves out: tables and columns that no rule names, and what it allows and the veil refuses.

It does not ask the server.
"""

from __future__ import annotations

from collections.abc import Iterator

from proxy.checks.finding import Finding, listed, place_of, warning
from proxy.policy.catalog import Catalog, Name, Relation
from proxy.policy.family import ancestors, family
from proxy.policy.floor import PREFIX
from proxy.policy.load_draft import Draft
from proxy.policy.model import Policy
from proxy.policy.patterns import glob_matches
from proxy.policy.planning import rewrite_view
from proxy.policy.refused import HINT, Refused
from proxy.policy.relations import READABLE_KINDS, MaskedRelations
from proxy.policy.rules import Where


def relations_of(catalog: Catalog) -> list[Relation]:
    """What a policy is for: everything with rows but the floor's own views."""
    return [r for r in catalog.user_relations() if r.kind in READABLE_KINDS and not r.schema.startswith(PREFIX)]


def tables_without_rules(policy: Policy, draft: Draft, catalog: Catalog) -> Iterator[Finding]:
    """A table that no rule of `tables` names: closed, or with `defaults.tables: allow` open to everybody."""
    found = [r for r in relations_of(catalog) if not _is_named(policy, r.key)]
    where = place_of(draft, "tables")
    if policy.allow_unnamed_tables:
        if found:
            names = listed([r.qualified for r in found])
            hint = "Name them under `tables`, or set defaults.tables: deny."
            yield Finding(where, f"tables without rules, open to every role: {names}", hint)
        return
    # A partition is mostly read through its parent.
    closed = [r.qualified for r in found if not any(_is_named(policy, a) for a in ancestors(catalog, r.key))]
    if closed:
        yield warning(where, f"tables without rules, closed to every masked role: {listed(closed)}")


def _is_named(policy: Policy, name: Name) -> bool:
    return any(rule.matches(name) for rule in policy.tables)


def unnamed_columns(policy: Policy, catalog: Catalog) -> list[tuple[Relation, str]]:
    """The columns of allowed tables that `defaults.columns: mask` hides, or would hide; parents before children, whose
    columns of the same name go with theirs."""
    found: list[tuple[Relation, str]] = []
    seen: set[tuple[Name, str]] = set()
    for relation in sorted(relations_of(catalog), key=lambda r: (len(ancestors(catalog, r.key)), r.key)):
        if relation.kind == "v" or not (policy.allow_unnamed_tables or _is_named(policy, relation.key)):
            continue
        members = family(catalog, relation.key)
        for column in relation.columns:
            if any((name, column.name) in seen or policy.names(name, column.name) for name in members):
                continue
            seen.add((relation.key, column.name))
            found.append((relation, column.name))
    return sorted(found, key=lambda pair: pair[0].key)


def columns_without_rules(policy: Policy, draft: Draft, catalog: Catalog) -> Iterator[Finding]:
    if policy.unnamed_columns is None:
        return
    names = [f"{relation.qualified}.{column}" for relation, column in unnamed_columns(policy, catalog)]
    if names:
        text = f"columns without rules, masked by defaults.columns: {listed(names)}"
        yield warning(place_of(draft, "columns"), text, "`pgveil columns` prints a rule that names them.")


def refused_relations(policy: Policy, draft: Draft, catalog: Catalog) -> Iterator[Finding]:
    """What a rule allows and the veil refuses all the same, with its reason: a materialised view over protected
    columns, a foreign table, a view whose definition it cannot mask."""
    found: dict[tuple[Where, str, str, str | None], list[str]] = {}
    for role in policy.roles.values():
        if role.bypass:
            continue
        relations = MaskedRelations(policy, catalog, policy.identity_of((role.name,)), rewrite_view)
        for relation in relations_of(catalog):
            if not relations.may_read(relation) or _filter_does_not_fit(policy, relation):
                continue
            try:
                relations.replacement(relation)
            except Refused as refused:
                where = _allowed_at(policy, role.name, relation.key) or place_of(draft, "tables")
                key = (where, relation.qualified, refused.refusal.message, said(refused))
                found.setdefault(key, []).append(role.name)
    for (where, name, message, hint), roles in found.items():
        yield warning(where, f"{name} is allowed and refused to {listed(roles)}: {message}", hint)


def said(refused: Refused) -> str | None:
    """The refusal's hint, where it says more than where the documentation is."""
    return None if refused.refusal.hint == HINT else refused.refusal.hint


def _filter_does_not_fit(policy: Policy, relation: Relation) -> bool:
    """Said already, as a problem of the filter."""
    rules = [rule for rule in policy.rows if any(glob_matches(p, relation.key) for p in rule.patterns)]
    return any(relation.column(name) is None for rule in rules for name in rule.condition.columns)


def _allowed_at(policy: Policy, role: str, name: Name) -> Where | None:
    return next((rule.where for rule in policy.tables if role in rule.roles and rule.matches(name)), None)


def closing_casts(policy: Policy, draft: Draft, catalog: Catalog) -> Iterator[Finding]:
    """Code that PostgreSQL may run though no statement names it: while nobody trusts it, every statement is refused."""
    for cast in catalog.casts:
        own = cast.function.startswith("information_schema._pg_")
        if cast.harmless or own or cast.function in policy.trusted_functions:
            continue
        text = f"the database may call {cast.function} by itself, for type {cast.target}: every statement is refused"
        hint = f'functions: {{trust: ["{cast.function}"]}} opens it.'
        yield Finding(place_of(draft, "statements"), text, hint)


def unreadable(draft: Draft, policy: Policy, catalog: Catalog) -> Iterator[Finding]:
    """Tables that the policy allows and the account of the upstream may not read."""
    names = [r.qualified for r in relations_of(catalog) if not r.readable and _is_named(policy, r.key)]
    if names:
        text = f"the upstream's account {catalog.user} may not read: {listed(names)}"
        yield warning(place_of(draft, "tables"), text, "GRANT SELECT to it; statements that read them fail.")
