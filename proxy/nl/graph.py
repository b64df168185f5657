"""The agent: a question becomes SQL that may run, in the six steps of a LangGraph graph.

    mask -> retrieve -> generate -> check -> run
                                    check -> repair -> check       (at most `max_repairs` times)

`mask` comes first and everything after it sees the masked question. `repair` happens on an error only; an answer that
passed the checks is never replaced. `run` hands the SQL over: the session sends it down the line that every client's
SQL takes, so that nothing here can run a statement.

Nothing of a question is kept: there is no checkpointer, and LangSmith's tracing is switched off whatever the
environment says. LangGraph is imported at the first question, in a thread.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypedDict

from proxy.errors import InternalError, PgveilError
from proxy.nl.carriers import Question
from proxy.nl.check import Accepted, Checker
from proxy.nl.ports import (
    Answer,
    AskContext,
    ExplainCost,
    GenerateRequest,
    Hint,
    Masked,
    Masker,
    Observe,
    Preview,
    Provider,
    Said,
    TextScrubber,
)
from proxy.nl.problem import SqlProblem
from proxy.nl.prompts import build_messages, digest, read_answer
from proxy.nl.retrieve import MAX_COLUMNS, Known, Library, hints, select_tables
from proxy.nl.schema import SchemaView

Run = Callable[[Answer, AskContext], Awaitable[None]]
"""Takes the accepted SQL over."""

_TRACING = ("LANGSMITH", "LANGCHAIN")


class Limits(Protocol):
    """The part of the `ask` settings that the agent keeps to."""

    @property
    def max_repairs(self) -> int: ...

    @property
    def max_rows(self) -> int: ...

    @property
    def max_cost(self) -> float: ...


@dataclass(frozen=True)
class AskServices:
    """What the agent works with; the app wires it."""

    provider: Provider
    masker: Masker
    explain_cost: ExplainCost
    scrubber: TextScrubber | None = None
    observe: Observe | None = None
    run: Run | None = None


@dataclass
class Progress:
    """How far a question came, for whoever waits for it: it outlives a failure in the graph."""

    repairs: int = 0


class State(TypedDict, total=False):
    """What travels from node to node. `problem` is what the last check found."""

    question: str
    progress: Progress
    context: AskContext
    known: Known
    masked: Masked
    request: GenerateRequest
    first: GenerateRequest
    content: str
    problem: SqlProblem | None
    accepted: Accepted
    answer: Answer


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A client's text with its questions replaced, and the answers in order."""

    sql: str = field(repr=False)
    answers: tuple[Answer, ...]


class Asker:
    """Questions in, SQL out. One for the process; safe to use from many sessions at once."""

    def __init__(self, services: AskServices, limits: Limits) -> None:
        self._services = services
        self._nodes = _Nodes(services, limits, Library(services.scrubber))
        self._graph: Any = None
        self._loading = asyncio.Lock()

    async def rewrite(self, question: Question, context: AskContext) -> Rewritten:
        """Resolve every question of a client's text, in order. Raises as `resolve` does."""
        answers = [await self.resolve(text, context) for text in question.texts]
        return Rewritten(question.replace(*(a.sql for a in answers)), tuple(answers))

    async def resolve(self, question: str, context: AskContext) -> Answer:
        """The SQL for one question.

        Raises:
            AskError: it is not understood, cannot be answered, or no SQL for it may run.
            PgveilError: a neighbour failed (the database, the privacy layer).
        """
        started, progress = time.monotonic(), Progress()
        try:
            await self.warm()
            state = await self._invoke(State(question=question, context=context, progress=progress))
        except PgveilError as error:
            self._observe(error.sqlstate, started, progress)
            raise
        self._observe("answered", started, progress)
        answer: Answer = state["answer"]
        return answer

    async def preview(self, question: str, context: AskContext) -> Preview:
        """What a model outside this machine would be sent for the question; nothing is sent."""
        state = State(question=question, context=context)
        state.update(await self._nodes.masked(state, local=False))
        state.update(await self._nodes.retrieve(state))
        request = state["request"]
        return Preview(request.question, build_messages(request), request.hints, self._services.provider.name)

    async def warm(self) -> None:
        """Import LangGraph and build the graph, once. The first question does it, if nobody did before."""
        if self._graph is None:
            async with self._loading:
                if self._graph is None:
                    self._graph = await asyncio.to_thread(build_graph, self._nodes)

    async def _invoke(self, state: State) -> Any:
        from langsmith.run_helpers import tracing_context

        with tracing_context(enabled=False):
            return await self._graph.ainvoke(state, {"recursion_limit": 50, "callbacks": []})

    def _observe(self, outcome: str, started: float, progress: Progress) -> None:
        if self._services.observe is not None:
            self._services.observe(outcome, time.monotonic() - started, progress.repairs)


