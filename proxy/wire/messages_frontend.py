"""The messages that a client sends after its startup packet, and one table from code to class.

https://www.postgresql.org/docs/current/protocol-message-formats.html

A body that is short, or has bytes left over, is a ProtocolError. What PostgreSQL itself answers with an
ordinary ERROR (format codes and counts that do not agree, unknown statements) is the server's to judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from proxy.errors import ProtocolError
from proxy.wire import peek
from proxy.wire.buffer import Frame
from proxy.wire.codec import HEADER_SIZE, Code, Reader, Writer, sql_text
from proxy.wire.message import Message

STATEMENT: Final = "S"
PORTAL: Final = "P"


@dataclass(frozen=True, slots=True, repr=False)
class Query(Message):
    """A simple query. `query` is in the client's encoding."""

    code: ClassVar[int] = Code.QUERY
    query: bytes

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(reader.cstring())

    def body(self) -> bytes:
        return Writer().cstring(self.query).body()

    def text(self) -> str:
        """The SQL. Raises EncodingError (22021) where it is not UTF-8."""
        return sql_text(self.query)


@dataclass(frozen=True, slots=True, repr=False)
class Parse(Message):
    """Prepares a statement. `parameter_types` are type OIDs, 0 where the server shall find out."""

    code: ClassVar[int] = Code.PARSE
    name: str
    query: bytes
    parameter_types: tuple[int, ...] = ()

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        name, query = reader.name(), reader.cstring()
        return cls(name, query, reader.uint32s())

    def body(self) -> bytes:
        return Writer().name(self.name).cstring(self.query).uint32s(self.parameter_types).body()

    def text(self) -> str:
        """The SQL. Raises EncodingError (22021) where it is not UTF-8."""
        return sql_text(self.query)


@dataclass(frozen=True, slots=True, repr=False)
class Bind(Message):
    """Makes a portal of a statement. None among `parameters` is NULL. Formats: 0 text, 1 binary."""

    code: ClassVar[int] = Code.BIND
    portal: str
    statement: str
    parameter_formats: tuple[int, ...] = ()
    parameters: tuple[bytes | None, ...] = ()
    result_formats: tuple[int, ...] = ()

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        portal, statement = reader.name(), reader.name()
        return cls(portal, statement, reader.int16s(), reader.values(), reader.int16s())

    def body(self) -> bytes:
        writer = Writer().name(self.portal).name(self.statement).int16s(self.parameter_formats)
        return writer.values(self.parameters).int16s(self.result_formats).body()


def bind_names(frame: Frame) -> tuple[str, str]:
    """Portal and statement of a Bind that is passed on as it is: its values are the server's to read."""
    return peek.bind_names(frame.raw)


def statement_text(frame: Frame, limit: int) -> bytes:
    """The SQL of a Query or Parse, without a full decoding; empty where the frame is longer than `limit` bytes."""
    return peek.statement_text(frame.raw, limit)


@dataclass(frozen=True, slots=True, repr=False)
class Describe(Message):
    """`kind` is STATEMENT or PORTAL."""

    code: ClassVar[int] = Code.DESCRIBE
    shown: ClassVar[frozenset[str]] = frozenset({"kind"})
    kind: str
    name: str

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(_kind(reader), reader.name())

    def body(self) -> bytes:
        return Writer().raw(self.kind.encode("ascii")).name(self.name).body()


@dataclass(frozen=True, slots=True, repr=False)
class Close(Message):
    """`kind` is STATEMENT or PORTAL."""

    code: ClassVar[int] = Code.CLOSE
    shown: ClassVar[frozenset[str]] = frozenset({"kind"})
    kind: str
    name: str

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(_kind(reader), reader.name())

    def body(self) -> bytes:
        return Writer().raw(self.kind.encode("ascii")).name(self.name).body()


@dataclass(frozen=True, slots=True, repr=False)
class Execute(Message):
    """Runs a portal. `max_rows` 0 means all."""

    code: ClassVar[int] = Code.EXECUTE
    portal: str
    max_rows: int = 0

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(reader.name(), reader.int32())

    def body(self) -> bytes:
        return Writer().name(self.portal).int32(self.max_rows).body()


@dataclass(frozen=True, slots=True, repr=False)
class Flush(Message):
    code: ClassVar[int] = Code.FLUSH


@dataclass(frozen=True, slots=True, repr=False)
class Sync(Message):
    code: ClassVar[int] = Code.SYNC


