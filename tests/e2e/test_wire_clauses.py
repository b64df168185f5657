"""Conversations in which the proxy has something to do: rewritten statements, refusals, questions that are none.

Each is played to PostgreSQL and, as a masked role, to the proxy; the answers are the same, and so is what stands in
the tables afterwards. In PostgreSQL's own database the masked column holds what the mask shows, and a statement that
always fails stands where the proxy refuses one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from conftest import Serve
from twins import (
    COPY_DONE,
    COPY_FAIL,
    FAILS,
    FLUSH,
    POLICY,
    REFUSED,
    SYNC,
    Twins,
    World,
    bind,
    call,
    close,
    copy_data,
    describe,
    execute,
    make_world,
    parse,
    query,
    report_fields,
)

from proxy import localpg

USER = "clauses"
LOOK = "SELECT id, code FROM people ORDER BY id"
ONE = "SELECT code, id FROM people WHERE id = $1"


@dataclass(frozen=True)
class Refused:
    """What the proxy gets; PostgreSQL gets what fails there."""

    data: bytes
    direct: bytes


def refused_parse(name: str = "", sql: str = "LOCK TABLE t") -> Refused:
    return Refused(parse(sql, name), parse(FAILS, name))


def refused_query(before: str = "", after: str = "") -> Refused:
    """With other statements: the text is refused as a whole, like one with an error in its grammar."""
    return Refused(query(before + "LOCK TABLE t" + after), query(FAILS))


def question_parse() -> Refused:
    return Refused(parse("ASK ''"), parse(FAILS))


def question_query() -> Refused:
    return Refused(query("ASK ''"), query(FAILS))


REFUSED_CALL = Refused(call(1397, [b"1"]), call(4_000_000_000, [b"1"]))


def run(sql: str, *values: bytes) -> bytes:
    """A whole extended query without its Sync."""
    return parse(sql) + bind(values=values) + describe("P") + execute()


def insert(number: int) -> bytes:
    return run(f"INSERT INTO t VALUES ({number}, 'new')")


NAMED = parse(ONE, "s1", [23])
Part = bytes | Refused

CONVERSATIONS: dict[str, list[Part]] = {
    # Describe without Execute.
    "describe a statement": [NAMED, describe("S", "s1"), SYNC],
    "describe a portal": [NAMED, bind("s1", values=[b"1"]), describe("P"), SYNC],
    "describe a portal in binary": [NAMED, bind("s1", "p1", [b"1"], results=[1]), describe("P", "p1"), SYNC],
    "describe again and again": [NAMED, *[describe("S", "s1")] * 3, FLUSH, bind("s1", values=[b"2"]), execute(), SYNC],
    "describe what fails to bind": [
        NAMED, describe("S", "s1"), bind("s1"), describe("P"), SYNC, describe("S", "s1"), SYNC,
    ],
    # Portals that suspend.
    "a portal suspends": [
        query("BEGIN"), parse(LOOK, "s1"), bind("s1", "p1"), describe("P", "p1"), execute("p1", 1), FLUSH,
        execute("p1", 1), SYNC, execute("p1", 1), SYNC, execute("p1"), close("P", "p1"), execute("p1"), SYNC,
        query("ROLLBACK"),
    ],
    "a portal ends with its implicit transaction": [
        parse(LOOK, "s1"), bind("s1", "p1"), execute("p1", 1), SYNC, execute("p1", 1), SYNC,
    ],
    "two portals take turns": [
        query("BEGIN"), parse(LOOK, "s1"), bind("s1", "p1"), bind("s1", "p2"), execute("p1", 1), execute("p2", 2),
        execute("p1", 1), execute("p2", 1), SYNC, query("COMMIT"), execute("p1"), SYNC,
    ],
    # What is forgotten.
    "DEALLOCATE ALL": [NAMED, SYNC, query("DEALLOCATE ALL"), bind("s1", values=[b"1"]), execute(), SYNC, NAMED, SYNC],
    "DEALLOCATE ALL in a pipeline": [
        NAMED, bind("s1", "p1", [b"1"]), run("DEALLOCATE ALL"), execute("p1"), bind("s1", values=[b"1"]), SYNC,
        NAMED, describe("S", "s1"), SYNC,
    ],
    "DEALLOCATE ALL that is undone": [
        NAMED, SYNC, run("DEALLOCATE ALL"), refused_parse(), SYNC, bind("s1", values=[b"1"]), execute(), SYNC,
    ],
    "DEALLOCATE ALL among statements": [
        NAMED, SYNC, query("SELECT 1; DEALLOCATE ALL; SELECT 2"), bind("s1", values=[b"1"]), SYNC,
    ],
    "DISCARD ALL": [
        query("SET TimeZone = 'Asia/Kolkata'"), NAMED, SYNC, query("DISCARD ALL"), bind("s1", values=[b"1"]), SYNC,
        query("SHOW TimeZone"), NAMED, bind("s1", values=[b"1"]), execute(), SYNC,
    ],
    "DISCARD ALL in a transaction": [
        query("BEGIN"), NAMED, SYNC, query("DISCARD ALL"), query("ROLLBACK"), bind("s1", values=[b"1"]), execute(),
        SYNC,
    ],
    "DISCARD ALL by itself, extended": [NAMED, SYNC, run("DISCARD ALL"), SYNC, bind("s1", values=[b"1"]), SYNC],
    "DEALLOCATE one": [NAMED, SYNC, query("DEALLOCATE s1"), bind("s1", values=[b"1"]), SYNC, query("DEALLOCATE s1")],
    "DEALLOCATE of a portal's statement": [
        query("BEGIN"), NAMED, bind("s1", "p1", [b"1"]), SYNC, query("DEALLOCATE ALL"), execute("p1"), SYNC,
        query("COMMIT"),
    ],
    "Close and again": [NAMED, close("S", "s1"), NAMED, bind("s1", values=[b"2"]), execute(), close("S", "s1"), SYNC],
    "Parse of a name that is taken": [NAMED, NAMED, SYNC, bind("s1", values=[b"1"]), execute(), SYNC],
    # Empty queries.
    "empty": [query(""), query(";"), query(" ;; -- nothing\n")],
    "empty, extended": [run(""), SYNC, run(" -- nothing"), SYNC, parse("", "s1"), describe("S", "s1"), SYNC],
    "empty in a pipeline": [run(LOOK), run(""), insert(60), run(";"), run(LOOK), SYNC],
    "empty in a failed pipeline": [run(LOOK), refused_parse(), run(""), query(""), SYNC, run(""), SYNC],
    "empty in a failed transaction": [query("BEGIN"), refused_query(), query(""), run(""), SYNC, query("COMMIT")],
    # Refusals.
    "refused in a pipeline": [insert(61), refused_parse(), insert(62), SYNC, insert(63), SYNC],
    "refused at the end of a pipeline": [insert(61), run(LOOK), refused_parse(), bind(), execute(), SYNC],
    "refused after COMMIT in a pipeline": [run("BEGIN"), insert(61), run("COMMIT"), insert(62), refused_parse(), SYNC],
    "refused after a Flush": [insert(61), FLUSH, refused_parse(), FLUSH, insert(62), FLUSH, SYNC],
    "refused, and a simple query in what is skipped": [
        insert(61), refused_parse(), query("INSERT INTO t VALUES (64, 'x')"), insert(62), SYNC,
        query("INSERT INTO t VALUES (65, 'x')"),
    ],
    "refused between Parse and Sync": [
        NAMED, refused_parse("s2"), SYNC, bind("s1", values=[b"1"]), execute(), SYNC, bind("s2"), SYNC,
    ],
    "refused between Bind and Execute": [
        insert(61), parse("INSERT INTO t VALUES (62, 'x')", "s1"), bind("s1", "p1"), refused_parse("s2"),
        execute("p1"), SYNC, execute("p1"), SYNC, bind("s1"), execute(), SYNC,
    ],
    "refused in several statements": [
        refused_query("INSERT INTO t VALUES (61, 'x'); ", "; INSERT INTO t VALUES (62, 'x')"), insert(63), SYNC,
    ],
    "refused in several statements of a transaction": [
        query("BEGIN"), insert(61), SYNC, refused_query("INSERT INTO t VALUES (62, 'x'); COMMIT; "), insert(63), SYNC,
        query("COMMIT"),
    ],
    "refused in an explicit transaction": [
        query("BEGIN"), insert(61), SYNC, refused_query(), insert(62), SYNC, query("COMMIT"), insert(63), SYNC,
    ],
    "refused in an explicit transaction, in a pipeline": [
        run("BEGIN"), insert(61), refused_parse(), insert(62), SYNC, run("COMMIT"), SYNC, query(LOOK),
    ],
    "refused behind a savepoint": [
        query("BEGIN"), insert(61), run("SAVEPOINT a"), insert(62), SYNC, refused_parse(), SYNC, query("ROLLBACK TO a"),
        insert(63), run("COMMIT"), SYNC,
    ],
    "refused in a failed transaction": [query("BEGIN"), query("SELECT 1/0"), refused_query(), query("COMMIT")],
    "refused behind an error": [insert(61), run("SELECT 1/0"), refused_parse(), insert(62), SYNC, insert(63), SYNC],
    "a question that is none, in a pipeline": [insert(61), question_parse(), insert(62), SYNC, insert(63), SYNC],
    "a question that is none, in a transaction": [
        query("BEGIN"), insert(61), SYNC, question_query(), insert(62), SYNC, query("COMMIT"), insert(63), SYNC,
    ],
    "refused, and COMMIT AND CHAIN": [
        query("BEGIN"), insert(61), SYNC, refused_query(), query("COMMIT AND CHAIN"), insert(62), SYNC, query("COMMIT"),
    ],
    "a call that is refused": [insert(61), REFUSED_CALL, insert(62), SYNC],
    "a call that is refused in a transaction": [query("BEGIN"), insert(61), SYNC, REFUSED_CALL, query("COMMIT")],
    "nothing but a refusal": [refused_parse(), SYNC, refused_query(), insert(61), SYNC],
    # COPY.
    "COPY with Flush and Sync inside": [
        query("COPY t FROM STDIN"), copy_data(b"70\tx\n"), FLUSH, copy_data(b"71\t"), SYNC, copy_data(b"y\n"),
        COPY_DONE, query(LOOK),
    ],
    "COPY that the client fails": [
        query("COPY t FROM STDIN"), copy_data(b"70\tx\n"), FLUSH, SYNC, COPY_FAIL, insert(71), SYNC,
    ],
    "COPY that the server fails": [
        query("COPY t FROM STDIN"), copy_data(b"1\tagain\n"), FLUSH, copy_data(b"70\tx\n"), COPY_DONE, insert(71), SYNC,
    ],
    "COPY that the server fails, with Sync inside": [
        query("COPY t FROM STDIN"), copy_data(b"no number\tx\n"), SYNC, copy_data(b"70\tx\n"), SYNC, COPY_DONE,
        insert(71), SYNC,
    ],
    "COPY in a pipeline": [
        insert(69), run("COPY t FROM STDIN"), copy_data(b"70\tx\n"), FLUSH, copy_data(b"71\ty\n"), COPY_DONE,
        insert(72),
        SYNC,
    ],
    "COPY in a pipeline that the client fails": [
        insert(69), run("COPY t FROM STDIN"), copy_data(b"70\tx\n"), FLUSH, COPY_FAIL, insert(72), SYNC, insert(73),
        SYNC,
    ],
    "COPY in a pipeline that is refused later": [
        insert(69), run("COPY t FROM STDIN"), copy_data(b"70\tx\n"), COPY_DONE, refused_parse(), SYNC, insert(73), SYNC,
    ],
    "COPY behind a refusal": [
        insert(69), refused_parse(), run("COPY t FROM STDIN"), copy_data(b"70\tx\n"), COPY_DONE, SYNC, insert(73), SYNC,
    ],
    "COPY out of what is masked": [
        query("COPY people TO STDOUT"), run("COPY people (code) TO STDOUT (FORMAT csv, HEADER)"), FLUSH, run(LOOK),
        SYNC,
        query("COPY (SELECT code FROM people ORDER BY id) TO STDOUT (FORMAT binary)"),
    ],
    "COPY out that fails in the middle": [
        insert(61), run("COPY (SELECT 1/(2 - id), code FROM people ORDER BY id) TO STDOUT"), insert(62), SYNC,
        query(LOOK),
    ],
    # What comes by itself.
    "notices": [
        query("INSERT INTO noisy VALUES (1, 'a'), (2, 'b'); SELECT id, code FROM people ORDER BY id"),
        run("INSERT INTO noisy VALUES (3, 'c')"), run(LOOK), SYNC,
        query("COPY noisy (id) FROM STDIN"), copy_data(b"4\n"), FLUSH, copy_data(b"5\n6\n"), COPY_DONE,
    ],
    "several ParameterStatus": [
        query("SET TimeZone = 'Asia/Kolkata'; SET DateStyle = 'ISO, DMY'; SET application_name = 'several'"),
        run("SET TimeZone = 'UTC'"), run("SET application_name = 'more'"), refused_parse(), SYNC,
        query("BEGIN; SET TimeZone = 'Europe/Paris'; SET DateStyle = 'German'"), query("ROLLBACK"), run("RESET ALL"),
        SYNC,
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def world(postgres: localpg.LocalPostgres, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> World:
    policy = POLICY.replace("users: [analyst]", f"users: [{USER}]")
    world = make_world(postgres, serve, tmp_path_factory, USER, policy)
    with psycopg.connect(postgres.dsn_for(world.names()[0]), autocommit=True) as direct:
        direct.execute("UPDATE people SET code = 'hidden'")
    return world


class Veiled(Twins):
    """Twins that do not ask which table a column is of (a masked view has none), nor for notices' words, which this
    role does not see."""

    def _normal(self, tag: bytes, body: bytes) -> object:
        if tag == b"N":
            return {key: text for key, text in report_fields(body).items() if key in "SVC"}
        if tag == b"E" and report_fields(body)["C"] == "VA007":
            return REFUSED
        return _columns(body) if tag == b"T" else super()._normal(tag, body)


def _columns(body: bytes) -> list[tuple[object, ...]]:
    """RowDescription: name, type, size, modifier and format of each column."""
    found, at = [], 2
    for _ in range(struct.unpack_from("!h", body)[0]):
        end = body.index(b"\0", at)
        found.append((body[at:end], *struct.unpack_from("!ihih", body, end + 7)))
        at = end + 19
    return found


@pytest.fixture
def twins(world: World) -> Iterator[Twins]:
    opened = world.open()
    with Veiled(world, opened.direct, opened.proxied) as found:
        yield found


@pytest.mark.parametrize("pieces", ["at once", "message by message", "byte by byte"])
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation_goes_as_with_postgresql(name: str, pieces: str, twins: Twins) -> None:
    parts = CONVERSATIONS[name]
    ours = [part.data if isinstance(part, Refused) else part for part in parts]
    theirs = [part.direct if isinstance(part, Refused) else part for part in parts]
    twins.loose = any(part[:1] == b"d" for part in ours) and SYNC in ours
    if pieces == "message by message":
        for data, direct in zip(ours, theirs, strict=True):
            twins.send(data, direct=direct)
    else:
        whole = b"".join(ours)
        twins.send(whole, range(len(whole)) if pieces == "byte by byte" else (), direct=b"".join(theirs))
    assert not twins.settle().ended
    twins.settle_contents()
