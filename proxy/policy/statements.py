"""Statement kinds: which of them a masked role may run, and what of each goes to the engine.

One table from node type to handler. What it does not name is refused by name; a kind that a policy grants and the
program cannot do yet is refused when it comes, as the design has it.

https://www.postgresql.org/docs/current/sql-commands.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from proxy.policy import copying, parser, temporary, writes
from proxy.policy.commands import reason, spoken
from proxy.policy.copying import is_on, require_select
from proxy.policy.cutting import cut_to_limit
from proxy.policy.plan import Effect, PlannedStatement, Refusal
from proxy.policy.refused import DUMP_HINT, Refused, denied, unsupported
from proxy.policy.rewrite import Rewriter
from proxy.policy.rules import StatementKind
from proxy.policy.settings_list import may_reset, may_search, may_set, may_show

Node = Any
Handler = Callable[[Node, Rewriter], Effect | None]

IMPLEMENTED: Final = frozenset(
    {
        StatementKind.SELECT,
        StatementKind.INSERT,
        StatementKind.UPDATE,
        StatementKind.DELETE,
        StatementKind.MERGE,
        StatementKind.EXPLAIN,
        StatementKind.COPY_OUT,
        StatementKind.COPY_IN,
        StatementKind.CURSOR,
        StatementKind.PREPARE,
        StatementKind.TRANSACTION,
        StatementKind.SHOW,
        StatementKind.SET,
        StatementKind.TEMP,
    }
)

_WRITES: Final = frozenset(
    {
        StatementKind.INSERT,
        StatementKind.UPDATE,
        StatementKind.DELETE,
        StatementKind.MERGE,
        StatementKind.COPY_IN,
    }
)
"""`writes` asks itself whether they are granted: a session's own temporary tables need TEMP and nothing else."""

_GIVE_ROWS: Final = frozenset(
    {StatementKind.SELECT, StatementKind.COPY_OUT, StatementKind.CURSOR, StatementKind.PREPARE}
)

_WITH_HOLD: Final = 0x20
"""CURSOR_OPT_HOLD, a bit of DeclareCursorStmt.options."""

_EXPLAIN_OPTIONS: Final = frozenset(
    {
        "analyze",
        "verbose",
        "costs",
        "settings",
        "generic_plan",
        "buffers",
        "wal",
        "timing",
        "summary",
        "format",
        "serialize",
        "memory",
    }
)


def plan_statement(wrapper: Node, rewriter: Rewriter) -> PlannedStatement:
    """Judges and rewrites one statement, in place.

    Args:
        wrapper: the Node of a RawStmt.

    Raises:
        Refused: the statement may not run, or cannot be analysed.
    """
    granted = rewriter.context.granted
    name = wrapper.WhichOneof("node")
    if name is None:
        raise unsupported("this statement is not supported for this role")
    statement = getattr(wrapper, name)
    kind, handler = _dispatch(name, statement)
    if handler is None or kind is None or kind not in IMPLEMENTED:
        raise denied(f"{_spoken(name, statement)} is not allowed for this role", hint=_hint(name, kind, granted))
    if kind not in granted and kind not in _WRITES:
        raise denied(
            f"{_spoken(name, statement)} is not allowed for this role",
            hint=f"defaults.statements in the policy does not list {kind.value}",
        )
    rewriter.begin(statement)
    if kind in _WRITES:
        rewriter.implicit_names()
    if kind is StatementKind.SHOW and statement.name == "all":
        effect = _show_all(wrapper, rewriter)
    else:
        effect = handler(statement, rewriter)
    rewriter.finish()
    return PlannedStatement(kind, effect, _max_rows(kind, rewriter))


def _dispatch(name: str, statement: Node) -> tuple[StatementKind | None, Handler | None]:
    if name == "copy_stmt" and statement.is_from:
        return StatementKind.COPY_IN, writes.copy_in
    if name == "select_stmt" and temporary.makes_table(statement):
        return StatementKind.TEMP, temporary.select_into
    return _HANDLERS.get(name, (None, None))


def _hint(name: str, kind: StatementKind | None, granted: frozenset[StatementKind]) -> str:
    if kind is not None and kind in granted:
        return f"the policy lists {kind.value}, which this version cannot do yet"
    return DUMP_HINT if name == "lock_stmt" else reason(name)


def _spoken(name: str, statement: Node) -> str:
    if name == "copy_stmt":
        return "COPY ... FROM" if statement.is_from else "COPY ... TO"
    if name == "select_stmt" and temporary.makes_table(statement):
        return "SELECT INTO"
    return spoken(name)


# Reading


def _select(statement: Node, rewriter: Rewriter) -> Effect | None:
    rewriter.query(statement)
    cut_to_limit(statement, rewriter)
    return None


