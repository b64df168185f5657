"""Where a number of things could be how many different ones, or how many pieces of them: it is refused.

`which customer bought the most books` counts titles, or copies, where what links customers to books has a quantity.
Neither is taken unless the question says so (`different books`, `total quantity`). Orders of a product have no
pieces, nor have people: the quantity in `order_items` is not how often an order is in it.
"""

from __future__ import annotations

from proxy.nl.embedded.joins import Path
from proxy.nl.embedded.linking import Linker
from proxy.nl.embedded.problems import ambiguous
from proxy.nl.schema import Family

_PIECES = frozenset({"quantity", "pieces", "copies", "units", "qty", "nos"})
_PERSONAL = frozenset({"email", "birth", "gender", "phone"})
_COUNTED_ONCE = frozenset(
    """customer client user member patient person buyer employee student doctor staff supplier vendor seller store shop
    branch warehouse city country order invoice visit""".split()  # noqa: SIM905
)


def check_pieces(linker: Linker, path: Path, text: str) -> None:
    """Refuse to count the rows at the path's start by what it leads to, where their link says how many of each.

    Raises:
        AmbiguousError: with both ways to ask.
    """
    if len(path) < 2 or path[0].forward or not path[1].forward:  # noqa: PLR2004
        return
    counted, link = linker.lexicon.names[path[0].source], linker.lexicon.names[path[0].target]
    personal = any(_PERSONAL & set(words) for words in counted.columns.values())
    if set(counted.words) & (set(link.words) | _COUNTED_ONCE) or personal:
        return
    for column in link.table.columns:
        words = {w for word in link.columns[column.name] for w in linker.lexicon.expand(word)}
        if column.family is Family.NUMBER and words & _PIECES:
            raise ambiguous(
                text,
                [f"the number of different {counted.table.name}", f"the total {link.table.name}.{column.name}"],
                f'Say "different {text}" or "total {column.name}".',
            )
