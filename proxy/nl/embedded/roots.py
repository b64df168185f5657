"""Which table's rows a question is about: its root.

Everything else that the question names must be reached from the root with one row at most, so that nothing is counted
twice. Where two tables would do equally well, the question is ambiguous.
"""

from __future__ import annotations

from proxy.nl.embedded.joins import is_forward
from proxy.nl.embedded.linking import Linker
from proxy.nl.embedded.names import PART, ColumnTarget
from proxy.nl.embedded.problems import NOT_UNDERSTOOD, NoFitError, ambiguous
from proxy.nl.embedded.syntax import Ask, Condition, Entity, Field, Group, Holds, Measure, Related
from proxy.nl.schema import Family
from proxy.policy.catalog import Name

RANKABLE = frozenset({Family.NUMBER, Family.DATE, Family.TIMESTAMP})
_NUMBERS = frozenset({Family.NUMBER})
AGGREGABLE = {
    "count": frozenset(Family),
    "sum": _NUMBERS,
    "avg": _NUMBERS,
    "median": _NUMBERS,
    "min": RANKABLE,
    "max": RANKABLE,
}
"""What each aggregate can be taken of."""


class Roots:
    """Finds roots in one schema view."""

    def __init__(self, linker: Linker) -> None:
        self.linker = linker

    def context(self, conditions: tuple[Condition, ...], groups: tuple[Group, ...] = ()) -> list[Entity]:
        """The tables that the question names besides what it measures."""
        found = [c.of.head for c in conditions if isinstance(c, Related) and isinstance(c.of.head, Entity)]
        found += [c.owner for c in conditions if isinstance(c, Holds) and c.owner is not None]
        for group in groups:
            if isinstance(group, Entity):
                found.append(group)
            elif isinstance(group, Field) and group.owner is not None:
                found.append(group.owner)
        return found

    def measure_table(self, measure: Measure, context: list[Entity]) -> Name:
        if measure_is_rows(measure) and measure.of is not None and isinstance(measure.of.head, Entity):
            return self.linker.subject(measure.of.head)
        if measure.of is not None and isinstance(measure.of.head, tuple):
            return self.finest([self.field_table(f, context) for f in measure.of.head])
        if measure.field is None:
            raise NoFitError(NOT_UNDERSTOOD, detail="It is not clear what is measured.")
        return self.field_table(measure.field, context, AGGREGABLE[measure.func])

    def field_table(self, field: Field, context: list[Entity], families: frozenset[Family] = frozenset(Family)) -> Name:
        """The table of a column, from which every table that the question names has one row at most."""
        if field.owner is not None:
            return self.linker.subject(field.owner)
        targets = [t for t in field.targets if self._family(t) in families]
        near = [(self._distance(t, context), t) for t in targets]
        reachable = [(d, t) for d, t in near if d is not None]
        if not reachable:
            raise NoFitError(
                NOT_UNDERSTOOD,
                detail=f'No column "{field.text}" fits what else is named.',
                hint="Say whose it is, as in: total amount of payments.",
            )
        tables_only = [(d, t) for d, t in reachable if not self.linker.view(t.table).is_view]
        reachable = tables_only or reachable
        nearest = min(d for d, _ in reachable)
        close = [t for d, t in reachable if d == nearest]
        rank = min(t.rank for t in close)
        tables = {t.table for t in close if t.rank == rank}
        better = {t.table for d, t in reachable if t.rank < rank} if rank == PART else set()
        if len(tables | better) > 1:
            names = [f"{t.table[1]}.{t.column}" for _, t in reachable if t.table in tables | better]
            raise ambiguous(field.text, names)
        return next(iter(tables))

    def _family(self, target: ColumnTarget) -> Family:
        view = self.linker.view(target.table).column(target.column)
        return view.family if view else Family.OTHER

    def _distance(self, target: ColumnTarget, context: list[Entity]) -> int | None:
        """Links from the column's table to every table named; None where one cannot be reached so."""
        total = 0
        for entity in context:
            lengths = [
                len(path)
                for t in entity.targets
                for path in self.linker.graph.paths(target.table, t.table)
                if is_forward(path)
            ]
            if not lengths:
                return None
            total += min(lengths)
        return total

    def finest(self, tables: list[Name]) -> Name:
        """The one table from which all the others are reached with one row at most."""
        distinct = list(dict.fromkeys(tables))
        found = [
            t for t in distinct if all(any(is_forward(p) for p in self.linker.graph.paths(t, o)) for o in distinct)
        ]
        if len(found) != 1:
            raise NoFitError(
                NOT_UNDERSTOOD,
                detail="What is asked for is spread over tables of which no row belongs to one of the others: "
                + ", ".join(t[1] for t in distinct)
                + ".",
                hint="Ask about one of them at a time.",
            )
        return found[0]


def measures_of(ask: Ask) -> list[Measure]:
    """Every aggregate that a reading speaks of, each once."""
    rank = ask.subject.rank if ask.subject else None
    found = [i for i in (*ask.items, *ask.extra, *ask.basis) if isinstance(i, Measure)]
    found += [b for b in (rank.by if rank else ()) if isinstance(b, Measure)]
    found += [Measure("count")] if rank and rank.common else []
    found += [o.by for o in ask.order if isinstance(o.by, Measure)]
    return list(dict.fromkeys(found))


def measure_is_rows(measure: Measure) -> bool:
    """Whether a measure counts rows of a table that it names."""
    return measure.func == "count" and measure.of is not None and isinstance(measure.of.head, Entity)
