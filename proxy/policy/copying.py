"""COPY ... TO STDOUT, of a SELECT or of a table: what is copied comes out of masked views.

COPY ... FROM writes, and is `writes`'s. https://www.postgresql.org/docs/current/sql-copy.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from proxy.policy import parser
from proxy.policy.cutting import cut_to_limit
from proxy.policy.maskedview import quoted
from proxy.policy.plan import Effect, Refusal
from proxy.policy.refused import Refused, denied, unsupported

if TYPE_CHECKING:
    from proxy.policy.rewrite import Rewriter

Node = Any

_COPY_OPTIONS: Final = frozenset(
    {"format", "delimiter", "null", "header", "quote", "escape", "force_quote", "encoding"}
)


def copy_out(statement: Node, rewriter: Rewriter) -> Effect | None:
    if statement.is_program or statement.filename:
        raise denied("COPY to a file or program of the server is not allowed", hint="COPY ... TO STDOUT works")
    for option in statement.options:
        if option.def_elem.defname not in _COPY_OPTIONS:
            raise unsupported(f"COPY option {option.def_elem.defname} is not supported for this role")
    plain_header(statement)
    if statement.HasField("query"):
        select = require_select(statement.query, "COPY")
        rewriter.query(select)
        cut_to_limit(select, rewriter)
        return None
    _copy_table(statement, rewriter)
    return None


def _copy_table(statement: Node, rewriter: Rewriter) -> None:
    """COPY table TO STDOUT of a masked table becomes COPY (SELECT its columns FROM its masked view)."""
    reference = statement.relation
    found = rewriter.relation(reference)
    limits = rewriter.context.limits
    is_cut = limits is not None and limits.max_rows is not None
    if found is None or not (is_cut or rewriter.relations.replacement(found, reference.location)):
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
    parser.without_locations(tree)
    rewriter.query(tree.stmts[0].stmt.select_stmt)
    cut_to_limit(tree.stmts[0].stmt.select_stmt, rewriter)
    statement.query.CopyFrom(tree.stmts[0].stmt)
    statement.ClearField("relation")
    del statement.attlist[:]
    rewriter.changed = True


def plain_header(statement: Node) -> None:
    """HEADER as the deparser writes it back: alone, or not at all. COPY's older syntax has it otherwise."""
    for at in reversed(range(len(statement.options))):
        option = statement.options[at].def_elem
        if option.defname != "header" or not option.HasField("arg"):
            continue
        if option.arg.WhichOneof("node") == "string" and option.arg.string.sval.lower() == "match":
            continue
        if is_on(option):
            option.ClearField("arg")
        else:
            del statement.options[at]


def require_select(wrapper: Node, what: str) -> Node:
    if wrapper.WhichOneof("node") != "select_stmt":
        raise denied(f"{what} of anything but a SELECT is not allowed for this role")
    return wrapper.select_stmt


def is_on(option: Node) -> bool:
    """The reading of defGetBoolean: no argument means on."""
    kind = option.arg.WhichOneof("node") if option.HasField("arg") else None
    if kind is None:
        return True
    if kind == "integer":
        return bool(option.arg.integer.ival)
    if kind == "boolean":
        return bool(option.arg.boolean.boolval)
    return str(option.arg.string.sval).lower() not in ("false", "off", "no", "0")
