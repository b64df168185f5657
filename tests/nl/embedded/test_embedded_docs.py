"""docs/embedded.md says what is so: every question in it is run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from shop_world import SHOP, ask

from proxy.errors import NotUnderstoodError
from proxy.policy.parser import parse

PAGE = (Path(__file__).parents[3] / "docs" / "embedded.md").read_text()
ANSWERED, REFUSED = PAGE.split("## What it refuses")
ROW = re.compile(r"^\| `([^`]+)` \| (.+) \|$", re.MULTILINE)


@pytest.mark.parametrize(("question", "says"), ROW.findall(ANSWERED))
def test_a_question_of_the_first_part_is_answered(question: str, says: str) -> None:
    if says.startswith("refused"):
        with pytest.raises(NotUnderstoodError):
            ask(question)
    else:
        assert ask(question).startswith("SELECT ")


@pytest.mark.parametrize("question", [q for q, _ in ROW.findall(REFUSED)])
def test_a_question_of_the_second_part_is_refused(question: str) -> None:
    with pytest.raises(NotUnderstoodError) as caught:
        ask(question)
    assert caught.value.detail
    assert caught.value.hint


def test_the_page_and_the_tests_have_the_same_schema() -> None:
    statements = re.findall(r"CREATE TABLE shop\.(\w+) \((.*?)\);", PAGE, re.DOTALL)
    column = re.compile(r"(?:^|,\s*)(\w+) (?:int|text|date|numeric|boolean|timestamptz)")
    shown = {name: column.findall(body) for name, body in statements}
    assert shown == {t.name: [c.name for c in t.columns] for t in SHOP.tables}
    assert len(parse(re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)[0]).stmts) == 8
