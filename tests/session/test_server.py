"""The front: startup, login, cancel keys, draining. Real sockets on loopback, a scripted PostgreSQL behind them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from scripted import ANALYST, DBA, FakeAsker, FakeVeils, FakeWatcher, error

from proxy.errors import PgveilError
from proxy.handshake import Door
from proxy.policy.rules import Identity
from proxy.ports import Watcher
from proxy.server import Admission, Server
from proxy.settings import UpstreamDsn
from proxy.wire.auth import AuthMethod
from proxy.wire.buffer import Frame, FrameBuffer
from proxy.wire.messages import (
    AuthenticationOk,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
    BackendKeyData,
    BackendMessage,
    CommandComplete,
    DataRow,
    ErrorResponse,
    Message,
    NegotiateProtocolVersion,
    ParameterStatus,
    Query,
    ReadyForQuery,
    SASLInitialResponse,
    SASLResponse,
    Terminate,
    decode_backend,
    decode_frontend,
)
from proxy.wire.scram import ClientExchange, make_verifier
from proxy.wire.startup import CancelRequest, GSSENCRequest, SSLRequest, StartupMessage, StartupPacket, decode_startup
from proxy.wire.userlist import Userlist

IDLE = ReadyForQuery("I")
KEY = BackendKeyData(4711, b"abcd")
FACTS = [DataRow((b'"$user", public', b"app")), CommandComplete("SELECT 1"), IDLE]


@dataclass
class FakePostgres:
    """Logs everybody in, answers the proxy's own query, and keeps what it was sent."""

    directory: Path
    startups: list[StartupPacket] = field(default_factory=list)
    queries: list[bytes] = field(default_factory=list)
    refusal: ErrorResponse | None = None
    hangs: bool = False
    goodbyes: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def dsn(self) -> UpstreamDsn:
        return UpstreamDsn.parse(f"postgresql://app@/shop?host={self.directory}&port=5432")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[FakePostgres]:
        server = await asyncio.start_unix_server(self._serve, self.directory / ".s.PGSQL.5432")
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readexactly(4)
            packet = decode_startup(head + await reader.readexactly(int.from_bytes(head, "big") - 4))
            self.startups.append(packet)
            if isinstance(packet, StartupMessage):
                await self._session(reader, writer)
            else:
                self.cancelled.set()
        writer.close()

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def send(*messages: Message) -> None:
            writer.write(b"".join(m.encode() for m in messages))

        if self.refusal is not None:
            send(self.refusal)
            return
        send(AuthenticationOk(), ParameterStatus("server_version", "18.4"), ParameterStatus("ext.x", "1"), KEY, IDLE)
        while True:
            head = await reader.readexactly(5)
            body = await reader.readexactly(int.from_bytes(head[1:], "big") - 4)
            match decode_frontend(Frame.of(head + body)):
                case Query(query) if b"search_path" in query:
                    send(*FACTS)
                case Query(query):
                    self.queries.append(query)
                    self.asked.set()
                    if not self.hangs:
                        send(CommandComplete("SELECT 1"), IDLE)
                case Terminate():
                    self.goodbyes += 1
                    return
                case other:
                    raise AssertionError(other)


@dataclass
class FakeLogins:
    refusals: list[str] = field(default_factory=list)
    crashes: list[BaseException] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)

    def session(self, identity: Identity) -> Watcher:
        self.opened.append(identity.user)
        return FakeWatcher()

    def refused(self, user: str | None, error: PgveilError) -> None:
        self.refusals.append(error.sqlstate)

    def crash(self, error: BaseException) -> None:
        self.crashes.append(error)

    def accept_failed(self, error: OSError) -> None:
        raise AssertionError(error)


