"""SCRAM-SHA-256 (RFC 5802, RFC 7677) on scramp, as PostgreSQL speaks it, for both of the proxy's sides.

https://www.postgresql.org/docs/current/sasl-authentication.html

scramp computes; checked here is what it leaves open or reads otherwise than PostgreSQL:
- the mechanism that the client chose must agree with its channel-binding flag (scramp changes the mechanism silently);
- the user name inside SCRAM is ignored, and libpq leaves it empty (scramp refuses that);
- a server may not ask for so many iterations that it keeps the proxy busy;
- only SCRAM-SHA-256 and its -PLUS form exist here (scramp would also choose SHA-1).

A server that has checked a proof knows the client's key (RFC 5802, section 3: ClientKey is ClientProof XOR
ClientSignature), and whoever has that key can log in wherever the same verifier is: `ScramKeys`. So a proxy whose users
file has the verifiers of the database behind it needs nobody's password.

It does not know messages or users: `auth` does.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from secrets import token_bytes
from typing import Any

from scramp import ScramClient, ScramException, ScramMechanism  # type: ignore[import-untyped]
from scramp.utils import saslprep  # type: ignore[import-untyped]

from proxy.errors import (
    AuthenticationError,
    AuthorizationError,
    ConfigError,
    InternalError,
    ProtocolError,
    UpstreamError,
)

SCRAM = "SCRAM-SHA-256"
SCRAM_PLUS = "SCRAM-SHA-256-PLUS"
END_POINT = "tls-server-end-point"

DEFAULT_ITERATIONS = 4096
MAX_ITERATIONS = 1_000_000
"""About half a second of one core: more is refused from a server."""
SALT_SIZE = 16
_KEY_SIZE = 32
_MIN_SALT = 12
_ITERATIONS = range(4096, 10_000_001)
"""What scramp takes; RFC 7677 asks for 4096 at least."""
_USER = "*"
_NO_PASSWORD = "*"  # noqa: S105 - nobody's
"""scramp's client wants one; what proves keys never asks it for a proof."""

_VERIFIER = re.compile(r"SCRAM-SHA-256\$([1-9][0-9]{0,8}):([^:$]+)\$([^:$]+):([^:$]+)")
_CLIENT_FIRST = re.compile(
    r"(?P<flag>[ny]|p=(?P<binding>[A-Za-z0-9.-]+)),(?P<authzid>[^,]*),"
    r"(?P<bare>n=(?P<user>[^,\0]*),(?P<rest>r=[!-+\--~]+(?:,[^\0]*)?))",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True, repr=False)
class Verifier:
    """What a server keeps instead of a password: enough to check one, not enough to log in with."""

    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes

    @classmethod
    def parse(cls, text: str) -> Verifier:
        """From PostgreSQL's form `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`. Raises ValueError."""
        match = _VERIFIER.fullmatch(text)
        if match is None:
            raise ValueError("not a SCRAM-SHA-256 verifier")
        iterations = int(match[1])
        try:
            salt, stored, server = (b64decode(part, validate=True) for part in match.groups()[1:])
        except ValueError:
            raise ValueError("a part of the SCRAM-SHA-256 verifier is not base64") from None
        if iterations not in _ITERATIONS:
            raise ValueError("the SCRAM-SHA-256 verifier has fewer than 4096 iterations, or too many")
        if len(salt) < _MIN_SALT:
            raise ValueError("the salt of the SCRAM-SHA-256 verifier has less than 12 bytes")
        if len(stored) != _KEY_SIZE or len(server) != _KEY_SIZE:
            raise ValueError("a key of the SCRAM-SHA-256 verifier does not have 32 bytes")
        return cls(iterations, salt, stored, server)

    def encode(self) -> str:
        salt, stored, server = (
            b64encode(part).decode("ascii") for part in (self.salt, self.stored_key, self.server_key)
        )
        return f"{SCRAM}${self.iterations}:{salt}${stored}:{server}"

    def __repr__(self) -> str:
        return f"Verifier(iterations={self.iterations})"

    def accepts(self, password: bytes) -> bool:
        """Whether this is the verifier of `password`. PBKDF2: from a millisecond for 4096 iterations; for a thread."""
        salted = hashlib.pbkdf2_hmac("sha256", _prepared(password), self.salt, self.iterations)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        return hmac.compare_digest(hashlib.sha256(client_key).digest(), self.stored_key)


@dataclass(frozen=True, slots=True, repr=False)
class ScramKeys:
    """What logs in in place of a password, at a server whose verifier has the same salt and iterations."""

    client_key: bytes
    server_key: bytes
    salt: bytes
    iterations: int

    def __repr__(self) -> str:
        return f"ScramKeys(iterations={self.iterations})"


def _prepared(password: bytes) -> bytes:
    """SASLprep where it is possible, else the bytes as they are: so PostgreSQL makes its verifiers."""
    try:
        return str(saslprep(password.decode())).encode()
    except (ScramException, UnicodeError):
        return password


