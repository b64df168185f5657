"""TLS towards clients: real drivers, and what an attacker, a bad certificate or a strange client would try."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pg8000.native  # type: ignore[import-untyped]
import psycopg
import psycopg2
import pytest
from conftest import Configuration, Pgveil, Serve
from office_world import write_policy
from probes import CLEAR, DATABASE, PATIENCE, POLICY, VEILED, eventually, metric, open_socket, read_to_end, startup
from raw_client import RawClient, Reply, fields
from tls_world import DAY, NOW, Authority, Pair

from proxy.wire.scram import ClientExchange, make_verifier, server_end_point

PASSWORDS = {"analyst": "ana's word", "dba": "dba's wörd"}
SSL_REQUEST = struct.pack("!II", 8, 80877103)
GSS_REQUEST = struct.pack("!II", 8, 80877104)
SQL = "SELECT code FROM people ORDER BY id"


@dataclass
class Tls:
    """Proxies with TLS, and the certificates around them."""

    authority: Authority
    stranger: Authority
    server: Pair
    directory: Path
    start: Callable[..., Pgveil]
    scram: Pgveil

    def client(self, user: str) -> Pair:
        return self.authority.client(user)


@pytest.fixture(scope="module")
def tls(plain_dsn: str, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Tls:
    directory = tmp_path_factory.mktemp("tls")
    policies = write_policy(directory, POLICY)
    authority, stranger = Authority(directory / "ca", "authority"), Authority(directory / "other", "stranger")
    server = authority.server()
    users = directory / "users.txt"
    users.write_text("".join(f'"{name}" "{make_verifier(word)}"\n' for name, word in PASSWORDS.items()))

    def start(auth: dict[str, Any] | None = None, **tls: Any) -> Pgveil:
        settings = {
            "auth": {"method": "scram", "users": str(users), **(auth or {})},
            "tls": {"cert": str(server.cert), "key": str(server.key), **tls},
        }
        return serve(Configuration(upstream=plain_dsn, policies=policies, settings=settings))

    return Tls(authority, stranger, server, directory, start, start(client_ca=str(authority.cert)))


def connect(proxy: Pgveil, user: str = "analyst", **options: str) -> psycopg.Connection[Any]:
    known: dict[str, Any] = {"password": PASSWORDS.get(user, ""), "sslmode": "require", **options}
    return psycopg.connect(proxy.dsn(user, DATABASE), autocommit=True, **known)


def codes(connection: psycopg.Connection[Any]) -> list[str]:
    with connection:
        return [row[0] for row in connection.execute(SQL.encode()).fetchall()]


def refused(proxy: Pgveil, user: str = "analyst", **options: str) -> str:
    with pytest.raises(psycopg.OperationalError) as failure:
        connect(proxy, user, **options)
    return str(failure.value)


def of(pair: Pair) -> dict[str, str]:
    return {"sslcert": str(pair.cert), "sslkey": str(pair.key)}


# Real clients.


@pytest.mark.parametrize("negotiation", ["postgres", "direct"])
@pytest.mark.parametrize("mode", ["require", "verify-full"])
@pytest.mark.parametrize(("user", "expected"), [("analyst", VEILED), ("dba", CLEAR)])
def test_libpq_over_tls(user: str, expected: list[str], mode: str, negotiation: str, tls: Tls) -> None:
    root = str(tls.authority.cert)
    with connect(tls.scram, user, sslmode=mode, sslrootcert=root, sslnegotiation=negotiation) as connection:
        assert connection.pgconn.ssl_in_use
        assert [row[0] for row in connection.execute(SQL.encode()).fetchall()] == expected


@pytest.mark.parametrize("negotiation", ["postgres", "direct"])
def test_libpq_binds_the_channel(negotiation: str, tls: Tls) -> None:
    assert codes(connect(tls.scram, channel_binding="require", sslnegotiation=negotiation)) == VEILED


def test_libpq_does_not_trust_another_authority(tls: Tls) -> None:
    root = str(tls.stranger.cert)
    assert "certificate verify failed" in refused(tls.scram, sslmode="verify-full", sslrootcert=root)


def test_libpq_without_tls_where_it_is_not_required(tls: Tls) -> None:
    with connect(tls.scram, sslmode="disable") as connection:
        assert not connection.pgconn.ssl_in_use
        assert [row[0] for row in connection.execute(SQL.encode()).fetchall()] == VEILED


async def test_other_drivers_over_tls(tls: Tls) -> None:
    proxy, password = tls.scram, PASSWORDS["analyst"]
    context = ssl.create_default_context(cafile=str(tls.authority.cert))
    first = await asyncpg.connect(
        host=proxy.host,
        port=proxy.port,
        user="analyst",
        password=password,
        database=DATABASE,
        ssl=context,
        timeout=PATIENCE,
    )
    assert [row[0] for row in await first.fetch(SQL)] == VEILED
    await first.close()
    second = pg8000.native.Connection(
        "analyst", host=proxy.host, port=proxy.port, database=DATABASE, password=password, ssl_context=context
    )
    assert [row[0] for row in second.run(SQL) or []] == VEILED
    second.close()
    third = psycopg2.connect(proxy.dsn("analyst", DATABASE, sslmode="require"), password=password)
    with third.cursor() as cursor:
        cursor.execute(SQL)
        assert [row[0] for row in cursor.fetchall()] == VEILED
    third.close()


def test_much_both_ways_over_tls(tls: Tls) -> None:
    with connect(tls.scram, "dba") as connection:
        row = connection.execute("SELECT length(%s), repeat('ab', 4000000)", ["x" * 5_000_000]).fetchone()
        assert row is not None
        assert (row[0], row[1]) == (5_000_000, "ab" * 4_000_000)
        connection.execute("CREATE TEMP TABLE copied (a text)")
        with connection.cursor().copy("COPY copied FROM STDIN") as copy:
            for _ in range(100):
                copy.write("y" * 100_000 + "\n")
        assert connection.execute("SELECT count(*), sum(length(a)) FROM copied").fetchone() == (100, 10_000_000)


def test_a_cancel_request_over_tls(tls: Tls) -> None:
    with connect(tls.scram, "dba") as connection:
        connection.execute("SELECT 1")
        thread = threading.Timer(0.5, lambda: connection.cancel_safe(timeout=PATIENCE))
        thread.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(3600)")
        thread.join()
        assert connection.execute("SELECT 1").fetchone() == (1,)


# Strange clients, byte by byte.


def context(alpn: str | None = None, client: Pair | None = None) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    if alpn is not None:
        made.set_alpn_protocols([alpn])
    if client is not None:
        made.load_cert_chain(client.cert, client.key)
    return made


def asked(proxy: Pgveil) -> socket.socket:
    """A socket over which TLS was asked for and promised."""
    sock = open_socket(proxy)
    sock.sendall(SSL_REQUEST)
    assert sock.recv(1) == b"S"
    return sock


class Talk(RawClient):
    """A client on a socket that the test has opened."""

    def __init__(self, sock: socket.socket, packet: bytes) -> None:
        self.socket = sock
        self._buffer = b""
        sock.sendall(packet)
        self.greeting = Reply()


def error_of(data: bytes) -> dict[str, str]:
    """The fields of the one ErrorResponse that these bytes are."""
    assert data[:1] == b"E"
    assert len(data) == struct.unpack("!i", data[1:5])[0] + 1
    return fields(data[5:])


@pytest.fixture(autouse=True)
def nothing_failed(tls: Tls) -> Any:
    yield
    assert codes(connect(tls.scram)) == VEILED
    assert metric(tls.scram, "pgveil_crashes_total") == 0


@pytest.mark.parametrize("behind", [b"x", SSL_REQUEST, startup("dba", DATABASE), b"\x16\x03\x01"])
def test_bytes_behind_an_ssl_request_are_refused(behind: bytes, tls: Tls) -> None:
    with open_socket(tls.scram) as sock:
        sock.sendall(SSL_REQUEST + behind)
        error = error_of(read_to_end(sock))
    assert error["C"] == "08P01"
    assert error["M"] == "received unencrypted data after SSL request"


def test_a_plain_startup_packet_after_the_promise_is_not_read(tls: Tls) -> None:
    with asked(tls.scram) as sock:
        sock.sendall(startup("dba", DATABASE))
        assert b"R" not in read_to_end(sock)


def test_gss_is_refused_and_tls_then_promised(tls: Tls) -> None:
    with open_socket(tls.scram) as sock:
        sock.sendall(GSS_REQUEST)
        assert sock.recv(1) == b"N"
        sock.sendall(SSL_REQUEST)
        assert sock.recv(1) == b"S"
        with context().wrap_socket(sock) as secure:
            secure.sendall(startup("analyst", DATABASE))
            assert secure.recv(1) == b"R"


@pytest.mark.parametrize("request_", [SSL_REQUEST, GSS_REQUEST])
def test_no_encryption_inside_encryption(request_: bytes, tls: Tls) -> None:
    with context().wrap_socket(asked(tls.scram)) as secure:
        secure.sendall(request_)
        assert error_of(read_to_end(secure))["C"] == "0A000"


def test_a_client_without_alpn_may_ask_for_tls(tls: Tls) -> None:
    with context().wrap_socket(asked(tls.scram)) as secure:
        assert secure.selected_alpn_protocol() is None
        secure.sendall(startup("analyst", DATABASE))
        assert secure.recv(1) == b"R"


def test_direct_tls_agrees_on_the_protocol(tls: Tls) -> None:
    with context("postgresql").wrap_socket(open_socket(tls.scram)) as secure:
        assert secure.selected_alpn_protocol() == "postgresql"
        secure.sendall(startup("analyst", DATABASE))
        assert secure.recv(1) == b"R"


@pytest.mark.parametrize("alpn", [None, "http/1.1"])
def test_direct_tls_for_another_protocol_is_closed(alpn: str | None, tls: Tls) -> None:
    before = metric(tls.scram, "pgveil_login_failures_total")
    with context(alpn).wrap_socket(open_socket(tls.scram)) as secure:
        try:
            secure.sendall(startup("analyst", DATABASE))
            assert secure.recv(1) == b""
        except OSError:  # reset, which is as good
            pass
    eventually(lambda: metric(tls.scram, "pgveil_login_failures_total") == before + 1, "the refusal is counted")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_old_tls_is_refused(tls: Tls) -> None:
    old = context()
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with asked(tls.scram) as sock, pytest.raises((ssl.SSLError, ConnectionError)):
        old.wrap_socket(sock)
    middle = context()
    middle.maximum_version = ssl.TLSVersion.TLSv1_2
    with middle.wrap_socket(asked(tls.scram)) as secure:
        assert secure.version() == "TLSv1.2"


@pytest.mark.parametrize("stop", [0, 1, 5, 50])
def test_a_client_that_leaves_during_the_handshake_leaves_nothing(stop: int, tls: Tls) -> None:
    hello = hello_of(context("postgresql"))
    before = descriptors(tls.scram)
    for sock in (open_socket(tls.scram), asked(tls.scram)):
        sock.sendall(hello[:stop])
        sock.close()
    eventually(lambda: descriptors(tls.scram) <= before, "its socket is closed")


def hello_of(made: ssl.SSLContext) -> bytes:
    """A ClientHello."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        made.wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


