"""The HTTP port: healthz, readyz, metrics, nothing else; beside other work in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator

import httpx
import pytest

from proxy.errors import ConfigError
from proxy.ops.health import Check, Health, OneProcess, bind_http, merge_checks, serving
from proxy.ops.http import build_http
from proxy.ops.metrics import Metrics

SECRET = "123-45-6789"


async def good() -> Health:
    return Health(ok=True, detail="PostgreSQL 18")


async def bad() -> Health:
    return Health(ok=False, detail="refused")


async def broken() -> Health:
    raise ValueError(SECRET)


@contextlib.asynccontextmanager
async def served(checks: dict[str, Check]) -> AsyncIterator[tuple[str, int]]:
    listener = bind_http("127.0.0.1", 0)
    host, port = listener.getsockname()
    async with serving(OneProcess(Metrics(), checks), listener):
        yield host, port


def client(checks: dict[str, Check], metrics: Metrics | None = None) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=build_http(OneProcess(metrics or Metrics(), checks)))
    return httpx.AsyncClient(transport=transport, base_url="http://pgveil")


async def test_healthz_is_well_whatever_the_checks_say() -> None:
    async with client({"upstream": bad}) as http:
        reply = await http.get("/healthz")
    assert (reply.status_code, reply.text) == (200, "ok\n")


async def test_ready_when_every_check_is() -> None:
    async with client({"upstream": good, "policy": good}) as http:
        reply = await http.get("/readyz")
    assert reply.status_code == 200
    assert reply.json()["ready"] is True
    assert reply.json()["checks"]["upstream"] == {"ok": True, "detail": "PostgreSQL 18"}


async def test_not_ready_says_which_check_failed() -> None:
    async with client({"upstream": bad, "policy": good}) as http:
        reply = await http.get("/readyz")
    assert reply.status_code == 503
    assert reply.json()["ready"] is False
    assert reply.json()["checks"] == {
        "upstream": {"ok": False, "detail": "refused"},
        "policy": {"ok": True, "detail": "PostgreSQL 18"},
    }


async def test_health_is_told_without_a_body_too() -> None:
    async with client({"upstream": bad}) as http:
        assert (await http.head("/healthz")).status_code == 200
        assert (await http.head("/readyz")).status_code == 503
    async with served({"upstream": good}) as (host, port), httpx.AsyncClient() as http:
        reply = await http.head(f"http://{host}:{port}/readyz")
    assert (reply.status_code, reply.content) == (200, b"")


async def test_a_check_that_breaks_has_failed_and_shows_no_text() -> None:
    async with client({"upstream": broken}) as http:
        reply = await http.get("/readyz")
    assert reply.status_code == 503
    assert reply.json()["checks"]["upstream"]["detail"] == "ValueError"
    assert SECRET not in reply.text


async def test_a_check_that_hangs_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang() -> Health:
        await asyncio.Event().wait()
        return Health(ok=True)

    monkeypatch.setattr("proxy.ops.health.CHECK_SECONDS", 0.01)
    async with client({"upstream": hang}) as http:
        reply = await http.get("/readyz")
    assert reply.status_code == 503
    assert reply.json()["checks"]["upstream"] == {"ok": False, "detail": "TimeoutError"}


async def test_metrics_are_served_as_prometheus_reads_them() -> None:
    metrics = Metrics()
    metrics.refusal("42501")
    async with client({}, metrics) as http:
        reply = await http.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=")
    assert 'pgveil_refusals_total{sqlstate="42501"} 1.0' in reply.text


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc", "/openapi.json"])
async def test_nothing_else_is_served(path: str) -> None:
    async with client({}) as http:
        assert (await http.get(path)).status_code == 404


async def test_it_serves_while_the_block_runs_and_leaves_signals_alone() -> None:
    handler = signal.getsignal(signal.SIGTERM)
    async with served({}) as (host, port):
        assert signal.getsignal(signal.SIGTERM) is handler
        async with httpx.AsyncClient() as http:
            reply = await http.get(f"http://{host}:{port}/healthz")
        assert reply.status_code == 200
        assert "server" not in reply.headers
    async with httpx.AsyncClient() as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(f"http://{host}:{port}/healthz")


async def test_what_fails_in_the_block_comes_out_as_it_is() -> None:
    with pytest.raises(ConfigError, match="somebody"):
        async with served({}):
            raise ConfigError("somebody else's error")


def test_a_port_in_use_is_an_error_with_a_hint() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port} cannot be used: Address already in use") as caught:
            bind_http("127.0.0.1", port)
    assert "--http" in str(caught.value.hint)


def test_a_host_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        bind_http("256.0.0.1", 0)


def test_checks_of_several_workers_are_one_each() -> None:
    found = {
        1: {"upstream": Health(ok=True), "catalog": Health(ok=True, detail="generation 3"), "policy": Health(ok=True)},
        2: {"upstream": Health(ok=False, detail="OSError"), "catalog": Health(ok=True, detail="generation 3")},
    }
    assert merge_checks(found) == {
        "upstream": Health(ok=False, detail="worker 1: ok; worker 2: OSError"),
        "catalog": Health(ok=True, detail="generation 3"),
        "policy": Health(ok=True),
    }


async def test_a_worker_that_does_not_answer_is_told() -> None:
    class Silent(OneProcess):
        async def alive(self) -> bool:
            return False

    transport = httpx.ASGITransport(app=build_http(Silent(Metrics(), {})))
    async with httpx.AsyncClient(transport=transport, base_url="http://pgveil") as http:
        assert (await http.get("/healthz")).status_code == 503
