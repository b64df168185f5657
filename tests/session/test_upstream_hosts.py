"""Several hosts, and which of them is taken; time; what is said where none is. Scripted servers."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import uvloop
from scripted_upstream import KEY, PATIENCE, Script, Visit, dead_port, listening, on_uvloop, refusing

from proxy.errors import AuthorizationError, PgveilError, UpstreamError, UpstreamUnavailableError
from proxy.policy.rules import Identity
from proxy.settings import UpstreamDsn
from proxy.upstream import SameUser, Upstream, UpstreamRefusedError, open_upstream
from proxy.wire.messages import (
    AuthenticationOk,
    BackendKeyData,
    CommandComplete,
    DataRow,
    ErrorResponse,
    NegotiateProtocolVersion,
    ParameterStatus,
    ReadyForQuery,
)
from proxy.wire.startup import CancelRequest, StartupMessage

PRIMARY = {"in_hot_standby": "off", "default_transaction_read_only": "off"}
STANDBY = {"in_hot_standby": "on", "default_transaction_read_only": "off"}
READ_ONLY = {"in_hot_standby": "off", "default_transaction_read_only": "on"}
TARGETS = ("any", "read-write", "read-only", "primary", "standby", "prefer-standby")


def serving(**parameters: str) -> Script:
    def script(visit: Visit) -> None:
        visit.packet()
        visit.welcome(**parameters)
        visit.wait()

    return script


def old(*, standby: bool) -> Script:
    """A server from before 14, which has to be asked."""

    def script(visit: Visit) -> None:
        visit.packet()
        visit.welcome()
        while True:
            _, query = visit.message()
            answer = {
                b"SELECT pg_catalog.pg_is_in_recovery()\0": (b"f", b"t"),
                b"SHOW transaction_read_only\0": (b"off", b"on"),
            }
            visit.send(DataRow((answer[query][standby],)), CommandComplete("SELECT 1"), ReadyForQuery("I"))

    return script


async def call(*places: str, parameters: dict[str, str] | None = None, seconds: float = 10, **query: str) -> Upstream:
    text = "&".join(f"{name}={value}" for name, value in {"sslmode": "disable", **query}.items())
    dsn = UpstreamDsn.parse(f"postgresql://app:secret@{','.join(places)}/shop?{text}")
    return await open_upstream(dsn, {"user": "app", **(parameters or {})}, seconds)


async def port_taken(*places: str, **query: Any) -> int:
    upstream = await call(*places, **query)
    upstream.stream.abort()
    assert upstream.route is not None
    return upstream.route.host.port


async def failure(*places: str, seconds: float = 10, **query: Any) -> PgveilError:
    with pytest.raises(UpstreamError) as caught:
        await call(*places, seconds=seconds, **query)
    error = caught.value
    said = f"{error.message} {error.hint} {error.detail}"
    assert "secret" not in said
    assert "127.0.0.1" not in said
    assert error.hint
    return error


@pytest.fixture
def silent() -> Iterator[str]:
    """A place that takes connections and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as sock:
        yield f"127.0.0.1:{sock.getsockname()[1]}"


def dead() -> str:
    return f"127.0.0.1:{dead_port()}"


