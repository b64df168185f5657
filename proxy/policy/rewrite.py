"""The rewriting engine: one walk over a statement's tree, in place, that points each relation at its masked view.

Every node type has its place in the walk: relations, functions, operators, types, column references and WITH have
rules; the rest of PostgreSQL's expression grammar is walked through; a node type that no list names is refused. So an
expression is never understood, only known to be one, and every value that it meets is masked already.

The scope rules of WITH are PostgreSQL's (parse_cte.c's in the manual's words:
https://www.postgresql.org/docs/current/queries-with.html). It does not know statement kinds: that is `statements`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from proxy.policy.callrules import CallRules
from proxy.policy.catalog import Relation
from proxy.policy.context import Context, Scope
from proxy.policy.describe import location_of, readable
from proxy.policy.fences import MAX_REPLACEMENTS, Extra, Fences, range_name
from proxy.policy.floor import floor_comment, floor_view, require_floor
from proxy.policy.grouping import Source, complete_groups
from proxy.policy.maskedview import MaskedView
from proxy.policy.nodekinds import LEAVES, UNNAMED_RANGES, WALKED, WAYS, Way, way
from proxy.policy.plan import AppliedMask
from proxy.policy.references import References
from proxy.policy.refused import denied, undefined, unsupported
from proxy.policy.relations import MaskedRelations
from proxy.policy.rules import StatementKind
from proxy.policy.settingcalls import as_settings, is_settings_function, settings_range
from proxy.policy.splice import Inset
from proxy.policy.trust import Trust

Node = Any


class Rewriter:
    """One statement's walk. What it found is in its fields afterwards; every refusal is raised as Refused."""

    def __init__(self, relations: MaskedRelations, context: Context) -> None:
        self.relations = relations
        self.context = context
        self.catalog = relations.catalog
        self._trust = Trust(relations.policy, relations.catalog)
        self.changed = False
        self.hides = False
        self._replacements = 0
        self.touched: set[str] = set()
        self.masks: list[AppliedMask] = []
        self.raw_predicates: set[str] = set()
        self._references = References(relations, self._trust)
        self._sources: list[list[Source]] = [[]]
        """Per SELECT that the walk is in, the masked relations of its FROM."""
        self._extras: list[dict[str, Extra]] = [{}]
        """Per SELECT that the walk is in, what stands inside the masked views of its FROM."""
        self._fences = Fences(relations, self._find)
        self._first = len(context.splices.insets)
        self.copies: list[tuple[Node, Node]] = []
        """Nodes that the tree holds twice: the second becomes, at the end, what became of the first."""
        calls = self._calls = CallRules(
            self._trust, self._references, context.granted, walk=self.walk, children=self._children
        )
        self._rules: dict[str, Callable[[Node, Scope], None]] = {
            "Node": self._node,
            "SelectStmt": self.select,
            "CommonTableExpr": self._misplaced,
            "WithClause": self._misplaced,
            "RangeVar": self._misplaced,
            "Alias": self._alias,
            "RangeTableSample": self._table_sample,
            "FuncCall": calls.function_call,
            "A_Expr": calls.operator_expression,
            "SubLink": calls.sublink,
            "SortBy": calls.sort_by,
            "CaseExpr": calls.case,
            "JoinExpr": calls.join,
            "TypeName": calls.type_name,
            "ColumnRef": self._misplaced,
            "A_Indirection": self._indirection,
            "ColumnDef": calls.column_definition,
        }

    @property
    def temps(self) -> frozenset[str]:
        """The session's temporary tables."""
        return self.context.temps

    @property
    def granted(self) -> frozenset[StatementKind]:
        """The kinds of statements that the policy lets a masked role run."""
        return self.context.granted

    @property
    def weighs(self) -> bool:
        """Whether constants of the statement are looked at."""
        return self._fences.weighs

    def unwritten_calls(self) -> None:
        """Raises Refused where the database could run somebody's code by itself; `select` asks this too."""
        self._trust.unwritten_calls()

    def finish(self) -> None:
        """To be called once, after the whole statement: references such as schema.table.column are settled here."""
        self.changed |= self._references.settle() or self._calls.changed
        for first, second in self.copies:
            second.CopyFrom(first)
        self._fences.loosen(self.context.splices.insets[self._first :])

    def begin(self, statement: Node) -> None:
        """The whole statement, before anything in it is walked."""
        self._fences.begin(statement, self.context.types)

    def query(self, select: Node) -> None:
        """The SELECT that a statement is, or that it is about: as `select`, and what holds for a whole statement."""
        self._fences.outermost(select)
        self.select(select)

    def require_shown(self, select: Node, scope: Scope) -> None:
        """For a SELECT that is a part of a statement, before it is walked: raises Refused for a use of a column that a
        rule lets be shown only. `query` asks this too."""
        self._fences.require_shown(select, scope)

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
        self.unwritten_calls()
        if statement.HasField("into_clause"):
            raise denied("SELECT INTO is not allowed for this role", hint="it would copy rows into a table")
        if statement.locking_clause:
            raise denied("row locks (FOR UPDATE, FOR SHARE) are not allowed for this role", hint="it may only read")
        if statement.HasField("with_clause"):
            scope = self.with_queries(statement.with_clause, scope)
        self._sources.append([])
        self._references.settings.append(settings_range(statement, lambda found: self._find(found, scope)))
        self._extras.append({} if self.context.through_view else self._fences.extras(statement, scope))
        above_groups: set[str] = set()
        for part, value in statement.ListFields():
            if part.message_type is None or part.name == "with_clause":
                continue
            before = self._references.count
            for child in value if part.is_repeated else (value,):
                self.walk(child, scope)
            if statement.group_clause and part.name not in ("from_clause", "where_clause", "group_clause"):
                above_groups |= self._references.names_since(before)
        sources = self._sources.pop()
        if any(extra.raw for extra in self._extras.pop().values()):
            raise unsupported("a condition on a column with predicates: raw cannot be put in its place")
        self._references.settings.pop()
        if statement.group_clause and sources:
            self.changed |= complete_groups(statement, sources, above_groups)

    def relation(self, reference: Node, scope: Scope = frozenset()) -> Relation | None:
        """The relation that a RangeVar names, made safe against redirection; None for a WITH query's name.

        Raises Refused where it does not exist (42P01), lies in a temporary or toast schema, or may not be read.
        """
        if not reference.schemaname and not reference.catalogname and reference.relname in scope:
            self._references.name(range_name(reference))
            return None
        if self._is_temporary(reference):
            return None
        where = reference.location
        if reference.catalogname and reference.catalogname != self.catalog.database:
            raise unsupported("references to another database are not possible", location=where)
        schema = reference.schemaname or None
        if schema is not None and schema.startswith(("pg_temp", "pg_toast")):
            raise denied(f'permission denied for schema "{schema}"', location=where)
        found = self.catalog.resolve(schema, reference.relname, self.context.search_path)
        if found is None:
            raise undefined(f"{schema}.{reference.relname}" if schema else reference.relname, where)
        if not self.context.through_view:
            self.relations.require_readable(found, where)
        if schema is None:
            reference.schemaname = found.schema
            # Only one of them is what was judged: the text must not leave the choice to a setting.
            self.changed |= len(self.catalog.schemas_by_relation[found.name]) > 1
        renamed = bool(reference.alias.colnames)
        key = None if renamed else found.key
        self._references.name(range_name(reference), key, alias=reference.HasField("alias"))
        return found

    def _find(self, reference: Node, scope: Scope) -> Relation | None:
        """The relation that a RangeVar names, or None; it is judged when the walk comes to it."""
        if not reference.schemaname and not reference.catalogname and reference.relname in scope:
            return None
        if not reference.catalogname and reference.relname in self.context.temps:
            return None
        schema = reference.schemaname or None
        return self.catalog.resolve(schema, reference.relname, self.context.search_path)

    def implicit_names(self) -> None:
        """The statement has names of its own making: `old`, `new`, `excluded`."""
        self._references.implicit()

    def _is_temporary(self, reference: Node) -> bool:
        """Whether it is a table that the session made for itself; then it is named as one, whatever comes to lie in a
        schema of the same name."""
        if reference.catalogname or reference.relname not in self.context.temps:
            return False
        if reference.schemaname not in ("", "pg_temp"):
            return False
        self.changed |= not reference.schemaname
        reference.schemaname = "pg_temp"
        self._references.name(range_name(reference), alias=reference.HasField("alias"))
        return True

    # WITH

    def with_queries(self, clause: Node, scope: Scope) -> Scope:
        """A WITH clause; the names that what it belongs to may use."""
        names = [cte.common_table_expr.ctename for cte in clause.ctes]
        visible = scope | frozenset(names) if clause.recursive else scope
        for wrapper, name in zip(clause.ctes, names, strict=True):
            self._common_table(wrapper.common_table_expr, visible)
            # Without RECURSIVE a query sees those before it and no other.
            visible |= {name}
        return visible

    def _common_table(self, cte: Node, scope: Scope) -> None:
        if cte.ctequery.WhichOneof("node") == "select_stmt":
            self.walk(cte.ctequery, scope)
        elif self.context.modify is None:
            raise denied(f'WITH query "{cte.ctename}" writes, which is not allowed here', location=cte.location)
        else:
            self.implicit_names()
            self.context.modify(cte.ctequery, self, scope)
        for clause in ("search_clause", "cycle_clause"):
            if cte.HasField(clause):
                self.walk(getattr(cte, clause), scope)

    # Relations

    def _node(self, wrapper: Node, scope: Scope) -> None:
        kind = wrapper.WhichOneof("node")
        if kind == "range_var":
            self._range_variable(wrapper, scope)
        elif kind == "range_function" and is_settings_function(wrapper.range_function, self.catalog):
            as_settings(wrapper)
            self.changed = True
            self._range_variable(wrapper, scope)
        elif kind == "column_ref":
            # Settled at the end, when every name in FROM is known: the select list comes before it.
            self._references.add(wrapper)
        elif kind is not None and kind not in LEAVES:
            if kind in UNNAMED_RANGES and not getattr(wrapper, kind).HasField("alias"):
                self._references.implicit()
            self.walk(getattr(wrapper, kind), scope)

    def _range_variable(self, wrapper: Node, scope: Scope) -> None:
        reference = wrapper.range_var
        names = tuple(name for name in (reference.schemaname, reference.relname) if name)
        found = self.relation(reference, scope)
        if found is None:
            return
        replacement = self.relations.replacement(found, reference.location)
        if replacement is None:
            if len(names) == 1:
                self.context.splices.qualify(reference, found.schema)
            return
        self._replacements += 1
        if self._replacements > MAX_REPLACEMENTS:
            raise unsupported(
                f"more than {MAX_REPLACEMENTS} references to masked tables in one statement are not supported",
                location=reference.location,
            )
        self.hides |= replacement.hides
        self.masks.extend(replacement.masks)
        if replacement.touches:
            self.touched.add(found.qualified)
        if not reference.alias.colnames:
            self._sources[-1].append(Source(range_name(reference), found, self.relations.protected_columns(found)))
        if not reference.HasField("alias"):
            self._references.replaced(found.key)
        only = not reference.inh and found.kind in "rpf"
        if self.relations.floor:  # which has two views only where there are two answers
            only = only and bool(self.catalog.children.get(found.key))
        if self.relations.floor and replacement.protects and not self.context.through_view:
            self._point_at_floor(reference, found, replacement.view, only=only)
        else:
            inset = Inset(replacement.view, only)
            self._inset(reference, inset)
            self.context.splices.mark(reference, names, inset)

    def _inset(self, reference: Node, inset: Inset) -> None:
        extra = self._extras[-1].pop(range_name(reference), None)
        if extra is not None:
            inset.extra = extra.conditions
            self.raw_predicates |= extra.raw
            # What was moved is gone from the tree.
            self.changed |= bool(extra.raw)

    def _point_at_floor(self, reference: Node, relation: Relation, view: MaskedView, *, only: bool) -> None:
        schema, name = floor_view(self.relations.identity.roles, relation, only=only)
        require_floor(self.catalog, (schema, name), relation, floor_comment(view, only=only), reference.location)
        if not reference.HasField("alias"):
            reference.alias.aliasname = reference.relname
        reference.ClearField("catalogname")
        reference.schemaname, reference.relname, reference.inh = schema, name, True
        self.changed = True

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
        for part, value in message.ListFields():
            found = WAYS.get(part) or way(part)
            if found is Way.NODE:
                self._node(value, scope)
            elif found is Way.NODES:
                for child in value:
                    self._node(child, scope)
            elif found is Way.MESSAGE:
                self.walk(value, scope)
            elif found is Way.MESSAGES:
                for child in value:
                    self.walk(child, scope)

    def _misplaced(self, message: Node, scope: Scope) -> None:
        del scope
        raise unsupported(f"{readable(message.DESCRIPTOR.name)} is not supported here", location=location_of(message))
