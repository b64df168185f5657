"""What a text may leave behind in its session once its transaction is over: settings, prepared statements, locks.

A server connection that several sessions use in turn (`lease`) is looked at before it changes hands, if a text ran that
may have left something; this module says which texts those are. It reads the text alone. So it goes by the names of
functions, and takes those that are not known to leave nothing for ones that may leave anything. What it cannot see is
code that no call names: triggers, defaults, rules, policies of tables, operators and types of users' own.

Most texts are settled by a glance at their words; PostgreSQL's grammar reads the others. Nothing is remembered of them:
thousands of texts would be a lot of memory, and that is for whoever asks to bound.

https://www.postgresql.org/docs/current/sql-discard.html names what a session keeps.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any, Final

from proxy.policy import parser
from proxy.policy.functions import admitted

Node = Any

MAX_TEXT: Final = 16 * 1024
"""Characters. A longer text is not read: it counts as one that may leave anything the server can be asked about."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What may be left of a text. The default: nothing."""

    check: bool = False
    """Something that the server can be asked about."""
    foreign: bool = False
    """Code of users ran: it may have set settings of their own, which are no part of pg_settings."""
    local: bool = False
    """It changes settings until its transaction ends: what is analysed until then is analysed in another way."""
    pins: str | None = None
    """Something that nobody can be asked about; in words."""
    names: bool = False
    """It makes, runs or forgets prepared statements by their names, in SQL."""
    deallocates: str | None = None
    """It is one DEALLOCATE of this name."""
    sequences: bool = False
    """It asks what the session's last value of a sequence was, before it may have taken one."""
    values: bool = field(default=False, compare=False)
    """It may take a value of a sequence, which is nothing that others meet."""
    customs: frozenset[str] = frozenset()
    """Settings with a dot in their names that it sets."""

    def __or__(self, other: Trace) -> Trace:
        return Trace(
            self.check or other.check,
            self.foreign or other.foreign,
            self.local or other.local,
            self.pins or other.pins,
            self.names or other.names,
            None,
            self.sequences or (other.sequences and not self.values),
            self.values or other.values,
            self.customs | other.customs,
        )

    def __repr__(self) -> str:
        told = [f.name for f in fields(self) if getattr(self, f.name)]
        return f"Trace({', '.join(told)})"


CLEAN: Final = Trace()
VALUES: Final = Trace(values=True)
CHECK: Final = Trace(check=True)
UNKNOWN: Final = Trace(check=True, foreign=True, values=True)
UNREAD: Final = Trace(check=True, foreign=True, values=True, pins="settings in a text that cannot be read")
"""Of a text that is not read, and may have set what is not known by name."""

OURS: Final = "pgveil_"
"""How the names of statements begin that are prepared for everybody: who forgets one of them takes it from others."""

_FIRST: Final = re.compile(
    r"\s*+(?:(insert|merge)|(select|update|delete|values|with|begin|commit|end|rollback|abort|start|savepoint|release))"
    r"(?![\w$])",
    re.IGNORECASE,
)
_HIDDEN: Final = re.compile(r"\"\s*+\(|\.\s++[\w$\x80-\U0010ffff]++\s*+\(")
"""Calls whose names are not read at a glance: quoted ones, and ones behind a schema, a dot and a blank."""
_INTO: Final = re.compile(r"(?<![\w$])into(?![\w$])", re.IGNORECASE)
_TAKES: Final = re.compile(r"(?<![\w$])(?:insert|update|merge|nextval|setval)(?![\w$])", re.IGNORECASE)
"""What may take a value of a sequence: columns' defaults do."""
_CALLED: Final = re.compile(r"(?<![\w$.\x80-\U0010ffff])([\w$.\x80-\U0010ffff]++)\s*+\(")
"""From the beginning of a word, and without a second try: a literal may be one word of thousands of letters."""
_INSERT_NAME: Final = re.compile(r"\s*+insert\s+into\s+(?:[\w$]+\.)?[\w$]+\s*(?=\()", re.IGNORECASE)

_WORDS: Final = frozenset(
    """
    all and any array as between bit by case char character coalesce cube dec decimal distinct else end except
    exists extract filter float from greatest grouping having ilike in intersect interval into join key last lateral
    least like limit materialized not nullif numeric offset on only operator or over overlay partition position
    returning rollup row rows select set sets similar some substring then time timestamp treat trim union using
    values varchar varying when where with within xmlagg xmlconcat xmlelement xmlforest
    """.split()  # noqa: SIM905 - a table to be read
)
"""What stands before a parenthesis without being a function that anybody could define."""

