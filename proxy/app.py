"""Wiring: the only place where services are made and handed to each other, and the life of the process.

`serve` builds everything from the settings, serves, and takes it down in reverse. SIGTERM and SIGINT drain (a second
one does not wait), SIGHUP reads policies and users again; policies that change are read without it too. A database
that is down does not keep the proxy from starting: clients are told, and the catalogue is read once it answers.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime

import uvloop
from pydantic import SecretStr

from proxy import localpg
from proxy.clock import Clock
from proxy.errors import ConfigError, UpstreamUnavailableError
from proxy.feed import Feed
from proxy.floorstate import FloorState
from proxy.handshake import Door
from proxy.nl.graph import Asker, AskServices
from proxy.nl.ports import Answer, AskContext
from proxy.nl.providers import build_provider
from proxy.ops.audit import Audit
from proxy.ops.http import Check, Health, build_http, serve_http
from proxy.ops.log import get_logger
from proxy.ops.metrics import Metrics
from proxy.policy.model import Policy
from proxy.policyfiles import Broken, PolicyWatch, Reading, first_reading
from proxy.ports import Asking
from proxy.privacy.pool import DetectorPool
from proxy.privacy.question import QuestionMasker
from proxy.privacy.scrub import Scrubber
from proxy.server import BACKLOG, Admission, Server
from proxy.settings import HostPort, Settings, UpstreamDsn
from proxy.shadow import Shadow, Surroundings
from proxy.upstream import FloorLogin
from proxy.veils import VeilHolder
from proxy.watch import LoginWatch
from proxy.wire.auth import AuthMethod
from proxy.wire.userlist import Userlist, load_userlist

Ready = Callable[[str], None]
"""Told the address once clients are accepted."""

_log = get_logger("app")


def run(settings: Settings) -> int:
    """Serves until it is told to end. The exit status. Raises ConfigError for settings that cannot be used."""
    uvloop.run(serve(settings, announce))
    return 0


def announce(address: str) -> None:
    """The line that scripts wait for."""
    sys.stdout.write(f"pgveil: listening on {address}\n")
    sys.stdout.flush()


async def serve(settings: Settings, ready: Ready) -> None:
    """The proxy's whole life. Raises ConfigError for what cannot be used: policies, users, addresses, files."""
    reading, state = await asyncio.to_thread(first_reading, settings.policies)
    users = Users(settings)
    async with AsyncExitStack() as stack:
        services = await _build(
            settings,
            VeilHolder(enforced(reading), Metrics(), Clock(), on_floor=settings.upstream.login == "floor"),
            stack,
        )
        services.shadow.take(reading.shadow)
        listeners, address = await _listen(settings.listen)
        server = Server(_admission(settings, services, users))
        app = build_http(services.metrics, _checks(services, server))
        http = await stack.enter_async_context(serve_http(app, settings.http.host, settings.http.port))
        _log.info("health and metrics are served", http=http[0], port=http[1])
        async with asyncio.TaskGroup() as group:
            watching = [group.create_task(services.feed.watch()), group.create_task(services.veils.watch_time())]
            files = PolicyWatch(settings.policies, state, lambda found: take(found, services, server))
            stack.enter_context(files)
            with_signals(server, Reload(services, users, files))
            version = services.veils.policy.digest
            _log.info("clients are accepted", listen=address, upstream=str(services.dsn), policy=version)
            ready(address)
            await server.run(listeners)
            for task in watching:
                task.cancel()
    _log.info("stopped")


@dataclass(frozen=True)
class Services:
    """Everything that lives as long as the process."""

    dsn: UpstreamDsn
    veils: VeilHolder
    metrics: Metrics
    audit: Audit | None
    feed: Feed
    asker: Asker
    shadow: Shadow
    floor: FloorState | None
    """Where masked sessions log in on it."""


def enforced(reading: Reading) -> Policy:
    """The policy to start with. Raises ConfigError where there is none."""
    if not isinstance(reading.policy, Policy):
        raise ConfigError("the policies cannot be used", hint="pgveil check says why")
    return reading.policy


def take(reading: Reading, services: Services, server: Server) -> None:
    """What the policy files say now. Each part that cannot be used keeps what was there before.

    A file that cannot be read at all counts as one to enforce, so what is left of the shadow then may be half of it.
    """
    services.veils.take(reading.policy, server.identify_again, asked=reading.asked)
    if isinstance(reading.policy, Policy) or isinstance(reading.shadow, Broken):
        services.shadow.take(reading.shadow, asked=reading.asked)


class Users:
    """The verifiers of those who may log in; read again by `reload`. Raises ConfigError for a file that is broken."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.auth.users if settings.auth.method == "scram" else None
        self.list = Userlist({}) if self._path is None else load_userlist(self._path)

    def reload(self) -> None:
        if self._path is not None:
            self.list = load_userlist(self._path)


class Reload:
    """What SIGHUP does. Each part that fails keeps what was there before."""

    def __init__(self, services: Services, users: Users, files: PolicyWatch) -> None:
        self._services = services
        self._users = users
        self._files = files

    def __call__(self) -> None:
        _log.info("reading policies and users again", signal="SIGHUP")
        try:
            self._users.reload()
        except ConfigError as error:
            _log.error("the new users file cannot be used; the old list stays", error_type=type(error).__name__)
        if self._services.audit is not None:
            self._services.audit.reopen()
        self._files.read_now()


class AskLine:
    """The agent, for sessions: adds what it has to know about today's veil."""

    def __init__(self, asker: Asker, veils: VeilHolder) -> None:
        self._asker = asker
        self._veils = veils

    async def resolve(self, question: str, asking: Asking) -> Answer:
        today = datetime.now().astimezone().date()
        context = AskContext(asking.identity, asking.search_path, self._veils.inline, today)
        return await self._asker.resolve(question, context)


