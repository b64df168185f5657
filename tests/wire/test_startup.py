"""The first packets: what PostgreSQL takes is taken, however it arrives; the rest is refused with a reason."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.errors import AuthorizationError, ProtocolError
from proxy.wire.messages import NegotiateProtocolVersion
from proxy.wire.startup import (
    MAX_STARTUP_PACKET,
    CancelRequest,
    GSSENCRequest,
    SSLRequest,
    StartupBuffer,
    StartupMessage,
    StartupPacket,
    decode_startup,
    negotiate,
)

SSL = b"\0\0\0\x08\x04\xd2\x16\x2f"
GSS = b"\0\0\0\x08\x04\xd2\x16\x30"
CANCEL = b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x07key!"


def packet(code: int, body: bytes) -> bytes:
    return struct.pack("!II", len(body) + 8, code) + body


V30, V32 = 0x30000, 0x30002
STARTUP = packet(V30, b"user\0bob\0a\0b c\0\0")

CASES: list[tuple[bytes, StartupPacket]] = [
    (SSL, SSLRequest()),
    (GSS, GSSENCRequest()),
    (CANCEL, CancelRequest(7, b"key!")),
    (packet(0x04D2162E, b"\0\0\0\x07" + b"k" * 256), CancelRequest(7, b"k" * 256)),
    (STARTUP, StartupMessage(3, 0, {"user": "bob", "a": "b c"})),
    (packet(V32, b"user\0bob\0\0"), StartupMessage(3, 2, {"user": "bob"})),
    (
        packet(V30, "user\0आशा\0database\0d\0".encode() + b"\0"),
        StartupMessage(3, 0, {"user": "आशा", "database": "d"}),
    ),
    (packet(V30, b"user\0bob\0options\0\0\0"), StartupMessage(3, 0, {"user": "bob", "options": ""})),
]


@pytest.mark.parametrize(("raw", "expected"), CASES)
def test_packets_read_and_write_their_bytes(raw: bytes, expected: StartupPacket) -> None:
    assert StartupBuffer().feed(raw) == expected
    assert decode_startup(raw) == expected
    assert expected.encode() == raw


@pytest.mark.parametrize(("raw", "expected"), CASES)
def test_packets_arrive_byte_by_byte(raw: bytes, expected: StartupPacket) -> None:
    buffer = StartupBuffer()
    for i in range(len(raw) - 1):
        assert buffer.feed(raw[i : i + 1]) is None
    assert buffer.feed(raw[-1:]) == expected


def test_what_follows_a_startup_message_is_kept() -> None:
    buffer = StartupBuffer()
    assert isinstance(buffer.feed(STARTUP + b"Q\0\0\0\x05\0"), StartupMessage)
    assert buffer.take_rest() == b"Q\0\0\0\x05\0"
    assert buffer.take_rest() == b""


@pytest.mark.parametrize("request_", [SSL, GSS])
def test_bytes_behind_an_encryption_request_are_refused(request_: bytes) -> None:
    with pytest.raises(ProtocolError, match="received unencrypted data") as caught:
        StartupBuffer().feed(request_ + STARTUP)
    assert "man-in-the-middle" in str(caught.value.detail)


@pytest.mark.parametrize("request_", [SSL, GSS])
def test_bytes_before_the_answer_are_refused(request_: bytes) -> None:
    buffer = StartupBuffer()
    buffer.feed(request_)
    with pytest.raises(ProtocolError, match="received unencrypted data"):
        buffer.feed(b"\0")


def test_a_client_that_is_refused_encryption_goes_on_in_the_clear() -> None:
    buffer = StartupBuffer()
    assert buffer.feed(GSS) == GSSENCRequest()
    buffer.refused()
    assert buffer.feed(SSL) == SSLRequest()
    buffer.refused()
    assert isinstance(buffer.feed(STARTUP), StartupMessage)


@pytest.mark.parametrize("request_", [SSL, GSS])
def test_the_same_encryption_is_asked_for_once(request_: bytes) -> None:
    buffer = StartupBuffer()
    buffer.feed(request_)
    buffer.refused()
    with pytest.raises(ProtocolError, match=r"unsupported frontend protocol 1234\.56"):
        buffer.feed(request_)


@pytest.mark.parametrize("request_", [SSL, GSS])
def test_no_encryption_inside_encryption(request_: bytes) -> None:
    with pytest.raises(ProtocolError, match=r"unsupported frontend protocol 1234\.56"):
        StartupBuffer(encrypted=True).feed(request_)


@pytest.mark.parametrize(
    "first",
    [
        b"\0\0\0\0",
        b"\0\0\0\x07",
        (MAX_STARTUP_PACKET + 1).to_bytes(4, "big"),
        b"\xff\xff\xff\xff",
        b"GET ",
        b"\x16\x03\x01\x02",
    ],
)
def test_a_bad_length_is_refused_before_the_body_arrives(first: bytes) -> None:
    buffer = StartupBuffer()
    assert buffer.feed(first[:3]) is None
    with pytest.raises(ProtocolError, match="invalid length of startup packet"):
        buffer.feed(first[3:])


def test_the_largest_packet_is_taken() -> None:
    body = b"user\0u\0options\0" + b"x" * (MAX_STARTUP_PACKET - 8 - 17) + b"\0\0"
    raw = packet(V30, body)
    assert len(raw) == MAX_STARTUP_PACKET
    assert isinstance(StartupBuffer().feed(raw), StartupMessage)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (packet(0x20000, b"x" * 288), r"unsupported frontend protocol 2\.0: server supports 3\.0 to 3\.2"),
        (packet(0x40000, b"user\0u\0\0"), r"unsupported frontend protocol 4\.0"),
        (packet(0, b""), r"unsupported frontend protocol 0\.0"),
        (packet(0x04D21631, b""), r"unsupported frontend protocol 1234\.5681"),
        (packet(0x04D2162F, b"x"), "SSLRequest message has 1 bytes too many"),
        (packet(0x04D21630, b"x"), "GSSENCRequest message has 1 bytes too many"),
        (packet(0x04D2162E, b"\0\0"), "CancelRequest message is too short"),
        (packet(0x04D2162E, b"\0\0\0\x07key"), "invalid length of query cancel packet"),
        (packet(0x04D2162E, b"\0\0\0\x07" + b"k" * 257), "invalid length of query cancel packet"),
        (packet(V30, b"user\0bob\0"), "expected terminator as last byte"),
        (packet(V30, b"user\0bob"), "expected terminator as last byte"),
        (packet(V30, b"user\0bob\0database\0\0"), "expected terminator as last byte"),
        (packet(V30, b"user\0bob\0\0x"), "expected terminator as last byte"),
    ],
)
def test_malformed_packets_are_refused(raw: bytes, why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        StartupBuffer().feed(raw)


@pytest.mark.parametrize("body", [b"\0", b"user\0\0\0", b"database\0d\0\0"])
def test_who_names_no_user_is_refused_as_postgresql_refuses(body: bytes) -> None:
    with pytest.raises(AuthorizationError, match="no PostgreSQL user name specified") as caught:
        StartupBuffer().feed(packet(V30, body))
    assert caught.value.sqlstate == "28000"


def test_another_protocol_is_refused_with_postgresqls_code() -> None:
    with pytest.raises(ProtocolError) as caught:
        StartupBuffer().feed(packet(0x40000, b"user\0u\0\0"))
    assert caught.value.sqlstate == "0A000"


def test_a_parameter_that_is_given_twice_counts_as_given_last() -> None:
    found = StartupBuffer().feed(packet(V30, b"user\0bob\0a\x001\0user\0eve\0a\x002\0\0"))
    assert found == StartupMessage(3, 0, {"user": "eve", "a": "2"})


def test_values_that_are_not_utf8_are_the_same_bytes_again() -> None:
    raw = packet(V30, b"user\0bob\0application_name\0caf\xe9\0\xff\0\xfe\0\0")
    found = StartupBuffer().feed(raw)
    assert isinstance(found, StartupMessage)
    assert found.encode() == raw


def test_a_user_who_is_not_utf8_is_refused() -> None:
    with pytest.raises(AuthorizationError, match="not UTF-8"):
        StartupBuffer().feed(packet(V30, b"user\0b\xff\0\0"))


REFUSALS = (ProtocolError, AuthorizationError)
CODES = st.sampled_from([V30, V32, 0x04D2162E, 0x04D2162F, 0x04D21630]) | st.integers(0, 2**32 - 1)


@settings(deadline=None)
@given(st.binary(max_size=60), CODES)
def test_any_packet_decodes_to_itself_or_is_refused(body: bytes, code: int) -> None:
    raw = packet(code, body)
    try:
        decoded = decode_startup(raw)
    except REFUSALS:
        return
    assert decode_startup(decoded.encode()) == decoded
    names = body.split(b"\0")[0:-2:2]
    if not isinstance(decoded, StartupMessage) or len(set(names)) == len(names):
        assert decoded.encode() == raw


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_wait_or_are_refused(data: bytes) -> None:
    buffer = StartupBuffer()
    try:
        first = buffer.feed(data)
    except REFUSALS:
        return
    rest = buffer.take_rest()
    assert data.endswith(rest)
    if first is not None:
        assert decode_startup(data[: len(data) - len(rest)]) == first
    else:
        assert rest == data


def test_the_database_is_the_users_name_where_none_is_given() -> None:
    assert StartupMessage(3, 0, {"user": "bob"}).database == "bob"
    assert StartupMessage(3, 0, {"user": "bob", "database": ""}).database == "bob"
    assert StartupMessage(3, 0, {"user": "bob", "database": "shop"}).database == "shop"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((yes, True) for yes in ("true", "database", "1", "on", "?", "")),
        *((no, False) for no in ("false", "OFF", "0", "no", " f ")),
    ],
)
def test_a_replication_connection_is_recognised(value: str, expected: bool) -> None:
    assert StartupMessage(3, 0, {"user": "u", "replication": value}).replication is expected
    assert not StartupMessage(3, 0, {"user": "u"}).replication


@pytest.mark.parametrize(
    ("minor", "options", "expected"),
    [
        (0, [], None),
        (1, [], None),
        (2, [], None),
        (3, [], NegotiateProtocolVersion(0x30002)),
        (9999, [], NegotiateProtocolVersion(0x30002)),
        (0, ["_pq_.x"], NegotiateProtocolVersion(0x30000, ("_pq_.x",))),
        (2, ["_pq_.x", "_pq_.y"], NegotiateProtocolVersion(0x30002, ("_pq_.x", "_pq_.y"))),
        (3, ["_pq_.x", "other"], NegotiateProtocolVersion(0x30002, ("_pq_.x",))),
    ],
)
def test_versions_are_negotiated(minor: int, options: list[str], expected: NegotiateProtocolVersion | None) -> None:
    startup = StartupMessage(3, minor, {"user": "u", **dict.fromkeys(options, "1")})
    assert negotiate(startup) == expected


@pytest.mark.parametrize(("minor", "spoken", "long_keys"), [(0, 0, False), (1, 1, False), (2, 2, True), (7, 2, True)])
def test_long_cancel_keys_are_for_who_speaks_3_2(minor: int, spoken: int, long_keys: bool) -> None:
    startup = StartupMessage(3, minor, {"user": "u"})
    assert (startup.spoken_minor, startup.long_cancel_keys) == (spoken, long_keys)


def test_no_repr_shows_a_value() -> None:
    buffer = StartupBuffer()
    buffer.feed(b"\0\0\0\x63s3cret")
    packets = (CancelRequest(1, b"s3cret"), StartupMessage(3, 0, {"user": "u", "options": "s3cret"}), buffer)
    assert "s3cret" not in repr(packets)
    assert "options" in repr(packets)