_HARMLESS: Final = frozenset(
    """
    current_setting pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_blocking_pids pg_cancel_backend
    pg_notify pg_sleep pg_sleep_for pg_sleep_until pg_terminate_backend pg_try_advisory_xact_lock
    pg_try_advisory_xact_lock_shared nextval setval txid_current to_char to_date to_timestamp
    count sum avg min max row_number rank dense_rank lag lead first_value last_value nth_value ntile
    json_agg jsonb_agg string_agg array_agg bool_and bool_or every generate_series unnest
    """.split()  # noqa: SIM905
)
"""Functions besides the veil's that leave nothing. nextval does, for currval: see `Trace.values`."""

_PINNING: Final = {
    "setseed": "setseed",
    "pg_create_logical_replication_slot": "a replication slot",
    "pg_create_physical_replication_slot": "a replication slot",
    "pg_copy_logical_replication_slot": "a replication slot",
    "pg_copy_physical_replication_slot": "a replication slot",
    "pg_replication_origin_session_setup": "a replication origin",
    "pg_backup_start": "a backup",
    "pg_start_backup": "a backup",
    "dblink_connect": "dblink_connect",
    "dblink_connect_u": "dblink_connect",
}
_SETTINGS_THAT_PIN: Final = {
    "client_encoding": "another client_encoding",
    "names": "another client_encoding",
    "seed": "setseed",
}
_SEQUENCE_CALLS: Final = frozenset({"currval", "lastval"})
_VALUE_CALLS: Final = frozenset({"nextval", "setval"})
_VALUE_NODES: Final = frozenset({"InsertStmt", "UpdateStmt", "MergeStmt", "CopyStmt", "ExecuteStmt"})

_NO_SCHEMA: Final = frozenset({"", "pg_catalog"})


@cache
def _leaves_nothing() -> frozenset[str]:
    """Names of pg_catalog's functions after which nothing is left."""
    return frozenset(entry.partition("/")[0] for entry in admitted()) - _PINNING.keys() | _HARMLESS


@cache
def _plain_words() -> frozenset[str]:
    return _leaves_nothing() | _WORDS | {""}


def trace(sql: str) -> Trace:
    """What `sql` may leave behind."""
    if len(sql) > MAX_TEXT:
        return UNKNOWN
    if is_plain(sql):
        return CLEAN if _TAKES.search(sql) is None else VALUES
    return _traced(sql)


def is_plain(sql: str) -> bool:
    """Whether a glance shows that one statement, of a harmless kind, calls nothing but harmless functions."""
    first = _FIRST.match(sql)
    if first is None or "--" in sql or "/*" in sql or ";" in sql.rstrip()[:-1]:
        return False
    if first[1] is None and _INTO.search(sql) is not None:
        return False  # SELECT INTO makes a table
    lowered = sql.lower()
    if "pg_settings" in lowered or 'u&"' in lowered:
        return False  # an UPDATE of it is a SET, however its name is written
    if "(" not in sql:
        return True
    named = _INSERT_NAME.match(sql)
    start = 0 if named is None else named.end()
    if _HIDDEN.search(sql, start) is not None:
        return False
    plain = _plain_words()
    return all(
        word in plain or word.lower().removeprefix("pg_catalog.") in plain for word in _CALLED.findall(sql, start)
    )


def _traced(sql: str) -> Trace:
    try:
        tree = parser.parse(sql)
    except (parser.SyntaxProblem, ValueError):
        return UNKNOWN  # the server may know more than this grammar
    found: Trace | None = None
    for statement in tree.stmts:
        one = _of_statement(statement.stmt)
        found = one if found is None else found | one
    if found is None:
        return CLEAN
    if len(tree.stmts) == 1 and tree.stmts[0].stmt.WhichOneof("node") == "deallocate_stmt":
        return replace(found, deallocates=tree.stmts[0].stmt.deallocate_stmt.name or None, names=False)
    return found