async def _build(settings: Settings, veils: VeilHolder, stack: AsyncExitStack) -> Services:
    metrics = veils.metrics
    audit = None
    if settings.audit.path is not None:
        audit = Audit(settings.audit.path, metrics.audit_lost)
        stack.push_async_callback(asyncio.to_thread, audit.close)
    dsn = settings.upstream.dsn or await _local_dsn(stack)
    state = None
    if veils.on_floor:
        state = FloorState(metrics)
        stack.callback(state.close)
        veils.renewed = state.look
    feed = Feed(dsn.uri(), veils.catalog_changed)
    veils.read_from(feed)
    stack.push_async_exit(feed.__aexit__)
    try:
        await feed.__aenter__()
    except UpstreamUnavailableError as error:  # the proxy starts all the same, and tells its clients
        metrics.catalog_refreshed(ok=False)
        _log.error("the database cannot be read", upstream=str(dsn), error_type=type(error).__name__)
    detector = DetectorPool()
    stack.push_async_callback(detector.close)
    provider = build_provider(settings.ask, feed.fetch)
    stack.push_async_callback(provider.close)
    masker = QuestionMasker(detector, feed.fetch)
    # Comments are read by people and may name some: what leaves this machine goes without.
    scrubber = None if provider.local else Scrubber(detector)
    asking = AskServices(provider, masker, feed.explain_cost, scrubber=scrubber, observe=metrics.ask)
    floored = (lambda: veils.in_force) if veils.on_floor else None
    around = Surroundings(lambda: veils.catalog, veils.clock, (dsn.user, "public"), floored)
    shadow = stack.enter_context(Shadow(around, metrics, audit))
    return Services(dsn, veils, metrics, audit, feed, Asker(asking, settings.ask), shadow, state)


async def _local_dsn(stack: AsyncExitStack) -> UpstreamDsn:
    """The embedded PostgreSQL, for as long as the proxy runs."""
    server = await asyncio.to_thread(localpg.start, localpg.default_data_dir())
    stack.push_async_callback(asyncio.to_thread, server.stop)
    return UpstreamDsn.parse(await asyncio.to_thread(server.service_dsn))


def _admission(settings: Settings, services: Services, users: Users) -> Admission:
    method = AuthMethod.TRUST if settings.auth.method == "trust" else AuthMethod.SCRAM
    return Admission(
        dsn=services.dsn,
        door=Door(method, lambda: users.list),
        identify=services.veils.identify,
        veils=services.veils,
        asker=AskLine(services.asker, services.veils),
        watch=_watch(services),
        ask_seconds=settings.ask.statement_timeout_s,
        price=services.feed.price,
        floor=_floor_login(settings),
    )


def _floor_login(settings: Settings) -> FloorLogin | None:
    if settings.upstream.login != "floor":
        return None
    found = os.environ.get(settings.upstream.floor_password_env)
    return FloorLogin(SecretStr(found) if found else None)


def _watch(services: Services) -> LoginWatch:
    return LoginWatch(
        services.metrics,
        services.audit,
        services.feed.look_soon,
        version=lambda: services.veils.version,
        shadow=services.shadow,
    )


def _checks(services: Services, server: Server) -> dict[str, Check]:
    async def upstream() -> Health:
        failure = await services.feed.check()
        return Health(ok=failure is None, detail=failure or "")

    async def catalog() -> Health:
        return Health(ok=services.veils.ready, detail=f"generation {services.veils.generation}")

    async def policy() -> Health:
        told = (services.veils.status(), services.shadow.status())
        return Health(ok=True, detail=", ".join(text for text in told if text))

    async def accepting() -> Health:
        return Health(ok=not server.stopping, detail="draining" if server.stopping else "")

    checks: dict[str, Check] = {"upstream": upstream, "catalog": catalog, "policy": policy, "accepting": accepting}
    state = services.floor
    if state is not None:

        async def floor() -> Health:
            return Health(ok=True, detail=state.status())

        checks["floor"] = floor
    return checks


async def _listen(place: HostPort) -> tuple[list[socket.socket], str]:
    """Listening sockets for every address of the host, and the first one's address. Raises ConfigError."""
    loop = asyncio.get_running_loop()
    sockets: list[socket.socket] = []
    try:
        found = await loop.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
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


def with_signals(server: Server, reload: Callable[[], None]) -> None:
    """The process's signals, from here on."""
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        _log.info("draining", signal=number.name, sessions=len(server.sessions))
        server.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    loop.add_signal_handler(signal.SIGHUP, reload)
