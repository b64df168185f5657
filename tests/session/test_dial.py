"""TLS towards the database: what each sslmode takes, and what somebody on the way could try. Scripted servers."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from urllib.parse import quote

import pytest
from scripted_upstream import (
    KEY,
    SSL_REQUEST,
    Authority,
    Listener,
    Script,
    Visit,
    listening,
    on_uvloop,
    refusing,
    server_context,
)

from proxy.errors import PgveilError, UpstreamError, UpstreamUnavailableError
from proxy.settings import UpstreamDsn
from proxy.upstream import Upstream, UpstreamRefusedError, open_upstream
from proxy.wire.messages import AuthenticationCleartextPassword, AuthenticationMD5Password, AuthenticationSASL, Message
from proxy.wire.startup import CancelRequest, StartupMessage

VERIFYING = ("verify-ca", "verify-full")
ENCRYPTING = ("require", *VERIFYING)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    found = Authority(tmp_path_factory.mktemp("certificates"))
    assert found.root.exists()
    return found


@pytest.fixture(scope="module")
def good(authority: Authority) -> ssl.SSLContext:
    return server_context(authority.issue("good", "localhost", "127.0.0.1"))


@pytest.fixture(autouse=True)
def nothing_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def encrypted(context: ssl.SSLContext) -> Script:
    def script(visit: Visit) -> None:
        visit.agree(context)
        visit.packet()
        visit.welcome()
        visit.wait()

    return script


def plain(visit: Visit) -> None:
    if visit.read(8) == SSL_REQUEST:
        visit.send(b"N")
        visit.packet()
    else:
        visit.read(struct_rest(visit.heard))
    visit.welcome()
    visit.wait()


def struct_rest(head: bytes) -> int:
    return int.from_bytes(head[:4], "big") - len(head)


async def call(listener: Listener, host: str = "localhost", **parameters: str) -> Upstream:
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
    dsn = UpstreamDsn.parse(f"postgresql://app:secret@{host}:{listener.port}/shop?{query}")
    return await open_upstream(dsn, {"user": "app", "database": "shop"})


async def failure(listener: Listener, host: str = "localhost", **parameters: str) -> PgveilError:
    with pytest.raises(UpstreamError) as caught:
        await call(listener, host, **parameters)
    assert "secret" not in f"{caught.value.message}{caught.value.hint}{caught.value.detail}"
    return caught.value


@on_uvloop
class TestModes:
    @pytest.mark.parametrize("mode", ["prefer", *ENCRYPTING])
    async def test_a_server_with_tls_is_talked_to_in_tls(
        self, mode: str, authority: Authority, good: ssl.SSLContext
    ) -> None:
        with listening(encrypted(good)) as server:
            upstream = await call(server, sslmode=mode, sslrootcert=str(authority.root))
            assert upstream.encrypted
            assert upstream.key == KEY
            upstream.stream.abort()
            (visit,) = server.visits
            assert visit.heard.startswith(SSL_REQUEST + struct_startup())

    @pytest.mark.parametrize("mode", ["disable", "allow"])
    async def test_without_a_wish_for_tls_there_is_none(self, mode: str, good: ssl.SSLContext) -> None:
        with listening(plain) as server:
            upstream = await call(server, sslmode=mode)
            assert not upstream.encrypted
            upstream.stream.abort()
            assert not server.visits[0].heard.startswith(SSL_REQUEST)

    async def test_prefer_goes_on_without_tls_on_the_same_connection(self) -> None:
        with listening(plain) as server:
            upstream = await call(server)
            assert not upstream.encrypted
            upstream.stream.abort()
            assert len(server.visits) == 1

    @pytest.mark.parametrize("mode", ENCRYPTING)
    async def test_a_server_without_tls_gets_no_startup_packet(self, mode: str, authority: Authority) -> None:
        with listening(plain) as server:
            error = await failure(server, sslmode=mode, sslrootcert=str(authority.root))
            assert "does not have TLS" in error.message
            assert error.sqlstate == "08001"
            assert error.hint
        assert [v.heard for v in server.visits] == [SSL_REQUEST]

    async def test_allow_takes_tls_where_plain_is_refused(self, good: ssl.SSLContext) -> None:
        with listening(refusing("28000", "no pg_hba.conf entry, no encryption"), encrypted(good)) as server:
            upstream = await call(server, sslmode="allow")
            assert upstream.encrypted
            upstream.stream.abort()

    async def test_prefer_takes_plain_where_tls_is_refused(self, good: ssl.SSLContext) -> None:
        def refuses(visit: Visit) -> None:
            visit.agree(good)
            refusing("28000", "no pg_hba.conf entry, SSL encryption")(visit)

        with listening(refuses, plain) as server:
            upstream = await call(server)
            assert not upstream.encrypted
            upstream.stream.abort()

    async def test_a_password_refused_in_tls_is_not_tried_in_the_clear(self, good: ssl.SSLContext) -> None:
        def refuses(visit: Visit) -> None:
            visit.agree(good)
            visit.packet()
            visit.send(AuthenticationCleartextPassword())
            visit.message()
            refusing_now(visit)

        def refusing_now(visit: Visit) -> None:
            refusing("28P01", "password authentication failed")(_Already(visit))

        with listening(refuses, plain) as server:
            await failure(server)
            assert len(server.visits) == 1

    async def test_prefer_falls_back_after_a_handshake_that_fails(self) -> None:
        def broken(visit: Visit) -> None:
            assert visit.read(8) == SSL_REQUEST
            visit.send(b"S")
            visit.read(1)

        with listening(broken, plain) as server:
            upstream = await call(server)
            assert not upstream.encrypted
            upstream.stream.abort()

    @pytest.mark.parametrize("mode", ENCRYPTING)
    async def test_stricter_modes_do_not(self, mode: str, authority: Authority) -> None:
        def broken(visit: Visit) -> None:
            visit.read(8)
            visit.send(b"S")
            visit.read(1)

        with listening(broken, plain) as server:
            error = await failure(server, sslmode=mode, sslrootcert=str(authority.root))
            assert "handshake" in error.message
            assert len(server.visits) == 1


class _Already(Visit):
    """A visit whose startup packet has been read."""

    def __init__(self, visit: Visit) -> None:
        self.socket = visit.socket

    def packet(self) -> StartupMessage:
        return StartupMessage(3, 0, {})


def struct_startup() -> bytes:
    return StartupMessage(3, 0, {"user": "app", "database": "shop"}).encode()


@on_uvloop
class TestTheWayThere:
    """Somebody between the two who may put in, take out and answer."""

    @pytest.mark.parametrize("mode", ["prefer", *ENCRYPTING])
    async def test_bytes_behind_the_yes_end_it(self, mode: str, authority: Authority) -> None:
        def injects(visit: Visit) -> None:
            visit.read(8)
            visit.send(b"SE\0\0\0\x10SFATAL\0")
            visit.wait()

        with listening(injects, plain) as server:
            error = await failure(server, sslmode=mode, sslrootcert=str(authority.root))
            assert "unencrypted data" in error.message
        assert [v.heard for v in server.visits] == [SSL_REQUEST]

    @pytest.mark.parametrize("mode", ["prefer", *ENCRYPTING])
    async def test_an_error_in_place_of_an_answer_is_not_shown(self, mode: str, authority: Authority) -> None:
        def lies(visit: Visit) -> None:
            visit.read(8)
            refusing("3D000", "\x1b[31mtype your password at evil.example")(_Already(visit))
            visit.read(1)

        with listening(lies, plain) as server:
            error = await failure(server, sslmode=mode, sslrootcert=str(authority.root))
            assert "answered the request for TLS with an error" in error.message
            assert not isinstance(error, UpstreamRefusedError)
            assert "evil" not in f"{error.message}{error.hint}{error.detail}"
        assert [v.heard for v in server.visits] == [SSL_REQUEST], "and there is no other try without TLS, here or anew"

    async def test_gibberish_is_no_answer(self) -> None:
        with listening(lambda visit: visit.send(b"H")) as server:
            assert "no answer of PostgreSQL" in (await failure(server)).message

    async def test_a_server_that_hangs_up_is_said_so(self) -> None:
        with listening(lambda visit: None) as server:
            assert "closed the connection" in (await failure(server)).message


@on_uvloop
class TestCertificates:
    async def refused(self, server: Listener, authority: Authority, mode: str, host: str = "localhost") -> PgveilError:
        error = await failure(server, host, sslmode=mode, sslrootcert=str(authority.root))
        assert error.sqlstate == "08001"
        assert error.hint
        assert all(v.heard in (SSL_REQUEST, b"") for v in server.visits), "nothing is sent to a stranger"
        return error

    @pytest.mark.parametrize("mode", ENCRYPTING)
    async def test_self_signed(self, mode: str, authority: Authority) -> None:
        """`require` too: with a root certificate it is verify-ca."""
        context = server_context(authority.issue("self", "localhost", self_signed=True))
        with listening(encrypted(context)) as server:
            assert "self-signed" in (await self.refused(server, authority, mode)).message

    async def test_require_without_a_root_certificate_takes_any(self, authority: Authority) -> None:
        context = server_context(authority.issue("any", "elsewhere", self_signed=True))
        with listening(encrypted(context)) as server:
            upstream = await call(server, sslmode="require")
            assert upstream.encrypted
            upstream.stream.abort()

    async def test_the_root_certificate_at_home_is_found(self, authority: Authority, tmp_path: Path) -> None:
        (tmp_path / ".postgresql").mkdir()
        (tmp_path / ".postgresql" / "root.crt").write_bytes(authority.root.read_bytes())
        stranger = server_context(authority.issue("home", "localhost", self_signed=True))
        with listening(encrypted(stranger)) as server:
            assert "self-signed" in (await failure(server, sslmode="require")).message

    @pytest.mark.parametrize("mode", VERIFYING)
    async def test_expired(self, mode: str, authority: Authority) -> None:
        context = server_context(authority.issue("old", "localhost", expired=True))
        with listening(encrypted(context)) as server:
            assert "expired" in (await self.refused(server, authority, mode)).message

    async def test_of_another_authority(self, authority: Authority, tmp_path: Path) -> None:
        other = Authority(tmp_path, "other")
        with listening(encrypted(server_context(other.issue("alien", "localhost")))) as server:
            assert "issuer" in (await self.refused(server, authority, "verify-ca")).message

    async def test_revoked(self, authority: Authority) -> None:
        cert = authority.issue("revoked", "localhost")
        crl = str(authority.revoke(cert[0]))
        with listening(encrypted(server_context(cert))) as server:
            error = await failure(server, sslmode="verify-ca", sslrootcert=str(authority.root), sslcrl=crl)
            assert "revoked" in error.message

    async def test_of_another_host(self, authority: Authority) -> None:
        context = server_context(authority.issue("wrong", "db.example"))
        with listening(encrypted(context)) as server:
            assert "not for the host" in (await self.refused(server, authority, "verify-full")).message
        with listening(encrypted(context)) as server:
            upstream = await call(server, sslmode="verify-ca", sslrootcert=str(authority.root))
            upstream.stream.abort()

    async def test_of_an_address(self, authority: Authority, good: ssl.SSLContext) -> None:
        with listening(encrypted(good)) as server:
            upstream = await call(server, "127.0.0.1", sslmode="verify-full", sslrootcert=str(authority.root))
            upstream.stream.abort()
        context = server_context(authority.issue("address", "127.0.0.2"))
        with listening(encrypted(context)) as server:
            await self.refused(server, authority, "verify-full", "127.0.0.1")

    @pytest.mark.parametrize("mode", VERIFYING)
    async def test_verification_does_not_go_without_a_root(self, mode: str) -> None:
        with listening(lambda visit: visit.wait()) as server:
            assert "needs a root certificate" in (await failure(server, sslmode=mode)).message

    async def test_the_systems_roots_do_not_know_ours(self, good: ssl.SSLContext) -> None:
        with listening(encrypted(good)) as server:
            assert "not accepted" in (await failure(server, sslrootcert="system")).message

    async def test_a_certificate_that_is_replaced_is_seen(self, authority: Authority, tmp_path: Path) -> None:
        root = tmp_path / "root.pem"
        root.write_bytes(Authority(tmp_path, "former").root.read_bytes())
        with listening(encrypted(server_context(authority.issue("renewed", "localhost")))) as server:
            await failure(server, sslmode="verify-full", sslrootcert=str(root))
            root.write_bytes(authority.root.read_bytes())
            (await call(server, sslmode="verify-full", sslrootcert=str(root))).stream.abort()

    async def test_the_clients_own(self, authority: Authority) -> None:
        context = server_context(authority.issue("asks", "localhost"))
        context.load_verify_locations(authority.root)
        context.verify_mode = ssl.CERT_REQUIRED
        cert, key = authority.issue("proxy")
        own = {"sslmode": "verify-full", "sslrootcert": str(authority.root), "sslcert": str(cert)}
        with listening(encrypted(context)) as server:
            (await call(server, **own, sslkey=str(key))).stream.abort()
            key.chmod(0o644)
            assert "may be read by others" in (await failure(server, **own, sslkey=str(key))).message
            key.chmod(0o600)
            assert "cannot be used" in (await failure(server, **own | {"sslcert": str(authority.root)})).message

    async def test_old_versions_of_tls(self, authority: Authority) -> None:
        context = server_context(authority.issue("tls12", "localhost"))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with listening(encrypted(context)) as server:
            (await call(server, sslmode="require")).stream.abort()
            await failure(server, sslmode="require", ssl_min_protocol_version="TLSv1.3")


@on_uvloop
class TestNames:
    @pytest.mark.parametrize(("sni", "expected"), [("1", "localhost"), ("0", None)])
    async def test_the_servers_name_is_told_if_wanted(
        self, sni: str, expected: str | None, authority: Authority
    ) -> None:
        context = server_context(authority.issue("named", "localhost"))
        told: list[str | None] = []
        context.sni_callback = lambda _s, name, _c: told.append(name)
        with listening(encrypted(context)) as server:
            root = str(authority.root)
            (await call(server, sslmode="verify-full", sslrootcert=root, sslsni=sni)).stream.abort()
        assert told == [expected]


@on_uvloop
class TestDirect:
    async def test_tls_at_once_with_the_protocols_name(self, authority: Authority) -> None:
        context = server_context(authority.issue("direct", "localhost"), "postgresql")

        def script(visit: Visit) -> None:
            visit.encrypt(context)
            assert visit.socket.selected_alpn_protocol() == "postgresql"  # type: ignore[attr-defined]
            visit.packet()
            visit.welcome()
            visit.wait()

        with listening(script) as server:
            direct = {"sslmode": "verify-full", "sslrootcert": str(authority.root), "sslnegotiation": "direct"}
            (await call(server, **direct)).stream.abort()

    async def test_a_server_that_names_no_protocol_is_none(self, authority: Authority) -> None:
        context = server_context(authority.issue("web", "localhost"))

        def script(visit: Visit) -> None:
            visit.encrypt(context)
            visit.wait()

        with listening(script) as server:
            error = await failure(server, sslmode="require", sslnegotiation="direct")
            assert "another protocol" in error.message

    @pytest.mark.parametrize("mode", ["require", "verify-full"])
    async def test_a_server_of_another_protocol_is_none(self, mode: str, authority: Authority) -> None:
        """An answer to an SSLRequest that leads to a web server."""
        context = server_context(authority.issue("http", "localhost"), "postgresql")
        with listening(encrypted(context)) as server:
            (await call(server, sslmode=mode, sslrootcert=str(authority.root))).stream.abort()


@on_uvloop
class TestChannelBinding:
    @pytest.mark.parametrize(
        "request_",
        [
            AuthenticationSASL(("SCRAM-SHA-256",)),
            AuthenticationCleartextPassword(),
            AuthenticationMD5Password(b"salt"),
            b"R\0\0\0\x08\0\0\0\0",
        ],
        ids=["no-plus", "cleartext", "md5", "nothing"],
    )
    async def test_a_server_that_binds_nothing_is_refused(
        self, request_: Message | bytes, authority: Authority, good: ssl.SSLContext
    ) -> None:
        def script(visit: Visit) -> None:
            visit.agree(good)
            visit.packet()
            visit.send(request_)
            visit.wait()

        with listening(script) as server:
            error = await failure(server, sslmode="require", channel_binding="require")
            assert "channel_binding=require" in error.message
        (visit,) = server.visits
        assert visit.heard == SSL_REQUEST + struct_startup(), "no password, and no proof"

    async def test_it_needs_tls(self) -> None:
        def script(visit: Visit) -> None:
            visit.read(8)
            visit.send(b"N")
            visit.packet()
            visit.send(AuthenticationSASL(("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")))
            visit.wait()

        with listening(script) as server:
            await failure(server, channel_binding="require")
            assert server.visits[0].heard.endswith(struct_startup())


@on_uvloop
class TestCancel:
    async def test_goes_in_tls_to_the_same_server(self, authority: Authority, good: ssl.SSLContext) -> None:
        asked: list[object] = []

        def cancels(visit: Visit) -> None:
            visit.agree(good)
            asked.append(visit.packet())

        with listening(encrypted(good), cancels) as server:
            upstream = await call(server, sslmode="verify-full", sslrootcert=str(authority.root))
            await upstream.cancel()
            upstream.stream.abort()
        assert asked == [CancelRequest(KEY.process_id, KEY.secret_key)]

    async def test_is_not_sent_in_the_clear(self, authority: Authority, good: ssl.SSLContext) -> None:
        with listening(encrypted(good), plain) as server:
            upstream = await call(server)
            assert upstream.encrypted
            await upstream.cancel()
            upstream.stream.abort()
            assert server.visits[1].heard == SSL_REQUEST

    async def test_nor_to_a_stranger(self, authority: Authority, good: ssl.SSLContext) -> None:
        stranger = server_context(authority.issue("stranger", "db.example"))
        with listening(encrypted(good), encrypted(stranger)) as server:
            upstream = await call(server, sslmode="verify-full", sslrootcert=str(authority.root))
            await upstream.cancel()
            upstream.stream.abort()
            assert server.visits[1].heard == SSL_REQUEST


@on_uvloop
class TestSockets:
    async def test_keepalives_are_the_dsns(self) -> None:
        wanted = {
            "keepalives_idle": "17",
            "keepalives_interval": "5",
            "keepalives_count": "3",
            "tcp_user_timeout": "4000",
        }
        with listening(plain) as server:
            upstream = await call(server, **wanted)
            sock = upstream.stream._transport.get_extra_info("socket")  # type: ignore[union-attr]
            options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
            assert [sock.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [17, 5, 3, 4000]
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            upstream.stream.abort()
            upstream = await call(server, keepalives="0")
            sock = upstream.stream._transport.get_extra_info("socket")  # type: ignore[union-attr]
            assert not sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            upstream.stream.abort()


def test_unavailable_is_the_class_of_all_this() -> None:
    """What the feed and the server catch."""
    from proxy.dial import NoTlsError, TlsError

    assert issubclass(TlsError, UpstreamUnavailableError)
    assert issubclass(NoTlsError, UpstreamUnavailableError)
