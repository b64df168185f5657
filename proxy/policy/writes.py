"""INSERT, UPDATE, DELETE, MERGE and COPY ... FROM, where a policy lets a masked role write.

The target stays the raw table: `targets` refuses what would read its protected columns, `probes` the constraints whose
errors would tell of them. Whatever else the statement reads goes through masked views like any SELECT. A row filter of
the target becomes part of WHERE, in a CASE that keeps the client's own condition from running on hidden rows.

It does not know what the server makes of a value that is written, and it runs nothing.
https://www.postgresql.org/docs/current/sql-insert.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from proxy.policy import parser
from proxy.policy.copying import plain_header
from proxy.policy.describe import location_of, readable
from proxy.policy.plan import Effect
from proxy.policy.probes import Change, require_silent
from proxy.policy.reach import members
from proxy.policy.refused import denied, unsupported
from proxy.policy.rules import StatementKind
from proxy.policy.steering import changes, deciding_columns, is_read_by_policy
from proxy.policy.targets import Reads, Target, require_granted, require_write, resolve

if TYPE_CHECKING:
    from proxy.policy.rewrite import Rewriter

Node = Any
Scope = frozenset[str]

INSERT, UPDATE, DELETE = StatementKind.INSERT, StatementKind.UPDATE, StatementKind.DELETE

_COPY_OPTIONS: Final = frozenset(
    {"format", "delimiter", "null", "header", "quote", "escape", "force_not_null", "force_null", "encoding", "default"}
)


def modify(wrapper: Node, rewriter: Rewriter, scope: Scope = frozenset()) -> None:
    """Judges and rewrites the INSERT, UPDATE, DELETE or MERGE in a Node, in place: a statement's, a WITH query's, or
    what EXPLAIN and PREPARE hold. Raises Refused."""
    name = wrapper.WhichOneof("node")
    handler = _HANDLERS.get(name)
    if handler is None:
        statement = getattr(wrapper, name) if name else wrapper
        raise denied(f"{readable(statement.DESCRIPTOR.name)} is not allowed for this role")
    handler(getattr(wrapper, name), rewriter, scope)


def insert(statement: Node, rewriter: Rewriter, scope: Scope = frozenset()) -> Effect | None:
    """INSERT. Its SELECT reads masked views, and cannot see the target."""
    if rewriter.relations.has_predicates:
        rewriter.require_shown(_source(statement), scope)
    target, scope = _begin(statement, rewriter, scope)
    if target is not None:
        _require(target, INSERT, rewriter)
        _require_insertable(target, rewriter)
        _require_new_row(target, [item.res_target.name for item in statement.cols], rewriter)
        conflict = statement.on_conflict_clause
        reads = Reads(target, _own_values(statement, target, rewriter))
        if _updates(conflict):
            _require(target, UPDATE, rewriter)
            reads.forbid_parts(conflict.target_list)
            _require_update(target, conflict.target_list, rewriter)
        reads.forbid((*conflict.target_list, conflict.where_clause))
        reads.forbid_returning(statement.returning_clause)
    _walk_all(statement.cols, rewriter, scope)
    if statement.HasField("select_stmt"):
        rewriter.walk(statement.select_stmt, scope)
    if statement.HasField("on_conflict_clause"):
        _walk_conflict(statement.on_conflict_clause, rewriter, scope)
    _walk_all(statement.returning_clause.exprs, rewriter, scope)
    return None


def update(statement: Node, rewriter: Rewriter, scope: Scope = frozenset()) -> Effect | None:
    """UPDATE. FROM reads masked views; the target's own columns are read where they are not protected."""
    target, scope = _begin(statement, rewriter, scope)
    if target is not None:
        _require(target, UPDATE, rewriter)
        reads = Reads(target)
        reads.forbid_parts(statement.target_list)
        reads.forbid((*statement.target_list, statement.where_clause))
        reads.forbid_returning(statement.returning_clause)
        _require_update(target, statement.target_list, rewriter)
    _walk_assignments(statement.target_list, rewriter, scope)
    _walk_all(statement.from_clause, rewriter, scope)
    _walk_condition(statement, target, rewriter, scope)
    _walk_all(statement.returning_clause.exprs, rewriter, scope)
    return None


def delete(statement: Node, rewriter: Rewriter, scope: Scope = frozenset()) -> Effect | None:
    """DELETE. USING reads masked views."""
    target, scope = _begin(statement, rewriter, scope)
    if target is not None:
        _require(target, DELETE, rewriter)
        reads = Reads(target)
        reads.forbid((statement.where_clause,))
        reads.forbid_returning(statement.returning_clause)
        require_silent(target, Change(DELETE), rewriter.relations)
    _walk_all(statement.using_clause, rewriter, scope)
    _walk_condition(statement, target, rewriter, scope)
    _walk_all(statement.returning_clause.exprs, rewriter, scope)
    return None


