"""Health and numbers, before they are HTTP: what a check finds, and what the operator's port asks for.

Apart from `http` because FastAPI and uvicorn take a fifth of the time that pgveil takes to start, and a quarter of its
memory's growth: clients are accepted first (`serving`), and workers never load them.

It does not know what is checked.
"""

from __future__ import annotations

import asyncio
import importlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from proxy.errors import ConfigError
from proxy.ops.log import get_logger
from proxy.ops.metrics import Metrics

CHECK_SECONDS = 5.0
"""A check that takes longer counts as failed: an orchestrator's own patience is about this long."""

_log = get_logger("http")


@dataclass(frozen=True, slots=True)
class Health:
    """What a readiness check found. `detail` names states, versions and types; never a value or an error's text."""

    ok: bool
    detail: str = ""


Check = Callable[[], Awaitable[Health]]


class Front(Protocol):
    """What the port tells, of one process or of all workers. Raises nothing."""

    async def alive(self) -> bool:
        """Every event loop turns."""

    async def ready(self) -> Mapping[str, Health]: ...

    async def numbers(self) -> bytes:
        """Metrics, in Prometheus's text format."""


class OneProcess:
    """This process tells of itself."""

    def __init__(self, metrics: Metrics, checks: Mapping[str, Check]) -> None:
        self._metrics = metrics
        self._checks = checks

    async def alive(self) -> bool:
        return True

    async def ready(self) -> Mapping[str, Health]:
        return await run_checks(self._checks)

    async def numbers(self) -> bytes:
        return self._metrics.render()


async def run_checks(checks: Mapping[str, Check]) -> dict[str, Health]:
    """All of them together."""
    found = await asyncio.gather(*(_run_check(check) for check in checks.values()))
    return dict(zip(checks, found, strict=True))


async def _run_check(check: Check) -> Health:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except Exception as error:  # a check that breaks is a check that fails
        return Health(ok=False, detail=type(error).__name__)


def merge_checks(found: Mapping[int, Mapping[str, Health]]) -> dict[str, Health]:
    """Each check once, of all workers by number: well where it is well in every one."""
    names = dict.fromkeys(name for checks in found.values() for name in checks)
    return {name: _merged({n: checks[name] for n, checks in found.items() if name in checks}) for name in names}


def _merged(found: Mapping[int, Health]) -> Health:
    details = {number: health.detail for number, health in found.items()}
    said = dict.fromkeys(details.values())
    if len(said) == 1:
        detail = next(iter(said))
    else:
        detail = "; ".join(f"worker {number}: {text or 'ok'}" for number, text in sorted(details.items()))
    return Health(all(health.ok for health in found.values()), detail)


def bind_http(host: str, port: int) -> socket.socket:
    """A listening socket on the first of the host's addresses. Blocks. Raises ConfigError."""
    listener: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.settimeout(0)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        if listener is not None:
            listener.close()
        hint = "choose another with --http HOST:PORT"
        raise ConfigError(f"the HTTP port {host}:{port} cannot be used: {error.strerror}", hint=hint) from None
    bound = listener.getsockname()
    _log.info("health and metrics are served", http=bound[0], port=bound[1])
    return listener


@asynccontextmanager
async def serving(front: Front, listener: socket.socket) -> AsyncIterator[None]:
    """Serve while the block runs. Who connects before FastAPI is loaded waits for it."""
    ending = asyncio.Event()
    task = asyncio.create_task(_serve(front, listener, ending), name="pgveil-http")
    task.add_done_callback(_say_how_it_ended)
    try:
        yield
    finally:
        ending.set()
        await asyncio.wait([task])


async def _serve(front: Front, listener: socket.socket, ending: asyncio.Event) -> None:
    http = await asyncio.to_thread(importlib.import_module, "proxy.ops.http")
    async with http.serve_http(http.build_http(front), listener):
        await ending.wait()


def _say_how_it_ended(task: asyncio.Task[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _log.error("health and metrics are not served any more", exc_info=error)
