"""What a run came to: counts, what was refused and why, and each fault with what it takes to see it again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from fuzz.cases import Case
from fuzz.oracle import Verdict

MOST = 10
OUTCOMES = ("answered", "same error", "refused", "skipped", "different", "dependent", "leak")
_MEANING = {
    "answered": "the right answer",
    "same error": "the error that it should be",
    "refused": "by the veil; below is why",
    "skipped": "took too long on one side",
    "different": "another answer than the masked data gives",
    "dependent": "the answer depends on values that the user may not read",
    "leak": "a protected value in a reply",
}


@dataclass
class Tally:
    """Counts of a run. `faults` are the first of them, as (case, verdict)."""

    outcomes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    refused: dict[str, Case] = field(default_factory=dict)
    """For each reason the first case that was refused for it."""
    errors: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[Case, Verdict]] = field(default_factory=list)
    proxied: int = 0
    shaped: int = 0

    def add(self, case: Case, verdict: Verdict) -> None:
        self.outcomes[verdict.outcome] += 1
        self.kinds[case.kind] += 1
        if verdict.outcome == "refused":
            reason = f"{verdict.sqlstate} {_general(verdict.detail)}"
            self.refusals[reason] += 1
            self.refused.setdefault(reason, case)
        elif verdict.outcome == "same error":
            self.errors[verdict.sqlstate] += 1
        elif verdict.fault:
            self.faults.append((case, verdict))

    @property
    def failed(self) -> bool:
        return bool(self.faults)

    def lines(self) -> Iterator[str]:
        """The report, without the faults."""
        total = sum(self.outcomes.values())
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.kinds.most_common())
        yield f"{total} statements ({kinds}); {self.proxied} of them through a proxy too"
        yield f"  {self.shaped:>6}  decided from the shape of others"
        for outcome in OUTCOMES:
            yield f"  {self.outcomes[outcome]:>6}  {outcome:<11} {_MEANING[outcome]}"
        if self.refusals:
            yield "refused by the veil, with the first case:"
            for reason, count in self.refusals.most_common(MOST):
                yield f"  {count:>6}  {reason} (--only {self.refused[reason].number})"
        if self.errors:
            counts = ", ".join(f"{state} {count}" for state, count in self.errors.most_common(MOST))
            yield f"errors on both sides, by SQLSTATE: {counts}"


def fault_lines(case: Case, verdict: Verdict) -> Iterator[str]:
    """One fault, and how to see it again."""
    yield f"{verdict.outcome}: case {case.number} as {case.user}: {verdict.detail}"
    for step in case.steps:
        yield f"    {step}"
    if case.parameters:
        yield f"    with {', '.join(map(repr, case.parameters))}"
    yield f"    again: python -m fuzz --only {case.number}"


def _general(detail: str) -> str:
    return re.sub(r'"[^"]*"', '"..."', detail)
