"""The type of an expression in which every operator, function and cast is leakproof; Leaky for any other.

PostgreSQL chooses an operator by the types of its operands, so `=` is leakproof between integers and not between
numerics. Here only choices are admitted that leave no doubt: an operator for exactly these types, varchar as text, and
numbers written out beside floats (https://www.postgresql.org/docs/current/typeconv-oper.html). Every node that is not
named is Leaky.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from proxy.policy import parser
from proxy.policy.catalog import Catalog
from proxy.policy.constants import (
    BOOL,
    ELEMENTS,
    FLOAT4,
    FLOAT8,
    INT2,
    INT4,
    INT8,
    NUMERIC,
    TEXT,
    TYPE_NAMES,
    UNKNOWN,
    VARCHAR,
    Leaky,
    Parameters,
    Value,
    cast_constant,
    clock_call,
    clock_step,
    clock_word,
    literal,
    type_oid,
)
from proxy.policy.ranges import Level, Scope, own_references

Node = Any
Types = Level[int]

SublinkType = Callable[[Node, Types, Scope[int]], int]

COMPARISONS: Final = frozenset({"=", "<>", "<", ">", "<=", ">="})
_SYSTEM_COLUMNS: Final = frozenset({"ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"})
_INTEGERS: Final = (INT2, INT4, INT8)
_FLOATS: Final = (FLOAT4, FLOAT8)
_BETWEEN: Final = frozenset({"AEXPR_BETWEEN", "AEXPR_NOT_BETWEEN", "AEXPR_BETWEEN_SYM", "AEXPR_NOT_BETWEEN_SYM"})
_FAMILIES: Final = {INT2: "integer", INT4: "integer", INT8: "integer", TEXT: "text", VARCHAR: "text"}


class ExpressionTypes:
    """Types for one statement.

    Args:
        sublink: the type of a SubLink in an expression; raises Leaky.
    """

    def __init__(self, catalog: Catalog, parameters: Parameters, sublink: SublinkType) -> None:
        self._catalog = catalog
        self._marked = catalog.leakproof
        self._sublink = sublink
        self._rules: dict[str, Callable[[Node, Types, Scope[int]], Value]] = {
            "a_const": lambda node, *_: literal(node),
            "sqlvalue_function": lambda node, *_: clock_word(node),
            "param_ref": lambda node, *_: parameters.value(node.number),
            "column_ref": self._column,
            "type_cast": self._cast,
            "a_expr": self._expression,
            "bool_expr": self._bool,
            "null_test": self._null_test,
            "boolean_test": self._boolean_test,
            "case_expr": self._case,
            "coalesce_expr": self._coalesce,
            "min_max_expr": self._min_max,
            "func_call": self._call,
            "sub_link": self._sub_link,
        }

    def value(self, node: Node, level: Types, scope: Scope[int]) -> Value:
        """The type of an expression over the columns of `level`. Raises Leaky."""
        kind = node.WhichOneof("node") or ""
        rule = self._rules.get(kind)
        if rule is None:
            raise Leaky
        return rule(getattr(node, kind), level, scope)

    def boolean(self, node: Node, level: Types, scope: Scope[int]) -> None:
        """Raises Leaky unless it is a truth value."""
        if self.value(node, level, scope).oid not in (BOOL, UNKNOWN):
            raise Leaky

    def comparison(self, name: str, left: Value, right: Value) -> None:
        """Raises Leaky unless the operator that PostgreSQL takes for these operands is leakproof, conversions too."""
        if name in self._marked.overloaded:
            raise Leaky
        first = right.oid if left.oid == UNKNOWN else left.oid
        second = left.oid if right.oid == UNKNOWN else right.oid
        if first == UNKNOWN:
            first = second = TEXT
        if self._is_leakproof(name, first, second):
            return
        if {first, second} & self._marked.converted:
            raise Leaky
        if {first, second} <= {TEXT, VARCHAR} and self._is_leakproof(name, TEXT, TEXT):
            return
        written_out = (first in _FLOATS and _is_number(right)) or (second in _FLOATS and _is_number(left))
        if written_out and all(self._is_leakproof(name, a, b) for a in _FLOATS for b in _FLOATS):
            return
        raise Leaky

    def operator_name(self, name: Node) -> str:
        """Of an A_Expr or SubLink, as pg_catalog's. Raises Leaky for another schema's."""
        parts = [part.string.sval for part in name]
        if len(parts) > 2 or (len(parts) == 2 and parts[0] != "pg_catalog") or not parts:  # noqa: PLR2004
            raise Leaky
        return str(parts[-1])

    def members(self, name: str, left: Value, items: list[Value]) -> None:
        """`left` against each of a list. They all become one type, so all must be of the same family."""
        if not items:
            raise Leaky
        for item in items:
            self.comparison(name, left, item)
            if item.oid not in (UNKNOWN, left.oid) and not (left.oid in _FLOATS and _is_number(item)):
                family = _FAMILIES.get(item.oid)
                if family is None or family != _FAMILIES.get(left.oid):
                    raise Leaky

    def elements(self, array: Node, level: Types, scope: Scope[int]) -> list[Value]:
        """What an array holds: a constructor's items, or one value of the element's type."""
        kind = array.WhichOneof("node")
        if kind == "a_array_expr":
            items = [self.value(item, level, scope) for item in array.a_array_expr.elements]
            # Strings alone make an array of text, whatever it meets.
            return items if any(item.oid != UNKNOWN for item in items) else [Value(TEXT, constant=True)]
        if kind == "type_cast":
            name = array.type_cast.type_name
            arg = array.type_cast.arg
            inner = self.value(arg, level, scope)
            if len(name.array_bounds) != 1 or name.typmods or inner.oid != UNKNOWN:
                raise Leaky
            if arg.WhichOneof("node") not in ("a_const", "param_ref"):
                raise Leaky
            plain = parser.nodes.TypeName()
            plain.CopyFrom(name)
            del plain.array_bounds[:]
            return [Value(type_oid(plain), constant=True)]
        found = self.value(array, level, scope)
        if found.oid == UNKNOWN:
            return [found]
        if found.oid not in ELEMENTS:
            raise Leaky
        return [Value(ELEMENTS[found.oid], constant=found.constant)]

    def _is_leakproof(self, name: str, left: int, right: int) -> bool:
        return (name, left, right) in self._marked.operators

    # Node types

    def _column(self, reference: Node, level: Types, scope: Scope[int]) -> Value:
        del scope
        names = next(own_references(reference))
        marks = level.marks(names)
        if len(marks) != 1 or marks[0] is None or names[-1] in _SYSTEM_COLUMNS:
            raise Leaky
        return Value(marks[0])

    def _cast(self, cast: Node, level: Types, scope: Scope[int]) -> Value:
        value = self.value(cast.arg, level, scope)
        if value.constant:
            return cast_constant(cast, value)
        target = type_oid(cast.type_name)
        if cast.type_name.typmods:
            raise Leaky
        if target == value.oid or {target, value.oid} == {TEXT, VARCHAR}:
            return Value(target)
        # The server's own casts are functions by the name of the type that they give.
        if self._marked.functions.get((TYPE_NAMES[target], (value.oid,))) != target:
            raise Leaky
        return Value(target)

    def _expression(self, expression: Node, level: Types, scope: Scope[int]) -> Value:
        kind = parser.nodes.A_Expr_Kind.Name(expression.kind)
        if not expression.HasField("lexpr"):
            raise Leaky
        left = self.value(expression.lexpr, level, scope)
        if kind in _BETWEEN:
            for bound in [self.value(item, level, scope) for item in expression.rexpr.list.items]:
                for name in ("<", ">", "<=", ">="):
                    self.comparison(name, left, bound)
            return Value(BOOL)
        name = self.operator_name(expression.name)
        if kind == "AEXPR_IN":
            self.members(name, left, [self.value(item, level, scope) for item in expression.rexpr.list.items])
            return Value(BOOL)
        if kind in ("AEXPR_OP_ANY", "AEXPR_OP_ALL"):
            self.members(name, left, self.elements(expression.rexpr, level, scope))
            return Value(BOOL)
        right = self.value(expression.rexpr, level, scope)
        if kind == "AEXPR_OP" and left.steps is not None and name in ("+", "-"):
            return self._step(name, left, right, expression.rexpr)
        if kind not in ("AEXPR_OP", "AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT", "AEXPR_NULLIF"):
            raise Leaky
        self.comparison(name, left, right)
        if kind == "AEXPR_NULLIF":
            return Value(TEXT if _known(left).oid == VARCHAR else left.oid)
        if kind == "AEXPR_OP" and name not in COMPARISONS:
            raise Leaky
        return Value(BOOL)

    def _step(self, name: str, left: Value, right: Value, node: Node) -> Value:
        if name in self._marked.overloaded:
            raise Leaky
        return clock_step(name, left, right, node)

    def _bool(self, expression: Node, level: Types, scope: Scope[int]) -> Value:
        for arg in expression.args:
            self.boolean(arg, level, scope)
        return Value(BOOL)

    def _null_test(self, test: Node, level: Types, scope: Scope[int]) -> Value:
        self.value(test.arg, level, scope)
        return Value(BOOL)

    def _boolean_test(self, test: Node, level: Types, scope: Scope[int]) -> Value:
        self.boolean(test.arg, level, scope)
        return Value(BOOL)

    def _case(self, case: Node, level: Types, scope: Scope[int]) -> Value:
        subject = self.value(case.arg, level, scope) if case.HasField("arg") else None
        results = []
        for wrapper in case.args:
            when = wrapper.case_when
            if subject is None:
                self.boolean(when.expr, level, scope)
            else:
                self.comparison("=", _known(subject), self.value(when.expr, level, scope))
            results.append(self.value(when.result, level, scope))
        if case.HasField("defresult"):
            results.append(self.value(case.defresult, level, scope))
        return self._common(results)

    def _coalesce(self, expression: Node, level: Types, scope: Scope[int]) -> Value:
        return self._common([self.value(arg, level, scope) for arg in expression.args])

    def _min_max(self, expression: Node, level: Types, scope: Scope[int]) -> Value:
        found = self._common([self.value(arg, level, scope) for arg in expression.args])
        self.comparison("<", found, found)
        return found

    def _common(self, values: list[Value]) -> Value:
        """The type that they all become, where that takes no conversion but between integers."""
        oids = {value.oid for value in values} - {UNKNOWN}
        if not oids:
            return Value(TEXT)
        if len(oids) == 1:
            return Value(oids.pop())
        if oids <= set(_INTEGERS):
            return Value(next(oid for oid in (INT8, INT4, INT2) if oid in oids))
        raise Leaky

    def _call(self, call: Node, level: Types, scope: Scope[int]) -> Value:
        parts = [part.string.sval for part in call.funcname]
        special = call.agg_order or call.agg_star or call.agg_distinct or call.func_variadic or call.agg_within_group
        if special or call.HasField("over") or call.HasField("agg_filter") or parts[:-1] not in ([], ["pg_catalog"]):
            raise Leaky
        users = self._catalog.functions_by_name.get(parts[-1], ())
        name = str(parts[-1])
        if name == "date_trunc" and len(call.args) == 2:  # noqa: PLR2004 - the unit and the moment
            values = [Value(UNKNOWN), self.value(call.args[1], level, scope)]
        else:
            values = [self.value(arg, level, scope) for arg in call.args]
        result = self._marked.functions.get((name, tuple(value.oid for value in values)))
        if result is not None and len(users) <= int(not parts[:-1] and name not in self._catalog.builtin_functions):
            return Value(result)
        if users:
            raise Leaky
        return clock_call(name, list(call.args), values[-1] if values else None)

    def _sub_link(self, link: Node, level: Types, scope: Scope[int]) -> Value:
        return Value(self._sublink(link, level, scope))


def _known(value: Value) -> Value:
    if value.oid == UNKNOWN:
        raise Leaky
    return value


def _is_number(value: Value) -> bool:
    return value.literal and value.oid in (INT4, INT8, NUMERIC)
