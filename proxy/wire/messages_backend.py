"""The messages that a server sends, authentication apart, and one table from code to class.

https://www.postgresql.org/docs/current/protocol-message-formats.html

A body that is short, or has bytes left over, is a ProtocolError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from proxy.errors import ProtocolError
from proxy.wire.buffer import Frame
from proxy.wire.codec import HEADER_SIZE, Code, Reader, Writer
from proxy.wire.message import Message
from proxy.wire.messages_auth import Authentication, decode_authentication
from proxy.wire.messages_frontend import CopyData, CopyDone
from proxy.wire.messages_report import ErrorResponse, NoticeResponse

IDLE: Final = "I"
IN_TRANSACTION: Final = "T"
FAILED: Final = "E"
_STATUS = frozenset({IDLE, IN_TRANSACTION, FAILED})


@dataclass(frozen=True, slots=True, repr=False)
class BackendKeyData(Message):
    """What a CancelRequest must bring. Four bytes of `secret_key` in protocol 3.0, 4 to 256 in 3.2."""

    code: ClassVar[int] = Code.BACKEND_KEY_DATA
    process_id: int
    secret_key: bytes

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        process_id, key = reader.int32(), reader.rest()
        if not 4 <= len(key) <= 256:  # noqa: PLR2004
            raise ProtocolError(f"BackendKeyData has a key of {len(key)} bytes")
        return cls(process_id, key)

    def body(self) -> bytes:
        return Writer().int32(self.process_id).raw(self.secret_key).body()


@dataclass(frozen=True, slots=True, repr=False)
class ParameterStatus(Message):
    code: ClassVar[int] = Code.PARAMETER_STATUS
    name: str
    value: str

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(reader.name(), reader.name())

    def body(self) -> bytes:
        return Writer().name(self.name).name(self.value).body()


@dataclass(frozen=True, slots=True, repr=False)
class ReadyForQuery(Message):
    """`status` is IDLE, IN_TRANSACTION or FAILED."""

    code: ClassVar[int] = Code.READY_FOR_QUERY
    shown: ClassVar[frozenset[str]] = frozenset({"status"})
    status: str

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        status = chr(reader.byte())
        if status not in _STATUS:
            raise ProtocolError("ReadyForQuery has an unknown transaction status")
        return cls(status)

    def body(self) -> bytes:
        return self.status.encode("ascii")


@dataclass(frozen=True, slots=True)
class FieldDescription:
    """One column of a result. `table_oid` and `column` (attribute number) are 0 where no table has it."""

    name: str
    table_oid: int
    column: int
    type_oid: int
    type_size: int
    type_modifier: int
    format: int


@dataclass(frozen=True, slots=True, repr=False)
class RowDescription(Message):
    code: ClassVar[int] = Code.ROW_DESCRIPTION
    fields: tuple[FieldDescription, ...]

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(tuple(_field(reader) for _ in range(reader.count())))

    def body(self) -> bytes:
        writer = Writer().count(len(self.fields))
        for f in self.fields:
            writer.name(f.name).uint32(f.table_oid).int16(f.column)
            writer.uint32(f.type_oid).int16(f.type_size).int32(f.type_modifier).int16(f.format)
        return writer.body()


def _field(reader: Reader) -> FieldDescription:
    name, table_oid, column = reader.name(), reader.uint32(), reader.int16()
    type_oid, size, modifier = reader.uint32(), reader.int16(), reader.int32()
    return FieldDescription(name, table_oid, column, type_oid, size, modifier, reader.int16())


@dataclass(frozen=True, slots=True, repr=False)
class DataRow(Message):
    """One row; None is NULL."""

    code: ClassVar[int] = Code.DATA_ROW
    values: tuple[bytes | None, ...]

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(reader.values())

    def body(self) -> bytes:
        return Writer().values(self.values).body()


@dataclass(frozen=True, slots=True, repr=False)
class CommandComplete(Message):
    """`tag` is for example `SELECT 3`."""

    code: ClassVar[int] = Code.COMMAND_COMPLETE
    shown: ClassVar[frozenset[str]] = frozenset({"tag"})
    tag: str

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(reader.name())

    def body(self) -> bytes:
        return Writer().name(self.tag).body()


@dataclass(frozen=True, slots=True, repr=False)
class ParseComplete(Message):
    code: ClassVar[int] = Code.PARSE_COMPLETE


@dataclass(frozen=True, slots=True, repr=False)
class BindComplete(Message):
    code: ClassVar[int] = Code.BIND_COMPLETE


@dataclass(frozen=True, slots=True, repr=False)
class CloseComplete(Message):
    code: ClassVar[int] = Code.CLOSE_COMPLETE


@dataclass(frozen=True, slots=True, repr=False)
class NoData(Message):
    code: ClassVar[int] = Code.NO_DATA


@dataclass(frozen=True, slots=True, repr=False)
class PortalSuspended(Message):
    code: ClassVar[int] = Code.PORTAL_SUSPENDED


@dataclass(frozen=True, slots=True, repr=False)
class EmptyQueryResponse(Message):
    code: ClassVar[int] = Code.EMPTY_QUERY_RESPONSE


@dataclass(frozen=True, slots=True, repr=False)
class ParameterDescription(Message):
    code: ClassVar[int] = Code.PARAMETER_DESCRIPTION
    type_oids: tuple[int, ...]

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(reader.uint32s())

    def body(self) -> bytes:
        return Writer().uint32s(self.type_oids).body()


@dataclass(frozen=True, slots=True, repr=False)
class _CopyResponse(Message):
    """`format` of the whole stream (0 text, 1 binary), and of each column."""

    format: int
    column_formats: tuple[int, ...]

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(reader.byte(), reader.int16s())

    def body(self) -> bytes:
        return Writer().byte(self.format).int16s(self.column_formats).body()


@dataclass(frozen=True, slots=True, repr=False)
class CopyInResponse(_CopyResponse):
    code: ClassVar[int] = Code.COPY_IN_RESPONSE


@dataclass(frozen=True, slots=True, repr=False)
class CopyOutResponse(_CopyResponse):
    code: ClassVar[int] = Code.COPY_OUT_RESPONSE


@dataclass(frozen=True, slots=True, repr=False)
class CopyBothResponse(_CopyResponse):
    """Streaming replication only."""

    code: ClassVar[int] = Code.COPY_BOTH_RESPONSE


@dataclass(frozen=True, slots=True, repr=False)
class NotificationResponse(Message):
    code: ClassVar[int] = Code.NOTIFICATION_RESPONSE
    process_id: int
    channel: str
    payload: str

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(reader.int32(), reader.name(), reader.name())

    def body(self) -> bytes:
        return Writer().int32(self.process_id).name(self.channel).name(self.payload).body()


@dataclass(frozen=True, slots=True, repr=False)
class FunctionCallResponse(Message):
    code: ClassVar[int] = Code.FUNCTION_CALL_RESPONSE
    value: bytes | None

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(reader.value())

    def body(self) -> bytes:
        return Writer().value(self.value).body()


@dataclass(frozen=True, slots=True, repr=False)
class NegotiateProtocolVersion(Message):
    """The newest version that the server speaks (major * 65536 + minor), and the options unknown to it."""

    code: ClassVar[int] = Code.NEGOTIATE_PROTOCOL_VERSION
    version: int
    options: tuple[str, ...] = ()

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        version, count = reader.int32(), reader.uint32()
        return cls(version, tuple(reader.name() for _ in range(count)))

    def body(self) -> bytes:
        writer = Writer().int32(self.version).uint32(len(self.options))
        for option in self.options:
            writer.name(option)
        return writer.body()


BackendMessage = (
    Authentication
    | BackendKeyData
    | ParameterStatus
    | ReadyForQuery
    | RowDescription
    | DataRow
    | CommandComplete
    | ErrorResponse
    | NoticeResponse
    | ParseComplete
    | BindComplete
    | CloseComplete
    | NoData
    | PortalSuspended
    | EmptyQueryResponse
    | ParameterDescription
    | CopyInResponse
    | CopyOutResponse
    | CopyBothResponse
    | CopyData
    | CopyDone
    | NotificationResponse
    | FunctionCallResponse
    | NegotiateProtocolVersion
)

_SIMPLE = (
    BackendKeyData,
    ParameterStatus,
    ReadyForQuery,
    RowDescription,
    DataRow,
    CommandComplete,
    ErrorResponse,
    NoticeResponse,
    ParseComplete,
    BindComplete,
    CloseComplete,
    NoData,
    PortalSuspended,
    EmptyQueryResponse,
    ParameterDescription,
    CopyInResponse,
    CopyOutResponse,
    CopyBothResponse,
    CopyData,
    CopyDone,
    NotificationResponse,
    FunctionCallResponse,
    NegotiateProtocolVersion,
)

_Decode = Callable[[Reader], BackendMessage]

BACKEND: Mapping[int, tuple[str, _Decode]] = {
    Code.AUTHENTICATION: ("Authentication", decode_authentication),
    **{cls.code: (cls.__name__, cls.decode) for cls in _SIMPLE},
}


def decode_backend(frame: Frame) -> BackendMessage:
    """The message in a server's frame. ProtocolError for an unknown code, a short body or leftovers."""
    name, decode = BACKEND.get(frame.tag, ("", None))
    if decode is None:
        raise ProtocolError(f"invalid backend message type {frame.tag}")
    reader = Reader(frame.raw, HEADER_SIZE, name)
    message = decode(reader)
    reader.finish()
    return message
