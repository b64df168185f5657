"""The life of the process: what is started, in which order, and how it ends.

`serve` builds everything from the settings, serves, and takes it down in reverse. SIGTERM and SIGINT drain (a second
one does not wait), SIGHUP reads policies and users again; policies that change are read without it too. A database
that is down does not keep the proxy from starting: clients are told, and the catalogue is read once it answers.

With several workers each of them is such a process (`work`), and another one, which serves nobody, starts them and
takes the signals (`workers.supervisor`).
"""

from __future__ import annotations

import asyncio
import gc
import pickle
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

import uvloop

from proxy import __version__, descriptors, localpg, native
from proxy.clock import Clock
from proxy.credentials import Credentials
from proxy.errors import ConfigError
from proxy.ops.health import Check, OneProcess, bind_http, serving
from proxy.ops.log import get_logger
from proxy.ops.metrics import Metrics
from proxy.ops.totals import snapshot
from proxy.policy.model import Policy
from proxy.policyfiles import Broken, PolicyWatch, Reading, Signature, first_reading
from proxy.server import Server
from proxy.services import Services, admission_of, build_services, open_door, readiness
from proxy.settings import Settings, UpstreamDsn
from proxy.veils import VeilHolder
from proxy.workers.crew import Crew
from proxy.workers.listening import listen
from proxy.workers.member import Duties, Member
from proxy.workers.supervisor import Plan, Supervisor

Ready = Callable[[str], None]
"""Told the address once clients are accepted."""

COLLECT_AFTER = (5_000, 5, 10)
"""`gc.set_threshold`. Statements leave no garbage in cycles, ended sessions do. More would hold the event loop for
longer at a time; less, as is usual, looks at what statements hold for nothing, again and again."""

_log = get_logger("app")


def run(settings: Settings) -> int:
    """Serves until it is told to end. The exit status. Raises ConfigError for settings that cannot be used."""
    descriptors.prepare()
    if settings.workers > 1:
        _run_workers(settings)
    else:
        uvloop.run(serve(settings, announce))
    return 0


def announce(address: str) -> None:
    """The line that scripts wait for. Where nobody reads it any more, that ends nothing."""
    with suppress(OSError, ValueError, AttributeError):  # closed by the reader, by us, or never there
        sys.stdout.write(f"pgveil: listening on {address}\n")
        sys.stdout.flush()


def _run_workers(settings: Settings) -> None:
    """Several workers, and one embedded PostgreSQL for all of them. Nothing here may start a thread or a loop."""
    spare = _Spare(settings)
    listeners, address = listen(settings.listen)
    http = bind_http(settings.http.host, settings.http.port)
    server = None if settings.upstream.dsn is not None else localpg.start(localpg.default_data_dir())
    try:
        if server is not None:
            upstream = settings.upstream.model_copy(update={"dsn": UpstreamDsn.parse(server.service_dsn())})
            settings = settings.model_copy(update={"upstream": upstream})
        gc.collect()
        gc.freeze()  # the collector does not write to what children share
        plan = Plan(
            workers=settings.workers,
            listeners=listeners,
            http=http,
            work=lambda member: uvloop.run(work(settings, spare.credentials, member)),
            reload=spare.reload,
            ready=lambda: announce(address),
        )
        Supervisor(plan).run()
    finally:
        if server is not None:
            server.stop()


class _Spare:
    """The supervisor's own copy of the last good credentials, for workers to come."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.credentials = Credentials(settings)

    def reload(self) -> None:
        with suppress(ConfigError):  # the workers say what is wrong
            self.credentials = Credentials(self._settings, self.credentials)


async def serve(settings: Settings, ready: Ready) -> None:
    """The proxy's whole life. Raises ConfigError for what cannot be used: policies, users, addresses, files."""
    first = await asyncio.to_thread(first_reading, settings.policies)
    credentials = Credentials(settings)
    async with AsyncExitStack() as stack:
        proxy = await _assemble(settings, _Given(credentials, first, Crew()), stack)
        listeners, address = await asyncio.to_thread(listen, settings.listen)
        http = await asyncio.to_thread(bind_http, settings.http.host, settings.http.port)
        with_signals(proxy.server, proxy.reload)
        proxy.log_accepting(address)
        ready(address)
        await stack.enter_async_context(serving(OneProcess(proxy.services.metrics, proxy.checks), http))
        await proxy.run(listeners)
    _log.info("stopped")


