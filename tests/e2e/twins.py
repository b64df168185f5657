"""Two sessions kept in step, one with PostgreSQL itself and one through the proxy, whose answers must be the same.

Each session has a database of its own, both made from one template, so that neither sees what the other does and even
the OIDs agree. PostgreSQL keeps replies back as long as it likes, so what is compared are complete answers: a barrier
of messages that changes nothing is sent, and everything up to its replies is one answer.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import psycopg
import pytest
from conftest import Configuration, Pgveil, Serve
from office_world import write_policy
from raw_client import RawClient

from proxy import localpg

Message = tuple[bytes, bytes]

TABLES = """
CREATE TABLE t (id int PRIMARY KEY, name text NOT NULL DEFAULT 'none');
CREATE TABLE empty (a int, b text, c numeric(6,2));
CREATE TABLE many AS SELECT i AS id, repeat('x', i % 50) AS filler FROM generate_series(1, 200) AS i;
CREATE TABLE people (id int, code text);
INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, E'tab\\tand\\\\more');
INSERT INTO people VALUES (1, 'zq8x-1'), (2, 'zq8x-2');
CREATE TABLE noisy (id int, name text);
CREATE FUNCTION noise() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'row %', NEW.id; RETURN NEW; END$$;
CREATE TRIGGER noise AFTER INSERT ON noisy FOR EACH ROW EXECUTE FUNCTION noise();
CREATE FUNCTION loud(text) RETURNS text LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'heard %', $1; RETURN $1; END$$;
"""
POLICY = """
version: 1
roles:
  dba: {users: [postgres, dba], bypass: true}
  analyst: {users: [analyst]}
defaults:
  tables: deny
  statements:
    [select, insert, update, delete, explain, copy_in, copy_out, cursor, prepare, transaction, show, set, temp]
tables:
  - {allow: ["public.*"], roles: [analyst], write: [insert, update, delete]}
masks:
  - {columns: [public.people.code], mask: constant, with: {value: hidden}, except: [dba]}
"""
BARRIER_CLOSES = 30
"""More than a script ever sends in a row."""
RESET = "TRUNCATE t; INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, E'tab\\tand\\\\more'); TRUNCATE empty"
CONTENT = (
    "SELECT string_agg(t::text, '; ' ORDER BY id, name) FROM t UNION ALL SELECT string_agg(e::text, '; ') FROM empty e"
)

SCRUBBED = frozenset("DWpqFLR")
"""The fields that a masked role's errors lose, or have not where the proxy made them."""
FAILS = "SELECT no_such_function()"
"""What PostgreSQL gets where a masked role sends what it may not: to be refused is to fail like this."""
HIDDEN = "raised inside a function"
"""What a masked role hears of an error in COPY, whose context may hold anything."""
REFUSED = "refused, or fails in its place"


def packed(tag: bytes, body: bytes = b"") -> bytes:
    return tag + struct.pack("!i", len(body) + 4) + body


def query(sql: str) -> bytes:
    return packed(b"Q", sql.encode() + b"\0")


def parse(sql: str, name: str = "", types: Sequence[int] = ()) -> bytes:
    body = name.encode() + b"\0" + sql.encode() + b"\0" + struct.pack(f"!h{len(types)}I", len(types), *types)
    return packed(b"P", body)


def bind(
    statement: str = "",
    portal: str = "",
    values: Sequence[bytes | None] = (),
    formats: Sequence[int] = (),
    results: Sequence[int] = (),
) -> bytes:
    body = portal.encode() + b"\0" + statement.encode() + b"\0"
    body += struct.pack(f"!h{len(formats)}h", len(formats), *formats) + struct.pack("!H", len(values))
    for value in values:
        body += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    return packed(b"B", body + struct.pack(f"!h{len(results)}h", len(results), *results))


def describe(kind: str, name: str = "") -> bytes:
    return packed(b"D", kind.encode() + name.encode() + b"\0")


def execute(portal: str = "", rows: int = 0) -> bytes:
    return packed(b"E", portal.encode() + b"\0" + struct.pack("!i", rows))


def close(kind: str, name: str = "") -> bytes:
    return packed(b"C", kind.encode() + name.encode() + b"\0")


def call(function: int, values: Sequence[bytes | None] = (), formats: Sequence[int] = (), result: int = 0) -> bytes:
    """FunctionCall."""
    body = struct.pack(f"!Ih{len(formats)}h", function, len(formats), *formats) + struct.pack("!H", len(values))
    for value in values:
        body += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    return packed(b"F", body + struct.pack("!h", result))


FLUSH, SYNC, COPY_DONE, TERMINATE = packed(b"H"), packed(b"S"), packed(b"c"), packed(b"X")
COPY_FAIL = packed(b"f", b"given up\0")


