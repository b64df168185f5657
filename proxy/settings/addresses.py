"""Where the proxy listens and where its database is: `HOST:PORT` and libpq connection URIs, as values.

A URI may hold a password, so no error here shows any part of the text that it was given but a parameter's
name, and no repr shows the password.

What the URI says about the connection itself (TLS, time-outs and so on) is `libpq`'s to read.

It does not resolve names and it does not connect.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlencode

from pydantic import SecretStr

from proxy.settings.libpq import LINK_PARAMETERS, LinkParameters, link_parameters
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
class UpstreamHost:
    """One place of the database: a name, an address, or the directory of a Unix socket (it begins with `/`)."""

    host: str
    port: int

    @property
    def socket_path(self) -> str | None:
        """The Unix socket's path, or None where the host is reached by TCP."""
        return f"{self.host}/.s.PGSQL.{self.port}" if self.host.startswith("/") else None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host or self.socket_path else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UpstreamDsn:
    """The database behind the proxy, from a libpq connection URI.

    `host` and `port` are the first place where it may be, `others` the rest, in their order.
    https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
    """

    host: str
    port: int
    user: str
    password: SecretStr | None
    database: str
    options: Mapping[str, str] = field(default_factory=dict)
    """Startup parameters for the upstream: `application_name`, `options`."""
    others: tuple[UpstreamHost, ...] = ()
    link: LinkParameters = field(default_factory=LinkParameters)

    @classmethod
    def parse(cls, text: object) -> UpstreamDsn:
        """A `postgresql://` URI. ValueError, which never shows the text: it may hold a password."""
        if isinstance(text, UpstreamDsn):
            return text
        if not isinstance(text, str) or not text.startswith(("postgresql://", "postgres://")):
            raise ValueError("expected postgresql://USER@HOST:PORT/DATABASE")
        if "%00" in text or "\0" in text:  # it would end a name early, as in libpq
            raise ValueError("the upstream's URI has a zero byte (%00)")
        parts = _split_uri(text)
        options = _uri_parameters(parts.pop("query"))
        link = link_parameters({key: options.pop(key) for key in tuple(options) if key in LINK_PARAMETERS})
        known = parts | {key: options.pop(key) for key in tuple(parts) if options.get(key)}
        if not known["user"]:
            raise ValueError("the upstream's user is missing: postgresql://USER@HOST:PORT/DATABASE")
        first, *others = _hosts(known["host"], known["port"])
        return cls(
            host=first.host,
            port=first.port,
            user=known["user"],
            password=SecretStr(known["password"]) if known["password"] else None,
            database=known["dbname"] or known["user"],
            options={key: value for key, value in options.items() if value},
            others=tuple(others),
            link=link,
        )

    @property
    def hosts(self) -> tuple[UpstreamHost, ...]:
        """Every place where the database may be, in the URI's order."""
        return (UpstreamHost(self.host, self.port), *self.others)

    @property
    def socket_path(self) -> str | None:
        """The first host's Unix socket, or None where it is reached by TCP."""
        return UpstreamHost(self.host, self.port).socket_path

    def uri(self) -> str:
        """The whole URI again, password included: for a driver, never for a text that somebody reads."""
        password = "" if self.password is None else f":{quote(self.password.get_secret_value(), safe='')}"
        plain = not self.others and self.socket_path is None
        place = {} if plain else _places(self.hosts)
        query = urlencode({**place, **self.options, **dict(self.link.given)}, quote_via=quote, safe="")
        at = str(HostPort(self.host, self.port)) if plain else ""
        uri = f"postgresql://{quote(self.user, safe='')}{password}@{at}/{quote(self.database, safe='')}"
        return f"{uri}?{query}" if query else uri

    def __str__(self) -> str:
        return f"{self.user}@{','.join(map(str, self.hosts))}/{self.database}"


_URI_PARAMETERS = LINK_PARAMETERS | {"host", "port", "user", "password", "dbname", "application_name", "options"}
_UNREADABLE = "the upstream's URI cannot be read: percent-encode special characters"


def _places(hosts: tuple[UpstreamHost, ...]) -> dict[str, str]:
    return {"host": ",".join(h.host for h in hosts), "port": ",".join(str(h.port) for h in hosts)}


def _split_uri(text: str) -> dict[str, str]:
    """The parts, percent-decoded; `host` and `port` as lists with commas, as in the parameters of those names."""
    rest, _, query = text.partition("://")[2].partition("?")
    netloc, _, path = rest.partition("/")
    if "#" in rest:
        raise ValueError(_UNREADABLE)
    userinfo, _, places = netloc.rpartition("@")
    user, _, password = userinfo.partition(":")
    found = {"user": user, "password": password, "dbname": path}
    split = [_split_place(place) for place in places.split(",")]
    lists = {"host": ",".join(unquote(host) for host, _ in split), "port": ",".join(unquote(port) for _, port in split)}
    if not lists["port"].strip(","):
        lists["port"] = ""
    return {key: unquote(value) for key, value in found.items()} | lists | {"query": query}


def _split_place(place: str) -> tuple[str, str]:
    if not place.startswith("["):
        host, _, port = place.partition(":")
        return host, port
    host, bracket, port = place[1:].partition("]")
    if not bracket or not host or (port and not port.startswith(":")):
        raise ValueError(_UNREADABLE)
    return host, port[1:]


def _hosts(hosts: str, ports: str) -> Iterator[UpstreamHost]:
    """As libpq pairs them: one port serves all hosts, else there are as many ports as hosts."""
    names, numbers = hosts.split(","), ports.split(",")
    if len(numbers) == 1:
        numbers *= len(names)
    if len(numbers) != len(names):
        raise ValueError(f"{len(numbers)} ports do not match {len(names)} hosts in the upstream's URI")
    for name, number in zip(names, numbers, strict=True):
        yield UpstreamHost(name or "localhost", parse_port(number or "5432", minimum=1))


def _uri_parameters(query: str) -> dict[str, str]:
    found = dict(parse_qsl(query.replace("+", "%2B"), keep_blank_values=True))
    for key in found:
        if key not in _URI_PARAMETERS:
            raise ValueError(
                f"the upstream's URI has a parameter that is not known: {key}{nearest(key, _URI_PARAMETERS)}"
            )
    return found