def make_verifier(password: str, iterations: int = DEFAULT_ITERATIONS) -> str:
    """The verifier of a password, in PostgreSQL's form. Raises ConfigError for one that SASLprep does not allow."""
    if not password:
        raise ConfigError("a password cannot be empty")
    try:
        info = ScramMechanism(SCRAM).make_auth_info(password, iterations, token_bytes(SALT_SIZE))
    except (ScramException, UnicodeError):
        raise ConfigError(
            "the password cannot be used for SCRAM-SHA-256",
            detail="It has characters that SASLprep (RFC 4013) forbids, or the iterations are below 4096.",
            hint="Choose a password without control, private or unassigned characters.",
        ) from None
    salt, stored_key, server_key, count = info
    return Verifier(count, salt, stored_key, server_key).encode()


class ServerExchange:
    """The server's side of one exchange: `first` once, then `final` once.

    `end_point` is the hash of this side's TLS certificate (`server_end_point`): with it, -PLUS is on offer.
    Malformed messages raise ProtocolError, channel-binding trouble AuthorizationError (28000), a wrong proof
    AuthenticationError (28P01).
    """

    def __init__(self, verifier: Verifier, end_point: bytes | None = None) -> None:
        self._verifier = verifier
        self._end_point = end_point
        self._scramp: Any = None
        self._keys: ScramKeys | None = None

    @property
    def keys(self) -> ScramKeys | None:
        """The client's keys, once `final` has accepted its proof; None before."""
        return self._keys

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """What this side offers, the strongest first."""
        return (SCRAM,) if self._end_point is None else (SCRAM_PLUS, SCRAM)

    def first(self, mechanism: str, data: bytes) -> bytes:
        """The server-first-message in answer to the client's choice and its client-first-message."""
        if mechanism not in self.mechanisms:
            raise ProtocolError("client selected an invalid SASL authentication mechanism")
        match = _CLIENT_FIRST.fullmatch(_ascii_or_utf8(data))
        if match is None:
            raise _malformed("the first message is not one of RFC 5802")
        if match["authzid"]:
            raise _malformed("an authorization identity is not supported")
        self._check_flag(mechanism, match["flag"], match["binding"])
        verifier = self._verifier
        binding = None if self._end_point is None else (END_POINT, self._end_point)
        self._scramp = ScramMechanism(mechanism).make_server(
            lambda _: (verifier.salt, verifier.stored_key, verifier.server_key, verifier.iterations), binding
        )
        try:
            self._scramp.set_client_first(f"{match['flag']},,n={_USER},{match['rest']}")
            # The signatures are over what the client sent, whatever name it put there.
            self._scramp.client_first_bare = match["bare"]
            return str(self._scramp.get_server_first()).encode()
        except ScramException as exc:
            raise _malformed("the first message is not one of RFC 5802") from exc

    def final(self, data: bytes) -> bytes:
        """The server-final-message, with this side's signature, in answer to a right proof."""
        if self._scramp is None:
            raise ProtocolError("a SASL response came before the initial one")
        try:
            self._scramp.set_client_final(_ascii_or_utf8(data))
            answer = str(self._scramp.get_server_final()).encode()
        except ScramException as exc:
            raise _refusal(exc) from None
        self._keys = self._keys_of(data)
        return answer

    def _keys_of(self, data: bytes) -> ScramKeys:
        """From a client-final-message whose proof was right."""
        without_proof, _, proof = data.rpartition(b",p=")
        verifier, talk = self._verifier, self._scramp
        signed = f"{talk.client_first_bare},{talk.server_first},".encode() + without_proof
        client_key = _xor(b64decode(proof), hmac.digest(verifier.stored_key, signed, "sha256"))
        if not hmac.compare_digest(hashlib.sha256(client_key).digest(), verifier.stored_key):
            raise InternalError("a SCRAM proof was accepted that does not give the client's key")
        return ScramKeys(client_key, verifier.server_key, verifier.salt, verifier.iterations)

    def _check_flag(self, mechanism: str, flag: str, binding: str | None) -> None:
        """RFC 5802, section 6; PostgreSQL's read_client_first_message."""
        if mechanism == SCRAM_PLUS:
            if binding != END_POINT:
                raise _malformed(f"{SCRAM_PLUS} needs the channel binding {END_POINT}")
        elif binding is not None:
            raise _malformed(f"{SCRAM} was chosen, but the message has channel binding data")
        elif flag == "y" and self._end_point is not None:
            raise AuthorizationError(
                "SCRAM channel binding negotiation error",
                detail="The client supports SCRAM channel binding but thinks the server does not. "
                "However, this server does support channel binding.",
            )


