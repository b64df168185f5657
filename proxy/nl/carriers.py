"""Where a question stands in SQL text, and how the SQL that answers it takes its place.

There are four carriers, because clients differ in what they send (`docs/ask.md`):

    SELECT * FROM ask('...')       wherever a FROM item can stand (`proxy.nl.askcalls`)
    /* ask: ... */                 alone, or before a bare SELECT or SELECT 1
    -- ask: ...                    any leading comment line, alone or before a bare SELECT or SELECT 1
    ASK '...'                      a statement of its own

PostgreSQL's scanner and grammar find them, so that `ask` in a literal, in a name or in a comment further on
is what PostgreSQL takes it for. Text outside a carrier keeps every character. A text in which a carrier was
meant and cannot work is a CarrierError; it is never passed on as SQL.

It does not know what a question means, who asks it, or whether the SQL that replaces it may run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from proxy.errors import CarrierError
from proxy.nl.askcalls import HINT_FORMS, HINT_INLINE, Found, check_text, find_calls
from proxy.policy.parser import SyntaxProblem, Token, byte_to_character, parse, scan

MAX_QUESTIONS = 8
"""Questions in one text: each is a conversation with a model."""

_COMMENTS = frozenset({"SQL_COMMENT", "C_COMMENT"})
_SEMICOLON = "ASCII_59"
_LITERALS = (["SCONST"], ["USCONST"], ["USCONST", "UESCAPE", "SCONST"])

_MAYBE = re.compile(
    rb"""(?i)
    (?<![a-z0-9_$]) ask (?: [\s\x80-\xff]* : | "? \s* (?: \( | /\* | -- ) )   # ask: or ask(
    | (?: \A | [;/\n\r] ) [^\S\n\r]*+ ask (?![a-z0-9_$])                    # ASK where a statement may begin
    """,
    re.VERBOSE,
)
_PREFIX = re.compile(r"(?i)\s*ask\s*:")


@dataclass(frozen=True, slots=True)
class Edit:
    """Characters `start` to `end` give way to `form`, with the SQL for question `question` in its braces."""

    start: int
    end: int
    question: int | None = None
    form: str = ""

    def text(self, generated: Sequence[str]) -> str:
        return self.form if self.question is None else self.form.replace("{}", generated[self.question], 1)


@dataclass(frozen=True, slots=True)
class Question:
    """The questions of one text, in order, and the text around them.

    `texts` are the questions as the client wrote them, unmasked: they go to the masker and nowhere else.
    """

    texts: tuple[str, ...] = field(repr=False)
    sql: str = field(repr=False)
    edits: tuple[Edit, ...] = field(repr=False)

    def replace(self, *generated: str) -> str:
        """The client's text with each question replaced by its SELECT (one, without semicolon), in order."""
        return "".join(piece for piece, _ in self._pieces(generated))

    def original_position(self, position: int, *generated: str) -> int:
        """The position (characters from 1) in the client's text for one in the replaced text.

        Whatever stands in generated SQL has the position of its carrier's start.
        """
        written = 0
        for piece, edit in self._pieces(generated):
            if position <= written + len(piece):
                return edit.start + 1 if edit.question is not None else position - written + edit.start
            written += len(piece)
        return len(self.sql) + 1

    def _pieces(self, generated: Sequence[str]) -> Iterator[tuple[str, Edit]]:
        """Every stretch of the new text, with where it comes from: for kept text, no question."""
        if len(generated) != len(self.texts):
            raise ValueError(f"{len(self.texts)} questions and {len(generated)} statements")
        done = 0
        for edit in self.edits:
            yield self.sql[done : edit.start], Edit(done, edit.start)
            yield edit.text(generated), edit
            done = edit.end
        yield self.sql[done:], Edit(done, len(self.sql))


def may_ask(sql: bytes) -> bool:
    """Whether the text can hold a carrier at all: cheap, and never False where `find_question` finds one."""
    return _MAYBE.search(sql) is not None


def find_question(sql: str) -> Question | None:
    """The questions in a client's text (one simple Query or one Parse), or None where it is SQL alone.

    Raises:
        CarrierError: a carrier was meant and cannot work; the position is where it stands.
    """
    if not may_ask(sql.encode(errors="replace")):
        return None
    try:
        tokens = scan(sql)
    except SyntaxProblem as problem:
        _refuse_unterminated(sql, problem)
        return None
    return _in_comment(sql, tokens) or _in_statements(sql, [t for t in tokens if t.kind not in _COMMENTS])


# -- comments --


def _in_comment(sql: str, tokens: Sequence[Token]) -> Question | None:
    """The carrier in the leading comments, if one of them begins with `ask:`."""
    first = next((i for i, t in enumerate(tokens) if t.kind not in _COMMENTS), len(tokens))
    leading = tokens[:first]
    asking = [i for i, t in enumerate(leading) if _PREFIX.match(_comment_body(sql, t))]
    if not asking:
        return None
    if len(asking) > 1:
        raise CarrierError(
            "more than one question in the leading comments",
            hint="Ask one question at a time.",
            position=leading[asking[1]].start + 1,
        )
    lines = [leading[asking[0]], *_continuation(sql, leading[asking[0] :])]
    start = lines[0].start
    bare = _bare_select(sql, [t for t in tokens[first:] if t.kind not in _COMMENTS])
    if bare is None:
        raise CarrierError(
            "two meanings in one text: a comment that asks a question, and SQL",
            detail="An ask: comment stands alone, or before a bare SELECT or SELECT 1.",
            hint="Remove the SQL to ask the question, or the ask: prefix to run the SQL.",
            position=start + 1,
        )
    text = _comment_text(sql, lines)
    check_text(text, start)
    edits = [Edit(line.start, line.end) for line in lines]
    if bare:
        edits.append(Edit(bare[0].start, bare[-1].end, 0, "{}"))
    else:
        edits[0] = Edit(start, lines[0].end, 0, "{}")
    return Question((text,), sql, tuple(edits))


def _comment_body(sql: str, token: Token) -> str:
    text = sql[token.start : token.end]
    return text[2:-2] if token.kind == "C_COMMENT" else text[2:]


def _comment_text(sql: str, lines: Sequence[Token]) -> str:
    """The question of an `ask:` comment, its lines joined by spaces."""
    body = "\n".join(_comment_body(sql, line) for line in lines)
    return " ".join(part for line in _PREFIX.sub("", body, count=1).splitlines() if (part := line.strip()))


def _continuation(sql: str, comments: Sequence[Token]) -> Iterator[Token]:
    """The comment lines that directly follow a `-- ask:` line: they are the rest of its question."""
    for before, line in pairwise(comments):
        gap = sql[before.end : line.start]
        adjacent = gap.replace("\r\n", "\n").count("\n") == 1 and not gap.strip()
        if before.kind != "SQL_COMMENT" or line.kind != "SQL_COMMENT" or not adjacent:
            return
        yield line


def _bare_select(sql: str, rest: Sequence[Token]) -> list[Token] | None:
    """The tokens of what may follow an `ask:` comment: nothing, SELECT or SELECT 1. None: it is other SQL."""
    statement = [t for t in rest if t.kind != _SEMICOLON]
    words = [sql[t.start : t.end].lower() for t in statement]
    together = list(rest[: len(statement)]) == statement
    return statement if together and words in ([], ["select"], ["select", "1"]) else None


# -- statements --


def _in_statements(sql: str, tokens: Sequence[Token]) -> Question | None:
    """The ASK statements and `ask(...)` FROM items of the text."""
    asked = [_ask_statement(sql, segment) for segment in _segments(tokens) if _is_ask(sql, segment[0])]
    plain = sql
    for ask in asked:
        # A stand-in of the same length: the text parses, and every position in it is the client's own.
        plain = plain[: ask.start] + "SELECT".ljust(ask.end - ask.start) + plain[ask.end :]
    try:
        tree = parse(plain)
    except SyntaxProblem as problem:
        if not asked:
            return None
        raise CarrierError(
            "PostgreSQL's grammar refuses the text beside the question",
            hint="Ask on its own, or correct the other statements.",
            position=problem.position,
        ) from None
    _check_top_level(plain, tokens, tree, asked)
    found = sorted([*asked, *find_calls(plain, tokens, tree)], key=lambda f: f.start)
    if len(found) > MAX_QUESTIONS:
        raise CarrierError(
            f"more than {MAX_QUESTIONS} questions in one text",
            hint="Send them one by one.",
            position=found[MAX_QUESTIONS].start + 1,
        )
    edits = tuple(Edit(f.start, f.end, i, f.form) for i, f in enumerate(found))
    return Question(tuple(f.text for f in found), sql, edits) if found else None


def _segments(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """The tokens between semicolons, empty stretches left out."""
    segment: list[Token] = []
    for token in tokens:
        if token.kind != _SEMICOLON:
            segment.append(token)
        elif segment:
            yield segment
            segment = []
    if segment:
        yield segment


def _is_ask(sql: str, token: Token) -> bool:
    """Whether the token is the word ASK, unquoted. No SQL statement begins with it."""
    return token.kind == "IDENT" and sql[token.start : token.end].lower() == "ask"


def _ask_statement(sql: str, segment: Sequence[Token]) -> Found:
    """The question of `ASK <string literal>`."""
    word, rest = segment[0], segment[1:]
    kinds = [t.kind for t in rest]
    position = word.start + 1
    if not rest:
        raise CarrierError("ASK without a question", hint=HINT_FORMS, position=position)
    if kinds[0] == "PARAM":
        raise CarrierError("the question of ASK is a parameter", hint=HINT_INLINE, position=position)
    if kinds not in _LITERALS:
        raise CarrierError(
            "ASK takes one string literal and nothing else",
            hint="Put the question in apostrophes and double those inside it, or write ASK $$question$$.",
            position=position,
        )
    text = _literal(sql[rest[0].start : rest[-1].end], position).strip()
    check_text(text, word.start)
    return Found(text, word.start, rest[-1].end, "{}")


def _literal(source: str, position: int) -> str:
    """The value of a string literal, as PostgreSQL reads it."""
    try:
        statement: Any = parse(f"SELECT {source}").stmts[0].stmt
    except SyntaxProblem:
        raise CarrierError("the question's literal cannot be read", hint=HINT_FORMS, position=position) from None
    return str(statement.select_stmt.target_list[0].res_target.val.a_const.sval.sval)


def _check_top_level(plain: str, tokens: Sequence[Token], tree: Any, asked: Sequence[Found]) -> None:
    """Refuse an ASK that is not a statement of its own (in the body of a CREATE FUNCTION)."""
    places = [byte_to_character(plain, raw.stmt_location) for raw in tree.stmts]
    starts = {next((t.start for t in tokens if t.start >= place), place) for place in places}
    for ask in asked:
        if ask.start not in starts:
            raise CarrierError("ASK inside another statement", hint=HINT_FORMS, position=ask.start + 1)


def _refuse_unterminated(sql: str, problem: SyntaxProblem) -> None:
    """Refuse a text that the scanner cannot finish, if a carrier was begun in it."""
    at = (problem.position or 1) - 1
    if sql.startswith("/*", at) and _PREFIX.match(sql, at + 2):
        raise CarrierError("the comment that asks is not closed", hint="Close it with */.", position=at + 1)
    try:
        before = [t for t in scan(sql[:at]) if t.kind not in _COMMENTS]
    except SyntaxProblem:
        return
    segments = list(_segments(before))
    if segments and _is_ask(sql, segments[-1][0]):
        raise CarrierError(
            "the question's literal is not closed",
            hint="Double each apostrophe inside the question, or write ASK $$your question$$.",
            position=segments[-1][0].start + 1,
        )
