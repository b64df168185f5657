"""The TLS side of a connection to the database, with libpq's meanings.

https://www.postgresql.org/docs/current/libpq-ssl.html: where there is a root certificate, the server's chain is
verified in every mode that encrypts, so `require` with one is `verify-ca`; `verify-ca` and `verify-full` do not go
without. Files that the DSN does not name are looked for below `~/.postgresql`, as libpq does. Stricter than libpq in
one thing: a revocation list that is named and not there is an error.

A context is kept for as long as its files are the same: certificates may be replaced while the proxy runs.
It does not connect, and it does not look at the server's name (`wire.certificate` does).
"""

from __future__ import annotations

import os
import ssl
import stat
from functools import lru_cache
from pathlib import Path

from proxy.errors import UpstreamUnavailableError
from proxy.settings.libpq import SYSTEM_ROOTS, TlsWish

ALPN = "postgresql"
_VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_OF_ROOTS = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO
KEY_MODE = "Give it mode 600, or 640 if root owns it."
_Stamp = tuple[int, int, int, int] | None


class TlsSetupError(UpstreamUnavailableError):
    """The operator's: a file of the DSN's TLS parameters cannot be used (SQLSTATE 08001)."""


def client_context(wish: TlsWish) -> ssl.SSLContext:
    """Reads files: call it from a thread. Raises TlsSetupError, which names the parameter and no path."""
    files = _Files(wish)
    return _context(wish, files, tuple(_stamp(path) for path in files.all()))


class _Files:
    """Which files there are, by name or by default. Equal where they are the same."""

    def __init__(self, wish: TlsWish) -> None:
        home = _home()
        self.root = None if wish.root == SYSTEM_ROOTS else _found(wish.root, home, "root.crt")
        self.cert = _found(wish.cert, home, "postgresql.crt")
        self.key = _found(wish.key, home, "postgresql.key")
        self.crl = _found(wish.crl, None if wish.crl_dir else home, "root.crl")

    def all(self) -> tuple[Path | None, ...]:
        return self.root, self.cert, self.key, self.crl

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Files) and self.all() == other.all()

    def __hash__(self) -> int:
        return hash(self.all())


def _home() -> Path | None:
    try:
        return Path.home() / ".postgresql"
    except (RuntimeError, KeyError):
        return None


def _found(named: str | None, home: Path | None, default: str) -> Path | None:
    """The file that is named, or the default one where it is there."""
    if named is not None:
        return Path(named)
    if home is None:
        return None
    try:
        return home / default if (home / default).exists() else None
    except OSError:
        return None


def _stamp(path: Path | None) -> _Stamp:
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size, found.st_mode


@lru_cache(maxsize=8)
def _context(wish: TlsWish, files: _Files, stamps: tuple[_Stamp, ...]) -> ssl.SSLContext:  # noqa: ARG001 - the key
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # by libpq's rules, after the handshake and before anything is sent
    context.minimum_version = _VERSIONS[wish.minimum]
    if wish.maximum is not None:
        context.maximum_version = _VERSIONS[wish.maximum]
    context.set_alpn_protocols([ALPN])
    _trust(context, wish, files)
    _identify(context, wish, files)
    return context


def _trust(context: ssl.SSLContext, wish: TlsWish, files: _Files) -> None:
    if wish.root == SYSTEM_ROOTS:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    elif files.root is not None and (wish.mode.startswith("verify-") or files.root.exists()):
        _load(context, "sslrootcert", files.root)
    elif wish.mode.startswith("verify-"):
        raise TlsSetupError(
            f"sslmode={wish.mode} needs a root certificate, and there is none",
            hint="Name it in upstream.dsn with sslrootcert, or use the system's own with sslrootcert=system.",
        )
    else:
        context.verify_mode = ssl.CERT_NONE
        return
    context.verify_mode = ssl.CERT_REQUIRED
    # A root in OpenSSL's sense, as for libpq: no issuer of the file may be taken for one.
    context.verify_flags &= ~(ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT)
    if files.crl is not None or wish.crl_dir is not None:
        if files.crl is not None:
            _load(context, "sslcrl", files.crl)
        if wish.crl_dir is not None:
            _load_directory(context, wish.crl_dir)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN


def _load(context: ssl.SSLContext, name: str, path: Path) -> None:
    try:
        context.load_verify_locations(cafile=path)
    except (OSError, ssl.SSLError):
        raise TlsSetupError(
            f"the file of {name} cannot be read, or is not PEM", hint=f"Look at {name} in upstream.dsn."
        ) from None


def _load_directory(context: ssl.SSLContext, directory: str) -> None:
    if not Path(directory).is_dir():
        raise TlsSetupError("the directory of sslcrldir is not there", hint="Look at sslcrldir in upstream.dsn.")
    context.load_verify_locations(capath=directory)


def _identify(context: ssl.SSLContext, wish: TlsWish, files: _Files) -> None:
    """The proxy's own certificate, for servers that ask for one."""
    if files.cert is None:
        return
    key = files.key
    if key is not None:
        _check_mode(key)
    password = "" if wish.key_password is None else wish.key_password.get_secret_value()
    try:
        # A password that is asked for and not set must not be asked for on a terminal.
        context.load_cert_chain(files.cert, key, password=lambda: password)
    except (OSError, ssl.SSLError):
        raise TlsSetupError(
            "the client certificate for the database or its key cannot be used",
            hint="Look at sslcert, sslkey and sslpassword in upstream.dsn: PEM files that belong together.",
        ) from None


def _check_mode(key: Path) -> None:
    """As libpq: u=rw (0600) or less, or u=rw,g=r (0640) or less where root owns it."""
    try:
        found = key.stat()
    except OSError:
        raise TlsSetupError("the file of sslkey is not there", hint="Look at sslkey in upstream.dsn.") from None
    if open_to_others(found):
        raise TlsSetupError("the file of sslkey may be read by others than its owner", hint=KEY_MODE)


def open_to_others(key: os.stat_result) -> bool:
    """Whether more people than PostgreSQL and libpq put up with may use a private key's file."""
    return bool(key.st_mode & (_OTHERS_OF_ROOTS if key.st_uid == 0 else _OTHERS))
