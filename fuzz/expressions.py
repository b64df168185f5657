"""Expressions of a wanted type, written at random from the templates of `grammar` and from what is visible.

It does not know queries: a sub-SELECT is asked of whoever made the writer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

from fuzz.constants import CONSTANTS, PATTERNS
from fuzz.grammar import AGGREGATES, EXPRESSIONS, WINDOWS
from fuzz.scope import UNSORTABLE, Scope, Value, chance

_SLOT = re.compile(r"\{\{|\}\}|\{[^{}]+\}")

KINDS = ("text", "text", "text", "int", "int", "num", "date", "bool", "jsonb", "ts", "text[]", "enum", "float")
"""What an expression is wanted of where nothing says so; text is what most masks are over."""

SubSelect = Callable[[Sequence[str], int, Scope, str], str]
"""Kinds, depth, the scope around, and which of `query`, `in` and `exists`: a SELECT in parentheses."""


class Writer:
    """Writes expressions. Everything random comes from `rng`."""

    def __init__(self, rng: Random, sub_select: SubSelect) -> None:
        self.rng = rng
        self._sub_select = sub_select

    def kind(self, scope: Scope) -> str:
        """A type to ask for: often that of a masked column in sight."""
        masked = [value.kind for value in scope.columns() if value.masked and value.kind in CONSTANTS]
        if masked and chance(self.rng, 45):
            return self.rng.choice(masked)
        return self.rng.choice(KINDS)

    def expression(self, kind: str, depth: int, scope: Scope) -> str:
        """An expression of the type `kind` that may nest `depth` levels."""
        if depth > 0 and scope.groups is not None and kind in AGGREGATES and chance(self.rng, 50):
            return self._aggregate(kind, depth, scope)
        if depth > 0 and scope.windows and kind in WINDOWS and chance(self.rng, 15):
            return self._fill(self.rng.choice(WINDOWS[kind]), depth - 1, _without_windows(scope))
        if depth <= 0 or kind not in EXPRESSIONS or chance(self.rng, 30):
            return self.leaf(kind, scope)
        return self._fill(self.rng.choice(EXPRESSIONS[kind]), depth - 1, scope)

    def leaf(self, kind: str, scope: Scope) -> str:
        """A column, a group, or a constant where there is none or now and then."""
        found = self._visible(kind, scope)
        if found and not chance(self.rng, 8):
            return self._one_of(found)
        return self._constant(kind, scope)

    def _constant(self, kind: str, scope: Scope) -> str:
        if kind in CONSTANTS:
            return self.rng.choice(CONSTANTS[kind])
        found = self._visible(kind, scope)
        return self._one_of(found) if found else "NULL"

    def column(self, kind: str, scope: Scope) -> str:
        """A column of the type, or a constant."""
        found = self._visible(kind, scope)
        if found:
            return self._one_of(found)
        # An unknown constant has no type where any would do.
        return self._constant(kind, scope) + ("::text" if kind == "text" else "")

    def _visible(self, kind: str, scope: Scope) -> list[Value]:
        found = [value for value in scope.values() if value.kind == kind]
        around = scope.outer
        if around is not None and (not found or chance(self.rng, 30)):
            found += self._visible(kind, around)
        return found

    def _one_of(self, values: Sequence[Value]) -> str:
        found = self.rng.choices(values, [3 if value.masked else 1 for value in values])[0]
        return self.rng.choice(found.also) if found.also and chance(self.rng, 20) else found.sql

    def any_value(self, scope: Scope, *, sortable: bool = False) -> str:
        """Any column or group; a constant where there is none."""
        found = [v for v in scope.values() if v.kind not in UNSORTABLE] if sortable else list(scope.values())
        return self._one_of(found) if found else self._constant("int", scope)

    def row(self, scope: Scope, *, sortable: bool = False) -> str:
        """A whole row of a source, or one that is put together."""
        without = UNSORTABLE if sortable else frozenset[str]()
        rows = [s.alias for s in scope.sources if s.row and not any(c.kind in without for c in s.columns)]
        if scope.groups is None and rows and chance(self.rng, 80):
            return self.rng.choice(rows)
        return "ROW(" + ", ".join(self.any_value(scope, sortable=sortable) for _ in range(2)) + ")"

    def _aggregate(self, kind: str, depth: int, scope: Scope) -> str:
        inner = Scope(sources=scope.sources, outer=None, merged=scope.merged)
        return self._fill(self.rng.choice(AGGREGATES[kind]), min(depth - 1, 1), inner)

    def window(self, scope: Scope, *, ordered: bool) -> str:
        """What stands in OVER's parentheses. Frames count peers, which are the same in any order of rows."""
        parts = []
        if chance(self.rng, 50):
            parts.append(f"PARTITION BY {self.any_value(scope, sortable=True)}")
        if ordered or chance(self.rng, 60):
            parts.append(
                f"ORDER BY {self.any_value(scope, sortable=True)}{self.rng.choice(('', ' DESC', ' NULLS FIRST'))}"
            )
            if chance(self.rng, 40):
                frames = (
                    "GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW",
                    "GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING EXCLUDE GROUP",
                    "RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
                    "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
                    "RANGE UNBOUNDED PRECEDING EXCLUDE TIES",
                )
                parts.append(self.rng.choice(frames))
        return " ".join(parts)

    # Templates

    def _fill(self, template: str, depth: int, scope: Scope) -> str:
        last = ""

        def put(match: re.Match[str]) -> str:
            nonlocal last
            slot = match[0]
            if slot in ("{{", "}}"):
                return slot[0]
            if slot == "{=}":
                return last
            last = self._slot(slot[1:-1], depth, scope)
            return last

        return _SLOT.sub(put, template)

    def _slot(self, slot: str, depth: int, scope: Scope) -> str:
        name, _, kind = slot.partition(":")
        simple: Callable[[], str] | None = {
            "n": lambda: str(self.rng.randint(1, 3)),
            "small": lambda: str(self.rng.randint(1, 9)),
            "pattern": lambda: self.rng.choice(PATTERNS),
            "any": lambda: self.any_value(scope),
            "key": lambda: self.any_value(scope, sortable=True),
            "row": lambda: self.row(scope, sortable=bool(kind)),
            "lit": lambda: self.rng.choice(CONSTANTS[kind]),
            "col": lambda: self.column(kind, scope),
            "window": lambda: self.window(scope, ordered=bool(kind)),
        }.get(name)
        if simple is not None:
            return simple()
        if name in ("query", "in", "exists"):
            return self._nested(name, kind, depth, scope)
        return parenthesised(self.expression(slot, depth, scope))

    def _nested(self, form: str, kind: str, depth: int, scope: Scope) -> str:
        if depth > 0:
            return self._sub_select(kind.split(",") if kind else [], depth, scope, form)
        if form == "exists":
            return "(SELECT 1)"
        return "(SELECT " + ", ".join(self.column(one, scope) for one in kind.split(",")) + ")"


def _without_windows(scope: Scope) -> Scope:
    return Scope(scope.sources, scope.outer, scope.groups, windows=False, merged=scope.merged)


_SIMPLE = re.compile(r"""[\w."]+|'[^']*'|[\w.]+\([^()]*\)|\((?:[^()]|\([^()]*\))*\)""")


def parenthesised(text: str) -> str:
    """The expression with parentheses around it, where it is more than a name, a constant or a call."""
    return text if _SIMPLE.fullmatch(text) else f"({text})"
