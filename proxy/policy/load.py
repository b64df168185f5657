"""Policy files to a `Policy`, or to every problem that they have, each with its file, line and column.

A policy is one YAML file, or a directory of them that is read as one: `*.yaml` and `*.yml`, not below it. Everything
is checked that can be without a database; `proxy.check` goes on from there.

Two mask rules of one precedence for one column are refused, whatever their `except` says: which one holds would hang
on the order of the files, and a user in both excepted roles would see the column clear.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path

from proxy.policy.load_patterns import meet
from proxy.policy.load_rules import SECTIONS, Claim, Draft, sections_of
from proxy.policy.load_yaml import PolicyProblems, Problem, Problems, read
from proxy.policy.model import Policy
from proxy.policy.patterns import is_glob
from proxy.policy.rules import MaskRule, Where

__all__ = ["PolicyProblems", "Problem", "load_policies"]

SUFFIXES = frozenset({".yaml", ".yml"})


def load_policies(directory: Path) -> Policy:
    """The policy of a directory's files, or of one file.

    Blocks: it reads files, and takes about a millisecond per 20 lines.
    Raises PolicyProblems with everything that is wrong.
    """
    return load_with_places(directory)[0]


def load_with_places(directory: Path) -> tuple[Policy, Draft]:
    """As `load_policies`, with the draft that has each pattern's own place: for what goes on checking."""
    problems = Problems()
    files = _files(directory, problems)
    documents = [item for name, data in files if (item := read(data, name, problems)) is not None]
    sections = [sections_of(document) for document in documents]
    draft = Draft(problems)
    for name, reader in SECTIONS.items():
        for present in sections:
            if name in present:
                reader(draft, present[name])
    if not draft.roles and not problems.found:
        problems.add(documents[0].where, "the policy has no role", "Nobody could log in.")
    _check_conflicts(draft)
    if problems.found:
        # An alias is read wherever it stands; what is wrong with it is said once.
        found = dict.fromkeys(problems.found)
        raise PolicyProblems(sorted(found, key=lambda p: (p.where.file, p.where.line, p.where.column)))
    policy = Policy(
        digest=_digest(files),
        roles=draft.roles,
        tables=tuple(rule for rule, _ in draft.tables),
        tags=tuple(rule for rule, _ in draft.tags),
        masks=tuple(rule for rule, _ in draft.masks),
        statements=draft.statements,
        allow_unnamed_tables=draft.allow_unnamed_tables,
        trusted_functions=frozenset(draft.trusted),
        tests=tuple(draft.tests),
    )
    return policy, draft


def _files(directory: Path, problems: Problems) -> list[tuple[str, bytes]]:
    """Name and bytes of each policy file, by name."""
    here = Where(str(directory), 1)
    if directory.is_dir():
        paths = sorted(p for p in directory.iterdir() if p.suffix in SUFFIXES and p.name[0] != "." and p.is_file())
        if not paths:
            problems.add(here, "the directory holds no policy", "Policies are files named *.yaml or *.yml.")
    else:
        paths = [directory]
    files = []
    for path in paths:
        try:
            files.append((str(path), path.read_bytes()))
        except OSError as error:
            problems.add(Where(str(path), 1), f"cannot be read: {error.strerror}")
    return files


def _digest(files: Iterable[tuple[str, bytes]]) -> str:
    """Hex SHA-256 over the files' names and bytes; where the directory stands does not matter."""
    found = hashlib.sha256()
    for name, data in files:
        found.update(b"%d:%b%d:" % (len(base := Path(name).name.encode()), base, len(data)))
        found.update(data)
    return found.hexdigest()


# Two rules of one precedence for one column.


def _check_conflicts(draft: Draft) -> None:
    named: dict[str, tuple[int, Claim]] = {}
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
            first, other = named.setdefault(claim.pattern, (number, claim))
            if first != number:
                _conflict(draft, claim.where, f"the column {claim.pattern}", other.where)
    for (number, claim), (later, other) in combinations(globs, 2):
        if number != later and meet(claim.pattern, other.pattern):
            what = f"columns that both {claim.pattern} and {other.pattern} match"
            _conflict(draft, other.where, what, claim.where, "Name the column, or narrow one of the patterns.")
    _check_tags(draft, tagged, frozenset(named))


def _conflict(draft: Draft, where: Where, what: str, first: Where, hint: str | None = None) -> None:
    draft.problems.add(where, f"a second mask for {what}; the first is at {first}", hint or "Keep one of the two.")


def _check_tags(draft: Draft, tagged: dict[str, MaskRule], named: frozenset[str]) -> None:
    """Tags with different masks that one column could carry. One that a rule names is settled."""
    claims: dict[str, list[Claim]] = {tag: [] for tag in tagged}
    for rule, found in draft.tags:
        if rule.tag in claims:
            claims[rule.tag] += found
    for first, second in combinations(tagged, 2):
        if _same_effect(tagged[first], tagged[second]):
            continue
        both = _first_meeting(claims[first], claims[second], named)
        if both is not None:
            draft.problems.add(
                both[1].where,
                f"{both[1].pattern} (tag {second!r}) and {both[0].pattern} (tag {first!r}, at {both[0].where})"
                " can be one column, and the tags have different masks",
                "Narrow one of the patterns, or name the column under `masks`.",
            )


def _same_effect(first: MaskRule, second: MaskRule) -> bool:
    return first.mask == second.mask and first.exemptions == second.exemptions


def _first_meeting(
    first: Sequence[Claim], second: Sequence[Claim], named: frozenset[str]
) -> tuple[Claim, Claim] | None:
    for one in first:
        for other in second:
            if {one.pattern, other.pattern} & named:
                continue
            if meet(one.pattern, other.pattern):
                return one, other
    return None
