"""Whether SQL that a provider wrote may run: three looks at it, in order, and what it is when it may.

1. One statement in PostgreSQL's grammar, names that exist, joins with a condition, a LIMIT (`proxy.nl.lint`, sqlglot).
2. The veil, with the same code as for everybody's SQL, on the SQL with placeholders: what it says can be repeated to
   a model.
3. The placeholders become values (`proxy.nl.restore`), and the planner's cost must be under the ceiling.

What is wrong is a SqlProblem, written here: neither the text of a database's error nor a value is ever in it.
It does not know providers, repairs or clients.
"""

from __future__ import annotations

import asyncio
import functools
import math
import sys
from dataclasses import dataclass, field
from typing import Any

from proxy.errors import GeneratedSqlError, PgveilError, PlaceholderError, TooCostlyError, UpstreamError
from proxy.nl.ports import AskContext, ExplainCost, Masked
from proxy.nl.problem import HINT, SqlProblem, from_sqlstate
from proxy.nl.restore import Restorer
from proxy.nl.retrieve import schema_names
from proxy.nl.schema import SchemaView
from proxy.policy.parser import ParseTree, SyntaxProblem, deparse, nodes, nodes_of, paired_locations, parse
from proxy.policy.plan import Plan

MAX_SQL = 20_000
"""Characters of generated SQL."""

SHORT_SQL = 1000

_WRITES = (nodes.InsertStmt, nodes.UpdateStmt, nodes.DeleteStmt, nodes.MergeStmt, nodes.IntoClause, nodes.LockingClause)
_ONE_ROW = frozenset({"count", "sum", "avg", "min", "max"})


@dataclass(frozen=True, slots=True)
class Accepted:
    """SQL that may run: `sql` with values, `shown_sql` with placeholders, and the planner's cost."""

    sql: str = field(repr=False)
    shown_sql: str = field(repr=False)
    cost: float


@dataclass(frozen=True, slots=True)
class Checker:
    """The three looks. `max_cost` is in the planner's units, `max_rows` the LIMIT."""

    explain_cost: ExplainCost
    max_cost: float
    max_rows: int

    async def check(self, sql: str, masked: Masked, view: SchemaView, context: AskContext) -> Accepted:
        """The SQL as it may run.

        Raises:
            SqlProblem: it may not; the report is fit for a model.
            PgveilError: the database could not be asked.
        """
        restorer = restorer_for(masked, view)
        try:
            restorer.refuse_in_comments(sql)
        except PlaceholderError as error:
            raise _placeholder_problem(error) from None
        rows = min(self.max_rows, context.max_rows or self.max_rows)
        look = functools.partial(first_look, sql, view, context.search_path, rows)
        # sqlglot is Python: a millisecond for most SQL, and long SQL would hold up other sessions.
        shown = look() if len(sql) <= SHORT_SQL and "sqlglot" in sys.modules else await asyncio.to_thread(look)
        _planned(shown, context)
        final = with_values(shown, restorer)
        plan = _planned(final, context)
        return Accepted(final, shown, await self._cost(plan.sql))

    async def _cost(self, sql: str) -> float:
        try:
            cost = await self.explain_cost(sql)
        except PgveilError:
            raise
        except Exception as error:
            problem = from_sqlstate(str(getattr(error, "sqlstate", "") or ""))
            if problem is not None:
                raise problem from None
            # Not the statement's fault. The driver's error may quote it, so its text ends here.
            raise UpstreamError("the database could not plan the SQL for the question", hint="Try again.") from None
        if not math.isfinite(cost) or cost > self.max_cost:
            raise SqlProblem(
                "the planner expects it to be too costly; narrow it with conditions, or read fewer tables",
                TooCostlyError(
                    "the SQL that was written for the question is too costly",
                    detail=f"The planner's cost is {cost:.0f}; the ceiling is {self.max_cost:.0f}.",
                    hint="Ask for less: a shorter period, fewer rows, or a total.",
                ),
            )
        return cost


