"""Rules that do not fit what they are for: masks and types, conditions and columns, paths and values, what is over.

It does not ask the server: `probes` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from proxy.checks.finding import Finding, first_and_more, warning
from proxy.checks.names import near_name
from proxy.policy.catalog import Catalog, Column, Relation
from proxy.policy.load_draft import Claim, Draft
from proxy.policy.masklints import lints
from proxy.policy.maskparts import masked_parts
from proxy.policy.masks import Null, SqlMask
from proxy.policy.masks_hash import Hash
from proxy.policy.masks_sql import Sql
from proxy.policy.masktypes import sql_type
from proxy.policy.model import Policy
from proxy.policy.patterns import column_matches, glob_matches, is_glob
from proxy.policy.relations import READABLE_KINDS
from proxy.policy.rules import Identity, MaskRule, Predicates, StatementKind, Where

_ADDING = (StatementKind.INSERT, StatementKind.UPDATE, StatementKind.MERGE)
NOBODY = Identity("", ())
"""In no role, so excepted from nothing: every mask holds for it."""


# Of the files alone.


def expired(policy: Policy, now: datetime) -> Iterator[Finding]:
    """Exceptions that have ended: they may go."""
    for rule in policy.masks:
        for exemption in rule.exemptions:
            if exemption.until is not None and not exemption.holds(now):
                text = f"the exception for the role {exemption.role} ended at {exemption.until.isoformat()}"
                yield warning(rule.where, text, "The mask holds for it again; the exception may go.")


def unfit_predicates(policy: Policy, *, on_floor: bool) -> Iterator[Finding]:
    """What the way in which masked roles log in cannot do."""
    for rule in policy.masks:
        if rule.predicates is Predicates.TOKEN and not on_floor:
            text = "predicates: token needs the floor: without it a statement that compares the column is refused"
            yield warning(rule.where, text, "upstream.login: floor, and `pgveil harden`.")
        if rule.predicates is Predicates.RAW and on_floor:
            text = "predicates: raw cannot be had on the floor, where nobody reads the values below the masks"
            yield warning(rule.where, text, "Comparisons meet the masked values there.")


def doubtful_masks(policy: Policy) -> Iterator[Finding]:
    """What can be said of masks without knowing the columns' types."""
    for rule in policy.masks:
        if not isinstance(rule.mask, Sql | Hash):
            continue
        patterns = rule.columns or tuple(
            p for tag in policy.tags if rule.tag in policy.lineage(tag.tag) for p in tag.columns
        )
        names = dict.fromkeys(p.rpartition(".")[2] for p in patterns) or {"": None}
        for name in names:
            for lint in lints(rule.mask, "text", "" if is_glob(name) else name):
                yield warning(rule.where, lint)


# With the catalogue.


def told_tokens(policy: Policy, catalog: Catalog) -> Iterator[Finding]:
    """Columns that a role sees as tokens and may write: what it writes has the token of what it guesses at."""
    found: dict[tuple[Where, str], list[str]] = {}
    for role in policy.roles.values():
        if role.bypass:
            continue
        identity = policy.identity_of((role.name,))
        for relation, column in _columns(catalog):
            rule = policy.mask_for(identity, relation.key, column.name)
            if rule is None or rule.predicates is not Predicates.TOKEN:
                continue
            if any(policy.may_write(identity, relation.key, kind) for kind in _ADDING):
                found.setdefault((rule.where, role.name), []).append(f"{relation.qualified}.{column.name}")
    for (where, role_name), columns in found.items():
        text = f"{first_and_more(columns)}: the role {role_name} may write it, and see by its token what is there"
        yield warning(where, text, "A guess that is written has the token of the value that it guesses at.")