@dataclass(frozen=True, slots=True, repr=False)
class Terminate(Message):
    code: ClassVar[int] = Code.TERMINATE


@dataclass(frozen=True, slots=True, repr=False)
class FunctionCall(Message):
    """The old fast path: a function by OID."""

    code: ClassVar[int] = Code.FUNCTION_CALL
    function_oid: int
    argument_formats: tuple[int, ...] = ()
    arguments: tuple[bytes | None, ...] = ()
    result_format: int = 0

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(reader.uint32(), reader.int16s(), reader.values(), reader.int16())

    def body(self) -> bytes:
        writer = Writer().uint32(self.function_oid).int16s(self.argument_formats).values(self.arguments)
        return writer.int16(self.result_format).body()


@dataclass(frozen=True, slots=True, repr=False)
class CopyData(Message):
    """A piece of a COPY stream, in either direction; pieces need not be rows."""

    code: ClassVar[int] = Code.COPY_DATA
    data: bytes

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(reader.rest())

    def body(self) -> bytes:
        return self.data


@dataclass(frozen=True, slots=True, repr=False)
class CopyDone(Message):
    """The end of a COPY stream, in either direction."""

    code: ClassVar[int] = Code.COPY_DONE


@dataclass(frozen=True, slots=True, repr=False)
class CopyFail(Message):
    code: ClassVar[int] = Code.COPY_FAIL
    reason: str

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(reader.name())

    def body(self) -> bytes:
        return Writer().name(self.reason).body()


@dataclass(frozen=True, slots=True, repr=False)
class PasswordMessage(Message):
    """Any message with the code `p`. What `data` is depends on what the server asked for: see `as_...`."""

    code: ClassVar[int] = Code.PASSWORD
    data: bytes

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(reader.rest())

    @classmethod
    def of(cls, password: bytes) -> Self:
        """The answer to AuthenticationCleartextPassword or AuthenticationMD5Password."""
        return cls(Writer().cstring(password).body())

    def body(self) -> bytes:
        return self.data

    def as_sasl_initial(self) -> SASLInitialResponse:
        reader = Reader(self.data, what="SASLInitialResponse")
        initial = SASLInitialResponse.decode(reader)
        reader.finish()
        return initial

    def as_sasl(self) -> SASLResponse:
        return SASLResponse(self.data)


@dataclass(frozen=True, slots=True, repr=False)
class SASLInitialResponse(Message):
    """The client's choice of mechanism. `data` None: no initial response (the length -1)."""

    code: ClassVar[int] = Code.PASSWORD
    shown: ClassVar[frozenset[str]] = frozenset({"mechanism"})
    mechanism: str
    data: bytes | None

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(reader.name(), reader.value())

    def body(self) -> bytes:
        return Writer().name(self.mechanism).value(self.data).body()


@dataclass(frozen=True, slots=True, repr=False)
class SASLResponse(Message):
    code: ClassVar[int] = Code.PASSWORD
    data: bytes

    @classmethod
    def decode(cls, reader: Reader) -> Self:
        return cls(reader.rest())

    def body(self) -> bytes:
        return self.data


FrontendMessage = (
    Query
    | Parse
    | Bind
    | Describe
    | Execute
    | Close
    | Flush
    | Sync
    | Terminate
    | FunctionCall
    | CopyData
    | CopyDone
    | CopyFail
    | PasswordMessage
)

FRONTEND: Mapping[int, type[FrontendMessage]] = {
    cls.code: cls
    for cls in (
        Query,
        Parse,
        Bind,
        Describe,
        Execute,
        Close,
        Flush,
        Sync,
        Terminate,
        FunctionCall,
        CopyData,
        CopyDone,
        CopyFail,
        PasswordMessage,
    )
}


def decode_frontend(frame: Frame) -> FrontendMessage:
    """The message in a client's frame. ProtocolError for an unknown code, a short body or leftovers."""
    cls = FRONTEND.get(frame.tag)
    if cls is None:
        raise ProtocolError(f"invalid frontend message type {frame.tag}")
    reader = Reader(frame.raw, HEADER_SIZE, cls.__name__)
    message = cls.decode(reader)
    reader.finish()
    return message


def _kind(reader: Reader) -> str:
    kind = reader.take(1)
    if kind not in {b"S", b"P"}:
        raise ProtocolError(f"{reader.what} message names neither a statement nor a portal")
    return kind.decode("ascii")
