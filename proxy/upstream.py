"""Connections to the database: one per client session, and a short one for each CancelRequest.

`open_upstream` tries the DSN's hosts as libpq does, logs in and gives a stream that is ready for queries. Whatever goes
wrong is an UpstreamError; the server's own words about it (too many connections, no such database) come along where
they are meant for clients.

Where libpq leaves off, this goes on: a host whose TLS or protocol is broken is not the last one that is tried. Where it
goes on, this stops: a login that was refused over TLS after a password was asked for is not tried again without TLS.

It does not know sessions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pydantic import SecretStr

from proxy.dial import Link, NoTlsError, TlsError, Way, dial, ways
from proxy.errors import AuthorizationError, PgveilError, ProtocolError, UpstreamError, UpstreamUnavailableError
from proxy.login import Account, Dialogue, LoggedIn, OldProtocolError, Rejection, log_in
from proxy.passfile import find_password
from proxy.policy.floor import floor_login
from proxy.policy.rules import Identity
from proxy.route import Route, resolve, shuffled
from proxy.settings import UpstreamDsn
from proxy.settings.libpq import LinkParameters
from proxy.wire.auth import Proven
from proxy.wire.messages import (
    BackendKeyData,
    DataRow,
    ErrorResponse,
    NoticeResponse,
    ParameterStatus,
    Query,
    ReadyForQuery,
)
from proxy.wire.startup import CancelRequest
from proxy.wire.stream import Stream

CONNECT_SECONDS = 10.0
"""For all hosts together, where the DSN has no connect_timeout: each address gets its share of what is left."""
CANCEL_SECONDS = 5.0

MAX_NAME = 63
"""Bytes: PostgreSQL's NAMEDATALEN, less one. It takes the beginning of a name that is longer."""
_OF_THE_ACCOUNT = "28"
"""SQLSTATE class of failed logins: about the proxy's own account, so nothing for the client."""
_NOT_PROVEN = "28P01"
_TOO_MANY = "53300"
_NOT_NOW = "57P03"
"""Starting, going down, or a standby that lets nobody in: another host may (libpq, since 14)."""
_READ_ONLY = "default_transaction_read_only"
_STANDBY = "in_hot_standby"


@dataclass(frozen=True, slots=True)
class FloorLogin:
    """Masked sessions log in where the floor of their roles is. `password` is that of all its logins."""

    password: SecretStr | None = None

    def dsn(self, service: UpstreamDsn, identity: Identity) -> UpstreamDsn:
        if identity.bypass:
            return service
        return replace(service, user=floor_login(identity.roles), password=self.password)


@dataclass(frozen=True, slots=True)
class SameUser:
    """Every session logs in as its client's own user, with what the client has proven, and never as the service."""

    def dsn(self, service: UpstreamDsn, identity: Identity) -> UpstreamDsn:
        """Raises AuthorizationError (28000) for a name that PostgreSQL would cut off: the rest is somebody else's."""
        if len(identity.user.encode()) > MAX_NAME:
            raise AuthorizationError(f"the database has no user names of more than {MAX_NAME} bytes")
        return replace(service, user=identity.user, password=None, link=replace(service.link, passfile=None))


Login = FloorLogin | SameUser
"""Who sessions are at the database, where it is not the service account for all of them."""


class UpstreamRefusedError(UpstreamError):
    """The upstream's: it answered, with an error that the client may see (scrubbed for a masked role)."""

    def __init__(self, response: ErrorResponse) -> None:
        super().__init__("the database refused the connection", hint=response.get("H"))
        self.response = response


@dataclass(slots=True)
class Upstream:
    """A connection that is ready for queries. `minor`: of protocol 3."""

    stream: Stream
    dsn: UpstreamDsn
    parameters: list[ParameterStatus] = field(default_factory=list)
    notices: list[NoticeResponse] = field(default_factory=list)
    key: BackendKeyData | None = None
    route: Route | None = None
    encrypted: bool = False
    minor: int = 0

    def __repr__(self) -> str:
        return f"Upstream({self.dsn})"

    async def cancel(self) -> None:
        """Asks the server to cancel what this connection runs. Raises nothing: there may be nobody to hear it."""
        await self.deliver_cancel()

    async def deliver_cancel(self) -> bool:
        """The same. False: the request may be on its way for longer than this, and stop what runs then.

        At the very address that the session has, and with TLS if it has that, as libpq does since 17.
        """
        if self.key is None or self.route is None:
            return True
        request = CancelRequest(self.key.process_id, self.key.secret_key)
        try:
            async with asyncio.timeout(CANCEL_SECONDS):
                link = await dial(self.route, self.dsn.link, Way.TLS if self.encrypted else Way.PLAIN)
                try:
                    link.stream.send(request.encode())
                    await link.stream.read()  # the server closes once the signal is on its way
                finally:
                    link.stream.abort()
        except (UpstreamError, TimeoutError):
            return False
        return True

    async def first_row(self, sql: str) -> tuple[bytes | None, ...]:
        """The first row of a query of ours. Raises UpstreamError where there is none."""
        row: tuple[bytes | None, ...] | None = None
        self.stream.send(Query(sql.encode()).encode())
        dialogue = Dialogue(self.stream)
        while not isinstance(message := await dialogue.next(), ReadyForQuery):
            if isinstance(message, DataRow) and row is None:
                row = message.values
            elif isinstance(message, ParameterStatus):
                self.parameters.append(message)
            elif isinstance(message, ErrorResponse):
                raise UpstreamError("the database refused a query of the proxy's own")
        if row is None:
            raise UpstreamError("the database gave no row for a query of the proxy's own")
        return row


