"""The text of a relation's masked view: the same columns, protected ones as mask expressions, hidden rows left out.

https://www.postgresql.org/docs/current/rules-privileges.html says what a security barrier is and why. In a subquery,
OFFSET 0 is half of one: the planner moves no condition from outside below it. But it tries conditions such as LIKE on
the statistics of the column that it finds below, hidden rows' values among them, and they may fail on one. So a fenced
view passes its columns through a LATERAL subquery, behind which no column is found.

It does not know policies: what is masked how is `relations`'.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from proxy.policy import parser
from proxy.policy.catalog import Relation

ALIAS = "t"
BEHIND = "f"
"""The subquery behind which no column is found."""
FENCE = " OFFSET 0"


@dataclass(frozen=True, slots=True)
class MaskedView:
    """`head` is the SELECT up to its FROM; `only_head` the same without rows of children; `fenced_head` and
    `fenced_only_head` are their forms for a fence. `filters` are conditions over the columns below the masks, as
    `t.column`. `barrier`: nothing from outside may run below it, whatever it is."""

    head: str
    only_head: str
    filters: tuple[str, ...] = ()
    barrier: bool = False
    fenced_head: str = ""
    fenced_only_head: str = ""

    def sql(self, *, only: bool = False, extra: Sequence[str] = (), fenced: bool = True) -> str:
        """The SELECT. `extra` are more conditions; `fenced` False leaves the fence of the filters out."""
        fence = self.barrier or (bool(self.filters) and fenced)
        heads = (self.fenced_head, self.fenced_only_head) if fence else (self.head, self.only_head)
        text = heads[only]
        conditions = (*self.filters, *extra)
        if conditions:
            text += " WHERE " + (conditions[0] if len(conditions) == 1 else " AND ".join(f"({c})" for c in conditions))
        return text + FENCE if fence else text


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
    names = ", ".join(f"{BEHIND}.{quoted(c.name)}" for c in relation.columns)
    behind = f"CROSS JOIN LATERAL (SELECT {items}{FENCE}) AS {BEHIND}"
    head, only_head = _heads(relation, source, f"SELECT {items} FROM", "")
    if relation.is_system:  # nothing of theirs is hidden for its value, and their conditions have bare names
        return MaskedView(head, only_head, filters, barrier, head, only_head)
    fenced, fenced_only = _heads(relation, source, f"SELECT {names} FROM", behind)
    return MaskedView(head, only_head, filters, barrier, fenced, fenced_only)


def _heads(relation: Relation, source: str | None, before: str, behind: str) -> tuple[str, str]:
    """A SELECT over the relation, and over it without the rows of its children."""
    if source is not None:
        # Put in as it is: it has been read already.
        mark = f"pgveil_{secrets.token_hex(8)}.source"
        first, _, last = _normal(f"{before} {mark} AS {ALIAS} {behind}").partition(mark)
        head = f"{first}({source}){last}"
        return head, head
    name = f"{quoted(relation.schema)}.{quoted(relation.name)}"
    head = _normal(f"{before} {name} AS {ALIAS} {behind}")
    return head, _normal(f"{before} ONLY {name} AS {ALIAS} {behind}") if relation.kind in "rpf" else head


def _normal(text: str) -> str:
    return parser.deparse(parser.parse(text))


def quoted(name: str) -> str:
    """An identifier that the grammar reads as exactly `name`."""
    return '"' + name.replace('"', '""') + '"'
