"""ErrorResponse and NoticeResponse: read from a server, and made from an error of ours.

The fields' codes: https://www.postgresql.org/docs/current/protocol-error-fields.html
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Self

from pg8000 import core  # type: ignore[import-untyped]

from proxy.errors import PgveilError
from proxy.wire.codec import Code, Reader, Writer
from proxy.wire.message import Message


@dataclass(frozen=True, slots=True, repr=False)
class _Report(Message):
    """Fields by their codes, in the server's order.

    Text that is not UTF-8 (at login a server writes in an encoding of its own) is read with U+FFFD.
    """

    fields: tuple[tuple[str, str], ...]

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        fields = []
        while (code := reader.byte()) != 0:
            fields.append((chr(code), reader.cstring().decode(errors="replace")))
        return cls(tuple(fields))

    def body(self) -> bytes:
        writer = Writer()
        for code, text in self.fields:
            writer.raw(code.encode("latin-1")).cstring(text.replace("\0", "").encode(errors="replace"))
        return writer.byte(0).body()

    def get(self, code: str) -> str | None:
        """The text of the first field with this code."""
        return next((text for c, text in self.fields if c == code), None)

    def only(self, codes: Iterable[str]) -> Self:
        """The same without every field whose code is not among `codes`."""
        keep = frozenset(codes)
        return type(self)(tuple(f for f in self.fields if f[0] in keep))

    @property
    def sqlstate(self) -> str:
        return self.get(core.RESPONSE_CODE) or ""

    @property
    def severity(self) -> str:
        """Never translated where the server is 9.6 or newer."""
        return self.get("V") or self.get("S") or ""

    def __repr__(self) -> str:
        codes = "".join(code for code, _ in self.fields)
        return f"{type(self).__name__}({self.severity!r}, {self.sqlstate!r}, fields={codes!r})"


@dataclass(frozen=True, slots=True, repr=False)
class ErrorResponse(_Report):
    code: ClassVar[int] = Code.ERROR_RESPONSE


@dataclass(frozen=True, slots=True, repr=False)
class NoticeResponse(_Report):
    code: ClassVar[int] = Code.NOTICE_RESPONSE


def error_response(err: PgveilError, severity: str = "ERROR") -> ErrorResponse:
    """The ErrorResponse of an error of ours. `severity` FATAL: the connection ends with it."""
    return ErrorResponse(_report(severity, err.sqlstate, err))


def notice_response(
    message: str,
    *,
    sqlstate: str = "00000",
    severity: str = "NOTICE",
    detail: str | None = None,
    hint: str | None = None,
) -> NoticeResponse:
    return NoticeResponse(_report(severity, sqlstate, PgveilError(message, detail=detail, hint=hint)))


def _report(severity: str, sqlstate: str, err: PgveilError) -> tuple[tuple[str, str], ...]:
    fields = (
        ("S", severity),
        ("V", severity),
        (core.RESPONSE_CODE, sqlstate),
        (core.RESPONSE_MSG, err.message),
        (core.RESPONSE_DETAIL, err.detail),
        (core.RESPONSE_HINT, err.hint),
        (core.RESPONSE_POSITION, None if err.position is None else str(err.position)),
    )
    return tuple((code, text) for code, text in fields if text is not None)
