"""Which protocol a client and the proxy speak, and the cancel keys that go with it, byte by byte."""

from __future__ import annotations

import struct

import pytest
from client_kinds import Place, Psql
from conftest import Pgveil
from probes import DATABASE, PATIENCE, Speaker, eventually, startup


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