def first_look(sql: str, view: SchemaView, search_path: tuple[str, ...], max_rows: int) -> str:
    """One checked SELECT with a LIMIT, in the grammar's own spelling, without comments or semicolon.

    Raises:
        SqlProblem: what is wrong with it.
    """
    from proxy.nl import lint

    tree, sql = _parsed(sql, lint.from_other_dialects)
    if len(tree.stmts) != 1:
        raise SqlProblem(f"write exactly one statement, a SELECT; there are {len(tree.stmts)}")
    statement: Any = tree.stmts[0].stmt
    if statement.WhichOneof("node") != "select_stmt":
        raise SqlProblem("write a SELECT; any other statement is refused")
    for node in nodes_of(statement):
        if isinstance(node, _WRITES):
            raise SqlProblem("write a SELECT that reads and nothing else")
        if isinstance(node, nodes.ParamRef):
            raise SqlProblem("write values instead of parameters such as $1")
    lint.lint(sql, view, search_path)
    limit(statement.select_stmt, max_rows)
    return _text(tree)


def _parsed(sql: str, other_dialects: Any) -> tuple[ParseTree, str]:
    """The tree of the SQL, or of what it means in another dialect where PostgreSQL's grammar refuses it."""
    if len(sql) > MAX_SQL:
        raise SqlProblem("it is too long; write a simpler SELECT")
    try:
        return parse(sql), sql
    except SyntaxProblem as problem:
        place = f" at character {problem.position}" if problem.position else ""
    for translated in other_dialects(sql):
        try:
            return parse(translated), translated
        except SyntaxProblem:
            continue
    raise SqlProblem(f"PostgreSQL's grammar refuses it{place}; write one PostgreSQL SELECT and nothing else")


def limit(select: Any, max_rows: int) -> None:
    """Give the outermost SELECT a LIMIT of `max_rows`, or lower the one that it has.

    Raises:
        SqlProblem: its LIMIT is no number that can be compared.
    """
    if nodes.LimitOption.Name(select.limit_option) == "LIMIT_OPTION_WITH_TIES":
        raise SqlProblem("write LIMIT with a number, not FETCH FIRST ... WITH TIES")
    constant = select.limit_count.a_const if select.HasField("limit_count") else None
    if constant is None and _gives_one_row(select):
        return
    if constant is not None and not constant.isnull:
        if not constant.HasField("ival") or constant.ival.ival < 0:
            raise SqlProblem("write LIMIT as a plain number")
        if constant.ival.ival <= max_rows:
            return
    select.limit_option = nodes.LimitOption.Value("LIMIT_OPTION_COUNT")
    select.limit_count.CopyFrom(nodes.Node(a_const=nodes.A_Const(ival=nodes.Integer(ival=max_rows))))


def _gives_one_row(select: Any) -> bool:
    """An aggregate over everything: SELECT count(*) FROM t."""
    if select.group_clause or not select.target_list:
        return False
    calls = [target.res_target.val.func_call for target in select.target_list]
    return all(len(c.funcname) == 1 and c.funcname[0].string.sval in _ONE_ROW and not c.HasField("over") for c in calls)


def with_values(shown: str, restorer: Restorer) -> str:
    """The SQL with the question's values in the places of their placeholders.

    Raises:
        SqlProblem: a placeholder stands where no value can stand.
    """
    tree = parse(shown)
    try:
        restorer.restore(tree)
    except PlaceholderError as error:
        raise _placeholder_problem(error) from None
    return _text(tree)


def restorer_for(masked: Masked, view: SchemaView) -> Restorer:
    """What restores the question's placeholders; the schema's own names are never taken for one."""
    tokens = frozenset(token for _, _, token in masked.vault.find(masked.text))
    return Restorer(masked.vault, tokens, frozenset(name.lower() for name in schema_names(view)))


def _placeholder_problem(error: PlaceholderError) -> SqlProblem:
    return SqlProblem(f"{error.message}. {error.detail or ''}".strip(), error)


def _text(tree: ParseTree) -> str:
    """The tree's text, which must read as that very tree."""
    try:
        text = deparse(tree)
        if paired_locations(tree, parse(text)) is None:
            raise SqlProblem("it cannot be written faithfully; write a simpler SELECT")
    except SyntaxProblem:
        raise SqlProblem("it cannot be written; write a simpler SELECT") from None
    return text


def _planned(sql: str, context: AskContext) -> Plan:
    """The veil's plan for the SQL. Raises SqlProblem with the veil's reason."""
    decision = context.veil.decide_generated(sql, context.identity, context.search_path)
    if isinstance(decision, Plan):
        return decision
    raise SqlProblem(
        f"it may not run: {decision.message}",
        GeneratedSqlError(
            "the SQL that was written for the question is refused",
            detail=decision.message,
            hint=decision.hint or HINT,
        ),
    )
