"""What the benchmarks of the wire ask of a server: pgbench's transactions, one large result, one row at a time, logins.

The clients cost as little as they can, so that what is seen is the server's: pgbench for throughput, bare sockets for
the rest. One call is one measurement; `bench.wire` interleaves them.
"""

from __future__ import annotations

import re
import socket
import statistics
import struct
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.servers import DATABASE, Server, Site

CLIENTS = 8
_TAIL = b"Z\0\0\0\5I"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Throughput:
    """Of one pgbench run. `cpu` is seconds of the proxy's for one transaction."""

    per_second: float
    cpu: float


def pgbench(site: Site, server: Server, user: str, script: Path, mode: str, seconds: float) -> Throughput:
    """Runs `script` in pgbench's protocol mode (simple, extended, prepared) with 8 clients."""
    place = ["-h", "127.0.0.1", "-p", str(server.port), "-U", user]
    load = ["-n", "-c", str(CLIENTS), "-j", "1", "-T", f"{seconds:g}", "-M", mode, "-f", str(script)]
    before = server.cpu_seconds()
    done = subprocess.run(
        [site.program("pgbench"), *place, *load, DATABASE], capture_output=True, text=True, check=False
    )
    spent = server.cpu_seconds() - before
    count = re.search(r"actually processed: (\d+)", done.stdout)
    rate = re.search(r"tps = ([\d.]+)", done.stdout)
    failed = re.search(r"failed transactions: (\d+)", done.stdout)
    if done.returncode or count is None or rate is None or (failed and int(failed[1])):
        raise RuntimeError(f"pgbench failed against {server.name}: {done.stdout}{done.stderr}")
    return Throughput(float(rate[1]), spent / int(count[1]))


class Client:
    """One session on a bare socket; simple queries alone."""

    def __init__(self, port: int, user: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(120)
        body = b"".join(part.encode() + b"\0" for part in ("user", user, "database", DATABASE)) + b"\0"
        self._socket.sendall(struct.pack("!ii", len(body) + 8, 196608) + body)
        self._until_ready()

    def close(self) -> None:
        self._socket.close()

    def ask(self, sql: str) -> int:
        """The bytes of the answer."""
        body = sql.encode() + b"\0"
        self._socket.sendall(b"Q" + struct.pack("!i", len(body) + 4) + body)
        return self._until_ready()

    def _until_ready(self) -> int:
        """Reads until the bytes end as a ReadyForQuery does. That is what the last message of an answer looks like, and
        a row that ends so in the middle of a chunk's end would have to be made for it."""
        size, tail = 0, b""
        while not tail.endswith(_TAIL):
            chunk = self._socket.recv(_CHUNK)
            if not chunk:
                raise RuntimeError("the server has closed the connection")
            size += len(chunk)
            tail = (tail + chunk)[-len(_TAIL) :]
        return size


@dataclass(frozen=True, slots=True)
class Result:
    """Seconds for one large result: from the query to its end, and of the proxy's CPU."""

    wall: float
    cpu: float


Side = tuple[Server, str, str]
"""A server, its user, and the statement."""


def results(sides: Sequence[Side], times: int) -> list[Result]:
    """Medians of so many results of each side; the sides take turns, and change places every time.

    Each is asked once before, for caches.
    """
    clients = [Client(server.port, user) for server, user, _ in sides]
    found: list[list[Result]] = [[] for _ in sides]
    order = list(range(len(sides)))
    try:
        for turn in range(times + 1):
            for which in order:
                server, _, sql = sides[which]
                spent, start = server.cpu_seconds(), time.perf_counter()
                clients[which].ask(sql)
                wall = time.perf_counter() - start
                if turn:
                    found[which].append(Result(wall, server.cpu_seconds() - spent))
            order.reverse()
    finally:
        for client in clients:
            client.close()
    return [
        Result(statistics.median(one.wall for one in each), statistics.median(one.cpu for one in each))
        for each in found
    ]


def latencies(ports: Sequence[tuple[int, str]], statements: Sequence[str]) -> list[tuple[float, float]]:
    """The median and the 99th percentile of the seconds that one-row queries take, for each port and user.

    Each statement goes to all of them before the next one does, so a moment in which the machine is busy is nobody's.
    """
    clients = [Client(port, user) for port, user in ports]
    found: list[list[float]] = [[] for _ in clients]
    try:
        for number, sql in enumerate(statements):
            for client, seconds in zip(clients, found, strict=True):
                start = time.perf_counter()
                client.ask(sql)
                if number >= len(statements) // 10:
                    seconds.append(time.perf_counter() - start)
    finally:
        for client in clients:
            client.close()
    return [(statistics.median(seconds), statistics.quantiles(seconds, n=100)[98]) for seconds in found]


def idle_bytes(server: Server, user: str, count: int) -> float:
    """Resident bytes that one more client costs that has logged in, asked once, and does nothing."""
    clients = [Client(server.port, user) for _ in range(count // 10)]  # what the first ones cost once and for all
    try:
        before = server.rss_bytes()
        for _ in range(count):
            clients.append(Client(server.port, user))
        time.sleep(1)
        return (server.rss_bytes() - before) / count
    finally:
        for client in clients:
            client.close()
