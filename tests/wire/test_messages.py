"""Each message reads and writes the manual's bytes; everything else is a ProtocolError and nothing worse."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pg8000 import core  # type: ignore[import-untyped]
from wire_samples import BACKEND, FRONTEND

from proxy.errors import PolicyError, ProtocolError
from proxy.wire import messages as m
from proxy.wire.buffer import Frame
from proxy.wire.codec import Code, EncodingError, Writer, pack_frame
from proxy.wire.messages_auth import AUTHENTICATION
from proxy.wire.messages_backend import BACKEND as BACKEND_TABLE
from proxy.wire.messages_frontend import FRONTEND as FRONTEND_TABLE

TAKES_ANY_BODY = frozenset(b"dp")
"""CopyData and password messages: every body is one, so neither a cut nor a longer one can be noticed."""


def test_codes_are_those_that_a_driver_uses() -> None:
    mine = {name: value for name, value in vars(Code).items() if name.isupper()}
    theirs = {name: getattr(core, name)[0] for name in mine if hasattr(core, name)}
    assert len(theirs) > 20
    assert {name: mine[name] for name in theirs} == theirs


@pytest.mark.parametrize(("raw", "message"), FRONTEND)
def test_frontend_messages_read_and_write_their_bytes(raw: bytes, message: m.Message) -> None:
    assert m.decode_frontend(Frame.of(raw)) == message
    assert message.encode() == raw


@pytest.mark.parametrize(("raw", "message"), BACKEND)
def test_backend_messages_read_and_write_their_bytes(raw: bytes, message: m.Message) -> None:
    assert m.decode_backend(Frame.of(raw)) == message
    assert message.encode() == raw


def test_a_frame_that_came_in_pieces_reads_the_same() -> None:
    raw = m.Bind("p", "s", (1,), (b"1", None), (0,)).encode()
    message = m.decode_frontend(Frame(raw[0], bytearray(raw)))
    assert message == m.decode_frontend(Frame.of(raw))
    assert isinstance(message, m.Bind)
    assert [type(value) for value in message.parameters] == [bytes, type(None)]


def test_every_message_has_a_sample() -> None:
    assert {raw[0] for raw, _ in FRONTEND} == set(FRONTEND_TABLE)
    assert {raw[0] for raw, _ in BACKEND} == set(BACKEND_TABLE)
    assert {type(message) for raw, message in BACKEND if raw[:1] == b"R"} == set(AUTHENTICATION.values())


FRONTEND_CUTS = [raw for raw, _ in FRONTEND if raw[0] not in TAKES_ANY_BODY]
BACKEND_CUTS = [
    raw
    for raw, message in BACKEND
    if raw[0] not in TAKES_ANY_BODY
    and not isinstance(message, m.AuthenticationGSSContinue | m.AuthenticationSASLContinue | m.AuthenticationSASLFinal)
]


def cuts(raw: bytes) -> list[Frame]:
    return [Frame(raw[0], pack_frame(raw[0], raw[5:stop])) for stop in range(5, len(raw))]


@pytest.mark.parametrize("raw", FRONTEND_CUTS)
def test_a_short_or_long_frontend_body_is_refused(raw: bytes) -> None:
    for frame in [*cuts(raw), Frame(raw[0], pack_frame(raw[0], raw[5:] + b"\0"))]:
        with pytest.raises(ProtocolError, match=r"too short|too many"):
            m.decode_frontend(frame)


@pytest.mark.parametrize("raw", BACKEND_CUTS)
def test_a_short_or_long_backend_body_is_refused(raw: bytes) -> None:
    key_sized = raw[:1] == b"K"  # its last field ends where the message ends
    for frame in [*cuts(raw), Frame(raw[0], pack_frame(raw[0], raw[5:] + b"\0"))]:
        if key_sized and 4 <= len(frame.raw) - 9 <= 256:
            continue
        with pytest.raises(ProtocolError):
            m.decode_backend(frame)


@pytest.mark.parametrize("tag", sorted(set(range(256)) - set(FRONTEND_TABLE)))
def test_unknown_frontend_codes_are_refused(tag: int) -> None:
    with pytest.raises(ProtocolError, match=f"frontend message type {tag}"):
        m.decode_frontend(Frame(tag, pack_frame(tag, b"")))


@pytest.mark.parametrize("tag", sorted(set(range(256)) - set(BACKEND_TABLE)))
def test_unknown_backend_codes_are_refused(tag: int) -> None:
    with pytest.raises(ProtocolError, match=f"backend message type {tag}"):
        m.decode_backend(Frame(tag, pack_frame(tag, b"")))


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (pack_frame(ord("D"), b"X\0"), "neither a statement nor a portal"),
        (pack_frame(ord("C"), b"\0\0"), "neither a statement nor a portal"),
        (m.Bind("", "", (), (b"x",)).encode().replace(b"\0\0\0\x01x", b"\xff\xff\xff\xfex"), "too short"),
        (m.Bind("", "", (), (b"x",)).encode().replace(b"\0\0\0\x01x", b"\x7f\xff\xff\xffx"), "too short"),
        (pack_frame(ord("P"), b"\0select"), "too short"),
        (pack_frame(ord("B"), b"\0\0\xff\xff"), "too short"),
    ],
)
def test_malformed_frontend_bodies_are_refused(raw: bytes, why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        m.decode_frontend(Frame.of(raw))


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (pack_frame(ord("R"), b"\0\0\0\x63"), "authentication request 99 is not known"),
        (pack_frame(ord("Z"), b"X"), "unknown transaction status"),
        (pack_frame(ord("K"), b"\0\0\0\1" + b"k" * 3), "key of 3 bytes"),
        (pack_frame(ord("K"), b"\0\0\0\1" + b"k" * 257), "key of 257 bytes"),
        (pack_frame(ord("v"), b"\0\x03\0\0\xff\xff\xff\xff"), "too short"),
        (pack_frame(ord("E"), b"Mno\0"), "too short"),
        (pack_frame(ord("E"), b"\0Mno\0\0"), "too many"),
    ],
)
def test_malformed_backend_bodies_are_refused(raw: bytes, why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        m.decode_backend(Frame.of(raw))


@settings(deadline=None)
@given(st.sampled_from(sorted(FRONTEND_TABLE)), st.binary(max_size=80))
def test_any_frontend_body_decodes_to_itself_or_is_a_protocol_error(tag: int, body: bytes) -> None:
    raw = pack_frame(tag, body)
    try:
        message = m.decode_frontend(Frame.of(raw))
    except ProtocolError:
        return
    assert message.encode() == raw


@settings(deadline=None)
@given(st.sampled_from(sorted(BACKEND_TABLE)), st.binary(max_size=80))
def test_any_backend_body_decodes_to_itself_or_is_a_protocol_error(tag: int, body: bytes) -> None:
    raw = pack_frame(tag, body)
    try:
        message = m.decode_backend(Frame.of(raw))
    except ProtocolError:
        return
    if isinstance(message, m.ErrorResponse | m.NoticeResponse):
        assert m.decode_backend(Frame.of(message.encode())) == message
    else:
        assert message.encode() == raw


def _names() -> st.SearchStrategy[str]:
    return st.binary(max_size=12).map(lambda b: b.replace(b"\0", b"").decode(errors="surrogateescape"))


VALUES = st.lists(st.none() | st.binary(max_size=12), max_size=5).map(tuple)
FORMATS = st.lists(st.integers(-32768, 32767), max_size=4).map(tuple)


@settings(deadline=None)
@given(st.builds(m.Bind, _names(), _names(), FORMATS, VALUES, FORMATS))
def test_any_bind_survives_the_way(message: m.Bind) -> None:
    frame = Frame.of(message.encode())
    assert m.decode_frontend(frame) == message
    assert m.bind_names(frame) == (message.portal, message.statement)


@settings(deadline=None)
@given(st.builds(m.DataRow, VALUES))
def test_any_row_survives_the_way(message: m.DataRow) -> None:
    assert m.decode_backend(Frame.of(message.encode())) == message


def test_as_many_parameters_as_postgresql_takes() -> None:
    message = m.Bind("", "", (), (b"1",) * 65535)
    assert m.decode_frontend(Frame.of(message.encode())) == message
    with pytest.raises(ValueError, match="count to 65536"):
        m.Bind("", "", (), (b"1",) * 65536).encode()


def test_names_in_any_encoding_come_back_as_they_were() -> None:
    raw = pack_frame(ord("C"), b"Scaf\xe9\0")
    message = m.decode_frontend(Frame.of(raw))
    assert message.encode() == raw


@pytest.mark.parametrize("message", [m.Query(b"a\0b"), m.Close("S", "a\0b"), m.Execute("", 2**31)])
def test_what_cannot_be_written_is_not_written(message: m.Message) -> None:
    with pytest.raises(ValueError, match=r"zero byte|does not fit"):
        message.encode()


def test_numbers_that_do_not_fit_are_not_written() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        Writer().int16s((70000,))


@pytest.mark.parametrize("message", [m.Query(b"select '\xff'"), m.Parse("", b"select '\xff'")])
def test_sql_that_is_not_utf8_is_the_clients_error(message: m.Query | m.Parse) -> None:
    with pytest.raises(EncodingError) as caught:
        message.text()
    assert caught.value.sqlstate == "22021"
    assert "offset 8" in str(caught.value.detail)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_sql_is_read_as_utf8() -> None:
    assert m.Query("select 'தமிழ்'".encode()).text() == "select 'தமிழ்'"


def test_a_server_error_in_another_encoding_is_still_readable() -> None:
    message = m.decode_backend(Frame.of(pack_frame(ord("E"), b"C28000\0Mcaf\xe9\0\0")))
    assert isinstance(message, m.ErrorResponse)
    assert (message.get("M"), message.sqlstate) == ("caf\N{REPLACEMENT CHARACTER}", "28000")


def test_fields_of_an_error_can_be_looked_up_and_dropped() -> None:
    error = m.ErrorResponse((("S", "FEHLER"), ("V", "ERROR"), ("C", "22P02"), ("D", "4711"), ("M", "m"), ("W", "w")))
    assert (error.severity, error.sqlstate, error.get("D"), error.get("H")) == ("ERROR", "22P02", "4711", None)
    assert error.only("SVCM") == m.ErrorResponse((("S", "FEHLER"), ("V", "ERROR"), ("C", "22P02"), ("M", "m")))


def test_an_error_of_ours_becomes_what_psql_shows() -> None:
    err = PolicyError("no", hint="ask a DBA", detail="column masked", position=7)
    assert m.error_response(err).fields == (
        ("S", "ERROR"),
        ("V", "ERROR"),
        ("C", "42501"),
        ("M", "no"),
        ("D", "column masked"),
        ("H", "ask a DBA"),
        ("P", "7"),
    )
    assert m.error_response(PolicyError("no"), "FATAL").fields[:2] == (("S", "FATAL"), ("V", "FATAL"))


def test_an_error_text_with_a_zero_byte_or_a_lone_surrogate_can_be_sent() -> None:
    sent = m.error_response(PolicyError("a\0b\udcff\ud800")).encode()
    back = m.decode_backend(Frame.of(sent))
    assert isinstance(back, m.ErrorResponse)
    assert back.get("M") == "ab??"


def test_a_notice_of_ours() -> None:
    notice = m.notice_response("SELECT 1", detail="why", hint="how")
    assert notice.encode()[:1] == b"N"
    assert [notice.get(code) for code in "VCMDH"] == ["NOTICE", "00000", "SELECT 1", "why", "how"]


SECRET = "s3cret"
TELLTALES = [
    m.Query(SECRET.encode()),
    m.Parse(SECRET, SECRET.encode()),
    m.Bind("", "", (), (SECRET.encode(),)),
    m.FunctionCall(1, (), (SECRET.encode(),)),
    m.CopyData(SECRET.encode()),
    m.CopyFail(SECRET),
    m.PasswordMessage.of(SECRET.encode()),
    m.SASLInitialResponse("SCRAM-SHA-256", SECRET.encode()),
    m.SASLResponse(SECRET.encode()),
    m.AuthenticationSASLContinue(SECRET.encode()),
    m.AuthenticationSASLFinal(SECRET.encode()),
    m.BackendKeyData(1, SECRET.encode()),
    m.ParameterStatus("application_name", SECRET),
    m.DataRow((SECRET.encode(),)),
    m.RowDescription((m.FieldDescription(SECRET, 0, 0, 25, -1, -1, 0),)),
    m.ErrorResponse((("V", "ERROR"), ("M", SECRET), ("D", SECRET))),
    m.NoticeResponse((("M", SECRET),)),
    m.NotificationResponse(1, SECRET, SECRET),
    m.FunctionCallResponse(SECRET.encode()),
]


@pytest.mark.parametrize("message", TELLTALES, ids=lambda message: type(message).__name__)
def test_no_repr_shows_a_value(message: m.Message) -> None:
    assert SECRET not in repr(message)
    assert repr(message).startswith(type(message).__name__)


def test_reprs_show_what_helps() -> None:
    assert repr(m.Execute("p", 5)) == "Execute(portal=<1 characters>, max_rows=5)"
    assert repr(m.ReadyForQuery("T")) == "ReadyForQuery(status='T')"
    assert repr(m.Bind("", "s", (1,), (b"abc",))) == (
        "Bind(portal=<0 characters>, statement=<1 characters>, parameter_formats=<1 items>, "
        "parameters=<1 items>, result_formats=<0 items>)"
    )


def test_password_messages_read_by_what_was_asked_for() -> None:
    assert m.PasswordMessage(b"X\0\0\0\0\x02ab").as_sasl_initial() == m.SASLInitialResponse("X", b"ab")
    assert m.PasswordMessage(b"X\0\xff\xff\xff\xff").as_sasl_initial() == m.SASLInitialResponse("X", None)
    assert m.PasswordMessage(b"ab").as_sasl() == m.SASLResponse(b"ab")
    assert m.SASLInitialResponse("X", b"ab").encode() == b"p\0\0\0\x0cX\0\0\0\0\x02ab"


@pytest.mark.parametrize("data", [b"", b"X", b"X\0", b"X\0\0\0\0\x02a", b"X\0\0\0\0\x02abc", b"X\0\xff\xff\xff\xfe"])
def test_a_malformed_initial_response_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        m.PasswordMessage(data).as_sasl_initial()