def _of_statement(wrapper: Node) -> Trace:
    kind = wrapper.WhichOneof("node")
    if kind is None:
        return CLEAN
    read = _KINDS.get(kind)
    found = CHECK if read is None else read(getattr(wrapper, kind))
    asked = valued = takes = False
    for node in parser.nodes_of(wrapper):
        name = node.DESCRIPTOR.name
        if name == "FuncCall":
            called = _name_of(node)
            asked = asked or called in _SEQUENCE_CALLS
            valued = valued or called in _VALUE_CALLS
            found |= _of_call(called, node)
        elif name == "UpdateStmt" and node.relation.relname == "pg_settings":
            found |= Trace(check=True, local=True)
        elif name == "IntoClause" or (name == "ExecuteStmt" and kind != "execute_stmt"):
            found |= Trace(check=True, names=name == "ExecuteStmt")
        takes = takes or name in _VALUE_NODES
    return replace(found, sequences=asked and not valued, values=found.values or valued or takes)


def _name_of(call: Node) -> str | None:
    """A built-in function's name, or None for one with another schema."""
    parts = [part.string.sval for part in call.funcname]
    return parts[-1] if len(parts) == 1 or ".".join(parts[:-1]) in _NO_SCHEMA else None


def _of_call(name: str | None, call: Node) -> Trace:
    if name is None:
        last = call.funcname[-1].string.sval
        return replace(UNKNOWN, pins=_PINNING.get(last))
    if name == "set_config":
        return _of_set_config(call)
    if name in _PINNING:
        return replace(UNKNOWN, pins=_PINNING[name])
    if name in _SEQUENCE_CALLS or name in _leaves_nothing():
        return CLEAN
    return UNKNOWN


def _of_set_config(call: Node) -> Trace:
    kinds = [argument.WhichOneof("node") for argument in call.args]
    local = len(kinds) > 2 and kinds[2] == "a_const" and call.args[2].a_const.boolval.boolval  # noqa: PLR2004
    name = call.args[0].a_const.sval.sval.lower() if kinds[:1] == ["a_const"] else None
    if name is None:
        return Trace(local=True) if local else replace(UNKNOWN, pins="set_config of a computed name")
    return _of_setting(name, local=local)


def _of_setting(name: str, *, local: bool) -> Trace:
    customs = frozenset({name}) if "." in name else frozenset[str]()
    if local:
        return Trace(local=True, customs=customs)
    return Trace(check=True, local=True, pins=_SETTINGS_THAT_PIN.get(name), customs=customs)


def _nothing(_statement: Node) -> Trace:
    return CLEAN


def _names(_statement: Node) -> Trace:
    return Trace(check=True, names=True)


def _foreign(_statement: Node) -> Trace:
    return UNKNOWN


def _load(_statement: Node) -> Trace:
    return Trace(check=True, pins="LOAD")


def _deallocate(statement: Node) -> Trace:
    return Trace(check=statement.name.startswith(OURS), names=True)


def _declare(statement: Node) -> Trace:
    return CHECK if statement.options & 0x20 else CLEAN  # CURSOR_OPT_HOLD


def _set(statement: Node) -> Trace:
    kind = parser.nodes.VariableSetKind.Name(statement.kind)
    name = statement.name.lower()
    if kind == "VAR_SET_MULTI":
        return Trace(local=True) if name == "transaction" else replace(CHECK, local=True)
    if kind == "VAR_SET_VALUE":
        return _of_setting(name, local=statement.is_local)
    return Trace(check=not statement.is_local, local=True)


_KINDS: Final[dict[str, Callable[[Node], Trace]]] = {
    "select_stmt": _nothing,
    "insert_stmt": _nothing,
    "update_stmt": _nothing,
    "delete_stmt": _nothing,
    "merge_stmt": _nothing,
    "explain_stmt": _nothing,
    "copy_stmt": _nothing,
    "fetch_stmt": _nothing,
    "close_portal_stmt": _nothing,
    "variable_show_stmt": _nothing,
    "lock_stmt": _nothing,
    "notify_stmt": _nothing,
    "transaction_stmt": _nothing,
    "truncate_stmt": _nothing,
    "vacuum_stmt": _nothing,
    "declare_cursor_stmt": _declare,
    "variable_set_stmt": _set,
    "prepare_stmt": _names,
    "execute_stmt": _names,
    "deallocate_stmt": _deallocate,
    "do_stmt": _foreign,
    "call_stmt": _foreign,
    "load_stmt": _load,
}
"""Every other kind leaves something that the server can be asked about, as far as is known here."""
