"""Several workers behind one address: to clients and operators they are one server, whichever of them dies."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from conftest import Configuration, Pgveil, serving
from office_world import fetch, write_policy
from probes import (
    CLEAR,
    DATABASE,
    PATIENCE,
    VEILED,
    assert_no_session_is_left,
    codes_of,
    eventually,
    get,
    metric,
    read_to_end,
    ready,
    sample,
    startup,
)
from raw_client import ERROR, RawClient, fields

POLICY = """
version: 1
roles:
  dba: {users: [postgres, dba], bypass: true}
  analyst: {users: [analyst]}
  few: {users: [few]}
defaults: {tables: deny}
tables:
  - {allow: ["public.*"], roles: [analyst, few]}
masks:
  - {columns: [public.people.code], mask: constant, with: {value: hidden}, except: [dba]}
limits:
  - {roles: [few], max_concurrent: 3}
"""
OPENED = 'pgveil_sessions_opened_total{role="dba"}'
LOOK = "SELECT code FROM people WHERE id = 1"


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    return write_policy(tmp_path, POLICY)


@pytest.fixture
def proxy(plain_dsn: str, policies: Path, tmp_path: Path) -> Iterator[Pgveil]:
    """Two workers."""
    with serving(Configuration(plain_dsn, policies, {"workers": 2}), tmp_path) as found:
        yield found


class Client(RawClient):
    """A session that knows its cancel key."""

    def __init__(self, proxy: Pgveil, user: str = "dba") -> None:
        self._proxy = proxy
        super().__init__(proxy.host, proxy.port, user, DATABASE)
        self.key = next(body for tag, body in self.greeting.messages if tag == b"K")

    @property
    def worker(self) -> int:
        """Which of them serves it, as the key's secret tells."""
        return int.from_bytes(self.key[4:8], "big") % 2 + 1

    def begin(self, sql: str) -> None:
        self.send(b"Q", sql.encode() + b"\0")

    def cancel(self, key: bytes | None = None) -> None:
        """Comes back once the proxy has dealt with it."""
        body = struct.pack("!i", 80877102) + (key or self.key)
        with socket.create_connection((self._proxy.host, self._proxy.port), timeout=PATIENCE) as sock:
            sock.sendall(struct.pack("!i", len(body) + 4) + body)
            assert read_to_end(sock) == b""


@contextmanager
def clients(proxy: Pgveil, count: int, user: str = "dba") -> Iterator[list[Client]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Client(proxy, user)) for _ in range(count)]


def of(found: list[Client], worker: int) -> list[Client]:
    return [client for client in found if client.worker == worker]


def events(proxy: Pgveil) -> list[dict[str, object]]:
    return [json.loads(line) for line in proxy.output().splitlines() if line.startswith("{")]


def started(proxy: Pgveil, worker: int | str) -> list[int]:
    """Process ids of this worker and of those before it."""
    return [
        int(str(e["pid"])) for e in events(proxy) if e["event"] == "a process was started" and e["worker"] == worker
    ]


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def sleeping(dsn: str) -> int:
    return len(fetch(dsn, f"SELECT 1 FROM pg_stat_activity WHERE datname = '{DATABASE}' AND wait_event = 'PgSleep'"))


def waiting(dsn: str) -> int:
    return len(fetch(dsn, f"SELECT 1 FROM pg_stat_activity WHERE datname = '{DATABASE}' AND wait_event_type = 'Lock'"))


def all_up(proxy: Pgveil) -> bool:
    return bool(ready(proxy)["checks"]["workers"]["detail"] == "2 of 2")


def kill(proxy: Pgveil, worker: int | str) -> None:
    """Ends a worker as the kernel does when there is no memory left, and waits for the next one."""
    before = started(proxy, worker)
    os.kill(before[-1], signal.SIGKILL)
    eventually(lambda: len(started(proxy, worker)) > len(before), "it is replaced")
    eventually(lambda: all_up(proxy), "the new one serves")


