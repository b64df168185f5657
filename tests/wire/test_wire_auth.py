"""Logins as conversations: our server against our client, and each against a peer that does not play by the rules."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.errors import AuthenticationError, AuthorizationError, PgveilError, ProtocolError, UpstreamError
from proxy.wire import messages as m
from proxy.wire.auth import AuthMethod, ClientAuth, Proven, Step, UpstreamAuth, UpstreamLogin
from proxy.wire.buffer import Frame, FrameBuffer
from proxy.wire.messages_auth import AUTHENTICATION
from proxy.wire.scram import ScramKeys, make_verifier
from proxy.wire.userlist import Userlist

SCRAM = "SCRAM-SHA-256"
PLUS = "SCRAM-SHA-256-PLUS"
USERS = Userlist({"ana": make_verifier("right")})
OK = m.AuthenticationOk().encode()


def requests(data: bytes) -> list[m.AuthenticationMessage]:
    """The authentication requests in what a server sent."""
    buffer = FrameBuffer()
    buffer.feed(data)
    found = [m.decode_backend(frame) for frame in buffer.frames()]
    assert buffer.pending == 0
    return [message for message in found if isinstance(message, m.AuthenticationMessage)]


def converse(server: ClientAuth, client: UpstreamAuth) -> list[str]:
    """Runs a login to its end; the names of what the server asked."""
    asked: list[str] = []
    step = server.start()
    while True:
        answer = Step(b"", done=False)
        for request in requests(step.send):
            asked.append(type(request).__name__.removeprefix("Authentication"))
            answer = client.receive(request)
        if step.done:
            assert answer.done
            return asked
        step = server.receive(m.decode_frontend(Frame.of(answer.send)))


def scram(user: str = "ana", end_point: bytes | None = None) -> ClientAuth:
    return ClientAuth(user, AuthMethod.SCRAM, USERS.find(user), end_point)


def upstream(password: str | None = "right", *, private: bool = False, end_point: bytes | None = None) -> UpstreamAuth:
    return UpstreamAuth(UpstreamLogin("ana", password, private, end_point))


@pytest.mark.parametrize("end_point", [None, b"h" * 32])
def test_scram_from_end_to_end(end_point: bytes | None) -> None:
    asked = converse(scram(end_point=end_point), upstream(end_point=end_point))
    assert asked == ["SASL", "SASLContinue", "SASLFinal", "Ok"]


def test_channel_binding_is_offered_with_a_certificate_only() -> None:
    assert requests(scram().start().send) == [m.AuthenticationSASL((SCRAM,))]
    assert requests(scram(end_point=b"h" * 32).start().send) == [m.AuthenticationSASL((PLUS, SCRAM))]


def test_trust_lets_in_at_once() -> None:
    client = ClientAuth("whoever", AuthMethod.TRUST, USERS.find("whoever"))
    assert client.start() == Step(OK, done=True)
    with pytest.raises(ProtocolError):
        client.receive(m.PasswordMessage.of(b"x"))


@pytest.mark.parametrize(("user", "password"), [("ana", "wrong"), ("eve", "right"), ("", "right")])
def test_a_wrong_password_and_an_unknown_user_fail_alike(user: str, password: str) -> None:
    with pytest.raises(AuthenticationError) as caught:
        converse(scram(user), upstream(password))
    assert (caught.value.sqlstate, caught.value.message) == (
        "28P01",
        f'password authentication failed for user "{user}"',
    )
    assert (caught.value.detail, caught.value.hint) == (None, None)


def test_a_right_proof_for_nobody_does_not_log_in() -> None:
    verifier, _ = USERS.find("ana")
    server = ClientAuth("ana", AuthMethod.SCRAM, (verifier, False))
    with pytest.raises(AuthenticationError, match='failed for user "ana"'):
        converse(server, upstream())
    assert server.proven == Proven()


def test_an_unknown_user_is_asked_the_same_questions() -> None:
    def challenge(user: str) -> list[bytes]:
        server, client = scram(user), upstream()
        first = client.receive(requests(server.start().send)[0])
        (request,) = requests(server.receive(m.decode_frontend(Frame.of(first.send))).send)
        assert isinstance(request, m.AuthenticationSASLContinue)
        return request.data.split(b",")

    known, unknown, again = challenge("ana"), challenge("eve"), challenge("eve")
    assert [part[:2] for part in known] == [part[:2] for part in unknown]
    assert [len(part) for part in known] == [len(part) for part in unknown]
    assert known[2] == unknown[2]
    assert unknown[1] == again[1]
    assert unknown[1] != known[1]


def test_a_login_has_one_try() -> None:
    server, client = scram(), upstream("wrong")
    first = client.receive(requests(server.start().send)[0])
    challenge = server.receive(m.decode_frontend(Frame.of(first.send)))
    final = m.decode_frontend(Frame.of(client.receive(requests(challenge.send)[0]).send))
    with pytest.raises(AuthenticationError):
        server.receive(final)
    for message in (final, m.decode_frontend(Frame.of(first.send))):
        with pytest.raises(ProtocolError, match="was not asked for"):
            server.receive(message)


def test_a_login_begins_once_and_with_start() -> None:
    server = scram()
    with pytest.raises(ProtocolError, match="was not asked for"):
        server.receive(m.PasswordMessage(b"x"))
    server.start()
    with pytest.raises(ProtocolError, match="has begun already"):
        server.start()


@pytest.mark.parametrize("message", [m.Query(b"select 1"), m.Sync(), m.Terminate(), m.Parse("", b"x")])
def test_nothing_but_a_password_is_taken_during_a_login(message: m.Message) -> None:
    server = scram()
    server.start()
    with pytest.raises(ProtocolError, match=f"expected SASL response, got {type(message).__name__}"):
        server.receive(message)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"secret\0", "too short"),
        (b"SCRAM-SHA-256\0\xff\xff\xff\xff", "initial response is missing"),
        (b"SCRAM-SHA-256-PLUS\0\0\0\0\x0bn,,n=,r=abc", "invalid SASL authentication mechanism"),
        (b"SCRAM-SHA-256\0\0\0\0\0", "malformed SCRAM message"),
    ],
)
def test_a_bad_first_answer_is_refused(data: bytes, why: str) -> None:
    server = scram()
    server.start()
    with pytest.raises(ProtocolError, match=why):
        server.receive(m.PasswordMessage(data))


def test_a_client_that_thinks_we_have_no_channel_binding_is_refused() -> None:
    server = scram(end_point=b"h" * 32)
    server.start()
    with pytest.raises(AuthorizationError, match="channel binding negotiation"):
        server.receive(m.PasswordMessage(m.SASLInitialResponse(SCRAM, b"y,,n=,r=abc").body()))


def test_channel_binding_that_does_not_fit_says_so() -> None:
    with pytest.raises(AuthorizationError, match="channel binding check failed") as caught:
        converse(scram(end_point=b"h" * 32), upstream(end_point=b"x" * 32))
    assert caught.value.sqlstate == "28000"


@settings(deadline=None)
@given(st.binary(max_size=80), st.binary(max_size=80))
def test_no_arbitrary_answers_log_in(first: bytes, second: bytes) -> None:
    server = scram()
    server.start()
    for answer in (first, second):
        with pytest.raises((ProtocolError, AuthenticationError)):
            server.receive(m.PasswordMessage(answer))


# Keys that a login leaves.


@pytest.mark.parametrize("end_point", [None, b"h" * 32])
def test_the_keys_of_a_login_log_in_again(end_point: bytes | None) -> None:
    front = scram(end_point=end_point)
    converse(front, upstream(end_point=end_point))
    keys = front.proven.keys
    assert keys is not None
    assert keys == front.keys
    assert front.proven.password is None
    behind = scram(end_point=end_point)
    asked = converse(behind, UpstreamAuth(UpstreamLogin("ana", end_point=end_point, keys=keys)))
    assert asked == ["SASL", "SASLContinue", "SASLFinal", "Ok"]
    assert behind.keys == keys


def test_no_keys_before_the_login_is_over_and_none_after_it_failed() -> None:
    front = scram()
    assert front.proven == Proven()
    with pytest.raises(AuthenticationError):
        converse(front, upstream("wrong"))
    assert front.proven == Proven()


def keys_of_ana() -> ScramKeys:
    front = scram()
    converse(front, upstream())
    assert front.keys is not None
    return front.keys


def test_keys_of_another_verifier_of_the_same_password_are_refused_with_the_reason() -> None:
    other = ClientAuth("ana", AuthMethod.SCRAM, Userlist({"ana": make_verifier("right")}).find("ana"))
    with pytest.raises(UpstreamError, match="another SCRAM verifier") as caught:
        converse(other, UpstreamAuth(UpstreamLogin("ana", keys=keys_of_ana())))
    assert "pg_authid" in str(caught.value.hint)


def test_keys_with_the_same_salt_and_another_password_fail_at_the_server() -> None:
    keys = keys_of_ana()
    wrong = ScramKeys(b"x" * 32, keys.server_key, keys.salt, keys.iterations)
    with pytest.raises(AuthenticationError):
        converse(scram(), UpstreamAuth(UpstreamLogin("ana", keys=wrong)))


def test_a_server_that_does_not_have_the_users_server_key_is_noticed() -> None:
    keys = keys_of_ana()
    wrong = ScramKeys(keys.client_key, b"x" * 32, keys.salt, keys.iterations)
    with pytest.raises(UpstreamError, match="did not prove"):
        converse(scram(), UpstreamAuth(UpstreamLogin("ana", keys=wrong)))


@pytest.mark.parametrize("request_", [m.AuthenticationCleartextPassword(), m.AuthenticationMD5Password(b"salt")])
def test_keys_are_no_password(request_: m.AuthenticationMessage) -> None:
    auth = UpstreamAuth(UpstreamLogin("ana", private_link=True, keys=keys_of_ana()))
    with pytest.raises(UpstreamError, match="SCRAM keys only"):
        auth.receive(request_)


# Passwords in clear text, from clients.


def in_clear(user: str, data: bytes) -> tuple[ClientAuth, Step]:
    server = ClientAuth(user, AuthMethod.PASSWORD, USERS.find(user))
    assert requests(server.start().send) == [m.AuthenticationCleartextPassword()]
    return server, server.receive(m.PasswordMessage(data))


def test_a_right_password_in_clear_text_logs_in_and_is_kept_for_upstream() -> None:
    server, step = in_clear("ana", b"right\0")
    assert step == Step(OK, done=True)
    assert server.proven == Proven(password="right")


@pytest.mark.parametrize(("user", "data"), [("ana", b"wrong\0"), ("eve", b"right\0"), ("ana", b"\xff\0")])
def test_a_wrong_one_and_an_unknown_user_fail_alike(user: str, data: bytes) -> None:
    with pytest.raises(AuthenticationError) as caught:
        in_clear(user, data)
    assert (caught.value.sqlstate, caught.value.message) == (
        "28P01",
        f'password authentication failed for user "{user}"',
    )


def test_a_password_in_clear_text_has_one_try() -> None:
    server = ClientAuth("ana", AuthMethod.PASSWORD, USERS.find("ana"))
    server.start()
    with pytest.raises(AuthenticationError):
        server.receive(m.PasswordMessage(b"wrong\0"))
    with pytest.raises(ProtocolError, match="was not asked for"):
        server.receive(m.PasswordMessage(b"right\0"))
    assert server.proven == Proven()


@pytest.mark.parametrize("data", [b"", b"right", b"right\0x", b"right\0\0"])
def test_a_password_packet_of_the_wrong_size_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="invalid password packet size"):
        in_clear("ana", data)


def test_an_empty_password_is_refused_as_postgresql_refuses_it() -> None:
    with pytest.raises(AuthenticationError, match="empty password returned by client"):
        in_clear("ana", b"\0")


def test_nobody_gets_in_with_the_password_of_nobody() -> None:
    verifier, _ = USERS.find("ana")
    server = ClientAuth("ana", AuthMethod.PASSWORD, (verifier, False))
    server.start()
    with pytest.raises(AuthenticationError):
        server.receive(m.PasswordMessage(b"right\0"))


@pytest.mark.parametrize("message", [m.Query(b"select 1"), m.Sync()])
def test_nothing_but_a_password_is_taken_in_its_place(message: m.Message) -> None:
    server = ClientAuth("ana", AuthMethod.PASSWORD, USERS.find("ana"))
    server.start()
    with pytest.raises(ProtocolError, match=f"expected password response, got {type(message).__name__}"):
        server.receive(message)


def test_a_certificate_has_said_it_all() -> None:
    client = ClientAuth("whoever", AuthMethod.CERT, USERS.find("whoever"))
    assert client.start() == Step(OK, done=True)
    assert client.proven == Proven()


# Towards the upstream server.


def test_a_server_that_trusts_us() -> None:
    assert upstream(None).receive(m.AuthenticationOk()) == Step(b"", done=True)


def test_a_password_in_clear_text_over_a_private_link() -> None:
    auth = upstream(private=True)
    assert auth.receive(m.AuthenticationCleartextPassword()) == Step(b"p\0\0\0\x0aright\0", done=False)
    assert auth.receive(m.AuthenticationOk()).done


def test_no_password_in_clear_text_over_an_open_link() -> None:
    with pytest.raises(UpstreamError, match="clear text over a link that is not encrypted"):
        upstream().receive(m.AuthenticationCleartextPassword())


def test_md5_as_the_manual_has_it() -> None:
    """concat('md5', md5(concat(md5(concat(password, username)), random-salt)))"""
    salt = b"\x01\x02\xfe\xff"
    inner = hashlib.md5(b"rightana").hexdigest().encode()
    expected = b"md5" + hashlib.md5(inner + salt).hexdigest().encode() + b"\0"
    auth = upstream()
    assert auth.receive(m.AuthenticationMD5Password(salt)) == Step(b"p\0\0\0\x28" + expected, done=False)
    assert auth.receive(m.AuthenticationOk()).done


@pytest.mark.parametrize(
    "request_",
    [
        m.AuthenticationCleartextPassword(),
        m.AuthenticationMD5Password(b"salt"),
        m.AuthenticationSASL((SCRAM,)),
    ],
)
@pytest.mark.parametrize("password", [None, ""])
def test_a_password_that_is_not_set_is_asked_for_in_vain(
    request_: m.AuthenticationMessage, password: str | None
) -> None:
    with pytest.raises(UpstreamError, match="asks for a password and none is set") as caught:
        upstream(password, private=True).receive(request_)
    assert "upstream.dsn" in str(caught.value.hint)


@pytest.mark.parametrize(
    "request_", [m.AuthenticationGSS(), m.AuthenticationSSPI(), m.AuthenticationKerberosV5()], ids=repr
)
def test_what_we_do_not_have_is_refused_by_name(request_: m.AuthenticationMessage) -> None:
    with pytest.raises(UpstreamError, match=type(request_).__name__):
        upstream(private=True).receive(request_)


SAMPLES: dict[str, m.AuthenticationMessage] = {
    "Ok": m.AuthenticationOk(),
    "KerberosV5": m.AuthenticationKerberosV5(),
    "CleartextPassword": m.AuthenticationCleartextPassword(),
    "MD5Password": m.AuthenticationMD5Password(b"salt"),
    "GSS": m.AuthenticationGSS(),
    "GSSContinue": m.AuthenticationGSSContinue(b""),
    "SSPI": m.AuthenticationSSPI(),
    "SASL": m.AuthenticationSASL((SCRAM,)),
    "SASLContinue": m.AuthenticationSASLContinue(b"r=x,s=eA==,i=4096"),
    "SASLFinal": m.AuthenticationSASLFinal(b"v=eA=="),
}
MAY_FOLLOW = {
    "started": {"Ok", "CleartextPassword", "MD5Password", "SASL"},
    "password sent": {"Ok"},
    "SASL started": set[str](),
    "SASL answered": set[str](),
    "SASL verified": {"Ok"},
    "done": set[str](),
}


def advance(stage: str) -> UpstreamAuth:
    """A login that has come as far as `stage`."""
    auth, server = upstream(private=True), scram()
    if stage == "password sent":
        auth.receive(m.AuthenticationCleartextPassword())
    if stage == "done":
        auth.receive(m.AuthenticationOk())
    if stage.startswith("SASL"):
        first = auth.receive(requests(server.start().send)[0])
    if stage in {"SASL answered", "SASL verified"}:
        challenge = server.receive(m.decode_frontend(Frame.of(first.send)))
        final = auth.receive(requests(challenge.send)[0])
    if stage == "SASL verified":
        auth.receive(requests(server.receive(m.decode_frontend(Frame.of(final.send))).send)[0])
    return auth


@pytest.mark.parametrize("request_", SAMPLES)
@pytest.mark.parametrize("stage", MAY_FOLLOW)
def test_what_comes_out_of_turn_is_refused(stage: str, request_: str) -> None:
    auth = advance(stage)
    if request_ in MAY_FOLLOW[stage]:
        assert auth.receive(SAMPLES[request_]).done is (request_ == "Ok")
        return
    with pytest.raises(UpstreamError):
        auth.receive(SAMPLES[request_])


@pytest.mark.parametrize("stage", ["SASL started", "SASL answered"])
def test_a_server_that_lets_us_in_without_proving_itself_is_refused(stage: str) -> None:
    with pytest.raises(UpstreamError, match="before it had proven itself") as caught:
        advance(stage).receive(m.AuthenticationOk())
    assert "Something else may be answering" in str(caught.value.hint)


def test_every_request_of_postgresql_is_tried_above() -> None:
    assert {type(sample) for sample in SAMPLES.values()} == set(AUTHENTICATION.values())


def test_a_password_with_a_zero_byte_is_not_sent() -> None:
    with pytest.raises(UpstreamError, match="zero byte"):
        upstream("a\0b", private=True).receive(m.AuthenticationCleartextPassword())


def test_no_repr_and_no_error_shows_a_password() -> None:
    keys = ScramKeys(b"s3cret", b"s3cret", b"s3cret", 4096)
    assert "s3cret" not in repr((keys, Proven(keys, "s3cret"), UpstreamLogin("ana", keys=keys)))
    login = UpstreamLogin("ana", "s3cret", private_link=False, end_point=b"s3cret")
    auth = UpstreamAuth(login)
    assert "s3cret" not in repr((login, auth, Step(b"s3cret", done=False), scram()))
    with pytest.raises(PgveilError) as caught:
        auth.receive(m.AuthenticationCleartextPassword())
    assert "s3cret" not in f"{caught.value} {caught.value.detail} {caught.value.hint}"
