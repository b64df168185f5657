"""COPY data ahead of its COPY, Sync inside it, and what comes after a message that is none: in PostgreSQL's order."""

from __future__ import annotations

import pytest
from scripted import ANALYST, DBA, Scripted, error

from proxy.policy.rules import Identity
from proxy.wire.messages import (
    Bind,
    CommandComplete,
    CopyData,
    CopyDone,
    CopyFail,
    CopyInResponse,
    ErrorResponse,
    Execute,
    Flush,
    Parse,
    Query,
    ReadyForQuery,
    Sync,
)

IDLE = ReadyForQuery("I")
COPY = Query(b"COPY t FROM STDIN")
BEGINS = CopyInResponse(0, (0,))
NO_MESSAGE = b"z\0\0\0\4"

both = pytest.mark.parametrize("identity", [ANALYST, DBA], ids=["masked", "bypass"])


class TestCopyData:
    @both
    def test_data_waits_until_the_server_reads_it(self, identity: Identity) -> None:
        """Until then nobody knows whether a Sync behind it is one."""
        talk = Scripted(identity)
        talk.client(COPY, CopyData(b"1\n"), Sync(), CopyDone(), Sync())
        assert talk.at_server() == [COPY, Flush()]
        talk.server(BEGINS)
        assert talk.at_server() == [CopyData(b"1\n"), CopyDone(), Sync()]
        talk.server(CommandComplete("COPY 1"), IDLE, IDLE)
        assert talk.relay.idle

    @both
    def test_data_of_a_copy_that_failed_at_once_passes_when_all_is_answered(self, identity: Identity) -> None:
        talk = Scripted(identity)
        talk.client(COPY, CopyData(b"1\n"), CopyDone(), Query(b"SELECT 1"))
        assert talk.at_server() == [COPY, Flush()]
        talk.server(error("42P01"), IDLE)
        assert talk.at_server() == [CopyData(b"1\n"), CopyDone(), Query(b"SELECT 1")]

    @pytest.mark.parametrize("end", [CopyDone(), CopyFail("no")])
    def test_so_does_its_end(self, end: CopyDone | CopyFail) -> None:
        talk = Scripted(DBA)
        talk.client(COPY, end, Query(b"SELECT 1"))
        assert talk.at_server() == [COPY, Flush()]
        talk.server(BEGINS)
        assert talk.at_server() == [end, Query(b"SELECT 1")]

    def test_data_that_nobody_waits_for_passes(self) -> None:
        talk = Scripted(DBA)
        talk.client(CopyData(b"1\n"), CopyDone(), Query(b"SELECT 1"))
        assert talk.at_server() == [CopyData(b"1\n"), CopyDone(), Query(b"SELECT 1")]

    def test_a_piece_that_has_begun_goes_on_whatever_has_come(self) -> None:
        talk = Scripted(DBA)
        talk.client(COPY)
        talk.server(BEGINS)
        talk.at_server()
        piece = CopyData(b"x" * 100).encode()
        talk.relay.client.received(piece[:50])
        talk.server(error("22P02"))
        talk.relay.client.received(piece[50:])
        assert talk.at_server() == [CopyData(b"x" * 100)]

    @both
    def test_a_sync_inside_is_not_passed_on(self, identity: Identity) -> None:
        """Whether the server answers it would depend on whether the COPY had failed by then."""
        talk = Scripted(identity)
        talk.client(Parse("", COPY.query), Bind("", ""), Execute(""), Flush())
        talk.at_server()
        talk.server()
        talk.relay.upstream.received(b"1\0\0\0\4" + b"2\0\0\0\4" + BEGINS.encode())
        talk.client(CopyData(b"wrong\n"), Sync(), CopyData(b"2\n"))
        talk.server(error("22P02"))
        talk.client(CopyDone(), Sync())
        assert talk.at_server() == [CopyData(b"wrong\n"), CopyData(b"2\n"), CopyDone(), Sync()]
        talk.server(IDLE)
        assert talk.relay.idle

    def test_the_end_of_one_copy_is_not_that_of_the_next(self) -> None:
        talk = Scripted(DBA)
        talk.client(Query(b"COPY t FROM STDIN; COPY t FROM STDIN"))
        talk.server(BEGINS)
        talk.client(CopyDone(), CopyData(b"1\n"), CopyDone())
        assert talk.at_server()[1:] == [CopyDone(), Flush()]
        talk.server(CommandComplete("COPY 0"), BEGINS)
        assert talk.at_server() == [CopyData(b"1\n"), CopyDone()]


