"""Where the proxy listens and where its database is: `HOST:PORT` and libpq connection URIs, as values.

A URI may hold a password, so no error here shows any part of the text that it was given but a parameter's
name, and no repr shows the password.

It does not resolve names and it does not connect.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from pydantic import SecretStr
from pydantic_core import PydanticCustomError

from proxy.settings.nearest import nearest

MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class HostPort:
    """Where to listen. Port 0 lets the system choose one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: object) -> HostPort:
        """`HOST:PORT`, an IPv6 host in brackets. ValueError for anything else."""
        if isinstance(text, HostPort):
            return text
        host, colon, port = text.rpartition(":") if isinstance(text, str) else ("", "", "")
        bracketed = host.startswith("[") and host.endswith("]")
        if not colon or not host or (":" in host and not bracketed):
            raise ValueError('expected HOST:PORT, such as 127.0.0.1:6432 or "[::1]:6432"')
        return cls(host[1:-1] if bracketed else host, parse_port(port))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect. A name other than localhost may resolve to anything: no."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_port(text: str, minimum: int = 0) -> int:
    """A TCP port. ValueError where it is not a decimal number from `minimum` to 65535."""
    if not (text.isascii() and text.isdigit() and minimum <= int(text) <= MAX_PORT):
        raise ValueError(f"a port is a number from {minimum} to {MAX_PORT}")
    return int(text)


@dataclass(frozen=True, slots=True)
class UpstreamDsn:
    """The database behind the proxy, from a libpq connection URI.

    `host` is a name, an address, or the directory of a Unix socket (it begins with `/`).
    https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
    """

    host: str
    port: int
    user: str
    password: SecretStr | None
    database: str
    options: Mapping[str, str] = field(default_factory=dict)
    """Startup parameters for the upstream: `application_name`, `options`."""

    @classmethod
    def parse(cls, text: object) -> UpstreamDsn:
        """A `postgresql://` URI. ValueError, which never shows the text: it may hold a password."""
        if isinstance(text, UpstreamDsn):
            return text
        if not isinstance(text, str) or not text.startswith(("postgresql://", "postgres://")):
            raise ValueError("expected postgresql://USER@HOST:PORT/DATABASE")
        parts = _split_uri(text)
        options = _uri_parameters(parts.pop("query"))
        _refuse_tls(options.pop("sslmode", "prefer"))
        known = parts | {key: options.pop(key) for key in tuple(parts) if options.get(key)}
        if not known["user"]:
            raise ValueError("the upstream's user is missing: postgresql://USER@HOST:PORT/DATABASE")
        return cls(
            host=known["host"] or "localhost",
            port=parse_port(known["port"] or "5432", minimum=1),
            user=known["user"],
            password=SecretStr(known["password"]) if known["password"] else None,
            database=known["dbname"] or known["user"],
            options={key: value for key, value in options.items() if value},
        )

    @property
    def socket_path(self) -> str | None:
        """The Unix socket's path, or None where the upstream is reached by TCP."""
        return f"{self.host}/.s.PGSQL.{self.port}" if self.host.startswith("/") else None

    def uri(self) -> str:
        """The whole URI again, password included: for a driver, never for a text that somebody reads."""
        password = "" if self.password is None else f":{quote(self.password.get_secret_value(), safe='')}"
        place = {"host": self.host, "port": str(self.port)} if self.socket_path else {}
        query = urlencode({**place, **self.options}, quote_via=quote, safe="")
        at = "" if self.socket_path else str(HostPort(self.host, self.port))
        uri = f"postgresql://{quote(self.user, safe='')}{password}@{at}/{quote(self.database, safe='')}"
        return f"{uri}?{query}" if query else uri

    def __str__(self) -> str:
        host = self.host if self.socket_path is None else f"[{self.host}]"
        return f"{self.user}@{host}:{self.port}/{self.database}"


_URI_PARAMETERS = frozenset({"host", "port", "user", "password", "dbname", "sslmode", "application_name", "options"})
_PLAIN_SSLMODES = frozenset({"disable", "allow", "prefer"})


def _split_uri(text: str) -> dict[str, str]:
    try:
        uri = urlsplit(text)
    except ValueError:
        raise ValueError("the upstream's URI cannot be read: percent-encode special characters") from None
    userinfo, _, hostport = uri.netloc.rpartition("@")
    user, _, password = userinfo.partition(":")
    if "," in hostport:
        raise ValueError("one upstream host is expected, not several")
    host, bracket, port = hostport.partition("]") if hostport.startswith("[") else ("", "", hostport)
    host, _, port = (host[1:], "", port.removeprefix(":")) if bracket else port.partition(":")
    found = {"user": user, "password": password, "host": host, "port": port, "dbname": uri.path[1:]}
    return {key: unquote(value) for key, value in found.items()} | {"query": uri.query}


def _uri_parameters(query: str) -> dict[str, str]:
    found = dict(parse_qsl(query.replace("+", "%2B"), keep_blank_values=True))
    for key in found:
        if key not in _URI_PARAMETERS:
            raise ValueError(
                f"the upstream's URI has a parameter that is not known: {key}{nearest(key, _URI_PARAMETERS)}"
            )
    return found


def _refuse_tls(sslmode: str) -> None:
    if sslmode not in _PLAIN_SSLMODES:
        raise PydanticCustomError(
            "not_yet",
            "sslmode={mode}: TLS towards the upstream is not there yet",
            {
                "mode": sslmode,
                "hint": "use sslmode=prefer, on a network that you trust or over a Unix socket",
            },
        )
