"""However the bytes are cut on their way, the same come out: what passes in one piece is no other than what is taken
message by message."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scripted import ANALYST, DBA, FakeVeils, Scripted, error, plan

from proxy.policy.plan import PlannedStatement
from proxy.policy.rules import Identity, Limits, StatementKind
from proxy.wire.messages import (
    Bind,
    BindComplete,
    CommandComplete,
    DataRow,
    Describe,
    Execute,
    Message,
    NoticeResponse,
    Parse,
    ParseComplete,
    PortalSuspended,
    Query,
    ReadyForQuery,
    RowDescription,
    Sync,
)

IDLE = ReadyForQuery("I")
ROWS = [DataRow((b"x" * size,)) for size in (0, 1, 300)]
NOTICE = NoticeResponse((("S", "NOTICE"), ("C", "00000"), ("M", "words")))

Part = tuple[list[Message], list[Message]]
CONVERSATION: list[Part] = [
    ([Query(b"SELECT 1")], [RowDescription(()), *ROWS, CommandComplete("SELECT 3"), IDLE]),
    ([Query(b"SELECT 2"), Query(b"SELECT 3")], [CommandComplete("SELECT 0"), IDLE, NOTICE, error("22012"), IDLE]),
    (
        [Parse("s", b"SELECT 4"), Bind("", "s"), Describe("P", ""), Execute(""), Sync()],
        [ParseComplete(), BindComplete(), RowDescription(()), *ROWS, CommandComplete("SELECT 3"), IDLE],
    ),
    (
        [Bind("", "s"), Execute("", 1), Execute("", 1), Sync(), Bind("", "s"), Execute(""), Sync()],
        [BindComplete(), ROWS[1], PortalSuspended(), NOTICE, ROWS[2], PortalSuspended(), IDLE, error("42P01"), IDLE],
    ),
]


def encoded(messages: list[Message]) -> bytes:
    return b"".join(message.encode() for message in messages)


def conversed(identity: Identity, size: int) -> tuple[bytes, bytes]:
    """What arrived at the client and at the server, where everything comes in pieces of so many bytes."""
    talk = Scripted(identity)
    for asked, answered in CONVERSATION:
        for data, side in ((encoded(asked), talk.relay.client), (encoded(answered), talk.relay.upstream)):
            for start in range(0, len(data), size):
                side.received(data[start : start + size])
    assert not talk.watcher.crashes
    assert talk.ends == 0
    at_client, at_server = talk.client_pipe.take(), talk.server_pipe.take()
    return b"".join(bytes(f.raw) for f in at_client), b"".join(bytes(f.raw) for f in at_server)


@pytest.mark.parametrize("identity", [ANALYST, DBA], ids=["masked", "bypass"])
def test_where_the_bytes_are_cut_makes_no_difference(identity: Identity) -> None:
    whole = conversed(identity, 1 << 20)
    assert whole[0].count(ROWS[2].encode()) == 3
    for size in (*range(1, 60), 100, 305, 310):
        assert conversed(identity, size) == whole


def test_a_bypass_session_gets_every_byte_as_it_was_sent() -> None:
    at_client, at_server = conversed(DBA, 1 << 20)
    assert at_client == b"".join(encoded(answered) for _, answered in CONVERSATION)
    assert at_server == b"".join(encoded(asked) for asked, _ in CONVERSATION)


def test_one_write_for_each_chunk() -> None:
    talk = Scripted(DBA)
    talk.client(Query(b"SELECT 1"), Query(b"SELECT 2"), Sync())
    assert talk.server_pipe.writes == 1
    talk.server(RowDescription(()), *ROWS, CommandComplete("SELECT 3"), IDLE, NOTICE, CommandComplete("SELECT 0"), IDLE)
    assert talk.client_pipe.writes == 1


@pytest.mark.parametrize("ends", [PortalSuspended(), CommandComplete("SELECT 2")])
def test_rows_after_a_result_without_a_limit_meet_theirs(ends: Message) -> None:
    """The rows before came with nothing to count them; those of the next portal are counted from the first one on."""
    row = DataRow((b"1",))
    statement = PlannedStatement(StatementKind.SELECT, max_rows=1)
    limited = replace(plan("SELECT b"), statements=(statement,), limits=Limits(max_rows=1))
    talk = Scripted(ANALYST, {"SELECT a": plan("SELECT a"), "SELECT b": limited})
    talk.client(Parse("a", b"SELECT a"), Parse("b", b"SELECT b"), Sync())
    talk.server(ParseComplete(), ParseComplete(), IDLE)
    talk.client(Bind("p", "a"), Execute("p"), Bind("q", "b"), Execute("q"), Sync())
    talk.at_client()
    first = encoded([BindComplete(), row, row])
    talk.relay.upstream.received(first[:-3])  # the last row comes in two pieces
    talk.relay.upstream.received(first[-3:])
    talk.server(ends, BindComplete(), row, row, CommandComplete("SELECT 2"), IDLE)
    names = [type(message).__name__ for message in talk.at_client()]
    assert names.count("DataRow") == 3
    assert "NoticeResponse" in names


def test_a_reply_too_many_ends_the_session_in_any_piece() -> None:
    for size in (1, 7, 1 << 20):
        talk = Scripted(DBA)
        talk.client(Query(b"SELECT 1"))
        data = encoded([CommandComplete("SELECT 0"), IDLE, CommandComplete("SELECT 0")])
        for start in range(0, len(data), size):
            talk.relay.upstream.received(data[start : start + size])
        assert [type(m).__name__ for m in talk.at_client()] == ["CommandComplete", "ReadyForQuery", "ErrorResponse"]
        assert talk.client_pipe.closed


class Passing(FakeVeils):
    """Another veil is in force each time that somebody asks which."""

    looks: int = 0

    @property
    def generation(self) -> int:
        self.looks += 1
        return self.looks

    @generation.setter
    def generation(self, value: int) -> None:
        self.looks = value


@pytest.mark.parametrize(("first", "looks"), [(0, 0), (3, 2)])
def test_what_comes_in_one_piece_is_held_against_one_veil(first: int, looks: int) -> None:
    """A driver that sends Bind and Execute together is not told that the policy has changed between the two."""
    talk = Scripted(ANALYST)
    talk.client(Parse("s", b"SELECT 4"), Sync())
    talk.server(ParseComplete(), IDLE)
    assert talk.at_server() == [Parse("s", b"SELECT 4"), Sync()]
    talk.veils.verdicts["SELECT 4"] = plan("SELECT 'masked'", rewritten=True)
    talk.veils.__class__ = Passing
    talk.veils.generation = -looks
    sent = encoded([Bind("", "s"), Execute(""), Sync()])
    for piece in (sent[:first], sent[first:]):
        if piece:
            talk.relay.client.received(piece)
    assert talk.at_server() == [Bind("", "s"), Execute(""), Sync()]