def merge(statement: Node, rewriter: Rewriter, scope: Scope = frozenset()) -> Effect | None:
    """MERGE: each of its actions has to be granted on the table as a statement of its kind would."""
    target, scope = _begin(statement, rewriter, scope)
    clauses = [item.merge_when_clause for item in statement.merge_when_clauses]
    if target is not None:
        require_granted(rewriter, StatementKind.MERGE)
        _require_insertable(target, rewriter)
        reads = Reads(target)
        reads.forbid((statement.join_condition,))
        for clause in clauses:
            _require_action(clause, target, reads, rewriter)
        reads.forbid_returning(statement.returning_clause)
    rewriter.walk(statement.source_relation, scope)
    rewriter.walk(statement.join_condition, scope)
    for clause in clauses:
        if clause.HasField("condition"):
            rewriter.walk(clause.condition, scope)
        _walk_assignments(clause.target_list, rewriter, scope)
        _walk_all(clause.values, rewriter, scope)
    _walk_all(statement.returning_clause.exprs, rewriter, scope)
    return None


def copy_in(statement: Node, rewriter: Rewriter) -> Effect | None:
    """COPY table FROM STDIN: an INSERT whose rows are the client's own, and so is what its WHERE sees."""
    if statement.is_program or statement.filename:
        raise denied("COPY from a file or program of the server is not allowed", hint="COPY ... FROM STDIN works")
    for option in statement.options:
        if option.def_elem.defname not in _COPY_OPTIONS:
            raise unsupported(f"COPY option {option.def_elem.defname} is not supported for this role")
    plain_header(statement)
    rewriter.unwritten_calls()
    target = _resolve(statement.relation, rewriter)
    if target is not None:
        require_granted(rewriter, StatementKind.COPY_IN)
        require_write(target, INSERT, rewriter)
        _require_insertable(target, rewriter)
        _require_new_row(target, [item.string.sval for item in statement.attlist], rewriter)
    if statement.HasField("where_clause"):
        rewriter.walk(statement.where_clause, frozenset())
    return None


_HANDLERS: Final[dict[str, Callable[[Node, Rewriter, Scope], Effect | None]]] = {
    "insert_stmt": insert,
    "update_stmt": update,
    "delete_stmt": delete,
    "merge_stmt": merge,
}


# What each of them begins with


def _begin(statement: Node, rewriter: Rewriter, scope: Scope) -> tuple[Target | None, Scope]:
    rewriter.unwritten_calls()
    if statement.HasField("with_clause"):
        scope = rewriter.with_queries(statement.with_clause, scope)
    return _resolve(statement.relation, rewriter), scope


def _resolve(reference: Node, rewriter: Rewriter) -> Target | None:
    target = resolve(reference, rewriter)
    if target is not None and is_read_by_policy(target.relation, rewriter.relations):
        raise denied(
            f"table {target.relation.qualified} decides what this role sees, and may not be written",
            hint="a row filter, a condition or a lookup of the policy reads it",
            location=reference.location,
        )
    # The text must not leave it to a setting which table is written.
    rewriter.changed = True
    return target


def _require(target: Target, kind: StatementKind, rewriter: Rewriter) -> None:
    require_granted(rewriter, kind)
    require_write(target, kind, rewriter)


def _require_insertable(target: Target, rewriter: Rewriter) -> None:
    """A new row may lie outside of the filter, and a key that is taken tells of a row that is hidden."""
    if rewriter.relations.is_filtered(target.relation):
        raise unsupported(
            f"rows cannot be added to {target.relation.qualified}, of which this role sees some only",
            hint="UPDATE and DELETE of the rows that it sees work, where the policy grants them",
        )


def _require_rows_stay(target: Target, assignments: Iterable[Node], rewriter: Rewriter) -> None:
    """A column that the filter reads may not be assigned: a row could be moved out of sight, or to another's. Nor may
    one by which a mask holds or not."""
    deciding = deciding_columns(target.relation, rewriter.relations)
    for item in assignments if deciding else ():
        name = item.res_target.name
        if deciding & changes(target.relation, frozenset({name}), rewriter.relations):
            raise denied(
                f'column "{name}" of {target.relation.qualified} decides what this role sees, and cannot be set',
                hint="a row filter or a condition of the policy reads it",
                location=item.res_target.location,
            )


def _require_new_row(target: Target, listed: Iterable[str], rewriter: Rewriter) -> None:
    columns = frozenset(listed) or frozenset(column.name for column in target.relation.columns)
    require_silent(target, Change(INSERT, columns), rewriter.relations)


def _require_update(target: Target, assignments: Sequence[Node], rewriter: Rewriter) -> None:
    _require_rows_stay(target, assignments, rewriter)
    columns = frozenset(item.res_target.name for item in assignments)
    require_silent(target, Change(UPDATE, columns), rewriter.relations)


def _require_action(clause: Node, target: Target, reads: Reads, rewriter: Rewriter) -> None:
    """One WHEN of MERGE: may the role do that, and does it read nothing that is protected?"""
    command = parser.nodes.CmdType.Name(clause.command_type)
    reads.forbid((clause.condition, *clause.target_list, *clause.values))
    if command == "CMD_INSERT":
        require_write(target, INSERT, rewriter)
        _require_new_row(target, [item.res_target.name for item in clause.target_list], rewriter)
    elif command == "CMD_UPDATE":
        require_write(target, UPDATE, rewriter)
        reads.forbid_parts(clause.target_list)
        _require_update(target, clause.target_list, rewriter)
    elif command == "CMD_DELETE":
        require_write(target, DELETE, rewriter)
        require_silent(target, Change(DELETE), rewriter.relations)
    elif command != "CMD_NOTHING":
        raise unsupported("this action of MERGE is not supported for this role")


