"""What workers share: cancel keys that name their worker, the board in shared memory, messages between processes."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from typing import cast

import pytest

from proxy.errors import InternalError
from proxy.limits import Running
from proxy.relay import Relay
from proxy.sessions import Sessions
from proxy.wire.messages import BackendKeyData
from proxy.wire.startup import CancelRequest
from proxy.workers import board as boards
from proxy.workers.board import Board
from proxy.workers.channel import Cancel, Inbox, Learned, Line, Message, Stop, Up, encode
from proxy.workers.crew import MAX_WORKERS, Crew, make_secret, worker_of

FEW = ("few",)


@pytest.mark.parametrize(("worker", "workers"), [(1, 1), (1, 2), (2, 2), (3, 3), (200, 255), (255, MAX_WORKERS)])
@pytest.mark.parametrize("length", [4, 32])
def test_a_secret_names_its_worker_and_is_random(worker: int, workers: int, length: int) -> None:
    made = [make_secret(Crew(worker, workers), length) for _ in range(1000)]
    assert {len(secret) for secret in made} == {length}
    assert {worker_of(secret, workers) for secret in made} == {worker}
    assert len(set(made)) > 990


class Ended:
    ended = False


class Guess(bytes):
    """A secret that notices when it is compared in the usual way, which ends at the first byte that differs."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError("compared in a time that tells how much of it is right")

    __hash__ = bytes.__hash__


class TestSessions:
    def test_a_secret_is_compared_in_constant_time(self) -> None:
        sessions, relay = Sessions(), cast("Relay", Ended())
        key = sessions.make_key(None, long=True)
        sessions.add(key, relay)
        assert sessions.find(CancelRequest(key.process_id, Guess(key.secret_key))) is relay
        assert sessions.find(CancelRequest(key.process_id, Guess(b"x" * 32))) is None

    def test_one_number_of_two_servers_is_two_sessions(self) -> None:
        sessions, upstream = Sessions(), BackendKeyData(4711, b"theirs")
        keys = [sessions.make_key(upstream, long=False) for _ in range(2)]
        relays = [cast("Relay", Ended()) for _ in keys]
        for key, relay in zip(keys, relays, strict=True):
            sessions.add(key, relay)
        requests = [CancelRequest(4711, key.secret_key) for key in keys]
        assert [sessions.find(request) for request in requests] == relays
        assert sessions.find(CancelRequest(4711, b"theirs")) is None
        sessions.remove(keys[0])
        sessions.remove(keys[0])
        assert [sessions.find(request) for request in requests] == [None, relays[1]]
        assert (len(sessions), sessions.relays()) == (1, relays[1:])

    def test_without_a_server_process_the_number_is_made_up(self) -> None:
        made = {Sessions().make_key(None, long=True).process_id for _ in range(100)}
        assert len(made) == 100
        assert all(0 < number < 2**31 for number in made)


def in_child(call: Callable[[], bool]) -> bool:
    """Whether it is true in a process forked for it, which is killed then."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, b"1" if call() else b"0")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(writer)
    with os.fdopen(reader, "rb") as found:
        return found.read() == b"1"


class TestLimits:
    def test_all_workers_count_together(self) -> None:
        board = Board(2)
        one, two = Running(board.seat(1)), Running(board.seat(2))
        assert [running.enter(FEW, 2) for running in (one, two, one, two)] == [True, True, False, False]
        assert one.count(FEW) == two.count(FEW) == 2
        assert one.enter(("other",), 1)
        two.leave(FEW)
        assert one.enter(FEW, 2)
        assert not two.enter(FEW, 2)

    def test_across_processes_and_what_a_dead_one_held_is_freed(self) -> None:
        board = Board(2)
        assert in_child(lambda: board.seat(1).enter(FEW, 1))
        assert not board.seat(2).enter(FEW, 1)
        board.clear(1)
        assert board.seat(2).enter(FEW, 1)

    def test_a_process_that_dies_with_the_lock_frees_it(self) -> None:
        board = Board(2)

        def die_inside() -> bool:
            with board.locked():
                os.kill(os.getpid(), signal.SIGKILL)
            return True

        assert not in_child(die_inside)
        assert board.seat(2).enter(FEW, 1)

    def test_never_more_than_allowed(self) -> None:
        board, processes, limit = Board(4), [], 3
        reader, writer = os.pipe()
        for number in range(1, 5):
            pid = os.fork()
            if pid == 0:
                seat = board.seat(number)
                for _ in range(3000):
                    if seat.enter(FEW, limit):
                        if seat.count(FEW) > limit:
                            os.write(writer, b"!")
                        seat.leave(FEW)
                os._exit(0)
            processes.append(pid)
        assert [os.waitpid(pid, 0)[1] for pid in processes] == [0] * 4
        os.close(writer)
        with os.fdopen(reader, "rb") as complaints:
            assert complaints.read() == b""
        assert board.seat(1).count(FEW) == 0

    def test_rows_that_nobody_uses_are_used_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(boards, "ROLE_SETS", 2)
        seat, other = (board := Board(2)).seat(1), board.seat(2)
        assert seat.enter(("a",), 1)
        assert seat.enter(("b",), 1)
        assert not other.enter(("c",), 1)  # no room: refused, and not uncounted
        seat.leave(("a",))
        assert other.enter(("c",), 1)
        assert not seat.enter(("c",), 1)
        assert not seat.enter(("a",), 1)
        other.leave(("c",))
        assert seat.enter(("a",), 1)
        assert not other.enter(("b",), 1)


def test_who_has_more_connections_than_another_lets_it_be_first() -> None:
    board = Board(3)
    one, two = board.seat(1), board.seat(2)
    one.has(5)
    assert one.ahead() == 0  # the others are not there
    two.has(5)
    assert one.ahead() == 0
    one.has(7)
    assert (one.ahead(), two.ahead()) == (2, 0)
    board.clear(2)
    assert one.ahead() == 0


def test_session_numbers_are_nobody_elses() -> None:
    board = Board(2)
    one, two = board.seat(1).session_numbers(), board.seat(2).session_numbers()
    assert [next(one), next(two), next(one)] == [1, 2, 3]
    assert next(board.seat(1).session_numbers()) == 4


class TestChannel:
    def test_messages_come_whole_however_they_are_cut(self) -> None:
        sent: list[Message] = [Up(), Learned(b"x" * 1000), Cancel(7, 4711, b"abcd"), Stop()]
        data = b"".join(map(encode, sent))
        inbox = Inbox()
        assert [message for byte in data for message in inbox.feed(bytes([byte]))] == sent
        assert Inbox().feed(data) == sent

    def test_what_is_no_message_is_refused(self) -> None:
        with pytest.raises(InternalError):
            Inbox().feed(encode("a text"))  # type: ignore[arg-type]
        with pytest.raises(InternalError):
            Inbox().feed(b"\xff\xff\xff\xff")

    def test_no_secret_shows(self) -> None:
        assert "abcd" not in repr(Cancel(7, 4711, b"abcd"))

    def test_a_child_that_does_not_read_is_not_waited_for(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            line = Line(ours)
            sent = 0
            while line.send(Learned(b"x" * 100_000)):
                sent += 1
            assert 10 < sent < 1000
            line.close()

    def test_what_was_said_before_the_end_is_heard(self) -> None:
        ours, theirs = socket.socketpair()
        theirs.sendall(encode(Up()))
        theirs.close()
        line = Line(ours)
        assert not line.send(Stop()) or line.send(Stop())  # the other end is gone, which is no error
        assert line.receive() == [Up()]
        assert line.ended
        assert not line.send(Stop())
        line.close()
