"""Ways to the database: the hosts of the DSN, their addresses, and a socket for one of them.

A host's name may have several addresses; each is a way of its own, tried in the resolver's order, or in any
(`load_balance_hosts=random`: hosts and addresses, as libpq does).
https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-MULTIPLE-HOSTS

It does not know TLS, and it sends nothing.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from proxy.errors import UpstreamUnavailableError
from proxy.settings.addresses import UpstreamHost
from proxy.settings.libpq import Keepalive

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Route:
    """One address of one host, as the socket module has it."""

    host: UpstreamHost
    family: int
    address: Any

    @property
    def is_local_socket(self) -> bool:
        return self.family == socket.AF_UNIX


def shuffled(things: Sequence[_T], *, at_random: bool) -> list[_T]:
    """As they stand, or in any order."""
    return random.sample(things, len(things)) if at_random else list(things)


async def resolve(host: UpstreamHost) -> list[Route]:
    """The host's addresses, at least one. Raises UpstreamUnavailableError where it has none."""
    path = host.socket_path
    if path is not None:
        return [Route(host, socket.AF_UNIX, path)]
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host.host, host.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        found = []
    if not found:
        raise UpstreamUnavailableError(
            "the database's host has no address", hint="Look at upstream.dsn, and at the name service."
        )
    return [Route(host, family, address) for family, _, _, _, address in dict.fromkeys(found)]


async def connect(route: Route, keepalive: Keepalive) -> socket.socket:
    """A connected socket that does not block. Raises UpstreamUnavailableError."""
    sock = socket.socket(route.family, socket.SOCK_STREAM)
    try:
        sock.settimeout(0)
        if not route.is_local_socket:
            _tune(sock, keepalive)
        await asyncio.get_running_loop().sock_connect(sock, route.address)
    except OSError:
        sock.close()
        raise UpstreamUnavailableError(
            "the database cannot be reached", hint="It may be down or starting; try again."
        ) from None
    except BaseException:
        sock.close()
        raise
    return sock


def _tune(sock: socket.socket, keepalive: Keepalive) -> None:
    """What is sent leaves at once; a server that vanished without a word is noticed as the DSN says."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(keepalive.on))
    wanted = {"TCP_USER_TIMEOUT": keepalive.user_timeout_ms}
    if keepalive.on:
        idle = "TCP_KEEPIDLE" if hasattr(socket, "TCP_KEEPIDLE") else "TCP_KEEPALIVE"  # the latter is macOS's name
        wanted |= {idle: keepalive.idle_s, "TCP_KEEPINTVL": keepalive.interval_s, "TCP_KEEPCNT": keepalive.count}
    for name, value in wanted.items():
        option = getattr(socket, name, None)
        if value and option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