@dataclass
class World:
    postgres: FakePostgres
    server: Server
    logins: FakeLogins
    address: tuple[str, int]
    task: asyncio.Task[None]
    callers: list[Caller] = field(default_factory=list)

    async def call(self, *packets: bytes) -> Caller:
        caller = Caller(*await asyncio.open_connection(*self.address))
        self.callers.append(caller)
        caller.send(*packets)
        return caller

    async def hang_up(self) -> None:
        for caller in self.callers:
            caller.writer.close()
            with contextlib.suppress(ConnectionError):
                await caller.writer.wait_closed()

    async def log_in(self, user: str = "ana", minor: int = 0, **parameters: str) -> tuple[Caller, list[BackendMessage]]:
        caller = await self.call(StartupMessage(3, minor, {"user": user, **parameters}).encode())
        return caller, await caller.until(ReadyForQuery, ErrorResponse)


class Caller:
    """A client's end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._buffer = FrameBuffer()

    def send(self, *data: bytes) -> None:
        self.writer.write(b"".join(data))

    async def until(self, *kinds: type) -> list[BackendMessage]:
        """Everything up to a message of one of these kinds, or to the end."""
        got: list[BackendMessage] = []
        while True:
            for frame in self._buffer.frames():
                got.append(decode_backend(frame))
                if isinstance(got[-1], kinds):
                    return got
            data = await self.reader.read(65536)
            if not data:
                return got
            self._buffer.feed(data)

    async def end(self) -> bytes:
        """What is still to come, once the other side closes."""
        return await self.reader.read()


USERS = Userlist({"ana": make_verifier("right")})
IDENTITIES = {"ana": ANALYST, "postgres": DBA}


@contextlib.asynccontextmanager
async def running(
    directory: Path, method: AuthMethod = AuthMethod.TRUST, max_sessions: int | None = None
) -> AsyncIterator[World]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    async with FakePostgres(directory).running() as postgres:
        logins = FakeLogins()
        admission = Admission(
            dsn=postgres.dsn,
            door=Door(method, lambda: USERS),
            identify=IDENTITIES.get,
            veils=FakeVeils(),
            asker=FakeAsker(),
            watch=logins,
            max_sessions=max_sessions,
        )
        server = Server(admission, grace_seconds=0.2)
        task = asyncio.create_task(server.run([listener]))
        world = World(postgres, server, logins, listener.getsockname(), task)
        try:
            yield world
        finally:
            await world.hang_up()
            server.stop()
            server.stop()
            await task
    assert logins.crashes == []


def state(messages: list[BackendMessage]) -> str:
    last = messages[-1]
    assert isinstance(last, ErrorResponse)
    assert last.severity == "FATAL"
    return last.sqlstate


class TestStartup:
    async def test_a_masked_session_begins(self, tmp_path: Path) -> None:
        async with running(tmp_path) as w:
            caller, got = await w.log_in("ana", application_name="psql")
            kinds = [type(m) for m in got]
            assert kinds == [AuthenticationOk, ParameterStatus, BackendKeyData, ReadyForQuery]
            assert got[1] == ParameterStatus("server_version", "18.4")
            (startup,) = w.postgres.startups
            assert isinstance(startup, StartupMessage)
            assert startup.parameters == {
                "user": "app",
                "database": "shop",
                "application_name": "psql",
                "client_encoding": "UTF8",
                "standard_conforming_strings": "on",
            }
            caller.send(Query(b"SELECT 1").encode())
            assert await caller.until(ReadyForQuery) == [CommandComplete("SELECT 1"), IDLE]

    async def test_a_bypass_session_sees_every_setting(self, tmp_path: Path) -> None:
        async with running(tmp_path) as w:
            _, got = await w.log_in("postgres", database="other")
            assert ParameterStatus("ext.x", "1") in got

    async def test_encryption_is_refused_once_for_each_kind(self, tmp_path: Path) -> None:
        async with running(tmp_path) as w:
            caller = await w.call(GSSENCRequest().encode())
            assert await caller.reader.readexactly(1) == b"N"
            caller.send(SSLRequest().encode())
            assert await caller.reader.readexactly(1) == b"N"
            caller.send(SSLRequest().encode())
            assert state(await caller.until()) == "0A000"

    async def test_the_cancel_key_has_the_protocols_length(self, tmp_path: Path) -> None:
        async with running(tmp_path) as w:
            for minor, length in ((0, 4), (2, 32)):
                _, got = await w.log_in(minor=minor)
                (key,) = (m for m in got if isinstance(m, BackendKeyData))
                assert len(key.secret_key) == length

    async def test_a_newer_protocol_is_negotiated_before_authentication(self, tmp_path: Path) -> None:
        async with running(tmp_path) as w:
            _, got = await w.log_in(minor=9, **{"_pq_.unknown": "1"})
            assert got[0] == NegotiateProtocolVersion(3 << 16 | 2, ("_pq_.unknown",))
            assert isinstance(got[1], AuthenticationOk)

    async def test_messages_sent_behind_the_startup_packet_are_not_lost(self, tmp_path: Path) -> None:
        async with running(tmp_path) as w:
            caller = await w.call(StartupMessage(3, 0, {"user": "ana"}).encode(), Query(b"SELECT 1").encode())
            await caller.until(ReadyForQuery)
            assert await caller.until(ReadyForQuery) == [CommandComplete("SELECT 1"), IDLE]

    @pytest.mark.parametrize(
        "packet",
        [
            b"GET / HTTP/1.1\r\n\r\n",
            b"\0\0\0\4",
            b"\0\0\0\7\0\0\0",
            b"\xff\xff\xff\xff\0\3\0\0",
            b"\0\0\0\x09\0\3\0\0\0",
            b"\0\0\0\x0f\0\4\0\0user\0a\0",
            b"\x16\3\1\2\0\1\0\1\xfc",
            SSLRequest().encode() + StartupMessage(3, 0, {"user": "ana"}).encode(),
            SSLRequest().encode() + SSLRequest().encode(),
            GSSENCRequest().encode() + b"x",
        ],
    )
    async def test_bytes_that_are_no_startup_end_in_an_error(self, tmp_path: Path, packet: bytes) -> None:
        async with running(tmp_path) as w:
            caller = await w.call(packet)
            caller.writer.write_eof()
            got = await caller.until()
            assert got == [] or state(got) in {"08P01", "28000", "0A000"}
            assert w.postgres.startups == []

    async def test_a_client_of_protocol_2_is_told_in_its_own_form(self, tmp_path: Path) -> None:
        async with running(tmp_path) as w:
            caller = await w.call(b"\0\0\0\x0f\0\2\0\0user\0a\0")
            said = b"EFATAL:  unsupported frontend protocol 2.0: server supports 3.0 to 3.2\n\0"
            assert await caller.end() == said

    async def test_a_client_that_leaves_at_once_leaves_nothing(self, tmp_path: Path) -> None:
        async with running(tmp_path) as w:
            for data in (b"", b"\0", SSLRequest().encode(), StartupMessage(3, 0, {"user": "ana"}).encode()[:20]):
                caller = await w.call(data)
                caller.writer.close()
            await w.log_in()


class TestLogin:
    async def sasl(self, caller: Caller, user: str, password: str) -> list[BackendMessage]:
        caller.send(StartupMessage(3, 0, {"user": user}).encode())
        (offer,) = await caller.until(AuthenticationSASL)
        assert isinstance(offer, AuthenticationSASL)
        exchange = ClientExchange(password, offer.mechanisms, None)
        caller.send(SASLInitialResponse(exchange.mechanism, exchange.first()).encode())
        (challenge,) = await caller.until(AuthenticationSASLContinue)
        assert isinstance(challenge, AuthenticationSASLContinue)
        caller.send(SASLResponse(exchange.final(challenge.data)).encode())
        got = await caller.until(ReadyForQuery, ErrorResponse)
        if isinstance(got[0], AuthenticationSASLFinal):
            exchange.verify(got[0].data)
        return got

    async def test_the_right_password(self, tmp_path: Path) -> None:
        async with running(tmp_path, AuthMethod.SCRAM) as w:
            got = await self.sasl(await w.call(), "ana", "right")
            assert isinstance(got[-1], ReadyForQuery)

    @pytest.mark.parametrize(("user", "password"), [("ana", "wrong"), ("nobody", "right")])
    async def test_a_wrong_one_and_an_unknown_user_look_alike(self, tmp_path: Path, user: str, password: str) -> None:
        async with running(tmp_path, AuthMethod.SCRAM) as w:
            got = await self.sasl(await w.call(), user, password)
            assert state(got) == "28P01"
            assert w.logins.refusals == ["28P01"]
            assert w.postgres.startups == []

    async def test_a_user_in_no_role_is_refused(self, tmp_path: Path) -> None:
        async with running(tmp_path) as w:
            _, got = await w.log_in("stranger")
            assert state(got) == "28000"
            assert w.postgres.startups == []

    async def test_a_masked_user_gets_the_proxys_database_only(self, tmp_path: Path) -> None:
        async with running(tmp_path) as w:
            _, got = await w.log_in("ana", database="other")
            assert state(got) == "3D000"

    async def test_no_more_sessions_than_allowed(self, tmp_path: Path) -> None:
        async with running(tmp_path, max_sessions=1) as w:
            await w.log_in()
            _, got = await w.log_in()
            assert state(got) == "53300"


class TestUpstream:
    async def test_a_database_that_is_down(self, tmp_path: Path) -> None:
        async with running(tmp_path) as w:
            (tmp_path / ".s.PGSQL.5432").unlink()
            _, got = await w.log_in()
            assert state(got) == "08001"

    async def test_a_database_that_refuses_is_quoted(self, tmp_path: Path) -> None:
        async with running(tmp_path) as w:
            w.postgres.refusal = error("53300", "too many clients", severity="FATAL", D="value")
            _, got = await w.log_in()
            assert state(got) == "53300"
            assert isinstance(got[-1], ErrorResponse)
            assert got[-1].get("D") is None

    async def test_a_database_that_does_not_know_the_account_is_not(self, tmp_path: Path) -> None:
        async with running(tmp_path) as w:
            w.postgres.refusal = error("28P01", 'password authentication failed for user "app"', severity="FATAL")
            _, got = await w.log_in()
            assert state(got) == "08001"
            assert "app" not in str(got[-1])

    async def test_the_server_lives_on(self, tmp_path: Path) -> None:
        async with running(tmp_path) as w:
            w.postgres.refusal = error("57P03", severity="FATAL")
            await w.log_in()
            w.postgres.refusal = None
            _, got = await w.log_in()
            assert isinstance(got[-1], ReadyForQuery)


class TestCancel:
    async def busy(self, w: World) -> tuple[Caller, BackendKeyData]:
        w.postgres.hangs = True
        caller, got = await w.log_in()
        caller.send(Query(b"SELECT slow").encode())
        await w.postgres.asked.wait()
        (key,) = (m for m in got if isinstance(m, BackendKeyData))
        return caller, key

    async def test_the_upstream_gets_its_own_key(self, tmp_path: Path) -> None:
        async with running(tmp_path) as w:
            _, key = await self.busy(w)
            assert key.process_id == KEY.process_id  # what the server itself says of the session
            assert key.secret_key != KEY.secret_key
            caller = await w.call(CancelRequest(key.process_id, key.secret_key).encode())
            assert await caller.end() == b""
            assert w.postgres.startups[1:] == [CancelRequest(KEY.process_id, KEY.secret_key)]

    @pytest.mark.parametrize("wrong", ["secret", "process"])
    async def test_a_wrong_key_does_nothing(self, tmp_path: Path, wrong: str) -> None:
        async with running(tmp_path) as w:
            _, key = await self.busy(w)
            number = key.process_id ^ (wrong == "process")
            secret = bytes(b ^ (wrong == "secret") for b in key.secret_key)
            caller = await w.call(CancelRequest(number, secret).encode())
            assert await caller.end() == b""
            assert len(w.postgres.startups) == 1

    async def test_a_key_ends_with_its_session(self, tmp_path: Path) -> None:
        async with running(tmp_path) as w:
            caller, got = await w.log_in()
            (key,) = (m for m in got if isinstance(m, BackendKeyData))
            caller.send(Terminate().encode())
            assert await caller.end() == b""
            assert w.server.sessions.find(CancelRequest(key.process_id, key.secret_key)) is None

    async def test_a_client_that_vanishes_cancels_what_it_ran(self, tmp_path: Path) -> None:
        async with running(tmp_path) as w:
            caller, _ = await self.busy(w)
            caller.writer.transport.abort()
            await w.postgres.cancelled.wait()
            assert w.postgres.startups[1:] == [CancelRequest(KEY.process_id, KEY.secret_key)]


def tasks_of_the_proxy() -> int:
    """The scripted server's are in the same loop."""
    places = [task.get_coro().cr_code.co_filename for task in asyncio.all_tasks()]  # type: ignore[union-attr]
    return sum("/proxy/" in place for place in places)


