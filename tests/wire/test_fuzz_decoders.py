"""Every decoder on bytes that nobody would send: what comes out is a message or an error of the peer's, never another
exception, and never more work or memory than the bytes are worth."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_samples import BACKEND, FRONTEND

from proxy.errors import AuthenticationError, AuthorizationError, PgveilError, ProtocolError, UpstreamError
from proxy.wire import messages as m
from proxy.wire.auth import AuthMethod, ClientAuth, UpstreamAuth, UpstreamLogin
from proxy.wire.buffer import LONG_FRAME, Frame, FrameBuffer, Run
from proxy.wire.codec import Code, pack_frame
from proxy.wire.messages_frontend import FRONTEND as FRONTEND_TABLE
from proxy.wire.scram import Verifier, make_verifier
from proxy.wire.startup import StartupBuffer, StartupMessage, decode_startup

CLIENT = [raw for raw, _ in FRONTEND]
SERVER = [raw for raw, _ in BACKEND]
EDGES = (0, 1, 2, 3, 4, 5, 0x7F, 0x80, 0xFF)
PASSING = frozenset({Code.DATA_ROW, Code.COPY_DATA})
MAX_FRAME = 200
BIGGEST_FRAME = 0x3FFFFFFF + 4
quick = settings(deadline=None, max_examples=150)


@st.composite
def mutated(draw: st.DrawFn, samples: list[bytes]) -> bytes:
    """A valid message with bytes changed, taken out, put in, or another message's tail; lengths are not mended."""
    data = bytearray(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        match draw(st.integers(0, 4)):
            case 0 if data:
                data[at] = draw(st.sampled_from(EDGES))
            case 1:
                del data[at : at + draw(st.integers(1, 8))]
            case 2:
                data[at:at] = draw(st.binary(min_size=1, max_size=8))
            case 3:
                data[at:] = draw(st.sampled_from(samples))
            case _:
                data[at : at + 4] = struct.pack("!I", draw(st.sampled_from([0, 3, 4, 2**31 - 1, 2**31, 2**32 - 1])))
    return bytes(data)


def framed(tag: int, body: bytes) -> Frame:
    return Frame.of(pack_frame(tag, body))


def refused_or_read_back(decode: Callable[[Frame], m.Message], frame: Frame) -> None:
    """A message that was read is one: it can be written, and reads the same again."""
    try:
        message = decode(frame)
    except ProtocolError:
        return
    assert decode(Frame.of(message.encode())) == message


# Bodies


@quick
@given(mutated(CLIENT), st.sampled_from(sorted(FRONTEND_TABLE)))
def test_a_mutated_frontend_body_is_a_message_or_an_error(data: bytes, tag: int) -> None:
    if data:
        refused_or_read_back(m.decode_frontend, framed(data[0], data[5:]))
        refused_or_read_back(m.decode_frontend, framed(tag, data[5:]))


@quick
@given(mutated(SERVER))
def test_a_mutated_backend_body_is_a_message_or_an_error(data: bytes) -> None:
    if data:
        refused_or_read_back(m.decode_backend, framed(data[0], data[5:]))


@quick
@given(mutated(CLIENT))
def test_the_short_cuts_read_what_the_decoder_reads(data: bytes) -> None:
    """Bind's names and a statement's text are looked up without a full decoding."""
    frame = framed(ord("B"), data[5:])
    try:
        names = m.bind_names(frame)
    except ProtocolError:
        with pytest.raises(ProtocolError):
            m.decode_frontend(frame)
    else:
        assert all(isinstance(name, str) for name in names)
    for tag in b"QP":
        frame = framed(tag, data[5:])
        text = m.statement_text(frame, 1000)
        try:
            message = m.decode_frontend(frame)
        except ProtocolError:
            continue
        assert isinstance(message, m.Query | m.Parse)
        assert text == message.query


ANNOUNCED = [
    (m.decode_frontend, "B", b"\0\0\0\0\xff\xff"),
    (m.decode_frontend, "B", b"\0\0\xff\xff"),
    (m.decode_frontend, "B", b"\0\0\0\0\0\1\x7f\xff\xff\xff"),
    (m.decode_frontend, "P", b"\0\0\xff\xff"),
    (m.decode_frontend, "F", b"\0\0\0\1\0\0\0\1\x7f\xff\xff\xff"),
    (m.decode_backend, "D", b"\xff\xff"),
    (m.decode_backend, "D", b"\0\1\x7f\xff\xff\xff"),
    (m.decode_backend, "T", b"\xff\xff"),
    (m.decode_backend, "t", b"\xff\xff"),
    (m.decode_backend, "G", b"\0\xff\xff"),
    (m.decode_backend, "V", b"\x7f\xff\xff\xff"),
    (m.decode_backend, "v", b"\0\x03\0\0\xff\xff\xff\xff"),
]


@pytest.mark.parametrize(
    ("decode", "tag", "body"), ANNOUNCED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_is_announced_and_not_there_takes_no_memory(
    decode: Callable[[Frame], m.Message], tag: str, body: bytes
) -> None:
    frame = framed(ord(tag), body)
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError, match="too short"):
            decode(frame)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


# Chunks


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    marks = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(marks)]