@on_uvloop
class TestOrder:
    async def test_the_first_that_answers(self) -> None:
        with listening(serving()) as one, listening(serving()) as two:
            assert await port_taken(one.place, two.place) == one.port
            assert await port_taken(dead(), two.place, one.place) == two.port
            assert len(one.visits) == 1

    async def test_every_address_of_a_name(self) -> None:
        """localhost is ::1 too here or there; the listener is on one of the two."""
        with listening(serving()) as server:
            assert await port_taken(f"localhost:{server.port}") == server.port

    async def test_an_ipv6_address(self) -> None:
        with listening(serving(), host="::1") as server:
            assert await port_taken(dead(), f"[::1]:{server.port}") == server.port

    async def test_a_name_that_there_is_not(self) -> None:
        with listening(serving()) as server:
            assert await port_taken("there-is-no-such-host.invalid", server.place) == server.port
        assert "no address" in (await failure("there-is-no-such-host.invalid")).message

    async def test_a_unix_socket_among_them(self, tmp_path: Path) -> None:
        with closing(socket.socket(socket.AF_UNIX)) as gone:
            gone.bind(str(tmp_path / ".s.PGSQL.5432"))
        with listening(serving()) as server:
            taken = await port_taken(str(tmp_path).replace("/", "%2F"), server.place)
            assert taken == server.port

    async def test_at_random_all_of_them(self) -> None:
        with listening(serving()) as one, listening(serving()) as two:
            taken = {await port_taken(one.place, two.place, load_balance_hosts="random") for _ in range(40)}
            assert taken == {one.port, two.port}

    async def test_one_that_is_starting_is_passed_over(self) -> None:
        with listening(refusing("57P03", "the database system is starting up")) as one, listening(serving()) as two:
            assert await port_taken(one.place, two.place) == two.port

    @pytest.mark.parametrize("sqlstate", ["28P01", "3D000", "53300"])
    async def test_one_that_refuses_is_the_last(self, sqlstate: str) -> None:
        with listening(refusing(sqlstate, "no")) as one, listening(serving()) as two:
            with pytest.raises(UpstreamError):
                await call(one.place, two.place)
            assert two.visits == []

    async def test_one_that_breaks_the_protocol_is_not(self) -> None:
        with listening(lambda v: v.send(b"HTTP/1.1 400\r\n\r\n")) as one, listening(serving()) as two:
            assert await port_taken(one.place, two.place) == two.port


@on_uvloop
class TestTargets:
    @pytest.mark.parametrize(
        ("kind", "taken"),
        [
            (PRIMARY, {"any", "read-write", "primary", "prefer-standby"}),
            (STANDBY, {"any", "read-only", "standby", "prefer-standby"}),
            (READ_ONLY, {"any", "read-only", "primary", "prefer-standby"}),
        ],
        ids=["primary", "standby", "read-only"],
    )
    async def test_who_is_what(self, kind: dict[str, str], taken: set[str]) -> None:
        for target in TARGETS:
            with listening(serving(**kind)) as server:
                if target in taken:
                    await port_taken(server.place, target_session_attrs=target)
                else:
                    error = await failure(server.place, target_session_attrs=target)
                    assert target in error.message
                    assert error.sqlstate == "08001"

    @pytest.mark.parametrize(
        ("standby", "taken"), [(False, {"read-write", "primary"}), (True, {"read-only", "standby"})]
    )
    async def test_who_was_what_before_14(self, standby: bool, taken: set[str]) -> None:
        for target in ("read-write", "primary", "read-only", "standby"):
            with listening(old(standby=standby)) as server:
                if target in taken:
                    await port_taken(server.place, target_session_attrs=target)
                else:
                    await failure(server.place, target_session_attrs=target)

    async def test_a_standby_if_there_is_one(self) -> None:
        with listening(serving(**PRIMARY)) as one, listening(serving(**STANDBY)) as two:
            assert await port_taken(one.place, two.place, target_session_attrs="prefer-standby") == two.port
            assert await port_taken(one.place, dead(), target_session_attrs="prefer-standby") == one.port

    async def test_a_session_that_asks_to_be_read_only_says_nothing_about_its_server(self) -> None:
        with listening(serving(**READ_ONLY)) as server:
            for asked in ({"default_transaction_read_only": "on"}, {"options": "-c default_transaction_read_only=on"}):
                upstream = await call(server.place, parameters=asked, target_session_attrs="read-write")
                upstream.stream.abort()


