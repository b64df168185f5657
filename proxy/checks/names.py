"""Names in a policy that the catalogue does not have: rules that match nothing.

It does not know other databases that the same policy may be for: a pattern whose schema and table are both globs may
match nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from proxy.checks.finding import Finding
from proxy.policy.catalog import SYSTEM_SCHEMAS, Catalog, Relation
from proxy.policy.family import family
from proxy.policy.load_draft import Claim, Draft
from proxy.policy.model import Policy
from proxy.policy.patterns import column_matches, glob_matches, is_glob
from proxy.policy.rules import TableRule


def unknown_names(policy: Policy, draft: Draft, catalog: Catalog) -> Iterator[Finding]:
    """Tables, columns, functions and constraints that no relation has."""
    relations = catalog.user_relations()
    for _, claims in (*draft.tables, *draft.rows):
        for claim in claims:
            yield from _missing_table(claim, relations)
    for _, claims in (*draft.tags, *draft.masks):
        for claim in claims:
            yield from _missing_column(claim, relations)
    yield from _missing_functions(policy, draft, catalog)
    for rule, _ in draft.tables:
        yield from _missing_constraints(rule, catalog)


def _missing_table(claim: Claim, relations: list[Relation]) -> Iterator[Finding]:
    schema, table = claim.pattern.split(".")
    if schema in SYSTEM_SCHEMAS:
        yield Finding(claim.where, f"{claim.pattern} is the system's", "Its relations have built-in rules.")
    elif not (is_glob(schema) and is_glob(table)) and not any(glob_matches(claim.pattern, r.key) for r in relations):
        if is_glob(claim.pattern):
            yield Finding(claim.where, f"no table or view matches {claim.pattern}")
        else:
            near = near_name(claim.pattern, (r.qualified for r in relations))
            yield Finding(claim.where, f"no such table or view: {claim.pattern}", near)


def _missing_column(claim: Claim, relations: list[Relation]) -> Iterator[Finding]:
    schema, table, column = claim.pattern.split(".")
    if schema in SYSTEM_SCHEMAS:
        yield Finding(claim.where, f"{claim.pattern} is the system's", "Its relations have built-in rules.")
        return
    if is_glob(schema) and is_glob(table):
        return
    found = [r for r in relations if glob_matches(f"{schema}.{table}", r.key)]
    if any(column_matches(claim.pattern, r.key, c.name) for r in found for c in r.columns):
        return
    if is_glob(claim.pattern):
        yield Finding(claim.where, f"no column matches {claim.pattern}")
    elif found:
        near = near_name(column, (c.name for c in found[0].columns))
        yield Finding(claim.where, f"{schema}.{table} has no column {column}", near)
    else:
        near = near_name(claim.pattern, (f"{r.qualified}.{c.name}" for r in relations for c in r.columns))
        yield Finding(claim.where, f"no such column: {claim.pattern}", near)


def _missing_functions(policy: Policy, draft: Draft, catalog: Catalog) -> Iterator[Finding]:
    signatures = {f.signature for f in catalog.functions}
    for signature in sorted(policy.trusted_functions):
        name = signature.partition("(")[0]
        builtin = name.startswith("pg_catalog.") and name.removeprefix("pg_catalog.") in catalog.builtin_functions
        if signature not in signatures and not builtin:
            yield Finding(draft.trusted[signature], f"no function {signature}", _near_signature(signature, signatures))


def _missing_constraints(rule: TableRule, catalog: Catalog) -> Iterator[Finding]:
    """Of `reveal`: constraints and indexes, foreign keys from and to a table, and columns of types with checks."""
    relations = [r for r in catalog.user_relations() if rule.matches(r.key)]
    if not rule.reveal or not relations:
        return
    members = {name for r in relations for name in family(catalog, r.key)}
    known = {k.name for k in catalog.foreign_keys if members & {k.table, k.ref_table}}
    for relation in (catalog.relations[member] for member in members & catalog.relations.keys()):
        known |= {c.name for c in relation.constraints} | {c.name for c in relation.columns}
    for name in sorted(rule.reveal - known):
        yield Finding(
            rule.where, f"reveal: no table of this rule has a constraint or index {name}", near_name(name, known)
        )


def near_name(name: str, known: Iterable[str]) -> str | None:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"Did you mean {close[0]}?" if close else None


def _near_signature(signature: str, known: set[str]) -> str | None:
    """The overloads of that name, or the nearest signature."""
    overloads = sorted(s for s in known if s.partition("(")[0] == signature.partition("(")[0])
    return f"There is: {', '.join(overloads)}." if overloads else near_name(signature, known)