# Clients.


def test_connections_are_spread_evenly(proxy: Pgveil) -> None:
    with clients(proxy, 40) as found:
        # One more or less each time that the machine lets one of them wait for its turn.
        assert min(len(of(found, worker)) for worker in (1, 2)) >= 15
    assert proxy.output().count("pgveil: listening on") == 1


def test_many_logins_at_once(proxy: Pgveil) -> None:
    def visit(_: int) -> tuple[int, bytes]:
        with Client(proxy, "analyst") as client:
            return client.worker, client.simple(LOOK).data[0]

    with ThreadPoolExecutor(40) as pool:
        found = list(pool.map(visit, range(200)))
    assert len(found) == 200
    assert {row[-6:] for _, row in found} == {b"hidden"}
    assert {worker for worker, _ in found} == {1, 2}
    assert_no_session_is_left(proxy)
    assert metric(proxy, "pgveil_crashes_total") == 0


def test_who_has_come_while_a_worker_died_is_served_by_another(proxy: Pgveil) -> None:
    """A connection waits for whoever accepts it, and is nobody's before."""
    workers = [started(proxy, worker)[-1] for worker in (1, 2)]
    with ExitStack() as stack:
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        waiting = [
            stack.enter_context(socket.create_connection((proxy.host, proxy.port), timeout=PATIENCE)) for _ in range(20)
        ]
        os.kill(workers[0], signal.SIGKILL)
        os.kill(workers[1], signal.SIGCONT)
        for sock in waiting:
            sock.sendall(startup("dba", DATABASE))
            assert sock.recv(1) == b"R"


def test_a_cancel_hits_its_session_and_no_other(proxy: Pgveil, plain_dsn: str) -> None:
    with clients(proxy, 6) as found:
        assert {client.worker for client in found} == {1, 2}
        for round_ in range(4):
            for client in found:
                client.begin("SELECT pg_sleep(3600)")
            eventually(lambda: sleeping(plain_dsn) == 6, "all of them run")
            order = found if round_ % 2 else list(reversed(found))
            for left, client in zip(range(5, -1, -1), order, strict=True):
                client.cancel()
                assert client.reply().error["C"] == "57014"
                assert sleeping(plain_dsn) == left
        assert [client.simple("SELECT 1").error for client in found] == [{}] * 6


def test_the_process_number_is_the_servers(proxy: Pgveil) -> None:
    """As notifications and pg_stat_activity have it."""
    with clients(proxy, 4) as found:
        for client in found:
            assert (
                client.simple("SELECT pg_backend_pid()").data[0][6:]
                == str(int.from_bytes(client.key[:4], "big")).encode()
            )
            client.simple("LISTEN news")
        numbers = [int.from_bytes(client.key[:4], "big") for client in found]
        told = next(body for tag, body in found[0].simple("NOTIFY news").messages if tag == b"A")
        assert int.from_bytes(told[:4], "big") == numbers[0]
        assert len(set(numbers)) == 4


def test_a_wrong_key_does_nothing(proxy: Pgveil, plain_dsn: str) -> None:
    with clients(proxy, 4) as found, Client(proxy) as gone:
        dead = gone.key
        gone.send(b"X", b"")
        one, other = of(found, 1)[0], of(found, 2)[0]
        for client in found:
            client.begin("SELECT pg_sleep(3600)")
        eventually(lambda: sleeping(plain_dsn) == 4, "all run")
        nobody = [struct.pack("!iI", number, secret) for number in (0, -1, 77, 2**31 - 1) for secret in (0, 1)]
        mixed = [one.key[:4] + other.key[4:], other.key[:4] + one.key[4:]]
        flipped = [client.key[:-1] + bytes([client.key[-1] ^ 1]) for client in found]
        longer = [client.key + b"\0" * 28 for client in found]
        for key in (*nobody, *mixed, *flipped, *longer, dead):
            for _ in range(2):  # from whichever worker accepts
                one.cancel(key)
        assert sleeping(plain_dsn) == 4
        for client in found:
            client.cancel()
            assert client.reply().error["C"] == "57014"


