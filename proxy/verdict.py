"""Where a session asks the veil: with everything that a text's meaning may depend on, and large texts in a thread.

It does not know what a verdict leads to: `session` does, and `age` for plans that were made earlier.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, NamedTuple

from proxy.conversation import Scope
from proxy.policy.plan import Plan, Refusal
from proxy.ports import VeilPort, Veils

LARGE_TEXT: Final = 4096
"""Characters of a statement that is decided on in a thread: it takes longer than the event loop may be held."""


class Decided(NamedTuple):
    """A verdict, the number of the veil whose it is, and what `shown` says under that veil."""

    verdict: Plan | Refusal
    generation: int
    shows: str


_APART: Final = ThreadPoolExecutor(1, "pgveil-decide")
"""For large texts alone: the default executor is for logins too."""


def decide(veil: VeilPort, sql: str, scope: Scope, types: tuple[int, ...] | None) -> Plan | Refusal:
    """`types`: those that a Parse declares for its parameters; None where the text was not sent by one."""
    return _judge(veil, veil.decide, sql, scope, types)


def shown(veils: Veils, sql: str, scope: Scope, types: tuple[int, ...] | None) -> str:
    """What differs where a cursor or a portal of the text would show something else than before.

    On the floor that is not in the text to run: the views there know by themselves when an exception ends, and they
    are made anew for another policy. So it is the text with the masked views written out. Elsewhere it is empty.
    """
    return _shown(veils, lambda veil: decide(veil, sql, scope, types))


def decide_here(veils: Veils, sql: str, scope: Scope, types: tuple[int, ...] | None) -> Decided:
    """`decide` and `shown` by the veil in force."""
    generation = veils.generation  # before the veil: time may end the one, and not yet the other
    verdict = decide(veils.veil, sql, scope, types)
    return Decided(verdict, generation, shown_for(veils, verdict, sql, scope, types))


def shown_for(veils: Veils, verdict: Plan | Refusal, sql: str, scope: Scope, types: tuple[int, ...] | None) -> str:
    """`shown`, where anybody may ask for it."""
    return shown(veils, sql, scope, types) if isinstance(verdict, Plan) and _is_read_on(verdict, types) else ""


async def decide_apart(veils: Veils, sql: str, scope: Scope, types: tuple[int, ...] | None) -> Decided:
    """`decide` and `shown` in a thread, by one veil: the one that is in force when it is done."""
    loop = asyncio.get_running_loop()
    while True:
        generation, veil = veils.generation, veils.veil
        verdict = await loop.run_in_executor(_APART, partial(_judge, veil, veil.decide_apart, sql, scope, types))
        shows = await loop.run_in_executor(
            _APART, partial(_shown, veils, lambda inline: _judge(inline, inline.decide_apart, sql, scope, types))
        )
        if generation == veils.generation:
            return Decided(verdict, generation, shows)


def _shown(veils: Veils, judge: Callable[[VeilPort], Plan | Refusal]) -> str:
    generation, inline = veils.generation, veils.inline
    if inline is veils.veil:
        return ""
    verdict = judge(inline)
    # What cannot be said is something else under every veil.
    return f"not known under {generation}" if isinstance(verdict, Refusal) else verdict.sql


def _is_read_on(plan: Plan, types: tuple[int, ...] | None) -> bool:
    """Whether there will be a cursor or a portal of it."""
    effects = (planned.effect for planned in plan.statements)
    return types is not None or any(effect is not None and effect.kind == "declare" for effect in effects)


def _judge(
    veil: VeilPort, judge: Callable[..., Plan | Refusal], sql: str, scope: Scope, types: tuple[int, ...] | None
) -> Plan | Refusal:
    """A Parse declares types for its parameters too, and reading a value of a type may run code of its own."""
    refusal = veil.decide_parameters(types) if types else None
    return refusal or judge(sql, scope.identity, scope.path, scope.temps, types or ())
