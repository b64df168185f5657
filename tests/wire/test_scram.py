"""SCRAM-SHA-256 both ways: against itself, scramp, PostgreSQL's verifiers and RFC 7677's example, and tampered with."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from scramp import ScramClient, ScramMechanism  # type: ignore[import-untyped]

from proxy.errors import AuthenticationError, AuthorizationError, ConfigError, ProtocolError, UpstreamError
from proxy.wire.scram import (
    END_POINT,
    MAX_ITERATIONS,
    SCRAM,
    SCRAM_PLUS,
    ClientExchange,
    ServerExchange,
    Verifier,
    make_verifier,
    server_end_point,
)

PASSWORD = "pässwörd"
VERIFIER = Verifier.parse(make_verifier(PASSWORD))
HASH = b"h" * 32
FIRST = b"n,,n=,r=abcdefgh"


def exchange(client: ClientExchange, server: ServerExchange) -> None:
    challenge = server.first(client.mechanism, client.first())
    client.verify(server.final(client.final(challenge)))


def proof(first_bare: bytes, challenge: bytes, without_proof: bytes, password: str = PASSWORD) -> bytes:
    """A client-final-message by RFC 5802, section 3, with nothing but the standard library."""
    attributes = dict(part.split(b"=", 1) for part in challenge.split(b","))
    salt, rounds = base64.b64decode(attributes[b"s"]), int(attributes[b"i"])
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    signed = b",".join((first_bare, challenge, without_proof))
    signature = hmac.digest(stored_key, signed, "sha256")
    mixed = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    return without_proof + b",p=" + base64.b64encode(mixed)


def nonce_of(challenge: bytes) -> bytes:
    return challenge.split(b",")[0]


def test_the_proofs_of_these_tests_are_those_of_rfc_7677() -> None:
    """The example of its section 3."""
    nonce = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    challenge = nonce + b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    expected = b"c=biws," + nonce + b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    assert proof(b"n=user,r=rOprNGfwEbeRWgbNEkqO", challenge, b"c=biws," + nonce, "pencil") == expected


def test_a_verifier_that_postgresql_made_logs_in() -> None:
    """Made by PostgreSQL 18 (CREATE ROLE ... PASSWORD)."""
    text = (
        "SCRAM-SHA-256$4096:+vJT0y8jLMl3LCoyfUZwOg==$sN/tjO+1VrHcoeNbLf/9ADDNpitSazUxJMnwq+3IYas="
        ":zocnnplUDctMePJYIExV+iInKy+GtEwiR+lFmuzL/VE="
    )
    exchange(ClientExchange(PASSWORD, (SCRAM,)), ServerExchange(Verifier.parse(text)))


@pytest.mark.parametrize(
    ("client_hash", "server_hash", "mechanism"),
    [(None, None, SCRAM), (HASH, HASH, SCRAM_PLUS), (None, HASH, SCRAM), (HASH, None, SCRAM)],
)
def test_both_sides_agree(client_hash: bytes | None, server_hash: bytes | None, mechanism: str) -> None:
    server = ServerExchange(VERIFIER, server_hash)
    client = ClientExchange(PASSWORD, server.mechanisms, client_hash)
    assert client.mechanism == mechanism
    exchange(client, server)


def test_scramp_as_client_meets_our_server() -> None:
    server = ServerExchange(VERIFIER)
    client = ScramClient([SCRAM], "anybody", PASSWORD)
    client.set_server_first(server.first(SCRAM, client.get_client_first().encode()).decode())
    client.set_server_final(server.final(client.get_client_final().encode()).decode())


def test_our_client_meets_scramp_as_server() -> None:
    info = ScramMechanism(SCRAM).make_auth_info(PASSWORD)
    server = ScramMechanism(SCRAM).make_server(lambda _: info)
    client = ClientExchange(PASSWORD, ("SCRAM-SHA-1", SCRAM, "SCRAM-SHA-512"))
    assert client.mechanism == SCRAM
    server.set_client_first(client.first().decode())
    server.set_client_final(client.final(server.get_server_first().encode()).decode())
    client.verify(server.get_server_final().encode())


@pytest.mark.parametrize("bare", [b"n=,r=abc", b"n=u,r=abc", b"n=a=2Cb,r=a!~c", b"n=u,r=abc,x=more", b"n=\xc3\xa9,r=a"])
def test_whatever_name_the_client_puts_into_scram_is_ignored(bare: bytes) -> None:
    server = ServerExchange(VERIFIER)
    challenge = server.first(SCRAM, b"n,," + bare)
    final = server.final(proof(bare, challenge, b"c=biws," + nonce_of(challenge)))
    assert final.startswith(b"v=")


def test_a_client_that_can_bind_channels_logs_in_where_we_cannot() -> None:
    server = ServerExchange(VERIFIER)
    challenge = server.first(SCRAM, b"y,,n=,r=abc")
    assert server.final(proof(b"n=,r=abc", challenge, b"c=eSws," + nonce_of(challenge)))


def test_the_nonce_is_new_every_time() -> None:
    first, second = (nonce_of(ServerExchange(VERIFIER).first(SCRAM, FIRST)) for _ in range(2))
    assert first != second
    assert first.startswith(b"r=abcdefgh")
    assert len(first) >= len(b"r=abcdefgh") + 24


@pytest.mark.parametrize("mechanism", ["", "SCRAM-SHA-1", "SCRAM-SHA-512", SCRAM_PLUS, "scram-sha-256"])
def test_a_mechanism_that_was_not_offered_is_refused(mechanism: str) -> None:
    with pytest.raises(ProtocolError, match="invalid SASL authentication mechanism"):
        ServerExchange(VERIFIER).first(mechanism, FIRST)


@pytest.mark.parametrize(
    ("mechanism", "flag", "error"),
    [
        (SCRAM, b"p=tls-server-end-point", ProtocolError),
        (SCRAM_PLUS, b"n", ProtocolError),
        (SCRAM_PLUS, b"y", ProtocolError),
        (SCRAM_PLUS, b"p=tls-unique", ProtocolError),
        (SCRAM_PLUS, b"p=tls-exporter", ProtocolError),
        (SCRAM, b"y", AuthorizationError),  # somebody took -PLUS off the list that we sent
    ],
)
def test_mechanism_and_channel_binding_flag_must_agree(mechanism: str, flag: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        ServerExchange(VERIFIER, HASH).first(mechanism, flag + b",,n=,r=abc")


def test_channel_binding_is_refused_where_it_was_not_offered() -> None:
    with pytest.raises(ProtocolError):
        ServerExchange(VERIFIER).first(SCRAM, b"p=tls-server-end-point,,n=,r=abc")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"n",
        b"n,,",
        b"n,,n=",
        b"n,,n=u",
        b"n,,n=u,r=",
        b"n,,r=abc",
        b"n,,r=abc,n=u",
        b"n,,m=x,n=u,r=abc",
        b"n,,n=u,r=abc,m=x",
        b"n,a=admin,n=u,r=abc",
        b"n,admin,n=u,r=abc",
        b"x,,n=u,r=abc",
        b"N,,n=u,r=abc",
        b"p=,,n=u,r=abc",
        b"n,n=u,r=abc",
        b"n,,n=u,r=a c",
        b"n,,n=u,r=a\x7f",
        b"n,,n=u,r=\xc3\xa9",
        b"n,,n=u\xff,r=abc",
        b"n,,n=u,r=abc\0",
        b"n,,n=u,r=abc,",
        b"n,,n=u,r=abc,r=def",
        b"n,,n=u,r=abc,1=x",
    ],
)
def test_malformed_first_messages_are_refused(message: bytes) -> None:
    with pytest.raises(ProtocolError, match="malformed SCRAM message"):
        ServerExchange(VERIFIER).first(SCRAM, message)


def test_a_wrong_password_is_an_authentication_failure() -> None:
    with pytest.raises(AuthenticationError, match="password authentication failed") as caught:
        exchange(ClientExchange("wrong", (SCRAM,)), ServerExchange(VERIFIER))
    assert caught.value.sqlstate == "28P01"


def test_another_certificate_on_the_way_is_noticed() -> None:
    with pytest.raises(AuthorizationError, match="channel binding check failed"):
        exchange(ClientExchange(PASSWORD, (SCRAM_PLUS,), b"x" * 32), ServerExchange(VERIFIER, HASH))


def _flip(data: bytes, at: int) -> bytes:
    """One base64 character of a proof changed, still base64."""
    return data[:at] + (b"A" if data[at : at + 1] != b"A" else b"B") + data[at + 1 :]


def test_every_tampered_proof_is_refused() -> None:
    bare = b"n=,r=abc"
    for at in range(42):  # the 43rd character has bits that count for nothing
        server = ServerExchange(VERIFIER)
        challenge = server.first(SCRAM, b"n,," + bare)
        good = proof(bare, challenge, b"c=biws," + nonce_of(challenge))
        with pytest.raises(AuthenticationError):
            server.final(_flip(good, len(good) - 44 + at))


def _final(how: str) -> tuple[ServerExchange, bytes]:
    server = ServerExchange(VERIFIER)
    challenge = server.first(SCRAM, FIRST)
    nonce = nonce_of(challenge)
    good = proof(FIRST[3:], challenge, b"c=biws," + nonce)
    tail = good[good.index(b",p=") :]
    return server, {
        "empty": b"",
        "no proof": b"c=biws," + nonce,
        "no nonce": b"c=biws" + tail,
        "no channel": nonce + tail,
        "the client's nonce alone": b"c=biws,r=abcdefgh" + tail,
        "a longer nonce": b"c=biws," + nonce + b"x" + tail,
        "proof not base64": b"c=biws," + nonce + b",p=***",
        "proof empty": b"c=biws," + nonce + b",p=",
        "channel not base64": b"c=bi*s," + nonce + tail,
        "extension m": b"c=biws," + nonce + b",m=x" + tail,
        "attribute twice": b"c=biws,c=biws," + nonce + tail,
        "after the proof": good + b",x=y",
        "not UTF-8": good + b"\xff",
        "non-ASCII base64": b"c=biws," + nonce + ",p=é".encode(),
    }[how]


MALFORMED_FINALS = [
    "empty",
    "no proof",
    "no nonce",
    "no channel",
    "the client's nonce alone",
    "a longer nonce",
    "proof not base64",
    "proof empty",
    "channel not base64",
    "extension m",
    "attribute twice",
    "after the proof",
    "not UTF-8",
    "non-ASCII base64",
]


@pytest.mark.parametrize("how", MALFORMED_FINALS)
def test_malformed_final_messages_are_refused(how: str) -> None:
    server, message = _final(how)
    with pytest.raises(ProtocolError, match="malformed SCRAM message"):
        server.final(message)


@pytest.mark.parametrize("proof_", [b"AAAA", base64.b64encode(b"x" * 31), base64.b64encode(b"x" * 33)])
def test_a_proof_of_the_wrong_length_is_refused(proof_: bytes) -> None:
    server = ServerExchange(VERIFIER)
    nonce = nonce_of(server.first(SCRAM, FIRST))
    with pytest.raises(AuthenticationError):
        server.final(b"c=biws," + nonce + b",p=" + proof_)


def test_the_channel_binding_flag_is_signed() -> None:
    server = ServerExchange(VERIFIER)
    challenge = server.first(SCRAM, b"y,,n=,r=abc")
    with pytest.raises(AuthorizationError, match="channel binding check failed"):
        server.final(proof(b"n=,r=abc", challenge, b"c=biws," + nonce_of(challenge)))


def test_a_final_message_first_is_refused() -> None:
    with pytest.raises(ProtocolError):
        ServerExchange(VERIFIER).final(b"c=biws,r=x,p=AAAA")


def test_an_exchange_has_one_try() -> None:
    server, message = _final("proof not base64")
    for _ in range(2):
        with pytest.raises(ProtocolError):
            server.final(message)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_first_message_is_answered_or_refused(tail: bytes) -> None:
    for message in (tail, b"n,," + tail, b"n,,n=,r=" + tail):
        try:
            answer = ServerExchange(VERIFIER).first(SCRAM, message)
        except ProtocolError:
            continue
        assert answer.startswith(b"r=")


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_no_arbitrary_final_message_logs_in(tail: bytes) -> None:
    for how in ("whole", "behind the nonce", "as a proof"):
        server = ServerExchange(VERIFIER)
        nonce = nonce_of(server.first(SCRAM, FIRST))
        message = {
            "whole": tail,
            "behind the nonce": b"c=biws," + nonce + b"," + tail,
            "as a proof": b"c=biws," + nonce + b",p=" + base64.b64encode(tail),
        }[how]
        with pytest.raises((ProtocolError, AuthenticationError)):
            server.final(message)


# The client's side: what a bad server may do.


@pytest.mark.parametrize("offered", [(), ("SCRAM-SHA-1",), (SCRAM_PLUS,), ("OAUTHBEARER",)])
def test_a_server_without_a_mechanism_of_ours_is_refused(offered: tuple[str, ...]) -> None:
    with pytest.raises(UpstreamError, match="offers no SASL mechanism"):
        ClientExchange(PASSWORD, offered)


@pytest.mark.parametrize("password", ["a\x07b", "\u0221", "\ud800"])
def test_a_password_that_saslprep_forbids_is_named_without_being_shown(password: str) -> None:
    with pytest.raises(UpstreamError, match="cannot be used for SCRAM") as caught:
        ClientExchange(password, (SCRAM,))
    assert password not in f"{caught.value} {caught.value.detail}"


def test_an_empty_password_is_refused() -> None:
    with pytest.raises(UpstreamError, match="is empty"):
        ClientExchange("", (SCRAM,))


def _challenge(client: ClientExchange, **changed: str) -> bytes:
    first = client.first().decode()
    salt = base64.b64encode(b"s" * 16).decode()
    parts = {"r": first[first.index("r=") + 2 :] + "more", "s": salt, "i": "4096"} | changed
    return ",".join(f"{key}={value}" for key, value in parts.items() if value != "absent").encode()


@pytest.mark.parametrize(
    "changed",
    [
        {"r": "another"},
        {"r": ""},
        {"r": "absent"},
        {"s": "***"},
        {"s": ""},
        {"s": "absent"},
        {"i": "1"},
        {"i": "4095"},
        {"i": str(MAX_ITERATIONS + 1)},
        {"i": "99999999999"},
        {"i": "-4096"},
        {"i": "four"},
        {"i": "absent"},
        {"m": "x"},
        {"e": "other-error"},
    ],
)
def test_a_bad_challenge_is_refused(changed: dict[str, str]) -> None:
    client = ClientExchange(PASSWORD, (SCRAM,))
    with pytest.raises(UpstreamError):
        client.final(_challenge(client, **changed))


def test_a_challenge_with_the_clients_nonce_unchanged_is_refused() -> None:
    client = ClientExchange(PASSWORD, (SCRAM,))
    own = client.first().decode().split("r=")[1]
    with pytest.raises(UpstreamError):
        client.final(f"r={own},s={base64.b64encode(b's' * 16).decode()},i=4096".encode())


def test_an_error_instead_of_a_challenge_is_refused() -> None:
    client = ClientExchange(PASSWORD, (SCRAM,))
    client.first()
    with pytest.raises(UpstreamError):
        client.final(b"e=other-error")


@pytest.mark.parametrize(
    "final", [b"", b"v=", b"v=AAAA", b"v=***", b"e=invalid-proof", b"\xff", b"v=" + base64.b64encode(b"x" * 32)]
)
def test_a_server_that_does_not_know_the_password_is_noticed(final: bytes) -> None:
    server, client = ServerExchange(VERIFIER), ClientExchange(PASSWORD, (SCRAM,))
    server.final(client.final(server.first(SCRAM, client.first())))
    with pytest.raises(UpstreamError, match="did not prove"):
        client.verify(final)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_challenge_of_a_server_is_answered_or_refused(data: bytes) -> None:
    client = ClientExchange(PASSWORD, (SCRAM,))
    client.first()
    with pytest.raises(UpstreamError):  # none of them knows the client's nonce
        client.final(data)


# Verifiers


def test_a_verifier_has_postgresqls_form_and_size() -> None:
    text = make_verifier("secret")
    verifier = Verifier.parse(text)
    assert text.startswith("SCRAM-SHA-256$4096:")
    assert (len(verifier.salt), verifier.encode()) == (16, text)
    assert make_verifier("secret") != text
    assert "secret" not in repr(verifier)
    assert base64.b64encode(verifier.salt).decode() not in repr(verifier)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        "md5" + "0" * 32,
        "SCRAM-SHA-256$4096:c2FsdA==$AAAA:AAAA",
        "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$AAAA:AAAA",
        "SCRAM-SHA-1$" + VERIFIER.encode().split("$", 1)[1],
        VERIFIER.encode().replace("$4096:", "$0:"),
        VERIFIER.encode().replace("$4096:", "$4095:"),
        VERIFIER.encode().replace("$4096:", "$99999999:"),
        VERIFIER.encode().replace("$4096:", "$4096:*"),
        VERIFIER.encode() + "\n",
        VERIFIER.encode()[:-4],
    ],
)
def test_what_is_not_a_verifier_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="SCRAM-SHA-256 verifier"):
        Verifier.parse(text)


@pytest.mark.parametrize(("password", "iterations"), [("", 4096), ("a\x07b", 4096), ("x", 100)])
def test_a_password_that_cannot_be_used_is_the_operators_error(password: str, iterations: int) -> None:
    with pytest.raises(ConfigError) as caught:
        make_verifier(password, iterations)
    assert "\x07" not in str(caught.value)


@pytest.mark.parametrize(
    ("password", "accepted"),
    [(PASSWORD.encode(), True), (b"wrong", False), (b"", False), (b"\xff", False), (PASSWORD.encode() + b" ", False)],
)
def test_a_verifier_knows_its_password(password: bytes, accepted: bool) -> None:
    assert VERIFIER.accepts(password) is accepted


@pytest.mark.parametrize("password", [b"caf\xe9", b"a\x07b"])
def test_a_password_that_saslprep_forbids_counts_as_its_bytes(password: bytes) -> None:
    """As PostgreSQL makes verifiers of such passwords (pg_be_scram_build_secret)."""
    salted = hashlib.pbkdf2_hmac("sha256", password, b"s" * 16, 4096)
    client_key, server_key = (hmac.digest(salted, word, "sha256") for word in (b"Client Key", b"Server Key"))
    verifier = Verifier(4096, b"s" * 16, hashlib.sha256(client_key).digest(), server_key)
    assert verifier.accepts(password)
    assert not verifier.accepts(password + b"x")


def test_passwords_that_saslprep_makes_equal_are_equal() -> None:
    assert Verifier.parse(make_verifier("IX")).accepts("I\u00adX".encode())
    exchange(ClientExchange("I\u00adX", (SCRAM,)), ServerExchange(Verifier.parse(make_verifier("IX"))))


# Channel binding data


def _certificate(
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, digest: hashes.HashAlgorithm | None
) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    start = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(start).not_valid_after(start.replace(year=2035))
    return builder.sign(key, digest).public_bytes(serialization.Encoding.DER)  # type: ignore[arg-type]


@pytest.mark.parametrize(("digest", "name"), [(hashes.SHA256(), "sha256"), (hashes.SHA384(), "sha384")])
def test_channel_binding_hashes_as_the_certificate_does(digest: hashes.HashAlgorithm, name: str) -> None:
    der = _certificate(ec.generate_private_key(ec.SECP256R1()), digest)
    assert server_end_point(der) == hashlib.new(name, der).digest()


def test_no_channel_binding_without_a_digest_or_a_certificate() -> None:
    assert server_end_point(_certificate(ed25519.Ed25519PrivateKey.generate(), None)) is None
    assert server_end_point(b"junk") is None


def test_the_name_of_the_channel_binding() -> None:
    client = ClientExchange(PASSWORD, (SCRAM, SCRAM_PLUS), HASH)
    assert client.first().startswith(f"p={END_POINT},,".encode())
