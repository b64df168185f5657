"""What in the database goes around the veil: code that reads or copies protected values below the masks.

A trusted function runs as it is. A trigger or a rule of a table sees every value of a row, whoever wrote it. Whether
they give anything away is not known here: they are named, for a person to look at.

https://www.postgresql.org/docs/current/sql-createfunction.html, sql-createtrigger.html, rules.html
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from proxy.checks.cover import relations_of
from proxy.checks.finding import Finding, place_of, warning
from proxy.checks.fit import NOBODY
from proxy.policy.catalog import Catalog, Name, Relation
from proxy.policy.load_draft import Draft
from proxy.policy.model import Policy
from proxy.policy.patterns import glob_matches
from proxy.policy.planning import rewrite_view
from proxy.policy.relations import MaskedRelations
from proxy.policy.rules import MaskRule, Where

Fetch = Callable[..., Awaitable[Sequence[tuple[Any, ...]]]]
"""`Feed.fetch`: SQL and its parameters to rows."""

_ARGUMENTS = """pg_catalog.array_to_string(ARRAY(
    SELECT pg_catalog.format_type(u.oid, NULL)
    FROM pg_catalog.unnest(p.proargtypes::oid[]) WITH ORDINALITY AS u(oid, at) ORDER BY u.at), ', ')"""

_FUNCTIONS = f"""
SELECT n.nspname || '.' || p.proname || '(' || {_ARGUMENTS} || ')', p.prosecdef, l.lanname::text
FROM pg_catalog.pg_proc AS p
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
WHERE p.oid >= 16384 ORDER BY 1
"""

_TRIGGERS = f"""
SELECT cn.nspname::text, c.relname::text, g.tgname::text,
       n.nspname || '.' || p.proname || '(' || {_ARGUMENTS} || ')'
FROM pg_catalog.pg_trigger AS g
JOIN pg_catalog.pg_class AS c ON c.oid = g.tgrelid
JOIN pg_catalog.pg_namespace AS cn ON cn.oid = c.relnamespace
JOIN pg_catalog.pg_proc AS p ON p.oid = g.tgfoid
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE NOT g.tgisinternal AND g.tgparentid = 0 ORDER BY 1, 2, 3
"""

_RULES = """
SELECT n.nspname::text, c.relname::text, r.rulename::text
FROM pg_catalog.pg_rewrite AS r
JOIN pg_catalog.pg_class AS c ON c.oid = r.ev_class
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE r.rulename <> '_RETURN' AND r.oid >= 16384 ORDER BY 1, 2, 3
"""

_NO_CODE = frozenset({"c", "internal"})


async def bypasses(fetch: Fetch, policy: Policy, draft: Draft, catalog: Catalog) -> AsyncIterator[Finding]:
    """Everything that a person has to look at. Raises what `fetch` raises."""
    for signature, definer, language in await fetch(_FUNCTIONS):
        where = draft.trusted.get(signature)
        if where is not None and definer:
            text = f"{signature} is trusted and runs with its owner's rights (SECURITY DEFINER)"
            yield warning(where, text, "It may read what the caller may not; what it reads is not masked.")
        elif where is not None and language not in _NO_CODE:
            text = f"{signature} is trusted and written in {language}: tables that it reads are not masked"
            yield warning(where, text, "Look at what it reads.")
    protected = _protected(policy, draft, catalog)
    for schema, table, name, function in await fetch(_TRIGGERS):
        where = protected.get((schema, table))
        if where is not None:
            text = f"the trigger {name} of {schema}.{table} gives {function} every value of protected columns"
            yield warning(where, text, "What it writes elsewhere needs masks of its own.")
    for schema, table, name in await fetch(_RULES):
        where = protected.get((schema, table))
        if where is not None:
            text = f"the rule {name} of {schema}.{table} can copy protected columns; masked roles cannot write there"
            yield warning(where, text, "What other roles' writes copy elsewhere needs masks of its own.")


def _protected(policy: Policy, draft: Draft, catalog: Catalog) -> dict[Name, Where]:
    """Each relation with masked columns or hidden rows, and the place of a rule that says so."""
    relations = MaskedRelations(policy, catalog, NOBODY, rewrite_view)
    found = {}
    for relation in relations_of(catalog):
        masks = relations.column_masks(relation)
        rules = [rule for mask in masks.values() for rule in mask.rules if rule is not policy.unnamed_columns]
        where = _place(policy, relation, rules)
        if where is not None:
            found[relation.key] = where
        elif masks:
            found[relation.key] = place_of(draft, "columns")
    return found


def _place(policy: Policy, relation: Relation, rules: list[MaskRule]) -> Where | None:
    if rules:
        return rules[0].where
    filters = (r.where for r in policy.rows if any(glob_matches(p, relation.key) for p in r.patterns))
    return next(filters, None)
