"""Attacks on row filters, conditions, parts of values, attributes, limits and writes, against the running proxy.

Each statement runs on two databases that differ in protected values and in hidden rows, and their answers must be the
same bytes; hand-written views say which. By both protocols, as text and as binary, on every server that is there, and
once more on the floor.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from attack_cases import Case, load_cases
from attack_world import PLACES, POOLED
from conftest import Serve
from policy_attack_world import CUT, FOLDER, SECRETS, USER, PolicyWorld, open_policy_world
from raw_client import READY, RawClient, Reply

from proxy import localpg

CASES = load_cases(sorted(FOLDER.glob("[0-9]*.sql")))
ROW_DESCRIPTION = b"T"
LEAVES = re.compile(r"(?i)\b(set|into|begin|declare|prepare|create|discard)\b")
"""Words of statements after which a session is not as it was."""

STEP = ";;"
"""Between statements that are sent in messages of their own."""

OURS = {"42501", "0A000"}
WRITES = {"19_writes", "20_filtered_writes"}
ON_FLOOR = {
    "the floor's schema": "refused 42501",
    "another role's floor": "refused 42501",
    "grants on what others may read": "refused 42501",
    "raw in a CASE": "refused 22012",
}
"""Where the floor answers otherwise: there is one, its logins have no rights, and it folds constants of barriers."""

Ask = Callable[[RawClient], Reply]

SELF = ["o'hara", "{user.ward}", "a\\b", "' OR true --", 'no"rth', "ünï", "t.owner", "$1"]
# Each names a value of a row that nobody may see, in a column that is not masked.
PROBES = (
    "how many patient named 'zq8xSECRETa person'",
    "list patient with name 'kv3wSECRETb person'",
    "how many diary whose body is 'zq8xSECRETa'",
    "how many bed with label 'kv3wSECRETb'",
    "zq8xSECRETa",
    "how many patient with ward east",
    "how many patient",
    "how many alarm of kind silent",
    "how many patient per level",
)
STARTUP = [
    {"options": "-c role=porter"},
    {"options": "-c session_authorization=postgres"},
    {"options": "-c user.ward=south"},
    {"options": "--user.ward=south"},
    {"options": "-c row_security=off"},
    {"options": "-c transform_null_equals=on"},
    {"options": "-c search_path=pg_temp,care,pg_catalog"},
    {"options": "-c\\ role=porter"},
    {"role": "porter"},
    {"session_authorization": "postgres"},
    {"user.ward": "south"},
    {"replication": "database"},
    {"client_encoding": "SJIS"},
    {"standard_conforming_strings": "off"},
]


@pytest.fixture(scope="module", params=PLACES)
def world(
    request: pytest.FixtureRequest,
    postgres: localpg.LocalPostgres,
    serve: Serve,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[PolicyWorld]:
    place = str(request.param)
    with open_policy_world(place, postgres, serve, tmp_path_factory.mktemp("policy_attacked")) as found:
        yield found


def test_there_are_many_cases() -> None:
    assert len(CASES) >= 300
    assert len({case.id for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_simple_protocol(case: Case, world: PolicyWorld) -> None:
    attack(case, world, lambda client: in_steps(client, case.sql.split(STEP)))


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize("case", [c for c in CASES if ";" not in c.sql], ids=lambda case: case.id)
def test_extended_protocol(case: Case, world: PolicyWorld, binary: bool) -> None:
    attack(case, world, lambda client: client.extended(case.sql, binary=binary))


@pytest.fixture(scope="module")
def pooled_world(
    postgres: localpg.LocalPostgres, serve: Serve, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PolicyWorld]:
    with open_policy_world(POOLED, postgres, serve, tmp_path_factory.mktemp("pool_attacked")) as found:
        yield found


@pytest.mark.parametrize("case", CASES[::2], ids=lambda case: case.id)
def test_on_shared_connections(case: Case, pooled_world: PolicyWorld) -> None:
    attack(case, pooled_world, lambda client: in_steps(client, case.sql.split(STEP)))
    if ";" not in case.sql:
        attack(case, pooled_world, lambda client: client.extended(case.sql))


def in_steps(client: RawClient, texts: list[str]) -> Reply:
    """The answers to one message after the other, as one."""
    if len(texts) == 1:
        return client.simple(texts[0])
    return without_temporary(Reply([message for text in texts for message in client.simple(text).messages]))


def attack(case: Case, world: PolicyWorld, ask: Ask) -> None:
    replies = {which: answer(case, world, which, ask) for which in "ab"}
    reply = replies["a"]
    assert [secret for secret in SECRETS if secret in reply.raw] == []
    assert neutral(reply) == neutral(replies["b"])
    expected = expectation(case, world)
    if expected == "answers":
        assert not reply.error
    elif expected == "same":
        assert_same(case, reply, answer(case, world, "oracle", ask))
    else:
        assert reply.error.get("C") == expected.removeprefix("refused ")
        assert reply.error.get("H") or reply.error["C"] not in OURS or world.on_floor


def expectation(case: Case, world: PolicyWorld) -> str:
    if world.on_floor and case.family == "20_filtered_writes":
        return "refused 42501"  # a login that may write a table reads all its rows
    return ON_FLOOR.get(case.name, case.expected) if world.on_floor else case.expected


def answer(case: Case, world: PolicyWorld, which: str, ask: Ask) -> Reply:
    """The answer; what was written is taken back."""
    with world.session(which, case.user or USER, tidy=bool(LEAVES.search(case.sql))) as client:
        if case.family in WRITES:
            client.simple("BEGIN")
        reply = ask(client)
        if case.family in WRITES:
            client.simple("ROLLBACK")
        assert reply.messages[-1][0] == READY
        return reply


def assert_same(case: Case, reply: Reply, wanted: Reply) -> None:
    cut = CUT.get(case.user)
    if cut is not None and len(reply.data) == cut:
        assert reply.data == wanted.data[:cut]
        return
    assert reply.error.get("C") == wanted.error.get("C")
    assert reply.data == wanted.data


def neutral(reply: Reply) -> bytes:
    """The bytes, less what the two databases' own names make of them: nothing else is taken out."""
    return re.sub(rb"(care[a-z0-9_]*)_[ab]\b", rb"\1_x", reply.raw)


