"""What every message has in common: a code, a body, and a repr without values."""

from __future__ import annotations

from dataclasses import fields
from typing import ClassVar, Self

from proxy.wire.codec import Reader, pack_frame


class Message:
    """Base of the messages; each is a frozen dataclass with PostgreSQL's name.

    `decode` reads a body, `body` writes it, `encode` gives the whole frame.
    """

    __slots__ = ()
    code: ClassVar[int]
    shown: ClassVar[frozenset[str]] = frozenset()
    """Fields whose value a repr may show: names that the protocol fixes. Numbers always show."""

    @classmethod
    def decode(cls, reader: Reader) -> Self:  # noqa: ARG003
        return cls()

    def body(self) -> bytes:
        return b""

    def encode(self) -> bytes:
        return pack_frame(self.code, self.body())

    def __repr__(self) -> str:
        shown = (f"{f.name}={self._show(f.name)}" for f in fields(self))  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(shown)})"

    def _show(self, name: str) -> str:
        value = getattr(self, name)
        if value is None or isinstance(value, int) or name in self.shown:
            return repr(value)
        unit = "bytes" if isinstance(value, bytes) else "characters" if isinstance(value, str) else "items"
        return f"<{len(value)} {unit}>"