async def work(settings: Settings, credentials: Credentials, member: Member) -> None:
    """A worker's whole life. Its policies are those of the one that it replaces, whatever the files say by now."""
    async with member.joined(), AsyncExitStack() as stack:
        first = await asyncio.to_thread(_first_of, settings, member)
        given = _Given(credentials, first, member.crew, lambda found: member.learned(pickle.dumps(found)))
        proxy = await _assemble(settings, given, stack)
        if member.policies is None:
            given.learned(first[0])
        proxy.log_accepting(str(settings.listen))
        member.serves(proxy.duties())
        await proxy.run(member.listeners)
    _log.info("stopped")


def _first_of(settings: Settings, member: Member) -> tuple[Reading, Signature]:
    if member.policies is None:
        return first_reading(settings.policies)
    reading: Reading = pickle.loads(member.policies)  # noqa: S301 - another worker wrote it
    return reading, ()  # the files are in no such state, so they are read again soon


@dataclass(frozen=True)
class _Given:
    """What differs between a process that is alone and one of several."""

    credentials: Credentials
    first: tuple[Reading, Signature]
    crew: Crew
    learned: Callable[[Reading], None] = lambda _: None
    """Is told which policies are in force, and which shadow is tried on, when that changes."""


@dataclass(frozen=True)
class Proxy:
    """Everything that serves clients in one process."""

    services: Services
    server: Server
    files: PolicyWatch
    reload: Reload
    found: Callable[[Reading], None]
    """Is told what the policy files say."""

    @property
    def checks(self) -> dict[str, Check]:
        return readiness(self.services, self.server)

    def duties(self) -> Duties:
        """For the supervisor."""
        registry = self.services.metrics.registry
        return Duties(
            stop=self.server.stop,
            reload=self.reload,
            adopt=lambda policies: self.found(pickle.loads(policies)),  # noqa: S301 - another worker wrote it
            cancel=self.server.cancel,
            checks=self.checks,
            numbers=lambda: snapshot(registry),
        )

    def log_accepting(self, address: str) -> None:
        version = self.services.veils.policy.digest
        running = f"{__version__} ({native.IN_USE})"
        upstream = str(self.services.dsn)
        _log.info("clients are accepted", listen=address, upstream=upstream, policy=version, version=running)

    async def run(self, listeners: Sequence[socket.socket]) -> None:
        """Serves until the server is told to stop, and has drained."""
        # What was made until now lives as long as the process: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECT_AFTER)
        async with asyncio.TaskGroup() as group:
            services = self.services
            watching = [group.create_task(services.feed.watch()), group.create_task(services.veils.watch_time())]
            with self.files:
                await self.server.run(listeners)
            for task in watching:
                task.cancel()


async def _assemble(settings: Settings, given: _Given, stack: AsyncExitStack) -> Proxy:
    reading, state = given.first
    policy = enforced(reading)
    if unknown := sorted(set(settings.pool.roles) - set(policy.roles)):  # one that comes with a reload is welcome
        _log.warning("pool.roles names roles that no policy has", roles=tuple(unknown))
    veils = VeilHolder(policy, Metrics(), Clock(), on_floor=settings.upstream.login == "floor")
    services = await build_services(settings, veils, stack)
    services.shadow.take(reading.shadow)
    door = await open_door(services.dsn, given.credentials, stack)
    server = Server(admission_of(settings, services, door, given.crew), crew=given.crew)
    good = LastGood(reading, given.learned)

    def found(reading: Reading) -> None:
        take(reading, services, server)
        good.take(reading)

    files = PolicyWatch(settings.policies, state, found)
    return Proxy(services, server, files, Reload(services, given.credentials, files), found)


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


class Reload:
    """What SIGHUP does. Each part that fails keeps what was there before."""

    def __init__(self, services: Services, credentials: Credentials, files: PolicyWatch) -> None:
        self._services = services
        self._credentials = credentials
        self._files = files

    def __call__(self) -> None:
        _log.info("reading policies and users again", signal="SIGHUP")
        self._credentials.reload()
        if self._services.audit is not None:
            self._services.audit.reopen()
        self._files.read_now()


class LastGood:
    """What `take` has left in force, for whoever replaces this process. `tell` learns of every change."""

    def __init__(self, first: Reading, tell: Callable[[Reading], None]) -> None:
        self._last = first
        self._tell = tell

    def take(self, found: Reading) -> None:
        last, policy, shadow = self._last, found.policy, found.shadow
        if isinstance(policy, Broken):
            policy, shadow = last.policy, last.shadow
        elif isinstance(shadow, Broken):
            shadow = last.shadow
        if (policy, shadow) != (last.policy, last.shadow):
            self._last = Reading(policy, shadow)
            self._tell(self._last)


def with_signals(server: Server, reload: Callable[[], None]) -> None:
    """The process's signals, from here on."""
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        _log.info("draining", signal=number.name, sessions=len(server.sessions))
        server.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    loop.add_signal_handler(signal.SIGHUP, reload)
