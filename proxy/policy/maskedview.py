"""The text of a relation's masked view: the same columns, protected ones as mask expressions, hidden rows left out.

https://www.postgresql.org/docs/current/rules-privileges.html says what a security barrier is and why; in a subquery,
OFFSET 0 is one: the planner moves no condition from outside below it.

It does not know policies: what is masked how is `relations`'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from proxy.policy import parser
from proxy.policy.catalog import Relation

ALIAS = "t"
FENCE = " OFFSET 0"


@dataclass(frozen=True, slots=True)
class MaskedView:
    """`head` is the SELECT up to its FROM; `only_head` the same without rows of children. `filters` are conditions over
    the columns below the masks, as `t.column`. `barrier`: nothing from outside may run below it, whatever it is."""

    head: str
    only_head: str
    filters: tuple[str, ...] = ()
    barrier: bool = False

    def sql(self, *, only: bool = False, extra: Sequence[str] = (), fenced: bool = True) -> str:
        """The SELECT. `extra` are more conditions; `fenced` False leaves the fence of the filters out."""
        text = self.only_head if only else self.head
        conditions = (*self.filters, *extra)
        if conditions:
            text += " WHERE " + (conditions[0] if len(conditions) == 1 else " AND ".join(f"({c})" for c in conditions))
        if self.barrier or (self.filters and fenced):
            text += FENCE
        return text


def masked_view(
    relation: Relation,
    expressions: Mapping[str, str],
    *,
    filters: tuple[str, ...] = (),
    source: str | None = None,
    barrier: bool = False,
) -> MaskedView:
    """`SELECT t.a, <expression> AS b FROM relation AS t`, or over `source`, the SELECT that a view stands for.

    Args:
        expressions: column to SQL over `t.column`; the other columns are as they are.
    """
    if source is not None and not expressions and not filters and not barrier:
        return MaskedView(source, source)
    items = ", ".join(
        f"{expressions[c.name]} AS {quoted(c.name)}" if c.name in expressions else f"{ALIAS}.{quoted(c.name)}"
        for c in relation.columns
    )
    if source is not None:
        # Put in as it is: it has been read already. The last such word is the one in FROM.
        before, _, behind = _normal(f"SELECT {items} FROM pgveil.source AS {ALIAS}").rpartition("pgveil.source")
        head = f"{before}({source}){behind}"
        return MaskedView(head, head, filters, barrier)
    name = f"{quoted(relation.schema)}.{quoted(relation.name)}"
    head = _normal(f"SELECT {items} FROM {name} AS {ALIAS}")
    only_head = _normal(f"SELECT {items} FROM ONLY {name} AS {ALIAS}") if relation.kind in "rpf" else head
    return MaskedView(head, only_head, filters, barrier)


def _normal(text: str) -> str:
    return parser.deparse(parser.parse(text))


def quoted(name: str) -> str:
    """An identifier that the grammar reads as exactly `name`."""
    return '"' + name.replace('"', '""') + '"'
