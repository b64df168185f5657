"""What a startup packet may ask for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scripted import ANALYST, DBA

from proxy.admission import DatabaseError, parse_options, upstream_parameters
from proxy.errors import PolicyError, UnsupportedError
from proxy.policy.model import Policy
from proxy.policy.rules import DEFAULT_STATEMENTS, Role, StatementKind, Where
from proxy.settings import UpstreamDsn
from proxy.wire.startup import StartupMessage

DSN = UpstreamDsn.parse("postgresql://app:secret@db:5432/shop?application_name=veil&options=-c%20geqo%3Doff")
BASE = {"user": "app", "database": "shop", "application_name": "veil", "options": "-c geqo=off"}
MASKED = {**BASE, "client_encoding": "UTF8", "standard_conforming_strings": "on"}


def startup(**parameters: str) -> StartupMessage:
    return StartupMessage(3, 0, {"user": "somebody", **parameters})


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, MASKED),
        ({"database": "shop"}, MASKED),
        ({"application_name": "psql"}, {**MASKED, "application_name": "psql"}),
        ({"DateStyle": "ISO"}, {**MASKED, "DateStyle": "ISO"}),
        ({"client_encoding": "UTF-8"}, MASKED),
        ({"client_encoding": "'utf8'"}, MASKED),
        ({"client_encoding": "SQL_ASCII"}, MASKED),
        ({"replication": "off"}, MASKED),
        ({"_pq_.new": "1"}, MASKED),
        (
            {"options": "-c statement_timeout=5s --work-mem=4MB"},
            {**MASKED, "statement_timeout": "5s", "work_mem": "4MB"},
        ),
        ({"options": "-c search_path=a,b"}, {**MASKED, "search_path": "a,b"}),
    ],
)
def test_a_masked_role_gets_what_it_could_set_later(asked: dict[str, str], expected: dict[str, str]) -> None:
    assert upstream_parameters(startup(**asked), ANALYST, DSN) == expected


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"database": "other"}, DatabaseError),
        ({"replication": "true"}, PolicyError),
        ({"replication": "database"}, PolicyError),
        ({"client_encoding": "LATIN1"}, UnsupportedError),
        ({"role": "postgres"}, PolicyError),
        ({"session_authorization": "postgres"}, PolicyError),
        ({"standard_conforming_strings": "off"}, PolicyError),
        ({"options": "-c role=postgres"}, PolicyError),
        ({"options": "-crole=postgres"}, PolicyError),
        ({"options": "--role=postgres"}, PolicyError),
        ({"options": "--session-authorization=postgres"}, PolicyError),
        ({"options": "-c standard_conforming_strings=off"}, PolicyError),
        ({"options": "-c client_encoding=LATIN1"}, UnsupportedError),
        ({"options": "-c search_path=a,pg_catalog"}, PolicyError),
        ({"options": "-S 100"}, UnsupportedError),
        ({"options": "-c"}, UnsupportedError),
        ({"options": "-c name"}, UnsupportedError),
        ({"options": "--"}, UnsupportedError),
        ({"options": "words"}, UnsupportedError),
        ({"my.setting": "1"}, PolicyError),
    ],
)
def test_a_masked_role_is_refused_the_rest(asked: dict[str, str], error: type[Exception]) -> None:
    with pytest.raises(error):
        upstream_parameters(startup(**asked), ANALYST, DSN)


def test_a_bypass_role_gets_what_it_asks() -> None:
    asked = {"database": "other", "role": "x", "options": "-S 1", "replication": "true", "client_encoding": "LATIN1"}
    replicating = replace(DBA, replicates=True)
    assert upstream_parameters(startup(**asked), replicating, DSN) == {
        **asked,
        "user": "app",
        "application_name": "veil",
        "options": "-c geqo=off -S 1",
    }


@pytest.mark.parametrize("value", ["true", "database", "1", "on", "nonsense"])
def test_replication_is_the_policy_s_to_grant(value: str) -> None:
    with pytest.raises(PolicyError) as caught:
        upstream_parameters(startup(replication=value), DBA, DSN)
    assert "defaults.statements" in str(caught.value.hint)
    assert "replication" not in upstream_parameters(startup(replication="off"), DBA, DSN)


def test_the_grant_is_for_bypass_roles_only() -> None:
    roles = {
        "dba": Role("dba", ("d",), Where("p.yaml", 1), bypass=True),
        "analyst": Role("analyst", ("a", "d2"), Where("p.yaml", 2)),
        "second": Role("second", ("d2",), Where("p.yaml", 3), bypass=True),
    }
    for statements, expected in ((DEFAULT_STATEMENTS, []), (frozenset({StatementKind.REPLICATION}), ["d"])):
        policy = Policy("digest", roles, statements=statements)
        found = {user: policy.identify(user) for user in ("d", "a", "d2")}
        assert [user for user, identity in found.items() if identity and identity.replicates] == expected


def test_nobody_chooses_the_account() -> None:
    for identity in (ANALYST, DBA):
        assert upstream_parameters(startup(), identity, DSN)["user"] == "app"


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("", []),
        ("  -c  a=b\t", [("a", "b")]),
        (r"-c a=b\ c", [("a", "b c")]),
        (r"-c a=b\\c", [("a", "b\\c")]),
        ("-ca=b --c-d=e=f", [("a", "b"), ("c_d", "e=f")]),
        ("-c a=", [("a", "")]),
        ("-c a=b\\", [("a", "b")]),
    ],
)
def test_options_are_read_as_postgresql_reads_them(text: str, settings: list[tuple[str, str]]) -> None:
    assert list(parse_options(text)) == settings
