"""Temporary tables: a session's own copies of what it may see.

They are made from rewritten SELECTs, so nothing in them is protected, and every name of theirs is written with the
schema pg_temp, so none can stand for another table. What could bring code along (operator classes, inherited defaults,
types that run somebody's function) is refused, and so are views, sequences and functions.

It does not know which tables a session has: `Rewriter.temps` says, from the effects that statements had.
https://www.postgresql.org/docs/current/sql-createtable.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from proxy.policy import parser
from proxy.policy.plan import Effect
from proxy.policy.refused import denied, unsupported
from proxy.policy.rules import StatementKind
from proxy.policy.targets import require_granted

if TYPE_CHECKING:
    from proxy.policy.rewrite import Rewriter

Node = Any
NOWHERE: Final[frozenset[str]] = frozenset()

SCHEMA: Final = "pg_temp"

_SERIAL: Final = frozenset({"serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"})
"""The grammar's own words, not types: an integer with a sequence of the table's own behind it."""

_TABLE_FIELDS: Final = frozenset({"relation", "table_elts", "oncommit", "if_not_exists"})
_INTO_FIELDS: Final = frozenset({"rel", "col_names", "on_commit", "skip_data"})
_COLUMN_FIELDS: Final = frozenset({"colname", "type_name", "is_local", "coll_clause", "constraints", "location"})
_CONSTRAINT_FIELDS: Final = frozenset(
    """
    contype conname deferrable initdeferred is_enforced skip_validation initially_valid is_no_inherit raw_expr
    generated_when generated_kind nulls_not_distinct keys including options location
    """.split()  # noqa: SIM905 - a table to be read
)
_CONSTRAINTS: Final = frozenset(
    """
    CONSTR_NULL CONSTR_NOTNULL CONSTR_DEFAULT CONSTR_IDENTITY CONSTR_GENERATED CONSTR_CHECK CONSTR_PRIMARY CONSTR_UNIQUE
    CONSTR_ATTR_DEFERRABLE CONSTR_ATTR_NOT_DEFERRABLE CONSTR_ATTR_DEFERRED CONSTR_ATTR_IMMEDIATE CONSTR_ATTR_ENFORCED
    CONSTR_ATTR_NOT_ENFORCED
    """.split()  # noqa: SIM905
)
_SEQUENCE_OPTIONS: Final = frozenset({"start", "increment", "minvalue", "maxvalue", "cache", "cycle"})
_INDEX_FIELDS: Final = frozenset(
    """
    idxname relation access_method index_params index_including_params where_clause unique nulls_not_distinct
    if_not_exists
    """.split()  # noqa: SIM905
)
_ELEMENT_FIELDS: Final = frozenset({"name", "expr", "collation", "opclass", "ordering", "nulls_ordering"})
_METHODS: Final = frozenset({"btree", "hash", "gin", "gist", "brin", "spgist"})
_CLASSES: Final = frozenset({"text_pattern_ops", "varchar_pattern_ops", "bpchar_pattern_ops", "jsonb_path_ops"})


# Making one


def create(statement: Node, rewriter: Rewriter) -> Effect | None:
    """CREATE TEMP TABLE with columns. CREATE TABLE without TEMP is refused, as is what hangs on other tables."""
    reference = statement.relation
    _begin(reference, rewriter)
    _require_fields(statement, _TABLE_FIELDS, "CREATE TABLE")
    for item in statement.table_elts:
        kind = item.WhichOneof("node")
        if kind == "column_def":
            _column(item.column_def, rewriter)
        elif kind == "constraint":
            _constraint(item.constraint, rewriter)
        elif kind == "table_like_clause":
            _like(item.table_like_clause, rewriter)
        else:
            raise unsupported("this part of CREATE TABLE is not supported for this role")
    return _made(reference, statement.oncommit, rewriter, if_not_exists=statement.if_not_exists)


def create_as(statement: Node, rewriter: Rewriter) -> Effect | None:
    """CREATE TEMP TABLE ... AS SELECT, of what the masked views show."""
    if parser.nodes.ObjectType.Name(statement.objtype) != "OBJECT_TABLE":
        raise denied("CREATE MATERIALIZED VIEW is not allowed for this role")
    into = statement.into
    _begin(into.rel, rewriter)
    _require_fields(into, _INTO_FIELDS, "CREATE TABLE AS")
    if statement.query.WhichOneof("node") != "select_stmt":
        raise unsupported("CREATE TABLE AS EXECUTE is not supported for this role", hint="write the SELECT itself")
    rewriter.query(statement.query.select_stmt)
    return _made(into.rel, into.on_commit, rewriter, if_not_exists=statement.if_not_exists)


def makes_table(statement: Node) -> bool:
    """Whether a SelectStmt is SELECT INTO: in a set operation the clause is the first SELECT's."""
    return bool(_first(statement).HasField("into_clause"))


