"""Which protocol a client and the proxy speak, and the cancel keys that go with it, byte by byte."""

from __future__ import annotations

import socket
import struct

import psycopg
import pytest
from client_kinds import Place, Psql
from conftest import Pgveil
from probes import DATABASE, PATIENCE, Speaker, eventually, read_to_end, startup
from raw_client import RawClient, Reply, fields

from proxy import localpg


def negotiated(messages: list[tuple[bytes, bytes]]) -> tuple[int, list[bytes]] | None:
    """Version and refused options of NegotiateProtocolVersion, or None where there was none."""
    found = [body for tag, body in messages if tag == b"v"]
    if not found:
        return None
    version, count = struct.unpack_from("!ii", found[0])
    names = found[0][8:].split(b"\0")[:-1]
    assert len(names) == count
    return version, names


def key_of(messages: list[tuple[bytes, bytes]]) -> tuple[int, bytes]:
    body = next(body for tag, body in messages if tag == b"K")
    return struct.unpack_from("!i", body)[0], body[4:]


@pytest.mark.parametrize(
    ("minor", "parameters", "answer", "key_size"),
    [
        (0, {}, None, 4),
        (1, {}, None, 4),
        (2, {}, None, 32),
        (3, {}, (3 << 16 | 2, []), 32),
        (9999, {}, (3 << 16 | 2, []), 32),
        (0, {"_pq_.nothing": "1"}, (3 << 16, [b"_pq_.nothing"]), 4),
        (9999, {"_pq_.a": "1", "_pq_.b": "2"}, (3 << 16 | 2, [b"_pq_.a", b"_pq_.b"]), 32),
    ],
)
@pytest.mark.parametrize("role", ["dba", "analyst"])
def test_versions_are_negotiated(
    role: str,
    minor: int,
    parameters: dict[str, str],
    answer: tuple[int, list[bytes]] | None,
    key_size: int,
    plain: Pgveil,
) -> None:
    with Speaker(plain, startup(role, DATABASE, 3 << 16 | minor, **parameters)) as client:
        messages = client.greet().messages
        assert negotiated(messages) == answer
        # Before anything else, so that the client knows what the rest means.
        assert answer is None or messages[0][0] == b"v"
        assert len(key_of(messages)[1]) == key_size
        assert client.simple("SELECT code FROM people WHERE id = 1").error == {}


class Original(RawClient):
    """PostgreSQL itself, with a startup packet of the test's own."""

    def __init__(self, server: localpg.LocalPostgres, packet: bytes) -> None:
        place = psycopg.conninfo.conninfo_to_dict(server.dsn)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(f"{place['host']}/.s.PGSQL.{place['port']}")
        self._buffer = b""
        self.socket.sendall(packet)
        self.greeting = Reply()


def packet(version: int, body: bytes) -> bytes:
    return struct.pack("!II", len(body) + 8, version) + body


DBA = b"user\0postgres\0database\0" + DATABASE.encode() + b"\0"
THREE = 3 << 16
OPENINGS = {
    "3.0": packet(THREE, DBA + b"\0"),
    "3.1": packet(THREE | 1, DBA + b"\0"),
    "3.2": packet(THREE | 2, DBA + b"\0"),
    "3.3": packet(THREE | 3, DBA + b"\0"),
    "3.9999 with unknown options": packet(THREE | 9999, DBA + b"_pq_.a\x001\0_pq_.b\x002\0\0"),
    "3.1 with an unknown option": packet(THREE | 1, DBA + b"_pq_.a\x001\0\0"),
    "4.0": packet(4 << 16, DBA + b"\0"),
    "0.0": packet(0, b""),
    "1.0": packet(1 << 16, b"x" * 288),
    "2.0": packet(2 << 16, b"x" * 288),
    "no user": packet(THREE, b"database\0d\0\0"),
    "nothing": packet(THREE, b"\0"),
    "no terminator": packet(THREE, b"user\0bob"),
    "bytes behind the terminator": packet(THREE, DBA + b"\0x"),
    "a parameter without a value": packet(THREE, DBA + b"application_name\0\0"),
    "a parameter twice": packet(THREE, b"user\0nobody\0application_name\0a\0" + DBA + b"application_name\0b\0\0"),
    "a value that is not UTF-8": packet(THREE, DBA + b"application_name\0caf\xe9\0\0"),
    "SSLRequest twice": packet(80877103, b"") * 2,
    "GSSENCRequest with more behind it": packet(80877104, b"") + b"more",
}


def opening(client: RawClient) -> list[tuple[bytes, object]]:
    """What a server says first, without what no proxy can or should repeat: keys, places in its source."""
    head = client.socket.recv(1, socket.MSG_PEEK)
    answers: list[tuple[bytes, object]] = []
    while head == b"N":
        answers.append((client.socket.recv(1), b""))
        head = client.socket.recv(1, socket.MSG_PEEK)
    if client.socket.recv(8, socket.MSG_PEEK).startswith(b"EFATAL"):
        return [*answers, (b"old form", read_to_end(client.socket))]
    for tag, body in client.messages():
        if tag == b"E":
            answers.append((tag, {k: v for k, v in fields(body).items() if k in "SVCM"}))
        elif tag == b"K":
            answers.append((tag, len(body)))
        else:
            answers.append((tag, body))
        if tag == b"Z":
            break
    return answers


@pytest.mark.parametrize("name", OPENINGS)
def test_connections_open_as_postgresql_opens_them(
    name: str, plain: Pgveil, plain_dsn: str, postgres: localpg.LocalPostgres
) -> None:
    with Original(postgres, OPENINGS[name]) as original:
        expected = opening(original)
    with Speaker(plain, OPENINGS[name]) as client:
        found = opening(client)
    if "Request" in name:  # what came too early is not answered here, not even with a no
        expected = expected[1:]
    assert found == expected


@pytest.mark.parametrize("minor", [0, 2])
def test_a_cancel_key_of_each_length_cancels(minor: int, plain: Pgveil) -> None:
    with Speaker(plain, startup("dba", DATABASE, 3 << 16 | minor)) as client:
        number, secret = key_of(client.greet().messages)
        client.send(b"Q", b"SELECT pg_sleep(3600)\0")
        for wrong in (secret[:-1] + bytes([secret[-1] ^ 1]), secret + b"x", b"\0" * len(secret)):
            cancel(plain, number, wrong)
        cancel(plain, number + 1, secret)
        # Nothing has come of those: the statement still runs, and the right key ends it.
        cancel(plain, number, secret)
        eventually(lambda: again(plain, number, secret, client), "the statement is cancelled")
        assert client.reply().error["C"] == "57014"
        assert client.simple("SELECT 1").error == {}


def again(proxy: Pgveil, number: int, secret: bytes, client: Speaker) -> bool:
    """A cancel request may come before the statement does; whether the answer is there."""
    client.socket.settimeout(0.2)
    try:
        client.socket.recv(1, 2)  # MSG_PEEK
    except TimeoutError:
        cancel(proxy, number, secret)
        return False
    finally:
        client.socket.settimeout(PATIENCE)
    return True


def cancel(proxy: Pgveil, number: int, secret: bytes) -> None:
    packet = struct.pack("!iii", 12 + len(secret), 80877102, number) + secret
    with Speaker(proxy, packet) as client:
        assert client.socket.recv(1) == b""


def test_psql_of_this_version_speaks_3_2(plain: Pgveil) -> None:
    place = Place(plain.host, plain.port, "analyst", f"{DATABASE} min_protocol_version=3.2 max_protocol_version=3.2")
    done = Psql(place).command("SELECT code FROM people WHERE id = 1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "hidden" in done.stdout
