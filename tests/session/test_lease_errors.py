"""What a client sends behind an error, or into a COPY, on a shared connection: the server gets what it would get."""

from __future__ import annotations

from test_lease import READY, World, run

BIND = b"B\0\0\0\x0c\0\0\0\0\0\0\0\0"
FAILURE = b"E\0\0\0\x17SERROR\0C26000\0Mno\0\0"
SYNC = b"S\0\0\0\4"


def query(sql: str) -> bytes:
    return b"Q" + (len(sql) + 5).to_bytes(4, "big") + sql.encode() + b"\0"


def test_a_text_that_is_skipped_brings_no_sync_of_ours() -> None:
    """It would end what is skipped, and the text would run."""

    async def test() -> None:
        world = World()
        one, heard = world.session()
        one.send(BIND + query("PREPARE s AS SELECT 7") + SYNC)
        await world.settle()
        conn, server = world.conn(), world.servers[0].stream
        conn.received(b"3\0\0\0\4" + FAILURE)
        await world.settle()
        assert server.sent.count(SYNC) == 1
        assert b"PREPARE" not in server.sent
        conn.received(READY)
        assert heard.got == FAILURE + READY

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
