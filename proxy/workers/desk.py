"""The process that serves the operator's HTTP port for all workers: it asks the supervisor, which asks them.

It serves no clients, so that a scrape costs none of them anything, and it is the only one that loads FastAPI.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Mapping

from proxy.errors import InternalError
from proxy.ops.health import CHECK_SECONDS, Health, merge_checks, serving
from proxy.ops.totals import Snapshot, merge, render
from proxy.workers.channel import Answer, Link, Look, Message, Reload, Report, Stop, Subject

_PATIENCE = CHECK_SECONDS + 2
"""A little more than the supervisor has with workers."""


async def attend(sock: socket.socket, listener: socket.socket) -> None:
    """Serves until the supervisor says stop, or has ended."""
    everybody = Everybody()
    link = await Link.open(sock, everybody.heard, everybody.stopped.set)
    everybody.link = link
    async with serving(everybody, listener):
        await everybody.stopped.wait()
    await link.close()


class Everybody:
    """A `Front` that speaks for all workers."""

    def __init__(self) -> None:
        self.link: Link | None = None
        self.stopped = asyncio.Event()
        self._tickets = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Report]] = {}

    def heard(self, message: Message) -> None:
        match message:
            case Stop():
                self.stopped.set()
            case Reload():
                pass  # nothing here comes from a file
            case Report():
                waiting = self._asked.pop(message.ticket, None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)
            case _:
                raise InternalError("the desk was sent a message that is not for it")

    async def alive(self) -> bool:
        report = await self._ask("pulse")
        return report is not None and None not in report.answers.values()

    async def ready(self) -> Mapping[str, Health]:
        report = await self._ask("checks")
        if report is None:
            return {"workers": Health(ok=False, detail="the supervisor does not answer")}
        found = {number: answer for number, answer in report.answers.items() if isinstance(answer, Mapping)}
        checks = merge_checks(found) or {"accepting": Health(ok=False, detail="no worker")}
        return {**checks, "workers": _workers(report.answers, report.workers)}

    async def numbers(self) -> bytes:
        report = await self._ask("metrics")
        if report is None:
            return b""
        return render(merge([*map(_numbers, report.answers.values()), report.past]))

    async def _ask(self, subject: Subject) -> Report | None:
        if self.link is None:
            return None
        ticket = next(self._tickets)
        waiting: asyncio.Future[Report] = asyncio.get_running_loop().create_future()
        self._asked[ticket] = waiting
        self.link.send(Look(ticket, subject))
        try:
            async with asyncio.timeout(_PATIENCE):
                return await waiting
        except TimeoutError:
            return None
        finally:
            self._asked.pop(ticket, None)


def _numbers(answer: Answer) -> Snapshot:
    return answer if isinstance(answer, tuple) else ()


def _workers(answers: Mapping[int, Answer], workers: int) -> Health:
    """Well while somebody serves; not where one of those who should does not answer."""
    silent = [number for number, answer in sorted(answers.items()) if answer is None]
    if silent:
        return Health(ok=False, detail=f"no answer from worker {', '.join(map(str, silent))}")
    return Health(ok=bool(answers), detail=f"{len(answers)} of {workers}")
