"""The table that a statement writes: what it is, and what of it the statement may not read.

The target of a write cannot become a masked view, so here names decide, not PostgreSQL's analyser: every column
reference that could mean a protected column of the target, or its whole row, is refused, wherever it stands in SET,
WHERE, ON, ON CONFLICT or RETURNING, sub-SELECTs included. What FROM, USING and INSERT's own SELECT read cannot see the
target.

It does not know which constraints tell of protected values: that is `probes`.
https://www.postgresql.org/docs/current/sql-update.html
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from proxy.policy import parser
from proxy.policy.catalog import Relation
from proxy.policy.refused import Refused, denied, unsupported
from proxy.policy.relations import kind_name
from proxy.policy.rules import StatementKind

if TYPE_CHECKING:
    from proxy.policy.rewrite import Rewriter

Node = Any

SYSTEM_COLUMNS: Final = frozenset({"tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"})
"""They tell which partition a row lies in, where there, and who wrote it: of a masked key, and by their gaps of hidden
rows. A masked or filtered table has none in a SELECT either."""

_HINT: Final = "what is masked may be written and not read: SET, WHERE, RETURNING and the like use the other columns"
_ROW: Final = "pgveil_row"

EXCLUDED: Final = "excluded"
_ROW_VERSIONS: Final = frozenset({"old", "new"})
"""What RETURNING calls the row before and after, from PostgreSQL 18 on."""


@dataclass(frozen=True, slots=True)
class Target:
    """A plain or partitioned table that a statement writes.

    `name` is what the statement calls it. `protected` are its columns that may not be read: those that the role sees
    masked, and those of a type that runs somebody's code, which an expression could give a value of its own.
    `condition` is the role's row filter as a tree over `name`, or None. `only` leaves out what inherits from it.
    """

    relation: Relation
    name: str
    only: bool
    protected: frozenset[str]
    condition: Node | None


def resolve(reference: Node, rewriter: Rewriter) -> Target | None:
    """The target that a RangeVar names, or None for a temporary table of the session's own.

    Raises:
        Refused: it cannot be written through the veil, or not be named at all.
    """
    found = rewriter.relation(reference)
    where = reference.location
    if found is None:
        require_granted(rewriter, StatementKind.TEMP)
        return None
    if found.is_system:
        raise denied(f"system relation {found.qualified} may not be written", location=where)
    if found.kind not in "rp":
        raise unsupported(
            f"{kind_name(found.kind)} {found.qualified} cannot be written through the veil",
            hint="plain and partitioned tables can",
            location=where,
        )
    if found.has_rules:
        raise unsupported(
            f"table {found.qualified} has rewrite rules, and cannot be written through the veil",
            hint="a rule makes another statement of this one, which nobody has judged",
            location=where,
        )
    name = reference.alias.aliasname if reference.HasField("alias") else found.name
    protected = rewriter.relations.protected_columns(found)
    condition = _condition(found, name, rewriter)
    if protected or condition is not None:
        rewriter.touched.add(found.qualified)
    unsafe = frozenset(column.name for column in found.columns if column.type_oid in rewriter.catalog.unsafe_types)
    return Target(found, name, not reference.inh, protected | unsafe, condition)


def _condition(relation: Relation, name: str, rewriter: Rewriter) -> Node | None:
    """The row filter over the target's name. The client has chosen that name: it stands in the tree, never in a text,
    and none that the filter uses for itself may be taken, since the filter would then look at the wrong table."""
    text = rewriter.relations.filter_sql(relation, _ROW)
    if text is None:
        return None
    condition = parser.parse(f"SELECT ({text})").stmts[0].stmt.select_stmt.target_list[0].res_target.val
    parser.without_locations(condition)
    for node in parser.nodes_of(condition):
        kind = node.DESCRIPTOR.name
        taken = {"RangeVar": ("relname",), "Alias": ("aliasname",), "CommonTableExpr": ("ctename",)}.get(kind, ())
        if any(getattr(node, part) == name for part in taken):
            raise unsupported(f'"{name}" cannot be the name of the table here', hint="give it another alias")
        if kind == "ColumnRef" and len(node.fields) > 1 and node.fields[0].string.sval == _ROW:
            node.fields[0].string.sval = name
    return condition


def require_granted(rewriter: Rewriter, kind: StatementKind) -> None:
    """Raises Refused (42501) where `defaults.statements` does not list the kind."""
    if kind not in rewriter.granted:
        spoken = "a temporary table" if kind is StatementKind.TEMP else kind.value.upper()
        raise denied(
            f"{spoken} is not allowed for this role",
            hint=f"defaults.statements in the policy does not list {kind.value}",
        )


def require_write(target: Target, kind: StatementKind, rewriter: Rewriter) -> None:
    """Raises Refused (42501) where no rule for the table lists the kind under `write`."""
    relations = rewriter.relations
    if not relations.policy.may_write(relations.identity, target.relation.key, kind):
        raise denied(
            f"{kind.value.upper()} on table {target.relation.qualified} is not allowed for this role",
            hint=f"no rule of the policy for this table lists {kind.value} under write",
        )


class Reads:
    """Judges every column reference of a statement that may see its target."""

    def __init__(self, target: Target, own: frozenset[str] = frozenset()) -> None:
        """`own` are the protected columns that `excluded` holds values of the client's own in."""
        self._target = target
        self._own = own
        self._is_plain = not target.protected and target.condition is None
        self._names = {target.name, EXCLUDED, *_ROW_VERSIONS}

    def forbid(self, nodes: Iterable[Node]) -> None:
        """Raises Refused (42501) for the first reference below `nodes` to what is protected."""
        if self._is_plain:
            return
        for node in nodes:
            for found in parser.nodes_of(node):
                if found.DESCRIPTOR.name == "ColumnRef":
                    self._judge(found)

    def forbid_returning(self, clause: Node) -> None:
        """The same for RETURNING, where a star stands for the target's columns."""
        if self._is_plain:
            return
        self._names |= {option.returning_option.value for option in clause.options}
        for item in clause.exprs:
            value = item.res_target.val
            is_star = value.WhichOneof("node") == "column_ref" and _parts(value.column_ref) == [None]
            if is_star and self._target.protected:
                raise self._refused("its whole row", value.column_ref.location, hint="name the columns to be returned")
        self.forbid(clause.exprs)

    def forbid_parts(self, assignments: Iterable[Node]) -> None:
        """SET column.field and column[1] read the column that they change."""
        for item in assignments:
            target = item.res_target
            if target.indirection and target.name in self._target.protected:
                raise self._refused(f'column "{target.name}"', target.location, hint="assign the whole column")

    def _judge(self, reference: Node) -> None:
        parts = _parts(reference)
        last, where = parts[-1], reference.location
        if len(parts) == 1:
            self._judge_bare(last, where)
            return
        qualifier = parts[-2]
        # Only a table without an alias answers to schema.table; refusing it under one as well costs nobody anything.
        if qualifier not in self._names and not (len(parts) > 2 and qualifier == self._target.relation.name):  # noqa: PLR2004
            return
        if last in SYSTEM_COLUMNS:
            raise self._refused("its system columns", where)
        if not self._target.protected:
            return
        if last is None:
            raise self._refused("its whole row", where)
        if last in self._target.protected and not (qualifier == EXCLUDED and last in self._own):
            raise self._refused(f'column "{last}"', where)
        if self._target.relation.column(last) is None:
            raise self._refused(f"its whole row (by {last})", where)

    def _judge_bare(self, name: str | None, where: int) -> None:
        if name is None:
            # A star in a sub-SELECT: it stands for what is in that FROM.
            return
        if name in self._target.protected:
            hint = f"write x.{name} where a column of another table x is meant"
            raise self._refused(f'column "{name}"', where, hint=hint)
        if name in SYSTEM_COLUMNS:
            raise self._refused("its system columns", where)
        # A column comes before a whole row of that name.
        if self._target.protected and name in self._names and self._target.relation.column(name) is None:
            raise self._refused("its whole row", where)

    def _refused(self, what: str, location: int, hint: str | None = None) -> Refused:
        return denied(
            f"{what} may not be read where {self._target.relation.qualified} is written",
            hint=hint or _HINT,
            location=location,
        )


def _parts(reference: Node) -> list[str | None]:
    """The names of a column reference; None is a star."""
    return [f.string.sval if f.WhichOneof("node") == "string" else None for f in reference.fields]
