"""The rewriting engine: one walk over a statement's tree, in place, that swaps each relation for its masked view.

Every node type has its place in the walk: relations, functions, operators, types, column references and WITH have
rules; the rest of PostgreSQL's expression grammar is walked through; a node type that no list names is refused. So an
expression is never understood, only known to be one, and every value that it meets is masked already.

The scope rules of WITH are PostgreSQL's (parse_cte.c's in the manual's words:
https://www.postgresql.org/docs/current/queries-with.html). It does not know statement kinds: that is `statements`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from proxy.policy import parser
from proxy.policy.catalog import Relation
from proxy.policy.describe import location_of, readable
from proxy.policy.grouping import Source, complete_groups, range_variables
from proxy.policy.plan import AppliedMask
from proxy.policy.references import References
from proxy.policy.refused import Refused, denied, undefined, unsupported
from proxy.policy.relations import MaskedRelations
from proxy.policy.settings_list import CHANGEABLE, may_show
from proxy.policy.trust import Trust

Node = Any
Scope = frozenset[str]

# Expression and clause nodes without a rule of their own: they are walked through.
WALKED: Final = frozenset(
    """
    A_ArrayExpr A_Const A_Indices A_Star BitString BoolExpr Boolean BooleanTest CTECycleClause
    CTESearchClause CaseWhen CoalesceExpr CollateClause Float GroupingFunc GroupingSet Integer
    JsonAggConstructor JsonArgument JsonArrayAgg JsonArrayConstructor JsonArrayQueryConstructor JsonBehavior JsonExpr
    JsonFormat JsonFuncExpr JsonIsPredicate JsonKeyValue JsonObjectAgg JsonObjectConstructor JsonOutput
    JsonParseExpr JsonReturning JsonScalarExpr JsonSerializeExpr JsonTable JsonTableColumn JsonTablePathSpec
    JsonValueExpr List MinMaxExpr NamedArgExpr NullTest ParamRef RangeFunction RangeSubselect RangeTableFunc
    RangeTableFuncCol ResTarget RowExpr SQLValueFunction String TypeCast WindowDef XmlExpr XmlSerialize
    """.split()  # noqa: SIM905 - a table to be read
)

MAX_REPLACEMENTS: Final = 64
"""Each is written out whole: thousands would keep everybody waiting."""

# The forms of A_Expr whose text has no place for a qualified operator (x IN (...), LIKE, BETWEEN...).
_QUALIFIABLE_OPERATORS: Final = frozenset({"AEXPR_OP", "AEXPR_OP_ANY", "AEXPR_OP_ALL"})

# BETWEEN's own name is no operator: these are what PostgreSQL looks up for it (parse_expr.c, transformAExprBetween).
_BETWEEN_OPERATORS: Final = (">=", "<=", "<", ">")


class Rewriter:
    """One statement's walk. What it found is in its fields afterwards; every refusal is raised as Refused."""

    def __init__(self, relations: MaskedRelations, search_path: tuple[str, ...], *, may_set: bool = False) -> None:
        self.relations = relations
        self._may_set = may_set
        self.catalog = relations.catalog
        self.search_path = search_path
        self._trust = Trust(relations.policy, relations.catalog)
        self.changed = False
        self.hides = False
        self._replacements = 0
        self.touched: set[str] = set()
        self.masks: list[AppliedMask] = []
        self._through_view = False
        self._references = References(relations, self._trust)
        self._rules: dict[str, Callable[[Node, Scope], None]] = {
            "Node": self._node,
            "SelectStmt": self.select,
            "CommonTableExpr": self._misplaced,
            "WithClause": self._misplaced,
            "RangeVar": self._misplaced,
            "Alias": self._alias,
            "RangeTableSample": self._table_sample,
            "FuncCall": self._function_call,
            "A_Expr": self._operator_expression,
            "SubLink": self._sublink,
            "SortBy": self._sort_by,
            "CaseExpr": self._case,
            "JoinExpr": self._join,
            "TypeName": self._type_name,
            "ColumnRef": self._misplaced,
            "A_Indirection": self._indirection,
            "ColumnDef": self._column_definition,
        }

    def for_view(self) -> Rewriter:
        """The walk over a view's definition: the relations in it need no `allow` of their own, as with PostgreSQL's
        own grants on views; their masks hold all the same."""
        self._through_view = True
        return self

    def finish(self) -> None:
        """To be called once, after the whole statement: references such as schema.table.column are settled here."""
        self.changed |= self._references.settle()

    def walk(self, message: Node, scope: Scope = frozenset()) -> None:
        """Any node. Raises Refused (0A000) for a type that no list names."""
        kind = message.DESCRIPTOR.name
        rule = self._rules.get(kind)
        if rule is not None:
            rule(message, scope)
        elif kind in WALKED:
            self._children(message, scope)
        else:
            raise unsupported(f"{readable(kind)} is not supported for this role", location=location_of(message))

    def select(self, statement: Node, scope: Scope = frozenset()) -> None:
        """A SELECT, VALUES, TABLE or set operation, with its WITH in force for every part of it."""
        self._trust.unwritten_calls()
        if statement.HasField("into_clause"):
            raise denied("SELECT INTO is not allowed for this role", hint="it would copy rows into a table")
        if statement.locking_clause:
            raise denied("row locks (FOR UPDATE, FOR SHARE) are not allowed for this role", hint="it may only read")
        if statement.HasField("with_clause"):
            scope = self._with(statement.with_clause, scope)
        if statement.group_clause:
            complete_groups(statement, self._masked_sources(statement, scope))
        for field, value in statement.ListFields():
            if field.message_type is None or field.name == "with_clause":
                continue
            for child in value if field.is_repeated else (value,):
                self.walk(child, scope)

    def relation(self, reference: Node, scope: Scope = frozenset()) -> Relation | None:
        """The relation that a RangeVar names, made safe against redirection; None for a WITH query's name.

        Raises Refused where it does not exist (42P01), lies in a temporary or toast schema, or may not be read.
        """
        if not reference.schemaname and not reference.catalogname and reference.relname in scope:
            self._references.name(_range_name(reference))
            return None
        where = reference.location
        if reference.catalogname and reference.catalogname != self.catalog.database:
            raise unsupported("references to another database are not possible", location=where)
        schema = reference.schemaname or None
        if schema is not None and schema.startswith(("pg_temp", "pg_toast")):
            raise denied(f'permission denied for schema "{schema}"', location=where)
        found = self.catalog.resolve(schema, reference.relname, self.search_path)
        if found is None:
            raise undefined(f"{schema}.{reference.relname}" if schema else reference.relname, where)
        if not self._through_view:
            self.relations.require_readable(found, where)
        if schema is None:
            reference.schemaname = found.schema
            # Only one of them is what was judged: the text must not leave the choice to a setting.
            self.changed |= len(self.catalog.schemas_by_relation[found.name]) > 1
        renamed = bool(reference.alias.colnames)
        key = None if renamed else found.key
        self._references.name(_range_name(reference), key, alias=reference.HasField("alias"))
        return found

    def _masked_sources(self, statement: Node, scope: Scope) -> list[Source]:
        """The relations in this SELECT's FROM that become subqueries and whose primary keys stay what they are."""
        found = []
        for reference in range_variables(statement.from_clause):
            relation = self.relation(reference, scope)
            if relation is None or reference.alias.colnames:
                continue
            masked = self.relations.masks_of(relation)
            if self.relations.replacement(relation, reference.location) and not masked.keys() & set(
                relation.primary_key
            ):
                found.append(Source(_range_name(reference), relation))
        return found

    # WITH

    def _with(self, clause: Node, scope: Scope) -> Scope:
        names = [cte.common_table_expr.ctename for cte in clause.ctes]
        visible = scope | frozenset(names) if clause.recursive else scope
        for wrapper, name in zip(clause.ctes, names, strict=True):
            self._common_table(wrapper.common_table_expr, visible)
            # Without RECURSIVE a query sees those before it and no other.
            visible |= {name}
        return visible

    def _common_table(self, cte: Node, scope: Scope) -> None:
        if cte.ctequery.WhichOneof("node") != "select_stmt":
            raise denied(
                f'WITH query "{cte.ctename}" writes, which is not allowed for this role', location=cte.location
            )
        self.walk(cte.ctequery, scope)
        for clause in ("search_clause", "cycle_clause"):
            if cte.HasField(clause):
                self.walk(getattr(cte, clause), scope)

    # Relations

    def _node(self, wrapper: Node, scope: Scope) -> None:
        kind = wrapper.WhichOneof("node")
        if kind == "range_var":
            self._range_variable(wrapper, scope)
        elif kind == "column_ref":
            # Settled at the end, when every name in FROM is known: the select list comes before it.
            self._references.add(wrapper)
        elif kind is not None:
            self.walk(getattr(wrapper, kind), scope)

    def _range_variable(self, wrapper: Node, scope: Scope) -> None:
        reference = wrapper.range_var
        found = self.relation(reference, scope)
        if found is None:
            return
        replacement = self.relations.replacement(found, reference.location)
        if replacement is None:
            return
        self._replacements += 1
        if self._replacements > MAX_REPLACEMENTS:
            raise unsupported(
                f"more than {MAX_REPLACEMENTS} references to masked tables in one statement are not supported",
                location=reference.location,
            )
        self.changed = True
        self.hides |= replacement.hides
        self.masks.extend(replacement.masks)
        if replacement.protects:
            self.touched.add(found.qualified)
        subselect = parser.nodes.RangeSubselect()
        subselect.subquery.select_stmt.CopyFrom(replacement.select)
        if reference.HasField("alias"):
            subselect.alias.CopyFrom(reference.alias)
        else:
            subselect.alias.aliasname = reference.relname
            self._references.replaced(found.key)
        if not reference.inh and found.kind in "rpf":
            _only(subselect.subquery.select_stmt)
        wrapper.range_subselect.CopyFrom(subselect)

    def _table_sample(self, sample: Node, scope: Scope) -> None:
        reference = sample.relation.range_var
        found = self.relation(reference, scope)
        method = [part.string.sval for part in sample.method]
        if method not in (["system"], ["bernoulli"]):
            raise unsupported(f"TABLESAMPLE method {'.'.join(method)} is not supported", location=sample.location)
        if found is None or self.relations.replacement(found, reference.location) is not None:
            raise unsupported(
                f"TABLESAMPLE of {reference.relname} is not supported for this role",
                hint="use WHERE random() < 0.1",
                location=sample.location,
            )
        for child in (*sample.args, sample.repeatable):
            self.walk(child, scope)

    # Functions, operators, types

    def _rename(self, call: Node, parts: list[str]) -> None:
        self.changed |= len(call.funcname) != len(parts)
        del call.funcname[:]
        for part in parts:
            call.funcname.add().string.sval = part

    def _require_open_setting(self, call: Node) -> None:
        """current_setting may read what SHOW may: a literal name, or a name out of pg_settings, as psql's \\dconfig."""
        first = call.args[0] if call.args else None
        kind = first.WhichOneof("node") if first is not None else None
        if first is not None and kind == "a_const" and first.a_const.HasField("sval"):
            refusal = may_show(first.a_const.sval.sval)
            if refusal is not None:
                raise Refused(refusal, call.location)
        elif first is not None and kind == "column_ref":
            self._references.add_setting_name(first)
        else:
            raise denied("current_setting needs a literal name for this role", location=call.location)

    def _function_call(self, call: Node, scope: Scope) -> None:
        parts = [part.string.sval for part in call.funcname]
        if self._may_set and parts in (["set_config"], ["pg_catalog", "set_config"]) and _sets_harmlessly(call):
            self._rename(call, ["pg_catalog", "set_config"])
            return
        qualified = self._trust.function(parts, len(call.args), call.location)
        if qualified is not None:
            self._rename(call, qualified)
        if parts[-1] == "current_setting":
            self._require_open_setting(call)
        for name in ("args", "agg_order"):
            for child in getattr(call, name):
                self.walk(child, scope)
        for name in ("agg_filter", "over"):
            if call.HasField(name):
                self.walk(getattr(call, name), scope)

    def _operator_expression(self, expression: Node, scope: Scope) -> None:
        kind = parser.nodes.A_Expr_Kind.Name(expression.kind)
        if "BETWEEN" in kind:
            self._implied(*_BETWEEN_OPERATORS, location=expression.location)
        else:
            self._operator(expression.name, expression.location, qualifiable=kind in _QUALIFIABLE_OPERATORS)
        for side in ("lexpr", "rexpr"):
            if expression.HasField(side):
                self.walk(getattr(expression, side), scope)

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

    def _case(self, expression: Node, scope: Scope) -> None:
        if expression.HasField("arg"):
            self._implied("=", location=expression.location)
        self._children(expression, scope)

    def _join(self, join: Node, scope: Scope) -> None:
        if join.using_clause or join.is_natural:
            self._implied("=", location=-1)
        self._children(join, scope)

    def _sublink(self, link: Node, scope: Scope) -> None:
        if link.HasField("testexpr") and not link.oper_name:
            self._implied("=", location=link.location)
        self._operator(link.oper_name, link.location, qualifiable=True)
        for side in ("testexpr", "subselect"):
            if link.HasField(side):
                self.walk(getattr(link, side), scope)

    def _sort_by(self, sort: Node, scope: Scope) -> None:
        self._operator(sort.use_op, sort.location, qualifiable=True)
        self.walk(sort.node, scope)

    def _type_name(self, name: Node, scope: Scope) -> None:
        parts = [part.string.sval for part in name.names]
        if name.pct_type or name.setof or not parts:
            raise unsupported("%TYPE and SETOF are not supported here", location=name.location)
        for child in (*name.typmods, *name.array_bounds):
            self.walk(child, scope)
        self._trust.type(parts, name.location)

    def _column_definition(self, definition: Node, scope: Scope) -> None:
        """`AS x(a int)`: a name and a type; anything else of CREATE TABLE has no place in a query."""
        self.walk(definition.type_name, scope)
        if definition.constraints or definition.HasField("raw_default"):
            raise unsupported("column constraints are not supported here", location=definition.location)

    # Column references

    def _alias(self, alias: Node, scope: Scope) -> None:
        del scope
        self._references.name(alias.aliasname)

    def _indirection(self, indirection: Node, scope: Scope) -> None:
        """`(x).name` is a field, or a call of the function `name` on x: PostgreSQL decides by what exists.

        https://www.postgresql.org/docs/current/rowtypes.html#ROWTYPES-USAGE
        """
        self.walk(indirection.arg, scope)
        for part in indirection.indirection:
            if part.WhichOneof("node") == "string":
                self._trust.attribute(part.string.sval, location_of(indirection.arg), rows_only=False)
            else:
                self.walk(part, scope)

    def _children(self, message: Node, scope: Scope) -> None:
        for field, value in message.ListFields():
            if field.message_type is not None:
                for child in value if field.is_repeated else (value,):
                    self.walk(child, scope)

    def _misplaced(self, message: Node, scope: Scope) -> None:
        del scope
        raise unsupported(f"{readable(message.DESCRIPTOR.name)} is not supported here", location=location_of(message))


def _only(select: Node) -> None:
    """ONLY in the reference means ONLY in the masked view: children's rows stay out."""
    for item in select.from_clause:
        if item.WhichOneof("node") == "range_var":
            item.range_var.inh = False


def _range_name(reference: Node) -> str:
    return str(reference.alias.aliasname if reference.HasField("alias") else reference.relname)


def _sets_harmlessly(call: Node) -> bool:
    """set_config of a literal, harmless name to a literal or a parameter: asyncpg turns JIT off with it.

    search_path is tracked as SET's effect, and client_min_messages has values that are refused: neither goes this way.
    """
    kinds = [argument.WhichOneof("node") for argument in call.args]
    if len(kinds) != 3 or kinds[0] != "a_const" or not {*kinds[1:]} <= {"a_const", "param_ref"}:  # noqa: PLR2004
        return False
    name = call.args[0].a_const.sval.sval.lower()
    return name in CHANGEABLE - {"search_path", "client_min_messages"}
