"""Calls that read or set a setting, where a masked role may make them.

https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-SET
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

from proxy.policy import parser
from proxy.policy.catalog import Catalog, Relation
from proxy.policy.fences import range_name
from proxy.policy.settings_list import CHANGEABLE, NOT_SHOWN

Node = Any

_SETTINGS_FUNCTION: Final = "pg_show_all_settings"

_CURRENT_SETTING: Final = (["current_setting"], ["pg_catalog", "current_setting"])

_NAME_TYPES: Final = frozenset({"text", "varchar", "name"})

# In the collation C lower() changes the letters A to Z, as PostgreSQL does when it looks for a name (guc_name_compare).
_HELD: Final = """
SELECT CASE WHEN pg_catalog.strpos($1::pg_catalog.text COLLATE pg_catalog."C", '.') OPERATOR(pg_catalog.=) 0
AND NOT pg_catalog.lower($1::pg_catalog.text COLLATE pg_catalog."C") OPERATOR(pg_catalog.=) ANY (ARRAY[{}])
THEN $1::pg_catalog.text END
"""


def is_settings_function(function: Node, catalog: Catalog) -> bool:
    """FROM pg_show_all_settings(), which pgAdmin asks for: the view pg_settings is nothing else."""
    if function.lateral or function.ordinality or function.is_rowsfrom or function.coldeflist:
        return False
    items = function.functions[0].list.items if len(function.functions) == 1 else ()
    if not items or items[0].WhichOneof("node") != "func_call" or items[0].func_call.args:
        return False
    names = [part.string.sval for part in items[0].func_call.funcname]
    if names == ["pg_catalog", _SETTINGS_FUNCTION]:
        return True
    return names == [_SETTINGS_FUNCTION] and not catalog.functions_by_name.get(_SETTINGS_FUNCTION)


def as_settings(wrapper: Node) -> None:
    """The Node of a RangeFunction becomes a reference to pg_settings under the function's name or alias."""
    alias = parser.nodes.Alias(aliasname=_SETTINGS_FUNCTION)
    if wrapper.range_function.HasField("alias"):
        alias.CopyFrom(wrapper.range_function.alias)
    reference = parser.nodes.RangeVar(schemaname="pg_catalog", relname="pg_settings", inh=True, relpersistence="p")
    reference.location = -1
    reference.alias.CopyFrom(alias)
    wrapper.range_var.CopyFrom(reference)


def sets_harmlessly(call: Node) -> bool:
    """set_config of a literal, harmless name to a literal or a parameter: asyncpg turns JIT off with it.

    search_path is tracked as SET's effect, and client_min_messages has values that are refused: neither goes this way.
    """
    kinds = [argument.WhichOneof("node") for argument in call.args]
    if len(kinds) != 3 or kinds[0] != "a_const" or not {*kinds[1:]} <= {"a_const", "param_ref"}:  # noqa: PLR2004
        return False
    name = call.args[0].a_const.sval.sval.lower()
    return name in CHANGEABLE - {"search_path", "client_min_messages"}


def is_given_name(call: Node) -> bool:
    """current_setting of a parameter, or of a literal with casts: what drivers send that keep parameters apart.

    Such a name is the same each time that it is evaluated, and evaluating it does nothing else.
    """
    if call.func_variadic or [part.string.sval for part in call.funcname] not in _CURRENT_SETTING:
        return False
    argument = call.args[0]
    while argument.WhichOneof("node") == "type_cast":
        target = argument.type_cast.type_name
        names = [part.string.sval for part in target.names]
        if target.array_bounds or names[-1] not in _NAME_TYPES or names[:-1] not in ([], ["pg_catalog"]):
            return False
        argument = argument.type_cast.arg
    kind = argument.WhichOneof("node")
    return kind == "param_ref" or (kind == "a_const" and bool(argument.a_const.HasField("sval")))


def hold_name(argument: Node) -> None:
    """A name that `is_given_name` becomes, in place, NULL where SHOW would refuse it. current_setting is strict: it
    gives NULL of NULL, and reads nothing.

    https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-SET
    """
    held = parser.nodes.Node.FromString(_held())
    for node in [node for node in parser.nodes_of(held) if node.DESCRIPTOR.name == "Node"]:
        if node.WhichOneof("node") == "param_ref":
            node.CopyFrom(argument)
    argument.CopyFrom(held)


@cache
def _held() -> bytes:
    tree = parser.parse(_HELD.format(", ".join(f"'{name}'" for name in sorted(NOT_SHOWN))))
    parser.without_locations(tree)
    return bytes(tree.stmts[0].stmt.select_stmt.target_list[0].res_target.val.SerializeToString())


def settings_range(select: Node, find: Callable[[Node], Relation | None]) -> str | None:
    """The name of pg_settings in a SELECT whose FROM has relations only, each of another name; None in any other.

    Args:
        find: the relation that a RangeVar names, or None.
    """
    names: list[str] = []
    settings = None
    waiting = list(select.from_clause)
    while waiting:
        item = waiting.pop()
        if item.WhichOneof("node") == "join_expr":
            join = item.join_expr
            if join.HasField("alias") or join.HasField("join_using_alias"):
                return None
            waiting += [join.larg, join.rarg]
        elif item.WhichOneof("node") == "range_var":
            names.append(range_name(item.range_var))
            found = None if item.range_var.alias.colnames else find(item.range_var)
            if found is not None and found.key == ("pg_catalog", "pg_settings"):
                settings = names[-1]
        else:
            return None
    return settings if len(set(names)) == len(names) else None
