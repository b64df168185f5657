"""The open sessions of a process, and the cancel keys that their clients were told.

A key's process number is that of the server process behind the session, so that pg_backend_pid(), notifications and
pg_stat_activity speak of the same one; a session without a connection of its own gets one that is made up. So it is the
secret that tells sessions apart, and workers: it is random, but for the remainder of its first four bytes by the number
of workers, which is the worker (`workers.crew`).
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field

from proxy.relay import Relay
from proxy.wire.messages import BackendKeyData
from proxy.wire.startup import CancelRequest
from proxy.workers.crew import Crew, make_secret

_SHORT_KEY, _LONG_KEY = 4, 32
_NUMBERS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class _Key:
    secret: bytes = field(repr=False)
    relay: Relay


@dataclass(slots=True)
class Sessions:
    """By process number; several servers may have processes of one number."""

    crew: Crew = field(default_factory=Crew)
    _keys: dict[int, tuple[_Key, ...]] = field(default_factory=dict)
    _count: int = 0

    def __len__(self) -> int:
        return self._count

    def relays(self) -> list[Relay]:
        return [key.relay for keys in self._keys.values() for key in keys]

    def make_key(self, upstream: BackendKeyData | None, *, long: bool) -> BackendKeyData:
        """For a session whose connection has this key, if it has its own; 4 bytes of secret (protocol 3.0) or 32."""
        number = secrets.randbelow(_NUMBERS) + 1 if upstream is None else upstream.process_id
        return BackendKeyData(number, make_secret(self.crew, _LONG_KEY if long else _SHORT_KEY))

    def add(self, key: BackendKeyData, relay: Relay) -> None:
        self._keys[key.process_id] = (*self._keys.get(key.process_id, ()), _Key(key.secret_key, relay))
        self._count += 1

    def remove(self, key: BackendKeyData) -> None:
        """As often as one likes."""
        before = self._keys.pop(key.process_id, ())
        left = tuple(kept for kept in before if kept.secret != key.secret_key)
        if left:
            self._keys[key.process_id] = left
        self._count -= len(before) - len(left)

    def find(self, request: CancelRequest) -> Relay | None:
        """The session that the request names with the right secret, compared in constant time."""
        found = None
        for key in self._keys.get(request.process_id, ()):
            if hmac.compare_digest(key.secret, request.secret_key):
                found = key.relay
        return None if found is None or found.ended else found
