"""What the client of shared connections was told about settings that the server reports, and what it is told next.

It does not know what makes a setting change.
"""

from __future__ import annotations

from collections.abc import Mapping

from proxy.errors import UpstreamError
from proxy.serverconn import Conn
from proxy.wire.buffer import Frame
from proxy.wire.codec import Bytes
from proxy.wire.messages import ParameterStatus, decode_backend


class Told:
    """Of one session."""

    __slots__ = ("_own", "_seen", "reset")

    def __init__(self, reported: Mapping[str, str], own: Mapping[bytes, bytes]) -> None:
        """`reported`: what it was told at its login; `own`: what of its startup packet is set on every connection."""
        self._own = own
        self._seen = reported
        """What it was told last. Shared with other sessions and connections, so never changed in place."""
        self.reset = False
        """Settings are given back the values that they began with."""

    def __repr__(self) -> str:
        return f"Told({len(self._seen)} settings)"

    def catch_up(self, conn: Conn) -> list[bytes]:
        """The settings of a connection that are not what it was told last, as messages."""
        seen = self._seen
        if conn.reported is seen:
            return []
        if conn.reported == seen:
            conn.reported = seen  # that is seen at once from here on
            return []
        changed = {name: value for name, value in conn.reported.items() if seen.get(name) != value}
        self._seen = {**seen, **changed}
        return [ParameterStatus(name, value).encode() for name, value in changed.items()]

    def parameter(self, conn: Conn, frame: Frame, *, ours: bool) -> list[Bytes]:
        """What it hears of a ParameterStatus. `ours`: that came in answer to a message of the proxy's."""
        message = decode_backend(frame)
        if not isinstance(message, ParameterStatus):
            raise UpstreamError("the server's ParameterStatus cannot be read")
        name, value = message.name, message.value
        conn.reported = {**conn.reported, name: value}
        own = self._own.get(name.encode()) if self.reset else None
        if own is None:
            if ours or self._seen.get(name) == value:  # what was set by us, and given back, is no news
                return []
            self._seen = {**self._seen, name: value}
            return [frame.raw]
        if self._seen.get(name) == own.decode():
            return []
        # RESET gives back what the connection began with, and not what the session did
        self._seen = {**self._seen, name: own.decode()}
        return [ParameterStatus(name, own.decode()).encode()]