def copy_data(data: bytes) -> bytes:
    return packed(b"d", data)


HUNG: Message = (b"?", b"nothing more comes, and the connection stays open")

BARRIER = COPY_FAIL + SYNC + close("S", "no such statement") * BARRIER_CLOSES + SYNC
"""Ends whatever may be going on: COPY, skipping to Sync, replies that are kept back. Changes no transaction."""


@dataclass
class Answer:
    """What a session said, up to the barrier or the end of the connection."""

    messages: list[Message] = field(default_factory=list)
    ended: bool = False

    @property
    def tags(self) -> str:
        return b"".join(tag for tag, _ in self.messages).decode()

    def shown(self) -> str:
        return "\n".join(f"  {tag.decode()} {body[:300]!r}" for tag, body in self.messages) + (
            "\n  (closed)" if self.ended else ""
        )


def report_fields(body: bytes) -> dict[str, str]:
    return {chr(part[0]): part[1:].decode(errors="replace") for part in body.split(b"\0") if part}


@dataclass
class Side:
    """One of the two sessions."""

    client: RawClient

    def send(self, data: bytes, cuts: Iterable[int] = ()) -> None:
        """In the pieces that `cuts` (offsets) make of it. A peer that has gone is found out by reading."""
        marks = [0, *sorted({cut for cut in cuts if 0 < cut < len(data)}), len(data)]
        try:
            for start, stop in pairwise(marks):
                self.client.socket.sendall(data[start:stop])
        except (BrokenPipeError, ConnectionResetError):
            return

    def answer(self) -> Answer:
        """Everything up to the barrier's replies, which are left out."""
        found, closes = Answer(), 0
        try:
            for tag, body in self.client.messages():
                found.messages.append((tag, body))
                if tag == b"Z" and closes >= BARRIER_CLOSES:
                    del found.messages[-BARRIER_CLOSES - 1 :]
                    return found
                closes = closes + 1 if tag == b"3" else 0
        except ConnectionResetError:
            pass
        except TimeoutError:
            found.messages.append(HUNG)
        found.ended = True
        return found

    def until(self, tags: bytes) -> Answer:
        """Everything up to a message of one of these types."""
        found = Answer()
        try:
            for tag, body in self.client.messages():
                found.messages.append((tag, body))
                if tag in tags:
                    return found
        except TimeoutError:
            found.messages.append(HUNG)
        found.ended = True
        return found


@dataclass(frozen=True)
class World:
    """Where the twins live."""

    postgres: localpg.LocalPostgres
    proxy: Pgveil
    user: str

    def names(self) -> tuple[str, str]:
        return f"twins_direct_{self.user}", f"twins_proxied_{self.user}"

    @property
    def masked(self) -> bool:
        return self.user != "dba"

    def open(self) -> Twins:
        self.reset()
        return Twins(self, Side(self._direct()), Side(self._proxied()))

    def _direct(self) -> RawClient:
        return RawClient(str(self.postgres.socket_dir), 5432, "postgres", self.names()[0], application_name="twin")

    def _proxied(self) -> RawClient:
        return RawClient(self.proxy.host, self.proxy.port, self.user, self.names()[1], application_name="twin")

    def reset(self) -> None:
        for name in self.names():
            with psycopg.connect(self.postgres.dsn_for(name), autocommit=True) as connection:
                connection.execute(RESET)

    def contents(self) -> list[list[tuple[object, ...]]]:
        found = []
        for name in self.names():
            with psycopg.connect(self.postgres.dsn_for(name), autocommit=True) as connection:
                found.append(connection.execute(CONTENT).fetchall())
        return found


def make_databases(postgres: localpg.LocalPostgres, user: str) -> str:
    """A direct and a proxied database, alike to the OID; the proxied one's DSN."""
    template = f"twins_template_{user}"
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        names = (f"twins_direct_{user}", f"twins_proxied_{user}")
        for name in (*names, template):
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{template}"')
        with psycopg.connect(postgres.dsn_for(template), autocommit=True) as inside:
            inside.execute(TABLES)
        for name in names:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return postgres.dsn_for(names[1])


def make_world(
    postgres: localpg.LocalPostgres, serve: Serve, directories: pytest.TempPathFactory, user: str, policy: str = POLICY
) -> World:
    """A proxy of its own, in front of databases of its own."""
    policies = write_policy(directories.mktemp("twins"), policy)
    return World(postgres, serve(Configuration(make_databases(postgres, user), policies)), user)


