"""Cancels on their way to another worker: whoever asked hears of the end, whatever has become of the other."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from proxy.workers.channel import Cancel, Cancelled, Line, Message
from proxy.workers.children import Child
from proxy.workers.switchboard import Switchboard, Ways

TO_THE_SECOND = Cancel(77, 4711, (1).to_bytes(4, "big"))
"""By its remainder of 2 workers; 77 is the first worker's ticket."""


class Office:
    """Two workers, and what is sent to each."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, Message]] = []
        self.broken: set[int] = set()
        pairs = [socket.socketpair() for _ in range(2)]
        self.sockets = [sock for pair in pairs for sock in pair]
        self.children = {number: Child(number, 0, Line(pairs[number - 1][0]), up=True) for number in (1, 2)}
        self.board = Switchboard(2, self.children, Ways(self._send, self._later))

    def _send(self, child: Child, message: Message) -> bool:
        self.sent.append((child.number, message))
        return child.number not in self.broken

    def _later(self, _seconds: float, _call: Callable[[], None]) -> None:
        raise AssertionError("nothing here waits")


@pytest.fixture
def office() -> Iterator[Office]:
    made = Office()
    yield made
    for sock in made.sockets:
        sock.close()


def test_a_cancel_is_passed_on_and_its_end_told(office: Office) -> None:
    office.board.cancel(office.children[1], TO_THE_SECOND)
    [(number, passed)] = office.sent
    assert isinstance(passed, Cancel)
    assert (number, passed.process_id, passed.secret) == (2, 4711, TO_THE_SECOND.secret)
    office.board.cancelled(passed.ticket)
    assert office.sent[1:] == [(1, Cancelled(77))]
    office.board.cancelled(passed.ticket)
    assert len(office.sent) == 2


@pytest.mark.parametrize("how", ["not there", "starting", "does not read"])
def test_who_cannot_be_reached_keeps_nobody_waiting(how: str, office: Office) -> None:
    if how == "not there":
        del office.children[2]
    elif how == "starting":
        office.children[2].up = False
    else:
        office.broken.add(2)
    office.board.cancel(office.children[1], TO_THE_SECOND)
    assert office.sent[-1] == (1, Cancelled(77))


def test_who_ends_meanwhile_keeps_nobody_waiting(office: Office) -> None:
    office.board.cancel(office.children[1], TO_THE_SECOND)
    gone = office.children.pop(2)
    office.board.gone(gone)
    assert office.sent[1:] == [(1, Cancelled(77))]
