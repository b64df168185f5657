"""Bytes, flow control and the ways a session ends."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from scripted import DBA, Scripted, error, settle

from proxy.wire.messages import (
    Bind,
    CommandComplete,
    DataRow,
    ErrorResponse,
    Execute,
    Flush,
    Parse,
    Query,
    ReadyForQuery,
    RowDescription,
    Sync,
    Terminate,
)

IDLE = ReadyForQuery("I")
RESULT = [
    RowDescription(()),
    *[DataRow((b"value", None))] * 50,
    CommandComplete("SELECT 50"),
    IDLE,
]


def states(messages: Sequence[object]) -> list[str]:
    return [m.sqlstate for m in messages if isinstance(m, ErrorResponse)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
def test_a_result_arrives_whole_however_it_is_cut(size: int) -> None:
    talk = Scripted()
    talk.client(Query(b"SELECT 1"))
    data = b"".join(m.encode() for m in RESULT)
    for at in range(0, len(data), size):
        talk.relay.upstream.received(data[at : at + size])
    assert talk.at_client() == RESULT
    assert talk.relay.idle


@pytest.mark.parametrize("size", [1, 2, 5, 30])
def test_requests_arrive_whole_however_they_are_cut(size: int) -> None:
    talk = Scripted()
    sent = [Parse("s", b"SELECT 1"), Bind("", "s"), Execute(""), Sync(), Query(b"SELECT 2")]
    data = b"".join(m.encode() for m in sent)
    for at in range(0, len(data), size):
        talk.relay.client.received(data[at : at + size])
    assert talk.at_server() == sent


def test_part_of_a_large_row_is_passed_on_before_the_rest_is_there() -> None:
    talk = Scripted(DBA)
    talk.client(Query(b"SELECT big"))
    row = DataRow((b"x" * 100_000,)).encode()
    talk.relay.upstream.received(row[:50_000])
    assert talk.client_pipe.frames.pending == 50_000


class TestFlow:
    def test_a_slow_client_pauses_the_server(self) -> None:
        talk = Scripted()
        talk.relay.client.clogged()
        assert talk.server_pipe.paused
        talk.relay.client.cleared()
        assert not talk.server_pipe.paused

    def test_a_slow_server_pauses_the_client(self) -> None:
        talk = Scripted()
        talk.relay.upstream.clogged()
        talk.client(Query(b"SELECT 1"))
        assert talk.client_pipe.paused
        talk.relay.upstream.cleared()
        assert not talk.client_pipe.paused

    def test_a_client_that_never_waits_for_replies_is_bounded(self) -> None:
        talk = Scripted(DBA)
        one = Bind("", "").encode()
        talk.relay.client.received(one * 10_001)
        sent = talk.at_server()
        assert len(sent) == 10_001
        assert sent[-1] == Flush()
        talk.relay.upstream.received(b"2\0\0\0\4" * 10_000)
        assert talk.at_server() == [Bind("", "")]


class TestEnds:
    def test_goodbye_is_passed_on_and_nothing_is_cancelled(self) -> None:
        talk = Scripted()
        talk.client(Query(b"SELECT 1"), Terminate())
        talk.relay.client.lost()
        assert talk.at_server() == [Query(b"SELECT 1"), Terminate()]
        assert talk.server_pipe.closed
        assert not talk.server_pipe.aborted
        assert talk.cancels == 0

    def test_nothing_is_read_after_goodbye(self) -> None:
        talk = Scripted()
        talk.client(Terminate(), Query(b"SELECT 1"))
        assert talk.at_server() == [Terminate()]

    def test_an_idle_client_that_vanishes_lets_the_server_go(self) -> None:
        talk = Scripted()
        talk.relay.client.lost()
        assert talk.at_server() == [Terminate()]
        assert talk.server_pipe.closed

    async def test_a_client_that_vanishes_in_the_middle_of_a_result_stops_the_server(self) -> None:
        talk = Scripted()
        talk.client(Query(b"SELECT 1"))
        talk.server(*RESULT[:5])
        talk.relay.client.lost()
        await settle()
        assert talk.cancels == 1
        assert talk.server_pipe.aborted

    def test_a_server_that_vanishes_is_told_to_the_client(self) -> None:
        talk = Scripted()
        talk.client(Query(b"SELECT 1"))
        talk.server(*RESULT[:5])
        talk.at_client()
        talk.relay.upstream.lost()
        (lost,) = talk.at_client()
        assert isinstance(lost, ErrorResponse)
        assert (lost.severity, lost.sqlstate) == ("FATAL", "08006")
        assert talk.client_pipe.closed

    def test_no_error_is_put_inside_a_row_that_is_half_sent(self) -> None:
        talk = Scripted(DBA)
        talk.client(Query(b"SELECT big"))
        row = DataRow((b"x" * 1000,)).encode()
        talk.relay.upstream.received(row[:500])
        talk.relay.upstream.lost()
        assert talk.client_pipe.frames.pending == 500
        assert talk.client_pipe.closed

    def test_nothing_is_sent_to_either_side_after_the_end(self) -> None:
        talk = Scripted()
        talk.relay.stop()
        talk.at_client(), talk.at_server()
        talk.client(Query(b"SELECT 1"))
        talk.server(error("57P01", severity="FATAL"))
        talk.relay.client.lost()
        talk.relay.upstream.lost()
        assert (talk.at_client(), talk.at_server()) == ([], [])

    def test_the_end_is_told_once(self) -> None:
        talk = Scripted()
        talk.relay.stop()
        talk.relay.client.lost()
        talk.relay.upstream.lost()
        assert talk.ends == 1

    @pytest.mark.parametrize("length", [b"\0\0\0\3", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"])
    def test_a_frame_of_no_possible_length_ends_the_session(self, length: bytes) -> None:
        talk = Scripted()
        talk.relay.client.received(b"Q" + length)
        assert states(talk.at_client()) == ["08P01"]
        assert talk.client_pipe.closed

    def test_a_truncated_frame_is_not_passed_on(self) -> None:
        talk = Scripted()
        talk.relay.client.received(Query(b"SELECT 1").encode()[:-3])
        talk.relay.client.lost()
        assert talk.at_server() == [Terminate()]

    def test_a_server_that_breaks_the_protocol_ends_the_session(self) -> None:
        talk = Scripted()
        talk.relay.upstream.received(b"1\0\0\0\4")
        assert states(talk.at_client()) == ["08006"]

    def test_an_error_of_ours_is_counted_and_told_without_words(self) -> None:
        talk = Scripted()
        talk.veils.verdicts = None  # type: ignore[assignment]
        talk.client(Query(b"SELECT 'private'"))
        (fatal,) = talk.at_client()
        assert isinstance(fatal, ErrorResponse)
        assert fatal.sqlstate == "XX000"
        assert "private" not in str(fatal.fields)
        assert len(talk.watcher.crashes) == 1


class TestDrain:
    def test_an_idle_session_ends_at_once(self) -> None:
        talk = Scripted()
        talk.relay.drain()
        assert states(talk.at_client()) == ["57P01"]
        assert talk.client_pipe.closed
        assert talk.at_server() == [Terminate()]

    def test_a_busy_one_finishes_first(self) -> None:
        talk = Scripted()
        talk.client(Query(b"SELECT 1"))
        talk.relay.drain()
        assert talk.at_client() == []
        talk.server(CommandComplete("SELECT 1"), IDLE)
        assert [type(m).__name__ for m in talk.at_client()] == ["CommandComplete", "ReadyForQuery", "ErrorResponse"]

    def test_an_open_transaction_is_busy(self) -> None:
        talk = Scripted()
        talk.exchange(Query(b"BEGIN"), CommandComplete("BEGIN"), ReadyForQuery("T"))
        talk.relay.drain()
        assert talk.at_client() == []
        got = talk.exchange(Query(b"COMMIT"), CommandComplete("COMMIT"), IDLE)
        assert states(got) == ["57P01"]

    async def test_what_does_not_finish_is_stopped(self) -> None:
        talk = Scripted()
        talk.client(Query(b"SELECT 1"))
        talk.relay.drain()
        talk.relay.stop()
        await settle()
        assert states(talk.at_client()) == ["57P01"]
        assert talk.cancels == 1


class TestCancel:
    async def test_what_runs_is_cancelled_in_the_server(self) -> None:
        talk = Scripted()
        talk.client(Query(b"SELECT 1"))
        await talk.relay.cancel()
        assert talk.cancels == 1

    async def test_an_idle_session_has_nothing_to_cancel(self) -> None:
        talk = Scripted()
        await talk.relay.cancel()
        assert talk.cancels == 0
