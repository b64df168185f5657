"""What the query of a libpq connection URI may say about the connection itself: TLS, hosts, time, keepalives.

https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS. Names, values and meanings are libpq's.
Read from the URI alone: no environment variables, no service file. A name that is not here is an error with the
nearest one that is; so is a combination that libpq refuses.

It opens none of the files that are named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from proxy.settings.nearest import nearest

SYSTEM_ROOTS = "system"
"""The value of sslrootcert that means the roots of this machine."""
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_ENFORCED = frozenset({"require", "verify-ca", "verify-full"})
_TARGETS = ("any", "read-write", "read-only", "primary", "standby", "prefer-standby")
_TLS_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_MAX_NUMBER = 2**31 - 1
_PROTOCOLS = {"3.0": 0, "3.2": 2, "latest": 2}
"""Minor versions of protocol 3, by the names that libpq 18 gives them."""


@dataclass(frozen=True, slots=True)
class TlsWish:
    """How the connection to the upstream is to be encrypted, and what its server has to prove.

    A file that is None is looked for where libpq looks: below `~/.postgresql`.
    """

    mode: str = "prefer"
    direct: bool = False
    """TLS at once, without an SSLRequest (sslnegotiation=direct)."""
    root: str | None = None
    """A PEM file, or `SYSTEM_ROOTS`."""
    cert: str | None = None
    key: str | None = None
    key_password: SecretStr | None = None
    crl: str | None = None
    crl_dir: str | None = None
    minimum: str = "TLSv1.2"
    maximum: str | None = None
    sni: bool = True

    @property
    def enforced(self) -> bool:
        """Whether there is no connection without TLS."""
        return self.mode in _ENFORCED


@dataclass(frozen=True, slots=True)
class Keepalive:
    """Of TCP. A number of 0 leaves the system's own. `user_timeout_ms` is TCP_USER_TIMEOUT."""

    on: bool = True
    idle_s: int = 0
    interval_s: int = 0
    count: int = 0
    user_timeout_ms: int = 0


@dataclass(frozen=True, slots=True)
class LinkParameters:
    """All of them. `given` is what the URI said, name by name: to write it again."""

    tls: TlsWish = TlsWish()
    keepalive: Keepalive = Keepalive()
    channel_binding: str = "prefer"
    target: str = "any"
    balance: bool = False
    connect_timeout_s: float | None = None
    """For one address; None where it is not limited by itself."""
    passfile: Path | None = None
    min_minor: int = 0
    max_minor: int = 0
    given: tuple[tuple[str, str], ...] = field(default=(), repr=False)


def link_parameters(given: Mapping[str, str]) -> LinkParameters:
    """From a URI's parameters, less those of `LINK_PARAMETERS` that are empty. ValueError, which quotes no secret."""
    read = _Reader(given)
    tls = _tls(read)
    binding = read.choice("channel_binding", ("disable", "prefer", "require")) or "prefer"
    if tls.mode == "disable" and binding == "require":
        raise ValueError("channel_binding=require needs TLS, and sslmode is disable")
    seconds = read.number("connect_timeout")
    passfile = read.text("passfile")
    minimum, maximum = _minors(read)
    return LinkParameters(
        tls=tls,
        keepalive=Keepalive(
            on=read.flag("keepalives"),
            idle_s=read.number("keepalives_idle"),
            interval_s=read.number("keepalives_interval"),
            count=read.number("keepalives_count"),
            user_timeout_ms=read.number("tcp_user_timeout"),
        ),
        channel_binding=binding,
        target=read.choice("target_session_attrs", _TARGETS) or "any",
        balance=read.choice("load_balance_hosts", ("disable", "random")) == "random",
        connect_timeout_s=float(seconds) if seconds > 0 else None,
        passfile=None if passfile is None else Path(passfile),
        min_minor=minimum,
        max_minor=maximum,
        given=tuple(sorted(given.items())),
    )


def _tls(read: _Reader) -> TlsWish:
    root = read.text("sslrootcert")
    mode = read.choice("sslmode", SSL_MODES) or ("verify-full" if root == SYSTEM_ROOTS else "prefer")
    if root == SYSTEM_ROOTS and mode != "verify-full":
        raise ValueError(f"sslmode={mode} is too weak for sslrootcert=system: use verify-full")
    direct = read.choice("sslnegotiation", ("postgres", "direct")) == "direct"
    if direct and mode not in _ENFORCED:
        raise ValueError(f"sslmode={mode} is too weak for sslnegotiation=direct: use require, verify-ca or verify-full")
    minimum = read.choice("ssl_min_protocol_version", _TLS_VERSIONS) or "TLSv1.2"
    maximum = read.choice("ssl_max_protocol_version", _TLS_VERSIONS)
    if maximum is not None and _TLS_VERSIONS.index(minimum) > _TLS_VERSIONS.index(maximum):
        raise ValueError("ssl_min_protocol_version is above ssl_max_protocol_version")
    password = read.text("sslpassword")
    return TlsWish(
        mode=mode,
        direct=direct,
        root=root,
        cert=read.text("sslcert"),
        key=read.text("sslkey"),
        key_password=None if password is None else SecretStr(password),
        crl=read.text("sslcrl"),
        crl_dir=read.text("sslcrldir"),
        minimum=minimum,
        maximum=maximum,
        sni=read.flag("sslsni"),
    )


def _minors(read: _Reader) -> tuple[int, int]:
    """The least and the greatest minor version. libpq 18 asks for 3.0 where nothing is said: old servers know it."""
    minimum = read.choice("min_protocol_version", tuple(_PROTOCOLS))
    maximum = read.choice("max_protocol_version", tuple(_PROTOCOLS))
    least = _PROTOCOLS[minimum or "3.0"]
    greatest = least if maximum is None else _PROTOCOLS[maximum]
    if least > greatest:
        raise ValueError("min_protocol_version is above max_protocol_version")
    return least, greatest


class _Reader:
    """Values by name, checked. An empty one is as good as none."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given

    def text(self, name: str) -> str | None:
        return self._given.get(name) or None

    def choice(self, name: str, choices: Sequence[str]) -> str | None:
        found = self.text(name)
        known = next((choice for choice in choices if found is not None and choice.lower() == found.lower()), None)
        if found is not None and known is None:
            raise ValueError(f"the upstream's URI has a {name} that is not known{nearest(found, choices)}")
        return known

    def number(self, name: str) -> int:
        """0 where nothing is said, and for what is below."""
        found = (self.text(name) or "0").strip()
        digits = found.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and int(digits) <= _MAX_NUMBER):
            raise ValueError(f"{name} in the upstream's URI is not a whole number")
        return max(int(found), 0)

    def flag(self, name: str) -> bool:
        """1 where nothing is said."""
        found = self.text(name) or "1"
        if found not in {"0", "1"}:
            raise ValueError(f"{name} in the upstream's URI is 0 or 1")
        return found == "1"


LINK_PARAMETERS = frozenset(
    {"sslmode", "sslnegotiation", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "sslcrldir", "sslsni"}
    | {"ssl_min_protocol_version", "ssl_max_protocol_version", "channel_binding"}
    | {"target_session_attrs", "load_balance_hosts", "connect_timeout"}
    | {"keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"}
    | {"passfile", "min_protocol_version", "max_protocol_version"}
)