class ClientExchange:
    """The client's side of one exchange: `first`, `final`, then `verify`, which the caller may not leave out.

    It proves a password or, where `secret` is `ScramKeys`, those: then the server's verifier has to be the one that
    the keys belong to. `end_point` is the hash of the server's TLS certificate: with it, -PLUS is taken where the
    server offers it. Everything that the server does wrong raises UpstreamError.
    """

    def __init__(self, secret: str | ScramKeys, mechanisms: tuple[str, ...], end_point: bytes | None = None) -> None:
        usable = [m for m in mechanisms if m == SCRAM or (m == SCRAM_PLUS and end_point is not None)]
        if not usable:
            raise UpstreamError(
                "the upstream server offers no SASL mechanism that pgveil has",
                hint=f"pgveil has {SCRAM}, and {SCRAM_PLUS} over TLS.",
            )
        if not secret:
            raise UpstreamError("the password for the upstream server is empty")
        binding = None if end_point is None else (END_POINT, end_point)
        self._keys = secret if isinstance(secret, ScramKeys) else None
        self._expected: bytes | None = None
        """The server-final-message that has to come, where keys are proven."""
        password = _NO_PASSWORD if isinstance(secret, ScramKeys) else secret
        try:
            password.encode()
            self._scramp: Any = ScramClient(usable, _USER, password, binding)
        except (ScramException, UnicodeError):
            raise UpstreamError(
                "the password for the upstream server cannot be used for SCRAM-SHA-256",
                detail="It has characters that SASLprep (RFC 4013) forbids.",
            ) from None

    @property
    def mechanism(self) -> str:
        return str(self._scramp.mechanism_name)

    def first(self) -> bytes:
        return str(self._scramp.get_client_first()).encode()

    def final(self, data: bytes) -> bytes:
        """The client-final-message. With a password it computes PBKDF2: a millisecond for 4096 iterations, up to
        MAX_ITERATIONS."""
        try:
            self._scramp.set_server_first(data.decode())
            if self._keys is not None:
                return self._prove(self._keys)
            if int(self._scramp.iterations) > MAX_ITERATIONS:
                raise UpstreamError(f"the upstream server asks for more than {MAX_ITERATIONS} SCRAM iterations")
            return str(self._scramp.get_client_final()).encode()
        except (ScramException, UnicodeError):
            raise UpstreamError("the upstream server sent a SCRAM message that is malformed or refused") from None

    def _prove(self, keys: ScramKeys) -> bytes:
        """RFC 5802, section 3, from the client's key on."""
        talk = self._scramp
        if (bytes(talk.salt), int(talk.iterations)) != (keys.salt, keys.iterations):
            raise UpstreamError(
                "the upstream server has another SCRAM verifier for this user than the users file",
                hint="The operator has to put the verifier of pg_authid.rolpassword into the users file.",
            )
        channel = b64encode(talk.gs2_header.make_cbind_input(talk.cb)).decode("ascii")
        without_proof = f"c={channel},r={talk.nonce}"
        signed = f"{talk.client_first_bare},{talk.server_first},{without_proof}".encode()
        stored_key = hashlib.sha256(keys.client_key).digest()
        proof = _xor(keys.client_key, hmac.digest(stored_key, signed, "sha256"))
        self._expected = b"v=" + b64encode(hmac.digest(keys.server_key, signed, "sha256"))
        return f"{without_proof},p={b64encode(proof).decode('ascii')}".encode()

    def verify(self, data: bytes) -> None:
        """Checks the server's signature: that it knows the password too."""
        if not self._is_signed(data):
            raise UpstreamError(
                "the upstream server did not prove that it knows the password",
                hint="Something else may be answering at its address.",
            )

    def _is_signed(self, data: bytes) -> bool:
        if self._keys is not None:
            return self._expected is not None and hmac.compare_digest(data, self._expected)
        try:
            self._scramp.set_server_final(data.decode())
        except (ScramException, UnicodeError):
            return False
        return True


def server_end_point(certificate: bytes) -> bytes | None:
    """The channel-binding data of a DER certificate (RFC 5929, section 4.1), or None where it defines none."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes

    try:
        algorithm = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        return None
    if algorithm is None:
        return None
    if algorithm.name in {"md5", "sha1"}:
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(certificate)
    return digest.finalize()


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def _ascii_or_utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise _malformed("it is not UTF-8") from None


def _malformed(why: str) -> ProtocolError:
    return ProtocolError("malformed SCRAM message", detail=why[0].upper() + why[1:] + ".")


def _refusal(exc: Any) -> ProtocolError | AuthenticationError:
    """Ours for scramp's: by its own code, never by its text, which may quote the message."""
    reason = getattr(exc.server_error, "value", None)
    if reason == "invalid-proof":
        return AuthenticationError("password authentication failed")
    if reason == "channel-bindings-dont-match":
        return AuthorizationError("SCRAM channel binding check failed")
    return _malformed("the final message is not one of RFC 5802, or not for this exchange")