@on_uvloop
class TestTime:
    async def test_a_host_that_says_nothing_gets_its_share(self, silent: str) -> None:
        with listening(serving()) as server:
            started = time.monotonic()
            upstream = await call(silent, server.place, seconds=1)
            upstream.stream.abort()
            assert time.monotonic() - started >= 0.4

    async def test_connect_timeout_is_for_each(self, silent: str) -> None:
        """With 0.1 seconds for all of them, neither would have a second."""
        with listening(serving()) as server:
            upstream = await call(silent, silent, server.place, seconds=0.1, connect_timeout="1")
            upstream.stream.abort()

    async def test_all_of_them_silent(self, silent: str) -> None:
        error = await failure(silent, silent, seconds=0.2)
        assert error.message == "the database does not answer (2 tries)"

    async def test_a_call_that_is_given_up_leaves_no_connection(self) -> None:
        gone: list[bytes] = []
        ended = threading.Event()

        def script(visit: Visit) -> None:
            visit.packet()
            gone.append(visit.read(1))
            ended.set()

        with listening(script) as server:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await call(server.place)
            assert await asyncio.to_thread(ended.wait, PATIENCE)
        assert gone == [b""]


@on_uvloop
class TestWhatIsSaid:
    async def test_how_many_were_tried(self) -> None:
        error = await failure(dead(), dead(), dead())
        assert error.message == "the database cannot be reached (3 tries)"
        assert isinstance(error, UpstreamUnavailableError)

    async def test_what_is_wrong_with_each(self) -> None:
        with listening(serving(**STANDBY)) as server:
            error = await failure(dead(), server.place, target_session_attrs="primary")
            assert error.message == "no host of the database can be used (2 tries)"
            assert error.detail is not None
            assert "cannot be reached" in error.detail
            assert "target_session_attrs=primary" in error.detail

    async def test_too_many_connections(self) -> None:
        with listening(refusing("53300", "sorry, too many clients already")) as server:
            error = await failure(server.place)
            assert isinstance(error, UpstreamRefusedError)
            assert error.response.sqlstate == "53300"
            assert error.response.get("H")

    @pytest.mark.parametrize(("sqlstate", "where"), [("28P01", "password"), ("28000", "pg_hba.conf")])
    async def test_the_proxys_own_account(self, sqlstate: str, where: str) -> None:
        with listening(refusing(sqlstate, "something about app")) as server:
            error = await failure(server.place)
            assert error.sqlstate == "08001"
            assert "app" not in error.message
            assert where in str(error.hint)


@on_uvloop
class TestVersions:
    @staticmethod
    def answering(*messages: object, key: BackendKeyData = KEY) -> Script:
        def script(visit: Visit) -> None:
            packet = visit.packet()
            assert isinstance(packet, StartupMessage)
            visit.send(*messages, AuthenticationOk(), key, ReadyForQuery("I"))  # type: ignore[arg-type]
            visit.wait()

        return script

    async def minor_asked(self, **query: Any) -> int:
        asked = []

        def script(visit: Visit) -> None:
            packet = visit.packet()
            assert isinstance(packet, StartupMessage)
            asked.append(packet.minor)
            visit.welcome()
            visit.wait()

        with listening(script) as server:
            (await call(server.place, **query)).stream.abort()
        return asked[0]

    async def test_what_is_asked_for(self) -> None:
        assert await self.minor_asked() == 0
        assert await self.minor_asked(max_protocol_version="3.2") == 2
        assert await self.minor_asked(max_protocol_version="latest") == 2

    @pytest.mark.parametrize("length", [4, 32, 256])
    async def test_keys_of_any_length_come_back_whole(self, length: int) -> None:
        key = BackendKeyData(7, bytes(range(256))[:length])
        asked: list[object] = []
        with listening(self.answering(key=key), lambda v: asked.append(v.packet())) as server:
            upstream = await call(server.place, max_protocol_version="3.2")
            await upstream.cancel()
            upstream.stream.abort()
        assert asked == [CancelRequest(7, key.secret_key)]

    async def test_an_older_server_negotiates(self) -> None:
        with listening(self.answering(NegotiateProtocolVersion(3 << 16))) as server:
            upstream = await call(server.place, max_protocol_version="3.2")
            assert upstream.minor == 0
            upstream.stream.abort()
            error = await failure(server.place, min_protocol_version="3.2")
            assert "min_protocol_version" in error.message

    @pytest.mark.parametrize("sqlstate", ["0A000", "08P01"])
    async def test_one_that_cannot_is_asked_again(self, sqlstate: str) -> None:
        refuses = refusing(sqlstate, "unsupported frontend protocol 3.2")
        with listening(refuses, self.answering()) as server:
            upstream = await call(server.place, max_protocol_version="3.2")
            assert upstream.minor == 0
            upstream.stream.abort()
            packets = [v.heard[4:8] for v in server.visits]
            assert packets == [b"\0\3\0\2", b"\0\3\0\0"]

    @pytest.mark.parametrize(
        "message",
        [
            NegotiateProtocolVersion(3 << 16 | 9),
            NegotiateProtocolVersion(2 << 16),
            NegotiateProtocolVersion(3 << 16, ("_pq_.more",)),
        ],
    )
    async def test_a_negotiation_about_something_else_is_an_error(self, message: NegotiateProtocolVersion) -> None:
        said = pytest.raises(UpstreamError, match="negotiated about what")
        with listening(self.answering(message)) as server, said:
            await call(server.place, max_protocol_version="3.2")

    async def test_ready_without_a_login_is_an_error(self) -> None:
        def script(visit: Visit) -> None:
            visit.packet()
            visit.send(ParameterStatus("server_version", "18"), ReadyForQuery("I"))
            visit.wait()

        with listening(script) as server, pytest.raises(UpstreamError, match="before it had let"):
            await call(server.place)


