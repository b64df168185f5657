"""What the walk over a statement's tree knows of node types: which it goes through, which have nothing below them, and
how it goes on below each field.

A type that is not listed here has a rule in `rewrite`, or is refused there.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any, Final

WALKED: Final = frozenset(
    """
    A_ArrayExpr A_Const A_Indices A_Star BitString BoolExpr Boolean BooleanTest CTECycleClause
    CTESearchClause CaseWhen CoalesceExpr CollateClause Float GroupingFunc GroupingSet Integer
    JsonAggConstructor JsonArgument JsonArrayAgg JsonArrayConstructor JsonArrayQueryConstructor JsonBehavior JsonExpr
    JsonFormat JsonFuncExpr JsonIsPredicate JsonKeyValue JsonObjectAgg JsonObjectConstructor JsonOutput
    JsonParseExpr JsonReturning JsonScalarExpr JsonSerializeExpr JsonTable JsonTableColumn JsonTablePathSpec
    JsonValueExpr List MergeSupportFunc MinMaxExpr MultiAssignRef NamedArgExpr NullTest ParamRef RangeFunction
    RangeSubselect RangeTableFunc RangeTableFuncCol ResTarget RowExpr SQLValueFunction SetToDefault String TypeCast
    WindowDef XmlExpr XmlSerialize
    """.split()  # noqa: SIM905 - a table to be read
)
"""Expression and clause nodes without a rule of their own: they are walked through."""

LEAVES: Final = frozenset(
    {
        "a_const", "a_star", "bit_string", "boolean", "float", "integer", "merge_support_func", "param_ref",
        "set_to_default", "sqlvalue_function", "string",
    }
)  # fmt: skip
"""Of these, as Node's oneof has them, the ones with nothing below to be judged."""

UNNAMED_RANGES: Final = frozenset({"range_function", "range_table_func", "json_table"})
"""What has a name in FROM although no alias gives it one."""


class Way(Enum):
    """How the walk goes on below a field."""

    NOWHERE = auto()
    NODE = auto()
    NODES = auto()
    MESSAGE = auto()
    MESSAGES = auto()


WAYS: Final[dict[Any, Way]] = {}
"""By field descriptor, of which there are some thousand: asking one what it is takes longer than looking it up.
`way` fills it."""


def way(part: Any) -> Way:
    """Of a field descriptor that WAYS does not have yet."""
    if part.message_type is None:
        found = Way.NOWHERE
    elif part.message_type.name == "Node":
        found = Way.NODES if part.is_repeated else Way.NODE
    else:
        found = Way.MESSAGES if part.is_repeated else Way.MESSAGE
    WAYS[part] = found
    return found