class TestIdle:
    async def test_no_task_waits_for_a_session_that_is_idle(self, tmp_path: Path) -> None:
        async with running(tmp_path) as w:
            callers, counts = [], []
            for _ in range(5):
                callers.append((await w.log_in())[0])
                await asyncio.sleep(0)  # what has brought it ends
                counts.append(tasks_of_the_proxy())
            assert len(w.server.sessions) == 5
            assert counts == [counts[0]] * 5
            for caller in callers:
                caller.send(Terminate().encode())
                assert await caller.end() == b""
            assert len(w.server.sessions) == 0

    async def test_sessions_that_end_while_it_stops_are_seen_off(self, tmp_path: Path) -> None:
        async with running(tmp_path) as w:
            callers = [(await w.log_in())[0] for _ in range(3)]
            callers[0].writer.transport.abort()
            w.server.stop()
            assert [state(await caller.until()) for caller in callers[1:]] == ["57P01"] * 2
            assert [await caller.end() for caller in callers[1:]] == [b""] * 2
            async with asyncio.timeout(10):
                await w.task
            assert len(w.server.sessions) == 0


class TestStop:
    async def test_idle_sessions_are_told_and_nobody_else_gets_in(self, tmp_path: Path) -> None:
        async with running(tmp_path) as w:
            caller, _ = await w.log_in()
            w.server.stop()
            assert state(await caller.until()) == "57P01"
            with pytest.raises(OSError, match="onnect"):
                await asyncio.open_connection(*w.address)
            assert w.postgres.goodbyes == 1

    async def test_a_busy_session_is_stopped_when_its_grace_is_over(self, tmp_path: Path) -> None:
        async with running(tmp_path) as w:
            w.postgres.hangs = True
            caller, _ = await w.log_in()
            caller.send(Query(b"SELECT slow").encode())
            await w.postgres.asked.wait()
            w.server.stop()
            assert state(await caller.until()) == "57P01"

    async def test_a_client_that_does_not_close_is_cut(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("proxy.server.LAST_SECONDS", 0.01)
        async with running(tmp_path) as w:
            caller, _ = await w.log_in()
            w.server.stop()
            async with asyncio.timeout(10):
                await w.task
            assert state(await caller.until()) == "57P01"

    async def test_a_user_whose_roles_changed_is_sent_away(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with running(tmp_path) as w:
            dba, _ = await w.log_in("postgres")
            ana, _ = await w.log_in("ana")
            monkeypatch.setitem(IDENTITIES, "postgres", Identity("postgres", ("analyst",)))
            w.server.identify_again()
            assert state(await dba.until()) == "57P01"
            ana.send(Query(b"SELECT 1").encode())
            assert (await ana.until(ReadyForQuery))[-1] == IDLE