def test_a_limit_holds_for_all_workers_together(proxy: Pgveil, plain_dsn: str) -> None:
    with psycopg.connect(plain_dsn) as direct, clients(proxy, 12, "few") as found:
        assert min(len(of(found, worker)) for worker in (1, 2)) >= 2
        for _ in range(3):
            direct.execute("LOCK TABLE people")
            for client in found:
                client.begin(LOOK)
            refused = answered(found, 9)
            assert waiting(plain_dsn) == 3
            assert {client.reply().error["C"] for client in refused} == {"53400"}
            direct.rollback()
            assert {client.reply().error.get("C") for client in found if client not in refused} == {None}


def answered(found: list[Client], count: int) -> list[Client]:
    """Those that have an answer, once so many have."""
    while len(readable := select.select([client.socket for client in found], [], [], PATIENCE)[0]) < count:
        assert readable
    return [client for client in found if client.socket in readable]


def test_as_many_clients_as_allowed_get_in(plain_dsn: str, policies: Path, tmp_path: Path) -> None:
    configuration = Configuration(plain_dsn, policies, {"workers": 2, "pool": {"max_clients": 7}})
    with serving(configuration, tmp_path) as proxy, ThreadPoolExecutor(20) as pool:
        for _ in range(3):
            found = list(pool.map(lambda _: RawClient(proxy.host, proxy.port, "dba", DATABASE), range(20)))
            assert Counter(client.greeting.error.get("C") for client in found) == {None: 7, "53300": 13}
            for client in found:
                client.socket.close()
            assert_no_session_is_left(proxy)


def test_a_dead_worker_holds_no_limit(proxy: Pgveil, plain_dsn: str) -> None:
    with psycopg.connect(plain_dsn) as direct, clients(proxy, 12, "few") as found:
        direct.execute("LOCK TABLE people")
        for client in of(found, 1)[:3]:
            client.begin(LOOK)
        rest = of(found, 2)[:3]
        eventually(lambda: waiting(plain_dsn) == 3, "three run")
        assert [client.simple(LOOK).error["C"] for client in rest] == ["53400"] * 3
        kill(proxy, 1)
        direct.rollback()
        assert [client.simple(LOOK).error for client in rest] == [{}] * 3


# Operators.


def test_metrics_are_sums(proxy: Pgveil) -> None:
    before = sample(proxy, OPENED)
    with clients(proxy, 7) as found:
        assert {client.worker for client in found} == {1, 2}
        assert sample(proxy, OPENED) == before + 7
        assert sample(proxy, 'pgveil_sessions{role="dba"}') == 7
        for client in found:
            client.simple("SELECT 1")
    assert_no_session_is_left(proxy)
    assert sample(proxy, 'pgveil_statements_total{kind="other",outcome="bypass"}') == 7
    assert sample(proxy, "pgveil_policy_broken") == 0
    lines = [line.rsplit(" ", 1)[0] for line in get(proxy, "/metrics")[1].splitlines() if not line.startswith("#")]
    assert len(lines) == len(set(lines))


def test_numbers_never_go_down(proxy: Pgveil) -> None:
    seen: list[float] = []
    stop = threading.Event()

    def scrape() -> None:
        while not stop.is_set():
            seen.append(sample(proxy, OPENED))

    with clients(proxy, 10):
        assert sample(proxy, OPENED) == 10
        thread = threading.Thread(target=scrape)
        thread.start()
        for worker in (1, 2):
            kill(proxy, worker)
        stop.set()
        thread.join()
    assert seen == [10] * len(seen)
    with clients(proxy, 4):
        assert sample(proxy, OPENED) == 14
    assert_no_session_is_left(proxy)