class TestLongMessages:
    LONG = Bind("", "", (), (b"x" * 300_000,))

    def in_pieces(self, talk: Scripted, *messages: bytes) -> None:
        data = b"".join(messages)
        for at in range(0, len(data), 65536):
            talk.relay.client.received(data[at : at + 65536])

    @pytest.mark.parametrize("text", [LONG, Query(b"SELECT '" + b"x" * 300_000 + b"'"), Parse("s", b"--" * 200_000)])
    def test_a_bypass_role_s_are_passed_on_in_parts(self, text: Bind | Query | Parse) -> None:
        talk = Scripted(DBA)
        raw = text.encode()
        talk.relay.client.received(raw[:100_000])
        assert talk.server_pipe.frames.pending == 100_000
        self.in_pieces(talk, raw[100_000:], Sync().encode())
        assert talk.at_server() == [text, Sync()]
        assert len(talk.talk.replies) == 2

    def test_those_that_the_server_would_skip_are_not_passed_on(self) -> None:
        talk = Scripted(DBA)
        talk.client(Execute(""))
        talk.server(error("34000"))
        self.in_pieces(talk, self.LONG.encode(), self.LONG.encode(), Sync().encode(), self.LONG.encode())
        assert talk.at_server() == [Execute(""), Sync(), self.LONG]

    def test_they_wait_where_too_much_is_owed(self) -> None:
        talk = Scripted(DBA)
        talk.relay.client.received(Execute("").encode() * 10_000)
        talk.at_server()
        self.in_pieces(talk, self.LONG.encode(), Sync().encode())
        assert talk.at_server() == [Flush()]
        talk.relay.upstream.received(b"s\0\0\0\4" * 10_000)
        self.in_pieces(talk)
        assert talk.at_server() == [self.LONG, Sync()]

    def test_data_behind_one_waits_for_its_copy(self) -> None:
        talk = Scripted(DBA)
        text = Query(b"COPY t FROM STDIN -- " + b"x" * 300_000)
        data = text.encode() + CopyData(b"1\n").encode() + Sync().encode()
        talk.relay.client.received(data[:200_000])
        talk.relay.client.received(data[200_000:])
        assert talk.at_server() == [text, Flush()]
        talk.server(BEGINS)
        assert talk.at_server() == [CopyData(b"1\n")]

    def test_a_masked_role_s_are_read_whole(self) -> None:
        talk = Scripted(ANALYST)
        raw = self.LONG.encode()
        talk.relay.client.received(raw[:200_000])
        assert talk.server_pipe.frames.pending == 0
        talk.relay.client.received(raw[200_000:])
        assert talk.at_server() == [self.LONG]


class TestWhatIsNoMessage:
    @both
    @pytest.mark.parametrize(
        "garbage", [NO_MESSAGE, b"Q\0\0\0\3", b"D\0\0\xff\xff", b"S\xff\xff\xff\xff", b"H\0\0\0\5x"]
    )
    def test_what_came_before_it_is_answered_first(self, garbage: bytes, identity: Identity) -> None:
        talk = Scripted(identity)
        talk.relay.client.received(Query(b"INSERT").encode() + garbage + Query(b"SELECT 1").encode())
        assert talk.at_server() == [Query(b"INSERT"), Flush()]
        assert talk.at_client() == []
        talk.server(CommandComplete("INSERT 0 1"), IDLE)
        *answers, last = talk.at_client()
        assert answers == [CommandComplete("INSERT 0 1"), IDLE]
        assert isinstance(last, ErrorResponse)
        assert (last.severity, last.sqlstate) == ("FATAL", "08P01")
        assert talk.client_pipe.closed
        assert talk.cancels == 0

    @both
    def test_it_ends_an_idle_session_at_once(self, identity: Identity) -> None:
        talk = Scripted(identity)
        talk.relay.client.received(NO_MESSAGE)
        assert [m.sqlstate for m in talk.at_client() if isinstance(m, ErrorResponse)] == ["08P01"]
        assert talk.client_pipe.closed

    def test_a_server_that_waits_for_data_is_not_waited_for(self) -> None:
        talk = Scripted(DBA)
        talk.client(COPY)
        talk.relay.client.received(NO_MESSAGE)
        assert talk.at_client() == []
        talk.server(BEGINS)
        assert [type(m).__name__ for m in talk.at_client()] == ["CopyInResponse", "ErrorResponse"]

    def test_what_holds_a_name_is_not_waited_for_longer_than_postgresql_would(self) -> None:
        talk = Scripted(DBA)
        talk.relay.client.received(b"D" + (10_001).to_bytes(4, "big") + b"S")
        assert [m.sqlstate for m in talk.at_client() if isinstance(m, ErrorResponse)] == ["08P01"]
        talk = Scripted(DBA)
        talk.relay.client.received(b"Q" + (10_001).to_bytes(4, "big") + b"S")
        assert not talk.client_pipe.closed

    @pytest.mark.parametrize("raw", [b"Q\0\0\0\x09ask x", b"P\0\0\0\x0as\0ask\0"])
    def test_a_bypass_role_s_text_that_cannot_be_read_is_the_server_s_to_refuse(self, raw: bytes) -> None:
        talk = Scripted(DBA)
        talk.relay.client.received(raw)
        assert [bytes(frame.raw) for frame in talk.server_pipe.take()] == [raw]
        assert not talk.client_pipe.closed