def descriptors(proxy: Pgveil) -> int:
    return len(list(Path(f"/proc/{proxy.process.pid}/fd").iterdir()))


def sasl(client: RawClient, mechanism: str, first: bytes) -> tuple[bytes, bytes]:
    """Begins SCRAM; the answer."""
    tag, body = next(client.messages())
    assert (tag, body) == (b"R", b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")
    client.send(b"p", mechanism.encode() + b"\0" + struct.pack("!i", len(first)) + first)
    return next(client.messages())


def test_a_client_that_believes_there_is_no_channel_binding_is_refused(tls: Tls) -> None:
    """Somebody between has taken -PLUS off the offer."""
    with Talk(context().wrap_socket(asked(tls.scram)), startup("analyst", DATABASE)) as client:
        tag, body = sasl(client, "SCRAM-SHA-256", b"y,,n=,r=abcdefgh")
    assert tag == b"E"
    assert fields(body)["C"] == "28000"
    assert "channel binding" in fields(body)["M"]


def test_a_client_that_binds_to_another_certificate_is_refused(tls: Tls) -> None:
    """Somebody between has a certificate of his own."""
    other = server_end_point(tls.client("between").der)
    exchange = ClientExchange(PASSWORDS["analyst"], ("SCRAM-SHA-256-PLUS",), other)
    with Talk(context().wrap_socket(asked(tls.scram)), startup("analyst", DATABASE)) as client:
        _, challenge = sasl(client, exchange.mechanism, exchange.first())
        client.send(b"p", exchange.final(challenge[4:]))
        tag, body = next(client.messages())
    assert tag == b"E"
    assert fields(body)["M"] == "SCRAM channel binding check failed"


def test_no_channel_binding_is_offered_without_tls(tls: Tls) -> None:
    with Talk(open_socket(tls.scram), startup("analyst", DATABASE)) as client:
        assert next(client.messages()) == (b"R", b"\0\0\0\x0aSCRAM-SHA-256\0\0")


# TLS that is required.


@pytest.fixture(scope="module")
def strict(tls: Tls) -> Pgveil:
    return tls.start(require=True)


def test_a_client_without_tls_is_told_that_it_is_required(strict: Pgveil) -> None:
    said = refused(strict, sslmode="disable")
    assert "the connection is not encrypted" in said
    assert "sslmode=require" in said
    assert codes(connect(strict, sslmode="prefer")) == VEILED
    assert codes(connect(strict, sslmode="allow")) == VEILED


def test_nobody_is_asked_for_a_password_before_that(strict: Pgveil) -> None:
    with Talk(open_socket(strict), startup("analyst", DATABASE, 3 << 16 | 9999)) as client:
        tags = [tag for tag, _ in client.messages()]
    assert tags == [b"v", b"E"]


# Certificates of clients.


@pytest.fixture(scope="module")
def by_cert(tls: Tls) -> Pgveil:
    return tls.start({"method": "cert"}, client_ca=str(tls.authority.cert))


@pytest.mark.parametrize("negotiation", ["postgres", "direct"])
@pytest.mark.parametrize(("user", "expected"), [("analyst", VEILED), ("dba", CLEAR)])
def test_a_certificate_logs_its_user_in(
    user: str, expected: list[str], negotiation: str, tls: Tls, by_cert: Pgveil
) -> None:
    pair = tls.client(user)
    assert codes(connect(by_cert, user, password="", sslnegotiation=negotiation, **of(pair))) == expected


def test_a_certificate_is_for_its_user_alone(tls: Tls, by_cert: Pgveil) -> None:
    said = refused(by_cert, "dba", **of(tls.client("analyst")))
    assert 'certificate authentication failed for user "dba"' in said


def test_a_client_without_a_certificate_is_told_to_bring_one(by_cert: Pgveil) -> None:
    for mode in ("require", "disable"):
        said = refused(by_cert, sslmode=mode, sslcertmode="disable" if mode == "require" else "allow")
        assert "connection requires a valid client certificate" in said


def test_bad_certificates_end_the_connection(tls: Tls, by_cert: Pgveil) -> None:
    before = metric(by_cert, "pgveil_login_failures_total")
    bad = [
        tls.stranger.client("dba"),
        tls.authority.client("dba", "expired", ends=NOW - DAY),
        Pair(tls.server.cert, tls.server.key),  # a server's, for servers only
    ]
    for pair in bad:
        assert "password authentication" not in refused(by_cert, "dba", **of(pair))
    assert metric(by_cert, "pgveil_login_failures_total") == before + len(bad)
    assert "certificate has expired" in by_cert.output()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_whoever_is_refused_in_the_handshake_hears_why(version: ssl.TLSVersion, tls: Tls, by_cert: Pgveil) -> None:
    cases = {
        "UNKNOWN_CA": tls.stranger.client("dba", "stranger"),
        "CERTIFICATE_EXPIRED": tls.authority.client("dba", "late", ends=NOW - DAY),
    }
    for alert, pair in cases.items():
        client = context(client=pair)
        client.maximum_version = version
        with asked(by_cert) as sock, pytest.raises(ssl.SSLError) as failure:
            shake_hands(client, sock)
        assert alert in str(failure.value.reason)


def shake_hands(client: ssl.SSLContext, sock: socket.socket) -> None:
    """To the end: of TLS 1.3, the client's part is over before the server has looked at it."""
    with client.wrap_socket(sock) as link:
        link.recv(1)


def test_a_bad_certificate_is_no_certificate_for_scram_either(tls: Tls) -> None:
    refused(tls.scram, **of(tls.stranger.client("analyst", "unknown")))
    assert codes(connect(tls.scram, **of(tls.client("whoever")))) == VEILED


def test_a_certificate_may_be_wanted_beside_the_password(tls: Tls) -> None:
    proxy = tls.start(client_ca=str(tls.authority.cert), client_cert="require")
    with_one = of(tls.client("whoever"))
    assert codes(connect(proxy, **with_one)) == VEILED
    assert "password authentication failed" in refused(proxy, password="wrong", **with_one)
    for mode in ("require", "disable"):
        assert "requires a valid client certificate" in refused(proxy, sslmode=mode)


def test_a_map_says_which_certificate_is_for_which_user(tls: Tls) -> None:
    path = tls.directory / "names.map"
    path.write_text('"CN=Ana Long" analyst\n/CN=(.*)-admin \\1\n')
    auth = {"method": "cert", "cert_name": "dn", "cert_map": str(path)}
    proxy = tls.start(auth, client_ca=str(tls.authority.cert))
    ana, admin, plain = tls.client("Ana Long"), tls.client("dba-admin"), tls.client("analyst")
    assert codes(connect(proxy, "analyst", **of(ana))) == VEILED
    assert codes(connect(proxy, "dba", **of(admin))) == CLEAR
    for user, pair in (("dba", ana), ("analyst", admin), ("analyst", plain)):
        assert "certificate authentication failed" in refused(proxy, user, **of(pair))
    path.write_text('"CN=Ana Long" dba\n')
    proxy.process.send_signal(1)
    eventually(lambda: gets_in(proxy, "dba", ana), "the new map counts")
    assert "certificate authentication failed" in refused(proxy, "analyst", **of(ana))


def gets_in(proxy: Pgveil, user: str, pair: Pair) -> bool:
    try:
        connect(proxy, user, **of(pair)).close()
    except psycopg.OperationalError:
        return False
    return True


# Passwords in clear text.


@pytest.fixture(scope="module")
def in_clear(tls: Tls) -> Pgveil:
    return tls.start({"method": "password"})


def test_a_password_in_clear_text_over_tls(in_clear: Pgveil) -> None:
    for user, expected in (("analyst", VEILED), ("dba", CLEAR)):
        with connect(in_clear, user, require_auth="password") as connection:
            assert connection.pgconn.used_password
            assert [row[0] for row in connection.execute(SQL.encode()).fetchall()] == expected
    messages = {refused(in_clear, user, password="wrong").replace(user, "USER") for user in ("analyst", "nobody")}
    assert len(messages) == 1
    assert "password authentication failed for user" in messages.pop()


def test_a_password_in_clear_text_is_not_even_asked_for_without_tls(in_clear: Pgveil) -> None:
    with Talk(open_socket(in_clear), startup("analyst", DATABASE)) as client:
        tags = [tag for tag, _ in client.messages()]
    assert tags == [b"E"]
    assert "over TLS only" in refused(in_clear, sslmode="disable")


def test_no_password_is_written_down(in_clear: Pgveil) -> None:
    for path in in_clear.directory.iterdir():
        text = path.read_text(errors="replace")
        assert [word for word in PASSWORDS.values() if word in text] == [], path.name


# Files that change.


def test_a_new_certificate_is_taken_and_a_broken_one_is_not(tls: Tls) -> None:
    files = tls.directory / "live"
    files.mkdir()
    first, second = tls.authority.server("first"), tls.authority.server("second")
    cert, key = files / "server.crt", files / "server.key"

    def install(pair: Pair) -> None:
        shutil.copy(pair.cert, cert)
        shutil.copy(pair.key, key)

    install(first)
    proxy = tls.start(cert=str(cert), key=str(key))
    assert shown(proxy) == first.der
    with connect(proxy, channel_binding="require") as staying:
        install(second)
        proxy.process.send_signal(1)
        eventually(lambda: shown(proxy) == second.der, "the new certificate is shown")
        assert staying.execute("SELECT 1").fetchone() == (1,)
    assert codes(connect(proxy, channel_binding="require")) == VEILED
    for broken in ("nothing", first.key.read_text(), ""):
        key.write_text(broken)
        before = proxy.output().count("the new TLS files cannot be used")
        proxy.process.send_signal(1)
        eventually(lambda n=before: proxy.output().count("the new TLS files cannot be used") > n, "it is said")  # type: ignore[misc]
        assert shown(proxy) == second.der
        assert codes(connect(proxy, channel_binding="require")) == VEILED
    assert "PRIVATE KEY" not in proxy.output()


def shown(proxy: Pgveil) -> bytes:
    """The certificate that the proxy shows."""
    with context().wrap_socket(asked(proxy)) as secure:
        return secure.getpeercert(binary_form=True) or b""


@pytest.mark.parametrize("name", ["cert", "key", "client_ca"])
@pytest.mark.parametrize(
    "content", [None, "", "junk", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_files_that_cannot_be_used_keep_the_proxy_from_starting(name: str, content: str | None, tls: Tls) -> None:
    path = tls.directory / f"bad-{name}"
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_text(content)
        path.chmod(0o600)
    with pytest.raises(RuntimeError, match=f"tls.{name}.*cannot be used"):
        tls.start(**{"client_ca": str(tls.authority.cert), name: str(path)})


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o660])
def test_a_key_that_others_may_use_keeps_the_proxy_from_starting(mode: int, tls: Tls) -> None:
    key = tls.directory / "open.key"
    key.write_bytes(tls.server.key.read_bytes())
    key.chmod(mode)
    with pytest.raises(RuntimeError, match=r"open\.key may be read by others than its owner\nhint: .*600"):
        tls.start(key=str(key))


async def test_many_handshakes_at_once(tls: Tls) -> None:
    before = descriptors(tls.scram)

    async def log_in(number: int) -> str:
        user = "analyst" if number % 2 else "dba"
        connection = await asyncpg.connect(
            host=tls.scram.host,
            port=tls.scram.port,
            user=user,
            password=PASSWORDS[user],
            database=DATABASE,
            ssl="require",
            timeout=PATIENCE,
        )
        try:
            return str(await connection.fetchval("SELECT code FROM people WHERE id = 1"))
        finally:
            await connection.close()

    async with asyncio.timeout(PATIENCE):
        assert await asyncio.gather(*map(log_in, range(30))) == ["zq8x-1", "hidden"] * 15
    await asyncio.to_thread(eventually, lambda: descriptors(tls.scram) <= before, "every socket is closed")
