"""The operator's HTTP port: `/healthz`, `/readyz`, `/metrics`, and nothing else.

`/healthz` says that the event loop turns; `/readyz` says whether a client would be served now, check by check; what
the checks are is injected. The server lives in the proxy's own event loop and installs no signal handlers: whoever
started it stops it. No documentation pages, no access log: the port serves machines.

It does not know TLS or passwords: it listens on loopback unless told otherwise, and serves no data.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from proxy.errors import ConfigError
from proxy.ops.metrics import CONTENT_TYPE, Metrics

CHECK_SECONDS = 5.0
"""A check that takes longer counts as failed: an orchestrator's own patience is about this long."""

_LOOKING = ["GET", "HEAD"]
"""Load balancers ask with either."""


@dataclass(frozen=True, slots=True)
class Health:
    """What a readiness check found. `detail` names states, versions and types; never a value or an error's text."""

    ok: bool
    detail: str = ""


Check = Callable[[], Awaitable[Health]]


def build_http(metrics: Metrics, checks: Mapping[str, Check]) -> FastAPI:
    """The application. `checks` are asked at each `/readyz`, together."""
    app = FastAPI(title="pgveil", docs_url=None, redoc_url=None, openapi_url=None)

    @app.api_route("/healthz", methods=_LOOKING, response_class=PlainTextResponse)
    async def healthz() -> str:
        return "ok\n"

    @app.api_route("/readyz", methods=_LOOKING)
    async def readyz() -> JSONResponse:
        found = await _run_checks(checks)
        ready = all(health.ok for health in found.values())
        body = {
            "ready": ready,
            "checks": {name: {"ok": health.ok, "detail": health.detail} for name, health in found.items()},
        }
        return JSONResponse(body, status_code=200 if ready else 503)

    @app.get("/metrics")
    async def serve_metrics() -> Response:
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    return app


async def _run_checks(checks: Mapping[str, Check]) -> dict[str, Health]:
    found = await asyncio.gather(*(_run_check(check) for check in checks.values()))
    return dict(zip(checks, found, strict=True))


async def _run_check(check: Check) -> Health:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except Exception as error:  # a check that breaks is a check that fails
        return Health(ok=False, detail=type(error).__name__)


class _QuietServer(uvicorn.Server):
    """uvicorn without its signal handlers: SIGTERM is the proxy's, which drains clients first."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield


@contextlib.asynccontextmanager
async def serve_http(app: FastAPI, host: str, port: int) -> AsyncIterator[tuple[str, int]]:
    """Serve `app` while the block runs; yields the address that was bound (port 0 gives a free one).

    Raises ConfigError where the address cannot be bound.
    """
    listener = await _bind(host, port)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", server_header=False, timeout_graceful_shutdown=2
    )
    server = _QuietServer(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="pgveil-http")
    try:
        address = listener.getsockname()
        yield address[0], address[1]
    finally:
        server.should_exit = True
        await serving


async def _bind(host: str, port: int) -> socket.socket:
    """A listening socket of the first of the host's addresses."""
    listener: socket.socket | None = None
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
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
    return listener
