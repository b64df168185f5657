"""The password file of the DSN: `host:port:database:user:password`, one login a line, as libpq reads it.

https://www.postgresql.org/docs/current/libpq-pgpass.html. A `*` matches anything; a backslash takes the next character
as it is. Only a file that the DSN names (`passfile`) is read.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path

from proxy.errors import UpstreamUnavailableError
from proxy.settings import UpstreamDsn
from proxy.settings.addresses import UpstreamHost

_FIELD = re.compile(r"((?:[^:\\]|\\.?)*):")
_ESCAPED = re.compile(r"\\(.?)")
_FIELDS = 4


def find_password(path: Path, dsn: UpstreamDsn, host: UpstreamHost) -> str | None:
    """The password of the DSN's account at this host, or None. Raises UpstreamUnavailableError for a file that others
    may read, or that is not there."""
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise UpstreamUnavailableError("the file of passfile may be read by others", hint="Give it mode 600.")
        # Passwords are bytes, and only these two end a line.
        text = path.read_bytes().decode(errors="surrogateescape")
        lines = [line.rstrip("\r") for line in text.split("\n")]
    except OSError:
        raise UpstreamUnavailableError(
            "the file of passfile cannot be read", hint="Look at passfile in upstream.dsn."
        ) from None
    places = (host.host, "localhost") if host.socket_path else (host.host,)
    for line in lines:
        found = _parse(line)
        if found is None:
            continue
        (place, *rest), password = found
        wanted = zip(rest, (str(host.port), dsn.database, dsn.user), strict=True)
        if (place == "*" or _plain(place) in places) and all(f == "*" or _plain(f) == w for f, w in wanted):
            return password
    return None


def _parse(line: str) -> tuple[list[str], str] | None:
    """The four fields, escaped as they are, and the password. None for a comment or what is not a login."""
    if line.startswith("#"):
        return None
    fields: list[str] = []
    position = 0
    while len(fields) < _FIELDS:
        match = _FIELD.match(line, position)
        if match is None:
            return None
        fields.append(match[1])
        position = match.end()
    return fields, _plain(line[position:])


def _plain(field: str) -> str:
    return _ESCAPED.sub(r"\1", field)
