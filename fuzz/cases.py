"""What is sent: a query by itself, or in another kind of statement, or spoiled; by one user, as one to four statements.

A case is made of its number alone: the same number makes the same case, whatever was made before it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from fuzz.queries import Queries
from fuzz.scope import Query, Table, chance, quoted

DEPTH = 2
"""As deep as SELECTs nest in FROM."""

_TEXT_OPERAND = re.compile(r"(?<== )'([^']*)'(?!::|\w)")
_SPACE = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|(?P<space> )")


@dataclass(frozen=True, slots=True)
class Case:
    """`steps` are sent one after the other, with `parameters` the only one. `ordered`: the rows come in one order;
    `comparable` False: the answer is about the plan, and nobody's to compare."""

    number: int
    user: str
    kind: str
    steps: tuple[str, ...]
    parameters: tuple[str, ...] = ()
    ordered: bool = False
    comparable: bool = True


def make_case(number: int, tables: Mapping[str, Sequence[Table]]) -> Case:
    """The case of this number, of one of the users."""
    rng = Random(number)
    user = rng.choice(sorted(tables))
    queries = Queries(rng, tables[user])
    found = queries.query(rng.choice((0, 1, 1, DEPTH)), bare=True)
    return _CaseMaker(rng, number, user).case(found, tables[user])


class _CaseMaker:
    def __init__(self, rng: Random, number: int, user: str) -> None:
        self.rng = rng
        self.number = number
        self.user = user

    def case(self, query: Query, tables: Sequence[Table]) -> Case:
        sql = self._noisy(query.sql)
        kind = self.rng.choices(
            ("select", "parameters", "table", "explain", "copy", "cursor", "prepare", "spoiled"),
            (76, 5, 2, 2, 4, 3, 3, 5),
        )[0]
        if kind == "parameters":
            text, values = self._parameters(sql)
            return Case(self.number, self.user, kind, (text,), values, query.ordered)
        if kind == "explain":
            return Case(self.number, self.user, kind, (f"EXPLAIN (COSTS off) {sql}",), comparable=False)
        if kind == "spoiled":
            return Case(self.number, self.user, kind, (self._spoiled(sql),))
        steps = {"select": (sql,), "table": self._table(tables), "copy": self._copy(sql)}.get(kind)
        if steps is None:
            steps = self._cursor(sql) if kind == "cursor" else self._prepare(sql)
        return Case(self.number, self.user, kind, steps, ordered=query.ordered and kind != "table")

    def _table(self, tables: Sequence[Table]) -> tuple[str, ...]:
        table = self.rng.choice(tables)
        name = f"{quoted(table.schema)}.{quoted(table.name)}"
        forms = (f"TABLE {name}", f"SELECT {quoted(table.name)} FROM {name}", f"SELECT count(*) FROM {name}")
        return (self.rng.choice(forms),)

    def _copy(self, sql: str) -> tuple[str, ...]:
        options = ("", " WITH CSV", " (FORMAT csv, HEADER)", " (DELIMITER '|', NULL 'none')", " CSV FORCE QUOTE *")
        return (f"COPY ({sql}) TO STDOUT{self.rng.choice(options)}",)

    def _cursor(self, sql: str) -> tuple[str, ...]:
        word = self.rng.choice(("", "NO SCROLL ", "INSENSITIVE "))
        return ("BEGIN", f"DECLARE reading {word}CURSOR FOR {sql}", "FETCH ALL FROM reading", "COMMIT")

    def _prepare(self, sql: str) -> tuple[str, ...]:
        return (f"PREPARE asked AS {sql}", "EXECUTE asked", "DEALLOCATE asked")

    def _parameters(self, sql: str) -> tuple[str, tuple[str, ...]]:
        """Up to three texts that something is compared with, as parameters."""
        values: list[str] = []

        def put(match: re.Match[str]) -> str:
            if len(values) >= 3:
                return match[0]
            values.append(match[1])
            return f"${len(values)}"

        return _TEXT_OPERAND.sub(put, sql), tuple(values)

    def _noisy(self, sql: str) -> str:
        """With comments, line breaks and other spaces between the words, in some statements."""
        if not chance(self.rng, 25):
            return sql
        noises = ("\n", "\t ", "  ", " /* b.email */ ", " -- it's\n", " /* a /* nested */ comment */ ")

        def put(match: re.Match[str]) -> str:
            return self.rng.choice(noises) if match["space"] and chance(self.rng, 12) else match[0]

        text = _SPACE.sub(put, sql)
        return text.replace("SELECT", "sElEcT") if chance(self.rng, 20) else text

    def _spoiled(self, sql: str) -> str:
        words = sql.split(" ")
        at = self.rng.randrange(len(words))
        how = self.rng.choice(("drop", "double", "swap", "cast", "end", "unknown"))
        if how == "drop":
            del words[at]
        elif how == "double":
            words.insert(at, words[at])
        elif how == "swap":
            other = self.rng.randrange(len(words))
            words[at], words[other] = words[other], words[at]
        elif how == "end":
            del words[at:]
        elif how == "unknown":
            return re.sub(r"\.(email|name|id|doc)\b", ".nowhere", sql, count=1)
        else:
            return re.sub(r"([\w\"]+\.(?:email|name|secret|phone|body))\b", r"\1::integer", sql, count=1)
        return " ".join(words)