@dataclass
class Twins:
    """Both sessions."""

    world: World
    direct: Side
    proxied: Side
    batch: list[tuple[bytes, bytes]] = field(default_factory=list)
    """What is to be sent: to the proxy, and to PostgreSQL."""
    loose: bool = False
    """A Sync was among COPY data: PostgreSQL answers it if the COPY had failed by then, the proxy does not."""

    def __enter__(self) -> Twins:
        return self

    def __exit__(self, *_: object) -> None:
        for side in (self.direct, self.proxied):
            side.client.socket.close()

    def send(self, data: bytes, cuts: Iterable[int] = (), *, direct: bytes | None = None) -> None:
        """To both; `direct` where PostgreSQL has to get something else. Only the proxy gets it in pieces."""
        self.direct.send(data if direct is None else direct)
        self.proxied.send(data, cuts)

    def play(self, seed: int) -> None:
        """Sends the batch, the proxy's in pieces: all in one, byte by byte, or anything between."""
        kinds = b"".join(ours[:1] for ours, _ in self.batch)
        self.loose = self.loose or (b"d" in kinds and any(SYNC in ours for ours, _ in self.batch))
        data, direct = b"".join(ours for ours, _ in self.batch), b"".join(theirs for _, theirs in self.batch)
        self.batch.clear()
        dice = random.Random(seed)
        count = dice.choice([0, 1, 3, 10, len(data)])
        cuts = range(len(data)) if count == len(data) else [dice.randrange(len(data) + 1) for _ in range(count)]
        self.send(data, cuts, direct=direct)

    def settle(self) -> Answer:
        """Sends the barrier, compares the answers, and gives PostgreSQL's. Ended sessions are opened anew."""
        self.send(BARRIER)
        answer = self.compare(self.direct.answer(), self.proxied.answer())
        self.loose = False
        return answer

    def exchange(self, data: bytes, cuts: Iterable[int] = ()) -> Answer:
        self.send(data, cuts)
        return self.settle()

    def until(self, tags: bytes) -> Answer:
        """Reads on both sides up to one of these types, and compares."""
        return self.compare(self.direct.until(tags), self.proxied.until(tags))

    def compare(self, expected: Answer, found: Answer) -> Answer:
        wanted, got = self.normal(expected), self.normal(found)
        if self.loose:
            wanted, got = _ready_once(wanted), _ready_once(got)
        if expected.ended:
            (said, code), (heard, ours) = last_words(expected), last_words(found)
            assert code in ("", ours), f"PostgreSQL:\n{expected.shown()}\nthe proxy:\n{found.shown()}\n"
            # Without a last word PostgreSQL does not send what it has kept back either.
            wanted = self.normal(Answer(expected.messages[:said]))
            got = self.normal(Answer(found.messages[: heard if code else said]))
            if self.loose:
                wanted, got = _ready_once(wanted), _ready_once(got)
        assert (got, found.ended) == (wanted, expected.ended), (
            f"PostgreSQL:\n{expected.shown()}\nthe proxy:\n{found.shown()}\n"
        )
        if expected.ended:
            self._open_again()
        return expected

    def settle_contents(self) -> None:
        """What was committed is the same."""
        direct, proxied = self.world.contents()
        assert proxied == direct

    def _open_again(self) -> None:
        for side in (self.direct, self.proxied):
            side.client.socket.close()
        again = self.world.open()
        self.direct, self.proxied = again.direct, again.proxied

    def normal(self, answer: Answer) -> list[tuple[bytes, object]]:
        """What has to be equal of it: all but backends' numbers and, for a masked role, what it does not see."""
        return [(tag, self._normal(tag, body)) for tag, body in answer.messages]

    def _normal(self, tag: bytes, body: bytes) -> object:
        if tag == b"A":
            return body[4:]
        if tag not in (b"E", b"N") or not self.world.masked:
            return body
        report = report_fields(body)
        if "no_such_function" in report["M"] or report["C"] == "42501" or "with OID 4" in report["M"]:
            return REFUSED
        if "COPY" in report.get("W", "") or HIDDEN in report["M"]:
            return {key: report[key] for key in "SVC"}
        return {key: text for key, text in report.items() if key not in SCRUBBED}


def _ready_once(messages: list[tuple[bytes, object]]) -> list[tuple[bytes, object]]:
    """Of several ReadyForQuery in a row, the last."""
    following = [*messages[1:], None]
    return [one for one, after in zip(messages, following, strict=True) if one[0] != b"Z" or one != after]


def last_words(answer: Answer) -> tuple[int, str]:
    """Of a session that has ended: how many messages there were before its last words about the protocol, and their
    SQLSTATE, or nothing. PostgreSQL just hangs up on some of what it cannot read; in COPY it says it twice."""
    count, code = len(answer.messages), ""
    while count and answer.messages[count - 1][0] == b"E":
        report = report_fields(answer.messages[count - 1][1])
        fatal = report["S"] == "FATAL" and report["C"].startswith("08")
        if not fatal and not (code and "during COPY" in report["M"]) and not (code and HIDDEN in report["M"]):
            break
        count, code = count - 1, report["C"]
    return count, code
