"""A veil that makes the text of every plan in both ways, and holds one against the other: what was put into the
client's own text has to read as the tree that would have been written out."""

from __future__ import annotations

from proxy.policy import parser
from proxy.policy.context import Context
from proxy.policy.cuts import Cut
from proxy.policy.decide import Veil, verified_text
from proxy.policy.refused import Refused


class TextsDifferError(Exception):
    """The text is that of the one that was put together."""


class ComparingVeil(Veil):
    """Raises TextsDifferError where the two texts are not one statement."""

    @staticmethod
    def _text(
        sql: str, tree: parser.ParseTree, context: Context, *, deeply: bool
    ) -> tuple[bytes, str, tuple[Cut, ...]]:
        found = Veil._text(sql, tree, context, deeply=deeply)
        if not found[0] and found[2]:
            try:
                written, _ = verified_text(tree.SerializeToString(), context)
            except Refused:  # what cannot be written out is one more reason for putting views in their places
                return found
            if parser.paired_locations(parser.parse(found[1]), parser.parse(written)) is None:
                raise TextsDifferError(found[1])
        return found