def test_health_speaks_for_every_worker(proxy: Pgveil) -> None:
    assert get(proxy, "/healthz") == (200, "ok\n")
    found = ready(proxy)
    assert found["ready"]
    assert found["checks"]["workers"] == {"ok": True, "detail": "2 of 2"}
    assert found["checks"]["upstream"] == {"ok": True, "detail": ""}
    stopped = started(proxy, 2)[-1]
    os.kill(stopped, signal.SIGSTOP)  # as one that never comes back from what it is doing
    try:
        assert get(proxy, "/healthz")[0] == 503
        found = ready(proxy)
        assert not found["ready"]
        assert found["checks"]["workers"] == {"ok": False, "detail": "no answer from worker 2"}
        assert sample(proxy, OPENED) == 0
        # The other one serves all the while.
        assert codes_of(proxy, "analyst") == VEILED
    finally:
        os.kill(stopped, signal.SIGCONT)
    eventually(lambda: bool(ready(proxy)["ready"]), "it is back")


def test_the_desk_is_replaced_too(proxy: Pgveil) -> None:
    (before,) = started(proxy, "http")
    with clients(proxy, 1) as (client,):
        os.kill(before, signal.SIGKILL)
        eventually(lambda: len(started(proxy, "http")) == 2, "it is started again")
        assert get(proxy, "/healthz") == (200, "ok\n")
        assert sample(proxy, OPENED) == 1
        assert client.simple("SELECT 1").error == {}


def test_a_reload_reaches_every_session(proxy: Pgveil, policies: Path) -> None:
    with clients(proxy, 4, "analyst") as found:
        assert {client.worker for client in found} == {1, 2}
        for value, told in (("one", False), ("two", True)):
            draft = policies / "draft"
            draft.write_text(POLICY.replace("value: hidden", f"value: {value}"))
            draft.rename(policies / "office.yaml")
            if told:
                proxy.process.send_signal(signal.SIGHUP)
            for client in found:
                eventually(lambda c=client, v=value: v.encode() in c.simple(LOOK).data[0], "the new mask is in force")  # type: ignore[misc]


def test_every_worker_opens_the_trail_again(proxy: Pgveil) -> None:
    """Which nothing but the signal makes it do."""
    trail = proxy.directory / "audit.jsonl"
    with clients(proxy, 6) as found:
        both = [of(found, worker)[0] for worker in (1, 2)]
        trail.rename(trail.with_name("old.jsonl"))
        proxy.process.send_signal(signal.SIGHUP)

        def recorded() -> int:
            for client in both:
                assert client.simple("SELECT 1").error == {}
            lines = trail.read_text().splitlines() if trail.exists() else []
            return len({json.loads(line)["session"] for line in lines if line.endswith("}")})

        eventually(lambda: recorded() == 2, "both write to the new file")


def test_a_signal_while_a_worker_starts(proxy: Pgveil) -> None:
    for _ in range(20):
        os.kill(proxy.process.pid, signal.SIGHUP)
    kill_at_once = started(proxy, 1)[-1]
    os.kill(kill_at_once, signal.SIGKILL)
    for _ in range(20):
        os.kill(proxy.process.pid, signal.SIGHUP)
    eventually(lambda: len(started(proxy, 1)) == 2 and all_up(proxy), "it is replaced")
    for _ in range(20):
        os.kill(proxy.process.pid, signal.SIGHUP)
    assert codes_of(proxy, "analyst") == VEILED
    assert [len(started(proxy, worker)) for worker in (1, 2)] == [2, 1]


def test_sessions_of_others_outlive_a_worker(proxy: Pgveil) -> None:
    with clients(proxy, 4) as found:
        for client in found:
            client.simple("SET application_name = 'mine'")
        keys = [client.key for client in found if client.worker == 1]
        kill(proxy, 1)
        for client in found:
            if client.worker == 1:
                assert read_to_end(client.socket) == b""
            else:
                assert client.simple("SHOW application_name").data[0].endswith(b"mine")
        for key in keys:
            found[0].cancel(key)
    with clients(proxy, 4) as again:
        assert {client.worker for client in again} == {1, 2}
    ended = [e for e in events(proxy) if e["event"] == "a process ended; it is replaced"]
    assert [(e["worker"], e["reason"]) for e in ended] == [(1, "SIGKILL")]