def _max_rows(kind: StatementKind, rewriter: Rewriter) -> int | None:
    limits = rewriter.context.limits
    return limits.max_rows if limits is not None and kind in _GIVE_ROWS else None


def _query(wrapper: Node, what: str, rewriter: Rewriter) -> None:
    """A SELECT, or a write where that is granted."""
    if wrapper.WhichOneof("node") in ("insert_stmt", "update_stmt", "delete_stmt", "merge_stmt"):
        rewriter.implicit_names()
        writes.modify(wrapper, rewriter)
    else:
        rewriter.query(require_select(wrapper, what))


def _explain(statement: Node, rewriter: Rewriter) -> Effect | None:
    names = [option.def_elem.defname for option in statement.options]
    for name in names:
        if name not in _EXPLAIN_OPTIONS:
            raise unsupported(f"EXPLAIN option {name} is not supported for this role")
    _query(statement.query, "EXPLAIN", rewriter)
    if rewriter.touched:
        _hide_measurements(statement)
        rewriter.changed = True
    return None


def _hide_measurements(statement: Node) -> None:
    """Widths, row estimates, memory and buffers of a masked table come from the values below the mask."""
    if any(is_on(option.def_elem) for option in statement.options if option.def_elem.defname == "analyze"):
        raise denied(
            "EXPLAIN ANALYZE of a masked table is not allowed for this role",
            hint="EXPLAIN without ANALYZE shows the plan",
        )
    kept = [o for o in statement.options if o.def_elem.defname in ("verbose", "format", "settings", "generic_plan")]
    copies = [parser.nodes.Node.FromString(option.SerializeToString()) for option in kept]
    del statement.options[:]
    statement.options.extend(copies)
    costs = statement.options.add().def_elem
    costs.defname = "costs"
    costs.defaction = parser.nodes.DefElemAction.Value("DEFELEM_UNSPEC")
    costs.arg.string.sval = "off"


def _declare(statement: Node, rewriter: Rewriter) -> Effect | None:
    select = require_select(statement.query, "DECLARE CURSOR")
    rewriter.query(select)
    cut_to_limit(select, rewriter)
    return Effect("declare", statement.portalname, local=not statement.options & _WITH_HOLD)


def _fetch(statement: Node, rewriter: Rewriter) -> Effect | None:
    """FETCH and MOVE reach cursors that this session declared."""
    del rewriter
    forward = parser.nodes.FetchDirection.Name(statement.direction) == "FETCH_FORWARD" and statement.how_many > 0
    return Effect("fetch", statement.portalname, local=not forward)


def _close(statement: Node, rewriter: Rewriter) -> Effect | None:
    del rewriter
    return Effect("close", statement.portalname or None)


def _plain(statement: Node, rewriter: Rewriter) -> Effect | None:
    """A statement of names only."""
    del statement, rewriter
    return None


# Prepared statements


def _prepare(statement: Node, rewriter: Rewriter) -> Effect | None:
    for item in statement.argtypes:
        rewriter.walk(item)
    _query(statement.query, "PREPARE", rewriter)
    if statement.query.WhichOneof("node") == "select_stmt":
        cut_to_limit(statement.query.select_stmt, rewriter)
    return Effect("prepare", statement.name)


def _execute(statement: Node, rewriter: Rewriter) -> Effect | None:
    for parameter in statement.params:
        rewriter.walk(parameter)
    return Effect("execute", statement.name)


def _deallocate(statement: Node, rewriter: Rewriter) -> Effect | None:
    del rewriter
    return Effect("deallocate", statement.name or None)


# Transactions and settings


_TRANSACTION_EFFECTS: Final = {
    "TRANS_STMT_BEGIN": "begin",
    "TRANS_STMT_START": "begin",
    "TRANS_STMT_COMMIT": "commit",
    "TRANS_STMT_ROLLBACK": "rollback",
    "TRANS_STMT_SAVEPOINT": "savepoint",
    "TRANS_STMT_RELEASE": "release",
    "TRANS_STMT_ROLLBACK_TO": "rollback_to",
}


def _transaction(statement: Node, rewriter: Rewriter) -> Effect | None:
    del rewriter
    kind = parser.nodes.TransactionStmtKind.Name(statement.kind)
    effect = _TRANSACTION_EFFECTS.get(kind)
    if effect is None:
        raise denied("two-phase transactions are not allowed for this role")
    return Effect(effect, statement.savepoint_name or None)


def _set(statement: Node, rewriter: Rewriter) -> Effect | None:
    del rewriter
    kind = parser.nodes.VariableSetKind.Name(statement.kind)
    name = statement.name.lower()
    if kind == "VAR_SET_MULTI":
        if name in ("transaction", "session characteristics"):
            return None
        raise denied(f"SET {name.upper()} is not allowed for this role")
    if kind == "VAR_RESET_ALL":
        return Effect("reset_all")
    if kind in ("VAR_RESET", "VAR_SET_DEFAULT"):
        _raise_if(may_reset(name))
        return Effect("search_path_reset", local=statement.is_local) if name == "search_path" else None
    if kind != "VAR_SET_VALUE":
        raise unsupported("this form of SET is not supported for this role")
    return _set_value(statement, name)