def doubtful_masks_on(policy: Policy, catalog: Catalog) -> Iterator[Finding]:
    """What is doubtful about each mask on the columns that it holds for."""
    found: dict[tuple[Where, str], list[str]] = {}
    for relation, column in _columns(catalog):
        rule = policy.mask_for(NOBODY, relation.key, column.name)
        if rule is None or not isinstance(rule.mask, SqlMask):
            continue
        for lint in lints(rule.mask, column.type_name, column.name, catalog):
            found.setdefault((rule.where, lint), []).append(f"{relation.qualified}.{column.name}")
    for (where, lint), columns in found.items():
        yield warning(where, f"{first_and_more(columns)}: {lint}")


def unfit_conditions(policy: Policy, catalog: Catalog) -> Iterator[Finding]:
    """Conditions over columns that a table of theirs has not."""
    readable = [r for r in catalog.user_relations() if r.kind in READABLE_KINDS]
    for rule in policy.rows:
        matched = [r for r in readable if any(glob_matches(p, r.key) for p in rule.patterns)]
        for name, lacking in _lacking(rule.condition.columns, matched).items():
            text = f"the condition needs a column {name}, which {first_and_more(lacking)} has not"
            near = _near_column(name, matched)
            yield Finding(rule.where, text, near or "Statements that read the table are refused.")
    for mask in policy.masks:
        if mask.when is None:
            continue
        matched = [r for r in readable if is_masked_by(policy, mask, r)]
        for name, lacking in _lacking(mask.when.columns, matched).items():
            text = f"`when` needs a column {name}, which {first_and_more(lacking)} has not: the mask always holds there"
            make = Finding if len(lacking) == len(matched) else warning
            yield make(mask.where, text, _near_column(name, matched))


def _lacking(names: Iterable[str], relations: list[Relation]) -> Mapping[str, list[str]]:
    found = {name: [r.qualified for r in relations if r.column(name) is None] for name in sorted(names)}
    return {name: lacking for name, lacking in found.items() if lacking}


def _near_column(name: str, relations: list[Relation]) -> str | None:
    return near_name(name, {c.name for r in relations if r.column(name) is None for c in r.columns})


def is_masked_by(policy: Policy, rule: MaskRule, relation: Relation) -> bool:
    """Whether the rule decides for a column of the relation, or for a part of one."""
    for column in relation.columns:
        if policy.mask_for(NOBODY, relation.key, column.name) is rule:
            return True
        if any(found is rule for _, found in policy.paths_for(NOBODY, relation.key, column.name)):
            return True
    return False


def unfit_paths(draft: Draft, catalog: Catalog) -> Iterator[Finding]:
    """Paths into values of types that have no such part: the column reads as NULL."""
    for _, claims in (*draft.tags, *draft.masks):
        for claim in claims:
            if claim.steps:
                yield from _unfit_path(claim, catalog)


def _unfit_path(claim: Claim, catalog: Catalog) -> Iterator[Finding]:
    matched = [(r, c) for r, c in _columns(catalog) if column_matches(claim.pattern, r.key, c.name)]
    unfit = [(r, c) for r, c in matched if not _has_part(c, claim, catalog)]
    if not unfit:
        return
    column = unfit[0][1]
    names = first_and_more([f"{r.qualified}.{c.name}" for r, c in unfit])
    part = "".join(map(str, claim.steps))
    fields = catalog.composites.get(column.type_name.removesuffix("[]"), ())
    near = near_name(claim.steps[0].name, (name for name, _ in fields))
    text = f"{names} is {column.type_name}, which has no {part}: the whole column reads as NULL"
    yield (Finding if len(unfit) == len(matched) else warning)(claim.where, text, near)


def _has_part(column: Column, claim: Claim, catalog: Catalog) -> bool:
    """Whether `maskparts` finds the path in the type; a field that is not there makes the field itself NULL."""
    made = masked_parts("t.c", column.type_name, [(claim.steps, Null())], catalog.composites)
    return made != sql_type(column.type_name).null()


def _columns(catalog: Catalog) -> Iterator[tuple[Relation, Column]]:
    for relation in catalog.user_relations():
        if relation.kind in READABLE_KINDS:
            yield from ((relation, column) for column in relation.columns)
