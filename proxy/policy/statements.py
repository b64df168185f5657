"""Statement kinds: which of them a masked role may run, and what of each goes to the engine.

One table from node type to handler. What it does not name is refused by name; a kind that a policy grants and the
program cannot do yet is refused when it comes, as the design has it.

https://www.postgresql.org/docs/current/sql-commands.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from proxy.policy import parser
from proxy.policy.describe import readable
from proxy.policy.plan import Effect, PlannedStatement, Refusal
from proxy.policy.refused import Refused, denied, unsupported
from proxy.policy.relations import quoted
from proxy.policy.rewrite import Rewriter
from proxy.policy.rules import StatementKind
from proxy.policy.settings_list import may_reset, may_search, may_set, may_show

Node = Any
Handler = Callable[[Node, Rewriter], Effect | None]

IMPLEMENTED: Final = frozenset(
    {
        StatementKind.SELECT,
        StatementKind.EXPLAIN,
        StatementKind.COPY_OUT,
        StatementKind.CURSOR,
        StatementKind.PREPARE,
        StatementKind.TRANSACTION,
        StatementKind.SHOW,
        StatementKind.SET,
    }
)

_EXPLAIN_OPTIONS: Final = frozenset(
    {"analyze", "verbose", "costs", "settings", "generic_plan", "buffers", "wal", "timing", "summary", "format"}
)

_COPY_OPTIONS: Final = frozenset(
    {"format", "delimiter", "null", "header", "quote", "escape", "force_quote", "encoding"}
)


def plan_statement(wrapper: Node, rewriter: Rewriter, granted: frozenset[StatementKind]) -> PlannedStatement:
    """Judges and rewrites one statement, in place.

    Args:
        wrapper: the Node of a RawStmt.
        granted: the kinds that the policy lets a masked role run.

    Raises:
        Refused: the statement may not run, or cannot be analysed.
    """
    name = wrapper.WhichOneof("node")
    if name is None:
        raise unsupported("this statement is not supported for this role")
    statement = getattr(wrapper, name)
    kind, handler = _dispatch(name, statement)
    if handler is None or kind is None or kind not in IMPLEMENTED:
        raise denied(f"{_spoken(name, statement)} is not allowed for this role", hint=_hint(kind, granted))
    if kind not in granted:
        raise denied(
            f"{_spoken(name, statement)} is not allowed for this role",
            hint=f"defaults.statements in the policy does not list {kind.value}",
        )
    effect = handler(statement, rewriter)
    rewriter.finish()
    return PlannedStatement(kind, effect)


def _dispatch(name: str, statement: Node) -> tuple[StatementKind | None, Handler | None]:
    if name == "copy_stmt" and statement.is_from:
        return StatementKind.COPY_IN, None
    return _HANDLERS.get(name, (None, None))


def _hint(kind: StatementKind | None, granted: frozenset[StatementKind]) -> str:
    if kind is not None and kind in granted:
        return f"the policy lists {kind.value}, which this version cannot do yet"
    return "a masked role may read: SELECT, EXPLAIN, COPY ... TO STDOUT, cursors, PREPARE, transactions, SHOW and SET"


def _spoken(name: str, statement: Node) -> str:
    if name == "copy_stmt":
        return "COPY ... FROM" if statement.is_from else "COPY ... TO"
    return readable(statement.DESCRIPTOR.name)


# Reading


def _select(statement: Node, rewriter: Rewriter) -> Effect | None:
    rewriter.select(statement)
    return None


def _require_select(wrapper: Node, what: str) -> Node:
    if wrapper.WhichOneof("node") != "select_stmt":
        raise denied(f"{what} of anything but a SELECT is not allowed for this role")
    return wrapper.select_stmt


def _explain(statement: Node, rewriter: Rewriter) -> Effect | None:
    query = _require_select(statement.query, "EXPLAIN")
    names = [option.def_elem.defname for option in statement.options]
    for name in names:
        if name not in _EXPLAIN_OPTIONS:
            raise unsupported(f"EXPLAIN option {name} is not supported for this role")
    rewriter.select(query)
    if rewriter.touched:
        _hide_measurements(statement)
        rewriter.changed = True
    return None


def _hide_measurements(statement: Node) -> None:
    """Widths, row estimates, memory and buffers of a masked table come from the values below the mask."""
    if any(_is_on(option.def_elem) for option in statement.options if option.def_elem.defname == "analyze"):
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


def _is_on(option: Node) -> bool:
    """The reading of defGetBoolean: no argument means on."""
    kind = option.arg.WhichOneof("node") if option.HasField("arg") else None
    if kind is None:
        return True
    if kind == "integer":
        return bool(option.arg.integer.ival)
    if kind == "boolean":
        return bool(option.arg.boolean.boolval)
    return str(option.arg.string.sval).lower() not in ("false", "off", "no", "0")


def _copy(statement: Node, rewriter: Rewriter) -> Effect | None:
    if statement.is_program or statement.filename:
        raise denied("COPY to a file or program of the server is not allowed", hint="COPY ... TO STDOUT works")
    for option in statement.options:
        if option.def_elem.defname not in _COPY_OPTIONS:
            raise unsupported(f"COPY option {option.def_elem.defname} is not supported for this role")
    if statement.HasField("query"):
        rewriter.select(_require_select(statement.query, "COPY"))
        return None
    _copy_table(statement, rewriter)
    return None


def _copy_table(statement: Node, rewriter: Rewriter) -> None:
    """COPY table TO STDOUT of a masked table becomes COPY (SELECT its columns FROM its masked view)."""
    reference = statement.relation
    found = rewriter.relation(reference)
    if found is None or rewriter.relations.replacement(found, reference.location) is None:
        return
    wanted = [item.string.sval for item in statement.attlist]
    unknown = [name for name in wanted if found.column(name) is None]
    if unknown:
        message = f'column "{unknown[0]}" of relation "{found.name}" does not exist'
        raise Refused(Refusal("42703", message))
    items = ", ".join(quoted(name) for name in wanted or [c.name for c in found.columns])
    # As COPY itself has it: a table's own rows, not those of tables that inherit from it; partitions are its rows.
    only = "ONLY " if found.kind == "r" else ""
    text = f"SELECT {items} FROM {only}{quoted(found.schema)}.{quoted(found.name)}"
    tree = parser.parse(text)
    rewriter.select(tree.stmts[0].stmt.select_stmt)
    statement.query.CopyFrom(tree.stmts[0].stmt)
    statement.ClearField("relation")
    del statement.attlist[:]
    rewriter.changed = True


def _declare(statement: Node, rewriter: Rewriter) -> Effect | None:
    rewriter.select(_require_select(statement.query, "DECLARE CURSOR"))
    return None


def _plain(statement: Node, rewriter: Rewriter) -> Effect | None:
    """A statement of names only: FETCH, MOVE and CLOSE reach cursors that this session declared."""
    del statement, rewriter
    return None


# Prepared statements


def _prepare(statement: Node, rewriter: Rewriter) -> Effect | None:
    for item in statement.argtypes:
        rewriter.walk(item)
    rewriter.select(_require_select(statement.query, "PREPARE"))
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


def _discard(statement: Node, rewriter: Rewriter) -> Effect | None:
    """DISCARD ALL gives back the login's own state: identity, settings and plans of this session.

    https://www.postgresql.org/docs/current/sql-discard.html
    """
    del rewriter
    kind = parser.nodes.DiscardMode.Name(statement.target)
    return Effect("discard_all") if kind == "DISCARD_ALL" else None


_HANDLERS: Final[dict[str, tuple[StatementKind, Handler | None]]] = {
    "select_stmt": (StatementKind.SELECT, _select),
    "explain_stmt": (StatementKind.EXPLAIN, _explain),
    "copy_stmt": (StatementKind.COPY_OUT, _copy),
    "declare_cursor_stmt": (StatementKind.CURSOR, _declare),
    "fetch_stmt": (StatementKind.CURSOR, _plain),
    "close_portal_stmt": (StatementKind.CURSOR, _plain),
    "prepare_stmt": (StatementKind.PREPARE, _prepare),
    "execute_stmt": (StatementKind.PREPARE, _execute),
    "deallocate_stmt": (StatementKind.PREPARE, _deallocate),
    "transaction_stmt": (StatementKind.TRANSACTION, _transaction),
    "variable_set_stmt": (StatementKind.SET, _set),
    "discard_stmt": (StatementKind.SET, _discard),
    "unlisten_stmt": (StatementKind.SET, _plain),
    "variable_show_stmt": (StatementKind.SHOW, _show),
    "insert_stmt": (StatementKind.INSERT, None),
    "update_stmt": (StatementKind.UPDATE, None),
    "delete_stmt": (StatementKind.DELETE, None),
    "merge_stmt": (StatementKind.MERGE, None),
    "call_stmt": (StatementKind.CALL, None),
    "listen_stmt": (StatementKind.LISTEN, None),
    "notify_stmt": (StatementKind.LISTEN, None),
}