def check_own_account(identity: Identity, upstream: Upstream) -> None:
    """Raises AuthorizationError (28000) for a masked session whose account no right of the database holds back."""
    superuser = any(s.name == "is_superuser" and s.value == "on" for s in upstream.parameters)
    if superuser and not identity.bypass:
        raise AuthorizationError(
            "a masked session may not run as a superuser of the database",
            hint="The operator can take SUPERUSER from the account, or put its user into a role with bypass.",
        )


@dataclass(frozen=True, slots=True)
class _Call:
    """Who calls, with which startup parameters. `proven` where it is the client's own account."""

    dsn: UpstreamDsn
    parameters: Mapping[str, str]
    proven: Proven | None = None

    @property
    def link(self) -> LinkParameters:
        return self.dsn.link


async def open_upstream(
    dsn: UpstreamDsn,
    parameters: Mapping[str, str],
    seconds: float = CONNECT_SECONDS,
    proven: Proven | None = None,
) -> Upstream:
    """A new connection, logged in with the DSN's account and `parameters`; with what is `proven` in place of the DSN's
    password where that is given. `seconds` are for all hosts, unless the DSN has a connect_timeout.

    Raises UpstreamUnavailableError (08001) where no connection can be made in time, UpstreamRefusedError where the
    server refuses it, UpstreamError for everything else that the server does wrong.
    """
    return await _Search(_Call(dsn, parameters, proven), seconds).run()


class _Search:
    """Host after host, address after address, until one is what the DSN asks for."""

    def __init__(self, call: _Call, seconds: float) -> None:
        self._call = call
        self._deadline = asyncio.get_running_loop().time() + seconds
        self._failures: list[PgveilError] = []

    async def run(self) -> Upstream:
        target, hosts = self._call.link.target, self._call.dsn.hosts
        passes = ("standby", "any") if target == "prefer-standby" else (target,)
        turns = [(t, h) for t in passes for h in shuffled(hosts, at_random=self._call.link.balance)]
        for number, (wanted, host) in enumerate(turns):
            behind = len(turns) - number - 1
            try:
                async with asyncio.timeout(self._share(behind + 1)):
                    routes = shuffled(await resolve(host), at_random=self._call.link.balance)
            except (TimeoutError, UpstreamUnavailableError) as error:
                self._failures.append(_failure(error))
                continue
            found = await self._host(routes, wanted, behind)
            if found is not None:
                return found
        raise _summary(self._failures)

    async def _host(self, routes: list[Route], wanted: str, behind: int) -> Upstream | None:
        """A connection to one of the host's addresses, if it is one that is wanted."""
        for number, route in enumerate(routes):
            try:
                async with asyncio.timeout(self._share(behind + len(routes) - number)):
                    upstream = await _reach(self._call, route)
                    try:
                        if await _suits(upstream, wanted, self._call.parameters):
                            return upstream
                    except BaseException:
                        upstream.stream.abort()
                        raise
                upstream.stream.abort()
            except (UpstreamError, ProtocolError, TimeoutError) as error:
                self._failures.append(_failure(error))
                continue
            except Rejection as rejection:
                if rejection.response.sqlstate != _NOT_NOW:
                    raise _refusal(rejection.response, self._call) from None
                self._failures.append(_refusal(rejection.response, self._call))
                continue
            self._failures.append(_unsuited(self._call.link.target))
            return None  # the host's other addresses are the same server
        return None

    def _share(self, left: int) -> float:
        """Seconds for the next of so many that are left."""
        each = self._call.link.connect_timeout_s
        if each is not None:
            return each
        return max(self._deadline - asyncio.get_running_loop().time(), 0) / left


async def _reach(call: _Call, route: Route) -> Upstream:
    """A session at one address, encrypted as sslmode says: what it prefers first, then what it puts up with.

    Raises Rejection, UpstreamError, ProtocolError.
    """
    account = await _account(call, route)
    first, *others = ways(call.link.tls, route)
    earlier: Rejection | None = None
    try:
        return await _begin(call, route, account, first)
    except TlsError:
        if not others:
            raise
    except Rejection as rejection:
        # pg_hba.conf may let the account in with TLS and not without, or the other way round.
        if not others or rejection.asked or not rejection.response.sqlstate.startswith(_OF_THE_ACCOUNT):
            raise
        earlier = rejection
    try:
        return await _begin(call, route, account, others[0])
    except (TlsError, NoTlsError):
        if earlier is None:
            raise
        raise earlier from None


