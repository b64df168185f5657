"""Policy files to a `Policy`, or to every problem that they have, each with its file, line and column.

A policy is one YAML file, or a directory of them that is read as one: `*.yaml` and `*.yml`, not below it. One that
cannot be read is a problem, and not a file less: the policy would be weaker. The files that say `enforce: false` are
another policy, complete in itself: the shadow, which is evaluated and not enforced. Everything is checked that can be
without a database; `proxy.check` goes on from there.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from proxy.policy.load_conflicts import check_conflicts
from proxy.policy.load_draft import Draft
from proxy.policy.load_rules import SECTIONS, sections_of
from proxy.policy.load_yaml import Item, PolicyProblems, Problem, Problems, read
from proxy.policy.model import Policy
from proxy.policy.rules import Where

__all__ = [
    "PolicyProblems",
    "Problem",
    "is_policy_name",
    "left_out",
    "load_policies",
    "load_shadow",
    "load_shadow_with_places",
    "load_with_places",
]

SUFFIXES = frozenset({".yaml", ".yml"})
NAMES = "Policies are files named *.yaml or *.yml."


@dataclass(frozen=True, slots=True)
class _File:
    """A policy file. `document` is None where it is not YAML, with the reason in `problems`."""

    name: str
    data: bytes
    document: Item | None
    problems: Problems

    @property
    def enforced(self) -> bool:
        """Anything but a plain `enforce: false`: a file that cannot be read is not taken for a shadow."""
        return self.document is None or not self.document.says_no("enforce")


def load_policies(directory: Path) -> Policy:
    """The policy that is enforced: of a directory's files, or of one file.

    Blocks: it reads files, and takes about a millisecond per 20 lines.
    Raises PolicyProblems with everything that is wrong, the shadow's problems apart.
    """
    files, problems = _files(directory)
    return _found(*_policy([file for file in files if file.enforced], _nothing_enforced(directory, files, problems)))[0]


def load_shadow(directory: Path) -> Policy | None:
    """The policy of the files that say `enforce: false`, or None where there are none. Blocks.

    Raises PolicyProblems with everything that is wrong with it, and with it alone.
    """
    found = load_shadow_with_places(directory)
    return None if found is None else found[0]


def load_shadow_with_places(directory: Path) -> tuple[Policy, Draft] | None:
    """As `load_shadow`, with the draft that has each pattern's own place."""
    files = [file for file in _files(directory)[0] if not file.enforced]
    return _found(*_policy(files, Problems())) if files else None


def load_with_places(directory: Path) -> tuple[Policy, Draft]:
    """As `load_policies`, with the draft that has each pattern's own place: for what goes on checking.

    Raises PolicyProblems with the problems of both policies.
    """
    files, problems = _files(directory)
    shadows = [file for file in files if not file.enforced]
    policy, draft, found = _policy(
        [file for file in files if file.enforced], _nothing_enforced(directory, files, problems)
    )
    return _found(policy, draft, found + (_policy(shadows, Problems())[2] if shadows else []))


def _found(policy: Policy, draft: Draft, problems: Sequence[Problem]) -> tuple[Policy, Draft]:
    """Raises PolicyProblems where there are problems."""
    if problems:
        # An alias is read wherever it stands; what is wrong with it is said once.
        found = dict.fromkeys(problems)
        raise PolicyProblems(sorted(found, key=lambda p: (p.where.file, p.where.line, p.where.column)))
    return policy, draft


def _policy(files: Sequence[_File], problems: Problems) -> tuple[Policy, Draft, list[Problem]]:
    """The policy of these files together; it is not to be used where there are problems."""
    documents = [file.document for file in files if file.document is not None]
    sections = [sections_of(document) for document in documents]
    draft = Draft(problems)
    for name, reader in SECTIONS.items():
        for present in sections:
            if name in present:
                reader(draft, present[name])
    if documents and not draft.roles and not any((problems.found, *(file.problems.found for file in files))):
        problems.add(documents[0].where, "the policy has no role", "Nobody could log in.")
    check_conflicts(draft)
    policy = Policy(
        digest=_digest(files),
        roles=draft.roles,
        tables=tuple(rule for rule, _ in draft.tables),
        tags=tuple(rule for rule, _ in draft.tags),
        tag_parents=draft.tag_parents,
        masks=tuple(rule for rule, _ in draft.masks),
        rows=tuple(rule for rule, _ in draft.rows),
        limits=tuple(draft.limits),
        statements=draft.statements,
        allow_unnamed_tables=draft.allow_unnamed_tables,
        unnamed_columns=draft.unnamed_columns,
        trusted_functions=frozenset(draft.trusted),
        tests=tuple(draft.tests),
    )
    return policy, draft, problems.found + [problem for file in files for problem in file.problems.found]


def _nothing_enforced(directory: Path, files: Sequence[_File], problems: Problems) -> Problems:
    if files and not any(file.enforced for file in files):
        hint = "A shadow needs a policy that is enforced beside it."
        problems.add(Where(str(directory), 1), "every file says `enforce: false`: nothing would be enforced", hint)
    return problems


def _files(directory: Path) -> tuple[list[_File], Problems]:
    """Each policy file, by name, and what is wrong with the directory."""
    problems = Problems()
    files: list[_File] = []
    try:
        # Whatever has such a name: one that is no file would be a rule that is missing.
        paths = sorted(p for p in directory.iterdir() if is_policy_name(p.name)) if directory.is_dir() else [directory]
    except OSError as error:
        problems.add(Where(str(directory), 1), f"cannot be read: {error.strerror}")
        return files, problems
    if not paths:
        problems.add(Where(str(directory), 1), "the directory holds no policy", NAMES)
    for path in paths:
        try:
            data = _bytes_of(path)
        except OSError as error:
            problems.add(Where(str(path), 1), f"cannot be read: {error.strerror}")
            continue
        own = Problems()
        files.append(_File(str(path), data, read(data, str(path), own), own))
    return files, problems


def is_policy_name(name: str) -> bool:
    """Whether what has this name in a directory of policies is part of the policy."""
    return Path(name).suffix in SUFFIXES and name[0] != "."


def left_out(directory: Path) -> list[Path]:
    """What somebody may take for a policy file and is none by its name: hidden, or with capitals. Raises nothing."""
    try:
        found = sorted(directory.iterdir()) if directory.is_dir() else []
    except OSError:
        return []
    return [p for p in found if p.suffix.lower() in SUFFIXES and not is_policy_name(p.name)]


def _bytes_of(path: Path) -> bytes:
    """Raises OSError, also for what is no regular file. Does not wait for a pipe's other end."""
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        with open(number, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(number)


def _digest(files: Iterable[_File]) -> str:
    """Hex SHA-256 over the files' names and bytes; where the directory stands does not matter."""
    found = hashlib.sha256()
    for file in files:
        found.update(b"%d:%b%d:" % (len(base := Path(file.name).name.encode()), base, len(file.data)))
        found.update(file.data)
    return found.hexdigest()
