"""What is wrong with the rules of a whole policy together: two masks for one column, and tags that hang on nothing.

Two mask rules of one precedence for one column are refused, whatever their `except` says: which one holds would hang
on the order of the files, and a user in both excepted roles would see the column clear.

It does not know the database: patterns are held against each other by their text alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from proxy.policy.load_draft import Claim, Draft
from proxy.policy.load_patterns import meet
from proxy.policy.patterns import Path, is_glob
from proxy.policy.rules import MaskRule, Predicates, Where
from proxy.settings.nearest import nearest

Named = frozenset[tuple[str, Path]]
"""The columns, and parts of columns, that a mask rule names without a glob."""


def check_conflicts(draft: Draft) -> None:
    """Complains of everything that only the whole policy shows."""
    named: dict[tuple[str, Path], tuple[int, Claim]] = {}
    globs: list[tuple[int, Claim]] = []
    tagged: dict[str, MaskRule] = {}
    for number, (rule, claims) in enumerate(draft.masks):
        if rule.tag is not None:
            if rule.tag in tagged:
                _conflict(draft, rule.where, f"the tag {rule.tag!r}", tagged[rule.tag].where)
            tagged.setdefault(rule.tag, rule)
        for claim in claims:
            if is_glob(claim.pattern):
                globs.append((number, claim))
                continue
            first, other = named.setdefault((claim.pattern, claim.steps), (number, claim))
            if first != number:
                what = "the part" if claim.steps else "the column"
                _conflict(draft, claim.where, f"{what} {claim}", other.where)
    for (number, claim), (later, other) in combinations(globs, 2):
        if number != later and _claims_meet(claim, other):
            what = f"columns that both {claim} and {other} match"
            _conflict(draft, other.where, what, claim.where, "Name the column, or narrow one of the patterns.")
    _check_tags(draft, tagged, frozenset(named))
    _check_inheritance(draft)


def _conflict(draft: Draft, where: Where, what: str, first: Where, hint: str | None = None) -> None:
    draft.problems.add(where, f"a second mask for {what}; the first is at {first}", hint or "Keep one of the two.")


def _claims_meet(first: Claim, second: Claim) -> bool:
    return first.steps == second.steps and meet(first.pattern, second.pattern)


# Tags


def _check_tags(draft: Draft, tagged: Mapping[str, MaskRule], named: Named) -> None:
    """Tags with different masks, equally near, that one column could carry. One that a rule names is settled."""
    claims: dict[str, list[Claim]] = {}
    for rule, found in draft.tags:
        claims.setdefault(rule.tag, []).extend(found)
    effective = {tag: _effective(draft, tag, tagged) for tag in claims}
    for first, second in combinations(claims, 2):
        one, other = effective[first], effective[second]
        if one is None or other is None or one[0] != other[0] or _same_effect(one[1], other[1]):
            continue
        both = _first_meeting(claims[first], claims[second], named)
        if both is not None:
            draft.problems.add(
                both[1].where,
                f"{both[1]} (tag {second!r}) and {both[0]} (tag {first!r}, at {both[0].where})"
                " can be one column, and the tags have different masks",
                "Narrow one of the patterns, or name the column under `masks`.",
            )
    for tag, mask in tagged.items():
        if mask.predicates is not Predicates.MASKED:
            _check_predicates(draft, tag, mask)


def _effective(draft: Draft, tag: str, tagged: Mapping[str, MaskRule]) -> tuple[int, MaskRule] | None:
    """The mask that a tag has or inherits, and over how many generations."""
    found = ((age, tagged[name]) for age, name in enumerate(draft.lineage(tag)) if name in tagged)
    return next(found, None)


def _same_effect(first: MaskRule, second: MaskRule) -> bool:
    return (first.mask, first.exemptions, first.when, first.predicates) == (
        second.mask,
        second.exemptions,
        second.when,
        second.predicates,
    )


def _first_meeting(first: Sequence[Claim], second: Sequence[Claim], named: Named) -> tuple[Claim, Claim] | None:
    for one in first:
        for other in second:
            if {(one.pattern, one.steps), (other.pattern, other.steps)} & named:
                continue
            if _claims_meet(one, other):
                return one, other
    return None


def _check_predicates(draft: Draft, tag: str, rule: MaskRule) -> None:
    parts = (
        claim for found, claims in draft.tags if tag in draft.lineage(found.tag) for claim in claims if claim.steps
    )
    part = next(parts, None)
    if part is not None:
        draft.problems.add(
            rule.where,
            f"predicates: {rule.predicates} cannot hold for {part} (at {part.where}), a part of a column",
            "Give parts of columns a tag of their own.",
        )


def _check_inheritance(draft: Draft) -> None:
    """Tags of `tags` that nothing carries, parents that nothing names, and cycles."""
    parents = {found.parent for found in draft.inherited.values()}
    for tag, found in draft.inherited.items():
        if tag not in draft.carried and tag not in parents:
            known = draft.carried | parents
            draft.problems.add(found.where, f"no column carries the tag {tag!r}{nearest(tag, known)}")
        others = (draft.carried | draft.masked_tags | draft.inherited.keys()) - {tag}
        if found.parent != tag and found.parent not in others:
            message = f"no column carries the tag {found.parent!r}, and no mask names it"
            draft.problems.add(found.parent_where, message + (nearest(found.parent, others) if others else ""))
    for cycle in _cycles(draft):
        where = min((draft.inherited[tag].where for tag in cycle), key=lambda w: (w.file, w.line, w.column))
        line = " -> ".join((*cycle, cycle[0]))
        draft.problems.add(where, f"tags inherit in a circle: {line}", "Leave one of them out.")


def _cycles(draft: Draft) -> Iterator[tuple[str, ...]]:
    parents, seen = draft.tag_parents, set[str]()
    for start in parents:
        path: list[str] = []
        tag: str | None = start
        while tag is not None and tag not in seen:
            seen.add(tag)
            path.append(tag)
            tag = parents.get(tag)
        if tag in path:
            yield tuple(path[path.index(tag) :])