@on_uvloop
class TestPasswordFile:
    async def sent(self, path: Path) -> bytes:
        sent = []

        def script(visit: Visit) -> None:
            visit.packet()
            visit.send(b"R\0\0\0\x08\0\0\0\x03")
            sent.append(visit.message()[1])
            visit.welcome()
            visit.wait()

        with listening(script) as server:
            text = f"postgresql://app@{server.place}/shop?sslmode=disable&passfile={path}"
            (await open_upstream(UpstreamDsn.parse(text), {"user": "app"})).stream.abort()
        return sent[0]

    def test_the_first_line_that_fits(self, tmp_path: Path) -> None:
        lines = ["# x", "other:*:*:*:a", "*:1:*:*:b", "*:*:shop:ap:c", r"127.0.0.1:*:sh\op:app:p\:q\\r", "*:*:*:*:z"]
        path = tmp_path / "pass"
        path.write_text("\n".join(lines))
        path.chmod(0o600)
        assert uvloop.run(self.sent(path)) == b"p:q\\r\0"

    @pytest.mark.parametrize("password", [b"a\x0bb\xe2\x80\xa8c", b"caf\xe9"])
    def test_a_password_is_bytes(self, password: bytes, tmp_path: Path) -> None:
        """Only a newline ends a line, and not every file is UTF-8."""
        path = tmp_path / "pass"
        path.write_bytes(b"*:*:*:app:" + password + b"\r\n*:*:*:app:other\n")
        path.chmod(0o600)
        assert uvloop.run(self.sent(path)) == password + b"\0"

    @pytest.mark.parametrize(("mode", "said"), [(0o640, "may be read by others"), (None, "cannot be read")])
    def test_one_that_cannot_be_used(self, mode: int | None, said: str, tmp_path: Path) -> None:
        path = tmp_path / "pass"
        if mode is not None:
            path.write_text("*:*:*:*:secret\n")
            path.chmod(mode)
        dsn = UpstreamDsn.parse(f"postgresql://app@{dead()}/shop?passfile={path}")
        with pytest.raises(UpstreamUnavailableError, match=said):
            uvloop.run(open_upstream(dsn, {"user": "app"}))


def test_an_error_has_the_servers_words_only_where_they_are_for_clients() -> None:
    response = ErrorResponse((("S", "FATAL"), ("C", "57P03"), ("M", "starting")))
    assert "starting" not in str(UpstreamRefusedError(response))


def test_the_clients_own_account_has_a_name_that_postgresql_does_not_cut_off() -> None:
    service = UpstreamDsn.parse("postgresql://app@db/shop")
    longest = "é" * 31 + "a"
    assert SameUser().dsn(service, Identity(longest, ("analyst",))).user == longest
    with pytest.raises(AuthorizationError, match="63 bytes"):
        SameUser().dsn(service, Identity(longest + "b", ("analyst",)))
