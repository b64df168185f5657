"""The embedded provider behind the agent: no model, no network, the same checks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from nl_world import ListMasker, Planner, context

from proxy.errors import AskError, ConfigError, NotUnderstoodError, UpstreamUnavailableError
from proxy.nl.graph import Asker, AskServices
from proxy.nl.providers import build_provider
from proxy.nl.providers.embedded import DatabaseLookup, lookup_sql
from proxy.policy.parser import parse
from proxy.settings import AskSettings, OpenAISettings


@dataclass
class Rows:
    """A database that holds some spellings, by the number of the column that they stand in."""

    held: list[tuple[int, str]] = field(default_factory=list)
    asked: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    error: Exception | None = None

    async def fetch(self, sql: str, *args: Any) -> Sequence[Sequence[object]]:
        await asyncio.sleep(0)
        self.asked.append((sql, args))
        if self.error is not None:
            raise self.error
        return [(n, v) for n, v in self.held if v in args[0] or v.lower() in args[1]]


def asker(rows: Rows, planner: Planner | None = None) -> Asker:
    provider = build_provider(AskSettings(), rows.fetch)
    return Asker(AskServices(provider, ListMasker({}), (planner or Planner()).cost), AskSettings())


async def test_a_question_becomes_sql_without_a_model() -> None:
    answer = await asker(Rows()).resolve("how many orders", context())
    assert answer.provider == "embedded"
    parsed = parse(answer.sql).stmts[0].stmt.select_stmt
    assert parsed.target_list[0].res_target.val.func_call.funcname[-1].string.sval == "count"
    assert "shop.orders" in answer.sql


async def test_a_value_is_looked_up_and_takes_the_databases_spelling() -> None:
    rows = Rows([(0, "Pune")])
    answer = await asker(rows).resolve("how many customers in pune", context())
    assert "'Pune'" in answer.sql
    assert "pune" not in rows.asked[0][0]


async def test_no_private_or_masked_column_is_searched() -> None:
    rows = Rows()
    await asker(rows).resolve("how many orders are paid", context())
    searched = "".join(sql for sql, _ in rows.asked)
    assert '"city"' in searched
    assert '"email"' not in searched
    assert '"customers"."name"' not in searched
    assert "salaries" not in searched


async def test_what_is_not_understood_is_an_error_with_detail_and_hint() -> None:
    with pytest.raises(NotUnderstoodError) as caught:
        await asker(Rows()).resolve("sing me a song about the moon", context())
    assert caught.value.detail
    assert caught.value.hint


async def test_a_failing_look_up_fails_the_question_without_the_drivers_words() -> None:
    with pytest.raises(AskError, match="could not be looked up") as caught:
        await asker(Rows(error=ValueError("pune"))).resolve("how many customers in pune", context())
    assert caught.value.__cause__ is None
    with pytest.raises(UpstreamUnavailableError):
        await asker(Rows(error=UpstreamUnavailableError("gone"))).resolve("how many customers in pune", context())


async def test_many_columns_are_searched_in_turns() -> None:
    columns = tuple(("s", "t", f"c{i}") for i in range(95))
    rows = Rows([(14, "Pune")])
    hits = await DatabaseLookup(rows.fetch, columns).find(["pune"])
    assert len(rows.asked) == 3
    assert [(h.column, h.value) for h in hits] == [("c14", "Pune"), ("c54", "Pune"), ("c94", "Pune")]


def test_the_look_up_quotes_names_and_takes_words_as_parameters() -> None:
    sql = lookup_sql([("s", 't"; DROP TABLE x; --', "c"), ("s", "u", "d")])
    assert len(parse(sql).stmts) == 1
    assert '"t""; DROP TABLE x; --"' in sql


def test_a_provider_that_cannot_be_built_is_a_settings_error() -> None:
    with pytest.raises(ConfigError, match="llama_cpp"):
        build_provider(AskSettings.model_construct(provider="llama_cpp"), Rows().fetch)
    with pytest.raises(ConfigError, match="model is not set"):
        build_provider(AskSettings.model_construct(provider="openai", openai=OpenAISettings()), Rows().fetch)


async def test_a_public_value_that_looks_private_is_looked_up_on_this_machine() -> None:
    rows = Rows([(0, "Lem")])

    async def cities(sql: str, *args: Any) -> Sequence[Sequence[object]]:
        found = await rows.fetch(sql, *args)
        return found if '"city"' in sql else []

    provider = build_provider(AskSettings(), cities)
    services = AskServices(provider, ListMasker({"lem": "PERSON", "Pat Nobody": "PERSON"}), Planner().cost)
    both = Asker(services, AskSettings())
    answer = await both.resolve("how many customers in lem", context())
    assert "lower('lem')" in answer.sql
    assert "lem" not in answer.shown_sql.lower()
    with pytest.raises(NotUnderstoodError) as caught:
        await both.resolve("how many customers in Pat Nobody", context())
    assert '"Pat Nobody"' in (caught.value.detail or "")
    assert "PERSON" not in f"{caught.value.message}{caught.value.detail}{caught.value.hint}"


async def test_a_role_that_sees_masks_is_not_told_what_they_hide() -> None:
    rows = Rows()
    provider = build_provider(AskSettings(), rows.fetch)
    private = Asker(AskServices(provider, ListMasker({"a@b.example": "EMAIL"}), Planner().cost), AskSettings())
    with pytest.raises(AskError):
        await private.resolve("customers with email a@b.example", context())
    assert not any('"email"' in sql for sql, _ in rows.asked)
    assert all("SELECT DISTINCT" in sql for sql, _ in rows.asked)
