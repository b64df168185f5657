"""What a client sends behind an error, or into a COPY, on a shared connection: the server gets what it would get."""

from __future__ import annotations

from test_lease import PARSE, PARSED, READY, ROWLESS, World, run

from proxy.leasetold import Told
from proxy.serverconn import Conn
from proxy.wire.buffer import FrameBuffer
from proxy.wire.messages import ParameterStatus

BIND = b"B\0\0\0\x0c\0\0\0\0\0\0\0\0"
FAILURE = b"E\0\0\0\x17SERROR\0C26000\0Mno\0\0"
SYNC = b"S\0\0\0\4"
CALLS = b"P\0\0\0\x12\0SELECT f()\0\0\0"
NAMED = b"P\0\0\0\x11n\0SELECT 1\0\0\0"
EXECUTE = b"E\0\0\0\x09\0\0\0\0\0"


def query(sql: str) -> bytes:
    return b"Q" + (len(sql) + 5).to_bytes(4, "big") + sql.encode() + b"\0"


def test_a_text_that_is_skipped_brings_no_sync_of_ours() -> None:
    """It would end what is skipped, and the text would run."""

    async def test() -> None:
        world = World()
        one, heard = world.session()
        one.send(NAMED + SYNC)
        await world.settle()
        conn, server = world.conn(), world.servers[0].stream
        conn.received(b"3\0\0\0\4" + PARSED + b"t\0\0\0\6\0\0" + b"n\0\0\0\4" + READY)
        assert heard.got == PARSED + READY
        one.send(BIND + query("PREPARE s AS SELECT 7") + SYNC)
        await world.settle()
        conn.received(b"3\0\0\0\4" + FAILURE)
        await world.settle()
        assert server.sent.count(SYNC) == 2
        assert b"PREPARE" not in server.sent
        conn.received(READY)
        assert heard.got == PARSED + READY + FAILURE + READY

    run(test)


def test_a_query_into_a_copy_does_not_wait_for_its_end() -> None:
    """The server ends the session over it, as soon as it hears of it."""

    async def test() -> None:
        world = World()
        one, _ = world.session()
        one.send(query("COPY t FROM STDIN") + query("EXECUTE s") + BIND)
        await world.settle()
        server = world.servers[0].stream
        assert b"EXECUTE" not in server.sent
        world.conn().received(b"G\0\0\0\x07\0\0\0")
        await world.settle()
        assert server.sent.endswith(query("EXECUTE s") + BIND)

    run(test)


def test_a_simple_query_ends_the_unnamed_statement_for_a_bind_right_behind_it() -> None:
    """The server is to say that there is none, and not to be given the old one again."""

    async def test() -> None:
        world = World()
        one, _ = world.session()
        one.send(CALLS + BIND + EXECUTE + SYNC)
        await world.settle()
        conn, server = world.conn(), world.servers[0].stream
        conn.received(PARSED + b"2\0\0\0\4" + ROWLESS + READY)
        assert b"pg_listening_channels" in server.sent  # a question of ours has ended it at the server
        conn.received(b"T\0\0\0\6\0\0" + ROWLESS + READY)
        sent = len(server.sent)
        one.send(query("SELECT 1") + BIND + SYNC)
        await world.settle()
        assert CALLS not in server.sent[sent:]

    run(test)


def test_a_text_with_names_brings_no_sync_of_ours_where_there_are_none() -> None:
    """It would commit what the client has begun without one."""

    async def test() -> None:
        world = World()
        one, _ = world.session()
        one.send(PARSE + BIND + EXECUTE)
        await world.settle()
        conn, server = world.conn(), world.servers[0].stream
        one.send(query("PREPARE s AS SELECT 7"))
        await world.settle()
        conn.received(PARSED + b"2\0\0\0\4" + ROWLESS)
        await world.settle()
        assert server.sent.endswith(query("PREPARE s AS SELECT 7"))
        assert SYNC not in server.sent

    run(test)


def test_a_setting_that_is_given_back_is_no_news() -> None:
    async def test() -> None:
        world = World()
        one, _ = world.session()
        one.send(query("SELECT 1"))
        await world.settle()
        told = Told({"application_name": "mine"}, {})
        assert heard(told, world.conn(), "mine") == []
        assert heard(told, world.conn(), "other") == [ParameterStatus("application_name", "other").encode()]
        assert heard(told, world.conn(), "other") == []

    run(test)


def heard(told: Told, conn: Conn, value: str) -> list[bytes]:
    """What a client hears of a value that the server reports."""
    buffer = FrameBuffer()
    buffer.feed(ParameterStatus("application_name", value).encode())
    (frame,) = buffer.frames()
    return [bytes(part) for part in told.parameter(conn, frame, ours=False)]