def _set_value(statement: Node, name: str) -> Effect | None:
    values = [_setting_text(item) for item in statement.args]
    if name == "search_path":
        # Each argument is one name, whatever it holds; the server reads a comma inside as part of the name.
        _raise_if(may_search(values))
        return Effect("search_path", value=tuple(values), local=statement.is_local)
    _raise_if(may_set(name, ",".join(values)))
    return None


def _setting_text(item: Node) -> str:
    """The text of one argument of SET: a constant, or a typed one as in SET TIME ZONE INTERVAL '2' HOUR."""
    kind = item.WhichOneof("node")
    if kind == "type_cast":
        return _setting_text(item.type_cast.arg)
    if kind != "a_const":
        raise unsupported("this value of SET is not supported for this role")
    constant = item.a_const
    value = constant.WhichOneof("val")
    if value == "sval":
        return str(constant.sval.sval)
    if value == "ival":
        return str(constant.ival.ival)
    if value == "fval":
        return str(constant.fval.fval)
    if value == "boolval":
        return "on" if constant.boolval.boolval else "off"
    raise unsupported("this value of SET is not supported for this role")


def _raise_if(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise Refused(refusal)


def _show(statement: Node, rewriter: Rewriter) -> Effect | None:
    del rewriter
    _raise_if(may_show(statement.name))
    return None


_ALL_SETTINGS: Final = """
SELECT s.name, pg_catalog.current_setting(s.name) AS setting, s.short_desc AS description
FROM pg_catalog.pg_settings AS s ORDER BY pg_catalog.lower(s.name) COLLATE pg_catalog."C"
"""
"""What SHOW ALL shows, over what the role may see of the settings."""


def _show_all(wrapper: Node, rewriter: Rewriter) -> Effect | None:
    tree = parser.parse(_ALL_SETTINGS)
    parser.without_locations(tree)
    wrapper.select_stmt.CopyFrom(tree.stmts[0].stmt.select_stmt)
    rewriter.select(wrapper.select_stmt)
    rewriter.changed = True
    return None


_DISCARDS: Final = {"DISCARD_ALL": Effect("discard_all"), "DISCARD_TEMP": Effect("discard_temp")}


def _discard(statement: Node, rewriter: Rewriter) -> Effect | None:
    """DISCARD ALL gives back the login's own state: identity, settings and plans of this session.

    https://www.postgresql.org/docs/current/sql-discard.html
    """
    del rewriter
    kind = parser.nodes.DiscardMode.Name(statement.target)
    return _DISCARDS.get(kind)


_HANDLERS: Final[dict[str, tuple[StatementKind, Handler | None]]] = {
    "select_stmt": (StatementKind.SELECT, _select),
    "explain_stmt": (StatementKind.EXPLAIN, _explain),
    "copy_stmt": (StatementKind.COPY_OUT, copying.copy_out),
    "declare_cursor_stmt": (StatementKind.CURSOR, _declare),
    "fetch_stmt": (StatementKind.CURSOR, _fetch),
    "close_portal_stmt": (StatementKind.CURSOR, _close),
    "prepare_stmt": (StatementKind.PREPARE, _prepare),
    "execute_stmt": (StatementKind.PREPARE, _execute),
    "deallocate_stmt": (StatementKind.PREPARE, _deallocate),
    "transaction_stmt": (StatementKind.TRANSACTION, _transaction),
    "variable_set_stmt": (StatementKind.SET, _set),
    "discard_stmt": (StatementKind.SET, _discard),
    "unlisten_stmt": (StatementKind.SET, _plain),
    "variable_show_stmt": (StatementKind.SHOW, _show),
    "insert_stmt": (StatementKind.INSERT, writes.insert),
    "update_stmt": (StatementKind.UPDATE, writes.update),
    "delete_stmt": (StatementKind.DELETE, writes.delete),
    "merge_stmt": (StatementKind.MERGE, writes.merge),
    "create_stmt": (StatementKind.TEMP, temporary.create),
    "create_table_as_stmt": (StatementKind.TEMP, temporary.create_as),
    "drop_stmt": (StatementKind.TEMP, temporary.drop),
    "truncate_stmt": (StatementKind.TEMP, temporary.truncate),
    "index_stmt": (StatementKind.TEMP, temporary.index),
    "vacuum_stmt": (StatementKind.TEMP, temporary.analyze),
    "call_stmt": (StatementKind.CALL, None),
    "listen_stmt": (StatementKind.LISTEN, None),
    "notify_stmt": (StatementKind.LISTEN, None),
}
