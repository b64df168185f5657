"""What a client's login is checked against, as the settings name it: users, certificates, and the maps of their names.

`reload` reads all of it again, in a thread; each part that cannot be used keeps what was there before, and says so.

It does not know connections: `door` is what `handshake` is given.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path

from proxy.authquery import DEFAULT_QUERY
from proxy.errors import ConfigError
from proxy.handshake import Door, Lookup
from proxy.ops.log import get_logger
from proxy.settings import Settings, UpstreamDsn
from proxy.tlsfiles import ServerTls, load_server_tls
from proxy.wire.auth import AuthMethod
from proxy.wire.clientcert import CertNames, NamePart, load_cert_map
from proxy.wire.userlist import Userlist, load_userlist

_log = get_logger("credentials")

_WITH_USERS = frozenset({AuthMethod.SCRAM, AuthMethod.PASSWORD})


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the files say."""

    users: Userlist
    tls: ServerTls | None
    names: CertNames


class Credentials:
    """`old`: those in whose place these come. Raises ConfigError where a file cannot be used at the start."""

    def __init__(self, settings: Settings, old: Credentials | None = None) -> None:
        self._settings = settings
        users = _users(settings)
        if old is not None:
            users = users.after(old.users)
        self._now: Loaded = Loaded(users, _tls(settings), _names(settings))
        self._reading: asyncio.Future[Loaded] | None = None
        self._again = False

    def __repr__(self) -> str:
        return f"Credentials({self._now})"

    @property
    def users(self) -> Userlist:
        return self._now.users

    @property
    def query(self) -> tuple[str, UpstreamDsn | None] | None:
        """The query for verifiers, and its own account; None where there is no such query."""
        auth = self._settings.auth
        if auth.query is None and auth.query_dsn is None:
            return None
        return (DEFAULT_QUERY if auth.query in (None, "default") else str(auth.query)), auth.query_dsn

    def door(self, lookup: Lookup | None = None) -> Door:
        """How clients are let in from now on; what is loaded later counts for those who come later."""
        auth, tls = self._settings.auth, self._settings.tls
        return Door(
            AuthMethod(auth.method),
            users=lambda: self._now.users,
            tls=lambda: self._now.tls,
            require_tls=tls is not None and tls.require,
            require_cert=tls is not None and tls.client_cert == "require",
            names=lambda: self._now.names,
            lookup=lookup,
        )

    def reload(self) -> None:
        """Begins to read the files again. Called meanwhile, they are read once more after that."""
        if self._reading is not None:
            self._again = True
            return
        self._again = False
        loop = asyncio.get_running_loop()
        self._reading = loop.run_in_executor(None, _read_again, self._settings, self._now)
        self._reading.add_done_callback(self._take)

    def _take(self, reading: asyncio.Future[Loaded]) -> None:
        self._reading = None
        if reading.cancelled():
            return
        self._now = reading.result()
        _log.info("users and certificates were read again", count=len(self._now.users))
        if self._again:
            self.reload()


def _read_again(settings: Settings, old: Loaded) -> Loaded:
    """What is wrong is told in our own words: files, lines, OpenSSL's constants."""
    users, tls, names = old.users, old.tls, old.names
    try:
        users = _users(settings).after(old.users)
    except ConfigError as error:
        _log.error("the new users file cannot be used; the old list stays", reason=error.message)
    try:
        tls = _tls(settings)
    except ConfigError as error:
        _log.error("the new TLS files cannot be used; the old certificate stays", reason=error.message)
    try:
        names = _names(settings)
    except ConfigError as error:
        _log.error("the new auth.cert_map cannot be used; the old one stays", reason=error.message)
    return Loaded(users, tls, names)


def _users(settings: Settings) -> Userlist:
    auth = settings.auth
    if AuthMethod(auth.method) not in _WITH_USERS:
        return Userlist({})
    seed = _seed(settings)
    asked = auth.query is not None or auth.query_dsn is not None
    if asked and "users" not in auth.model_fields_set and not Path(auth.users).exists():
        return Userlist({}, seed)
    return load_userlist(auth.users, seed)


def _seed(settings: Settings) -> bytes:
    """A secret that is the same for every worker and after a restart, where the settings have one."""
    dsn = settings.auth.query_dsn or settings.upstream.dsn
    if dsn is None or dsn.password is None:
        return b""
    return hashlib.sha256(b"pgveil made-up verifiers\n" + dsn.password.get_secret_value().encode()).digest()


def _tls(settings: Settings) -> ServerTls | None:
    tls = settings.tls
    return None if tls is None else load_server_tls(tls.cert, tls.key, tls.client_ca)


def _names(settings: Settings) -> CertNames:
    auth = settings.auth
    lines = None if auth.cert_map is None else load_cert_map(auth.cert_map)
    return CertNames(NamePart(auth.cert_name), lines)
