"""What a statement calls by name: functions, operators, casts, and what the grammar calls without naming it.

Each name is judged by `trust`; one that means something else as well is pinned to pg_catalog, in place. The walk over
everything else is `rewrite`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from proxy.policy import parser
from proxy.policy.context import Scope
from proxy.policy.references import References
from proxy.policy.refused import Refused, denied, unsupported
from proxy.policy.rules import StatementKind
from proxy.policy.settingcalls import hold_name, is_given_name, sets_harmlessly
from proxy.policy.settings_list import may_show
from proxy.policy.trust import Trust

Node = Any
Walk = Callable[[Node, Scope], None]

# The forms of A_Expr whose text has no place for a qualified operator (x IN (...), LIKE, BETWEEN...).
_QUALIFIABLE_OPERATORS: Final = frozenset({"AEXPR_OP", "AEXPR_OP_ANY", "AEXPR_OP_ALL"})

# BETWEEN's own name is no operator: these are what PostgreSQL looks up for it (parse_expr.c, transformAExprBetween).
_BETWEEN_OPERATORS: Final = (">=", "<=", "<", ">")


class CallRules:
    """The rules for one statement. `changed`: a name was pinned.

    Args:
        walk: judges a node of any type; `children` those below one.
    """

    def __init__(
        self, trust: Trust, references: References, granted: frozenset[StatementKind], *, walk: Walk, children: Walk
    ) -> None:
        self._trust = trust
        self._references = references
        self._granted = granted
        self._walk = walk
        self._children = children
        self.changed = False

    def _rename(self, call: Node, parts: list[str]) -> None:
        self.changed |= len(call.funcname) != len(parts)
        del call.funcname[:]
        for part in parts:
            call.funcname.add().string.sval = part

    def _require_open_setting(self, call: Node) -> bool:
        """current_setting may read what SHOW may: a literal name, or a name out of pg_settings, as psql's \\dconfig.

        True: a name that has to be held to that when it is known.
        """
        first = call.args[0] if call.args else None
        kind = first.WhichOneof("node") if first is not None else None
        if first is not None and kind == "a_const" and first.a_const.HasField("sval"):
            refusal = may_show(first.a_const.sval.sval)
            if refusal is not None:
                raise Refused(refusal, call.location)
        elif first is not None and kind == "column_ref":
            self._references.require_listed_setting(first.column_ref)
        elif first is not None and is_given_name(call):
            return True
        else:
            raise denied("current_setting needs a literal name for this role", location=call.location)
        return False

    def function_call(self, call: Node, scope: Scope) -> None:
        parts = [part.string.sval for part in call.funcname]
        if (
            StatementKind.SET in self._granted
            and parts in (["set_config"], ["pg_catalog", "set_config"])
            and sets_harmlessly(call)
        ):
            self._rename(call, ["pg_catalog", "set_config"])
            return
        qualified = self._trust.function(parts, len(call.args), call.location)
        if qualified is not None:
            self._rename(call, qualified)
        is_held = parts[-1] == "current_setting" and self._require_open_setting(call)
        for name in ("args", "agg_order"):
            for child in getattr(call, name):
                self._walk(child, scope)
        for name in ("agg_filter", "over"):
            if call.HasField(name):
                self._walk(getattr(call, name), scope)
        if is_held:
            self._rename(call, ["pg_catalog", "current_setting"])
            hold_name(call.args[0])
            self.changed = True

    def operator_expression(self, expression: Node, scope: Scope) -> None:
        kind = parser.nodes.A_Expr_Kind.Name(expression.kind)
        if "BETWEEN" in kind:
            self._implied(*_BETWEEN_OPERATORS, location=expression.location)
        else:
            self._operator(expression.name, expression.location, qualifiable=kind in _QUALIFIABLE_OPERATORS)
        for side in ("lexpr", "rexpr"):
            if expression.HasField(side):
                self._walk(getattr(expression, side), scope)

    def _operator(self, name: Node, location: int, *, qualifiable: bool) -> None:
        parts = [part.string.sval for part in name]
        if parts and self._trust.operator(parts, location, qualifiable=qualifiable):
            del name[:]
            name.add().string.sval = "pg_catalog"
            name.add().string.sval = parts[0]
            self.changed = True

    def _implied(self, *names: str, location: int) -> None:
        """Operators that PostgreSQL looks up by name though the text does not show them, so cannot qualify them."""
        for name in names:
            self._trust.operator([name], location, qualifiable=False)

    def case(self, expression: Node, scope: Scope) -> None:
        if expression.HasField("arg"):
            self._implied("=", location=expression.location)
        self._children(expression, scope)

    def join(self, join: Node, scope: Scope) -> None:
        if join.using_clause or join.is_natural:
            self._implied("=", location=-1)
        self._children(join, scope)

    def sublink(self, link: Node, scope: Scope) -> None:
        if link.HasField("testexpr") and not link.oper_name:
            self._implied("=", location=link.location)
        self._operator(link.oper_name, link.location, qualifiable=True)
        for side in ("testexpr", "subselect"):
            if link.HasField(side):
                self._walk(getattr(link, side), scope)

    def sort_by(self, sort: Node, scope: Scope) -> None:
        self._operator(sort.use_op, sort.location, qualifiable=True)
        self._walk(sort.node, scope)

    def type_name(self, name: Node, scope: Scope) -> None:
        parts = [part.string.sval for part in name.names]
        if name.pct_type or name.setof or not parts:
            raise unsupported("%TYPE and SETOF are not supported here", location=name.location)
        for child in (*name.typmods, *name.array_bounds):
            self._walk(child, scope)
        self._trust.type(parts, name.location)

    def column_definition(self, definition: Node, scope: Scope) -> None:
        """`AS x(a int)`: a name and a type; anything else of CREATE TABLE has no place in a query."""
        self._walk(definition.type_name, scope)
        if definition.constraints or definition.HasField("raw_default"):
            raise unsupported("column constraints are not supported here", location=definition.location)
