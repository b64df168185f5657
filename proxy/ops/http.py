"""The operator's HTTP port: `/healthz`, `/readyz`, `/metrics`, and nothing else.

`/healthz` says that every event loop turns; `/readyz` says whether a client would be served now, check by check; what
there is to tell is injected (`Front`). The server lives in an event loop of the proxy's and installs no signal
handlers: whoever started it stops it. No documentation pages, no access log: the port serves machines.

It does not know TLS or passwords: it listens on loopback unless told otherwise, and serves no data.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from proxy.ops.health import Front
from proxy.ops.metrics import CONTENT_TYPE

_LOOKING = ["GET", "HEAD"]
"""Load balancers ask with either."""


def build_http(front: Front) -> FastAPI:
    """The application. `front` is asked anew at each request."""
    app = FastAPI(title="pgveil", docs_url=None, redoc_url=None, openapi_url=None)

    @app.api_route("/healthz", methods=_LOOKING)
    async def healthz() -> PlainTextResponse:
        if await front.alive():
            return PlainTextResponse("ok\n")
        return PlainTextResponse("a worker does not answer\n", status_code=503)

    @app.api_route("/readyz", methods=_LOOKING)
    async def readyz() -> JSONResponse:
        found = await front.ready()
        ready = all(health.ok for health in found.values())
        body = {
            "ready": ready,
            "checks": {name: {"ok": health.ok, "detail": health.detail} for name, health in found.items()},
        }
        return JSONResponse(body, status_code=200 if ready else 503)

    @app.get("/metrics")
    async def serve_metrics() -> Response:
        return Response(await front.numbers(), media_type=CONTENT_TYPE)

    return app


class _QuietServer(uvicorn.Server):
    """uvicorn without its signal handlers: SIGTERM is the proxy's, which drains clients first."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield


@contextlib.asynccontextmanager
async def serve_http(app: FastAPI, listener: socket.socket) -> AsyncIterator[None]:
    """Serve `app` while the block runs; `listener` is closed at its end."""
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", server_header=False, timeout_graceful_shutdown=2
    )
    server = _QuietServer(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="pgveil-uvicorn")
    try:
        yield
    finally:
        server.should_exit = True
        await serving