def select_into(statement: Node, rewriter: Rewriter) -> Effect | None:
    """SELECT ... INTO TEMP, the older way to write CREATE TABLE AS."""
    first = _first(statement)
    into = parser.nodes.IntoClause()
    into.CopyFrom(first.into_clause)
    _begin(into.rel, rewriter)
    _require_fields(into, _INTO_FIELDS, "SELECT INTO")
    first.ClearField("into_clause")
    rewriter.query(statement)
    first.into_clause.CopyFrom(into)
    return _made(into.rel, into.on_commit, rewriter)


def _first(statement: Node) -> Node:
    while statement.HasField("larg"):
        statement = statement.larg
    return statement


def _begin(reference: Node, rewriter: Rewriter) -> None:
    """Judges the name of a table to be made, and pins it to the session's own schema."""
    name, where = reference.relname, reference.location
    if reference.relpersistence != "t" and reference.schemaname != SCHEMA:
        raise denied(
            f'making table "{name}" is not allowed for this role',
            hint="a table of the session's own can be made with TEMP, where the policy lists temp",
            location=where,
        )
    require_granted(rewriter, StatementKind.TEMP)
    if reference.catalogname or reference.schemaname not in ("", SCHEMA):
        raise unsupported("a temporary table has no schema of another name", location=where)
    if name.startswith("pg_") or name in rewriter.catalog.builtin_types:
        raise denied(
            f'"{name}" is not allowed as the name of a temporary table',
            hint="the name of a system object or a built-in type would come to mean the table",
            location=where,
        )
    rewriter.unwritten_calls()
    reference.schemaname = SCHEMA
    rewriter.changed = True


def _made(reference: Node, on_commit: int, rewriter: Rewriter, *, if_not_exists: bool = False) -> Effect | None:
    name = str(reference.relname)
    if if_not_exists and name in rewriter.temps:
        # The one that is there stays, and stays what it is.
        return None
    return Effect("temp", name, local=parser.nodes.OnCommitAction.Name(on_commit) == "ONCOMMIT_DROP")


def _column(column: Node, rewriter: Rewriter) -> None:
    _require_fields(column, _COLUMN_FIELDS, "a column")
    names = [part.string.sval for part in column.type_name.names]
    if not (len(names) == 1 and names[0] in _SERIAL):
        rewriter.walk(column.type_name, NOWHERE)
    if column.HasField("coll_clause"):
        rewriter.walk(column.coll_clause, NOWHERE)
    for item in column.constraints:
        _constraint(item.constraint, rewriter)


def _constraint(constraint: Node, rewriter: Rewriter) -> None:
    kind = parser.nodes.ConstrType.Name(constraint.contype)
    where = constraint.location
    if kind not in _CONSTRAINTS:
        raise unsupported(
            f"{kind.removeprefix('CONSTR_').lower()} constraints of temporary tables are not supported", location=where
        )
    _require_fields(constraint, _CONSTRAINT_FIELDS, "a constraint")
    for option in constraint.options:
        if kind != "CONSTR_IDENTITY" or option.def_elem.defname not in _SEQUENCE_OPTIONS:
            raise unsupported(f"option {option.def_elem.defname} is not supported here", location=where)
    if constraint.HasField("raw_expr"):
        rewriter.walk(constraint.raw_expr, NOWHERE)


def _like(like: Node, rewriter: Rewriter) -> None:
    """LIKE copies names and types. INCLUDING copies expressions too: another's code, which the session could then run
    on what it likes. A domain is such code as well."""
    where = like.relation.location
    if like.options:
        raise unsupported("LIKE ... INCLUDING is not supported for this role", hint="LIKE alone works", location=where)
    found = rewriter.relation(like.relation)
    unsafe = rewriter.catalog.unsafe_types
    for column in found.columns if found is not None else ():
        if column.type_oid in unsafe:
            raise denied(
                f'the type of column "{column.name}" is not allowed for this role',
                hint="converting to it may run code of a user",
                location=where,
            )


# Using one


