"""A role's limit of rows, as a LIMIT of one row more: the server stops early, and the one too many tells that it did.

https://www.postgresql.org/docs/current/queries-limit.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxy.policy import parser

if TYPE_CHECKING:
    from proxy.policy.rewrite import Rewriter

Node = Any

MAX_INT4 = 2**31 - 1


def cut_to_limit(select: Node, rewriter: Rewriter) -> None:
    """The role's limit of rows on a SELECT that gives rows to the client, in place."""
    limits = rewriter.context.limits
    if limits is not None and limits.max_rows is not None:
        cut(select, limits.max_rows)
        rewriter.changed = True


def cut(select: Node, rows: int) -> None:
    """Lets a SELECT give at most `rows` + 1 rows, in place; a LIMIT of its own holds where it is lower."""
    own = parser.nodes.Node()
    if select.HasField("limit_count") and not _is_all(select.limit_count):
        own.CopyFrom(select.limit_count)
        least = select.limit_count.min_max_expr
        least.op = parser.nodes.MinMaxOp.Value("IS_LEAST")
        least.location = -1
        cast = least.args.add().type_cast
        cast.arg.CopyFrom(own)
        cast.location = -1
        cast.type_name.names.add().string.sval = "pg_catalog"
        cast.type_name.names.add().string.sval = "int8"
        cast.type_name.typemod = -1
        cast.type_name.location = -1
        least.args.add().a_const.CopyFrom(_constant(rows + 1))
    else:
        select.limit_count.a_const.CopyFrom(_constant(rows + 1))
        select.limit_option = parser.nodes.LimitOption.Value("LIMIT_OPTION_COUNT")


def _is_all(count: Node) -> bool:
    """LIMIT ALL and LIMIT NULL: no limit."""
    return count.WhichOneof("node") == "a_const" and bool(count.a_const.isnull)


def _constant(number: int) -> Node:
    constant = parser.nodes.A_Const(location=-1)
    if number <= MAX_INT4:
        constant.ival.ival = number
    else:
        constant.fval.fval = str(number)
    return constant
