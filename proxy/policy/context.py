"""What a text is resolved by, and what its statements share: the search path, temporary tables, grants, limits.

It does not know trees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from proxy.policy.rules import Limits, StatementKind
from proxy.policy.splice import Splices

Node = Any
Scope = frozenset[str]


@dataclass(frozen=True, slots=True)
class Context:
    """What a text is resolved by, and what its statements share."""

    search_path: tuple[str, ...] = ()
    temps: frozenset[str] = frozenset()
    """The session's temporary tables: they come before everything, as PostgreSQL has it."""
    types: tuple[int, ...] = ()
    """The parameters' declared types, as OIDs; 0 or absent: undeclared."""
    granted: frozenset[StatementKind] = frozenset()
    limits: Limits | None = None
    modify: Callable[[Node, Any, Scope], None] | None = None
    """What judges a WITH query that writes; None where none may."""
    splices: Splices = field(default_factory=Splices)
    through_view: bool = False
    """It is a view's definition: the relations in it need no `allow` of their own, as with PostgreSQL's grants on
    views; their masks hold all the same."""