def drop(statement: Node, rewriter: Rewriter) -> Effect | None:
    """DROP TABLE of one temporary table; with IF EXISTS also of a name that nothing has."""
    if parser.nodes.ObjectType.Name(statement.remove_type) != "OBJECT_TABLE":
        raise denied("DROP of anything but a temporary table is not allowed for this role")
    require_granted(rewriter, StatementKind.TEMP)
    if len(statement.objects) != 1:
        raise unsupported("DROP TABLE of several tables is not supported for this role", hint="drop them one by one")
    parts = statement.objects[0].list.items
    names = [part.string.sval for part in parts]
    own = names[0] == SCHEMA and len(names) == 2 if len(names) > 1 else names[0] in rewriter.temps  # noqa: PLR2004
    if not own:
        taken = len(names) > 1 or rewriter.catalog.resolve(None, names[0], rewriter.context.search_path) is not None
        if taken or not statement.missing_ok:
            raise _not_own("DROP", ".".join(names))
    name = names[-1]
    del parts[:]
    for part in (SCHEMA, name):
        parts.add().string.sval = part
    rewriter.changed = True
    return Effect("drop_temp", name)


def truncate(statement: Node, rewriter: Rewriter) -> Effect | None:
    """TRUNCATE of temporary tables."""
    require_granted(rewriter, StatementKind.TEMP)
    for item in statement.relations:
        _pin(item.range_var, "TRUNCATE", rewriter)
    return None


def index(statement: Node, rewriter: Rewriter) -> Effect | None:
    """CREATE INDEX on a temporary table, over built-in orders only."""
    require_granted(rewriter, StatementKind.TEMP)
    _require_fields(statement, _INDEX_FIELDS, "CREATE INDEX")
    rewriter.unwritten_calls()
    _pin(statement.relation, "CREATE INDEX", rewriter)
    if statement.access_method not in _METHODS:
        raise unsupported(f"index method {statement.access_method} is not supported for this role")
    for item in (*statement.index_params, *statement.index_including_params):
        element = item.index_elem
        _require_fields(element, _ELEMENT_FIELDS, "an index")
        names = [part.string.sval for part in element.opclass]
        if names and (names[-1] not in _CLASSES or names[:-1] not in ([], ["pg_catalog"])):
            raise unsupported(f"operator class {'.'.join(names)} is not supported for this role")
        if names:
            # Of that name there may be another one on the path.
            _qualify(element.opclass, names[-1])
        if element.HasField("expr"):
            rewriter.walk(element.expr, NOWHERE)
    if statement.HasField("where_clause"):
        rewriter.walk(statement.where_clause, NOWHERE)
    return None


def analyze(statement: Node, rewriter: Rewriter) -> Effect | None:
    """ANALYZE of temporary tables, so that the planner knows them."""
    if statement.is_vacuumcmd:
        raise denied("VACUUM is not allowed for this role")
    require_granted(rewriter, StatementKind.TEMP)
    if statement.options:
        raise unsupported("options of ANALYZE are not supported for this role")
    if not statement.rels:
        raise denied("ANALYZE of all tables is not allowed for this role", hint="name a temporary table")
    for item in statement.rels:
        _pin(item.vacuum_relation.relation, "ANALYZE", rewriter)
    return None


def is_own(reference: Node, rewriter: Rewriter) -> bool:
    """Whether a RangeVar means a temporary table of this session: such a name comes before every other."""
    if reference.catalogname:
        return False
    return reference.schemaname == SCHEMA or (not reference.schemaname and reference.relname in rewriter.temps)


def _pin(reference: Node, what: str, rewriter: Rewriter) -> None:
    if not is_own(reference, rewriter):
        raise _not_own(what, reference.relname)
    reference.schemaname = SCHEMA
    rewriter.changed = True


def _not_own(what: str, name: str) -> Exception:
    return denied(
        f"{what} of {name} is not allowed for this role", hint="it is no temporary table of this session's own"
    )


def _qualify(names: Node, name: str) -> None:
    del names[:]
    for part in ("pg_catalog", name):
        names.add().string.sval = part


_SPOKEN: Final = {
    "inh_relations": "INHERITS or PARTITION OF",
    "partspec": "PARTITION BY",
    "of_typename": "OF",
    "options": "WITH",
    "tablespacename": "TABLESPACE",
    "table_space_name": "TABLESPACE",
    "table_space": "TABLESPACE",
    "access_method": "USING",
    "concurrent": "CONCURRENTLY",
    "storage_name": "STORAGE",
}


def _require_fields(message: Node, known: frozenset[str], what: str) -> None:
    """Raises Refused (0A000) for any clause that no list names."""
    for field, _ in message.ListFields():
        if field.name not in known:
            spoken = _SPOKEN.get(field.name, field.name.replace("_", " "))
            raise unsupported(f"{spoken} in {what} is not supported for this role")
