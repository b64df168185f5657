"""Thousands of clients that are logged in and do nothing: what each of them costs, and that there may be so many."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import Configuration, Pgveil, serving
from office_world import write_policy
from probes import DATABASE
from raw_client import RawClient

POLICY = """
version: 1
roles:
  dba: {users: [dba], bypass: true}
  analyst: {users: [analyst]}
defaults: {tables: deny}
tables:
  - {allow: ["public.*"], roles: [analyst]}
masks:
  - {columns: [public.people.code], mask: constant, with: {value: hidden}, except: [dba]}
"""
EACH = 8 * 1024
"""Bytes of resident memory."""
FIRST, MORE = 400, 2400
"""So many that a megabyte that the process takes for something else makes no difference."""


@pytest.fixture
def proxy(plain_dsn: str, tmp_path: Path) -> Iterator[Pgveil]:
    """One of its own: what others have left would be used before there is more."""
    settings = {"pool": {"mode": "transaction", "size": 4}, "log": {"level": "warning"}, "audit": {"path": None}}
    with serving(Configuration(plain_dsn, write_policy(tmp_path, POLICY), settings), tmp_path) as found:
        yield found


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """With leave to open as many sockets as the system allows."""
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with ExitStack() as found:
        yield found
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))


def resident(proxy: Pgveil) -> int:
    pages = int((Path("/proc") / str(proxy.process.pid) / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def log_in(stack: ExitStack, proxy: Pgveil, user: str) -> RawClient:
    client = RawClient(proxy.host, proxy.port, user, DATABASE, application_name="a desk")
    stack.callback(client.socket.close)
    return client


@pytest.mark.parametrize("user", ["dba", "analyst"])
def test_an_idle_client_costs_little(proxy: Pgveil, stack: ExitStack, user: str) -> None:
    found = [log_in(stack, proxy, user) for _ in range(FIRST)]  # what the first ones cost once and for all
    before = resident(proxy)
    found += [log_in(stack, proxy, user) for _ in range(MORE)]
    assert (resident(proxy) - before) / MORE <= EACH
    assert [found[0].simple("SELECT 1").data, found[-1].simple("SELECT 1").data] == [[b"\0\1\0\0\0\x011"]] * 2


def test_more_clients_than_the_soft_limit_of_files(plain_dsn: str, stack: ExitStack, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    settings = {"pool": {"mode": "transaction", "size": 4}, "log": {"level": "warning"}}
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    try:
        serves = serving(Configuration(plain_dsn, write_policy(tmp_path, POLICY), settings), tmp_path)
        proxy = stack.enter_context(serves)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    found = [log_in(stack, proxy, "dba") for _ in range(200)]
    assert [client.simple("SELECT 1").error for client in found] == [{}] * len(found)