def test_a_new_worker_has_the_policy_of_the_others(proxy: Pgveil, policies: Path) -> None:
    """Not the one of the start, and not what the files say: that cannot be used."""
    (policies / "office.yaml").write_text(POLICY.replace("value: hidden", "value: second"))
    eventually(lambda: codes_of(proxy, "analyst") == ["second"] * 5, "the second policy is in force")
    with clients(proxy, 4, "analyst") as found:
        for client in found:
            eventually(lambda c=client: b"second" in c.simple(LOOK).data[0], "in both")  # type: ignore[misc]
    (policies / "office.yaml").write_text(POLICY.replace("mask: constant", "mask: nonsense"))
    eventually(lambda: sample(proxy, "pgveil_policy_broken") == 1, "the files are known to be broken")
    kill(proxy, 1)
    kill(proxy, 2)
    with clients(proxy, 4, "analyst") as found:
        assert {client.worker for client in found} == {1, 2}
        assert [client.simple(LOOK).data[0][-6:] for client in found] == [b"second"] * 4
    eventually(lambda: sample(proxy, "pgveil_policy_broken") == 1, "the new ones say so as well")


def test_what_keeps_a_new_worker_from_starting_ends_nobody_else(proxy: Pgveil) -> None:
    """As when the audit trail's directory is gone: the others serve on, and it is tried again."""
    trail, key = proxy.directory / "audit.jsonl", proxy.directory / "audit.jsonl.key"
    whole = key.read_bytes()
    key.write_bytes(b"short")
    with clients(proxy, 4) as found:
        stays = of(found, 2)
        os.kill(started(proxy, 1)[-1], signal.SIGKILL)
        eventually(lambda: len(started(proxy, 1)) >= 3, "it is tried again")
        assert [client.simple("SELECT 1").error for client in stays] == [{}] * len(stays)
        assert ready(proxy)["checks"]["workers"] == {"ok": True, "detail": "1 of 2"}
        key.write_bytes(whole)
        eventually(lambda: all_up(proxy), "it starts")
        assert trail.exists()
    assert len(started(proxy, 2)) == 1


def kill_often(proxy: Pgveil, worker: int | str) -> None:
    """Five times, each as soon as it is there."""
    for count in range(1, 6):
        os.kill(started(proxy, worker)[-1], signal.SIGKILL)
        eventually(lambda count=count: len(started(proxy, worker)) > count, "the next one")  # type: ignore[misc]


def test_one_that_dies_again_and_again_ends_nobody_else(proxy: Pgveil) -> None:
    with clients(proxy, 6) as found:
        stays = of(found, 1)
        kill_often(proxy, 2)
        kill_often(proxy, "http")
        assert [client.simple("SELECT 1").error for client in stays] == [{}] * len(stays)
        eventually(lambda: len(started(proxy, "http")) > 5, "it is started again")
        eventually(lambda: all_up(proxy), "so is the worker")
    assert len(started(proxy, 1)) == 1


