"""Whether a password may go to the database in clear text: over TLS and on this machine, and nowhere else.

The connection is not a socket: those of a test are all on this machine.
"""

from __future__ import annotations

from typing import cast

import pytest

from proxy.dial import Link
from proxy.errors import UpstreamError
from proxy.login import Account, log_in
from proxy.wire.messages import (
    AuthenticationCleartextPassword,
    AuthenticationOk,
    Message,
    PasswordMessage,
    ReadyForQuery,
)
from proxy.wire.startup import StartupMessage
from proxy.wire.stream import Stream

PASSWORD = "zq8x-secret"


class Elsewhere:
    """A server that asks for the password in clear text, and lets in whoever gives one."""

    def __init__(self, *, local: bool) -> None:
        self.is_local = local
        self._answers: list[Message] = [AuthenticationCleartextPassword(), AuthenticationOk(), ReadyForQuery("I")]
        self.got: list[bytes] = []

    async def read(self) -> bytes:
        return self._answers.pop(0).encode()

    def send(self, data: bytes) -> None:
        self.got.append(data)

    def unread(self, data: bytes) -> None:
        """What came behind the end of the login."""


STARTUP = StartupMessage(3, 0, {"user": "app"}).encode()


@pytest.mark.parametrize(("encrypted", "local"), [(True, False), (True, True), (False, True)])
async def test_it_goes_over_a_private_link(encrypted: bool, local: bool) -> None:
    server = Elsewhere(local=local)
    await log_in(Link(cast("Stream", server), encrypted=encrypted), Account("app", PASSWORD), {"user": "app"})
    assert server.got == [STARTUP, PasswordMessage.of(PASSWORD.encode()).encode()]


async def test_it_does_not_go_over_the_network_in_the_clear() -> None:
    server = Elsewhere(local=False)
    with pytest.raises(UpstreamError, match="in clear text"):
        await log_in(Link(cast("Stream", server)), Account("app", PASSWORD), {"user": "app"})
    assert server.got == [STARTUP]