def taken(chunks: list[bytes], passing: frozenset[int]) -> tuple[list[bytes], str]:
    """Whole frames and joined runs, and how it ended: in which words it was refused, or with how much still held."""
    buffer, found, in_run = FrameBuffer(MAX_FRAME, passing), [b""], False
    try:
        for chunk in chunks:
            buffer.feed(chunk)
            for item in buffer.cut():
                if isinstance(item, Run) and in_run:
                    found[-1] += item.raw
                else:
                    found.append(bytes(item.raw))
                in_run = isinstance(item, Run)
            assert buffer.pending <= MAX_FRAME + 1
    except ProtocolError as error:
        return found, error.message
    return found, str(buffer.pending)


@quick
@given(
    st.lists(st.one_of(st.sampled_from(CLIENT + SERVER), mutated(CLIENT + SERVER), st.binary(max_size=20)), max_size=8),
    st.lists(st.integers(0, 2000), max_size=12),
    st.sampled_from([frozenset[int](), PASSING]),
)
def test_chunks_make_no_difference(messages: list[bytes], cuts: list[int], passing: frozenset[int]) -> None:
    data = b"".join(messages)
    whole = taken([data], passing)
    assert taken(pieces(data, cuts), passing) == whole
    assert taken([data[i : i + 1] for i in range(len(data))], passing) == whole


@pytest.mark.parametrize("raw", CLIENT + SERVER)
@pytest.mark.parametrize("passing", [frozenset[int](), PASSING])
def test_every_cut_of_every_message(raw: bytes, passing: frozenset[int]) -> None:
    data = raw + CLIENT[0]
    whole = taken([data], passing)
    for at in range(len(data)):
        assert taken(pieces(data, [at]), passing) == whole
        assert taken(pieces(data, [at, at + 1]), passing) == whole


@quick
@given(st.sampled_from(sorted(PASSING)), st.integers(0, 150), st.integers(1, 9))
def test_a_copy_stream_passes_in_pieces(tag: int, size: int, step: int) -> None:
    """Nothing of a frame that passes is held but its header."""
    raw = pack_frame(tag, b"x" * size)
    buffer, passed = FrameBuffer(MAX_FRAME, PASSING), b""
    for start in range(0, len(raw), step):
        buffer.feed(raw[start : start + step])
        passed += b"".join(bytes(item.raw) for item in buffer.cut())
        assert buffer.pending < 5
    assert passed == raw


@pytest.mark.parametrize("tag", [Code.DATA_ROW, Code.COPY_DATA, Code.BIND])
def test_the_longest_message_that_there_is(tag: int) -> None:
    """A gigabyte, in pieces of 4 MiB: no more than one of them is ever held."""
    buffer = FrameBuffer(passing=PASSING, long=frozenset({Code.BIND}))
    left, piece, passed = BIGGEST_FRAME - 4, bytes(4 * 1024 * 1024), 0
    buffer.feed(struct.pack("!Bi", tag, BIGGEST_FRAME))
    while left or buffer.pending:
        for item in buffer.cut():
            assert isinstance(item, Run)
            passed += len(item.raw)
        assert buffer.pending == 0
        buffer.feed(piece[:left])
        left -= min(left, len(piece))
    assert passed == BIGGEST_FRAME + 1
    buffer.feed(struct.pack("!Bi", tag, BIGGEST_FRAME + 1))
    with pytest.raises(ProtocolError, match="over the limit"):
        list(buffer.cut())


