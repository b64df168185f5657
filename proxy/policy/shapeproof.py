"""Whether a plan depends on the integers of its text: the proof that `shapes` wants before it keeps one.

A decision is made on the tree, on where things stand in the text, and on nothing else of it. So for an integer to have
no say, three things have to hold, and each is looked at here, for the one text at hand:

1. **It is one constant of the tree and nothing else.** PostgreSQL's scanner takes the hole for an integer, one A_Const
   has its place and its value (or that value negated: the grammar takes `- 5` for one constant), and the same text with
   other integers parses to the same tree but for these constants. What the grammar computes from an integer itself, as
   float(24) from float(25), or holds elsewhere is no such constant.
2. **It stands in an open place**: `OPEN` lists them. Nothing in the veil looks at the value of a constant there: an
   operand, an argument, an element, an item of a select list or of VALUES, a LIMIT. What looks at values: positions in
   ORDER BY, GROUP BY and DISTINCT ON (`grouping`, `predicates`), settings (`settings_list`; neither SET nor
   set_config is open here), options and COPY (other statements), a role's limit of rows (`cutting`: such a plan is
   written out from its tree, and has no shape), and days that are added to the clock (`constants`, asked where a row
   filter or a predicate rule is weighed: there no operand of + or - is open). Lengths of types, window frames,
   subscripts and samples are looked at by nobody, and not open either. Where a condition may be copied, no integer with
   a sign is open: `-0` is written again as 0. An integer that is not open is *pinned*: it belongs to the shape with its
   value.
3. **The text shows nothing of it but itself.** The text is decided on a second time, with integers that stand nowhere
   in it. What comes out has to be the text's own plan once its own integers are put back: in the client's text, and in
   the conditions that are copied below a fence. A comment before a relation's name is looked for at some distance
   (`splice`), so a text with a comment gets no shape where anything is put into it.

Only plans of one SELECT, without an effect on the session, have shapes: a write is written out from its tree.
Refusals have none: they carry positions, and cost no server anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Any, Final

from proxy.policy import parser
from proxy.policy.plan import Plan, Refusal
from proxy.policy.rules import StatementKind
from proxy.policy.shapes import MAX_DIGITS, MovedCut, Pins, Proven, Shape, holes

Node = Any
Span = tuple[int, int]

OPEN: Final = frozenset(
    """
    A_ArrayExpr.elements A_Expr.lexpr A_Expr.rexpr BoolExpr.args BooleanTest.arg CaseExpr.arg CaseExpr.args
    CaseExpr.defresult CaseWhen.expr CaseWhen.result CoalesceExpr.args CommonTableExpr.ctequery FuncCall.agg_filter
    FuncCall.args JoinExpr.larg JoinExpr.quals JoinExpr.rarg List.items MinMaxExpr.args NullTest.arg
    RangeFunction.functions RangeSubselect.subquery ResTarget.val RowExpr.args SelectStmt.from_clause
    SelectStmt.having_clause SelectStmt.larg SelectStmt.limit_count SelectStmt.limit_offset SelectStmt.rarg
    SelectStmt.target_list SelectStmt.values_lists SelectStmt.where_clause SelectStmt.with_clause SubLink.subselect
    SubLink.testexpr TypeCast.arg WithClause.ctes
    """.split()  # noqa: SIM905 - a table to be read
)
"""Field by field, the way from a SELECT down to constants whose values nobody looks at."""

_SETTING_CALLS: Final = frozenset({"set_config", "current_setting"})
_STEPS: Final = frozenset({"+", "-"})
_COMMENTS: Final = ("--", "/*", "*/")

_SIGN: Final = re.compile(rb"-[ \t\r\n\f\v]*")

_FIRST_PROBE: Final = 900_000_000
_LAST_PROBE: Final = 1_000_000_000
_PROBE_STEP: Final = 300_007
PROBE_DIGITS: Final = MAX_DIGITS

Decide = Callable[[str], Plan | Refusal]
"""Of a text, made anew."""


def proven(sql: str, plan: Plan, decide: Decide) -> Proven:
    """The shape of a text with this plan, and the integers that it does not hold for; None where there is none."""
    if not _is_plain(sql, plan):
        return None
    spans = holes(sql)
    try:
        tree, opened = _read(sql, spans, weighed=plan.weighed)
        probes = _probes(f"{sql}\0{plan.sql}", sorted(opened))
        probe = _filled(sql, spans, probes)
        probe_tree, probe_opened = _read(probe, holes(probe), weighed=plan.weighed)
    except (parser.SyntaxProblem, _NoneLeft):
        return None
    if not opened or opened.keys() != probe_opened.keys():
        return None
    for number in opened:
        opened[number].ival.ival = probe_opened[number].ival.ival = 0
    other = decide(probe) if parser.same_but_locations(tree, probe_tree) else None
    if not isinstance(other, Plan):
        return None
    shape = _shape(other, probes) if plan.rewritten else Shape(plan.with_text("", ()))
    integers = [sql[start:end].encode() for start, end in spans]
    probing = [probes[number].encode() if number in probes else text for number, text in enumerate(integers)]
    if not (_equal(shape.plan(sql, integers), plan) and _equal(shape.plan(probe, probing), other)):
        return None
    return Pins(tuple(number for number in range(len(spans)) if number not in opened)), shape


def _is_plain(sql: str, plan: Plan) -> bool:
    """Whether it is a kind of plan and of text that may have a shape at all."""
    if plan.tree or plan.original or plan.raw_predicates or len(plan.statements) != 1:
        return False
    statement = plan.statements[0]
    if statement.kind is not StatementKind.SELECT or statement.effect is not None or statement.max_rows is not None:
        return False
    if not plan.rewritten and plan.sql != sql:
        return False
    return "\\" not in sql and not (plan.rewritten and any(mark in sql for mark in _COMMENTS))


def _equal(first: Plan, second: Plan) -> bool:
    """In every field: `weighed` and versions, too."""
    return all(getattr(first, field.name) == getattr(second, field.name) for field in fields(Plan))


# The constants


def _read(sql: str, spans: Sequence[Span], *, weighed: bool) -> tuple[Node, dict[int, Node]]:
    """The text's tree, and by number of the hole the constants in it that are in open places: none where a hole is not
    one token. Raises SyntaxProblem."""
    tree = parser.parse(sql)
    raw = sql.encode()
    in_bytes = spans if len(raw) == len(sql) else [_in_bytes(sql, span) for span in spans]
    is_select = len(tree.stmts) == 1 and tree.stmts[0].stmt.WhichOneof("node") == "select_stmt"
    if not is_select or not parser.integer_tokens(sql).issuperset(in_bytes):
        return tree, {}
    numbers = {start: number for number, (start, _) in enumerate(in_bytes)}
    found: dict[int, list[Node]] = {}
    for constant in _below(tree.stmts[0].stmt, weighed=weighed):
        at, sign = constant.location, 1
        if raw[at : at + 1] == b"-":
            at, sign = at + len(_SIGN.match(raw, at)[0]), -1  # type: ignore[index]
        number = numbers.get(at)
        if weighed and sign < 0:
            continue
        if number is not None and constant.ival.ival == sign * int(sql[slice(*spans[number])]):
            found.setdefault(number, []).append(constant)
    return tree, {number: constants[0] for number, constants in found.items() if len(constants) == 1}


def _in_bytes(sql: str, span: Span) -> Span:
    return len(sql[: span[0]].encode()), len(sql[: span[1]].encode())


def _below(message: Node, *, weighed: bool) -> Iterator[Node]:
    """The integer constants on open ways below a node."""
    kind = message.DESCRIPTOR.name
    if kind == "Node":
        name = message.WhichOneof("node")
        if name is None:
            return
        message = getattr(message, name)
        kind = message.DESCRIPTOR.name
    if kind == "A_Const":
        if message.WhichOneof("val") == "ival":
            yield message
        return
    if kind == "FuncCall" and message.funcname[-1].string.sval in _SETTING_CALLS:
        return
    steps = weighed and kind == "A_Expr" and message.name[-1].string.sval in _STEPS
    for part, value in message.ListFields():
        if part.message_type is None or f"{kind}.{part.name}" not in OPEN:
            continue
        for child in value if part.is_repeated else (value,):
            if not (steps and child.WhichOneof("node") == "a_const"):
                yield from _below(child, weighed=weighed)


# The second text


class _NoneLeft(Exception):  # noqa: N818 - an answer, and no fault
    """A text is full of what looks like a probe."""


def _probes(taken: str, opened: Sequence[int]) -> dict[int, str]:
    """For each open hole an integer of nine digits that stands nowhere in `taken`. Raises _NoneLeft."""
    free = (text for text in map(str, range(_FIRST_PROBE, _LAST_PROBE, _PROBE_STEP)) if text not in taken)
    found = dict(zip(opened, free, strict=False))
    if len(found) < len(opened):
        raise _NoneLeft
    return found


def _filled(sql: str, spans: Sequence[Span], probes: dict[int, str]) -> str:
    """The text with the probes in their holes."""
    parts: list[str] = []
    at = 0
    for number, (start, end) in enumerate(spans):
        parts += (sql[at:start], probes.get(number, sql[start:end]))
        at = end
    return "".join((*parts, sql[at:]))


def _shape(plan: Plan, probes: dict[int, str]) -> Shape:
    """Of the plan of a text with probes."""
    numbers = {text: number for number, text in probes.items()}
    found = [(match.start(), numbers[match[0]]) for match in re.finditer("|".join(numbers), plan.sql)]
    parts: list[bytes] = []
    at = 0
    for start, _ in found:
        parts += (plan.sql[at:start].encode(), b"")
        at = start + PROBE_DIGITS
    parts.append(plan.sql[at:].encode())
    moved = []
    for start, length, marker in plan.cuts:
        before = tuple(number for place, number in found if place < start)
        inside = tuple(number for place, number in found if start <= place < start + length)
        without = start - PROBE_DIGITS * len(before), length - PROBE_DIGITS * len(inside)
        moved.append(MovedCut(*without, marker, before, inside))
    moves = any(cut.before or cut.inside for cut in moved)
    model = plan.with_text("", () if moves else plan.cuts)
    return Shape(model, tuple(parts), tuple(number for _, number in found), tuple(moved) if moves else ())
