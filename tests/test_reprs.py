"""No repr shows a value: SQL, questions, rows and parameters stay out of whatever prints an object."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from proxy.nl.askcalls import Found
from proxy.nl.carriers import Question
from proxy.nl.check import Accepted
from proxy.nl.graph import Rewritten
from proxy.nl.ports import Answer, GenerateRequest, Message, Preview
from proxy.nl.schema import SchemaView
from proxy.policy.plan import Plan
from proxy.policy.rules import Identity
from proxy.ports import StatementEvent
from proxy.prepared import Statement
from proxy.privacy.placeholders import Secret, Vault
from proxy.privacy.question import MaskedQuestion
from proxy.privacy.spans import Folded, Span
from proxy.privacy.tokens import Word, cut
from proxy.privacy.values import Candidate, Candidates, candidates
from proxy.shadow import Case
from proxy.simulate import Simulation
from proxy.wire import messages

SECRET = "Zorblax-4711"
TODAY = datetime(2026, 1, 1, tzinfo=UTC).date()
PLAN = Plan(SECRET, (), original=SECRET, tree=SECRET.encode())
PLACE = Candidate(0, 12, word=True, base=SECRET)
HOLDERS = [
    PLAN,
    Statement(SECRET, PLAN, (), 1, lambda position: position),
    StatementEvent(SECRET, PLAN),
    StatementEvent(SECRET.encode()),
    Case("ann", "plain", StatementEvent(SECRET, PLAN), None),
    Simulation(Identity("ann", ("analyst",)), SECRET, PLAN),
    Word(SECRET, 0, 12, SECRET, possessive=False, honoured=False),
    cut(f"of {SECRET}'s friend"),
    Folded(SECRET, None, None),
    Span(0, 12, "PERSON", 1.0, "column", value=SECRET, stored=SECRET),
    Secret(SECRET, "PERSON", stored=SECRET),
    MaskedQuestion("PERSON_7K2QX", Vault()),
    PLACE,
    Candidates({SECRET: (PLACE,)}, {SECRET: (PLACE,)}, frozenset({SECRET})),
    candidates(f"of {SECRET}"),
    Question((SECRET,), SECRET, ()),
    Found(SECRET, 0, 12, "({})"),
    Accepted(SECRET, SECRET, 1.0),
    Answer(SECRET, SECRET, SECRET, "digest", "embedded"),
    Rewritten(SECRET, ()),
    GenerateRequest(SECRET, SchemaView(()), (), TODAY, previous_sql=SECRET),
    Message("user", SECRET),
    Preview(SECRET, (Message("user", SECRET),), (), "embedded"),
    messages.Query(SECRET.encode()),
    messages.Parse("", SECRET.encode(), ()),
    messages.DataRow((SECRET.encode(),)),
    messages.PasswordMessage(SECRET.encode()),
    messages.CopyData(SECRET.encode()),
]


@pytest.mark.parametrize("holder", HOLDERS, ids=lambda holder: type(holder).__name__)
def test_a_repr_shows_no_value(holder: object) -> None:
    shown = f"{holder!r} {holder}"
    assert "Zorblax" not in shown
    assert "4711" not in shown
