"""A client that is far ahead of its replies waits, with messages that pass in parts as with any other."""

from __future__ import annotations

import pytest
from scripted import DBA, Scripted

from proxy.passing import MAX_OWED
from proxy.wire.buffer import LONG_FRAME
from proxy.wire.messages import Bind, BindComplete, Execute, Flush, Message, Query, Sync

LONG: dict[str, Message] = {
    "Bind": Bind("", "", parameters=(b"x" * LONG_FRAME * 3,)),
    "Query": Query(b"SELECT '" + b"x" * LONG_FRAME * 3 + b"'"),
}


@pytest.mark.parametrize("kind", LONG)
def test_a_long_message_waits_for_its_turn(kind: str) -> None:
    talk = Scripted(DBA)
    ahead = [Bind("", "")] * MAX_OWED
    talk.client(*ahead)
    assert len(talk.at_server()) == MAX_OWED
    sent = LONG[kind].encode() + Execute("").encode() + Sync().encode()
    for at in range(0, len(sent), LONG_FRAME):
        talk.relay.client.received(sent[at : at + LONG_FRAME])
    assert talk.at_server() == [Flush()], "the server is told to answer, and gets no more until it has"
    paused = talk.client_pipe.paused
    assert paused, "the rest of it is left where it is"
    talk.server(*[BindComplete()] * MAX_OWED)
    assert talk.at_server() == [LONG[kind], Execute(""), Sync()]
    assert len(talk.at_client()) == MAX_OWED