@quick
@given(st.lists(st.sampled_from([b"B", b"S", b"d", b"Q"]), max_size=5), st.lists(st.integers(0, 2**21), max_size=6))
def test_long_messages_pass_in_parts_and_whole(tags: list[bytes], cuts: list[int]) -> None:
    """Whatever the cuts: the same bytes, and no part of a long message in one run with anything else."""
    data = b"".join(pack_frame(tag[0], b"x" * (LONG_FRAME + 10)) for tag in tags)
    buffer, passed, left = FrameBuffer(passing=PASSING, long=frozenset(b"BQ")), bytearray(), 0
    for chunk in pieces(data, cuts):
        buffer.feed(chunk)
        for item in buffer.cut():
            passed += item.raw
            if isinstance(item, Run) and (item.tag or left):
                assert item.frames == (1 if item.tag else 0)
                assert item.rest == (left - len(item.raw) if left else LONG_FRAME + 15 - len(item.raw))
                left = item.rest
        assert buffer.pending <= LONG_FRAME + 15
    assert passed == data


# Startup packets


STARTUPS = [
    struct.pack("!II", 8, 80877103),
    struct.pack("!II", 8, 80877104),
    struct.pack("!III", 16, 80877102, 1) + b"key!",
    StartupMessage(3, 0, {"user": "u", "database": "d"}).encode(),
    StartupMessage(3, 2, {"user": "u", "_pq_.x": "1", "options": "-c a=b"}).encode(),
]


@quick
@given(st.one_of(st.binary(max_size=60), mutated(STARTUPS)))
def test_a_startup_packet_is_one_or_an_error(data: bytes) -> None:
    try:
        packet = decode_startup(data)
    except (ProtocolError, AuthorizationError):
        return
    assert decode_startup(packet.encode()) == packet


@quick
@given(st.one_of(st.binary(max_size=60), mutated(STARTUPS)), st.lists(st.integers(0, 100), max_size=6))
def test_a_startup_packet_in_pieces(data: bytes, cuts: list[int]) -> None:
    def read(chunks: list[bytes]) -> object:
        buffer = StartupBuffer()
        for chunk in chunks:
            try:
                packet = buffer.feed(chunk) if chunk else None
            except PgveilError as error:
                return type(error), error.sqlstate
            if packet is not None:
                return packet
        return None

    if not data.startswith(tuple(STARTUPS[:2])):  # what stands behind a request may come with it or after it
        assert read(pieces(data, cuts)) == read([data])


# Logins

VERIFIER = Verifier.parse(make_verifier("secret", 4096))


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([AuthMethod.SCRAM, AuthMethod.PASSWORD]),
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            mutated(
                [b"SCRAM-SHA-256\0\0\0\0\x10n,,n=,r=abcdefgh", b"c=biws,r=abcdefgh,p=" + b"A" * 43 + b"=", b"secret\0"]
            ),
        ),
        max_size=3,
    ),
)
def test_a_login_of_random_answers_is_refused(method: AuthMethod, answers: list[bytes]) -> None:
    auth = ClientAuth("u", method, (VERIFIER, True))
    auth.start()
    for data in answers:
        try:
            step = auth.receive(m.PasswordMessage(data))
        except (ProtocolError, AuthenticationError, AuthorizationError):
            return
        assert not step.done or (method is AuthMethod.PASSWORD and data == b"secret\0")
        if step.done:
            return


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.one_of(
            st.sampled_from([raw for raw in SERVER if raw[:1] == b"R"]),
            mutated([raw for raw in SERVER if raw[:1] == b"R"]),
            st.sampled_from(
                [
                    m.AuthenticationSASLContinue(data).encode()
                    for data in (b"r=x,s=c2FsdA==,i=4096", b"r=,s=,i=0", b"r=x,s=!,i=9999999999", b"\xff", b"e=other")
                ]
            ),
        ),
        max_size=4,
    ),
    st.sampled_from(["secret", None]),
)
def test_a_server_s_random_requests_end_in_an_error_or_a_login(requests: list[bytes], password: str | None) -> None:
    auth = UpstreamAuth(UpstreamLogin("u", password, private_link=True))
    for raw in requests:
        try:
            message = m.decode_backend(framed(ord("R"), raw[5:]))
            assert isinstance(message, m.AuthenticationMessage)
            if auth.receive(message).done:
                return
        except (ProtocolError, UpstreamError, AuthenticationError):
            return
