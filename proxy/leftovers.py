"""What a session has left on its server connection: the question to the server, its answer, and what undoes and redoes
settings.

The question is asked when a transaction is over that may have left something (`policy.sessionstate`). Settings are
taken along: they are undone on a connection that goes to another session, and made again on the next one of this
session. Whatever else there is keeps the session on its connection.

Every name in the question is qualified, operators too: the search_path is the session's. It does not know connections
(`pool`) or when to ask (`lease`).
https://www.postgresql.org/docs/current/view-pg-settings.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from proxy.errors import UpstreamError

Settings = Mapping[bytes, bytes]
"""Names and values as the server spells them, in the session's encoding."""

_SETTING, _STATEMENT = b"setting", b"statement"

_QUESTION = """
SELECT 'setting', s.name, pg_catalog.current_setting(s.name) FROM pg_catalog.pg_settings AS s
WHERE s.source OPERATOR(pg_catalog.=) 'session' AND s.name OPERATOR(pg_catalog.<>) 'client_encoding'
UNION ALL SELECT 'statement', p.name, NULL FROM pg_catalog.pg_prepared_statements AS p WHERE NOT p.from_sql
UNION ALL SELECT CASE WHEN p.from_sql THEN 'prepared statements made by SQL' END, NULL, NULL
  FROM pg_catalog.pg_prepared_statements AS p WHERE p.from_sql
UNION ALL SELECT 'cursors WITH HOLD', NULL, NULL FROM pg_catalog.pg_cursors AS c WHERE c.is_holdable
UNION ALL SELECT 'LISTEN', NULL, NULL FROM pg_catalog.pg_listening_channels() AS l (name)
UNION ALL SELECT CASE {kinds} ELSE 'temporary objects' END, NULL, NULL FROM pg_catalog.pg_depend AS d
  WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass::pg_catalog.oid
  AND d.refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()
UNION ALL SELECT 'advisory locks', NULL, NULL FROM pg_catalog.pg_locks AS l
  WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory' AND l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()
UNION ALL SELECT 'another role', NULL, NULL WHERE pg_catalog.current_setting('role') OPERATOR(pg_catalog.<>) 'none'
UNION ALL SELECT 'another session user', NULL, NULL
  WHERE session_user OPERATOR(pg_catalog.<>) {login}::pg_catalog.name
UNION ALL SELECT 'another encoding', NULL, NULL FROM pg_catalog.pg_settings AS s
  WHERE s.name OPERATOR(pg_catalog.=) 'client_encoding' AND s.source OPERATOR(pg_catalog.=) 'session'
"""
_TEMPORARY = {"pg_class": "temporary tables", "pg_proc": "temporary functions", "pg_type": "temporary types"}
"""By the catalogue that has them. Whatever else can be in a schema can be in pg_temp: collations, dictionaries..."""
_KINDS = " ".join(
    f"WHEN d.classid OPERATOR(pg_catalog.=) 'pg_catalog.{name}'::pg_catalog.regclass::pg_catalog.oid THEN '{kind}'"
    for name, kind in _TEMPORARY.items()
)
_CUSTOM = """
UNION ALL SELECT 'setting', n.name, pg_catalog.current_setting(n.name, true) FROM (VALUES {names}) AS n (name)
WHERE pg_catalog.current_setting(n.name, true) OPERATOR(pg_catalog.<>) ''
"""
_OF_FUNCTIONS = """
UNION ALL SELECT 'setting', n.name, pg_catalog.current_setting(n.name, true)
FROM (SELECT DISTINCT pg_catalog.lower(m.found[1]) AS name FROM pg_catalog.pg_proc AS f,
  pg_catalog.regexp_matches(f.prosrc, {pattern}, 'gi') AS m (found)
  WHERE f.pronamespace OPERATOR(pg_catalog.<>) 'pg_catalog'::pg_catalog.regnamespace::pg_catalog.oid
  AND f.prosrc OPERATOR(pg_catalog.~~) '%.%') AS n
WHERE pg_catalog.current_setting(n.name, true) OPERATOR(pg_catalog.<>) ''
"""
_IN_A_BODY = r"(?:set_config\s*\(\s*'|\mset\s+(?:session\s+)?)([a-z_][\w$]*(?:\.[a-z_][\w$]*)+)"
"""A setting with a dot in its name, where the body of a function sets it: those are no part of pg_settings."""

_CUSTOM_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(?:\.[A-Za-z_][A-Za-z0-9_$]*)+")


@dataclass(frozen=True, slots=True)
class Left:
    """The server's answer."""

    settings: dict[bytes, bytes]
    statements: frozenset[bytes]
    """The statements that were prepared by protocol and are still there."""
    others: tuple[str, ...]
    """Whatever keeps the session on its connection, in words."""


def may_ask_for(name: str) -> bool:
    """Whether a custom setting's name can be put into the question."""
    return _CUSTOM_NAME.fullmatch(name) is not None


def question(login: str, customs: Iterable[str] = (), *, functions: bool = False) -> bytes:
    """The query. `login`: the account; `customs`: settings with a dot in their names, each `may_ask_for`;
    `functions`: those too that functions of users may have set."""
    text = _QUESTION.format(login=_literal(login), kinds=_KINDS)
    names = sorted(customs)
    if names:
        text += _CUSTOM.format(names=", ".join(f"({_literal(name)})" for name in names))
    if functions:
        text += _OF_FUNCTIONS.format(pattern=_literal(_IN_A_BODY))
    return text.encode()


def read_answer(rows: Iterable[Sequence[bytes | None]]) -> Left:
    """Raises UpstreamError where the rows are no answer."""
    settings: dict[bytes, bytes] = {}
    statements: set[bytes] = set()
    others: list[str] = []
    for row in rows:
        if len(row) != 3:  # noqa: PLR2004 - the question's columns
            raise UpstreamError("the server's answer about a session cannot be read")
        kind, name, value = row[0] or b"", row[1], row[2]
        if kind == _SETTING:
            if name is None or value is None:
                raise UpstreamError("the server's answer about a setting cannot be read")
            settings[name] = value
        elif kind == _STATEMENT:
            statements.add(name or b"")
        else:
            others.append(kind.decode("ascii", "replace"))
    return Left(settings, frozenset(statements), tuple(dict.fromkeys(others)))


def difference(present: Settings, wanted: Settings) -> bytes:
    """The query that makes the settings of a connection those of a session; empty where they are already."""
    undone = [b"RESET " + _identifier(name) for name in present if name not in wanted]
    made = [
        b"pg_catalog.set_config(" + _quoted(name) + b", " + _quoted(value) + b", false)"
        for name, value in wanted.items()
        if present.get(name) != value
    ]
    if made:
        undone.append(b"SELECT " + b", ".join(made))
    return b"; ".join(undone)


def _identifier(name: bytes) -> bytes:
    return b".".join(b'"' + part.replace(b'"', b'""') + b'"' for part in name.split(b"."))


def _quoted(value: bytes) -> bytes:
    """A literal that means the same whatever standard_conforming_strings says."""
    return b"E'" + value.replace(b"\\", b"\\\\").replace(b"'", b"''") + b"'"


def _literal(text: str) -> str:
    return _quoted(text.encode()).decode()
