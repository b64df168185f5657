"""The search_path of a session through SETs, transactions and savepoints, as PostgreSQL has it."""

from __future__ import annotations

import pytest

from proxy.policy.plan import Effect
from proxy.searchpath import SearchPath, parse_path

START = ("public",)


def put(*names: str, local: bool = False) -> Effect:
    return Effect("search_path", value=names, local=local)


BEGIN, COMMIT, ROLLBACK = Effect("begin"), Effect("commit"), Effect("rollback")
RESET = Effect("search_path_reset")


def savepoint(kind: str, name: str = "s") -> Effect:
    return Effect(kind, name)


# Steps: an effect that completes; "I" or "T": ready, idle or in a transaction; "E": an error.
CASES: list[tuple[str, list[Effect | str], tuple[str, ...]]] = [
    ("set outside a transaction stays", [put("a"), "I"], ("a",)),
    ("set local outside a transaction is over at once", [put("a", local=True), "I"], START),
    ("set in a transaction holds at once", [BEGIN, "T", put("a"), "T"], ("a",)),
    ("set stays after commit", [BEGIN, "T", put("a"), "T", COMMIT, "I"], ("a",)),
    ("set goes with rollback", [BEGIN, "T", put("a"), "T", ROLLBACK, "I"], START),
    ("set local goes with commit", [BEGIN, put("a", local=True), "T", COMMIT, "I"], START),
    ("set before set local comes back", [BEGIN, put("a"), put("b", local=True), COMMIT, "I"], ("a",)),
    ("set after set local wins", [BEGIN, put("b", local=True), put("a"), COMMIT, "I"], ("a",)),
    ("an implicit transaction that fails is undone", [put("a"), "E", "I"], START),
    ("a later one is not undone by it", [put("a"), "I", "E", "I"], ("a",)),
    ("a failed commit rolls back", [BEGIN, put("a"), "E", "T", COMMIT, "I"], START),
    ("rollback to a savepoint", [BEGIN, put("a"), savepoint("savepoint"), put("b"), savepoint("rollback_to")], ("a",)),
    (
        "rollback to twice",
        [BEGIN, savepoint("savepoint"), put("b"), savepoint("rollback_to"), put("c"), savepoint("rollback_to")],
        START,
    ),
    (
        "release keeps",
        [BEGIN, savepoint("savepoint"), put("b"), savepoint("release"), COMMIT, "I"],
        ("b",),
    ),
    (
        "an inner savepoint of the same name hides the outer",
        [
            BEGIN,
            savepoint("savepoint"),
            put("a"),
            savepoint("savepoint"),
            put("b"),
            savepoint("rollback_to"),
        ],
        ("a",),
    ),
    (
        "release of the inner shows the outer again",
        [
            BEGIN,
            savepoint("savepoint"),
            put("a"),
            savepoint("savepoint"),
            put("b"),
            savepoint("release"),
            savepoint("rollback_to"),
        ],
        START,
    ),
    (
        "an error is healed by rollback to a savepoint",
        [BEGIN, put("a"), savepoint("savepoint"), "E", savepoint("rollback_to"), "T", COMMIT, "I"],
        ("a",),
    ),
    ("begin in a transaction changes nothing", [BEGIN, savepoint("savepoint"), put("b"), BEGIN, ROLLBACK, "I"], START),
    ("reset is a set", [put("a"), "I", BEGIN, RESET, ROLLBACK, "I"], ("a",)),
    ("reset", [put("a"), "I", RESET, "I"], START),
    ("reset all", [put("a"), "I", Effect("reset_all"), "I"], START),
    ("discard all", [put("a"), "I", Effect("discard_all"), "I"], START),
    ("others do not move it", [put("a"), Effect("prepare", "p"), Effect("execute", "p"), "I"], ("a",)),
    ("commit and chain ends it too", [BEGIN, put("a", local=True), COMMIT, "T"], START),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_path_follows(steps: list[Effect | str], expected: tuple[str, ...]) -> None:
    path, failed = SearchPath(START, "app"), False
    for step in steps:
        if step == "E":
            path.failed()
            failed = True
        elif isinstance(step, str):
            path.ready(idle=step == "I")
        else:
            path.apply(step, "ROLLBACK" if failed and step.kind == "commit" else step.kind.upper())
            failed = failed and step.kind != "rollback_to"
    assert path.schemas == expected


def test_the_user_stands_for_the_account() -> None:
    assert SearchPath(("$user", "public"), "app").schemas == ("app", "public")


def test_what_the_server_reports_wins() -> None:
    path = SearchPath(START, "app")
    path.reported('"$user", "Odd, name", public')
    path.ready(idle=True)
    assert path.schemas == ("app", "Odd, name", "public")


def test_what_the_server_reports_in_a_transaction_goes_with_it() -> None:
    path = SearchPath(START, "app")
    path.reported("x")
    path.ready(idle=False)
    assert path.schemas == ("x",)
    path.apply(ROLLBACK, "ROLLBACK")
    assert path.schemas == START


def test_a_report_of_what_is_known_changes_nothing() -> None:
    path = SearchPath(START, "app")
    path.apply(put("a", local=True), "SET")
    path.reported("a")
    path.ready(idle=False)
    path.apply(COMMIT, "COMMIT")
    assert path.schemas == START


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ()),
        ("public", ("public",)),
        ('"$user", public', ("$user", "public")),
        ("A, b ,C", ("a", "b", "c")),
        ('"A", "b,c", "say ""hi"""', ("A", "b,c", 'say "hi"')),
        ('""', ()),
    ],
)
def test_parse_path(text: str, names: tuple[str, ...]) -> None:
    assert parse_path(text) == names


@pytest.mark.parametrize("text", ["a b", "a,", '"a', "a,,b", 'x"y"'])
def test_parse_path_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="search_path"):
        parse_path(text)


@pytest.mark.parametrize(
    ("steps", "risky"),
    [
        ([], False),
        ([put("a")], True),
        ([put("a"), COMMIT], False),
        ([put("a"), ROLLBACK], False),
        ([BEGIN, savepoint("savepoint")], False),
        ([BEGIN, savepoint("savepoint"), put("a")], True),
    ],
)
def test_at_risk_while_an_end_may_move_it(steps: list[Effect], risky: bool) -> None:
    path = SearchPath(START, "app")
    for step in steps:
        path.apply(step, step.kind.upper())
    assert path.at_risk is risky