def build_graph(nodes: _Nodes) -> Any:
    """The compiled graph. Takes seconds the first time, because it imports LangGraph."""
    _forbid_tracing()
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(State)
    for name in ("mask", "retrieve", "generate", "check", "repair", "run"):
        graph.add_node(name, getattr(nodes, name))
    graph.add_edge(START, "mask")
    graph.add_edge("mask", "retrieve")
    graph.add_edge("retrieve", "generate")
    graph.add_edge("generate", "check")
    graph.add_conditional_edges("check", nodes.after_check, ["repair", "run"])
    graph.add_edge("repair", "check")
    graph.add_edge("run", END)
    return graph.compile()


def _forbid_tracing() -> None:
    """Take the settings of LangChain's and LangSmith's tracing out of this process's environment.

    A question's state must not leave the machine because the shell that started the proxy traces something else.
    """
    for name in [n for n in os.environ if n.startswith(_TRACING)]:
        del os.environ[name]
    from langsmith import utils

    forget: Any = utils.get_env_var
    forget.cache_clear()


def spoken(masked: Masked) -> dict[str, Said]:
    """What the question's placeholders stand for: for a provider on this machine only."""
    found = {token: masked.vault.lookup(token) for _, _, token in masked.vault.find(masked.text)}
    return {
        token: Said(secret.value, secret.value if secret.stored is None else secret.stored)
        for token, secret in found.items()
        if secret is not None
    }


class _Nodes:
    """The six steps. Each takes the state and returns what it adds."""

    def __init__(self, services: AskServices, limits: Limits, library: Library) -> None:
        self._services = services
        self._limits = limits
        self._library = library
        self._checker = Checker(services.explain_cost, limits.max_cost, limits.max_rows)

    async def mask(self, state: State) -> State:
        return await self.masked(state, local=self._services.provider.local)

    async def masked(self, state: State, *, local: bool) -> State:
        """The question without private values. `local`: without looking for those that the role cannot read."""
        known = await self._library.known(state["context"])
        private = known.private
        if local:
            private = tuple(column for column in private if column.readable)
        masked = await self._services.masker.mask(state["question"], known.names, private)
        return {"known": known, "masked": masked}

    async def retrieve(self, state: State) -> State:
        context, known, masked = state["context"], state["known"], state["masked"]
        found = hints(masked, known.view)
        request = GenerateRequest(
            question=masked.text,
            schema=await self._select(known, masked.text, found),
            hints=found,
            today=context.today,
            search_path=context.search_path,
            open_columns=known.open_columns,
            own_columns=known.own_columns if self._services.provider.local else frozenset(),
            said=spoken(masked) if self._services.provider.local else {},
        )
        return {"request": request, "first": request}

    async def _select(self, known: Known, question: str, found: tuple[Hint, ...]) -> SchemaView:
        """The tables to send; ranking a large schema takes too long for the event loop."""
        if known.columns <= MAX_COLUMNS:
            return known.view
        return await asyncio.to_thread(select_tables, known.view, question, found)

    async def generate(self, state: State) -> State:
        return {"content": await self._services.provider.generate(state["request"])}

    async def check(self, state: State) -> State:
        sql = ""
        try:
            sql = read_answer(state["content"])
            accepted = await self._checker.check(sql, state["masked"], state["known"].view, state["context"])
        except SqlProblem as problem:
            request = replace(state["first"], error=problem.report, previous_sql=sql or state["content"][:2000])
            return {"problem": problem, "request": request}
        return {"problem": None, "accepted": accepted}

    def after_check(self, state: State) -> str:
        """The node after `check`: `run`, or `repair` while that can help."""
        problem = state["problem"]
        if problem is None:
            return "run"
        if state["progress"].repairs < self._limits.max_repairs and self._services.provider.repairs:
            return "repair"
        raise problem.error

    async def repair(self, state: State) -> State:
        state["progress"].repairs += 1
        return {"content": await self._services.provider.generate(state["request"])}

    async def run(self, state: State) -> State:
        accepted = state.get("accepted")
        if accepted is None:
            raise InternalError("the agent has no checked SQL to run")
        answer = Answer(
            sql=accepted.sql,
            shown_sql=accepted.shown_sql,
            masked_question=state["masked"].text,
            prompt_digest=digest(build_messages(state["first"])),
            provider=self._services.provider.name,
            repairs=state["progress"].repairs,
            cost=accepted.cost,
        )
        if self._services.run is not None:
            await self._services.run(answer, state["context"])
        return {"answer": answer}
