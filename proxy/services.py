"""The services of a process that serves clients, made and handed to each other: the only constructor of most of them.

Each is taken down with the exit stack that it was made on. It does not know sockets, signals or workers: `app` does.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from pydantic import SecretStr

from proxy import localpg
from proxy.authquery import Accounts, AuthQuery
from proxy.credentials import Credentials
from proxy.errors import UpstreamUnavailableError
from proxy.feed import Feed
from proxy.floorstate import FloorState
from proxy.handshake import Door
from proxy.nl.graph import Asker, AskServices
from proxy.nl.ports import Answer, AskContext
from proxy.nl.providers import build_provider
from proxy.ops.audit import Audit
from proxy.ops.health import Check, Health
from proxy.ops.log import get_logger
from proxy.ops.metrics import Metrics
from proxy.patience import Patience
from proxy.pooling import Pooling
from proxy.ports import Asking
from proxy.privacy.pool import DetectorPool
from proxy.privacy.question import QuestionMasker
from proxy.privacy.scrub import Scrubber
from proxy.server import Admission, Server
from proxy.settings import PoolSettings, Settings, UpstreamDsn
from proxy.shadow import Shadow, Surroundings
from proxy.upstream import FloorLogin, Login, SameUser
from proxy.veils import VeilHolder
from proxy.watch import LoginWatch
from proxy.workers.crew import Crew

_log = get_logger("app")


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


class AskLine:
    """The agent, for sessions: adds what it has to know about today's veil."""

    def __init__(self, asker: Asker, veils: VeilHolder) -> None:
        self._asker = asker
        self._veils = veils

    async def resolve(self, question: str, asking: Asking) -> Answer:
        today = datetime.now().astimezone().date()
        context = AskContext(asking.identity, asking.search_path, self._veils.inline, today)
        return await self._asker.resolve(question, context)


async def build_services(settings: Settings, veils: VeilHolder, stack: AsyncExitStack) -> Services:
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


async def open_door(dsn: UpstreamDsn, credentials: Credentials, stack: AsyncExitStack) -> Door:
    """How clients prove who they are; with connections to ask the database, where the settings want that."""
    if credentials.query is None:
        return credentials.door()
    query, account = credentials.query
    accounts = await stack.enter_async_context(Accounts(account or dsn))
    return credentials.door(AuthQuery(accounts.ask, query))


def admission_of(settings: Settings, services: Services, door: Door, crew: Crew) -> Admission:
    return Admission(
        dsn=services.dsn,
        door=door,
        identify=services.veils.identify,
        veils=services.veils,
        asker=AskLine(services.asker, services.veils),
        watch=_watch(services, crew),
        ask_seconds=settings.ask.statement_timeout_s,
        price=services.feed.price,
        login=_upstream_login(settings),
        **_pool(settings.pool, services.metrics),
    )


def _pool(settings: PoolSettings, metrics: Metrics) -> _PoolParts:
    """What the section `pool` says to the server."""
    pooling = Pooling(settings, metrics)
    metrics.pool_counts(pooling.pool.count)
    return _PoolParts(
        max_sessions=settings.max_clients,
        pooling=pooling,
        patience=Patience(settings.client_idle_s, settings.idle_transaction_s),
        login_seconds=settings.login_timeout_s,
    )


class _PoolParts(TypedDict):
    max_sessions: int | None
    pooling: Pooling
    patience: Patience
    login_seconds: float


def _upstream_login(settings: Settings) -> Login | None:
    """Who sessions are at the database, where that is not the account of the DSN."""
    if settings.upstream.login == "same_user":
        return SameUser()
    if settings.upstream.login != "floor":
        return None
    found = os.environ.get(settings.upstream.floor_password_env)
    return FloorLogin(SecretStr(found) if found else None)


def _watch(services: Services, crew: Crew) -> LoginWatch:
    return LoginWatch(
        services.metrics,
        services.audit,
        services.feed.look_soon,
        version=lambda: services.veils.version,
        shadow=services.shadow,
        numbers=crew.numbers,
    )


def readiness(services: Services, server: Server) -> dict[str, Check]:
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
