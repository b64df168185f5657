"""A veil that makes the text of every plan in both ways, and holds one against the other: what was put into the
client's own text has to read as the tree that would have been written out. And one that decides by shapes wherever it
can, and holds such a decision against the one that the text gets by itself."""

from __future__ import annotations

from random import Random

from fuzz.shapes import assert_same, varied
from proxy.policy import parser, planning
from proxy.policy.context import Context
from proxy.policy.cuts import Cut
from proxy.policy.decide import CACHE_SIZE, Asked, Veil
from proxy.policy.plan import Plan, Refusal
from proxy.policy.planning import text_of, verified_text
from proxy.policy.refused import Refused
from proxy.policy.rules import Identity
from proxy.policy.shapeproof import proven
from proxy.policy.shapes import Shapes, outline

OTHERS = 3
"""Texts of the same shape, with other integers, that come before each text."""


class TextsDifferError(Exception):
    """The text is that of the one that was put together."""


def compared_text(
    sql: str, tree: parser.ParseTree, context: Context, *, deeply: bool
) -> tuple[bytes, str, tuple[Cut, ...]]:
    """As `planning.text_of`. Raises TextsDifferError where the two texts are not one statement."""
    found = text_of(sql, tree, context, deeply=deeply)
    if not found[0] and found[2]:
        try:
            written, _ = verified_text(tree.SerializeToString(), context)
        except Refused:  # what cannot be written out is one more reason for putting views in their places
            return found
        if parser.paired_locations(parser.parse(found[1]), parser.parse(written)) is None:
            raise TextsDifferError(found[1])
    return found


class ShapesDifferError(TextsDifferError):
    """The text is one that got another plan from a shape than by itself."""


class ShapedVeil:
    """Knows the shape of each text from others before it decides, where there is one. Raises TextsDifferError and
    ShapesDifferError."""

    def __init__(self, veil: Veil) -> None:
        self.shaped = 0
        """How many decisions were made from a shape."""
        self._warm = Veil(veil.policy, veil.catalog, on_floor=veil.on_floor)
        self._cold = Veil(veil.policy, veil.catalog, on_floor=veil.on_floor, cache_size=0)

    def decide(
        self,
        sql: str,
        identity: Identity,
        search_path: tuple[str, ...],
        temps: frozenset[str] = frozenset(),
        types: tuple[int, ...] = (),
    ) -> Plan | Refusal:
        """The decision from the shape, if there is one; its own otherwise."""
        planning.text_of = compared_text
        try:
            return self._decide(sql, Asked(identity, search_path, temps, types))
        finally:
            planning.text_of = text_of

    def _decide(self, sql: str, asked: Asked) -> Plan | Refusal:
        def afresh(text: str) -> Plan | Refusal:
            return self._cold.decide(text, *asked)

        wanted = afresh(sql)
        lines = outline(sql.encode())
        shape = proven(sql, wanted, afresh) if lines is not None and isinstance(wanted, Plan) else None
        if lines is None or shape is None:
            return wanted
        warm = self._warm
        warm._shapes = Shapes(CACHE_SIZE)
        random = Random(sql)
        for _ in range(OTHERS):
            warm.decide(varied(sql, random, kept=shape[0].numbers), *asked)
        seen = warm.sight(warm.desk(*asked), sql.encode())
        if seen is None:
            return wanted
        self.shaped += 1
        found = seen.shape.plan(sql, lines[1])
        try:
            assert_same(found, wanted)
        except AssertionError:
            raise ShapesDifferError(sql) from None
        if (seen.text() or sql.encode()) != found.sql.encode():
            raise ShapesDifferError(sql)
        return found