async def _account(call: _Call, route: Route) -> Account:
    link, dsn, proven = call.link, call.dsn, call.proven
    account = Account(dsn.user, binding=link.channel_binding, minor=link.max_minor, least=link.min_minor)
    if proven is not None:
        return replace(account, password=proven.password, keys=proven.keys, own=True)
    if dsn.password is not None:
        return replace(account, password=dsn.password.get_secret_value())
    if link.passfile is not None:
        return replace(account, password=await asyncio.to_thread(find_password, link.passfile, dsn, route.host))
    return account


async def _begin(call: _Call, route: Route, account: Account, way: Way) -> Upstream:
    try:
        return await _open(call, route, account, way)
    except OldProtocolError:
        return await _open(call, route, replace(account, minor=account.least), way)


async def _open(call: _Call, route: Route, account: Account, way: Way) -> Upstream:
    link = await dial(route, call.link, way)
    try:
        told = await log_in(link, account, call.parameters)
    except Rejection as rejection:
        link.stream.abort()
        # Where the server has no TLS, what it rejected was the plain connection already.
        rejection.asked |= way is Way.TLS_IF_OFFERED and not link.encrypted
        raise
    except BaseException:
        link.stream.abort()
        raise
    return _joined(call, route, link, told)


def _joined(call: _Call, route: Route, link: Link, told: LoggedIn) -> Upstream:
    return Upstream(
        link.stream,
        call.dsn,
        parameters=told.parameters,
        notices=told.notices,
        key=told.key,
        route=route,
        encrypted=link.encrypted,
        minor=told.minor,
    )


async def _suits(upstream: Upstream, target: str, asked: Mapping[str, str]) -> bool:
    """Whether the server is what target_session_attrs asks for; asked with SQL where it does not report it (before 14).

    A session that itself asks to be read only says nothing about its server by that.
    """
    if target == "any":
        return True
    reported = {s.name: s.value for s in upstream.parameters}
    if _STANDBY in reported:
        standby = reported[_STANDBY] == "on"
    else:
        standby = await upstream.first_row("SELECT pg_catalog.pg_is_in_recovery()") == (b"t",)
    if target in {"standby", "primary"}:
        return standby == (target == "standby")
    wanted = any(_READ_ONLY in text for item in asked.items() for text in item)
    if wanted:
        read_only = standby
    elif _READ_ONLY in reported:
        read_only = standby or reported[_READ_ONLY] == "on"
    else:
        read_only = await upstream.first_row("SHOW transaction_read_only") == (b"on",)
    return read_only == (target == "read-only")


# What is said in the end


def _failure(error: Exception) -> PgveilError:
    if isinstance(error, TimeoutError):
        return UpstreamUnavailableError(
            "the database does not answer", hint="It may be overloaded, or a firewall drops what is sent to it."
        )
    if isinstance(error, ProtocolError):
        return UpstreamError(f"the database broke the protocol: {error.message}")
    if isinstance(error, PgveilError):
        return error
    raise error


def _unsuited(target: str) -> PgveilError:
    return UpstreamUnavailableError(
        f"the database is not what target_session_attrs={target} asks for",
        hint="A standby may be promoted, or a primary restarted, just now; try again.",
    )


def _summary(failures: list[PgveilError]) -> PgveilError:
    """One error for all that was tried. No host is named: clients read this."""
    last = failures[-1]
    if len(failures) == 1 or all(isinstance(f, UpstreamRefusedError) for f in failures):
        return last
    messages = dict.fromkeys(f.message for f in failures)
    if len(messages) == 1:
        return type(last)(f"{last.message} ({len(failures)} tries)", hint=last.hint)
    # A name or a network that fails says less than a server that was reached.
    telling = next((f for f in failures if isinstance(f, TlsError | NoTlsError)), last)
    return UpstreamUnavailableError(
        f"no host of the database can be used ({len(failures)} tries)",
        detail=f"{'; '.join(messages)}.".capitalize(),
        hint=telling.hint,
    )


def _refusal(response: ErrorResponse, call: _Call) -> PgveilError:
    code = response.sqlstate
    if code == _TOO_MANY and response.get("H") is None:
        hint = "Try again when others have left; the operator can raise max_connections of the database."
        return UpstreamRefusedError(ErrorResponse((*response.fields, ("H", hint))))
    if not code.startswith(_OF_THE_ACCOUNT) or (call.proven is not None and code == _NOT_PROVEN):
        return UpstreamRefusedError(response)
    if call.proven is not None:
        return UpstreamUnavailableError(
            "the database does not let this user in",
            hint="The operator has to look at the server's pg_hba.conf, and whether the account may log in.",
        )
    where = "the password in upstream.dsn" if code == _NOT_PROVEN else "upstream.dsn and the server's pg_hba.conf"
    return UpstreamUnavailableError(
        "the database refused the proxy's own account", hint=f"The operator has to look at {where}."
    )
