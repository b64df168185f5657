"""Sockets that listen, and whose turn it is to accept.

All workers wait on the same listening sockets, so that no connection is lost with a worker that ends, as it would be
with a socket each (SO_REUSEPORT): the kernel would have promised it to that one. All of them wake for a connection, and
the fastest would take it, which is nearly always the same one. So whoever has more connections than another waits a
moment for each and lets that one be first; it takes the connection after all if nobody has come.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from proxy.errors import ConfigError
from proxy.settings import HostPort

BACKLOG = 1024
YIELD_SECONDS = 0.002
"""How long a worker lets others be first, for each connection that it has more..."""
MOST_YIELDS = 5
"""...but for no more than these."""


def listen(place: HostPort) -> tuple[list[socket.socket], str]:
    """Listening sockets for every address of the host, and the first one's address. Blocks. Raises ConfigError."""
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
        for family, _, _, _, address in dict.fromkeys(found):
            sockets.append(_bound(family, address))
            if place.port == 0:  # another address would get another port
                break
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise ConfigError(
            f"cannot listen on {place}: {error.strerror}", hint="Choose another with --listen HOST:PORT."
        ) from None
    port = int(sockets[0].getsockname()[1])
    return sockets, str(HostPort(place.host, port))


def _bound(family: int, address: tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.settimeout(0)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


async def accept(listener: socket.socket, ahead: Callable[[], int]) -> socket.socket:
    """The next client. One at a time, so that others get their turn. Raises OSError."""
    while True:
        await _readable(listener)
        for turn in range(MOST_YIELDS):
            if ahead() <= turn:
                break
            await asyncio.sleep(YIELD_SECONDS)
        try:
            sock, _ = listener.accept()
        except (BlockingIOError, InterruptedError):  # another worker was first
            continue
        sock.settimeout(0)
        return sock


async def _readable(listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    waiting: asyncio.Future[None] = loop.create_future()
    number = listener.fileno()
    loop.add_reader(number, _wake, waiting)
    try:
        await waiting
    finally:
        loop.remove_reader(number)


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
