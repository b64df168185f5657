"""What passes on a shared connection beside questions and answers: notifications, and messages that come in parts."""

from __future__ import annotations

import struct

from test_lease import READY, ROWLESS, SELECT, Client, World, run

SET = b"Q\0\0\0\x19SET work_mem = '2MB'\0"
SET_DONE = b"C\0\0\0\x08SET\0Z\0\0\0\5I"
NOTIFIED = b"A\0\0\0\x0f\0\0\0\7ch\0one\0"
LISTENS = b"D\0\0\0\x18\0\3\0\0\0\6LISTEN" + b"\xff" * 8
"""A row of the server's answer about what is left."""
LONG = b"Q" + struct.pack("!i", 400_005) + b"-" * 400_000 + b"\0"


class Pressed(Client):
    """Is told to send no more, and to go on."""

    stopped = False

    def clogged(self) -> None:
        self.stopped = True

    def cleared(self) -> None:
        self.stopped = False


def test_a_notification_that_comes_with_the_answer_to_a_question_of_ours() -> None:
    async def test() -> None:
        world = World()
        one, heard = world.session()
        one.send(SET)
        await world.settle()
        conn = world.conn()
        conn.received(SET_DONE)
        assert b"pg_listening_channels" in world.servers[0].stream.sent
        conn.received(NOTIFIED + LISTENS + ROWLESS + NOTIFIED + READY)
        assert heard.got.count(NOTIFIED) == 2
        assert LISTENS not in heard.got

    run(test)


def test_a_client_in_the_middle_of_a_long_message_is_not_told_to_wait() -> None:
    """It would wait for us, and we for the rest of its message."""

    async def test() -> None:
        world = World()
        lease, _ = world.session()
        client = Pressed()
        lease.attach(client)
        lease.send(LONG[:300_000])
        await world.settle()
        assert not client.stopped
        lease.send(LONG[300_000:])
        await world.settle()
        assert world.servers[0].stream.sent == LONG

    run(test)


def test_a_client_that_sends_on_while_it_waits_for_a_connection_is_told_to_stop() -> None:
    async def test() -> None:
        world = World()
        (one, _), (other, _) = world.session(), world.session()
        client = Pressed()
        other.attach(client)
        one.send(SELECT)
        await world.settle()
        other.send(SELECT)
        other.send(LONG)
        await world.settle()
        assert client.stopped
        world.conn().received(ROWLESS + READY)
        await world.settle()
        assert not client.stopped

    run(test)
