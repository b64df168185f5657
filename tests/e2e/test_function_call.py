"""The function-call message: libpq's large objects for a bypass role, for a masked one an error like any other."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import psycopg2
import pytest
from conftest import Pgveil
from probes import DATABASE
from raw_client import RawClient, Reply
from twins import call

CONTENT = bytes(range(256)) * 20_000
ABS = 1397
"""abs(integer)"""


@pytest.fixture
def bypassing(plain: Pgveil) -> Iterator[psycopg2.extensions.connection]:
    connection = psycopg2.connect(plain.dsn("dba", DATABASE))
    yield connection
    connection.close()


def test_a_large_object(bypassing: psycopg2.extensions.connection, tmp_path: Path) -> None:
    """psycopg2 uses lo_creat, lo_open, lowrite, loread, lo_lseek64, lo_truncate64, lo_tell64, lo_close, lo_unlink."""
    made: Any = bypassing.lobject(0, "wb")
    assert made.write(CONTENT) == len(CONTENT)
    made.close()
    bypassing.commit()
    found: Any = bypassing.lobject(made.oid, "rwb")
    assert found.read() == CONTENT
    assert found.seek(-10, 2) == len(CONTENT) - 10
    assert found.read() == CONTENT[-10:]
    assert found.seek(100) == 100
    found.truncate(100)
    assert found.tell() == 100
    found.seek(0)
    assert found.read() == CONTENT[:100]
    found.export(str(tmp_path / "exported"))
    assert (tmp_path / "exported").read_bytes() == CONTENT[:100]
    found.unlink()
    bypassing.commit()
    with pytest.raises(psycopg2.OperationalError, match="does not exist"):
        bypassing.lobject(made.oid, "rb")
    bypassing.rollback()


def test_a_file_becomes_one(bypassing: psycopg2.extensions.connection, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    made: Any = bypassing.lobject(0, "r", 0, str(tmp_path / "file"))
    cursor = bypassing.cursor()
    cursor.execute("SELECT length(lo_get(%s))", (made.oid,))
    assert cursor.fetchone() == (len(CONTENT),)
    bypassing.rollback()


def test_what_is_undone_is_undone(bypassing: psycopg2.extensions.connection) -> None:
    made: Any = bypassing.lobject(0, "wb")
    made.write(b"gone")
    bypassing.rollback()
    with pytest.raises(psycopg2.OperationalError, match="does not exist"):
        bypassing.lobject(made.oid, "rb")


# A masked role


@pytest.fixture
def masked(plain: Pgveil) -> Iterator[RawClient]:
    with RawClient(plain.host, plain.port, "analyst", DATABASE) as client:
        yield client


def called(client: RawClient) -> Reply:
    client.socket.sendall(call(ABS, [b"-5"]))
    return client.reply()


def test_it_is_refused_in_words(masked: RawClient) -> None:
    reply = called(masked)
    assert (reply.error["C"], reply.error["S"]) == ("42501", "ERROR")
    assert "SELECT" in reply.error["H"]
    assert reply.status == b"I"
    assert masked.simple("SELECT abs(-5)").data == [b"\0\1\0\0\0\1" + b"5"]


def test_it_fails_the_transaction(masked: RawClient) -> None:
    masked.simple("BEGIN")
    assert called(masked).status == b"E"
    assert called(masked).error["C"] == "25P02"
    assert masked.simple("SELECT 1").error["C"] == "25P02"
    assert masked.simple("COMMIT").messages[0] == (b"C", b"ROLLBACK\0")


def test_it_fails_the_implicit_transaction(masked: RawClient, plain_dsn: str) -> None:
    """It stands in a pipeline behind a statement that would otherwise be committed at the Sync."""
    masked.send(b"P", b"\0SET application_name = 'undone'\0" + struct.pack("!h", 0))
    masked.send(b"B", b"\0\0" + struct.pack("!hhh", 0, 0, 0))
    masked.send(b"E", b"\0" + struct.pack("!i", 0))
    assert called(masked).error["C"] == "42501"
    masked.send(b"S", b"")
    assert masked.reply().status == b"I"
    assert not masked.simple("SHOW application_name").data[0].endswith(b"undone")
    with psycopg.connect(plain_dsn) as direct:
        row = direct.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'undone'").fetchone()
    assert row == (0,)


def test_large_objects_of_libpq_are_not_for_it(plain: Pgveil) -> None:
    connection = psycopg2.connect(plain.dsn("analyst", DATABASE))
    try:
        with pytest.raises(psycopg2.Error, match=r"may not|not allowed|lo_"):
            connection.lobject(0, "wb")
    finally:
        connection.close()
