"""Nodes of the tree in words and places, for refusals: what a statement is called, and where a node stands.

It does not know what any of them means.
"""

from __future__ import annotations

from typing import Any

Node = Any


def location_of(message: Node) -> int:
    """A node's own location, or its first child's; -1 where neither has one."""
    if message.DESCRIPTOR.name == "Node":
        kind = message.WhichOneof("node")
        return location_of(getattr(message, kind)) if kind else -1
    return int(message.location) if "location" in message.DESCRIPTOR.fields_by_name else -1


def readable(kind: str) -> str:
    """`CreateTableAsStmt` as a person would say it: CREATE TABLE AS."""
    name = kind.removesuffix("Stmt").removesuffix("Expr")
    words = "".join(f" {c}" if c.isupper() else c for c in name).split()
    return " ".join(words).upper() if kind.endswith("Stmt") else name