def test_workers_that_die_at_once_end_it(proxy: Pgveil) -> None:
    """Once there is none to serve anybody."""
    while proxy.process.poll() is None:
        for worker in (1, 2):
            pid = started(proxy, worker)[-1]
            if running(pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    assert proxy.process.wait(PATIENCE) == 1
    assert " has ended 5 times" in proxy.output()


@pytest.mark.parametrize("workers", [1, 2])
def test_it_may_be_started_without_standard_streams(
    plain_dsn: str, policies: Path, tmp_path: Path, workers: int
) -> None:
    """The sockets that would get their numbers could not be closed: libuv ends the process over that."""
    config = settings(tmp_path, plain_dsn, policies)
    command = [sys.executable, "-m", "proxy", "serve", "--workers", str(workers), "--config", str(config)]
    with (tmp_path / "told").open("wb") as told:
        process = subprocess.Popen(command, stderr=told, preexec_fn=without_input_and_output)  # noqa: PLW1509
    try:
        eventually(lambda: "clients are accepted" in (tmp_path / "told").read_text(), "it serves")
        for number in (0, 1):
            assert (Path("/proc") / str(process.pid) / "fd" / str(number)).readlink() == Path(os.devnull)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        assert "Assertion" not in (tmp_path / "told").read_text()
    finally:
        process.kill()
        process.wait()


def without_input_and_output() -> None:
    os.close(0)
    os.close(1)


# The end.


def test_it_drains(proxy: Pgveil, plain_dsn: str) -> None:
    with clients(proxy, 4) as found:
        busy = [of(found, 1)[0], of(found, 2)[0]]
        idle = [client for client in found if client not in busy]
        for client in busy:
            client.begin("SELECT pg_sleep(2), 'done'")
        eventually(lambda: sleeping(plain_dsn) == 2, "they run")
        proxy.process.send_signal(signal.SIGTERM)
        assert [codes_until_end(client) for client in idle] == [["57P01"]] * 2
        with pytest.raises(ConnectionError):
            socket.create_connection((proxy.host, proxy.port), timeout=PATIENCE).close()
        assert not ready(proxy)["checks"]["accepting"]["ok"]
        assert [client.reply().data[0][-4:] for client in busy] == [b"done"] * 2
        assert [codes_until_end(client) for client in busy] == [["57P01"]] * 2
    assert proxy.process.wait(PATIENCE) == 0
    assert not any(running(pid) for worker in (1, 2, "http") for pid in started(proxy, worker))


def codes_until_end(client: Client) -> list[str]:
    return [fields(body)["C"] for tag, body in client.messages() if tag == ERROR]


def test_told_twice_it_does_not_wait(proxy: Pgveil, plain_dsn: str) -> None:
    with clients(proxy, 2) as found:
        for client in found:
            client.begin("SELECT pg_sleep(3600)")
        eventually(lambda: sleeping(plain_dsn) == 2, "they run")
        for _ in range(2):
            proxy.process.send_signal(signal.SIGTERM)
            eventually(lambda: not ready(proxy)["checks"]["accepting"]["ok"], "it drains")
        assert [codes_until_end(client) for client in found] == [["57P01"]] * 2
    assert proxy.process.wait(PATIENCE) == 0
    eventually(lambda: sleeping(plain_dsn) == 0, "what they ran is cancelled")


def test_a_signal_to_the_whole_group_is_one(plain_dsn: str, policies: Path, tmp_path: Path) -> None:
    """Ctrl-C reaches every process of a terminal: sessions are still drained, not cut."""
    with serving(Configuration(plain_dsn, policies, {"workers": 2}), tmp_path) as proxy, clients(proxy, 2) as found:
        for client in found:
            client.begin("SELECT pg_sleep(1), 'done'")
        eventually(lambda: sleeping(plain_dsn) == 2, "they run")
        for pid in (proxy.process.pid, *started(proxy, 1), *started(proxy, 2), *started(proxy, "http")):
            os.kill(pid, signal.SIGINT)
        assert [client.reply().data[0][-4:] for client in found] == [b"done"] * 2
        assert proxy.process.wait(PATIENCE) == 0


def test_a_worker_that_hangs_does_not_keep_it(proxy: Pgveil) -> None:
    os.kill(started(proxy, 1)[-1], signal.SIGSTOP)
    proxy.process.send_signal(signal.SIGTERM)
    eventually(lambda: not running(started(proxy, 2)[-1]), "the other has ended")
    proxy.process.send_signal(signal.SIGTERM)
    assert proxy.process.wait(PATIENCE) == 0
    assert not running(started(proxy, 1)[-1])


def test_nothing_is_left_of_a_supervisor_that_is_killed(proxy: Pgveil, plain_dsn: str) -> None:
    pids = [pid for worker in (1, 2, "http") for pid in started(proxy, worker)]
    with clients(proxy, 2) as found:
        found[0].begin("SELECT pg_sleep(3600)")
        eventually(lambda: sleeping(plain_dsn) == 1, "it runs")
        proxy.process.kill()
        proxy.process.wait(PATIENCE)
        eventually(lambda: not any(running(pid) for pid in pids), "all of them have ended")
        with pytest.raises(ConnectionError):
            socket.create_connection((proxy.host, proxy.port), timeout=PATIENCE).close()
    eventually(lambda: sleeping(plain_dsn) == 0, "what they ran is cancelled")


# The start.


def serve(config: Path, **options: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "proxy", "serve", "--workers", "2", "--config", str(config)]
    return subprocess.Popen(command, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options})  # type: ignore[call-overload,no-any-return]


