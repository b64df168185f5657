"""The sections about columns and rows: `columns`, `tags`, `masks` and `rows`, read into rules.

It does not know which of two rules wins, or whether two conflict: that is `load_conflicts`'.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from proxy.policy.expressions import Expression
from proxy.policy.load_draft import (
    Claim,
    Draft,
    Inheritance,
    column_patterns,
    named_roles,
    parts_of_columns,
    read_condition,
    read_role_names,
    refuse_bypass,
    require_plain_name,
    table_pattern,
    table_patterns,
    whole_columns,
)
from proxy.policy.load_yaml import Item
from proxy.policy.masks import MaskProblem, Parameter, build_mask
from proxy.policy.rules import Exemption, Mask, MaskRule, Predicates, RowRule, TagRule
from proxy.settings.nearest import nearest


def read_columns(draft: Draft, section: Item) -> None:
    for rule in section.items("columns"):
        found = rule.fields("a rule for columns", ("columns", "tag", "private"), ("columns", "tag"))
        claims = column_patterns(found.get("columns"))
        tag = found["tag"].text("tag") if "tag" in found else None
        if tag is not None:
            require_plain_name(found["tag"], "the tag", tag)
            private = found["private"].flag("private") is not False if "private" in found else True
            made = TagRule(whole_columns(claims), tag, rule.where, parts_of_columns(claims), private)
            draft.tags.append((made, claims))


def read_tags(draft: Draft, section: Item) -> None:
    """Whether the tags exist, and form no cycle, is asked once all is read: `load_conflicts`."""
    for key, tag, value in section.pairs("tags"):
        require_plain_name(key, "the tag", tag)
        parent = value.text(f"the parent of the tag {tag}")
        if tag in draft.inherited:
            key.complain(f"the tag {tag} has a parent already", f"First at {draft.inherited[tag].where}.")
        elif parent is not None:
            draft.inherited[tag] = Inheritance(parent, key.where, value.where)


# Masks


def read_masks(draft: Draft, section: Item) -> None:
    keys = ("tag", "columns", "mask", "with", "except", "when", "predicates", "reason")
    for rule in section.items("masks"):
        found = rule.fields("a rule for masks", keys, ("mask",))
        if ("tag" in found) == ("columns" in found):
            rule.complain("a rule for masks needs either 'tag' or 'columns'")
        exemptions = read_except(draft, found["except"]) if "except" in found else ()
        claims = column_patterns(found.get("columns"))
        tag = _tag(draft, found["tag"]) if "tag" in found else None
        mask = _mask(found)
        when = _when(draft, found["when"], exemptions) if "when" in found else None
        predicates = _predicates(found, claims)
        reason = found["reason"].text("reason") if "reason" in found else None
        if mask is not None and (tag is None) != (not claims):
            made = MaskRule(
                mask,
                rule.where,
                tag,
                whole_columns(claims),
                parts_of_columns(claims),
                exemptions=exemptions,
                when=when,
                predicates=predicates,
                reason=reason,
            )
            draft.masks.append((made, claims))


def _tag(draft: Draft, item: Item) -> str | None:
    tag = item.text("tag")
    if tag is None:
        return None
    draft.masked_tags.add(tag)
    if tag not in draft.tag_names:
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


def _when(draft: Draft, item: Item, exemptions: tuple[Exemption, ...]) -> Expression | None:
    # A role that is excepted for a time only is masked after it.
    free = {exemption.role for exemption in exemptions if exemption.until is None}
    roles = [role.name for role in draft.roles.values() if not role.bypass and role.name not in free]
    return read_condition(draft, item, "when", roles)


def _predicates(found: Mapping[str, Item], claims: tuple[Claim, ...]) -> Predicates:
    """What is left when something is wrong with it: the strictest that needs nothing else."""
    item = found.get("predicates")
    text = item.text("predicates") if item is not None else None
    if item is None or text is None:
        return Predicates.MASKED
    kinds = {kind.value: kind for kind in Predicates}
    kind = kinds.get(text, Predicates.MASKED)
    if text not in kinds:
        item.complain(f"unknown predicates {text!r}{nearest(text, kinds)}")
    if kind is not Predicates.MASKED and (part := next((c for c in claims if c.steps), None)) is not None:
        item.complain(
            f"predicates: {kind} cannot hold for {part}, a part of a column",
            "Name whole columns in a rule of their own.",
        )
    if kind in (Predicates.RAW, Predicates.TOKEN) and "when" in found:
        item.complain(f"predicates: {kind} cannot stand together with `when`", "Leave out one of the two.")
    if kind is Predicates.RAW and "reason" not in found:
        item.complain("predicates: raw needs a 'reason'", "It lets a role find values by comparing: say why it may.")
    return kind


def read_except(draft: Draft, item: Item) -> tuple[Exemption, ...]:
    found: dict[str, Exemption] = {}
    for member in item.items("except"):
        place, exemption = _exemption(draft, member)
        if exemption is None:
            continue
        if exemption.role in found:
            place.complain(f"the role {exemption.role} is excepted twice", "Keep one of the two.")
        found.setdefault(exemption.role, exemption)
    return tuple(found[role] for role in sorted(found))


def _exemption(draft: Draft, item: Item) -> tuple[Item, Exemption | None]:
    """A role's name, or a mapping with it; with the place of the name."""
    if not item.is_mapping:
        name = item.text("a role")
        named_roles(draft, [(item, name)] if name is not None else [])
        return item, None if name is None else Exemption(name)
    found = item.fields("an exception", ("role", "until", "reason", "approved_by"), ("role",))
    place = found.get("role", item)
    name = found["role"].text("a role") if "role" in found else None
    until = _moment(found["until"]) if "until" in found else None
    reason = found["reason"].text("reason") if "reason" in found else None
    approved = found["approved_by"].text("approved_by") if "approved_by" in found else None
    if "until" in found and "reason" not in found:
        item.complain("an exception with 'until' needs a 'reason'")
    if name is None:
        return place, None
    named_roles(draft, [(place, name)])
    return place, Exemption(name, until, reason, approved)


def _moment(item: Item) -> datetime | None:
    """As written: YAML's own reading of a time without a zone would be a guess."""
    text = item.text("until")
    if text is None:
        return None
    hint = "For example 2026-12-31T18:00Z, or 2026-12-31T18:00+05:30."
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        item.complain(f"until: {text!r} is not an ISO 8601 time", hint)
        return None
    if moment.tzinfo is None:
        item.complain(f"until: {text!r} has no time zone", hint)
        return None
    return moment


# Rows


def read_rows(draft: Draft, section: Item) -> None:
    for rule in section.items("rows"):
        found = rule.fields("a rule for rows", ("table", "tables", "roles", "where"), ("where",))
        if ("table" in found) == ("tables" in found):
            rule.complain("a rule for rows needs either 'table' or 'tables'")
        claims = table_patterns(found.get("tables"), "tables")
        if "table" in found and (claim := table_pattern(found["table"], "table")) is not None:
            claims = (*claims, claim)
        roles = read_role_names(draft, found.get("roles"))
        refuse_bypass(draft, found.get("roles"), "row filter")
        masked = [role.name for role in draft.roles.values() if not role.bypass]
        named = roles if "roles" in found else masked
        condition = read_condition(draft, found["where"], "where", named) if "where" in found else None
        if condition is not None:
            made = RowRule(tuple(claim.pattern for claim in claims), condition, rule.where, roles)
            draft.rows.append((made, claims))
