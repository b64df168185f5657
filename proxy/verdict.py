"""Where a session asks the veil: with everything that a text's meaning may depend on, and large texts in a thread.

It does not know what a verdict leads to: `session` does, and `age` for plans that were made earlier.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from proxy.conversation import Scope
from proxy.policy.plan import Plan, Refusal
from proxy.ports import VeilPort, Veils

LARGE_TEXT = 4096
"""Characters of a statement that is decided on in a thread: it takes longer than the event loop may be held."""

_APART = ThreadPoolExecutor(1, "pgveil-decide")
"""For large texts alone: the default executor is for logins too."""


def decide(veil: VeilPort, sql: str, scope: Scope, types: tuple[int, ...] | None) -> Plan | Refusal:
    """`types`: those that a Parse declares for its parameters; None where the text was not sent by one."""
    return _judge(veil, veil.decide, sql, scope, types)


async def decide_apart(
    veils: Veils, sql: str, scope: Scope, types: tuple[int, ...] | None
) -> tuple[Plan | Refusal, int]:
    """The same in a thread, with the number of the veil that it was: one that is in force when it is done."""
    loop = asyncio.get_running_loop()
    while True:
        generation, veil = veils.generation, veils.veil
        verdict = await loop.run_in_executor(_APART, partial(_judge, veil, veil.decide_apart, sql, scope, types))
        if generation == veils.generation:
            return verdict, generation


def _judge(
    veil: VeilPort, judge: Callable[..., Plan | Refusal], sql: str, scope: Scope, types: tuple[int, ...] | None
) -> Plan | Refusal:
    """A Parse declares types for its parameters too, and reading a value of a type may run code of its own."""
    refusal = veil.decide_parameters(types) if types else None
    return refusal or judge(sql, scope.identity, scope.path, scope.temps, types or ())
