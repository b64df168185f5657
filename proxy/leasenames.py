"""Prepared statements of a session that changes its server connection: the client's names, and the server's.

A statement that the client prepares under a name is prepared on the server under another one, made from its text, its
parameter types and what it is analysed by (the session's settings). Where the connection of today does not have it, it
is prepared again ahead of the message that names it, with the parameter types that the server found the first time. Its
result has to have the same columns then: if it does not, the client is told in PostgreSQL's own words for a plan whose
result has changed, as it would be on a connection of its own.

Names that do not exist, and names that exist already, are the server's to complain about: it gets the client's name
where it knows none like it, and the existing statement's name where that shall be made again.

PostgreSQL keeps one name space for statements prepared by protocol and by SQL. A text that makes, runs or forgets
statements by SQL makes the session *native*: all its statements get their own names on the connection, which is the
session's from there on. One plain DEALLOCATE does not: it gets a statement to forget.

It does not know when connections change (`lease`).
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final

from proxy.leaseframes import (
    PREFIX,
    bound_name,
    close_frame,
    describe_frame,
    named,
    parse_frame,
    renamed,
    server_name,
    shape_of,
)
from proxy.leasetypes import Entry, Kept, Line, Mark
from proxy.policy.sessionstate import CLEAN, Trace
from proxy.refusals import POISON_NAME, stale_response
from proxy.serverconn import Conn
from proxy.wire.buffer import Frame
from proxy.wire.codec import HEADER_SIZE, Code
from proxy.wire.peek import MAX_NAME
from proxy.wire.replies import Expected, Request

_REFUSED: Final = POISON_NAME.encode()


class Names:
    """Of one session."""

    __slots__ = (
        "_line",
        "_max",
        "_naming",
        "_own_unnamed",
        "_private",
        "_salt",
        "_sent",
        "_settled",
        "_unnamed",
        "_unnamed_sent",
        "_verified",
        "native",
    )

    def __init__(self, line: Line, max_prepared: int) -> None:
        self._line = line
        self._max = max_prepared
        self._settled: dict[bytes, Kept] = {}
        self._sent: dict[bytes, tuple[Entry, Kept | None]] = {}
        """What was sent and is not answered yet; None: it is being closed."""
        self._unnamed: Kept | None = None
        self._unnamed_sent: tuple[Entry, Kept | None, int] | None = None
        self._own_unnamed = False
        """Whether the connection's unnamed statement is this session's, or its lack of one."""
        self._naming: tuple[Entry, int] | None = None
        self._verified: dict[bytes, bytes | None] = {}
        """Shapes on this connection, since it was taken, by the server's names."""
        self._salt = b""
        self._private = secrets.token_bytes(8)
        self.native = False
        """Whether the connection has the session's statements under the client's own names."""

    def __repr__(self) -> str:
        return f"Names({len(self._settled)} statements, native={self.native})"

    def settings_are(self, settings: Mapping[bytes, bytes]) -> None:
        """What statements are analysed by from here on."""
        items = sorted(item for item in settings.items() if item[0] != b"application_name")
        self._salt = b"\0".join(part for item in items for part in item)

    def begin(self, conn: Conn) -> None:
        """A connection was taken."""
        self._verified.clear()
        self._own_unnamed = conn.unnamed_of is self
        self._naming = None

    def end(self, conn: Conn) -> None:
        """It goes back."""
        if self._own_unnamed:
            conn.unnamed_of = self

    # The client's messages. False: the message has to wait.

    def parse(self, frame: Frame, parts: tuple[bytes, bytes, bytes], trace: Trace) -> bool:
        """`parts`: its name, text and types."""
        name, text, types = parts
        kept = Kept(text, types, trace)
        if name and (self.native or name == _REFUSED):
            self._line.send_entry(frame.raw, Expected(Request.PARSE, Mark(kept=kept)))
            return True
        if not name:
            self._send_unnamed(frame.raw, kept, ours=False)
            return True
        if self._waits():
            return False
        known = self._find(name)
        if known is not None:  # the server is to say so
            if not self._ready(known, name):
                return False
            server = self._server_name(known)
            self._line.send_entry(
                parse_frame(server, text, types), Expected(Request.PARSE, Mark("again", kept, name, server))
            )
            return True
        self._sent[name] = (self._prepare(kept, name, ours=False), kept)
        self._ask_shape(kept, name, self._server_name(kept))
        return True

    def bind(self, frame: Frame) -> bool:
        found = bound_name(frame)
        if found is None:
            self._line.send_entry(frame.raw, Expected(Request.BIND, plain=True))
            return True
        start, end, name = found
        kept = self._resolve(name)
        if self.native and name:
            self._line.send_entry(frame.raw, Expected(Request.BIND))
            return True
        if self._waits() or not self._present(kept, name):
            return False
        if self._line.skipping:
            return True
        if self._is_stale(kept, name):
            self._line.refuse(frame, stale_response().encode())
            return True
        if kept is not None and kept.trace.sequences and not self._line.valued:
            self._line.refuse_sequence(frame)
            return True
        server = b"" if kept is None or not name else self._server_name(kept)
        if kept is not None:
            self._prepare_effects(kept.trace)
        if not server:
            self._line.send_entry(frame.raw, Expected(Request.BIND, plain=True))
        else:
            entry: Entry = Expected(Request.BIND, Mark("bind", kept, name, server), plain=True)
            self._line.send_entry(renamed(frame, start, end, server), entry)
        return True

    def _prepare_effects(self, trace: Trace) -> None:
        """Of a statement that will be executed."""
        if trace is CLEAN:
            return
        self._line.mark(trace)
        name = (trace.deallocates or "").encode()
        if trace.names and not self.native:
            self.go_native()
        elif name and self.find(name) is not None:
            self.give_stray(name)
            self._line.will_deallocate(name)

    def describe(self, frame: Frame) -> bool:
        name = named(frame)
        if name is None or (self.native and name):
            self._line.send_entry(frame.raw, Expected(Request.DESCRIBE, plain=True))
            return True
        kept = self._resolve(name)
        if self._waits() or not self._present(kept, name):
            return False
        if self._line.skipping:
            return True
        if self._is_stale(kept, name):
            self._line.refuse(frame, stale_response().encode())
        elif kept is None or not name:
            self._line.send_entry(frame.raw, Expected(Request.DESCRIBE, Mark("shape", kept)))
        else:
            server = self._server_name(kept)
            data = describe_frame(server)
            self._line.send_entry(data, Expected(Request.DESCRIBE, Mark("shape", kept, name, server)))
        return True

    def close(self, frame: Frame) -> bool:
        """The server's statement stays for the others; it is closed when there are too many."""
        name = named(frame)
        if name is None or (self.native and name):
            self._line.send_entry(frame.raw, Expected(Request.CLOSE))
            return True
        if self._waits():
            return False
        entry: Entry = Expected(Request.CLOSE, Mark("close", None, name))
        self._line.send_entry(frame.raw, entry)  # under this name the server has none
        self._naming = (entry, self._line.section)
        if name:
            self._sent[name] = (entry, None)
        else:
            self._unnamed_sent = (entry, None, self._line.section)
        return True

    def find(self, name: bytes) -> Kept | None:
        """What the client has prepared under a name that it has written in SQL."""
        return None if self.native else self._find(name[:MAX_NAME])

    def give_stray(self, name: bytes) -> None:
        """A statement for the server to forget."""
        self._line.send_entry(parse_frame(name, b"", b"\0\0"), Expected(Request.PARSE, Mark("quiet"), ours=True))

    def wait_for(self, entry: Entry) -> None:
        """A text that may change what names stand for was sent."""
        self._naming = (entry, -1)

    def go_native(self) -> bool:
        """The connection gets all statements under the client's own names. Whether there were any."""
        for name, kept in list(self._settled.items()):
            data = parse_frame(name, kept.text, kept.types or kept.declared)
            self._line.send_entry(data, Expected(Request.PARSE, Mark("quiet"), ours=True))
        self.native = True
        return bool(self._settled)

    # The server's

    def parsed(self, mark: Mark) -> None:
        """ParseComplete."""
        if mark.kind == "unnamed":
            self._unnamed, self._own_unnamed = mark.kept, True
        elif mark.kind == "parse" and mark.kept is not None and mark.name:
            self._settled[mark.name] = mark.kept
            self._sent.pop(mark.name, None)

    def closed(self, mark: Mark) -> None:
        """CloseComplete."""
        if mark.name:
            self._settled.pop(mark.name, None)
            self._sent.pop(mark.name, None)
        else:
            self._unnamed, self._own_unnamed = None, True

    def failed(self, mark: Mark | None) -> None:
        """An error: what was sent after it was ignored."""
        if mark is not None and mark.kind == "unnamed":
            self._unnamed, self._own_unnamed = None, True
        conn = self._line.conn
        for server in [server for server, shape in conn.statements.items() if shape is None]:
            del conn.statements[server]  # it may be there: it is closed before it is prepared again

    def described(self, mark: Mark, frame: Frame) -> None:
        """An answer to Describe of a statement: types of its parameters, and then its result."""
        kept = mark.kept
        if kept is None:
            return
        if frame.tag == Code.PARAMETER_DESCRIPTION:
            mark.types = bytes(frame.raw[HEADER_SIZE:])
            return
        kept.types = kept.types or mark.types
        shape = mark.types + shape_of(frame)
        if mark.server:
            self._line.conn.statements[mark.server] = shape
            self._line.conn.statements.move_to_end(mark.server)
        self._verified[mark.server] = shape
        if kept.shape is None:
            kept.shape = shape

    def query_sent(self, entry: Entry) -> None:
        """A simple query of the client's is sent: it has no use for the unnamed statement, and ends it."""
        if self._unnamed is not None or self._unnamed_sent is not None:
            self._unnamed_sent = (entry, None, self._line.section)

    def queried(self) -> None:
        """It was answered."""
        self._unnamed, self._own_unnamed = None, True

    def displaced(self) -> None:
        """The same of one of ours, when it is sent and when it is answered. To the client its statement goes on: it is
        prepared again where it is used."""
        self._own_unnamed = False
        self._line.conn.unnamed_of = None

    def forgotten(self, name: bytes | None) -> None:
        """DEALLOCATE is complete; None: all of them, on this connection everybody's."""
        if name is None:
            self._settled.clear()
            self._sent.clear()
            self._verified.clear()
            self._line.conn.statements.clear()
        else:
            self._settled.pop(name, None)

    def really_there(self, statements: frozenset[bytes], *, nothing_else: bool) -> None:
        """What the server says that it has, in answer to a question of ours."""
        conn = self._line.conn
        for server in [server for server in conn.statements if server not in statements]:
            del conn.statements[server]
        if self.native and nothing_else and all(name.startswith(PREFIX) for name in statements):
            self.native = False
            self._settled.clear()

    # Inside

    def _find(self, name: bytes) -> Kept | None:
        sent = self._sent.get(name)
        if sent is not None:
            if not sent[0].done:
                return sent[1]
            del self._sent[name]
        return self._settled.get(name)

    def _resolve(self, name: bytes) -> Kept | None:
        if name:
            return self._find(name)
        sent = self._unnamed_sent
        return sent[1] if sent is not None and not sent[0].done else self._unnamed

    def _waits(self) -> bool:
        """Whether a message before the last Sync may still change what names stand for."""
        if self._naming is None:
            return False
        entry, section = self._naming
        if entry.done:
            self._naming = None
            return False
        if section == self._line.section:
            return False
        self._line.block(entry)
        return True

    def _present(self, kept: Kept | None, name: bytes) -> bool:
        """Sees to it that the connection has it. False: it is not known yet whether it is the same."""
        if name:
            return kept is None or self._ready(kept, name)
        sent = self._unnamed_sent
        if self._own_unnamed or (sent is not None and not sent[0].done and sent[2] == self._line.section):
            return True
        if kept is None:
            entry: Entry = Expected(Request.CLOSE, Mark("close"), ours=True)
            self._line.send_entry(close_frame(b""), entry)
            self._unnamed_sent = (entry, None, self._line.section)
            self._naming = (entry, self._line.section)
            return True
        self._send_unnamed(parse_frame(b"", kept.text, kept.types or kept.declared), kept, ours=True)
        return True if kept.shape is None else self._hold(self._ask_shape(kept, name, b""))

    def _ready(self, kept: Kept, name: bytes) -> bool:
        server = self._server_name(kept)
        statements = self._line.conn.statements
        if server in statements:
            shape = statements[server]
            if shape is None or kept.shape is None or shape == kept.shape or self._verified.get(server) is not None:
                statements.move_to_end(server)
                return True
        self._prepare(kept, name, ours=True)
        return self._hold(self._ask_shape(kept, name, server))

    def _ask_shape(self, kept: Kept, name: bytes, server: bytes) -> Entry:
        entry: Entry = Expected(Request.DESCRIBE, Mark("shape", kept, name, server), ours=True)
        self._line.send_entry(describe_frame(server), entry)
        self._naming = (entry, self._line.section)
        return entry

    def _hold(self, entry: Entry) -> bool:
        if not self._line.skipping:
            self._line.flush_now()
            self._line.block(entry)
        return self._line.skipping

    def _is_stale(self, kept: Kept | None, name: bytes) -> bool:
        if kept is None or kept.shape is None:
            return False
        shape = self._verified.get(self._server_name(kept) if name else b"")
        return shape is not None and shape != kept.shape

    def _prepare(self, kept: Kept, name: bytes, *, ours: bool) -> Entry:
        """Parse under the server's name, and the question what it looks like."""
        line, server = self._line, self._server_name(kept)
        statements = line.conn.statements
        statements.pop(server, None)
        self._verified.pop(server, None)
        while len(statements) >= self._max:
            old, _ = statements.popitem(last=False)
            line.send_entry(close_frame(old), Expected(Request.CLOSE, Mark(), ours=True))
        line.send_entry(close_frame(server), Expected(Request.CLOSE, Mark(), ours=True))
        entry: Entry = Expected(Request.PARSE, Mark("parse", kept, b"" if ours else name, server), ours=ours)
        line.send_entry(parse_frame(server, kept.text, (ours and kept.types) or kept.declared), entry)
        statements[server] = None
        self._naming = (entry, line.section)
        return entry

    def _send_unnamed(self, data: bytes | bytearray, kept: Kept, *, ours: bool) -> None:
        entry: Entry = Expected(Request.PARSE, Mark("unnamed", kept), ours=ours, plain=True)
        self._line.send_entry(data, entry)
        self._unnamed_sent = (entry, kept, self._line.section)
        if not self._own_unnamed:
            self._naming = (entry, self._line.section)

    def _server_name(self, kept: Kept) -> bytes:
        salt = self._salt if not self._line.tainted else self._salt + self._private
        if kept.salt is not salt:
            kept.server, kept.salt = server_name(kept.text, kept.declared, salt), salt
        return kept.server