def without_temporary(reply: Reply) -> Reply:
    """Without the tables' OIDs in RowDescription: those of temporary tables are the cluster's next."""
    return Reply([(tag, described(body) if tag == ROW_DESCRIPTION else body) for tag, body in reply.messages])


def described(body: bytes) -> bytes:
    """A RowDescription's body with 0 for each table."""
    found, at = body[:2], 2
    while at < len(body):
        end = body.index(b"\0", at) + 1
        found += body[at:end] + bytes(4) + body[end + 4 : end + 18]
        at = end + 18
    return found


@pytest.mark.parametrize("user", SELF)
def test_a_user_name_is_never_a_condition(user: str, world: PolicyWorld) -> None:
    for which in "ab":
        with world.session(which, user) as client:
            reply = client.simple("SELECT owner FROM care.diary")
            name = user.encode()
            assert reply.data == ([] if world.on_floor else [b"\0\1" + len(name).to_bytes(4, "big") + name])
            assert client.simple("SELECT id FROM care.patient").data == []


def test_a_user_of_no_role_may_not_log_in(world: PolicyWorld) -> None:
    for user in ("nurse'", "NURSE", " nurse", "nurse\u200b", "postgre", "*"):
        with world.connect("a", user) as client:
            assert client.greeting.error["C"] in ("28000", "28P01", "42501")


@pytest.mark.parametrize("parameters", STARTUP, ids=str)
def test_a_startup_packet_does_not_change_who_one_is(parameters: dict[str, str], world: PolicyWorld) -> None:
    with world.connect("a", USER, **parameters) as client:
        if not client.greeting.error:
            assert client.simple("SELECT ward FROM care.patient WHERE id = 1").data == [b"\0\1\0\0\0\5north"]
            assert client.simple("SELECT 1 FROM care.patient WHERE ward <> 'north'").data == []
            assert client.simple("SHOW standard_conforming_strings").data == [b"\0\1\0\0\0\2on"]


@pytest.mark.parametrize("size", [4_000, 5_000, 16_300, 16_500, 66_000, 200_000])
@pytest.mark.parametrize(
    "text",
    [
        "SELECT id, ssn /*{}*/ FROM care.patient WHERE 1 / level >= 0 ORDER BY id",
        "SELECT id, ssn, '{}' AS x FROM care.patient WHERE note::int > 0 ORDER BY id",
        "SELECT id, ssn FROM care.patient WHERE name <> '{}' ORDER BY id --{}",
        'SELECT id, ssn AS "{}" FROM care.patient ORDER BY id',
    ],
    ids=["comment", "text", "condition", "name"],
)
def test_a_long_text_is_veiled_as_a_short_one(text: str, size: int, world: PolicyWorld) -> None:
    padding = "é" * 40 + "x" * (size // text.count("{}") - 80)
    case = Case("long", text, "same", text.format(*[padding] * text.count("{}")))
    attack(case, world, lambda client: client.simple(case.sql))


def test_a_question_does_not_tell_of_hidden_rows(world: PolicyWorld) -> None:
    differing = []
    for probe in PROBES:
        replies = []
        for which in "ab":
            with world.session(which, USER) as client:
                replies.append(client.simple(f"SELECT * FROM ask($q${probe}$q$) ORDER BY 1"))
        if neutral(replies[0]) != neutral(replies[1]):
            differing.append(probe)
    assert differing == []