def settings(tmp_path: Path, dsn: str, policies: Path, **more: object) -> Path:
    config = tmp_path / f"settings{len(list(tmp_path.glob('settings*')))}.yaml"
    found = {
        "listen": "127.0.0.1:0",
        "http": "127.0.0.1:0",
        "upstream": {"dsn": dsn},
        "auth": {"method": "trust"},
        "policies": str(policies),
        "audit": {"path": str(tmp_path / "audit.jsonl")},
        **more,
    }
    config.write_text(json.dumps(found))
    return config


def test_what_keeps_all_from_starting_is_said_once(plain_dsn: str, tmp_path: Path) -> None:
    places = [tmp_path / "broken", tmp_path / "good"]
    for place in places:
        place.mkdir()
    broken = write_policy(places[0], POLICY.replace("mask: constant", "mask: nonsense"))
    good = write_policy(places[1], POLICY)
    unwritable = {"audit": {"path": str(tmp_path / "no" / "such" / "directory.jsonl")}}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = f"127.0.0.1:{taken.getsockname()[1]}"
        cases = [
            (settings(tmp_path, plain_dsn, broken), "office.yaml:"),
            (settings(tmp_path, plain_dsn, good, **unwritable), "directory.jsonl"),
            (settings(tmp_path, plain_dsn, good, listen=port), port),
            (settings(tmp_path, plain_dsn, good, http=port), port),
        ]
        for config, said in cases:
            with serve(config) as process:
                out, err = process.communicate(timeout=PATIENCE)
            told = [line for line in err.decode().splitlines() if not line.startswith("{")]
            assert (process.returncode, out) == (2, b"")
            assert sum(said in line for line in told) == 1
            assert "Traceback" not in err.decode()


def test_nobody_has_to_read_what_it_prints(plain_dsn: str, policies: Path, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with serve(settings(tmp_path, plain_dsn, policies), stdout=writer) as process:
        os.close(writer)
        assert process.stderr is not None
        while b"http" not in (line := process.stderr.readline()) or b"a process was started" not in line:
            assert line, "it has ended"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def test_the_trail_of_all_workers_is_one(proxy: Pgveil, policies: Path) -> None:
    def work(_: int) -> None:
        with Client(proxy) as client:
            for _ in range(50):
                client.simple("SELECT 1")

    trail = proxy.directory / "audit.jsonl"
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(work, i) for i in range(8)]
        trail.rename(trail.with_name("old.jsonl"))
        proxy.process.send_signal(signal.SIGHUP)
        for done in waiting:
            done.result(PATIENCE)
    assert_no_session_is_left(proxy)
    assert codes_of(proxy, "dba") == CLEAR

    def records() -> list[dict[str, object]]:
        files = [f for f in (trail.with_name("old.jsonl"), trail) if f.exists()]
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    eventually(lambda: sum(r["outcome"] == "bypass" for r in records()) >= 400, "all of them are written")
    # Sessions have numbers that no two share, whichever worker they are of.
    per_session = Counter(record["session"] for record in records())
    assert sorted(per_session.values())[-8:] == [50] * 8
    assert trail.exists()
