"""What `pgveil check` finds: a problem, or a warning that does not make it fail.

It does not know how a finding is come by.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from proxy.policy.load import Problem
from proxy.policy.load_draft import Draft
from proxy.policy.rules import Where

SHOWN = 20
"""Names in one finding; the rest is counted."""


class Severity(StrEnum):
    PROBLEM = "problem"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `pgveil check`."""

    where: Where
    message: str
    hint: str | None = None
    severity: Severity = Severity.PROBLEM

    def __str__(self) -> str:
        place = f"{self.where.file}:{self.where.line}:{self.where.column}"
        kind = "warning: " if self.severity is Severity.WARNING else ""
        return f"{place}: {kind}{self.message}" + (f" ({self.hint})" if self.hint else "")

    def fields(self) -> dict[str, str | int | None]:
        """For programs."""
        where = self.where
        return {
            "file": where.file,
            "line": where.line,
            "column": where.column,
            "severity": self.severity.value,
            "message": self.message,
            "hint": self.hint,
        }


def problem(found: Problem) -> Finding:
    return Finding(found.where, found.message, found.hint)


def warning(where: Where, message: str, hint: str | None = None) -> Finding:
    return Finding(where, message, hint, Severity.WARNING)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By file and line, each once."""
    return tuple(sorted(dict.fromkeys(findings), key=lambda f: (f.where.file, f.where.line, f.where.column)))


def listed(names: Sequence[str]) -> str:
    """The names with commas between them, and how many more there are."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def first_and_more(names: Sequence[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def place_of(draft: Draft, key: str) -> Where:
    """Where `defaults.key` stands; where it does not, the beginning of the policy."""
    found = draft.defaults_at.get(key)
    if found is not None:
        return found
    roles = sorted(role.where.file for role in draft.roles.values())
    return Where(roles[0] if roles else "policies", 1)