# INSERT


def _source(statement: Node) -> Node:
    """What an INSERT takes its rows from, as a SELECT with the INSERT's own WITH around it."""
    select = parser.parse("SELECT * FROM (SELECT) AS pgveil_source").stmts[0].stmt.select_stmt
    if statement.HasField("select_stmt"):
        select.from_clause[0].range_subselect.subquery.CopyFrom(statement.select_stmt)
    if statement.HasField("with_clause"):
        select.with_clause.CopyFrom(statement.with_clause)
    return select


def _own_values(statement: Node, target: Target, rewriter: Rewriter) -> frozenset[str]:
    """The protected columns whose value in `excluded` the statement itself has given: no default, no trigger's."""
    if any(m.changes_inserts for m in members(rewriter.catalog, target.relation)):
        return frozenset()
    if any(node.DESCRIPTOR.name == "SetToDefault" for node in parser.nodes_of(statement.select_stmt)):
        return frozenset()
    return frozenset(item.res_target.name for item in statement.cols if not item.res_target.indirection)


def _updates(conflict: Node) -> bool:
    action = parser.nodes.OnConflictAction.Name(conflict.action)
    if action not in ("ON_CONFLICT_ACTION_UNDEFINED", "ONCONFLICT_NONE", "ONCONFLICT_NOTHING", "ONCONFLICT_UPDATE"):
        raise unsupported("this action of ON CONFLICT is not supported for this role", location=conflict.location)
    return bool(action == "ONCONFLICT_UPDATE")


def _walk_conflict(conflict: Node, rewriter: Rewriter, scope: Scope) -> None:
    """ON CONFLICT: what infers the index is compared with it and never computed, but its names are looked up."""
    for item in conflict.infer.index_elems:
        element = item.index_elem
        if element.opclass:
            raise unsupported("an operator class in ON CONFLICT is not supported", location=conflict.location)
        if element.HasField("expr"):
            rewriter.walk(element.expr, scope)
    if conflict.infer.HasField("where_clause"):
        rewriter.walk(conflict.infer.where_clause, scope)
    _walk_assignments(conflict.target_list, rewriter, scope)
    if conflict.HasField("where_clause"):
        rewriter.walk(conflict.where_clause, scope)


# WHERE


def _walk_condition(statement: Node, target: Target | None, rewriter: Rewriter, scope: Scope) -> None:
    """The client's condition, behind the row filter where there is one.

    CASE computes a branch only for rows that come to it; what the planner computes early is constants, which no row is
    in: https://www.postgresql.org/docs/current/sql-expressions.html#SYNTAX-EXPRESS-EVAL. The filter stands before it
    as well, for the planner to find rows by.
    """
    own = statement.where_clause
    if own.WhichOneof("node") == "current_of_expr":
        raise unsupported("WHERE CURRENT OF is not supported for this role", location=location_of(own))
    if target is None or target.condition is None:
        if statement.HasField("where_clause"):
            rewriter.walk(own, scope)
        return
    if not statement.HasField("where_clause"):
        statement.where_clause.CopyFrom(target.condition)
        return
    fenced = _expression("true AND CASE WHEN true THEN true ELSE false END").bool_expr
    branch = fenced.args[1].case_expr.args[0].case_when
    branch.result.CopyFrom(own)
    branch.expr.CopyFrom(target.condition)
    fenced.args[0].CopyFrom(target.condition)
    statement.where_clause.bool_expr.CopyFrom(fenced)
    # In its place and not before: the walk keeps hold of references to settle them later.
    rewriter.walk(statement.where_clause.bool_expr.args[1].case_expr.args[0].case_when.result, scope)


def _expression(text: str) -> Node:
    expression = parser.parse(f"SELECT {text}").stmts[0].stmt.select_stmt.target_list[0].res_target.val
    parser.without_locations(expression)
    return expression


def _walk_assignments(assignments: Iterable[Node], rewriter: Rewriter, scope: Scope) -> None:
    """SET. In `(a, b) = (SELECT ...)` each column's item holds the same source: the first is walked, and the others get
    what became of it."""
    first: Node = None
    for item in assignments:
        target = item.res_target
        _walk_all(target.indirection, rewriter, scope)
        if target.val.WhichOneof("node") != "multi_assign_ref":
            rewriter.walk(target.val, scope)
        elif target.val.multi_assign_ref.colno == 1:
            first = target.val.multi_assign_ref.source
            rewriter.walk(first, scope)
        else:
            rewriter.copies.append((first, target.val.multi_assign_ref.source))


def _walk_all(nodes: Iterable[Node], rewriter: Rewriter, scope: Scope) -> None:
    for node in nodes:
        rewriter.walk(node, scope)
