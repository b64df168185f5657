"""How long a message may be: up to PostgreSQL's own limit for a bypass role, to a gigabyte less a few bytes.

Only the beginning of each is sent. `test_streaming` has whole ones, of 150 MB.
"""

from __future__ import annotations

import socket
import struct

import pytest
from conftest import Configuration, Pgveil, Serve, create_database
from office_world import write_policy
from raw_client import RawClient, fields
from twins import POLICY

from proxy import localpg

DATABASE = "lengths"
LONGEST = 0x3FFFFFFE
"""PQ_LARGE_MESSAGE_LIMIT, the four bytes of the length included."""
LONG = [b"Q", b"P", b"B", b"F"]


@pytest.fixture(scope="module")
def dsn(postgres: localpg.LocalPostgres) -> str:
    return create_database(postgres, DATABASE, "CREATE TABLE t (id int); CREATE TABLE people (id int, code text)")


@pytest.fixture(scope="module")
def proxy(dsn: str, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Pgveil:
    return serve(Configuration(dsn, write_policy(tmp_path_factory.mktemp("lengths"), POLICY)))


def beginning(client: RawClient, tag: bytes, length: int) -> list[tuple[bytes, bytes]]:
    """All that is said to the beginning of a message whose rest never comes."""
    with client:
        client.socket.sendall(tag + struct.pack("!I", length) + b"\0" * 100)
        client.socket.shutdown(socket.SHUT_WR)
        return list(client.messages())


def place(postgres: localpg.LocalPostgres) -> RawClient:
    return RawClient(str(postgres.socket_dir), 5432, "postgres", DATABASE)


@pytest.mark.usefixtures("dsn")
@pytest.mark.parametrize("tag", LONG)
def test_the_longest_message(tag: bytes, proxy: Pgveil, postgres: localpg.LocalPostgres) -> None:
    assert beginning(place(postgres), tag, LONGEST) == []
    assert beginning(RawClient(proxy.host, proxy.port, "dba", DATABASE), tag, LONGEST) == []


@pytest.mark.usefixtures("dsn")
@pytest.mark.parametrize("length", [LONGEST + 1, LONGEST + 5, LONGEST + 6, 0x7FFFFFFF, 0xFFFFFFFF])
@pytest.mark.parametrize("tag", [*LONG, b"d"])
def test_a_longer_one_is_refused_in_words(
    tag: bytes, length: int, proxy: Pgveil, postgres: localpg.LocalPostgres
) -> None:
    """PostgreSQL hangs up without a word, or with one for COPY data that nobody waits for."""
    assert beginning(place(postgres), tag, length) == []
    errors = [fields(body) for _, body in beginning(RawClient(proxy.host, proxy.port, "dba", DATABASE), tag, length)]
    assert [(error["S"], error["C"]) for error in errors] == [("FATAL", "08P01")]
