"""Who has asked what of whom: cancels on their way to another worker, and the desk's questions to all of them.

Whoever asks gets an answer, also when the one who was asked dies or does not answer in time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from proxy.ops.health import CHECK_SECONDS
from proxy.ops.totals import Snapshot, merge, remains
from proxy.workers.channel import Answer, Cancel, Cancelled, Found, Look, Message, Report, Subject
from proxy.workers.children import DESK, Child
from proxy.workers.crew import worker_of

_PATIENCE: Mapping[Subject, float] = {"pulse": 2.0, "metrics": 1.0, "checks": CHECK_SECONDS + 1}
"""Seconds that workers have for an answer."""


@dataclass(slots=True)
class _Gathering:
    """A question of the desk's that has been passed to all workers."""

    ticket: int
    subject: Subject
    answers: dict[int, Answer]
    waiting: set[int]


@dataclass(frozen=True, slots=True)
class _HandedOver:
    asker: Child
    ticket: int
    owner: int


@dataclass(frozen=True, slots=True)
class Ways:
    """How the switchboard reaches others. `send` says whether it could; `later` calls after so many seconds."""

    send: Callable[[Child, Message], bool]
    later: Callable[[float, Callable[[], None]], None]


class Switchboard:
    """For `workers` workers; `children` are those that run now, by number."""

    def __init__(self, workers: int, children: Mapping[int, Child], ways: Ways) -> None:
        self._workers = workers
        self._children = children
        self._ways = ways
        self._numbers = itertools.count(1)
        self._gatherings: dict[int, _Gathering] = {}
        self._handed_over: dict[int, _HandedOver] = {}
        self._past: Snapshot = ()

    def gone(self, child: Child) -> None:
        """It has ended: what it counted is kept, and nobody waits for it any more."""
        if child.number != DESK:
            self._past = merge([self._past, remains(child.last)])
        for ticket, gathering in list(self._gatherings.items()):
            if child.number in gathering.waiting:
                gathering.answers.pop(child.number, None)
                gathering.waiting.discard(child.number)
                self._report_if_complete(ticket)
        for ticket, handed in list(self._handed_over.items()):
            if handed.owner == child.number:
                self.cancelled(ticket)

    # Cancels

    def cancel(self, asker: Child, asked: Cancel) -> None:
        """To the worker that the key names, if there is one."""
        number = worker_of(asked.secret, self._workers)
        owner = self._children.get(number)
        ticket = next(self._numbers)
        self._handed_over[ticket] = _HandedOver(asker, asked.ticket, number)
        passed_on = Cancel(ticket, asked.process_id, asked.secret)
        if owner is None or not owner.up or not self._ways.send(owner, passed_on):
            self.cancelled(ticket)

    def cancelled(self, ticket: int) -> None:
        """It has been dealt with, or there is nobody to do it."""
        handed = self._handed_over.pop(ticket, None)
        if handed is not None:
            self._ways.send(handed.asker, Cancelled(handed.ticket))

    # The desk

    def look(self, asked: Look) -> None:
        """To all workers that serve."""
        ticket = next(self._numbers)
        asked_of = [child for child in self._children.values() if child.up]
        numbers = [child.number for child in asked_of]
        self._gatherings[ticket] = _Gathering(asked.ticket, asked.subject, dict.fromkeys(numbers), set(numbers))
        for child in asked_of:
            self._ways.send(child, Look(ticket, asked.subject))
        self._ways.later(_PATIENCE[asked.subject], partial(self._report, ticket))
        self._report_if_complete(ticket)

    def found(self, child: Child, found: Found) -> None:
        """A worker's answer, or its numbers unasked."""
        if isinstance(found.answer, tuple):
            child.last = found.answer
        gathering = self._gatherings.get(found.ticket)
        if gathering is not None and child.number in gathering.waiting:
            gathering.answers[child.number] = found.answer
            gathering.waiting.discard(child.number)
            self._report_if_complete(found.ticket)

    def _report_if_complete(self, ticket: int) -> None:
        gathering = self._gatherings.get(ticket)
        if gathering is not None and not gathering.waiting:
            self._report(ticket)

    def _report(self, ticket: int) -> None:
        gathering = self._gatherings.pop(ticket, None)
        desk = self._children.get(DESK)
        if gathering is None or desk is None:
            return
        answers = gathering.answers
        if gathering.subject == "metrics":  # who does not answer counts with what it said last
            answers = {child.number: child.last for child in self._children.values() if child.number != DESK}
        self._ways.send(desk, Report(gathering.ticket, answers, self._past, self._workers))
